-- example.lua: what the examples share: options, the pace of their loops, and a clean end on Ctrl-C.
-- An example begins with: local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))

-- In a checkout the module is in build/; where LUA_CPATH is set, it was set on purpose and comes first.
local here = arg[0]:match("^.*/") or "./"
local tree = here .. "../../build/?.so"
package.cpath = os.getenv("LUA_CPATH") and package.cpath .. ";" .. tree or tree .. ";" .. package.cpath
for module, remedy in pairs { shm = "run make first, or make install",
  luv = "install lua-luv, or run make demo", argparse = "install lua-argparse, or run make demo" } do
  if not package.searchpath(module, package.cpath) and not package.searchpath(module, package.path) then
    io.stderr:write("the module ", module, " is not there for ", _VERSION, ": ", remedy, "\n")
    os.exit(1)
  end
end

local argparse = require "argparse"
local uv = require "luv"

local example = {}

-- The interpreter that runs this: the first word of the command line.
local first = 0
while arg[first - 1] do first = first - 1 end
example.interpreter = arg[first]

-- Signals that end a loop, so that what the example has made is removed: Ctrl-C, kill, a terminal
-- that was closed, a reader of our output that has gone (which by itself would kill at once).
local stopped = false
local function stop_at(name)
  local signal = uv.new_signal()
  signal:start(name, function() stopped = true end)
  signal:unref()
end
stop_at "sigpipe"

local function to_seconds(text)
  local seconds = tonumber(text)
  if seconds and seconds >= 0 and seconds <= 1e9 then return seconds end
  return nil, text .. " is not a number of seconds"
end

-- For options that count something.
function example.whole(text)
  local number = math.tointeger(tonumber(text))
  if number and number >= 0 then return number end
  return nil, text .. " is not a whole number"
end

-- A parser of the command line for this example; with `loops`, it has --interval and --count. Where
-- another example comes first, `partner` names it.
function example.parser(summary, loops, partner)
  example.partner = partner
  local parser = argparse(arg[0]:match("[^/]*$"), summary)
  if loops then
    parser:option("--interval", "Seconds between two steps.", 1):convert(to_seconds)
    parser:option("--count", "Steps to do; without it, for ever."):convert(example.whole)
  end
  return parser
end

-- for step in example.steps(options) do ... end: one step now, and one each interval, until
-- --count is reached or a signal says stop.
function example.steps(options)
  for _, name in ipairs { "sigint", "sigterm", "sighup" } do stop_at(name) end
  local timer, due = uv.new_timer(), false
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

-- Runs this example in so many processes, with these arguments, until all of them have ended.
function example.run_workers(count, ...)
  local arguments, failed = { arg[0], ... }, 0
  for i, argument in ipairs(arguments) do arguments[i] = tostring(argument) end
  for _ = 1, count do
    local worker
    worker = assert(uv.spawn(example.interpreter, { args = arguments, stdio = { nil, 1, 2 } }, function(code)
      if code ~= 0 then failed = failed + 1 end
      worker:close()
    end))
  end
  uv.run()
  example.check(failed == 0, failed .. " of " .. count .. " processes failed")
end

-- The value of a call that may fail, or the end of the program with its message and a way out.
function example.check(value, message, code)
  if value then return value end
  io.stderr:write(message, "\n")
  local name = message:match("^segment (%g+)")
  if code == "ENOENT" and example.partner then
    io.stderr:write("Start ", example.partner, " first.\n")
  elseif code == "EEXIST" and name then
    io.stderr:write("Remove it with: lua5.4 ", here, "segments.lua --remove ", (name:gsub('"', "")), "\n")
  end
  os.exit(1, true)
end

return example
