-- waiting_spec.lua: whatever waits: Ctrl-C and other signals, how soon it wakes, what it costs.
local shm = require "shm"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_waiting"
local uv = require "luv"

local arena, m
before_each(function()
  arena = assert(shm.arena(name, "64K", { owned = true }))
  m = assert(arena:mutex "m")
end)
after_each(function() arena:close() end)

-- Is it free, as another process sees it?
local function is_free(one)
  local peer = peers.start(name, ("local m = a:mutex(%q) print(m:trylock() and m:unlock())"):format(one or "m"))
  return peers.finish(peer) == "true\n"
end

describe("Ctrl-C", function()
  it("is served also if it comes while who waits is not asleep", function()
    -- The hook is set, as lua5.4 does after a signal, and no system call is interrupted.
    local calls = {
      "m:lock()", "m:guard()", "m:with(print)", "w:read()", "w:write()", "r:write()", "s:acquire()", "b:wait()",
      "c:wait(mine)", "v:wait(1, 0)",
    }
    local holder = peers.hold(name, [[
      local keep = { a:rwlock("w"):write(), a:rwlock("r"):read() }
      a:mutex("m"):lock() a:semaphore("s", 1):acquire() say "holds" hear()]])
    local waiters = {}
    for i, call in ipairs(calls) do
      waiters[i] = peers.start(name, ([[
        local m, w, r, s, b, c, v = a:mutex "m", a:rwlock "w", a:rwlock "r", a:semaphore("s", 1), a:barrier("b", 9),
          a:condition "c", a:array("v", "u32", 1)
        local mine = a:mutex "mine%d"
        mine:lock()
        local calls = 0
        local done, message = pcall(function()
          debug.sethook(function()
            if debug.getinfo(2, "f").func ~= print then calls = calls + 1 end
            if calls > 6 then debug.sethook() error "by the hook" end
          end, "c")
          %s
        end)
        debug.sethook()
        print(done, message:match "by the hook$")
        print((select(2, pcall(mine.lock, mine)):match "is held by this thread"))]]):format(i, call))
    end
    for _, waiter in ipairs(waiters) do
      assert.equal("false\tby the hook\nis held by this thread\n", peers.finish(waiter))
    end
    assert.equal(0, arena:barrier("b", 9):waiting())
    peers.tell(holder)
    peers.finish(holder)
  end)

  -- What a process says that is interrupted in a call, and what it can do after that.
  local function interrupted(call, afterwards)
    local peer = peers.waiting(name, ([[
      local m = a:mutex "m"
      say "waits"
      say(pcall(function() return %s end))
      hear()
      %s]]):format(call, afterwards))
    peer:kill "sigint"
    local said = peer:line()
    assert.matches("^false\t.*interrupted!$", said)
    return peer
  end

  it("raises in lock, guard and with, after which the mutex can be locked", function()
    for _, call in ipairs { "m:lock()", "m:lock(20)", "m:guard()", "m:with(print)" } do
      m:lock()
      local peer = interrupted(call, "say(m:trylock()) say(m:lock(0)) hear() say(m:lock(10), m:unlock())")
      peers.tell(peer)
      assert.matches("^nil\t.*holds it\tEBUSY$", peer:line())
      assert.matches("^nil\t.*holds it\tETIMEDOUT$", peer:line())
      m:unlock()
      peers.tell(peer)
      assert.equal("true\ttrue", peer:line())
      peers.finish(peer)
      assert.is_true(is_free())
    end
  end)

  it("raises in a wait for a condition only when the mutex is locked again", function()
    for _, held in ipairs { false, true } do
      local peer = peers.hold(name, [[
        local m, c = a:mutex "m", a:condition "c"
        m:lock()
        say "waits"
        say(pcall(c.wait, c, m))
        say(select(2, pcall(m.lock, m)))
        hear()
        say(m:unlock())]])
      peers.sleeps(peer)
      if held then
        assert.is_true(m:lock(10))
        arena:condition("c"):notify()
        assert.is_false(process.await(function() return peer.out ~= "" end, 0.1)) -- it waits for the mutex now
        peer:kill "sigint"
        assert.is_false(process.await(function() return peer.out ~= "" end, 0.1))
        m:unlock()
      else
        peer:kill "sigint"
      end
      assert.matches("^false\t.*interrupted!$", peer:line())
      assert.matches("is held by this thread", peer:line())
      assert.matches(("process %d holds it"):format(peer.pid), select(2, m:trylock()))
      peers.tell(peer)
      assert.equal("true", peer:line())
      peers.finish(peer)
    end
  end)
end)

describe("who waits", function()
  -- The middle of the times from giving something up to having it; who looks now and then needs longer.
  for what, step in pairs {
    mutex = { "a:mutex('m'):lock()", "a:mutex('m'):unlock()" },
    reader = { "g = a:rwlock('rw'):read()", "g:unlock()", "g = a:rwlock('rw'):write()" },
    writer = { "g = a:rwlock('rw'):write()", "g:unlock()", "g = a:rwlock('rw'):read()" },
    semaphore = { "a:semaphore('s', 2):acquire(2, nil)", "a:semaphore('s', 2):release(2)" },
    barrier = { "a:barrier('b', 2):wait()", "", "", "a:barrier('b', 2):wait()" },
    notify = { "m:lock() c:wait(m) m:unlock()", "", "", "c:notify()" },
    notify_all = { "m:lock() c:wait(m) m:unlock()", "", "", "c:notify_all()", 3 },
  } do
    it("has it at once: " .. what, function()
      local giver = peers.start(name, ([[
        local c, g = a:condition "c"
        while true do
          %s say "holds" hear()
          %s say "gave"
          hear()
        end]]):format(step[3] or step[1], step[4] or step[2]))
      local takers, times = {}, {}
      for i = 1, step[5] or 1 do
        takers[i] = peers.start(name, ([[
          local m, c, g = a:mutex "m", a:condition "c"
          while hear() do say "waits" %s say "has it" hear() %s say "gave" end]]):format(step[1], step[2]))
      end
      for round = 1, 9 do
        assert.equal("holds", giver:line())
        for _, taker in ipairs(takers) do
          peers.tell(taker)
          assert.equal("waits", taker:line())
          peers.sleeps_on(peers.sleeps(taker))
        end
        local started = uv.hrtime()
        peers.tell(giver)
        for _, taker in ipairs(takers) do assert.equal("has it", taker:line()) end
        times[round] = (uv.hrtime() - started) / 1e9
        assert.equal("gave", giver:line())
        for _, taker in ipairs(takers) do
          peers.tell(taker)
          assert.equal("gave", taker:line())
        end
        peers.tell(giver)
      end
      for _, taker in ipairs(takers) do peers.finish(taker) end
      peers.kill(giver)
      assert.is_true(peers.median(times) < 0.02)
    end)
  end

  it("takes no time of the processor", function()
    local holder = peers.hold(name, [[
      local keep = { a:rwlock("w"):write(), a:rwlock("r"):read() }
      a:mutex("m"):lock() a:semaphore("s", 1):acquire() say "holds" hear()]])
    local waiters = {}
    for i, call in ipairs { "m:lock(1)", "m:guard(1)", "w:read(1)", "w:write(1)", "r:write(1)", "s:acquire(1, 1)",
      "b:wait(1)", "c:wait(mine, 1)" } do
      waiters[i] = peers.start(name, ([[
        local m, w, r, s, b, c = a:mutex "m", a:rwlock "w", a:rwlock "r", a:semaphore("s", 1), a:barrier("b", 9),
          a:condition "c"
        local mine = a:mutex "mine%d"
        mine:lock()
        local before = os.clock()
        local done, message, code = %s
        print(done, code, os.clock() - before)]]):format(i, call))
    end
    for _, waiter in ipairs(waiters) do
      local done, code, seconds = peers.finish(waiter):match "^(%S+)\t(%S+)\t(%S+)"
      assert.same({ "nil", "ETIMEDOUT" }, { done, code })
      assert.is_true(tonumber(seconds) < 0.01, seconds)
    end
    peers.tell(holder)
    peers.finish(holder)
  end)

  it("keeps its deadline whatever signals come, and runs the script's hook at each", function()
    m:lock()
    local peer = peers.hold(name, [[
      local uv = require "luv"
      uv.new_signal():start("sigusr1", function() end)
      local m, started = a:mutex "m", uv.hrtime()
      say "waits"
      local done, message, code = m:lock(0.4)
      print(code, (uv.hrtime() - started) / 1e9 >= 0.4)
      io.stdout:flush() os.exit(0)]])
    process.await(function() peer:kill "sigusr1" return peer.code end)
    assert.equal("ETIMEDOUT\ttrue\n", peers.finish(peer))
  end)
end)

describe("a negative timeout", function()
  it("counts as 0", function()
    local holder = peers.hold(name, [[
      local keep = { a:rwlock("w"):write() }
      a:mutex("m"):lock() a:semaphore("s", 1):acquire() say "holds" hear()]])
    local mine = assert(arena:mutex "mine")
    assert(mine:lock())
    local channel, topic, service = arena:channel("ch", 256), arena:topic("t", 256), arena:service("sv", 64)
    local view, subscription = arena:array("v", "i32", 1), topic:subscribe()
    for _, timeout in ipairs { 0, -0.1, -1, -1 / 0 } do
      local function refused(code, ...) assert.same({ nil, code }, { (...), (select(3, ...)) }) end
      refused("ETIMEDOUT", m:lock(timeout))
      refused("ETIMEDOUT", arena:rwlock("w"):read(timeout))
      refused("ETIMEDOUT", arena:semaphore("s", 1):acquire(1, timeout))
      refused("ETIMEDOUT", arena:barrier("b", 2):wait(timeout))
      refused("ETIMEDOUT", arena:condition("c"):wait(mine, timeout))
      refused("EAGAIN", channel:receive(timeout))
      refused("EAGAIN", subscription:receive(timeout))
      refused("ETIMEDOUT", service:call("x", timeout))
      assert.equal("timed-out", view:wait(1, 0, timeout))
    end
    peers.tell(holder)
    peers.finish(holder)
  end)
end)
