-- read.lua: `shm read NAME`: what is in a segment: as a hexdump, as elements, or as it is.
local commandline = require "cli.commandline"
local hexdump = require "cli.hexdump"
local names = require "cli.names"
local output = require "cli.output"
local problem = require "cli.problem"

local read = { summary = "Show what is in a segment: a hexdump, or elements of a type." }

read.example = "shm read /prices --type f64 --offset 64 --count 8"

local CHUNK = 65536

function read.describe(command)
  command:argument("NAME", "Of a segment."):target("name")
  command:option("-o --offset", "Bytes from the start."):argname("BYTES"):convert(commandline.whole):default("0")
  command:option("-c --count", "How many bytes, or elements; without it, all."):argname("N"):convert(commandline.whole)
  command:mutex(
    command:option("-t --type", "Elements of a type, one a line."):argname("TYPE")
      :choices { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" },
    command:flag("--raw", "The bytes as they are."))
end

-- Pieces of a segment, with their offsets, in order.
local function chunks(segment, first, count)
  local at, last = first, first + count
  return function()
    if at >= last then return nil end
    local offset = at
    at = math.min(last, at + CHUNK)
    return offset, problem.check(segment:read(at - offset, offset))
  end
end

-- Lines that say the same as the one before are a star, as in hexdump(1).
local function dump(segment, first, count)
  local before, is_starred
  for start, bytes in chunks(segment, first, count) do
    for i = 1, #bytes, hexdump.ROW do
      local row = bytes:sub(i, i + hexdump.ROW - 1)
      if row ~= before then output.line((hexdump.line(start + i - 1, row, hexdump.ROW))) end
      if row == before and not is_starred then output.line("*") end
      before, is_starred = row, row == before
    end
  end
  output.line(output.paint("dim", ("%08x"):format(first + count)))
end

local function show_elements(segment, options)
  local view = problem.call(segment.view, segment, options.type, options.offset, options.count)
  for i = 1, #view do
    local value = view[i]
    output.line(math.type(value) == "float" and ("%.17g"):format(value) or tostring(value))
  end
end

-- Elements of an arena lie in its arrays, not where the offset says.
local function hint_at_arena(segment, name)
  if not segment:inspect() then return end
  io.stderr:write("shm: ", names.printable(name), " is an arena, shown byte by byte; its objects: shm arena ",
    names.printable(name), "\n")
end

function read.run(options)
  local segment <close> = names.attach(options.name, { readonly = true })
  local size, first = #segment, options.offset
  if first > size then problem.fail(("offset %d is behind the end, at %d"):format(first, size)) end
  if options.type then
    hint_at_arena(segment, options.name)
    return show_elements(segment, options)
  end
  local count = options.count or size - first
  if count > size - first then
    problem.fail(("there are %d bytes from offset %d on, and not %d"):format(size - first, first, count))
  end
  if not options.raw then return dump(segment, first, count) end
  for _, bytes in chunks(segment, first, count) do output.write(bytes) end
end

return read
