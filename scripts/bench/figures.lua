-- figures.lua: figures for people: a value with its unit, a ratio, what can be concluded. Touches
-- nothing.

local figures = {}

local scales <const> = {
  s = { { 1e-9, "ns" }, { 1e-6, "us" }, { 1e-3, "ms" }, { 1, "s" } },
  ["op/s"] = { { 1, "/s" }, { 1e3, "K/s" }, { 1e6, "M/s" } },
  ["B/s"] = { { 1e6, "MB/s" }, { 1e9, "GB/s" } },
  B = { { 1, "B" } },
}

-- The largest unit that leaves something before the point.
local function scale_of(value, unit)
  local all = scales[unit]
  local found = all[1]
  for _, scale in ipairs(all) do
    if value >= scale[1] then found = scale end
  end
  return found
end

local function digits(value) return value < 10 and "%.2f" or value < 100 and "%.1f" or "%.0f" end

function figures.figure(value, unit)
  local scale = scale_of(value, unit)
  local number = value / scale[1]
  return (digits(number) .. " %s"):format(number, scale[2])
end

function figures.quartiles(summary, unit)
  local factor = scale_of(summary.median, unit)[1]
  local format = digits(summary.median / factor)
  return (format .. ".." .. format):format(summary.low / factor, summary.high / factor)
end

function figures.ratio(value)
  return value and (value < 0.1 and "%.3f" or value < 100 and "%.2f" or "%.0f"):format(value) or ""
end

-- How ours stands to the best of the peers; nothing is concluded of a difference that is smaller
-- than the spread.
function figures.standing(ratio, unit)
  local ahead, behind = ratio.high < 1, ratio.low > 1
  if not figures.less_is_better(unit) then ahead, behind = behind, ahead end
  return ahead and "ahead" or behind and "behind" or "undecided"
end

function figures.less_is_better(unit) return unit == "s" or unit == "B" end

return figures
