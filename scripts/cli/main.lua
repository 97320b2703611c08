-- main.lua: from a command line to an exit code: 0, 1 (it failed, in one line on stderr) or 2 (usage).
local commandline = require "cli.commandline"
local output = require "cli.output"

local main = {}

-- One line, whatever is in it.
local function complain(message)
  io.stderr:write("shm: ", (message:gsub("%s*\n%s*", " "):gsub("%c", "?")), "\n")
end

-- What a command raises: a problem (cli/problem.lua), or what Lua or the module says.
local function explain(raised)
  if type(raised) == "table" then return raised end
  local message = tostring(raised)
  if message:find("interrupted!", 1, true) then return { code = 130 } end
  return { code = 1, message = message:gsub("^[^:\n]*:%d+: ", "") }
end

local function parse(arguments)
  local parser = commandline.parser()
  local done, options = parser:pparse(arguments)
  if done then return options end
  return nil, options .. "; shm --help tells more"
end

-- Runs a command line; returns the exit code.
function main.run(arguments)
  local options, message = parse(arguments)
  if not options then
    complain(message)
    return 2
  end
  local done, result = xpcall(function()
    local code = require("cli." .. options.command).run(options)
    output.flush()
    return code
  end, explain)
  if done then return result or 0 end
  pcall(output.flush) -- what it said before is said
  if result.message then complain(result.message) end
  return result.code
end

return main
