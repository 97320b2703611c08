-- locks_spec.lua: read-write locks and semaphores between processes.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"

local name = "/shm_spec_locks"
local pid = ("%d"):format(require("luv").os_getpid())

local raises, refused = outcome.raises, outcome.refused

local arena
before_each(function() arena = assert(shm.arena(name, "1M", { owned = true })) end)
after_each(function() arena:close() end)

-- What another process finds out.
local function ask(chunk) return (peers.finish(peers.start(name, chunk)):gsub("\n$", "")) end

describe("a read-write lock", function()
  local rw
  before_each(function() rw = arena:rwlock "rw" end)

  local function codes()
    return ask "local rw = a:rwlock 'rw' print(select(3, rw:read(0)), (select(3, rw:write(0))))"
  end

  it("has many readers, or one writer", function()
    local read = assert(rw:read())
    assert.equal('guard of rwlock "rw" of arena "/shm_spec_locks"', tostring(read))
    assert.equal("nil", ask "local rw = a:rwlock 'rw' print((select(3, rw:read(0))))")
    assert.equal("ETIMEDOUT", ask "local rw = a:rwlock 'rw' print((select(3, rw:write(0))))")
    assert.same({ true }, { read:unlock() })
    local write = assert(rw:write())
    assert.equal("ETIMEDOUT\tETIMEDOUT", codes())
    assert.same({ true }, { write:unlock() })
    assert.same({ false }, { write:unlock() })
    assert.equal("true\ttrue", ask "local rw = a:rwlock 'rw' print(rw:read(0):unlock(), rw:write(0):unlock())")
  end)

  it("says who has it", function()
    for _, side in ipairs { "write", "read" } do
      local peer = peers.hold(name, ("local g = a:rwlock('rw'):%s() say 'holds' hear()"):format(side))
      refused(('^rwlock "rw" of arena "/shm_spec_locks" was not to be had in time: process %d holds it$')
        :format(peer.pid), "ETIMEDOUT", rw:write(0.01))
      if side == "write" then refused(("process %d holds it"):format(peer.pid), "ETIMEDOUT", rw:read(-1)) end
      peers.kill(peer)
    end
  end)

  it("is held once by a thread, which raises otherwise", function()
    local other <close> = assert(shm.arena(name))
    for _, side in ipairs { "read", "write" } do
      local guard = assert(rw[side](rw))
      for _, again in ipairs { "read", "write" } do
        for _, handle in ipairs { rw, other:rwlock "rw" } do
          raises("is held by this thread of process " .. pid .. " already", handle[again], handle, 0.1)
        end
      end
      assert.is_true(guard:unlock())
    end
    assert.is_true(rw:write(0):unlock())
  end)

  it("does not let a thread that reads wait for a writer who waits for it", function()
    -- The thread's name is in the second slot that it looks at, and the first is empty again.
    local bytes <close> = assert(shm.attach(name))
    local slots = bytes:view("u64", bytes:view("u64", 256 + 16, 1)[1] + 64, 128)
    local first = assert(rw:read())
    local own
    for i = 1, 128 do
      if slots[i] ~= 0 then own = i end
    end
    first:unlock()
    slots[own] = 1 -- a process that lives
    first = assert(rw:read())
    assert.are_not.equal(0, slots[own % 128 + 1])
    slots[own] = 0
    local writer = peers.waiting(name, "local rw = a:rwlock 'rw' say 'waits' say(rw:write(20):unlock())")
    local other <close> = assert(shm.arena(name))
    raises("is held by this thread", other:rwlock("rw").read, other:rwlock "rw", 5)
    assert.is_true(first:unlock())
    assert.equal("true", writer:line())
    peers.finish(writer)
  end)

  it("is given up by its guard's block and collection, and refuses what is no timeout", function()
    do
      local guard <close> = assert(rw:write()) -- luacheck: ignore
    end
    local guard = assert(rw:read()) -- luacheck: ignore
    guard = nil -- luacheck: ignore
    collectgarbage()
    assert.is_true(rw:write(0):unlock())
    for _, side in ipairs { "read", "write" } do
      raises("a timeout is a number of seconds", rw[side], rw, 0 / 0)
      raises("number expected", rw[side], rw, "soon")
      for _, timeout in ipairs { 0, -1, -1 / 0, 1 / 0, 1e300 } do
        assert.is_true(assert(rw[side](rw, timeout)):unlock())
      end
    end
  end)

  it("keeps new readers out while a writer waits, and lets them in when it gives up", function()
    local first = assert(rw:read())
    local writer = peers.waiting(name, "local rw = a:rwlock 'rw' say 'waits' say(select(3, rw:write(0.5))) hear()")
    assert.equal("ETIMEDOUT", ask "local rw = a:rwlock 'rw' print((select(3, rw:read(0))))")
    local reader = peers.waiting(name, "local rw = a:rwlock 'rw' say 'waits' say(rw:read(20):unlock())")
    assert.equal("ETIMEDOUT", writer:line())
    assert.equal("true", reader:line()) -- though the first still reads
    peers.tell(writer)
    peers.finish(writer)
    peers.finish(reader)
    assert.is_true(first:unlock())
  end)

  it("lets the writer in when the last reader leaves, and readers when it leaves", function()
    local guard = assert(rw:read())
    local writer = peers.waiting(name, [[
      local rw, v = a:rwlock "rw", a:array("v", "u32", 1)
      say "waits" local g, died = rw:write() v[1] = 1 say(died) hear() v[1] = 2 g:unlock()]])
    assert.equal(0, arena:array("v", "u32", 1)[1])
    guard:unlock()
    assert.equal("nil", writer:line())
    local readers = {}
    for i = 1, 3 do
      readers[i] = peers.waiting(name, [[
        local rw, v = a:rwlock "rw", a:array("v", "u32", 1)
        say "waits" local g = rw:read() print(v[1])]])
    end
    peers.tell(writer)
    for _, reader in ipairs(readers) do assert.equal("2\n", peers.finish(reader)) end
    peers.finish(writer)
  end)

  it("lets readers see whole what writers write", function()
    local workers = {}
    for i = 1, 4 do
      workers[i] = peers.start(name, [[
        local rw, v = a:rwlock "rw", a:array("v", "u32", 100)
        for round = 1, 3000 do
          if round % 4 == 0 then
            local g = rw:write()
            v:fill(v[1] + 1)
            g:unlock()
          else
            local g = rw:read()
            assert(v:min() == v:max(), "torn")
            g:unlock()
          end
        end]])
    end
    for _, worker in ipairs(workers) do peers.finish(worker) end
    assert.equal(3000, arena:array("v", "u32", 100)[50])
  end)

  it("can be waited for after Ctrl-C", function()
    for _, side in ipairs { "read", "write" } do
      local guard = assert(side == "read" and rw:write() or side == "write" and rw:read())
      local peer = peers.waiting(name, ([[
        local rw = a:rwlock "rw"
        say "waits" say(pcall(rw.%s, rw)) hear() say(rw:write(0):unlock()) hear()]]):format(side))
      peer:kill "sigint"
      assert.matches("^false\t.*interrupted!$", peer:line())
      if side == "write" then assert.equal("nil", ask "print((select(2, a:rwlock('rw'):read(0))))") end
      guard:unlock()
      peers.tell(peer)
      assert.equal("true", peer:line())
      assert.is_true(rw:write(0):unlock())
      peers.tell(peer)
      peers.finish(peer)
    end
  end)
end)

describe("a semaphore", function()
  it("gives so many permits and takes them back", function()
    local s = arena:semaphore("s", 3)
    assert.equal(3, s:value())
    assert.same({ true }, { s:acquire() })
    assert.equal(2, s:value())
    assert.same({ true }, { s:acquire(2, 0) })
    assert.equal(0, s:value())
    assert.equal("0\tETIMEDOUT", ask "local s = a:semaphore('s', 3) print(s:value(), (select(3, s:acquire(1, 0))))")
    assert.same({ true }, { s:release() })
    assert.equal("true\ttrue", ask "local s = a:semaphore('s', 3) print(s:acquire(1, 0), s:release())")
    assert.same({ true }, { s:release(2) })
    assert.equal(3, s:value())
  end)

  it("takes all at once or none", function()
    local s = arena:semaphore("s", 3)
    s:acquire(2, 0)
    local peer = peers.waiting(name, [[
      local s = a:semaphore("s", 3) say "waits" say(s:acquire(2, nil)) hear() say(s:release(2))]])
    assert.equal(1, s:value()) -- it has not taken the one that is there
    assert.equal("true\ttrue", ask "local s = a:semaphore('s', 3) print(s:acquire(1, 0), s:release())")
    s:release()
    assert.equal("true", peer:line())
    assert.equal(0, s:value())
    peers.tell(peer)
    peers.finish(peer)
    assert.equal(2, s:value())
  end)

  it("takes as many as a lone number says, and waits as long as the second one says", function()
    local s = arena:semaphore("s", 3)
    local peer = peers.hold(name, "local s = a:semaphore('s', 3) s:acquire(2, 0) say 'holds' hear()")
    assert.is_true(s:acquire(nil))
    assert.is_true(s:release(nil))
    assert.is_true(s:acquire(1))
    assert.is_true(s:release())
    assert.is_true(s:acquire(nil, 0))
    assert.is_true(s:release())
    refused(('^semaphore "s" of arena .* was not to be had in time: process %d holds it$'):format(peer.pid),
      "ETIMEDOUT", s:acquire(2, 0))
    for _, timeout in ipairs { 0, -1, -1 / 0, 0.01 } do refused("in time", "ETIMEDOUT", s:acquire(2, timeout)) end
    peers.tell(peer)
    peers.finish(peer)
    assert.is_true(s:acquire(3, 1 / 0))
    assert.is_true(s:release(3))
    assert.is_true(s:acquire(2))
    assert.equal(1, s:value())
    assert.is_true(s:release(2))
  end)

  it("refuses counts that there are not", function()
    local s = arena:semaphore("s", 3)
    for _, count in ipairs { 0, -1, 4, 32768, math.maxinteger, math.mininteger } do
      raises("permits: there are 1 to 3", s.acquire, s, count, 0)
      raises("permits: there are 1 to 3", s.release, s, count)
    end
    for _, count in ipairs { 1.5, 0 / 0, 1 / 0 } do
      raises("no integer representation", s.acquire, s, count, 0)
      raises("no integer representation", s.release, s, count)
    end
    for _, bad in ipairs { "x", {}, true } do
      raises("number expected", s.acquire, s, bad, 0)
      raises("number expected", s.acquire, s, bad)
      raises("number expected", s.acquire, s, 1, bad)
      raises("number expected", s.release, s, bad)
    end
    for _, timeout in ipairs { 0, 0.5, -1, 4, 0 / 0, 1 / 0 } do
      raises("permits: there are 1 to 3; .* as in acquire%(1, 0.5%)", s.acquire, s, timeout)
    end
    raises("a timeout is a number", s.acquire, s, 1, 0 / 0)
    for _, kind in ipairs { "semaphore", "barrier" } do
      for _, count in ipairs { 0, -1, 32768, math.maxinteger, math.mininteger } do
        raises("are 1 to 32767", arena[kind], arena, "x", count)
      end
      raises("no integer representation", arena[kind], arena, "x", 1.5)
      for _, bad in ipairs { "x", {}, true } do raises("number expected", arena[kind], arena, "x", bad) end
      raises("number expected, got no value", arena[kind], arena, "x")
    end
    assert.equal(3, s:value())
    assert.equal(32767, arena:semaphore("many", 32767):value())
    assert.is_true(arena:semaphore("many", 32767):acquire(32767, 0))
    assert.equal(0, arena:semaphore("many", 32767):value())
  end)

  it("raises where its thread would wait for itself, and where it has not taken so many", function()
    local s = arena:semaphore("s", 3)
    raises("this thread has taken 0 permits, and cannot release 1", s.release, s)
    s:acquire(2, 0)
    raises("has so many of its 3 permits that it would wait for itself", s.acquire, s, 2, 0)
    raises("this thread has taken 2 permits, and cannot release 3", s.release, s, 3)
    s:acquire()
    raises("would wait for itself", s.acquire, s)
    assert.is_true(s:release(3))
    raises("this thread has taken 0 permits", s.release, s)
  end)

  it("counts what its thread has through another handle, too", function()
    local other <close> = assert(shm.arena(name))
    local s, t = arena:semaphore("s", 2), other:semaphore("s", 2)
    assert.is_true(s:acquire())
    assert.is_true(t:acquire(1, 0))
    assert.equal(0, s:value())
    raises("would wait for itself", s.acquire, s, 1)
    raises("would wait for itself", t.acquire, t)
    raises("taken 1 permits, and cannot release 2", s.release, s, 2) -- those of this arena
    assert.is_true(t:release())
    raises("would wait for itself", t.acquire, t, 2, 5)
    other:close()
    assert.is_true(s:release())
    assert.equal(2, s:value())
  end)

  it("keeps more than so many out, over several processes", function()
    local workers = {}
    for i = 1, 5 do
      workers[i] = peers.start(name, [[
        local s, inside = a:semaphore("s", 2), a:array("inside", "i32", 2)
        for _ = 1, 2000 do
          assert(s:acquire())
          assert(inside:fetch_add(1, 1) < 2, "more than two inside")
          inside:fetch_add(2, 1)
          inside:fetch_sub(1, 1)
          assert(s:release())
        end]])
    end
    for _, worker in ipairs(workers) do peers.finish(worker) end
    assert.same({ 0, 10000 }, arena:array("inside", "i32", 2):totable())
    assert.equal(2, arena:semaphore("s", 2):value())
  end)

  it("can be waited for after Ctrl-C", function()
    local s = arena:semaphore("s", 2)
    s:acquire(2, 0)
    local peer = peers.waiting(name, [[
      local s = a:semaphore("s", 2)
      say "waits" say(pcall(s.acquire, s, 2, 20)) hear() say(s:acquire(2, 0), s:release(2)) ]])
    peer:kill "sigint"
    assert.matches("^false\t.*interrupted!$", peer:line())
    s:release(2)
    assert.equal(2, s:value())
    peers.tell(peer)
    assert.equal("true\ttrue", peer:line())
    peers.finish(peer)
  end)
end)
