-- segment.lua: what segments cost, as ratios to what the machine can do in the same run: calls and
-- copies of baseline.c. `make bench` runs it. Touches memory of its own only, and removes it.
-- A figure alone says little on a shared machine, so the contestants take turns, round by round:
-- what disturbs one disturbs the other, and the median of the rounds' ratios is reported.
local shm = require "shm"
local baseline = require "baseline"
local now, nothing = baseline.now, baseline.nothing
local memcpy, pushlstring = baseline.memcpy, baseline.pushlstring

-- ---- the machine ----

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function print_machine()
  local cpuinfo = read_file("/proc/cpuinfo")
  local model = cpuinfo:match("model name%s*:%s*([^\n]+)") or "unknown CPU"
  local _, cores = cpuinfo:gsub("%f[^\n\0]processor%s*:", "")
  print(("machine  %s, %d cores"):format(model, cores))
  print("kernel   " .. read_file("/proc/sys/kernel/osrelease"):match("%S+"))
  print("lua      " .. baseline.lua_release)
  print("load     " .. read_file("/proc/loadavg"):match("%S+ %S+ %S+"))
end

-- ---- samples ----

-- Seconds that one of `count` calls takes, from a heap without garbage on, with the collector at
-- work as in any script.
local function sample(run, count)
  collectgarbage()
  local start = now()
  run(count)
  return (now() - start) / count
end

-- The same for calls that leave large strings. Each is timed alone, without the collector, which
-- then gives the string's memory back to malloc: fresh pages for each would hide the copy's cost.
local function sample_alone(run, count)
  local seconds = 0
  collectgarbage("stop")
  for _ = 1, count do
    collectgarbage()
    local start = now()
    run(1)
    seconds = seconds + now() - start
  end
  collectgarbage("restart")
  return seconds / count
end

local function quantile(values, share)
  local place = 1 + (#values - 1) * share
  local below = math.floor(place)
  local above = math.min(below + 1, #values)
  return values[below] + (values[above] - values[below]) * (place - below)
end

local function summary(values)
  table.sort(values)
  local low, high = quantile(values, 0.25), quantile(values, 0.75)
  return { low = low, median = quantile(values, 0.5), high = high }
end

-- Runs contest.ours and contest.limit in turns and returns the summaries of their times and of
-- ours / limit. contest.loop is what both have beside the call that is measured.
local function compare(contest)
  local ours, limit, ratio = {}, {}, {}
  local take, count = contest.sample or sample, contest.count
  for round = 0, contest.rounds do
    local first, second = contest.ours, contest.limit
    if round % 2 == 1 then first, second = second, first end
    local a, b = take(first, count), take(second, count)
    if round % 2 == 1 then a, b = b, a end
    local loop = contest.loop and take(contest.loop, count) or 0
    if round > 0 then -- round 0 warms up
      ours[round], limit[round] = a - loop, b - loop
      ratio[round] = ours[round] / limit[round]
    end
  end
  return summary(ours), summary(limit), summary(ratio)
end

-- ---- the table ----

local row = "%-32s %11s %11s %6s  %-14s  %-8s %s"

local function print_row(...) print((row:format(...):gsub("%s+$", ""))) end

local function verdict(met) return met and "met" or "MISSED" end

-- A contest of times: at most contest.target times the limit; without a target, for information.
local function compare_times(contest)
  local ours, limit, ratio = compare(contest)
  local long = limit.median > 1e-6
  local function time(seconds)
    return long and ("%.2f us"):format(seconds * 1e6) or ("%.1f ns"):format(seconds * 1e9)
  end
  local target = contest.target
  print_row(contest.what, time(ours.median), time(limit.median), ("%.2f"):format(ratio.median),
    ("(%.2f..%.2f)"):format(ratio.low, ratio.high), target and ("<= %g"):format(target) or "-",
    target and verdict(ratio.median <= target) or "")
end

-- A contest of throughputs: at least contest.target times the limit. Throughput is the inverse of
-- time, so the ratio and its quartiles are turned upside down.
local function compare_throughputs(contest)
  local ours, limit, ratio = compare(contest)
  local function rate(seconds) return ("%.2f GB/s"):format(contest.bytes / seconds * 1e-9) end
  print_row(contest.what, rate(ours.median), rate(limit.median), ("%.2f"):format(1 / ratio.median),
    ("(%.2f..%.2f)"):format(1 / ratio.high, 1 / ratio.low), (">= %g"):format(contest.target),
    verdict(1 / ratio.median >= contest.target))
end

-- ---- 64 bytes: the cost of a call ----

-- The empty loop is subtracted from both: left in, it would flatter every ratio. The collector
-- runs, as it does in a script: what a read leaves to it is a cost of reading.
local function bench_calls()
  local rounds <const>, count <const> = 41, 200000
  local segment <close> = assert(shm.create(nil, 4096, { populate = true }))
  local address = segment:stat().address
  local data = ("x"):rep(64)

  local function loop(n) for _ = 1, n do end end
  local function call_nothing(n) for _ = 1, n do nothing() end end
  local function call_memcpy(n) for _ = 1, n do memcpy(address, data) end end
  local function call_pushlstring(n) for _ = 1, n do pushlstring(address, 64) end end
  local function call_write(n) for _ = 1, n do segment:write(data) end end
  local function call_read(n) for _ = 1, n do segment:read(64, 0) end end

  local function contest(what, ours, limit, target)
    compare_times { what = what, ours = ours, limit = limit, loop = loop, rounds = rounds,
      count = count, target = target }
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
    sample = sample_alone, target = 0.95 }
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

print_machine()
print("method   medians of 31 or 41 rounds in turns (quartiles of the ratio); an empty loop's time")
print("         is subtracted from all times of 64 B")
print()
print_row("what / its limit", "ours", "limit", "ratio", "(quartiles)", "target", "")
bench_calls()
bench_copies("64 KiB", 64 << 10)
bench_copies("1 MiB", 1 << 20)
bench_copies("16 MiB", 16 << 20)
bench_copies("64 MiB", 64 << 20)
-- Lua seeds its random numbers anew in each process: two benchmarks at once do not meet.
local number = math.random(1, 0x7fffffff)
bench_cycle("cycle, System V / system calls", number, baseline.sysv_cycle)
bench_cycle("cycle, POSIX / system calls", "/shm_bench_" .. number, baseline.posix_cycle)
