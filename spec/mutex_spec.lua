-- mutex_spec.lua: mutexes between processes: lock, trylock, unlock, guards, with, signals, two handles.
local shm = require "shm"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_mutex"
local pid = ("%d"):format(require("luv").os_getpid())

local function raises(pattern, call, ...)
  local done, message = pcall(call, ...)
  assert.is_false(done, "nothing was raised where '" .. pattern .. "' was to be")
  assert.matches(pattern, message)
end

local function refused(pattern, code, ...)
  local value, message, found = ...
  assert.is_nil(value)
  assert.matches(pattern, message)
  assert.equal(code, found)
end

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

describe("a mutex", function()
  it("is locked and unlocked, and says who has it", function()
    assert.same({ true }, { m:lock() })
    assert.is_false(is_free())
    raises('^mutex "m" of arena "/shm_spec_mutex" is held by this thread of process ' .. pid ..
      " already, which would wait for itself$", m.lock, m)
    raises("which would wait for itself", m.trylock, m)
    raises("which would wait for itself", m.lock, m, 0)
    raises("which would wait for itself", m.guard, m)
    assert.same({ true }, { m:unlock() })
    assert.is_true(is_free())
    raises('^mutex "m" of arena "/shm_spec_mutex" is not held by this thread: nobody holds it$', m.unlock, m)
    assert.same({ true }, { m:trylock() })
    assert.same({ true }, { m:unlock() })
    assert.is_false(m:ownerdead())
  end)

  it("of another process is refused in time, and the message names it", function()
    local peer = peers.hold(name, "local m = a:mutex 'm' m:lock() say 'holds' hear() say(m:unlock()) hear()")
    local who = ("%d"):format(peer.pid)
    refused('^mutex "m" of arena "/shm_spec_mutex" is held: process ' .. who .. " holds it$", "EBUSY", m:trylock())
    for _, timeout in ipairs { 0, -1, -1 / 0, 0.0, 1e-12, 0.02 } do
      refused('^mutex "m" of arena .* was not to be had in time: process ' .. who .. " holds it$", "ETIMEDOUT",
        m:lock(timeout))
      refused("process " .. who .. " holds it$", "ETIMEDOUT", m:guard(timeout))
    end
    raises("^mutex .* is not held by this thread: process " .. who .. " holds it$", m.unlock, m)
    for _, timeout in ipairs { 0.1, 0.3 } do
      local seconds = peers.timed(m.lock, m, timeout)
      assert.is_true(seconds >= timeout and seconds < timeout + 2)
    end
    assert.is_true(peers.timed(m.lock, m, -5) < 1)
    peers.tell(peer)
    assert.equal("true", peer:line())
    for _, timeout in ipairs { 1 / 0, 1e300, 1e18, math.maxinteger } do
      assert.is_true(m:lock(timeout))
      assert.is_true(m:unlock())
    end
    peers.tell(peer)
    peers.finish(peer)
  end)

  it("refuses what is no timeout", function()
    for _, method in ipairs { "lock", "guard" } do
      raises("a timeout is a number of seconds", m[method], m, 0 / 0)
      for _, bad in ipairs { "soon", {}, true, m } do raises("number expected", m[method], m, bad) end
    end
    assert.is_true(m:trylock("whatever"))
  end)

  it("is had at once by who waits when it is unlocked, by one of them after the other", function()
    m:lock()
    local waiters = {}
    for i = 1, 4 do
      waiters[i] = peers.waiting(name, [[
        local m, v = a:mutex "m", a:array("v", "u32", 1)
        say "waits" print(m:lock(), m:ownerdead()) v[1] = v[1] + 1 m:unlock()]])
    end
    assert.equal(0, arena:array("v", "u32", 1)[1])
    m:unlock()
    for _, waiter in ipairs(waiters) do assert.equal("true\tfalse\n", peers.finish(waiter)) end
    assert.equal(4, arena:array("v", "u32", 1)[1])
    assert.is_true(m:trylock())
  end)

  it("lets four processes count to an exact total", function()
    local workers = {}
    for i = 1, 4 do
      workers[i] = peers.start(name, [[
        local m, v = a:mutex "m", a:array("v", "u32", 1)
        for i = 1, 20000 do
          if i % 3 == 0 then m:lock() v[1] = v[1] + 1 m:unlock()
          elseif i % 3 == 1 then m:with(function() v[1] = v[1] + 1 end)
          else local g <close> = m:guard() v[1] = v[1] + 1 end
        end]])
    end
    for _, worker in ipairs(workers) do peers.finish(worker) end
    assert.equal(80000, arena:array("v", "u32", 1)[1])
  end)

  it("has one owner, whichever handle it is used through", function()
    local other <close> = assert(shm.arena(name))
    local n = other:mutex "m"
    assert.are_not.equal(m, n)
    assert.is_true(m:lock())
    raises("is held by this thread of process " .. pid, n.lock, n)
    raises("which would wait for itself", n.trylock, n)
    raises("which would wait for itself", n.with, n, print)
    assert.is_true(n:unlock())
    raises("nobody holds it", m.unlock, m)
    assert.is_true(n:trylock())
    assert.is_true(m:unlock())
  end)

  it("that was unlocked through another handle is not given up by the one that locked it", function()
    local other <close> = assert(shm.arena(name))
    local n = other:mutex "m"
    local third <close> = assert(shm.arena(name))
    assert.is_true(m:lock() and n:unlock() and n:lock())
    arena:close()
    raises("held by this thread", third:mutex("m").lock, third:mutex "m")
    assert.is_true(n:unlock())
    assert.same({ true }, { third:mutex("m"):lock() })
  end)
end)

describe("a guard", function()
  it("unlocks once, by its method, its block or its collection", function()
    local guard = assert(m:guard())
    assert.equal('guard of mutex "m" of arena "/shm_spec_mutex"', tostring(guard))
    assert.is_false(is_free())
    assert.same({ true }, { guard:unlock() })
    assert.equal("guard (unlocked)", tostring(guard))
    assert.is_true(is_free())
    assert.same({ false }, { guard:unlock() })
    do
      local block <close> = assert(m:guard(1)) -- luacheck: ignore
      assert.is_false(is_free())
    end
    assert.is_true(is_free())
    raises("on purpose", function()
      local block <close> = assert(m:guard()) -- luacheck: ignore
      error "on purpose"
    end)
    assert.is_true(is_free())
    guard = m:guard() -- luacheck: ignore
    guard = nil -- luacheck: ignore
    collectgarbage()
    assert.is_true(is_free())
  end)

  it("does not unlock what was locked since", function()
    local old = assert(m:guard())
    m:unlock()
    assert.is_true(m:lock())
    assert.is_false(old:unlock())
    assert.is_false(is_free())
    m:unlock()
    old = m:guard() -- luacheck: ignore
    m:unlock()
    local new = m:guard()
    old = nil -- luacheck: ignore
    collectgarbage()
    assert.is_false(is_free())
    assert.is_true(new:unlock())
    local first = m:guard()
    first:unlock()
    m:with(function()
      first:unlock()
      getmetatable(first).__gc(first)
      getmetatable(first).__close(first)
      assert.is_false(is_free())
    end)
    assert.is_true(is_free())
  end)

  it("still guards after a wait for a condition", function()
    local c = arena:condition "c"
    do
      local guard <close> = assert(m:guard()) -- luacheck: ignore
      refused('^condition "c" of arena .* was not notified in time$', "ETIMEDOUT", c:wait(m, 0.01))
      assert.is_false(is_free())
    end
    assert.is_true(is_free())
  end)

  it("nests with those of others", function()
    local others
    do
      local one <close> = assert(m:guard()) -- luacheck: ignore
      local two <close> = assert(arena:mutex("two"):guard()) -- luacheck: ignore
      do
        local three <close> = assert(arena:mutex("three"):guard()) -- luacheck: ignore
        others = { is_free "two", is_free "three" }
      end
      assert.same({ false, false, true, false }, { others[1], others[2], is_free "three", is_free "two" })
    end
    assert.is_true(is_free() and is_free "two")
  end)

  it("keeps its mutex, and its arena, from being collected", function()
    local guard
    do
      local a = assert(shm.arena(name))
      guard = assert(a:mutex("kept"):guard())
    end
    collectgarbage()
    collectgarbage()
    assert.is_false(is_free "kept")
    assert.is_true(guard:unlock())
    assert.is_true(is_free "kept")
  end)

  it("does nothing when its object was closed or removed", function()
    local guard = assert(m:guard())
    arena:remove "m"
    assert.is_true(guard:unlock()) -- what is removed is unlocked still, for nobody
    guard = assert(arena:mutex("other"):guard())
    arena:close()
    assert.is_false(guard:unlock())
    assert.is_false(guard:unlock())
    assert.equal("guard (unlocked)", tostring(guard))
  end)
end)

describe("with", function()
  it("passes arguments and results through, whatever they are", function()
    local function results(...) return select("#", ...), ... end
    assert.same({ 0 }, { results(m:with(function() end)) })
    assert.same({ 4, nil, 2, nil, nil }, { results(m:with(function(...) return ... end, nil, 2, nil, nil)) })
    assert.equal(200, (results(m:with(function(...) return ... end, table.unpack({}, 1, 200)))))
    assert.is_true(m:with(function() return not is_free() end))
    assert.is_true(is_free())
    assert.equal(7, m:with(setmetatable({}, { __call = function(_, x) return x end }), 7))
  end)

  it("rethrows what the function raises, of any type, unlocked", function()
    for _, value in ipairs { "text", 12, {}, print, false } do
      local done, raised = pcall(m.with, m, function() error(value) end)
      assert.is_false(done)
      if type(value) == "string" then
        assert.matches("text$", raised)
      else
        assert.equal(value, raised)
      end
      assert.is_true(is_free())
    end
    assert.same({ false, nil }, { pcall(m.with, m, function() error() end) })
    raises("attempt to call a number value", m.with, m, 5)
    raises("attempt to call a nil value", m.with, m, nil)
    raises("value expected", m.with, m)
    raises("stack overflow", m.with, m, function() local function f() return f() + 1 end return f() end)
    assert.is_true(is_free())
  end)

  it("within with of the same mutex raises, and both are over", function()
    raises("which would wait for itself", m.with, m, function() m:with(function() end) end)
    assert.is_true(is_free())
    local inner, outer = m:with(function()
      local done = pcall(m.with, m, print)
      return done, is_free()
    end)
    assert.same({ false, false }, { inner, outer })
    assert.equal(3, m:with(function() return arena:mutex("two"):with(function() return 3 end) end))
  end)

  it("holds the mutex while a coroutine that yields in it is away", function()
    local co = coroutine.wrap(function(...)
      return m:with(function(...)
        local got = coroutine.yield(..., "first")
        local again = coroutine.yield(got, "second")
        if again == "raise" then error({ "a table" }) end
        return again, "end"
      end, ...)
    end)
    assert.same({ 1, "first" }, { co(1) })
    assert.is_false(is_free())
    raises("which would wait for itself", m.lock, m)
    assert.same({ 2, "second" }, { co(2) })
    assert.same({ 3, "end" }, { co(3) })
    assert.is_true(is_free())
    local thread = coroutine.create(function() m:with(function() error { coroutine.yield() } end) end)
    assert(coroutine.resume(thread))
    assert.is_false(is_free())
    local done, raised = coroutine.resume(thread, "passed")
    assert.is_false(done)
    assert.same({ "passed" }, raised)
    assert.is_true(is_free())
  end)

  it("leaves alone what the function itself has unlocked, closed or removed", function()
    assert.equal(1, m:with(function() m:unlock() return 1 end))
    assert.equal(2, m:with(function() arena:remove "m" return 2 end))
    m = arena:mutex "m"
    local other <close> = assert(shm.arena(name))
    assert.equal(3, m:with(function() arena:close() return 3 end))
    assert.same({ true, "EOWNERDEAD" }, { other:mutex("m"):lock(0) })
  end)
end)

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
        print(done, message:match "by the hook$", select(2, pcall(mine.lock, mine)):match "is held by this thread")]]):format(i, call))
    end
    for _, waiter in ipairs(waiters) do
      assert.equal("false\tby the hook\tis held by this thread\n", peers.finish(waiter))
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
  it("takes no time of the processor", function()
    local holder = peers.hold(name, [[
      local keep = { a:rwlock("w"):write(), a:rwlock("r"):read() }
      a:mutex("m"):lock() a:semaphore("s", 1):acquire() say "holds" hear()]])
    local waiters = {}
    for i, call in ipairs { "m:lock(1)", "m:guard(1)", "w:read(1)", "w:write(1)", "r:write(1)", "s:acquire(1)",
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
