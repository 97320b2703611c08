-- shmlua_init_spec.lua: shmlua as process 1 of a container, which the kernel ends by no signal that it has no handler
-- for.
local process = require "spec.support.process"

local shmlua = process.build .. "/shmlua"

-- Process 1 of a PID namespace; its own child says when it is ready. nil and a reason if that is not permitted.
local function start(arguments)
  local can = process.run("unshare", { "--fork", "--pid", "--mount-proc", "true" })
  if can.code ~= 0 then return nil, "no PID namespaces here: " .. can.err end
  return process.start("unshare", { "--fork", "--pid", "--mount-proc", "--kill-child", shmlua,
    table.unpack(arguments) })
end

-- The number that process 1 has here.
local function inner(self)
  local path = ("/proc/%d/task/%d/children"):format(self.pid, self.pid)
  local file <close> = assert(io.open(path))
  return assert(file:read "n")
end

local function ends_with(code, signal, arguments)
  local self, missing = start(arguments)
  if not self then return pending(missing) end
  assert.equal("ready", self:line())
  assert.equal(0, os.execute(("kill -%s %d"):format(signal, inner(self))) and 0)
  self:wait()
  assert.same({ code, "" }, { self.code, self.err })
  return self.out
end

local loop = [[print "ready" io.stdout:flush() while true do end]]

describe("shmlua as process 1", function()
  for signal, number in pairs { TERM = 15, INT = 2, HUP = 1 } do
    it("ends a group by SIG" .. signal .. " with " .. 128 + number, function()
      local said = ends_with(128 + number, signal, { "-j1", "-e", [[
        local last <close> = setmetatable({}, { __close = function() print "closed" end })
        ]] .. loop })
      if said then assert.equal("closed\n", said) end
    end)
  end

  for signal, number in pairs { TERM = 15, HUP = 1 } do
    it("ends a script by SIG" .. signal .. " with " .. 128 + number, function()
      ends_with(128 + number, signal, { "-e", loop })
    end)
  end

  it("ends a script that holds on to itself by the second SIGINT", function()
    local self, missing = start { "-e", [[
      print "ready"
      io.stdout:flush()
      pcall(function() while true do end end)
      print "interrupted"
      io.stdout:flush()
      while true do end]] }
    if not self then return pending(missing) end
    assert.equal("ready", self:line())
    local pid = inner(self)
    os.execute("kill -INT " .. pid)
    assert.equal("interrupted", self:line())
    os.execute("kill -INT " .. pid)
    self:wait()
    assert.equal(128 + 2, self.code)
  end)

  it("ends with the exit code of its script", function()
    for code, arguments in pairs { [7] = { "-e", "os.exit(7)" }, [9] = { "-j1", "-e", "os.exit(9)" } } do
      local self, missing = start(arguments)
      if not self then return pending(missing) end
      self:wait()
      assert.equal(code, self.code)
    end
  end)
end)
