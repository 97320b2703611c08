-- death_spec.lua: owners and waiters that die, exit, close, collect or stop: who comes next is told, soon.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local uv = require "luv"

local name = "/shm_spec_death"
local rounds = 5

local refused = outcome.refused

local arena
before_each(function() arena = assert(shm.arena(name, "64K", { owned = true })) end)
after_each(function() arena:close() end)

-- What may be held: how a process takes it, how this one does then, and how it gives it up.
local things = {
  mutex = {
    hold = "local m = a:mutex 'm' local first, died = m:lock()",
    done = "m:unlock()",
    take = function(timeout) return arena:mutex("m"):lock(timeout) end,
    give = function() assert.is_true(arena:mutex("m"):unlock()) end,
  },
  guard = {
    hold = "local g, died = a:mutex('m'):guard() local first = g",
    done = "g:unlock()",
    take = function(timeout) return arena:mutex("m"):guard(timeout) end,
    give = function(guard) assert.is_true(guard:unlock()) end,
  },
  writer = {
    hold = "local g, died = a:rwlock('rw'):write() local first = g",
    done = "g:unlock()",
    take = function(timeout) return arena:rwlock("rw"):write(timeout) end,
    give = function(guard) assert.is_true(guard:unlock()) end,
  },
  reader = {
    hold = "local g, died = a:rwlock('rw'):read() local first = g",
    done = "g:unlock()",
    take = function(timeout) return arena:rwlock("rw"):write(timeout) end,
    give = function(guard) assert.is_true(guard:unlock()) end,
  },
  permits = {
    hold = "local s = a:semaphore('s', 3) local first, died = s:acquire(2, nil)",
    done = "s:release(2)",
    take = function(timeout) return arena:semaphore("s", 3):acquire(2, timeout) end,
    give = function() assert.is_true(arena:semaphore("s", 3):release(2)) end,
  },
}

local function holder(thing, ending)
  return peers.hold(name, things[thing].hold .. " say(first and 'holds', died) hear() " .. (ending or ""))
end

-- One that waits for it: a reader waits for readers as a writer does.
local function waiting(thing, chunk)
  local hold = things[thing].hold:gsub(":read", ":write"):gsub("local", "say 'waits' local", 1)
  local peer = peers.waiting(name, hold .. chunk)
  return peers.sleeps_on(peer)
end

describe("who is killed while it holds", function()
  for thing, is in pairs(things) do
    it("leaves it to who waits, within a quarter of a second: " .. thing, function()
      local times = {}
      for round = 1, rounds do
        local peer = holder(thing)
        assert.equal("holds\tnil", peer.said)
        local waiter = waiting(thing, " say(first and 'has it', died) hear() " .. is.done)
        local killed = uv.hrtime()
        peer:kill "sigkill"
        waiter.said = waiter:line(10)
        times[round] = (uv.hrtime() - killed) / 1e9
        assert.equal("has it\tEOWNERDEAD", waiter.said)
        assert.is_true(times[round] < 1)
        peers.tell(waiter)
        peers.finish(waiter)
        peer:wait()
        local taken, died = is.take(0)
        assert.is_truthy(taken)
        assert.is_nil(died)
        is.give(taken)
      end
      assert.is_true(peers.median(times) < 0.25)
    end)

    it("leaves it to who only tries, too: " .. thing, function()
      for _ = 1, 2 do
        peers.kill(holder(thing))
        local taken, died = is.take(0)
        assert.is_truthy(taken)
        assert.equal("EOWNERDEAD", died)
        is.give(taken)
        taken, died = is.take(0)
        assert.is_nil(died)
        is.give(taken)
      end
    end)

    it("leaves it as a zombie that nobody has reaped: " .. thing, function()
      local zombie = process.start("sh", { "-c", [["$0" -e "$1" & exec sleep 30]], process.lua,
        ([[local shm = require "shm" local a = shm.arena(%q) %s print(first and "holds")
        io.stdout:flush() require("luv").kill(require("luv").os_getpid(), "sigkill")]]):format(name, is.hold) })
      assert.equal("holds", zombie:line())
      local seconds, taken, died = peers.timed(is.take, 10)
      assert.is_truthy(taken)
      assert.equal("EOWNERDEAD", died)
      assert.is_true(seconds < 1)
      local children = io.open(("/proc/%d/task/%d/children"):format(zombie.pid, zombie.pid)):read "a"
      assert.equal("Z", peers.state(children:match "%d+"))
      is.give(taken)
      zombie:kill "sigkill"
      zombie:wait()
    end)

    for _, ending in ipairs { "os.exit(0)", "os.exit(3, true)", "error 'on purpose'", "" } do
      it(("by '%s' leaves it, too: %s"):format(ending, thing), function()
        local peer = holder(thing, ending)
        peers.tell(peer)
        peer:wait()
        local seconds, taken, died = peers.timed(is.take, 10)
        assert.is_truthy(taken)
        assert.is_true(seconds < 1)
        assert.equal("EOWNERDEAD", died)
        is.give(taken)
      end)
    end
  end

  it("is reported to nobody else, and to all until it is repaired", function()
    local m = arena:mutex "m"
    peers.kill(holder "mutex")
    local peer = holder("mutex", "print(a:mutex('m'):ownerdead())")
    assert.equal("holds\tEOWNERDEAD", peer.said)
    peers.kill(peer)
    peer = holder("mutex", "print(m:ownerdead(), m:unlock(), m:ownerdead(), m:lock()) m:unlock()")
    assert.equal("holds\tEOWNERDEAD", peer.said)
    assert.is_false(m:ownerdead())
    peers.tell(peer)
    assert.equal("true\ttrue\tfalse\ttrue\n", peers.finish(peer))
    assert.same({ true }, { m:trylock() })
    assert.is_true(m:unlock())
    peers.kill(holder "mutex")
    assert.same({ true, "EOWNERDEAD" }, { m:trylock() })
    assert.is_true(m:ownerdead() and m:unlock())
    peers.kill(holder "mutex")
    assert.is_true(m:with(function(x) return m:ownerdead() and x end, true))
    assert.is_false(m:with(m.ownerdead, m))
  end)

  it("as a writer, is reported to readers until somebody has written", function()
    peers.kill(holder "writer")
    local rw = arena:rwlock "rw"
    for _ = 1, 2 do
      local guard, died = rw:read(1)
      assert.equal("EOWNERDEAD", died)
      assert.is_true(guard:unlock())
    end
    local guard, died = rw:write(1)
    assert.equal("EOWNERDEAD", died)
    assert.is_true(guard:unlock())
    assert.same({ 1, 1 }, { select("#", rw:read(1)), select("#", arena:rwlock("other"):read(1)) })
  end)

  it("with permits, gives them back to the count", function()
    local s = arena:semaphore("s", 3)
    local peer = holder "permits"
    assert.equal(1, s:value())
    peers.kill(peer)
    assert.equal(3, s:value())
    assert.same({ true }, { s:acquire() }) -- one was never taken
    local _, died = s:acquire(2, 1)
    assert.equal("EOWNERDEAD", died)
    assert.equal(0, s:value())
  end)
end)

describe("a number of a process that is used again", function()
  it("is another's: the one before has died", function()
    local m = arena:mutex "m"
    local peer = holder("mutex", "say(pcall(m.unlock, m))")
    local bytes <close> = assert(shm.attach(name))
    local word = bytes:view("u64", bytes:view("u64", 256 + 16, 1)[1], 1) -- of the first object
    assert.equal(peer.pid, word[1] & 0x3fffffff)
    refused("process %d+ holds it", "ETIMEDOUT", m:lock(0.01))
    word[1] = word[1] - (1 << 32) -- it started one tick before
    assert.same({ true, "EOWNERDEAD" }, { m:lock(1) })
    peers.tell(peer)
    assert.matches("^false\t.*is not held by this thread", peer:line())
    peers.finish(peer)
    assert.is_true(m:unlock())
  end)
end)

describe("who closes its arena, or loses the handle, while it holds", function()
  it("leaves it as one who died", function()
    for thing, is in pairs(things) do
      local peer = holder(thing, "a:close() say 'closed' hear()")
      peers.tell(peer)
      assert.equal("closed", peer:line())
      local taken, died = is.take(0)
      assert.is_truthy(taken, thing)
      assert.equal("EOWNERDEAD", died, thing)
      is.give(taken)
      peers.tell(peer)
      peers.finish(peer)
    end
  end)

  it("leaves a mutex whose handle is collected", function()
    do
      local a = assert(shm.arena(name))
      assert(a:mutex("m"):lock())
      assert(a:semaphore("s", 3):acquire(2, 0))
    end
    collectgarbage()
    collectgarbage()
    assert.same({ true, "EOWNERDEAD" }, { arena:mutex("m"):lock(0) })
    assert.equal(3, arena:semaphore("s", 3):value())
    assert.equal(1, arena:stat().handles)
  end)

  it("keeps it where only one of the handles is closed: the other's", function()
    local other = assert(shm.arena(name))
    assert(other:mutex "m")
    assert(arena:mutex("m"):lock())
    other:close()
    assert.is_true(arena:mutex("m"):unlock())
  end)

  it("leaves it in another Lua state of the process, by a thread that ends", function()
    local script = ([[
      local uv, shm = require "luv", require "shm"
      local a = assert(shm.arena(%q))
      local thread = uv.new_thread(function(name)
        local a = assert(require("shm").arena(name))
        assert(a:mutex("m"):lock())
        keep = assert(a:rwlock("rw"):write())
        assert(a:semaphore("s", 3):acquire(2, 0))
      end, %q)
      thread:join()
      print(a:mutex("m"):lock(5))
      print(select(2, a:rwlock("rw"):write(5)), a:semaphore("s", 3):acquire(2, 5))]]):format(name, name)
    local run = process.run_lua(script)
    assert.equal("", run.err)
    assert.matches("^true\tEOWNERDEAD\n", run.out)
    assert.matches("true[^\n]*\n$", run.out)
  end)
end)

describe("who is stopped", function()
  it("keeps what it holds; waits end in time and name it; it goes on with SIGCONT", function()
    for thing, is in pairs(things) do
      local peer = holder(thing, is.done .. " say 'gave it up' hear()")
      peers.stop(peer)
      local seconds, none, message, code = peers.timed(is.take, 0.4)
      refused(("was not to be had in time: process %d holds it$"):format(peer.pid), "ETIMEDOUT", none, message, code)
      assert.is_true(seconds >= 0.4 and seconds < 5)
      local waiter = waiting(thing, " say(first and 'has it', died)")
      peers.tell(peer)
      peer:kill "sigcont"
      assert.equal("gave it up", peer:line())
      assert.equal("has it\tnil", waiter:line())
      peers.finish(waiter)
      peers.tell(peer)
      peers.finish(peer)
      is.give((is.take(5)))
    end
  end)

  it("and is killed then, leaves it", function()
    local peer = holder "mutex"
    peers.stop(peer)
    peers.kill(peer)
    assert.same({ true, "EOWNERDEAD" }, { arena:mutex("m"):lock(5) })
  end)
end)

describe("who is killed while it waits", function()
  it("for a lock, is in nobody's way", function()
    for thing, is in pairs(things) do
      local peer = holder(thing, is.done .. " say 'gave it up' hear()")
      local dead = {}
      for i = 1, 3 do
        dead[i] = waiting(thing, "")
      end
      local alive = waiting(thing, " say(first and 'has it')")
      for i = 1, 3 do peers.kill(dead[i]) end
      peers.tell(peer)
      assert.equal("gave it up", peer:line())
      assert.equal("has it", alive:line(5))
      peers.finish(alive)
      peers.tell(peer)
      peers.finish(peer)
      is.give((is.take(5)))
    end
  end)

  it("for a condition, does not keep the others asleep", function()
    local m, c, v = arena:mutex "m", arena:condition "c", arena:array("v", "u32", 1)
    for _ = 1, rounds do
      local waiters = {}
      for i = 1, 3 do
        waiters[i] = peers.waiting(name, [[
          local m, c, v = a:mutex "m", a:condition "c", a:array("v", "u32", 1)
          m:lock() say "waits"
          while v[1] == 0 do c:wait(m) end
          v[1] = v[1] - 1 m:unlock() say "woke" hear()]])
      end
      peers.stop(waiters[1])
      peers.stop(waiters[2])
      m:lock(5)
      v[1] = 1
      c:notify() -- perhaps to one that never comes back
      m:unlock()
      local notified = uv.hrtime()
      peers.kill(waiters[1])
      peers.kill(waiters[2])
      assert.equal("woke", waiters[3]:line(5))
      assert.is_true((uv.hrtime() - notified) / 1e9 < 1)
      peers.tell(waiters[3])
      peers.finish(waiters[3])
    end
  end)

  it("for a condition, may have the mutex then, which says so", function()
    local m, c = arena:mutex "m", arena:condition "c"
    local waiter = peers.waiting(name, [[
      local m, c = a:mutex "m", a:condition "c"
      m:lock() say "waits" say(c:wait(m, 20)) say(m:ownerdead(), m:unlock())]])
    local dying = peers.hold(name, "a:mutex('m'):lock(5) a:condition('c'):notify() say 'notified' hear()")
    peers.kill(dying)
    assert.equal("true\tEOWNERDEAD", waiter:line(5))
    assert.equal("true\ttrue", waiter:line(5))
    peers.finish(waiter)
    assert.is_true(m:lock(5) and c:notify())
  end)

  it("at a barrier, is told to all others soon, and the barrier is as new", function()
    local b, times = arena:barrier("b", 4), {}
    local chunk = [[
      local b = a:barrier("b", 4)
      say "waits" local met, last, code = b:wait() say(met, code or last) hear()]]
    for round = 1, rounds do
      local one, two, dying = peers.waiting(name, chunk), peers.waiting(name, chunk), peers.waiting(name, chunk)
      assert.is_true(process.await(function() return b:waiting() == 3 end))
      local killed = uv.hrtime()
      peers.kill(dying)
      for _, peer in ipairs { one, two } do assert.equal("nil\tEOWNERDEAD", peer:line(5)) end
      times[round] = (uv.hrtime() - killed) / 1e9
      assert.is_true(times[round] < 1)
      assert.equal(0, b:waiting())
      for _, peer in ipairs { one, two } do
        peers.tell(peer)
        peers.finish(peer)
      end
    end
    assert.is_true(peers.median(times) < 0.25)
    local all = {}
    for i = 1, 3 do all[i] = peers.waiting(name, chunk) end
    assert.same({ true, true }, { b:wait(10) })
    for _, peer in ipairs(all) do
      assert.equal("true\tfalse", peer:line())
      peers.tell(peer)
      peers.finish(peer)
    end
  end)

  it("at a barrier before the last comes, is told to that one and to the others", function()
    local b = arena:barrier("b", 2)
    peers.kill(peers.waiting(name, "local b = a:barrier('b', 2) say 'waits' b:wait()"))
    local none, message, code = b:wait(5)
    refused('^barrier "b" of arena "/shm_spec_death": one of those who waited has died$', "EOWNERDEAD",
      none, message, code)
    assert.equal(0, b:waiting())
    local peer = peers.start(name, "local b = a:barrier('b', 2) for _ = 1, 70 do assert(b:wait(20)) end")
    for _ = 1, 70 do assert.is_true((b:wait(20))) end -- no round after it is told of it
    peers.finish(peer)
    b = arena:barrier("three", 3)
    local other = peers.waiting(name, "local b = a:barrier('three', 3) say 'waits' say(select(3, b:wait()))")
    assert.is_true(process.await(function() return b:waiting() == 1 end))
    peers.stop(other) -- so that it is not the one who finds out
    peers.kill(peers.waiting(name, "local b = a:barrier('three', 3) say 'waits' b:wait()"))
    assert.equal("EOWNERDEAD", select(3, b:wait(5)))
    other:kill "sigcont"
    assert.equal("EOWNERDEAD", other:line())
    peers.finish(other)
  end)
end)

describe("a process that dies in the middle of anything", function()
  it("leaves an arena in which all others go on", function()
    for round = 1, 8 do
      local workers = {}
      for i = 1, 3 do
        workers[i] = peers.hold(name, [[
          local v = a:array("v", "u32", 2)
          say "works"
          while true do
            local m = a:mutex "m"
            m:lock()
            v[1] = v[1] + 1
            v[2] = v[2] + 1
            m:unlock()
            a:array("some", "u8", 100) a:remove "some"
            a:semaphore("s", 3):acquire() a:semaphore("s", 3):release()
            a:rwlock("rw"):read():unlock() a:rwlock("rw"):write():unlock()
          end]])
      end
      local until_when = uv.hrtime() + round * 3e6
      process.await(function() return uv.hrtime() > until_when end)
      for _, worker in ipairs(workers) do peers.kill(worker) end
      local m, v = arena:mutex "m", arena:array("v", "u32", 2)
      assert.is_true((m:lock(5)))
      v[2] = v[1]
      m:unlock()
      assert.equal(1, arena:stat().handles)
      assert.equal(3, arena:semaphore("s", 3):value())
      assert.is_truthy(arena:rwlock("rw"):write(5):unlock())
      assert.is_truthy(assert(arena:array("some", "u8", 100)))
    end
  end)

  it("forked, does so as well", function()
    local m = arena:mutex "m"
    assert.equal(0, lowlevel.child(function() return (m:lock()) end)) -- _exit: the owner is dead
    local seconds, locked, died = peers.timed(m.lock, m, 10)
    assert.is_true(locked and seconds < 1)
    assert.equal("EOWNERDEAD", died)
  end)
end)
