-- report.lua: what is said of a race: a table to read, and rows of comma-separated values for
-- plots, in the file that SHM_RESULTS names. Touches standard output and that file.
local machine = require "scripts.bench.machine"

local report = {}

-- ---- figures ----

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

function report.figure(value, unit)
  local scale = scale_of(value, unit)
  local number = value / scale[1]
  return (digits(number) .. " %s"):format(number, scale[2])
end

local function quartiles(summary, unit)
  local factor = scale_of(summary.median, unit)[1]
  local format = digits(summary.median / factor)
  return (format .. ".." .. format):format(summary.low / factor, summary.high / factor)
end

function report.ratio(value)
  return value and (value < 0.1 and "%.3f" or value < 100 and "%.2f" or "%.0f"):format(value) or ""
end

-- ---- the table ----

local row <const> = "  %-30s %11s  %-15s %8s %8s  %s"

local function print_row(...) print((row:format(...):gsub("%s+$", ""))) end

-- Where from: once, before the first race. `method` are lines.
function report.begin(method)
  io.stdout:setvbuf("line")
  print(table.concat(machine.lines(), "\n"))
  print("method   " .. method:gsub("\n *", "\n         "))
  print()
  print_row("", "median", "quartiles", "/ limit", "/ best", "")
end

function report.less_is_better(unit) return unit == "s" or unit == "B" end

function report.heading(race)
  print(("%s%s: %s is better"):format(race.work, race.at and ", " .. race.at or "",
    report.less_is_better(race.unit) and "less" or "more"))
end

-- How ours stands to the best of the peers; nothing is concluded of a difference that is smaller
-- than the spread.
local function standing(result, unit)
  local ratio = result.to_peer
  if not ratio then return end
  local ahead, behind = ratio.high < 1, ratio.low > 1
  if not report.less_is_better(unit) then ahead, behind = behind, ahead end
  return ("%s %s"):format(ahead and "ahead of" or behind and "behind" or "undecided with",
    result.peer)
end

function report.line(result, race)
  local notes = {}
  if result.is ~= "ours" and result.is ~= "peer" then notes[1] = "the " .. result.is end
  notes[#notes + 1] = standing(result, race.unit)
  for _, ask in ipairs(result.asks or {}) do notes[#notes + 1] = ask end
  print_row(result.name, report.figure(result.median, race.unit), quartiles(result, race.unit),
    report.ratio(result.to_limit and result.to_limit.median),
    report.ratio(result.to_peer and result.to_peer.median), table.concat(notes, "; "))
end

function report.missing(name, why) print_row(name, "-", "", "", "", why) end

-- ---- the file ----

local columns <const> = { "work", "at", "x", "contestant", "is", "unit", "rounds", "low", "median",
  "high", "limit_ratio", "limit_low", "limit_high", "peer", "peer_ratio", "peer_low", "peer_high",
  "asked" }

local function quoted(value)
  if value == nil then return "" end
  if type(value) == "number" then return ("%.6g"):format(value) end
  return '"' .. value:gsub('"', '""') .. '"'
end

local function write_row(file, values)
  local cells = {}
  for i, column in ipairs(columns) do cells[i] = quoted(values[column]) end
  file:write(table.concat(cells, ","), "\n")
end

local function open_results()
  local path = os.getenv("SHM_RESULTS")
  if not path then return nil end
  local file = assert(io.open(path, "a"))
  if file:seek("end") == 0 then
    file:write("# ", table.concat(machine.lines(), "\n# "), "\n", table.concat(columns, ","), "\n")
  end
  return file
end

local results

function report.record(result, race)
  results = results or open_results() or false
  if not results then return end
  local limit, peer = result.to_limit or {}, result.to_peer or {}
  write_row(results, { work = race.work, at = race.at, x = race.x, contestant = result.name,
    is = result.is, unit = race.unit, rounds = race.rounds, low = result.low, median = result.median,
    high = result.high, limit_ratio = limit.median, limit_low = limit.low, limit_high = limit.high,
    peer = result.peer, peer_ratio = peer.median, peer_low = peer.low, peer_high = peer.high,
    asked = result.asks and table.concat(result.asks, "; ") })
  results:flush()
end

return report
