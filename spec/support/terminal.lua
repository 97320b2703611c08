-- terminal.lua: commands on a real terminal, which script(1) makes.
local process = require "spec.support.process"

local terminal = {}

-- Runs shell commands on a terminal of 100 columns and 30 lines, or of others.
function terminal.start(command, options)
  options = options or {}
  local size = ("stty cols %d rows %d; "):format(options.width or 100, options.height or 30)
  local env = { TERM = "xterm", NO_COLOR = options.no_color or false, SHELL = "/bin/sh" }
  return process.start("script", { "-qec", size .. command, "/dev/null" }, { env = env })
end

-- What it has shown when it has ended.
function terminal.finish(child)
  -- Who has nothing to say to it must not say that it is the end: that would be Ctrl-D.
  assert(process.await(function() return child.code ~= nil end), child.out)
  child:wait()
  return child.out
end

-- Awaits a text behind this place: where it ends.
function terminal.await(child, text, from)
  local function found() return child.out:find(text, from or 1, true) end
  assert(process.await(function() return found() ~= nil end), text .. " is not in: " .. child.out)
  return select(2, found())
end

-- Without colours and the like.
function terminal.plain(text) return (text:gsub("\27%[[%d;?]*%a", ""):gsub("\r", "")) end

return terminal
