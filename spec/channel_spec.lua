-- channel_spec.lua: channels between processes: sending, receiving, in the ring itself, finishing, ends of one's own.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"

local name = "/shm_spec_channel"
local pid = ("%d"):format(require("luv").os_getpid())
local what = '^channel "c" of arena "/shm_spec_channel"'

local raises, refused = outcome.raises, outcome.refused

local arena, c
before_each(function()
  arena = assert(shm.arena(name, "1M", { owned = true }))
  c = assert(arena:channel("c", 1024))
end)
after_each(function() arena:close() end)

-- Fills the ring; how many there were.
local function fill(text)
  local count = 0
  while c:send(text or "x", 0) do count = count + 1 end
  return count
end

describe("a channel", function()
  it("is found or made, with the next power of two for its ring", function()
    assert.equal('channel "c" of arena "/shm_spec_channel"', tostring(c))
    assert.equal(c, arena:channel("c", 513))
    assert.equal(c, arena:channel("c", "1K"))
    refused('^channel "c" has 1024 bytes, 1025 were asked for$', "EPROTOTYPE", arena:channel("c", 1025))
    refused("has 1024 bytes, 512 were", "EPROTOTYPE", arena:channel("c", 512))
    refused('^"c" is a channel, not a topic$', "EPROTOTYPE", arena:topic("c", 1024))
    refused('^channel "large" needs 2%d+ bytes; the largest free extent of the arena is %d+$', "ENOSPC",
      arena:channel("large", "2M"))
    assert.same({ kind = "channel", name = "c", size = 1024 + 320, count = 1024 }, arena:objects()[1])
    for _, size in ipairs { 1, 255, 256 } do
      assert.equal(256, arena:channel("s" .. size, size):stat().capacity)
    end
    raises("a channel has at most 2G", arena.channel, arena, "x", "3G")
    for _, bad in ipairs { 0, -1, 1.5, "x", true, {} } do raises("bad argument", arena.channel, arena, "x", bad) end
    raises("bad argument", arena.channel, arena, "x")
  end)

  it("keeps the order, and says how it stands", function()
    local empty = { capacity = 1024, limit = 504, used = 0, sent = 0, received = 0, receivers_wait = false,
      senders_wait = false, finished = false }
    assert.same(empty, c:stat())
    for i = 1, 9 do assert.same({ true }, { c:send(i) }) end
    local stat = c:stat()
    assert.same({ 9 * 16, 9, 0 }, { stat.used, stat.sent, stat.received })
    for i = 1, 9 do assert.same({ i }, { c:receive() }) end
    empty.sent, empty.received, empty.senders_wait, empty.receivers_wait = 9, 9, nil, nil
    stat = c:stat()
    stat.senders_wait, stat.receivers_wait = nil, nil
    assert.same(empty, stat)
  end)

  it("says EAGAIN to who only tries, and ETIMEDOUT in time", function()
    for _, timeout in ipairs { 0, -1, -1 / 0 } do
      refused(what .. " is empty$", "EAGAIN", c:receive(timeout))
      refused(what .. " is empty$", "EAGAIN", c:receive_all(nil, timeout))
      refused(what .. " is empty$", "EAGAIN", c:peek(nil, timeout))
    end
    local count = fill()
    for _, timeout in ipairs { 0, -1 } do
      refused(what .. " is full$", "EAGAIN", c:send("x", timeout))
      refused(what .. " is full$", "EAGAIN", c:reserve(1, nil, timeout))
      local none, message, code, sent = c:send_all({ "x", "y" }, timeout)
      refused(what .. " is full$", "EAGAIN", none, message, code)
      assert.equal(0, sent)
    end
    assert.equal(1024 // 16, count)
    for _, call in ipairs { "send", "reserve" } do
      local seconds, none, message, code = peers.timed(c[call], c, 1, call == "send" and 0.1 or "u8",
        call == "reserve" and 0.1 or nil)
      refused(what .. " stayed full$", "ETIMEDOUT", none, message, code)
      assert.is_true(seconds >= 0.1 and seconds < 2)
    end
    assert.equal(count, #c:receive_all())
    for _, call in ipairs { "receive", "peek", "receive_all" } do
      local seconds, none, message, code = peers.timed(c[call], c, call == "receive" and 0.1 or nil, 0.1)
      refused(what .. " stayed empty$", "ETIMEDOUT", none, message, code)
      assert.is_true(seconds >= 0.1 and seconds < 2)
    end
    for _, timeout in ipairs { 1 / 0, 1e300, 1e-9 } do
      c:send "x"
      assert.equal("x", c:receive(timeout))
    end
  end)

  it("carries what is as large as its limit, from every place in the ring, and raises beyond", function()
    local limit = c:stat().limit
    for size = 0, limit do
      local text = string.char(size % 256):rep(size)
      assert.is_true(c:send(text, 0))
      assert.equal(text, c:receive(0))
    end
    local beyond = "is too large for channel \"c\" of arena .*: it takes 504 bytes at most$"
    raises(beyond, c.send, c, ("x"):rep(limit + 1))
    raises(beyond, c.reserve, c, limit + 1)
    raises(beyond, c.reserve, c, limit // 8 + 1, "f64")
    raises(beyond, c.reserve, c, math.maxinteger, "f64")
    raises(beyond, c.send, c, { ("x"):rep(limit) })
    raises(beyond, c.send_all, c, { "before", ("x"):rep(limit + 1) })
    refused("is empty", "EAGAIN", c:receive(0)) -- nothing of that was sent
    raises("a count is not negative", c.reserve, c, -1)
  end)

  it("refuses a value that would be endless to write, soon", function()
    local t = {}
    for _ = 1, 100 do t = { t, t } end
    assert.is_true(peers.timed(raises, "is too large", c.send, c, t) < 1)
    assert.is_true(peers.timed(raises, "is too large", c.send_all, c, { t }) < 1)
  end)

  it("sends and receives lists", function()
    assert.same({ 0 }, { c:send_all {} })
    assert.same({ 3 }, { c:send_all { "one", 2, { 3 } } })
    assert.same({ "one", 2 }, c:receive_all(2))
    assert.same({ { 3 } }, c:receive_all(1, 0))
    local list = {}
    for i = 1, 200 do list[i] = i end
    local none, message, code, sent = c:send_all(list, 0)
    refused(what .. " is full$", "EAGAIN", none, message, code)
    assert.equal(64, sent)
    assert.equal(10, #c:receive_all(10))
    none, message, code, sent = c:send_all(list, 0.05)
    refused("stayed full", "ETIMEDOUT", none, message, code)
    assert.equal(10, sent)
    local all = c:receive_all()
    assert.equal(64, #all)
    assert.same({ 11, 64, 1, 10 }, { all[1], all[54], all[55], all[64] })
    raises("message 2: value is nil, which no message carries", c.send_all, c, { 1, nil, 3 })
    refused("is empty", "EAGAIN", c:receive(0))
    for _, bad in ipairs { 0, -1 } do raises("at least 1 message", c.receive_all, c, bad) end
    raises("table expected", c.send_all, c, "x")
    local large = arena:channel("large", "256K")
    for i = 1, 3 do large:send(("x"):rep(i * 40000), 0) end
    assert.same({ 40000, 80000 }, { #large:receive_all()[1], #large:receive_all()[1] })
  end)

  it("sends a list longer than the ring to who receives meanwhile", function()
    local peer = peers.start(name, [[
      local c, n = a:channel("c", 1024), 0
      while true do
        local list, _, code = c:receive_all(7, 20)
        if code == "EPIPE" then break end
        for _, x in ipairs(list) do n = n + 1 assert(x == n) end
      end
      print(n)]])
    local list = {}
    for i = 1, 5000 do list[i] = i end
    assert.equal(5000, c:send_all(list, 20))
    assert.is_true(c:finish())
    assert.equal("5000\n", peers.finish(peer))
  end)

  it("is finished: what is in it is received, and nothing more is sent", function()
    c:send_all { 1, 2, 3 }
    assert.same({ true }, { c:finish() })
    assert.same({ true }, { c:finish() })
    assert.is_true(c:stat().finished)
      assert.is_true(c:stat().finished)
    for _, call in ipairs { "send", "reserve" } do refused(what
      .. ' is finished; to begin anew, a:remove%("c"%) and open it again$', "EPIPE", c[call](c, 1)) end
    local none, message, code, sent = c:send_all { 1 }
    refused("is finished", "EPIPE", none, message, code)
    assert.equal(0, sent)
    local got = {}
    for value in c:messages() do got[#got + 1] = value end
    assert.same({ 1, 2, 3 }, got)
    for _, call in ipairs { "receive", "receive_all", "peek" } do
      refused(what .. ' is finished; to begin anew, a:remove%("c"%) and open it again$', "EPIPE", c[call](c))
      refused(what .. ' is finished; to begin anew, a:remove%("c"%) and open it again$', "EPIPE", c[call](c, nil, 0))
    end
  end)

  it("wakes all who wait when it is finished", function()
    fill()
    local waiters = {}
    for i = 1, 2 do
      waiters[i] = peers.waiting(name, "local c = a:channel('c', 1024) say 'waits' say(select(3, c:send(1)))")
    end
    assert.is_true(c:stat().senders_wait)
    assert.is_true(c:finish())
    for i = 1, 2 do
      assert.equal("EPIPE", waiters[i]:line(5))
      peers.finish(waiters[i])
    end
    arena:remove "c"
    c = arena:channel("c", 1024)
    for i, call in ipairs { "c:receive()", "c:receive_all()", "c:peek()" } do
      waiters[i] = peers.waiting(name, "local c = a:channel('c', 1024) say 'waits' say(select(3, " .. call .. "))")
    end
    assert.is_true(c:stat().receivers_wait)
    assert.is_true(c:finish())
    for i = 1, 3 do
      assert.equal("EPIPE", waiters[i]:line(5))
      peers.finish(waiters[i])
    end
  end)

  it("refuses what is no timeout, no value and no option", function()
    for _, call in ipairs { "receive", "messages", "send" } do
      raises("methods are called with a colon", c[call], arena)
    end
    raises("a timeout is a number of seconds", c.receive, c, 0 / 0)
    raises("a timeout is a number of seconds", c.send, c, 1, 0 / 0)
    raises("number expected", c.receive, c, "soon")
    for _, bad in ipairs { {}, true } do
      raises("number expected", c.send, c, 1, bad)
      raises("number expected", c.receive_all, c, bad)
      raises("number expected", c.reserve, c, bad)
    end
    raises("bad argument", c.reserve, c, 1, "i7")
    raises("value is nil, which no message carries", c.send, c)
    raises("unknown option 'exclusiv'; there are exclusive, spin", arena.channel, arena, "c", 1024,
      { exclusiv = 1 })
    raises("unknown option", arena.channel, arena, "c", 1024, { 1 })
    raises('option exclusive is one of "producer", "consumer", "both", not "x"', arena.channel, arena, "c", 1024,
      { exclusive = "x" })
    for _, bad in ipairs { -1, 1.5, "x", 1000001 } do
      raises("option spin is how often to look", arena.channel, arena, "c", 1024, { spin = bad })
    end
    assert.equal(c, arena:channel("c", 1024, { spin = 0 }))
  end)
end)

describe("a message in the ring itself", function()
  it("is reserved, filled in and committed", function()
    local v = assert(c:reserve(4, "f64"))
    assert.equal(4, #v)
    v:copy { 1, 2, 3, 4 }
    refused("is empty", "EAGAIN", arena:channel("c", 1024):receive(0))
    assert.same({ true }, { c:commit(3) })
    for _, use in ipairs { function() return v[1] end, function() v[1] = 1 end, function() return v:sum() end } do
      raises('object "c": what was reserved or peeked at was committed or released, or is another process\'s', use)
    end
    assert.same({ 1.0, 2.0, 3.0, 25 }, { ("ddd"):unpack(c:receive(0)) })
    v = c:reserve(3)
    v:fill(65)
    c:commit()
    assert.equal("AAA", c:receive(0))
    c:reserve(2, "u16")
    raises("more than was reserved", c.commit, c, 3)
    raises("more than was reserved", c.commit, c, -1)
    assert.is_true(c:commit(0))
    assert.equal("", c:receive(0))
    assert.equal(0, #c:reserve(0))
    c:commit()
    assert.equal("", c:receive(0))
    assert.is_true(c:send "next")
    assert.equal("next", c:receive(0))
  end)

  it("is peeked at and released, and says what it is", function()
    c:send "ABC"
    c:send { 1, "x" }
    local v, format = c:peek()
    assert.equal("string", format)
    assert.same({ 65, 66, 67 }, v:totable())
    assert.same({ true }, { c:release() })
    raises("was committed or released", function() return v[1] end)
    v, format = c:peek("u8", 1)
    assert.equal("msgpack", format)
    assert.same({ 0x92, 1, 0xa1, 0x78 }, v:totable())
    c:release()
    c:send "12345"
    assert.same({ 1, 0x34333231 }, { #c:peek "u32", arena:channel("c", 1024):stat().sent == 3 and 0x34333231 })
    c:release()
  end)

  it("is one at a time at each end", function()
    local other <close> = assert(shm.arena(name))
    local d = other:channel("c", 1024)
    c:reserve(8):fill(65)
    for _, one in ipairs { c, d } do
      for _, call in ipairs { "reserve", "send" } do
        raises(what .. ": commit what is reserved first$", one[call], one, 1)
      end
      raises("commit what is reserved first", one.finish, one)
    end
    raises("nothing is reserved by this thread$", d.commit, d)
    assert.is_true(c:commit())
    c:send "2"
    c:peek()
    for _, one in ipairs { c, d } do
      for _, call in ipairs { "peek", "receive", "receive_all" } do
        raises(what .. ": release what is peeked at first$", one[call], one)
      end
    end
    raises("nothing is peeked at by this thread$", d.release, d)
    assert.is_true(d:send "3") -- the other end is free
    assert.is_true(c:release())
    assert.same({ "2", "3" }, d:receive_all())
    raises("nothing is reserved", c.commit, c)
    raises("nothing is peeked at", c.release, c)
  end)

  it("keeps others of its end waiting until it is committed or released", function()
    c:reserve(1)[1] = 66
    local peer = peers.waiting(name, "local c = a:channel('c', 1024) say 'waits' say(c:send('second', 20))")
    local trying = peers.start(name, "print(select(3, a:channel('c', 1024):send('third', 0)))")
    assert.equal("EAGAIN\n", peers.finish(trying))
    c:commit()
    assert.equal("true", peer:line())
    peers.finish(peer)
    c:peek()
    peer = peers.waiting(name, "local c = a:channel('c', 1024) say 'waits' say(c:receive(20))")
    c:release()
    assert.equal("second", peer:line())
    peers.finish(peer)
  end)

  it("is given up when the arena is closed, and its views raise", function()
    local other = assert(shm.arena(name))
    local d = other:channel("c", 1024)
    c:send "stays"
    local reserved, peeked = d:reserve(4, "u16"), d:peek()
    other:close()
    for _, view in ipairs { reserved, peeked } do
      raises("is detached", function() return view[1] end)
      raises("is detached", function() view[1] = 1 end)
    end
    assert.is_true(c:send "more")
    assert.same({ "stays", "more" }, c:receive_all())
    for _, call in ipairs { "receive", "release", "commit", "stat", "fd", "finish" } do
      raises("closed", d[call], d)
    end
    assert.equal('channel "c" (closed)', tostring(d))
  end)

  it("is the parent's after fork", function()
    c:send "1"
    local reserved = c:reserve(1)
    reserved[1] = 65
    c:peek()
    assert.equal(0, lowlevel.child(function()
      assert(not pcall(c.commit, c) and not pcall(c.release, c))
      assert(select(3, c:send("child", 0)) == "EAGAIN" and select(3, c:receive(0)) == "EAGAIN")
      arena:close()
      return not pcall(function() return reserved[1] end)
    end))
    assert.is_true(c:release() and c:commit())
    assert.equal("A", c:receive(0))
    assert.equal(0, lowlevel.child(function() return c:send "from the child" end))
    assert.equal("from the child", c:receive(1))
  end)
end)

describe("an end of one's own", function()
  local function claim(ends)
    return peers.hold(name, ("local c = a:channel('c', 1024, { exclusive = %q }) say(c) hear()"):format(ends))
  end

  it("is refused to others, who are told whose it is", function()
    for _, ends in ipairs { "producer", "consumer", "both" } do
      local peer = claim(ends)
      local who = ": process %d has %s for itself$"
      for _, wanted in ipairs { "producer", "consumer", "both" } do
        local clash = ends == "both" or wanted == "both" or ends == wanted
        local other <close> = assert(shm.arena(name))
        local d, message, code = other:channel("c", 1024, { exclusive = wanted })
        if clash then
          refused(what .. (" is held: process %d holds it$"):format(peer.pid), "EBUSY", d, message, code)
        else
          assert.is_truthy(d)
        end
      end
      if ends ~= "consumer" then
        for _, call in ipairs { "send", "reserve" } do
          refused(who:format(peer.pid, "sending"), "EBUSY", c[call](c, 1))
        end
        refused(who:format(peer.pid, "sending"), "EBUSY", c:finish())
      end
      if ends ~= "producer" then
        for _, call in ipairs { "receive", "receive_all", "peek" } do
          refused(who:format(peer.pid, "receiving"), "EBUSY", c[call](c))
        end
        raises("has receiving for itself", (c:messages()), c)
      end
      peers.tell(peer)
      peers.finish(peer)
      assert.is_true(c:send(1, 1) and c:receive(1) == 1) -- free again
    end
  end)

  it("is taken over when its owner was killed, and given up with the arena", function()
    local peer = claim "both"
    peers.kill(peer)
    local mine = assert(arena:channel("c", 1024, { exclusive = "both" }))
    assert.equal(c, mine)
    assert.is_true(mine:send(1) and mine:receive() == 1)
    assert.is_truthy(arena:channel("c", 1024, { exclusive = "both" })) -- again
    local other <close> = assert(shm.arena(name))
    refused("process " .. pid .. " has sending for itself", "EBUSY", other:channel("c", 1024):send(1))
    assert.equal(0, lowlevel.child(function() return select(3, c:send(1, 5)) == "EBUSY" end))
    arena:close()
    assert.is_true(other:channel("c", 1024, { exclusive = "both" }):send(2))
  end)

  it("stays its owner's through reserving and peeking", function()
    local mine = assert(arena:channel("c", 1024, { exclusive = "both" }))
    mine:reserve(1)
    mine:commit()
    mine:peek()
    mine:release()
    local other <close> = assert(shm.arena(name))
    refused("sending for itself", "EBUSY", other:channel("c", 1024):send(1))
    refused("receiving for itself", "EBUSY", other:channel("c", 1024):receive(0))
  end)
end)
