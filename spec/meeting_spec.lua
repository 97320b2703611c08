-- meeting_spec.lua: conditions and barriers: where processes wait for what others do.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_locks"

local raises, refused = outcome.raises, outcome.refused

local arena
before_each(function() arena = assert(shm.arena(name, "1M", { owned = true })) end)
after_each(function() arena:close() end)

describe("a condition", function()
  local waiting = [[
    local m, c, v = a:mutex "m", a:condition "c", a:array("v", "u32", 2)
    assert(m:lock())
    v[1] = v[1] + 1
    say "waits"
    while v[2] == 0 do assert(c:wait(m, 20)) end
    v[2] = v[2] - 1
    print(select(2, pcall(m.trylock, m)):match "held by this thread" ~= nil)
    m:unlock()]]

  it("wakes one who waits, or all, with the mutex locked", function()
    local m, c, v = arena:mutex "m", arena:condition "c", arena:array("v", "u32", 2)
    local waiters = {}
    for i = 1, 4 do waiters[i] = peers.waiting(name, waiting) end
    local function gone()
      local count = 0
      for _, waiter in ipairs(waiters) do count = count + (waiter.code and 1 or 0) end
      return count
    end
    assert.is_true(m:lock(5)) -- those who wait have unlocked it
    assert.equal(4, v[1])
    v[2] = 1
    assert.same({ true }, { c:notify() })
    assert.equal(0, gone())
    m:unlock()
    assert.is_true(process.await(function() return gone() == 1 end, 5))
    m:lock()
    assert.equal(0, v[2])
    v[2] = 3
    assert.same({ true }, { c:notify_all() })
    m:unlock()
    for _, waiter in ipairs(waiters) do assert.equal("true\n", peers.finish(waiter)) end
    assert.is_true(m:lock(0))
  end)

  it("times out with the mutex locked, and needs it locked", function()
    local m, c = arena:mutex "m", arena:condition "c"
    raises('^mutex "m" of arena .* is not held by this thread: nobody holds it$', c.wait, c, m, 0)
    m:lock()
    for _, timeout in ipairs { 0, -1, -1 / 0, 0.05 } do
      refused('^condition "c" of arena "/shm_spec_locks" was not notified in time$', "ETIMEDOUT", c:wait(m, timeout))
      raises("held by this thread", m.lock, m)
    end
    local seconds = peers.timed(c.wait, c, m, 0.3)
    assert.is_true(seconds >= 0.3 and seconds < 5)
    raises("a timeout is a number", c.wait, c, m, 0 / 0)
    raises("number expected", c.wait, c, m, "soon")
    for _, bad in ipairs { c, arena, "m", 1, {}, io.stdout } do raises("shm.mutex expected", c.wait, c, bad, 0) end
    raises("shm.mutex expected, got no value", c.wait, c)
    assert.is_true(m:unlock())
    local peer = peers.hold(name, "a:mutex('m'):lock() say 'holds' hear()")
    raises(("is not held by this thread: process %d holds it"):format(peer.pid), c.wait, c, m, 0)
    peers.tell(peer)
    peers.finish(peer)
  end)

  it("forgets what was notified before anybody waited", function()
    local m, c = arena:mutex "m", arena:condition "c"
    c:notify()
    c:notify_all()
    m:lock()
    refused("in time", "ETIMEDOUT", c:wait(m, 0.02))
  end)

  it("hands work over to an exact total", function()
    local worker = [[
      local m, c, v = a:mutex "m", a:condition "c", a:array("v", "i64", 3)
      m:lock()
      while true do
        while v[1] == 0 and v[3] == 0 do c:wait(m) end
        if v[1] == 0 then break end
        v[1] = v[1] - 1
        v[2] = v[2] + 1
        c:notify_all()
      end
      m:unlock()]]
    local workers = {}
    for i = 1, 3 do workers[i] = peers.start(name, worker) end
    local m, c, v = arena:mutex "m", arena:condition "c", arena:array("v", "i64", 3)
    m:lock()
    for _ = 1, 2000 do
      while v[1] == 3 do c:wait(m) end
      v[1] = v[1] + 1
      c:notify()
    end
    v[3] = 1
    c:notify_all()
    m:unlock()
    for _, one in ipairs(workers) do peers.finish(one) end
    assert.same({ 0, 2000, 1 }, v:totable())
  end)
end)

describe("a C host of libshmx and Lua", function()
  it("count to an exact total under one mutex, with permits, and meet at a condition", function()
    local m, c, v = arena:mutex "m", arena:condition "c", arena:array("v", "u64", 4)
    local s, n = arena:semaphore("s", 2), 20000
    local host = process.start(process.build .. "/spec/host_locks", { name, tostring(n) })
    local peer = peers.start(name, ([[
      local m, s, v = a:mutex "m", a:semaphore("s", 2), a:array("v", "u64", 4)
      for _ = 1, %d do
        assert(s:acquire())
        m:with(function() v[1] = v[1] + 1 end)
        s:release()
      end]]):format(n))
    for _ = 1, n do
      m:lock()
      v[1] = v[1] + 1
      m:unlock()
    end
    peers.finish(peer)
    m:lock()
    while v[3] == 0 do assert(c:wait(m, 20)) end
    assert.equal(3 * n, v[1])
    assert.equal(2, s:value())
    v[4] = 1
    c:notify()
    m:unlock()
    assert.equal(3 * n .. "\n", peers.finish(host))
    assert.equal(1, arena:stat().handles)
  end)

  it("tell each other of a death", function()
    local m, s = arena:mutex "m", arena:semaphore("s", 2)
    arena:condition "c"
    arena:array("v", "u64", 4)
    local host = process.start(process.build .. "/spec/host_locks", { name, "10", "die" })
    local _, signal = host:wait()
    assert.equal(9, signal)
    assert.same({ true, "EOWNERDEAD" }, { m:lock(5) })
    assert.same({ true, "EOWNERDEAD" }, { s:acquire(2, 5) })
    assert.equal(1, arena:stat().handles)
  end)
end)

describe("a barrier", function()
  it("lets nobody go before all have come, and tells one of them that it was the last", function()
    local b = arena:barrier("b", 3)
    local chunk = "local b = a:barrier('b', 3) for i = 1, 3 do say 'waits' say(b:wait()) hear() end"
    local one, two = peers.waiting(name, chunk), peers.hold(name, chunk)
    for round = 1, 3 do
      assert.is_true(process.await(function() return b:waiting() == 2 end))
      assert.equal("", one.out .. two.out)
      assert.same({ true, true }, { b:wait() })
      assert.equal("true\tfalse", one:line())
      assert.equal("true\tfalse", two:line())
      assert.equal(0, b:waiting())
      peers.tell(one)
      peers.tell(two)
      if round < 3 then assert.equal("waits", one:line() and two:line()) end
    end
    peers.finish(one)
    peers.finish(two)
  end)

  it("keeps processes together for many rounds", function()
    local workers = {}
    for i = 1, 4 do
      workers[i] = peers.start(name, ([[
        local b, v = a:barrier("b", 4), a:array("v", "u32", 5)
        for round = 1, 1000 do
          v[%d] = round
          local met, last = assert(b:wait(20))
          if last then v:fetch_add(5, 1) end
          for i = 1, 4 do assert(v[i] == round, "not together") end
          assert(b:wait(20))
        end]]):format(i))
    end
    for _, worker in ipairs(workers) do peers.finish(worker) end
    assert.same({ 1000, 1000, 1000, 1000, 1000 }, arena:array("v", "u32", 5):totable())
  end)

  it("is not waited at any more by who times out, or is interrupted", function()
    local b = arena:barrier("b", 2)
    for _, timeout in ipairs { 0, -1, -1 / 0, 0.02, 0.3 } do
      local seconds, none, message, code = peers.timed(b.wait, b, timeout)
      refused('^barrier "b" of arena "/shm_spec_locks": not all 2 came in time$', "ETIMEDOUT", none, message, code)
      assert.is_true(seconds >= timeout and seconds < 5)
      assert.equal(0, b:waiting())
    end
    local peer = peers.waiting(name, [[
      local b = a:barrier("b", 2)
      say "waits" say(pcall(b.wait, b)) hear() say(b:wait())]])
    assert.is_true(process.await(function() return b:waiting() == 1 end))
    peer:kill "sigint"
    assert.matches("^false\t.*interrupted!$", peer:line())
    assert.equal(0, b:waiting())
    peers.tell(peer)
    assert.is_true((b:wait(20)))
    peers.finish(peer)
    raises("a timeout is a number", b.wait, b, 0 / 0)
    raises("number expected", b.wait, b, "soon")
    assert.equal(0, b:waiting())
    assert.same({ true, true }, { arena:barrier("alone", 1):wait() })
    assert.same({ true, true }, { arena:barrier("alone", 1):wait(0) })
  end)
end)
