-- problem.lua: how a command fails: with a line for the user and an exit code.
local problem = {}

-- The world has refused: exit code 1.
function problem.fail(message)
  error({ code = 1, message = message }, 0)
end

-- The command line cannot be meant: exit code 2.
function problem.misuse(message)
  error({ code = 2, message = message }, 0)
end

-- The value of a call that may fail: nil, message.
function problem.check(value, message)
  if value == nil or value == false then problem.fail(message) end
  return value
end

-- The values of a function of the module; what it raises is misuse, of the command line.
function problem.call(f, ...)
  local results = table.pack(pcall(f, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local message = tostring(results[2]):gsub("^[^:\n]*:%d+: ", "")
  problem.misuse(message:match("^bad argument #%d+ to '[^']*' %((.*)%)$") or message)
end

return problem
