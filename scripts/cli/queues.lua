-- queues.lua: System V message queues on the command line: how they are called, found, shown and removed.
local format = require "cli.format"
local names = require "cli.names"
local problem = require "cli.problem"
local shm = require "shm"

local queues = {}

local function is_called(stat, name)
  return type(name) == "table" and stat.id == name.id or math.type(name) and stat.key & 0xffffffff == name
end

-- The status of a queue: of "mq:NAME"; of a key or an identifier alone, if no segment has it. nil for another name;
-- nil and a message if the name can only be that of a queue.
function queues.find(text)
  local rest = text:match("^mq:(.*)$")
  local name, found, is_segment = names.parse(rest or text), nil, false
  if type(name) == "string" then
    if not rest then return nil end
    problem.misuse(("%q is no message queue: they have keys (mq:13) and identifiers (mq:id=4)"):format(text))
  end
  for _, stat in ipairs(problem.check(shm.list())) do
    if stat.backing == "messages" then
      if is_called(stat, name) then found = stat end
    elseif stat.backing == "sysv" and is_called(stat, name) then
      is_segment = true
    end
  end
  if rest and not found then return nil, ("message queue %s does not exist"):format(rest) end
  return (rest or not is_segment) and found or nil
end

function queues.remove(stat)
  local queue, message = problem.call(shm.messages, { id = stat.id })
  if not queue then return nil, message end
  return queue:remove()
end

-- What is in it, for people.
function queues.note(stat)
  return "message queue, " .. format.many(stat.qnum, "message")
end

return queues
