-- stat.lua: `shm stat NAME`: all that the system knows of a segment, or of a message queue.
local format = require "cli.format"
local json = require "cli.json"
local names = require "cli.names"
local output = require "cli.output"
local problem = require "cli.problem"
local processes = require "cli.processes"
local queues = require "cli.queues"
local segments = require "cli.segments"

local stat = { summary = "Say what the system knows of a segment, or of a message queue." }

stat.example = "shm stat 0x0000000d"

function stat.describe(command)
  command:argument("NAME", "Of a segment, or of a message queue (mq:0x0000000d, mq:id=4)."):target("name")
  command:flag("--json", "As JSON, in exact numbers.")
end

local order = { "backing", "name", "key", "id", "size", "allocated", "mode", "uid", "gid", "cuid", "cgid", "nattch",
  "cpid", "creator_lives", "lpid", "qnum", "qbytes", "lspid", "lrpid", "stime", "rtime", "atime", "dtime", "ctime",
  "mtime", "removed", "locked", "seq", "ino" }

local function value_of(field, value)
  if field == "size" or field == "allocated" or field == "qbytes" then
    return ("%s (%d bytes)"):format(format.size(value), value)
  end
  if field == "key" then return ("0x%08x"):format(value & 0xffffffff) end
  if field == "name" then return names.printable(value) end
  if field:find("time$") then return format.time(value) end
  if field:find("uid$") then return ("%d (%s)"):format(value, processes.user(value)) end
  if field:find("pid$") then return value == 0 and "0" or processes.describe(value) end
  return tostring(value)
end

local function look(text)
  local queue, missing = queues.find(text)
  if missing then problem.fail(missing) end
  if queue then return queue end
  local found = segments.find(names.parse(text))
  if not found then
    local segment <close> = names.attach(text, { readonly = true }) -- which says why it is not there
    found = problem.check(segment:stat())
  end
  local inspection
  found.arena, inspection, found.format = segments.look(found)
  return found, inspection
end

local function arena_of(found, inspection)
  if inspection then return "yes, of " .. format.many(#inspection.objects, "object") end
  if found.arena == nil then return "not known: it is closed to this user" end
  if found.format then return ("yes, of format %d, which this version does not read"):format(found.format) end
  return found.arena and "yes, which is damaged" or "no"
end

function stat.run(options)
  local found, inspection = look(options.name)
  if options.json then return output.line(json.encode(found)) end
  for _, field in ipairs(order) do
    if found[field] ~= nil then output.line(("%-14s %s"):format(field, value_of(field, found[field]))) end
  end
  if found.backing ~= "messages" then output.line(("%-14s %s"):format("arena", arena_of(found, inspection))) end
end

return stat
