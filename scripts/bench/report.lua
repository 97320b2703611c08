-- report.lua: what is said of a race: a table to read, and rows of comma-separated values for
-- plots, in the file that SHM_RESULTS names. Touches standard output and that file.
local figures = require "scripts.bench.figures"
local machine = require "scripts.bench.machine"

local report = {}

-- ---- the table ----

local row <const> = "  %-30s %11s  %-15s %8s %8s  %s"

local function print_row(...) print((row:format(...):gsub("%s+$", ""))) end

-- Where from: once, before the first race. `method` are lines.
function report.begin(method)
  io.stdout:setvbuf("line")
  print(table.concat(machine.lines(), "\n"))
  print("method   " .. method:gsub("\n *", "\n         "))
  print()
  print_row("", "median", "quartiles", "/ limit", "/ peer", "")
end

function report.heading(race)
  print(("%s%s: %s is better"):format(race.work, race.at and ", " .. race.at or "",
    figures.less_is_better(race.unit) and "less" or "more"))
end

function report.line(result, race)
  local notes = {}
  if result.is ~= "ours" and result.is ~= "peer" then notes[1] = "the " .. result.is end
  if result.to_peer then
    notes[#notes + 1] = ("%s: %s"):format(figures.standing(result.to_peer, race.unit), result.peer)
  end
  for _, ask in ipairs(result.asks or {}) do notes[#notes + 1] = ask end
  print_row(result.name, figures.figure(result.median, race.unit), figures.quartiles(result, race.unit),
    figures.ratio(result.to_limit and result.to_limit.median),
    figures.ratio(result.to_peer and result.to_peer.median), table.concat(notes, "; "))
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
  write_row(results, { work = race.work, at = race.at, x = result.x or race.x,
    contestant = result.as or result.name,
    is = result.is, unit = race.unit, rounds = race.rounds, low = result.low, median = result.median,
    high = result.high, limit_ratio = limit.median, limit_low = limit.low, limit_high = limit.high,
    peer = result.peer, peer_ratio = peer.median, peer_low = peer.low, peer_high = peer.high,
    asked = result.asks and table.concat(result.asks, "; ") })
  results:flush()
end

return report
