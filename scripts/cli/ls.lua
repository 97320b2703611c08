-- ls.lua: `shm ls`: System V segments, POSIX objects and System V message queues in one table.
local json = require "cli.json"
local output = require "cli.output"
local segments = require "cli.segments"

local ls = { summary = "List shared memory: System V segments and POSIX objects; and message queues." }

ls.example = "shm ls --json | jq '.[] | select(.orphan) | .size'"

function ls.describe(command)
  command:flag("--json", "Everything that is known, in exact numbers, as JSON.")
end

function ls.run(options)
  local list, inspections = segments.list()
  if options.json then return output.line(json.encode(list)) end
  for _, line in ipairs(segments.table(list, inspections, (output.size()))) do output.line(line) end
end

return ls
