-- mutex_spec.lua: mutexes between processes: lock, trylock, unlock, guards, with, two handles.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"

local name = "/shm_spec_mutex"
local pid = ("%d"):format(require("luv").os_getpid())

local raises, refused = outcome.raises, outcome.refused

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
      assert.is_true(seconds >= timeout and seconds < timeout + 5)
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
    raises("function expected, got string", m.with, m, "5")
    raises("function expected, got no value", m.with, m, 5) -- it is a timeout
    raises("function expected, got nil", m.with, m, nil)
    raises("function expected, got no value", m.with, m)
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

  local function is_held(thread)
    assert(coroutine.resume(thread))
    assert.is_false(is_free())
  end

  it("unlocks when the coroutine in which it runs is closed", function()
    local thread = coroutine.create(function() m:with(coroutine.yield) end)
    is_held(thread)
    assert.is_true(coroutine.close(thread))
    assert.is_true(is_free())
    thread = coroutine.create(function() m:with(function() m:with(print) end) end)
    assert.is_false(coroutine.resume(thread))
    assert.is_true(is_free())
    thread = coroutine.create(function()
      m:with(function()
        local later <close> = setmetatable({}, { __close = function() assert.is_false(is_free()) end })
        coroutine.yield(later)
      end)
    end)
    is_held(thread)
    assert.is_true(coroutine.close(thread))
    assert.is_true(is_free())
  end)

  it("gives up the mutex, as of one who died, when its coroutine is collected", function()
    is_held(coroutine.create(function() m:with(coroutine.yield) end))
    collectgarbage()
    collectgarbage()
    assert.same({ true, "EOWNERDEAD" }, { m:lock(0) })
    assert.is_true(m:unlock())
  end)

  it("of a coroutine that is closed leaves alone what was locked since", function()
    local thread = coroutine.create(function() m:with(coroutine.yield) end)
    is_held(thread)
    assert.is_true(m:unlock())
    assert.is_true(m:lock())
    assert.is_true(coroutine.close(thread))
    assert.is_false(is_free())
    assert.is_true(m:unlock())
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
