-- write.lua: `shm write NAME`: bytes, or elements, into a segment, from arguments or standard input.
local commandline = require "cli.commandline"
local names = require "cli.names"
local problem = require "cli.problem"

local write = { summary = "Write into a segment: an argument, or standard input." }

write.example = "printf hello | shm write /prices --offset 100"

function write.describe(command)
  command:argument("NAME", "Of a segment."):target("name")
  command:argument("DATA", "Text; with --type, numbers. Without it, standard input."):target("data"):args("*")
  command:option("-o --offset", "Bytes from the start."):argname("BYTES"):convert(commandline.whole):default("0")
  command:option("-t --type", "DATA are elements of a type."):argname("TYPE")
    :choices { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }
  command:flag("--force", "Also into an arena, whose objects that may damage.")
end

local function numbers(texts)
  if #texts == 0 then problem.misuse("--type needs numbers as arguments") end
  local list = {}
  for i, text in ipairs(texts) do
    list[i] = tonumber(text) or problem.misuse(("%q is no number"):format(text))
  end
  return list
end

local function write_elements(segment, options)
  local list = numbers(options.data)
  local view = problem.call(segment.view, segment, options.type, options.offset, #list)
  problem.call(view.copy, view, list)
end

-- Bytes in the middle of an arena are somebody's lock, as likely as not.
local function refuse_arena(segment, name)
  local inspection, _, code = segment:inspect()
  if not inspection and (code == "EPROTOTYPE" or code == "EFAULT") then return end
  problem.fail(("%s is an arena: writing would damage its objects; see shm arena %s, or give --force"):format(name,
    name))
end

function write.run(options)
  if #options.data > 1 and not options.type then problem.misuse("write takes one DATA; quote it") end
  local segment <close> = names.attach(options.name)
  if not options.force then refuse_arena(segment, options.name) end
  if options.type then return write_elements(segment, options) end
  local data = options.data[1] or problem.check(io.read("a"))
  local room = #segment - options.offset
  if #data > room then
    problem.fail(("%d bytes do not fit: there are %d from offset %d on"):format(#data, math.max(0, room),
      options.offset))
  end
  problem.check(segment:write(data, options.offset))
end

return write
