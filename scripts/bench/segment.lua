-- segment.lua: what segments cost, as ratios to what the machine can do in the same run: calls and
-- copies of baseline.c. `make bench` runs it. Touches memory of its own only, and removes it.
local shm = require "shm"
local baseline = require "baseline"
local bench = require "scripts.bench.bench"
local nothing, memcpy, pushlstring = baseline.nothing, baseline.memcpy, baseline.pushlstring
local compare_times, compare_throughputs = bench.compare_times, bench.compare_throughputs

-- ---- 64 bytes: the cost of a call ----

-- The collector runs, as it does in a script: what a read leaves to it is a cost of reading.
local function bench_calls()
  local rounds <const>, count <const> = 41, 200000
  local segment <close> = assert(shm.create(nil, 4096, { populate = true }))
  local address = segment:stat().address
  local data = ("x"):rep(64)

  local function call_nothing(n) for _ = 1, n do nothing() end end
  local function call_memcpy(n) for _ = 1, n do memcpy(address, data) end end
  local function call_pushlstring(n) for _ = 1, n do pushlstring(address, 64) end end
  local function call_write(n) for _ = 1, n do segment:write(data) end end
  local function call_read(n) for _ = 1, n do segment:read(64, 0) end end

  local function contest(what, ours, limit, target)
    compare_times { what = what, ours = ours, limit = limit, rounds = rounds, count = count,
      target = target }
  end
  contest("write 64 B / empty call", call_write, call_nothing, 6)
  contest("read 64 B / empty call", call_read, call_nothing, 9)
  contest("write 64 B / memcpy", call_write, call_memcpy)
  contest("read 64 B / lua_pushlstring", call_read, call_pushlstring)
end

-- ---- 64 KiB to 64 MiB: the speed of the copy ----

-- The same string into, and the same bytes out of, the same mapping, whose pages are all there.
local function bench_copies(name, size)
  local segment <close> = assert(shm.create(nil, size, { populate = true }))
  local address = segment:stat().address
  local data = ("x"):rep(size)

  local function call_memcpy(n) for _ = 1, n do memcpy(address, data) end end
  local function call_pushlstring(n) for _ = 1, n do pushlstring(address, size) end end
  local function call_write(n) for _ = 1, n do segment:write(data) end end
  local function call_read(n) for _ = 1, n do segment:read(size, 0) end end

  compare_throughputs { what = ("write %s / memcpy"):format(name), ours = call_write,
    limit = call_memcpy, rounds = 31, count = math.max((256 << 20) // size, 1), bytes = size,
    target = 0.9 }
  compare_throughputs { what = ("read %s / lua_pushlstring"):format(name), ours = call_read,
    limit = call_pushlstring, rounds = 31, count = math.max((32 << 20) // size, 1), bytes = size,
    sample = bench.sample_alone, target = 0.95 }
end

-- ---- create, attach, detach, remove ----

local function bench_cycle(what, name, bare)
  local size <const> = 4096
  assert(shm.create(name, size)):remove() -- it was free, so from here on it is ours to remove
  local _ <close> = setmetatable({}, { __close = function() shm.remove(name) end })
  local function call_bare(n) for _ = 1, n do bare(name, size) end end
  local function call_cycle(n)
    for _ = 1, n do
      local a = shm.create(name, size)
      local b = shm.attach(name)
      b:close()
      a:remove()
      a:close()
    end
  end
  compare_times { what = what, ours = call_cycle, limit = call_bare, rounds = 41,
    count = 1000, target = 1.3 }
end

bench.print_machine()
print("method   medians of 31 or 41 rounds in turns (quartiles of the ratio); the loop's own cost")
print("         is left in both")
print()
bench.print_header()
bench_calls()
bench_copies("64 KiB", 64 << 10)
bench_copies("1 MiB", 1 << 20)
bench_copies("16 MiB", 16 << 20)
bench_copies("64 MiB", 64 << 20)
-- Lua seeds its random numbers anew in each process: two benchmarks at once do not meet.
local number = math.random(1, 0x7fffffff)
bench_cycle("cycle, System V / system calls", number, baseline.sysv_cycle)
bench_cycle("cycle, POSIX / system calls", "/shm_bench_" .. number, baseline.posix_cycle)
