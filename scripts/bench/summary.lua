-- summary.lua: the table of what make bench has found, for reading: each work with ours, the least
-- that it can take, and the best that others have. `make plots` runs it, with a folder: bench.csv is
-- read there, and bench.md is written there. Touches that folder.
local figures = require "scripts.bench.figures"
local results = require "scripts.bench.results"

local function row(...) return "| " .. table.concat({ ... }, " | ") .. " |" end

local function figure(one) return figures.figure(one.median, one.unit) end

-- "ahead 2.5 x", as times faster; "behind" as times slower.
local function standing(ours)
  if not ours.peer_ratio then return "" end
  local word = figures.standing({ low = ours.peer_low, high = ours.peer_high }, ours.unit)
  local times = ours.peer_ratio
  if times < 1 then times = 1 / times end
  return ("%s, %s x"):format(word == "behind" and "**behind**" or word, figures.ratio(times))
end

-- The races of the file, each with its rows.
local function races(rows)
  local list, last = {}, nil
  for _, one in ipairs(rows) do
    local heading = one.work .. (one.at and ", " .. one.at or "")
    if not last or last.heading ~= heading then
      last = { heading = heading }
      list[#list + 1] = last
    end
    table.insert(last, one)
  end
  return list
end

local function find(race, column, value)
  for _, one in ipairs(race) do
    if one[column] == value then return one end
  end
end

local function summarize(rows)
  local lines = { row("work", "shm", "best of the others", "ours is", "the least, in C"),
    row("---", "---:", "---:", "---", "---:") }
  for _, race in ipairs(races(rows)) do
    local ours, limit = race[1], find(race, "is", "limit")
    local peer = find(race, "contestant", ours.peer)
    if peer then
      lines[#lines + 1] = row(race.heading, figure(ours),
        ("%s (%s)"):format(figure(peer), peer.contestant), standing(ours), limit and figure(limit) or "")
    end
  end
  return lines
end

local folder <const> = assert(arg[1], "usage: summary.lua FOLDER, in which there is a bench.csv")
local rows <const> = results.read(folder .. "/bench.csv")
local file <close> = assert(io.open(folder .. "/bench.md", "w"))
file:write(table.concat(summarize(rows), "\n"), "\n\n", table.concat(rows.about, "  \n"), "\n")
print(folder .. "/bench.md")
