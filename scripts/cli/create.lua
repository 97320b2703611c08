-- create.lua: `shm create NAME SIZE`: a new segment, all zero, or an arena.
local names = require "cli.names"
local output = require "cli.output"
local problem = require "cli.problem"
local shm = require "shm"

local create = { summary = "Create a segment, all zero; it must not exist." }

create.example = "shm create /prices 64K --mode 0640"

function create.describe(command)
  command:argument("NAME", "Of the segment; or the word private, for a System V segment without a key."):target("name")
  command:argument("SIZE", "Bytes, or with a unit: 64K, 1M, 2G."):target("size")
  command:option("--mode", "Permissions in octal digits."):argname("MODE"):default("0600")
  command:flag("--arena", "An arena, which scripts find objects in.")
end

-- What is there already is no arena yet; what can be none is not left behind.
local function make_arena(segment, name, size)
  local id = segment:stat().id
  local called, arena, message = pcall(shm.arena, id and { id = id } or name, size)
  if called and arena then
    local text = tostring(arena)
    arena:close()
    return text
  end
  segment:remove()
  problem.call(error, called and message or arena, 0)
end

function create.run(options)
  local name = options.name == "private" and shm.PRIVATE or names.parse(options.name)
  if type(name) == "table" then problem.misuse("an identifier is given by the system; create takes /name or a key") end
  local size = math.tointeger(tonumber(options.size)) or options.size
  local segment <close> = problem.check(problem.call(shm.create, name, size, { mode = options.mode }))
  output.line(options.arena and make_arena(segment, name, size) or tostring(segment))
end

return create
