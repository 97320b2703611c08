-- samples.lua: how long something takes: samples of it, and what to say of many. Touches the clock.
local now = require "baseline".now

local samples = {}

-- Seconds that one of `count` calls takes, from a heap without garbage on, with the collector at
-- work as in any script. A run that returns seconds was timed elsewhere.
function samples.running(run, count)
  collectgarbage()
  local start = now()
  local seconds = run(count)
  return (seconds or now() - start) / count
end

-- The same for calls that leave large strings. Each is timed alone, without the collector, which
-- then gives the string's memory back to malloc: fresh pages for each would hide the copy's cost.
function samples.alone(run, count)
  local seconds = 0
  collectgarbage("stop")
  for _ = 1, count do
    collectgarbage()
    local start = now()
    local taken = run(1)
    seconds = seconds + (taken or now() - start)
  end
  collectgarbage("restart")
  return seconds / count
end

-- The same for runs that are timed elsewhere, in processes of their own, and to which the garbage of
-- this one, and the time to collect it, are nothing.
function samples.elsewhere(run, count) return run(count) / count end

local function quantile(sorted, share)
  local place = 1 + (#sorted - 1) * share
  local below = math.floor(place)
  local above = math.min(below + 1, #sorted)
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below)
end

-- The quartiles of what was seen: low, median, high; and the largest.
function samples.summary(values)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  return { low = quantile(sorted, 0.25), median = quantile(sorted, 0.5), high = quantile(sorted, 0.75),
    max = sorted[#sorted] }
end

-- The summary of f(value) for each value, where f turns the order around or keeps it.
function samples.map(values, f)
  local mapped = {}
  for i, value in ipairs(values) do mapped[i] = f(value) end
  return samples.summary(mapped)
end

return samples
