-- lock.lua: what locks cost beside libc's, the system's and Python's: free ones, ones that several
-- processes want, ones whose owner is killed, ones that are waited for. `make bench` runs it; with
-- an argument, the races that have it in their headings. Touches anonymous memory, a System V
-- semaphore that it removes, and processes of its own.
local shm = require "shm"
local baseline = require "baseline"
local locks = require "locks"
local bench = require "scripts.bench.bench"
local crowd = require "scripts.bench.crowd"
local outside = require "scripts.bench.outside"

local calls <const> = 100000
local unlocking <const> = "take and give"

local function open_arena() return assert(shm.arena(nil, "64K")) end

local function in_c(lock) return function(n) lock:pairs(n) end end

-- ---- free locks ----

local function race_internal()
  local plain, robust = in_c(locks.pthread(false)), in_c(locks.pthread(true))
  bench.race { work = unlocking, at = "a free lock in C", rounds = 31, count = calls,
    { "internal lock, C", in_c(locks.internal()), asks = { { "pthread mutex, C", most = 1.2 } } },
    { "mutex, C", in_c(locks.mutex()), is = "ours" },
    { "pthread mutex, C", plain, is = "limit" },
    { "robust pthread mutex, C", robust } }
end

-- Two calls each, or what holds and gives up by itself.
local object = baseline.object(false)
local function call_nothing(n) for _ = 1, n do object:nothing() object:nothing() end end
local floor <const> = { "2 empty methods", call_nothing, is = "floor" }

-- What Python's own does so many times; it prints the seconds.
local function python(make, name)
  return { name, needs = "python3", new = outside("python3", ([[
import multiprocessing, sys, time
def run(lock, n):
    for _ in range(n): lock.acquire(); lock.release()
lock = multiprocessing.%s
start = time.perf_counter()
run(lock, int(sys.argv[1]))
print(time.perf_counter() - start)
]]):format(make)) }
end

local php <const> = [[<?php
function run($lock, $n) { for ($i = 0; $i < $n; $i++) { sem_acquire($lock); sem_release($lock); } }
$lock = sem_get(random_int(1, 0x7fffffff), 1, 0600);
$start = hrtime(true);
run($lock, $argv[1]);
echo (hrtime(true) - $start) / 1e9;
sem_remove($lock);
]]

local function race_mutex(arena)
  local sysv <close> = locks.sysv()
  local m, robust, nothing = arena:mutex("m"), locks.pthread(true), baseline.nothing
  local function call_lock(n) for _ = 1, n do m:lock() m:unlock() end end
  local function call_guard(n) for _ = 1, n do local _ <close> = m:guard() end end
  local function call_with(n) for _ = 1, n do m:with(nothing) end end
  local function call_robust(n) for _ = 1, n do robust:lock() robust:unlock() end end
  bench.race { work = unlocking, at = "a free mutex", count = calls,
    { "m:lock() m:unlock()", call_lock,
      asks = { { "2 empty methods", most = 1, margin = 50e-9 } } },
    { "m:guard(), closed", call_guard, is = "ours" },
    { "m:with(f)", call_with, is = "ours" },
    { "pthread mutex, C", in_c(locks.pthread(false)), is = "limit" },
    floor,
    { "robust pthread behind calls", call_robust },
    python("Lock()", "Python multiprocessing.Lock"),
    { "System V semaphore, undone, C", in_c(sysv), part = 5 },
    { "flock, C", in_c(locks.file()), part = 5 },
    { "PHP sem_acquire", new = outside("php", php), needs = "php-cli", part = 5, rare = true } }
end

local function race_others(arena)
  local rw, s, c = arena:rwlock("rw"), arena:semaphore("s", 4), arena:condition("c")
  local function call_read(n) for _ = 1, n do rw:read():unlock() end end
  local function call_write(n) for _ = 1, n do rw:write():unlock() end end
  local function call_acquire(n) for _ = 1, n do s:acquire() s:release() end end
  local function call_notify(n) for _ = 1, n do c:notify() end end
  local function call_nothing_once(n) for _ = 1, n do object:nothing() end end
  bench.race { work = unlocking, at = "a free rwlock, to read", count = calls,
    { "rw:read():unlock()", call_read },
    { "pthread rwlock, C", in_c(locks.rwlock(false)), is = "limit" }, floor }
  bench.race { work = unlocking, at = "a free rwlock, to write", count = calls,
    { "rw:write():unlock()", call_write },
    { "pthread rwlock, C", in_c(locks.rwlock(true)), is = "limit" }, floor }
  bench.race { work = unlocking, at = "a semaphore", count = calls,
    { "s:acquire() s:release()", call_acquire },
    { "sem_wait, sem_post, C", in_c(locks.semaphore(4)), is = "limit" }, floor,
    python("Semaphore(4)", "Python multiprocessing.Semaphore") }
  bench.race { work = "notify", at = "nobody waits", count = calls,
    { "c:notify()", call_notify },
    { "empty method", call_nothing_once, is = "floor" } }
end

-- ---- locks that several processes want ----

-- Nothing is asked of the calls from Lua: who waits awake is at a disadvantage where other programs
-- want the processors, too, and the interpreter holds a lock for long enough to be interrupted with
-- it.
local function race_processes(arena, processes)
  local sysv <close> = locks.sysv()
  local m, robust = arena:mutex("m"), locks.pthread(true)
  local function call_lock(n) for _ = 1, n do m:lock() m:unlock() end end
  local function call_robust(n) for _ = 1, n do robust:lock() robust:unlock() end end
  local asks = processes == 4 and { { "robust pthread mutex, C", least = 1 } } or nil
  local function of(lock) return crowd.of(in_c(lock), processes) end
  bench.race { work = "lock by processes", at = processes .. " at once", x = processes,
    unit = "op/s", count = 1, rounds = 7,
    { "m:lock() m:unlock()", crowd.of(call_lock, processes) },
    { "mutex, C", of(locks.mutex()), is = "ours", asks = asks },
    { "internal lock, C", of(locks.internal()), is = "ours", asks = asks },
    { "pthread mutex, C", of(locks.pthread(false)), is = "limit" },
    { "robust pthread behind calls", crowd.of(call_robust, processes), is = "floor" },
    { "robust pthread mutex, C", of(locks.pthread(true)) },
    { "System V semaphore, undone, C", of(sysv) },
    { "flock, C", of(locks.file()) },
    { "Python multiprocessing.Lock", needs = "python3", new = crowd.python([[
def make(context): return context.Lock()
def run(lock, n):
    for _ in range(n): lock.acquire(); lock.release()
]], processes) } }
end

-- ---- a killed owner ----

-- From the kill to the next owner. It has waited for as long as it may be, in its sleep, so that
-- the kill comes at any moment between its looks.
local function race_kills(arena)
  local sysv <close> = locks.sysv()
  local function inheriting(lock, longest)
    local function take() lock:lock() end
    local function give() lock:unlock() end
    return function() return locks.inherit(take, give, 0.005 + math.random() * longest) end
  end
  bench.race { work = "killed owner to the next one", at = "within the core", rounds = 31, count = 1,
    { "internal lock, C", inheriting(locks.internal(), 0.005),
      asks = { { most = 1e-3 }, { most = 0.25, always = true } } },
    { "robust pthread mutex, C", inheriting(locks.pthread(true), 0.005), is = "limit" },
    { "System V semaphore, undone, C", inheriting(sysv, 0.005) },
    { "flock, C", inheriting(locks.file(), 0.005) } }
  bench.race { work = "killed owner to the next one", at = "a mutex", rounds = 20, count = 1,
    { "m:lock()", inheriting(arena:mutex("m"), 0.1),
      asks = { { most = 0.25 }, { most = 0.25, always = true } } } }
end

-- ---- waiting ----

-- The processor's time that so many seconds of waiting take, of each kind in a process of its own.
local function race_waiting()
  if not bench.wanted("waiting") then return end
  local seconds <const> = 3
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
    function() late(s:acquire(1, seconds)) end,
    function() other:lock() late(c:wait(other, seconds)) end,
    function() late(b:wait(seconds)) end,
  }
  local race = { work = "waiting, processor's time", at = seconds .. " s", rounds = 1, count = 1 }
  for i, name in ipairs(names) do
    race[i] = { name, function() return used[i] end, is = "ours", asks = { { most = 6e-3 } } }
  end
  bench.race(race)
end

bench.begin [[medians of 7 to 31 rounds in turns; the loop's own cost is left in all;
  processes have a core each, where there are enough]]
local arena <close> = open_arena()
race_internal()
race_mutex(arena)
race_others(arena)
for _, processes in ipairs { 1, 2, 4, 8 } do race_processes(arena, processes) end
race_kills(arena)
race_waiting()
