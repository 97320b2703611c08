-- queue_death_spec.lua: channels under load, deaths, signals, removal and event loops: each message once, in order.
local shm = require "shm"
local lowlevel = require "lowlevel"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local uv = require "luv"

local name = "/shm_spec_queue"
local seed = tonumber(os.getenv "SHM_SEED") or os.time()

local arena, c
before_each(function()
  arena = assert(shm.arena(name, "1M", { owned = true }))
  c = assert(arena:channel("c", 1024))
end)
after_each(function() arena:close() end)

local opening = "local c = a:channel('c', 1024) "

local function pause(seconds)
  local late = uv.hrtime() + seconds * 1e9
  process.await(function() return uv.hrtime() > late end)
end

-- A producer of n messages "who i xxx", by every way to send, with timeouts mixed in.
local producer = opening .. [[
  local who, n = %d, %d
  math.randomseed(%d + who)
  local limit, i = c:stat().limit, 0
  local function text()
    i = i + 1
    local head = ("%%d %%d "):format(who, i)
    return head .. ("x"):rep(math.random(8) == 1 and limit - #head or math.random(0, 60))
  end
  local function again(value) return select(3, value) end
  while i < n do
    local how = math.random(3)
    if how == 1 then
      local message, timeout = text(), ({ 0, 0.001, 5 })[math.random(3)]
      while true do
        local done, _, code = c:send(message, timeout)
        if done then break end
        assert(code == "EAGAIN" or code == "ETIMEDOUT", code)
        timeout = 5
      end
    elseif how == 2 then
      local list = {}
      for k = 1, math.min(math.random(0, 5), n - i) do list[k] = text() end
      while #list > 0 do
        local done, _, code, sent = c:send_all(list, ({ 0, 0.001, 5 })[math.random(3)])
        if done then break end
        assert(code == "EAGAIN" or code == "ETIMEDOUT", code)
        list = table.move(list, sent + 1, #list, 1, {})
      end
    else
      local message = text()
      local v, _, code
      repeat
        v, _, code = c:reserve(limit, "u8", ({ 0, 0.001, 5 })[math.random(3)])
        assert(v or code == "EAGAIN" or code == "ETIMEDOUT", code)
      until v
      for k = 1, #message do v[k] = message:byte(k) end
      c:commit(#message)
    end
  end]]

-- A consumer by every way to receive: prints "who i" of each.
local consumer = opening .. [[
  math.randomseed(%d)
  local out = {}
  local function got(text) out[#out + 1] = assert(text:match "^(%%d+ %%d+) x*$") end
  while true do
    local how, timeout = math.random(3), ({ 0, 0.001, 5 })[math.random(3)]
    local value, format, code
    if how == 1 then
      value, format, code = c:receive(timeout)
      if value then got(value) end
    elseif how == 2 then
      value, format, code = c:receive_all(math.random(5), timeout)
      for _, text in ipairs(value or {}) do got(text) end
    else
      value, format, code = c:peek(nil, timeout)
      if value then
        assert(format == "string")
        got(string.char(value:get(1, #value)))
        c:release()
      end
    end
    if code == "EPIPE" then break end
    assert(value or code == "EAGAIN" or code == "ETIMEDOUT", code)
  end
  print(table.concat(out, "\n"))]]

describe("messages", function()
  for _, case in ipairs { { 1, 1, 3000 }, { 1, 8, 2000 }, { 8, 1, 400 }, { 4, 4, 800 } } do
    it(("are received once, in the order of their producer: %d to %d"):format(case[1], case[2]), function()
      local about = "SHM_SEED=" .. seed
      local producers, consumers, count = {}, {}, 0
      for i = 1, case[2] do consumers[i] = peers.start(name, consumer:format(seed + i)) end
      for i = 1, case[1] do producers[i] = peers.start(name, producer:format(i, case[3], seed)) end
      for _, peer in ipairs(producers) do assert.equal("", peers.finish(peer), about) end
      assert.is_true(c:finish())
      local seen = {}
      for _, peer in ipairs(consumers) do
        local last = {}
        for who, i in peers.finish(peer):gmatch "(%d+) (%d+)\n" do
          i = tonumber(i)
          assert.is_true(i > (last[who] or 0), about)
          last[who] = i
          assert.is_nil(seen[who .. " " .. i], about)
          seen[who .. " " .. i] = true
          count = count + 1
        end
      end
      assert.equal(case[1] * case[3], count, about)
      local stat = c:stat()
      assert.same({ count, count, 0 }, { stat.sent, stat.received, stat.used })
    end)
  end
end)

describe("who is killed", function()
  it("between reserve and commit sends nothing, and holds up nobody for a second", function()
    for _ = 1, 3 do
      local peer = peers.hold(name, opening .. "c:reserve(100):fill(65) say 'reserved' hear()")
      local waiter = peers.waiting(name, opening .. "say 'waits' say(c:send('sent', 20))")
      local killed = uv.hrtime()
      peer:kill "sigkill"
      assert.equal("true", waiter:line(5))
      assert.is_true((uv.hrtime() - killed) / 1e9 < 1)
      peer:wait()
      peers.finish(waiter)
      assert.same({ "sent" }, c:receive_all())
      peers.kill(peers.hold(name, opening .. "c:reserve(100) say 'reserved' hear()"))
      local seconds, sent = peers.timed(c.send, c, "mine", 10)
      assert.is_true(sent and seconds < 1)
      assert.equal("mine", c:receive(0))
    end
  end)

  it("between peek and release leaves the message, and holds up nobody for a second", function()
    for _ = 1, 3 do
      c:send "first"
      c:send "second"
      local peer = peers.hold(name, opening .. "c:peek() say 'peeks' hear()")
      local waiter = peers.waiting(name, opening .. "say 'waits' say(c:receive(20))")
      local killed = uv.hrtime()
      peer:kill "sigkill"
      assert.equal("first", waiter:line(5))
      assert.is_true((uv.hrtime() - killed) / 1e9 < 1)
      peer:wait()
      peers.finish(waiter)
      peers.kill(peers.hold(name, opening .. "c:peek() say 'peeks' hear()"))
      local seconds, value = peers.timed(c.receive, c, 10)
      assert.equal("second", value)
      assert.is_true(seconds < 1)
    end
  end)

  it("while it has an end for itself, or waits, is in nobody's way", function()
    local sleepers = {}
    for i = 1, 3 do sleepers[i] = peers.waiting(name, opening .. "say 'waits' c:receive()") end
    local alive = peers.waiting(name, opening .. "say 'waits' say(c:receive(20))")
    for i = 1, 3 do peers.kill(sleepers[i]) end
    c:send "one"
    assert.equal("one", alive:line(5))
    peers.finish(alive)
    peers.kill(peers.hold(name, "a:channel('c', 1024, { exclusive = 'both' }) say 'has both' hear()"))
    local seconds = peers.timed(function()
      assert.is_true(c:send("two", 5))
      assert.equal("two", c:receive(5))
    end)
    assert.is_true(seconds < 1)
  end)

  it("at any instant loses and doubles nothing that others sent", function()
    for round = 1, 6 do
      local victims = {}
      for i = 1, 2 do
        victims[i] = peers.hold(name, opening .. [[say "works"
          while true do c:send("victim", 0.01) c:reserve(50, "u8", 0.01) pcall(c.commit, c, 10) end]])
      end
      local peer = peers.start(name, opening .. "for i = 1, 1000 do assert(c:send(i, 20)) end")
      local next_one, killed = 1, false
      local victim_deadline = uv.hrtime() + round * 2e6
      while next_one <= 1000 do
        local value, message = c:receive(10)
        assert.is_truthy(value, message)
        if math.type(value) == "integer" then
          assert.equal(next_one, value)
          next_one = next_one + 1
        else
          assert.is_true(value == "victim" or #value == 10)
        end
        if not killed and uv.hrtime() > victim_deadline then
          for i = 1, 2 do victims[i]:kill "sigkill" end
          killed = true
        end
      end
      for i = 1, 2 do peers.kill(victims[i]) end
      peers.finish(peer)
      repeat until not c:receive(0)
    end
  end)
end)

describe("who waits", function()
  local waits = { receive = "c:receive()", receive_all = "c:receive_all()", peek = "c:peek()",
    messages = "(c:messages())(c)", send = "c:send 'x'", send_all = "c:send_all { 'x' }", reserve = "c:reserve(1)" }

  for call, chunk in pairs(waits) do
    it("is interrupted by Ctrl-C, told of a removal, and costs no time: " .. call, function()
      if call:find "^send" or call == "reserve" then repeat until not c:send("x", 0) end
      local peer = peers.waiting(name, opening .. ([[say "waits"
        say(pcall(function() return %s end))
        local before = os.clock()
        say(pcall(function() return %s end))
        say(os.clock() - before < 0.05)]]):format(chunk, chunk))
      peer:kill "sigint"
      assert.matches("^false\t.*interrupted!$", peer:line(5))
      peers.sleeps(peer)
      pause(0.1)
      arena:remove "c"
      local line = peer:line(2)
      assert.matches('channel "c" of arena "/shm_spec_queue" was removed', line)
      assert.matches(call == "messages" and "^false" or "EIDRM", line)
      assert.equal("true", peer:line(2))
      peers.finish(peer)
      for _, method in ipairs { "send", "receive", "finish", "stat", "fd", "peek", "commit", "release" } do
        assert.equal("EIDRM", (select(3, c[method](c, method == "send" and 1 or nil))))
      end
    end)
  end
end)

-- Runs the loop until the descriptor has been readable, or the time is over.
local function is_readable(fd, seconds)
  local poll, readable = uv.new_poll(fd), false
  poll:start("r", function() readable = true end)
  process.await(function() return readable end, seconds)
  poll:close()
  uv.run "nowait"
  return readable
end

describe("a descriptor", function()
  it("is readable while there is something, for luv", function()
    local fd = assert(c:fd())
    assert.equal(fd, c:fd())
    for _ = 1, 20 do
      assert.is_true(process.await(function() -- perhaps once for nothing
        c:receive(0)
        return not is_readable(fd, 0.01)
      end, 5))
      local peer = peers.start(name, opening .. "c:send 'x'")
      assert.is_true(is_readable(fd, 5))
      assert.is_true(is_readable(fd, 5)) -- still
      peers.finish(peer)
      assert.equal("x", c:receive(0))
    end
    c:finish()
    assert.is_true(is_readable(fd, 5))
  end)

  it("survives the death of the other side, and closes with the arena", function()
    local fd = assert(c:fd())
    for _ = 1, 3 do
      peers.kill(peers.hold(name, opening .. "c:send 'last words' c:reserve(1) say 'sent' hear()"))
      assert.is_true(is_readable(fd, 5))
      assert.equal("last words", c:receive(0))
      assert.equal("EAGAIN", (select(3, c:receive(0))))
    end
    assert.is_string(uv.fs_readlink("/proc/self/fd/" .. fd))
    arena:close()
    assert.is_nil((uv.fs_readlink("/proc/self/fd/" .. fd)))
    assert.is_false(pcall(c.fd, c))
  end)

  it("is another in a forked child", function()
    local fd = assert(c:fd())
    assert.equal(0, lowlevel.child(function()
      local own = assert(c:fd())
      c:send "to the child"
      local deadline = uv.hrtime() + 5e9
      local poll, readable = uv.new_poll(own), false
      poll:start("r", function() readable = true end)
      while not readable and uv.hrtime() < deadline do uv.run "nowait" end
      return readable and c:receive(0) == "to the child"
    end))
    c:receive(0)
    c:send "to the parent"
    assert.is_true(is_readable(fd, 5))
    assert.equal("to the parent", c:receive(0))
  end)

  it("serves a loop in which every message of several producers comes", function()
    local producers, count = {}, 0
    local fd = assert(c:fd())
    for i = 1, 3 do
      producers[i] = peers.start(name, opening .. "for i = 1, 2000 do assert(c:send(i, 20)) end")
    end
    local poll = uv.new_poll(fd)
    poll:start("r", function()
      while c:receive(0) do count = count + 1 end
    end)
    local all = process.await(function() return count == 6000 end, 20)
    poll:close()
    uv.run "nowait"
    assert.is_true(all, "only " .. count)
    for _, peer in ipairs(producers) do peers.finish(peer) end
  end)

  it("serves cqueues", function()
    local peer = peers.start(name, opening .. [[
      local cqueues = require "cqueues"
      local fd, got = assert(c:fd()), 0
      local loop = cqueues.new()
      loop:wrap(function()
        while true do
          local value, _, code = c:receive(0)
          if value then got = got + value end
          if code == "EPIPE" then break end
          if code == "EAGAIN" then cqueues.poll({ pollfd = fd, events = "r" }, 10) end
        end
      end)
      assert(loop:loop())
      print(got)]])
    for i = 1, 1000 do assert(c:send(i, 20)) end
    c:finish()
    assert.equal("500500\n", peers.finish(peer))
  end)
end)

describe("a C host of libshmx", function()
  local function host(...)
    return process.start(process.build .. "/spec/host_channel", { name, ... })
  end

  it("sends to Lua and receives from it, through a channel", function()
    arena:remove "c"
    c = arena:channel("c", 4096)
    local n, peer = 0, host("send", "20000")
    for value in c:messages() do
      n = n + 1
      assert.equal(tostring(n), value)
    end
    assert.equal("20000 0\n", peers.finish(peer))
    assert.equal(20000, n)
    arena:remove "c"
    c = arena:channel("c", 4096)
    peer = host("receive", "0")
    for i = 1, 20000 do assert(c:send(tostring(i), 20)) end
    c:finish()
    assert.equal("20000 0\n", peers.finish(peer))
  end)

  it("publishes to Lua and subscribes from it, through a topic", function()
    local t = arena:topic("t", 4096)
    local s = t:subscribe()
    local peer = host("publish", "20000")
    local received, lost = 0, 0
    for value, more in s:messages() do
      received, lost = received + 1, lost + more
      assert.equal(tostring(received + lost), value)
    end
    assert.equal(20000, received + lost)
    peers.finish(peer)
    arena:remove "t"
    t = arena:topic("t", 4096)
    peer = host("subscribe", "0")
    assert.equal("subscribed", peer:line())
    for i = 1, 20000 do t:publish(tostring(i)) end
    t:finish()
    received, lost = peers.finish(peer):match "^(%d+) (%d+)\n$"
    assert.equal(20000, received + lost)
  end)
end)
