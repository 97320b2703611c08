-- example.lua: what the examples share: options, the pace of their loops, and a clean end on Ctrl-C.
-- An example begins with: local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))

-- From a checkout the module is in build/; LUA_CPATH, where it is set, has been set on purpose.
local here = arg[0]:match("^.*/") or "./"
if not os.getenv("LUA_CPATH") then
  package.cpath = here .. "../../build/?.so;" .. package.cpath
end

local argparse = require "argparse"
local uv = require "luv"

local example = {}

local function to_seconds(text)
  local seconds = tonumber(text)
  if seconds and seconds >= 0 and seconds <= 1e9 then return seconds end
  return nil, "--interval " .. text .. " is not a number of seconds"
end

local function to_steps(text)
  local steps = math.tointeger(tonumber(text))
  if steps and steps >= 0 then return steps end
  return nil, "--count " .. text .. " is not a number of steps"
end

-- A parser of the command line for this example; with `loops`, it has --interval and --count.
function example.parser(summary, loops)
  local parser = argparse(arg[0]:match("[^/]*$"), summary)
  if loops then
    parser:option("--interval", "Seconds between two steps.", 1):convert(to_seconds)
    parser:option("--count", "Steps to do; without it, for ever."):convert(to_steps)
  end
  return parser
end

-- for step in example.steps(options) do ... end: one step now, and one each interval, until
-- --count is reached or somebody presses Ctrl-C (SIGINT) or says kill (SIGTERM).
function example.steps(options)
  local stopped, due = false, false
  for _, name in ipairs { "sigint", "sigterm" } do
    local signal = uv.new_signal()
    signal:start(name, function() stopped = true end)
    signal:unref()
  end
  local timer = uv.new_timer()
  local step = 0
  return function()
    if step > 0 and step ~= options.count then
      due = false
      timer:start(math.floor(options.interval * 1000), 0, function() due = true end)
      while not due and not stopped do uv.run("once") end
    end
    if stopped or step == options.count then return nil end
    step = step + 1
    return step
  end
end

-- The value of a call that may fail, or the end of the program with its message.
function example.check(value, message)
  if value then return value end
  io.stderr:write(message, "\n")
  os.exit(1, true)
end

return example
