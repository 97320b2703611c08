-- watch.lua: `shm watch NAME`: a hexdump that refreshes, and marks the bytes that have changed.
local commandline = require "cli.commandline"
local hexdump = require "cli.hexdump"
local names = require "cli.names"
local output = require "cli.output"
local problem = require "cli.problem"
local screen = require "cli.screen"

local watch = { summary = "Show a hexdump that refreshes and marks what has changed; q leaves." }

watch.example = "shm watch /prices --offset 0x40 --interval 0.2"

function watch.describe(command)
  command:argument("NAME", "Of a segment."):target("name")
  command:option("-o --offset", "Bytes from the start; j, k, space and b move."):argname("BYTES")
    :convert(commandline.whole):default("0")
  command:option("-i --interval", "Seconds between two looks."):argname("SECONDS"):convert(commandline.seconds)
    :default("0.5")
  command:option("-n --refreshes", "How many looks; without it, until q, or one where there is no terminal.")
    :argname("N"):convert(commandline.whole)
end

-- By how many rows each key moves.
local function moves(keys, page)
  keys = keys:gsub("\27%[A", "k"):gsub("\27%[B", "j"):gsub("\27%[5~", "b"):gsub("\27%[6~", " ")
  local rows, steps = 0, { j = 1, k = -1, [" "] = page, b = -page }
  for key in keys:gmatch(".") do rows = rows + (steps[key] or 0) end
  return rows
end

local function count_changes(bytes, before)
  local changes = 0
  for i = 1, before and #bytes or 0 do
    if bytes:byte(i) ~= before:byte(i) then changes = changes + 1 end
  end
  return changes
end

-- The part of the segment that is shown: from where, and what was there when it was looked at before.
local function draw_from(segment, name, offset)
  local at, before, from = offset, nil, nil
  return function(width, height, keys)
    local rows = (height or 24) - 2
    local last = math.max(0, (#segment - 1) // hexdump.ROW * hexdump.ROW)
    at = math.max(0, math.min(at + hexdump.ROW * moves(keys, rows), last))
    local bytes = problem.check(segment:read(math.min(rows * hexdump.ROW, #segment - at), at))
    if from ~= at then before = nil end
    local changes = count_changes(bytes, before)
    local lines = { screen.title(("%s  %d bytes"):format(names.printable(name), #segment),
      ("%d changed  %s  q leaves"):format(changes, os.date("%H:%M:%S")), width), "" }
    for i = 1, #bytes, hexdump.ROW do
      local old = before and before:sub(i, i + hexdump.ROW - 1)
      lines[#lines + 1] = hexdump.line(at + i - 1, bytes:sub(i, i + hexdump.ROW - 1), old)
    end
    before, from = bytes, at
    if not output.is_terminal then lines[#lines + 1] = "" end
    return lines
  end
end

function watch.run(options)
  local segment <close> = names.attach(options.name, { readonly = true })
  if options.offset >= #segment then
    problem.fail(("offset %d is behind the end, at %d"):format(options.offset, #segment))
  end
  return screen.run { interval = options.interval, count = options.refreshes,
    draw = draw_from(segment, options.name, options.offset) }
end

return watch
