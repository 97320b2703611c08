-- segments.lua: all segments of the machine, with what is known of each, and message queues: for ls, top and rm.
local format = require "cli.format"
local names = require "cli.names"
local problem = require "cli.problem"
local processes = require "cli.processes"
local queues = require "cli.queues"
local shm = require "shm"

local segments = {}

-- Is there an arena in it? true and an inspection; true (one that cannot be looked into), nil, and its format if that
-- is another than ours; false; nil: not known, since we may not look.
function segments.look(stat)
  if stat.backing == "messages" then return false end
  local segment <close> = shm.attach(names.handle(stat), { readonly = true })
  if not segment then return nil end
  local inspection, _, code, arena_format = segment:inspect()
  if inspection then return true, inspection end
  if code == "EFAULT" then return nil end
  return code ~= "EPROTOTYPE", nil, arena_format
end

-- Who made it, and whether they live: what the system knows, or an arena.
local function set_creator(stat, inspection)
  if stat.backing == "sysv" then
    stat.creator = stat.cpid ~= 0 and stat.cpid or nil
  elseif inspection then
    stat.creator = inspection.creator
    stat.creator_lives = inspection.creator and inspection.creator_lives
  end
end

-- Nobody has it, and who made it is dead. Of what we cannot know, it is not so; whose mappings we may not see, an
-- arena may still name. An arena that cannot be looked into, as one of another format, is never an orphan.
local function is_orphan(stat, inspection)
  if stat.arena and not inspection then return false end
  return stat.attached == 0 and stat.creator_lives == false and (not inspection or #inspection.handles == 0)
end

-- shm.list(), each with: attached, creator, creator_lives, command, owner, arena, orphan; `inspection` beside.
function segments.list()
  local list, inspections, mapped = problem.check(shm.list()), {}, nil
  for _, stat in ipairs(list) do
    if stat.name then mapped = mapped or processes.mapped() end
    stat.attached = stat.nattch or stat.ino and (mapped[stat.ino] or 0) -- a message queue has no memory to attach to
  end
  for _, stat in ipairs(list) do
    stat.arena, inspections[stat], stat.format = segments.look(stat)
    set_creator(stat, inspections[stat])
    stat.owner = processes.user(stat.uid)
    stat.command = stat.creator and stat.creator_lives and processes.command(stat.creator) or nil
    stat.orphan = is_orphan(stat, inspections[stat])
  end
  return list, inspections
end

-- What the list of all has of a name, an identifier or a key, if it is there: so the right to read is not needed, and
-- attaching changes nothing of it.
function segments.find(name)
  for _, stat in ipairs(problem.check(shm.list())) do
    if stat.backing == "messages" then return nil end -- they come last
    local is_it = type(name) == "table" and stat.id == name.id or stat.name == name
      or math.type(name) and stat.key and stat.key & 0xffffffff == name
    if is_it then return stat end
  end
end

local function notes(stat, inspection)
  if stat.backing == "messages" then return queues.note(stat) end
  local list = { stat.orphan and "orphan" or nil }
  if inspection then
    list[#list + 1] = "arena, " .. format.many(#inspection.objects, "object")
  elseif stat.format then
    list[#list + 1] = ("arena of format %d"):format(stat.format)
  elseif stat.arena then
    list[#list + 1] = "arena, not readable"
  elseif stat.arena == nil then
    list[#list + 1] = "closed to us"
  end
  if stat.removed then list[#list + 1] = "removed" end
  if stat.locked then list[#list + 1] = "locked" end
  return table.concat(list, ", ")
end

local columns = {
  { title = "NAME OR KEY", least = 12 }, { title = "ID", right = true }, { title = "SIZE", right = true },
  { title = "OWNER" }, { title = "MODE" }, { title = "ATTACHED", right = true }, { title = "CREATOR", least = 10 },
  { title = "NOTES", least = 5 },
}

local function row(stat, inspection)
  local creator = stat.creator and processes.describe(stat.creator, stat.creator_lives) or "-"
  local is_private = not stat.name and stat.key == 0
  return {
    { text = is_private and "private" or names.printable(names.of(stat)), style = stat.arena and "name" or nil },
    stat.id and tostring(stat.id) or "-", format.size(stat.size), stat.owner, stat.mode, tostring(stat.attached or "-"),
    { text = creator, style = stat.creator_lives == false and "dim" or nil },
    { text = notes(stat, inspection), style = stat.orphan and "warn" or nil },
  }
end

-- Lines of a table of them, within so many columns.
function segments.table(list, inspections, width)
  local rows = {}
  for i, stat in ipairs(list) do rows[i] = row(stat, inspections[stat]) end
  return format.table(columns, rows, width)
end

return segments
