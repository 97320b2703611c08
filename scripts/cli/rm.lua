-- rm.lua: `shm rm NAME...`: takes names away, of segments and of message queues; or those that nobody has and whose
-- creator is dead.
local names = require "cli.names"
local output = require "cli.output"
local problem = require "cli.problem"
local processes = require "cli.processes"
local queues = require "cli.queues"
local segments = require "cli.segments"
local shm = require "shm"
local uv = require "luv"

local rm = { summary = "Remove segments and message queues; memory goes with the last who is attached." }

rm.example = "shm rm --orphans --dry-run"

function rm.describe(command)
  command:argument("NAME", "Of segments, or of message queues (mq:0x0000000d, mq:id=4)."):target("names"):args("*")
  command:flag("--orphans", "All that nobody is attached to, and whose creator is dead: of System V segments the "
    .. "system knows, of POSIX objects only arenas say it.")
  command:flag("-n --dry-run", "Only say what would be removed.")
end

-- Names as they were given, and those that orphans have, with what the module calls them.
local function chosen(options)
  local list = {}
  for i, text in ipairs(options.names) do
    local queue, missing = queues.find(text)
    local name = not (queue or missing) and names.parse(text)
    list[i] = { text = queue and names.of(queue) or text, queue = queue, missing = missing, name = name }
  end
  if options.orphans then
    for _, stat in ipairs((segments.list())) do
      if stat.orphan then list[#list + 1] = { text = names.of(stat), name = names.handle(stat) } end
    end
  end
  return list
end

-- Its owner may remove a segment or a queue, whatever its mode; its creator, too, if it is of System V.
local function rehearse(one)
  local stat, me = one.queue or segments.find(one.name), uv.getuid()
  if not stat then return problem.call(shm.attach, one.name, { readonly = true }) end -- which says why it is not there
  if me == 0 or stat.uid == me or stat.cuid == me then return true end
  return nil, ("%s is not this user's; it belongs to %s"):format(one.text, processes.user(stat.uid))
end

local function remove(one, is_rehearsal)
  if one.missing then return nil, one.missing end
  if is_rehearsal then return rehearse(one) end
  if one.queue then return queues.remove(one.queue) end
  return problem.call(shm.remove, one.name)
end

function rm.run(options)
  if #options.names == 0 and not options.orphans then problem.misuse("rm needs a NAME, or --orphans") end
  local failed = 0
  for _, one in ipairs(chosen(options)) do
    local done, message = remove(one, options.dry_run)
    if done then
      output.line((options.dry_run and "would remove " or "removed ") .. names.printable(one.text))
    else
      failed = failed + 1
      output.flush()
      io.stderr:write("shm: ", names.printable(message), "\n")
    end
  end
  return failed > 0 and 1 or 0
end

return rm
