-- lock.lua: what locks cost, as ratios to libc's in the same run: free ones, ones that four
-- processes want, ones whose owner is killed, ones that are waited for. `make bench` runs it.
-- Touches anonymous memory only, and processes of its own.
local shm = require "shm"
local baseline = require "baseline"
local locks = require "locks"
local bench = require "scripts.bench.bench"
local compare_times, compare_throughputs = bench.compare_times, bench.compare_throughputs
local bound = bench.bound

local rounds <const>, calls <const> = 41, 200000

local function open_arena() return assert(shm.arena(nil, "64K")) end

-- ---- free locks ----

local function bench_internal()
  local internal, mutex = locks.internal(), locks.mutex()
  local plain, robust = locks.pthread(false), locks.pthread(true)
  local function contest(what, ours, limit, target)
    compare_times { what = what, target = target, rounds = rounds, count = calls,
      ours = function(n) ours:pairs(n) end, limit = function(n) limit:pairs(n) end }
  end
  contest("enter + leave / pthread", internal, plain, 1.2)
  contest("enter + leave / robust pthread", internal, robust)
  contest("shmx_mutex / robust pthread", mutex, robust)
end

-- Acquires and releases a multiprocessing.Lock so many times, and prints the seconds.
local script <const> = [[
import multiprocessing, sys, time
def run(lock, n):
    for _ in range(n): lock.acquire(); lock.release()
lock = multiprocessing.Lock()
start = time.perf_counter()
run(lock, int(sys.argv[2]))
print(time.perf_counter() - start)
]]

-- Two calls each, or what holds and gives up by itself.
local function bench_calls()
  local arena <close> = open_arena()
  local m, rw = arena:mutex("m"), arena:rwlock("rw")
  local s, c = arena:semaphore("s", 4), arena:condition("c")
  local object, robust = baseline.object(false), locks.pthread(true)
  local nothing = baseline.nothing

  local function call_nothing(n) for _ = 1, n do object:nothing() object:nothing() end end
  local function call_nothing_once(n) for _ = 1, n do object:nothing() end end
  local function call_robust(n) for _ = 1, n do robust:lock() robust:unlock() end end
  local function call_lock(n) for _ = 1, n do m:lock() m:unlock() end end
  local function call_read(n) for _ = 1, n do rw:read():unlock() end end
  local function call_write(n) for _ = 1, n do rw:write():unlock() end end
  local function call_acquire(n) for _ = 1, n do s:acquire() s:release() end end
  local function call_guard(n) for _ = 1, n do local _ <close> = m:guard() end end
  local function call_with(n) for _ = 1, n do m:with(nothing) end end
  local function call_notify(n) for _ = 1, n do c:notify() end end

  local function contest(what, ours, limit, target, margin)
    compare_times { what = what, ours = ours, limit = limit, rounds = rounds, count = calls,
      target = target, margin = margin }
  end
  contest("m:lock() m:unlock() / 2 + 50 ns", call_lock, call_nothing, 1, 50e-9)
  contest("same / robust pthread from Lua", call_lock, call_robust)
  bench.compare_python({ what = "same / Python multiprocessing", needs = "python3",
    ours = call_lock, count = calls }, script, "lock")
  contest("m:guard(), closed / 2 calls", call_guard, call_nothing)
  contest("m:with(f) / 2 calls", call_with, call_nothing)
  contest("rw:read():unlock() / 2 calls", call_read, call_nothing)
  contest("rw:write():unlock() / 2 calls", call_write, call_nothing)
  contest("s:acquire() s:release() / 2 calls", call_acquire, call_nothing)
  contest("c:notify(), nobody waits / a call", call_notify, call_nothing_once)
end

-- ---- locks that four processes want ----

-- From Lua, for information: who waits awake is at a disadvantage where other programs want the
-- processors, too, and the interpreter holds a lock for long enough to be interrupted with it.

local function bench_races()
  local processes <const>, seconds <const> = 4, 0.05
  local arena <close> = open_arena()
  local m, robust = arena:mutex("m"), locks.pthread(true)
  local function call_lock(n) for _ = 1, n do m:lock() m:unlock() end end
  local function call_robust(n) for _ = 1, n do robust:lock() robust:unlock() end end

  local function racing(run)
    return function() return locks.race(run, processes, seconds) end
  end
  local function counting(lock)
    return racing(function(n) lock:count(n) end)
  end
  local function contest(what, ours, limit, target)
    compare_throughputs { what = what, ours = ours, limit = limit, rounds = 21, count = 1,
      target = target }
  end
  local internal, mutex, limit = locks.internal(), locks.mutex(), locks.pthread(true)
  contest("4 x enter + leave / robust", counting(internal), counting(limit), 1)
  contest("4 x shmx_mutex / robust", counting(mutex), counting(limit), 1)
  contest("4 x m:lock() m:unlock() / robust", racing(call_lock), racing(call_robust))
  for _, lock in ipairs { internal, mutex, limit } do
    local one, other = lock:counted()
    assert(one == other and one > 0, "a lock has let two in at once")
  end
end

-- ---- a killed owner ----

-- From the kill to the next owner. It has waited for as long as it may be, in its sleep, so that
-- the kill comes at any moment between its looks.
local function bench_kills()
  local function contest(what, take, give, kills, longest, seconds)
    compare_times { what = what, target = 1, rounds = kills, count = 1, show_max = true,
      ours = function() return locks.inherit(take, give, 0.005 + math.random() * longest) end,
      limit = bound(seconds) }
  end
  local arena <close> = open_arena()
  local internal, m = locks.internal(), arena:mutex("m")
  contest("killed within enter / 1 ms", function() internal:lock() end,
    function() internal:unlock() end, 50, 0.005, 1e-3)
  contest("killed with m locked / 250 ms", function() m:lock() end, function() m:unlock() end, 20,
    0.1, 0.25)
end

-- ---- waiting ----

-- The processor's time that five seconds of waiting take, of each kind in a process of its own.
local function bench_waiting()
  local seconds <const> = 5
  local arena <close> = open_arena()
  local m, rw, s = arena:mutex("m"), arena:rwlock("rw"), arena:semaphore("s", 1)
  local c, b, other = arena:condition("c"), arena:barrier("b", 2), arena:mutex("other")
  assert(m:lock() and s:acquire())
  local _ <close> = assert(rw:write())
  local names <const> = { "m:lock()", "rw:read()", "s:acquire()", "c:wait(m)", "b:wait()" }
  local function late(outcome, _, code) assert(not outcome and code == "ETIMEDOUT") end
  local used = locks.cpu {
    function() late(m:lock(seconds)) end,
    function() late(rw:read(seconds)) end,
    function() late(s:acquire(seconds)) end,
    function() other:lock() late(c:wait(other, seconds)) end,
    function() late(b:wait(seconds)) end,
  }
  for i, name in ipairs(names) do
    compare_times { what = ("CPU in 5 s of %s / 10 ms"):format(name), target = 1, rounds = 1,
      count = 1, ours = bound(used[i]), limit = bound(10e-3) }
  end
end

bench.print_machine()
print("method   medians of 15 to 50 rounds in turns (quartiles of the ratio); the loop's own cost")
print("         is left in both; four processes have a core each, where there are four")
print()
bench.print_header()
bench_internal()
bench_calls()
bench_races()
bench_kills()
bench_waiting()
