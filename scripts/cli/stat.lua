-- stat.lua: `shm stat NAME`: all that the system knows of a segment.
local format = require "cli.format"
local json = require "cli.json"
local names = require "cli.names"
local output = require "cli.output"
local problem = require "cli.problem"
local processes = require "cli.processes"
local shm = require "shm"

local stat = { summary = "Say what the system knows of a segment." }

stat.example = "shm stat 0x0000000d"

function stat.describe(command)
  command:argument("NAME", "Of a segment."):target("name")
  command:flag("--json", "As JSON, in exact numbers.")
end

local order = { "backing", "name", "key", "id", "size", "allocated", "mode", "uid", "gid", "cuid", "cgid", "nattch",
  "cpid", "creator_lives", "lpid", "atime", "dtime", "ctime", "mtime", "removed", "locked", "seq", "ino" }

local function value_of(field, value)
  if field == "size" or field == "allocated" then return ("%s (%d bytes)"):format(format.size(value), value) end
  if field == "key" then return ("0x%08x"):format(value & 0xffffffff) end
  if field == "name" then return names.printable(value) end
  if field:find("time$") then return format.time(value) end
  if field:find("uid$") then return ("%d (%s)"):format(value, processes.user(value)) end
  if field == "cpid" or field == "lpid" then return value == 0 and "0" or processes.describe(value) end
  return tostring(value)
end

-- As the list of all has it: so the right to read is not needed, and attaching changes nothing of it.
local function find(name)
  for _, found in ipairs(problem.check(shm.list())) do
    local is_it = type(name) == "table" and found.id == name.id or found.name == name
      or math.type(name) and found.key == name
    if is_it then return found end
  end
end

local function inspect(name)
  local segment <close> = problem.call(shm.attach, name, { readonly = true })
  return segment and segment:inspect()
end

local function look(text)
  local name = names.parse(text)
  local found = find(name)
  if found then return found, inspect(name) end
  local segment <close> = names.attach(text, { readonly = true }) -- which says why it is not there
  return problem.check(segment:stat()), (segment:inspect())
end

function stat.run(options)
  local found, inspection = look(options.name)
  if options.json then
    found.arena = inspection ~= nil
    return output.line(json.encode(found))
  end
  for _, field in ipairs(order) do
    if found[field] ~= nil then output.line(("%-14s %s"):format(field, value_of(field, found[field]))) end
  end
  output.line(("%-14s %s"):format("arena", inspection and ("yes, of %d objects"):format(#inspection.objects) or "no"))
end

return stat
