-- bench.lua: what the benchmarks share: the machine, samples in turns, the table of ratios.
-- A figure alone says little on a shared machine, so the contestants take turns, round by round:
-- what disturbs one disturbs the other, and the median of the rounds' ratios is reported.
local baseline = require "baseline"
local now = baseline.now

local bench = {}

-- ---- the machine ----

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

function bench.print_machine()
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
-- work as in any script. A run that returns seconds was timed elsewhere, or is a figure to keep to.
local function sample(run, count)
  collectgarbage()
  local start = now()
  local seconds = run(count)
  return (seconds or now() - start) / count
end

-- The same for calls that leave large strings. Each is timed alone, without the collector, which
-- then gives the string's memory back to malloc: fresh pages for each would hide the copy's cost.
function bench.sample_alone(run, count)
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
  return { low = low, median = quantile(values, 0.5), high = high, max = values[#values] }
end

-- A limit that is so many seconds for each call.
function bench.bound(seconds) return function(n) return n * seconds end end

-- Runs contest.ours and contest.limit in turns and returns the summaries of their times and of
-- ours / limit. The loop's own cost is left in both. contest.margin, in seconds, is what ours may
-- take beyond the limit, and belongs to it.
local function compare(contest)
  local ours, limit, ratio = {}, {}, {}
  local take, count = contest.sample or sample, contest.count
  for round = 0, contest.rounds do
    local first, second = contest.ours, contest.limit
    if round % 2 == 1 then first, second = second, first end
    local a, b = take(first, count), take(second, count)
    if round % 2 == 1 then a, b = b, a end
    if round > 0 then -- round 0 warms up
      ours[round], limit[round] = a, b + (contest.margin or 0)
      ratio[round] = ours[round] / limit[round]
    end
  end
  return summary(ours), summary(limit), summary(ratio)
end

-- ---- the table ----

local row = "%-32s %11s %11s %6s  %-14s  %-8s %s"

local function print_row(...) print((row:format(...):gsub("%s+$", ""))) end

local function verdict(met) return met and "met" or "MISSED" end

function bench.print_header()
  print_row("what / its limit", "ours", "limit", "ratio", "(quartiles)", "target", "")
end

-- A row that could not be measured, and why.
function bench.print_missing(what, why) print_row(what, "-", "-", "-", "", "-", why) end

local function time(seconds, scale)
  if scale >= 1e-2 then return ("%.2f ms"):format(seconds * 1e3) end
  if scale >= 1e-6 then return ("%.2f us"):format(seconds * 1e6) end
  return ("%.1f ns"):format(seconds * 1e9)
end

-- A contest of times: at most contest.target times the limit; without a target, for information.
-- With contest.show_max, what took longest is said, too.
function bench.compare_times(contest)
  local ours, limit, ratio = compare(contest)
  local target, scale = contest.target, limit.median
  local note = target and verdict(ratio.median <= target) or ""
  if contest.show_max then note = ("%s, max %s"):format(note, time(ours.max, scale)) end
  print_row(contest.what, time(ours.median, scale), time(limit.median, scale),
    ("%.2f"):format(ratio.median), ("(%.2f..%.2f)"):format(ratio.low, ratio.high),
    target and ("<= %g"):format(target) or "-", note)
end

-- A contest of throughputs: at least contest.target times the limit; without a target, for
-- information. A call moves contest.bytes, or is one operation. Throughput is the inverse of time,
-- so the ratio and its quartiles are turned upside down.
function bench.compare_throughputs(contest)
  local ours, limit, ratio = compare(contest)
  local target = contest.target
  local function rate(seconds)
    if not contest.bytes then return ("%.2f M/s"):format(1e-6 / seconds) end
    return ("%.2f GB/s"):format(contest.bytes / seconds * 1e-9)
  end
  print_row(contest.what, rate(ours.median), rate(limit.median), ("%.2f"):format(1 / ratio.median),
    ("(%.2f..%.2f)"):format(1 / ratio.high, 1 / ratio.low),
    target and (">= %.3g"):format(target) or "-",
    target and verdict(1 / ratio.median >= target) or "")
end

-- What each of something needs in bytes, and may.
function bench.print_bytes(what, bytes, limit, note)
  print_row(what, ("%.1f B"):format(bytes), ("%.1f B"):format(limit),
    ("%.2f"):format(bytes / limit), "", "<= 1", verdict(bytes <= limit) .. ", " .. note)
end

-- ---- Python ----

-- The seconds that a script prints, which is called with a word and a count; nil where it cannot.
local function python(script, what, count)
  local interpreter = os.getenv("PYTHON") or "python3"
  local command = ("%s -c '%s' %s %d 2>/dev/null"):format(interpreter, script, what, count)
  local process <close> = assert(io.popen(command))
  return process:read("n")
end

-- A contest whose limit is Python, in turns as all others: each sample is a process, which does a
-- contest.part of what ours does. Where that cannot be, the row says that there is no
-- contest.needs.
function bench.compare_python(contest, script, what)
  if not python(script, what, 1) then
    return bench.print_missing(contest.what, "no " .. contest.needs)
  end
  local part = contest.part or 1
  contest.limit = function(n) return python(script, what, n // part) * part end
  contest.rounds = contest.rounds or 15
  local run = contest.compare or bench.compare_times
  run(contest)
end

return bench
