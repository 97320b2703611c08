-- watch.lua: `shm watch NAME`: a hexdump that refreshes, and marks the bytes that have changed.
local commandline = require "cli.commandline"
local hexdump = require "cli.hexdump"
local names = require "cli.names"
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

-- Draws the part of the segment that keys move to. What it was before the last tick, by offset, stays until the next,
-- so that neither a key nor a change of the size takes the marks away, or hides a change.
local function draw_from(segment, name, offset)
  local at, older, newer = offset, {}, {}
  return function(look)
    if look.ticked then older, newer = newer, {} end
    local row, rows = hexdump.row(look.width), (look.height or 24) - 2
    local last = math.max(0, (#segment - 1) // row * row)
    at = math.max(0, math.min(at + row * moves(look.keys, rows), last))
    local bytes = problem.check(segment:read(math.min(rows * row, #segment - at), at))
    local lines, changes = { "", "" }, 0
    for start = at, at + #bytes - 1, row do
      local now = bytes:sub(start - at + 1, start - at + row)
      local line, marks = hexdump.line(start, now, row, older[start])
      newer[start] = newer[start] or now
      lines[#lines + 1], changes = line, changes + marks
    end
    lines[1] = screen.title(("%s  %d bytes"):format(names.printable(name), #segment),
      ("%d changed  %s  q leaves"):format(changes, os.date("%H:%M:%S")), look.width)
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
