-- process.lua: real processes for specs: started, read line by line, awaited, always reaped.
local uv = require "luv"

local process = {}
process.__index = process

local root = uv.cwd()
local build = os.getenv("SHM_BUILD") or root .. "/build"
process.lua = os.getenv("SHM_LUA") or "lua5.4"
process.build = build
-- Sanitizers need more memory than a limit on it leaves them.
process.is_sanitized = (os.getenv "LD_PRELOAD" or ""):find("libasan", 1, true) ~= nil
process.deadline = 30 -- seconds that anything here may take; far more than it does

-- Runs the event loop until condition() holds; false when the deadline has come.
function process.await(condition, seconds)
  local late = false
  local deadline, tick = uv.new_timer(), uv.new_timer()
  deadline:start(math.floor((seconds or process.deadline) * 1000), 0, function() late = true end)
  tick:start(0, 2, function() end) -- conditions may be about anything: look again and again
  local holds = condition()
  while not holds and not late do
    uv.run("once")
    holds = condition()
  end
  deadline:close()
  tick:close()
  uv.run("nowait") -- so that nothing of it is left
  return holds
end

local function environment(changes)
  if not changes then return nil end
  local result = uv.os_environ()
  for name, value in pairs(changes) do result[name] = value or nil end
  local list = {}
  for name, value in pairs(result) do list[#list + 1] = name .. "=" .. value end
  return list
end

-- Starts a command. options: env (name to value, false to unset), cwd, uid, gid.
function process.start(command, arguments, options)
  options = options or {}
  local self = setmetatable({ out = "", err = "", open = 3 }, process)
  local input, output, errors = uv.new_pipe(), uv.new_pipe(), uv.new_pipe()
  self.input = input
  local function closed() self.open = self.open - 1 end
  self.handle, self.pid = uv.spawn(command, {
    args = arguments, stdio = { input, output, errors }, cwd = options.cwd,
    env = environment(options.env), uid = options.uid, gid = options.gid,
  }, function(code, signal)
    self.code, self.signal = signal == 0 and code or 128 + signal, signal -- as a shell says it
    self.handle:close(closed)
  end)
  if not self.handle then error("cannot start " .. command .. ": " .. tostring(self.pid), 2) end
  for field, pipe in pairs { out = output, err = errors } do
    pipe:read_start(function(_, data)
      if data then self[field] = self[field] .. data else pipe:close(closed) end
    end)
  end
  return self
end

-- The next line of standard output; nil when there is no more, an error when it does not come.
function process:line(seconds)
  local function found() return self.out:find("\n", 1, true) or self.open == 0 end
  if not process.await(found, seconds) then
    self:kill("sigkill")
    error("no line came; standard error: " .. self.err, 2)
  end
  local line, rest = self.out:match("^([^\n]*)\n(.*)$")
  self.out = rest or self.out
  return line
end

function process:kill(signal)
  if not self.code then uv.kill(self.pid, signal) end
end

function process:close_input()
  if not self.input:is_closing() then self.input:close() end
end

-- Waits for the end: exit code and signal.
function process:wait(seconds)
  self:close_input()
  if not process.await(function() return self.open == 0 end, seconds) then
    self:kill("sigkill")
    process.await(function() return self.open == 0 end, 5)
    error("it did not end; standard output: " .. self.out .. "\nstandard error: " .. self.err, 2)
  end
  return self.code, self.signal
end

-- Runs a command to its end: an object with code, signal, out, err.
function process.run(command, arguments, options)
  local self = process.start(command, arguments, options)
  self:wait(options and options.seconds)
  return self
end

-- A script given as text, run by the interpreter that the module was built for.
function process.run_lua(text, options)
  return process.run(process.lua, { "-e", text }, options)
end

function process.start_example(name, ...)
  return process.start(process.lua, { root .. "/scripts/examples/" .. name .. ".lua", ... })
end

function process.run_example(name, ...)
  local self = process.start_example(name, ...)
  self:wait()
  return self
end

function process.start_peer(name, ...)
  return process.start(build .. "/spec/peer_" .. name, { ... })
end

function process.run_peer(name, ...)
  local self = process.start_peer(name, ...)
  self:wait()
  return self
end

return process
