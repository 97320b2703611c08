-- top.lua: `shm top`: a screen that refreshes: segments, and the objects of arenas with their rates.
local commandline = require "cli.commandline"
local format = require "cli.format"
local names = require "cli.names"
local objects = require "cli.objects"
local output = require "cli.output"
local screen = require "cli.screen"
local segments = require "cli.segments"
local shm = require "shm"
local uv = require "luv"

local top = { summary = "Show a screen that refreshes: segments, arenas, messages a second; q leaves." }

top.example = "shm top --interval 2"

function top.describe(command)
  command:option("-i --interval", "Seconds between two looks."):argname("SECONDS"):convert(commandline.seconds)
    :default("1")
  command:option("-n --refreshes", "How many looks; without it, until q, or one where there is no terminal.")
    :argname("N"):convert(commandline.whole)
end

local function title(list, inspections, width)
  local bytes, arenas, queues = 0, 0, 0
  for _, stat in ipairs(list) do
    if stat.backing == "messages" then
      queues = queues + 1
    else
      bytes = bytes + stat.size
    end
    if inspections[stat] then arenas = arenas + 1 end
  end
  local limits = shm.limits()
  local left = ("%s of %s, %s"):format(format.many(#list - queues, "segment"), format.size(bytes),
    format.many(arenas, "arena"))
  if queues > 0 then left = left .. ", " .. format.many(queues, "message queue") end
  if limits and limits.posix_size ~= math.maxinteger then
    left = left .. ("; %s of %s free in /dev/shm"):format(format.size(limits.posix_free),
      format.size(limits.posix_size))
  end
  return screen.title(left, os.date("%H:%M:%S") .. "  q leaves", width)
end

-- At most so many lines of a table; the last says how many more there are.
local function some(lines, most, into)
  local cut = #lines > most
  for i = 1, cut and most - 1 or #lines do into[#into + 1] = lines[i] end
  if cut then into[#into + 1] = output.paint("dim", ("... %d more lines"):format(#lines - most + 1)) end
end

local function add_arena(lines, stat, inspection, past, seconds, width)
  lines[#lines + 1] = ""
  local text = ("%s  %s used of %s, %s"):format(names.printable(names.of(stat)), format.size(inspection.used),
    format.size(inspection.size), objects.opened(inspection))
  lines[#lines + 1] = output.paint("head", format.cut(text, width or math.huge))
  if #inspection.objects == 0 then return end
  for _, line in ipairs(objects.table(inspection, past, seconds, width)) do lines[#lines + 1] = line end
end

-- Keeps the look before, for the rates.
local function drawer()
  local past, looked = {}, nil
  return function(look)
    local width, height = look.width, look.height or math.huge
    local list, inspections = segments.list()
    local now = uv.hrtime()
    local seconds, next_past, arenas = looked and (now - looked) / 1e9 or 0, {}, {}
    for _, stat in ipairs(list) do
      local inspection = inspections[stat]
      if inspection then
        add_arena(arenas, stat, inspection, past[stat.name or stat.id], seconds, width)
        next_past[stat.name or stat.id] = objects.by_name(inspection)
      end
    end
    past, looked = next_past, now
    local lines = { title(list, inspections, width), "" }
    local room = height - #lines
    local half = #arenas == 0 and room or math.max(room // 2, room - #arenas)
    some(segments.table(list, inspections, width), half, lines)
    some(arenas, height - #lines, lines)
    return lines
  end
end

function top.run(options)
  return screen.run { interval = options.interval, count = options.refreshes, draw = drawer() }
end

return top
