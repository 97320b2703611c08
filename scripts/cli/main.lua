-- main.lua: from a command line to an exit code: 0, 1 (it failed, in one line on stderr) or 2 (usage).
local commandline = require "cli.commandline"
local names = require "cli.names"
local output = require "cli.output"
local uv = require "luv"

local main = {}

-- One line, whatever is in it.
local function complain(message)
  io.stderr:write("shm: ", names.printable((message:gsub("%s*\n%s*", " "))), "\n")
end

-- What a command raises: a problem (cli/problem.lua), or what Lua or the module says.
local function explain(raised)
  if type(raised) == "table" then return raised end
  return { code = 1, message = tostring(raised):gsub("^[^:\n]*:%d+: ", "") }
end

-- Ctrl-C ends it at once, as it ends other tools: the interpreter waits for the end of a call, which may be a sleep.
local function be_interruptible()
  local signal = uv.new_signal()
  signal:start("sigint", function() end)
  signal:close() -- the last one gives the signal back to the system
  uv.run("nowait")
end

local function parse(arguments)
  local parser = commandline.parser()
  local done, options = parser:pparse(arguments)
  if done then return options end
  return nil, options .. "; shm --help tells more"
end

-- Runs a command line; returns the exit code.
function main.run(arguments)
  be_interruptible()
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
