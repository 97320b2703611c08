-- topic_spec.lua: topics between processes: publishing, subscribing, what is lost, deaths, finishing, removal.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_topic"
local what = '^topic "t" of arena "/shm_spec_topic"'

local raises, refused = outcome.raises, outcome.refused

local arena, t
before_each(function()
  arena = assert(shm.arena(name, "1M", { owned = true }))
  t = assert(arena:topic("t", 1024))
end)
after_each(function() arena:close() end)

-- Receives all that is there: the values, and how many were lost.
local function drain(s)
  local values, lost = {}, 0
  while true do
    local value, more, code = s:receive(0)
    if value == nil then
      assert.is_true(code == "EAGAIN" or code == "EPIPE", code)
      return values, lost, code
    end
    values[#values + 1], lost = value, lost + more
  end
end

describe("a topic", function()
  it("is found or made, and says how it stands", function()
    assert.equal('topic "t" of arena "/shm_spec_topic"', tostring(t))
    assert.equal(t, arena:topic("t", "1K"))
    refused('^topic "t" has 1024 bytes, 2048 were asked for$', "EPROTOTYPE", arena:topic("t", 2048))
    refused('^"t" is a topic, not a channel$', "EPROTOTYPE", arena:channel("t", 1024))
    refused("needs 4%d+ bytes; the largest free extent", "ENOSPC", arena:topic("large", "4M"))
    raises("a topic has at most 2G", arena.topic, arena, "x", "3G")
    raises("bad argument", arena.topic, arena, "x")
    assert.same({ capacity = 1024, limit = 496, used = 0, published = 0, finished = false }, t:stat())
    t:publish "x"
    t:publish { 1 }
    assert.same({ capacity = 1024, limit = 496, used = 64, published = 2, finished = false }, t:stat())
    assert.equal("topic", arena:objects()[1].kind)
  end)

  it("sends all to all who have subscribed, from the latest or the oldest", function()
    t:publish "before"
    local latest, oldest, default = t:subscribe { from = "latest" }, t:subscribe { from = "oldest" }, t:subscribe()
    assert.equal('subscription of topic "t" of arena "/shm_spec_topic"', tostring(latest))
    assert.same({ true }, { t:publish { 1, "two" } })
    assert.same({ "before", 0 }, { oldest:receive(0) })
    for _, s in ipairs { latest, oldest, default } do
      assert.same({ { 1, "two" }, 0 }, { s:receive() })
      refused(what .. " has no new message$", "EAGAIN", s:receive(0))
      refused(what .. " has no new message$", "EAGAIN", s:receive(-1))
      local seconds, none, message, code = peers.timed(s.receive, s, 0.05)
      refused("has no new message", "ETIMEDOUT", none, message, code)
      assert.is_true(seconds >= 0.05 and seconds < 2)
    end
  end)

  it("carries what is as large as its limit, and raises beyond", function()
    local s = t:subscribe()
    for size = 0, t:stat().limit do
      local text = string.char(size % 256):rep(size)
      assert.is_true(t:publish(text))
      assert.same({ text, 0 }, { s:receive(0) })
    end
    raises("is too large for topic \"t\" of arena .*: it takes 496 bytes at most$", t.publish, t, ("x"):rep(497))
    local endless = {}
    for _ = 1, 100 do endless = { endless, endless } end
    raises("is too large", t.publish, t, endless)
    refused("no new", "EAGAIN", s:receive(0))
  end)

  it("loses the oldest for who is slow, who is told exactly how many", function()
    for _, length in ipairs { 0, 1, 16, 17, 100, 200, 496 } do
      arena:remove "t"
      t = arena:topic("t", 1024)
      local s, late = t:subscribe(), nil
      for i = 1, 100 do
        t:publish(("%04d"):format(i) .. ("x"):rep(math.min(length, 492)))
        if i == 50 then late = t:subscribe { from = "oldest" } end
      end
      local values, lost = drain(s)
      assert.equal(100, #values + lost)
      assert.equal(100 - #values + 1, tonumber(values[1]:sub(1, 4)))
      assert.equal(100, tonumber(values[#values]:sub(1, 4)))
      local again, lost_late = drain(late)
      assert.is_true(lost_late + #again > 50 and lost_late + #again <= 100) -- and what was there before
      assert.equal(#values, #again)
      assert.same(values, (drain(t:subscribe { from = "oldest" })))
      assert.is_true(t:stat().used <= 1024 and #values * 16 <= 1024)
    end
  end)

  it("keeps what fits, whatever the sizes", function()
    local seed = tonumber(os.getenv "SHM_SEED") or os.time()
    math.randomseed(seed)
    local s, received, lost, serial = t:subscribe(), 0, 0, 0
    for i = 1, 3000 do
      t:publish(("%d "):format(i) .. ("z"):rep(math.random(0, 400)))
      if math.random(4) == 1 then
        local value, more = s:receive(0)
        if value then
          received, lost, serial = received + 1, lost + more, serial + more + 1
          assert.equal(serial, tonumber(value:match "^%d+"), "SHM_SEED=" .. seed)
        end
      end
    end
    local rest, more = drain(s)
    assert.equal(3000, received + lost + #rest + more, "SHM_SEED=" .. seed)
  end)

  it("is finished: what is there is received, and nothing more is published", function()
    local s = t:subscribe()
    t:publish(1)
    t:publish(2)
    assert.same({ true }, { t:finish() })
    assert.same({ true }, { t:finish() })
    assert.is_true(t:stat().finished)
    refused(what .. ' is finished; to begin anew, a:remove%("t"%) and open it again$', "EPIPE", t:publish(3))
    local got = {}
    for value, lost in s:messages() do got[#got + 1] = { value, lost } end
    assert.same({ { 1, 0 }, { 2, 0 } }, got)
    refused(what .. ' is finished; to begin anew, a:remove%("t"%) and open it again$', "EPIPE", s:receive())
    assert.same({ 1, 2 }, (drain(t:subscribe { from = "oldest" })))
    refused("is finished", "EPIPE", t:subscribe():receive())
  end)

  it("tells at its end how many were lost behind the last message", function()
    local bytes <close> = assert(shm.attach(name))
    local words, s = bytes:view("u64", 0, #bytes // 8), t:subscribe()
    for i = 1, 3 do t:publish(i) end
    assert.same({ 1, 0 }, { s:receive(0) })
    for i = 9, #words - 8 do -- how many were published; the tail, the floor: that comes to the tail
      if words[i - 7] == 3 and words[i] == 96 and words[i + 8] == 0 then words[i + 8] = words[i] end
    end
    refused("has no new message", "EAGAIN", s:receive(0))
    t:finish()
    assert.is_nil((s:messages())(s))
    for _ = 1, 2 do
      local none, message, code, lost = s:receive()
      refused("is finished", "EPIPE", none, message, code)
      assert.equal(2, lost)
    end
    assert.equal(0, (select(4, t:subscribe():receive())))
  end)

  it("refuses wrong receivers, arguments and options", function()
    local s = t:subscribe()
    for _, call in ipairs { "publish", "subscribe", "finish", "stat" } do raises("with a colon", t[call], s) end
    for _, call in ipairs { "receive", "messages" } do
      for _, bad in ipairs { t, arena, "x", lowlevel.userdata(64), io.stdout } do
        raises("shm.subscription %(methods are called with a colon%)", s[call], bad)
      end
    end
    raises("a timeout is a number", s.receive, s, 0 / 0)
    raises("number expected", s.receive, s, {})
    raises("unknown option 'form'; there are from, spin", t.subscribe, t, { form = "oldest" })
    raises('option from is one of "latest", "oldest", not "first"', t.subscribe, t, { from = "first" })
    raises("option spin", t.subscribe, t, { spin = -1 })
    raises("table expected", t.subscribe, t, "oldest")
    raises("value is nil", t.publish, t)
    assert.is_truthy(t:subscribe { spin = 0, from = "oldest" })
  end)
end)

describe("subscribers", function()
  it("in several processes receive all, in order, or are told how many they lost", function()
    local n, subscribers, publishers = 4000, {}, {}
    local large = arena:topic("large", "64K")
    for i = 1, 4 do
      subscribers[i] = peers.hold(name, [[
        local t, received, lost, last = a:topic("large", "64K"), 0, 0, {}
        local s = t:subscribe()
        say "subscribed"
        for value, more in s:messages() do
          received, lost = received + 1, lost + more
          assert(value[2] > (last[value[1] ] or 0), "the order of one publisher")
          assert(#value[3] == value[2] % 300 and not value[3]:find("[^a-z]"), "torn")
          last[value[1] ] = value[2]
        end
        print(received + lost)]])
    end
    for i = 1, 3 do
      publishers[i] = peers.start(name, ([[
        local t = a:topic("large", "64K")
        for n = 1, %d do t:publish { %d, n, ("%s"):rep(n %% 300) } end]]):format(n, i, ("abc"):sub(i, i)))
    end
    for _, peer in ipairs(publishers) do peers.finish(peer) end
    large:finish()
    for _, peer in ipairs(subscribers) do assert.equal(3 * n .. "\n", peers.finish(peer)) end
    assert.equal(3 * n, large:stat().published)
  end)

  it("that are stopped hold up no publisher, and go on", function()
    local peer = peers.hold(name, [[
      local s = a:topic("t", 1024):subscribe()
      say "subscribed"
      local received, lost = 0, 0
      for _, more in s:messages() do received, lost = received + 1, lost + more end
      print(received + lost)]])
    peers.stop(peer)
    local seconds = peers.timed(function()
      for i = 1, 10000 do t:publish(i) end
    end)
    assert.is_true(seconds < 2)
    t:finish()
    peer:kill "sigcont"
    assert.equal("10000\n", peers.finish(peer))
  end)

  it("that are killed are in nobody's way", function()
    for _ = 1, 3 do
      peers.kill(peers.waiting(name, "local s = a:topic('t', 1024):subscribe() say 'waits' s:receive()"))
      local peer = peers.waiting(name, "local s = a:topic('t', 1024):subscribe() say 'waits' say(s:receive(20))")
      assert.is_true(t:publish "here")
      assert.equal("here\t0", peer:line(5))
      peers.finish(peer)
    end
  end)

  it("cost no time while they wait, and wake at once", function()
    local peer = peers.waiting(name, [[
      local s = a:topic("t", 1024):subscribe()
      say "waits"
      local before = os.clock()
      say(s:receive(20)) say(os.clock() - before < 0.05)]])
    local ticks = require("luv").hrtime() + 3e8
    process.await(function() return require("luv").hrtime() > ticks end)
    t:publish "woken"
    assert.equal("woken\t0", peer:line(5))
    assert.equal("true", peer:line(5))
    peers.finish(peer)
  end)

  it("are interrupted by Ctrl-C, and told of a removal", function()
    local peer = peers.waiting(name, [[
      local s = a:topic("t", 1024):subscribe()
      say "waits" say(pcall(s.receive, s)) say(s:receive(20))
      say(pcall(function() for _ in s:messages() do end end)) say(s:receive(20))]])
    peer:kill "sigint"
    assert.matches("^false\t.*interrupted!$", peer:line(5))
    t:publish "after"
    assert.equal("after\t0", peer:line(5))
    peers.sleeps(peer)
    assert.is_true(arena:remove "t")
    assert.matches('^false\t.*topic "t" of arena "/shm_spec_topic" was removed', peer:line(5))
    assert.matches("^nil\t.*was removed.*\tEIDRM$", peer:line(5))
    peers.finish(peer)
    for _, call in ipairs { "publish", "finish", "stat", "subscribe" } do
      refused("was removed", "EIDRM", t[call](t, call == "publish" and 1 or nil))
    end
  end)

  it("raise when the arena is closed, and are both after fork", function()
    local s = t:subscribe()
    assert.equal(0, lowlevel.child(function()
      return t:publish "child" and s:receive(1) == "child"
    end))
    assert.same({ "child", 0 }, { s:receive(1) })
    arena:close()
    raises("is closed", s.receive, s, 0)
    raises("is closed", s:messages(), s)
    for _, call in ipairs { "publish", "finish", "stat", "subscribe" } do
      raises("is closed", t[call], t, call == "publish" and 1 or nil)
    end
    assert.matches("closed", tostring(t))
    assert.is_string(tostring(s))
  end)
end)

describe("a publisher that is killed", function()
  it("holds up nobody, and leaves messages that are whole", function()
    local s = t:subscribe()
    for round = 1, 10 do
      local peer = peers.hold(name, [[
        local t = a:topic("t", 1024)
        say "publishes"
        local i = 0
        while true do i = i + 1 t:publish(("%d "):format(i) .. ("p"):rep(i % 400)) end]])
      local late = require("luv").hrtime() + round * 1e6
      process.await(function() return require("luv").hrtime() > late end)
      peers.kill(peer)
      local seconds = peers.timed(function() assert.is_true(t:publish "mine") end)
      assert.is_true(seconds < 1)
      local values = drain(s)
      assert.equal("mine", values[#values])
      for i = 1, #values - 1 do
        local number, rest = values[i]:match "^(%d+) (p*)$"
        assert.equal(tonumber(number) % 400, #rest)
      end
    end
  end)
end)
