-- arena.lua: `shm arena NAME`: the objects of an arena, who holds them and who waits, how full, how fast.
local json = require "cli.json"
local names = require "cli.names"
local objects = require "cli.objects"
local output = require "cli.output"
local problem = require "cli.problem"
local uv = require "luv"

local arena = { summary = "Show an arena: its objects, who holds them, how full they are, their rates." }

arena.example = "shm arena /app --interval 2"

local function interval(text)
  local seconds = tonumber(text)
  if seconds and seconds >= 0 and seconds <= 3600 then return seconds end
  return nil, text .. " is not a number of seconds from 0 to 3600"
end

function arena.describe(command)
  command:argument("NAME", "Of an arena."):target("name")
  command:option("-i --interval", "Seconds to look for, to know the rates; 0: no rates."):argname("SECONDS")
    :convert(interval):default("0.5")
  command:flag("--json", "Everything that is known, in exact numbers, as JSON; no rates.")
end

local function has_counts(inspection)
  for _, object in ipairs(inspection.objects) do
    if object.stat and object.kind ~= "semaphore" then return true end
  end
  return false
end

-- An inspection, and what was there an interval before.
local function look(segment, options)
  local first = problem.check(segment:inspect())
  if options.interval == 0 or not has_counts(first) then return first end
  local began = uv.hrtime()
  uv.sleep(math.floor(options.interval * 1000))
  local second = problem.check(segment:inspect())
  return second, objects.by_name(first), (uv.hrtime() - began) / 1e9
end

function arena.run(options)
  local segment <close> = names.attach(options.name, { readonly = true })
  if options.json then return output.line(json.encode(problem.check(segment:inspect()))) end
  local inspection, past, seconds = look(segment, options)
  local width = output.size()
  for _, line in ipairs(objects.heading(options.name, inspection, width)) do output.line(line) end
  if #inspection.objects == 0 then return end
  output.line ""
  for _, line in ipairs(objects.table(inspection, past, seconds, width)) do output.line(line) end
end

return arena
