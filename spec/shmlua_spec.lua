-- shmlua_spec.lua: shmlua alone does what lua5.4 does: options, arg, exit codes, messages, the terminal, Ctrl-C.
local process = require "spec.support.process"
local uv = require "luv"

local shmlua = process.build .. "/shmlua"
local clean = { LUA_INIT = false, LUA_INIT_5_4 = false, LUA_PATH = false, LUA_CPATH = false }

local directory
setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

local function write(name, text)
  local path = directory .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

local function run(program, arguments, input, env)
  local changes = {}
  for name, value in pairs(clean) do changes[name] = value end
  for name, value in pairs(env or {}) do changes[name] = value end
  local self = process.start(program, arguments, { env = changes })
  if input then self.input:write(input) end
  self:wait()
  return self
end

-- The same command for both; what they print must be equal, but for their names.
local function compare(arguments, input, env)
  local ours, theirs = run(shmlua, arguments, input, env), run(process.lua, arguments, input, env)
  local function named(text) return (text:gsub("shm 0.1.0, ", ""):gsub("shmlua", process.lua)) end
  local told = table.concat(arguments, " ")
  assert.same({ theirs.code, theirs.signal, theirs.out }, { ours.code, ours.signal, named(ours.out) }, told)
  local usage = "\nusage: .*"
  assert.equal((theirs.err:gsub(usage, "")), (named(ours.err):gsub(usage, "")), told)
  return ours
end

describe("shmlua", function()
  it("has shm without a search path, and not as a global", function()
    local result = run(shmlua, { "-e", 'print(shm, require "shm"._VERSION, require "shm".worker)' }, nil,
      { LUA_PATH = "none", LUA_CPATH = "none" })
    assert.same({ 0, "nil\tshm 0.1.0\tnil\n", "" }, { result.code, result.out, result.err })
  end)

  it("has the arguments that lua5.4 has", function()
    local script = write("arguments.lua", [[
      local first = 0
      while arg[first - 1] do first = first - 1 end
      for i = first + 1, #arg do print(i, arg[i]) end
      print(select("#", ...), ...)]])
    compare({ script })
    compare({ script, "a", "", "-e", "c d" })
    compare({ "-W", "-e", "x = 1", "-lstring", "--", script, "a", "-i" })
    compare({ "-e", "print(arg[0]:match '[^/]*$', arg[1], arg[-1])" })
    compare({ "-", "a", "b" }, "print(arg[0], arg[-1]:match '[^/]*$', ...)")
    compare({ script, "a" }, nil, { LUA_INIT = "arg = { 'changed', 'too' }" })
    compare({ script, "a" }, nil, { LUA_INIT = "arg = nil" })
  end)

  it("has the options of lua5.4", function()
    compare({ "-v" })
    compare({ "-v", "-e", "print(1)" })
    compare({ "-eprint(1)", "-e", "print(2)", "-lm=string", "-l", "n=table", "-e", "print(m == string, n == table)" })
    compare({ "-e", "warn('off')", "-W", "-e", "warn('on')" })
    compare({ "-E", "-e", "print(package.path == os.getenv 'LUA_PATH')" }, nil,
      { LUA_PATH = "p", LUA_INIT = "error()" })
    compare({ "-e", "print(package.path, collectgarbage 'incremental')" }, nil, { LUA_PATH = "p" })
    compare({ "-e", "print(1)" }, nil, { LUA_INIT = "print(2)", LUA_INIT_5_4 = "print(3)" })
    compare({ "-e", "print(1)" }, nil, { LUA_INIT = "@" .. write("init.lua", "print('from a file')") })
    compare({}, "print('from a pipe', ...)")
    compare({ "-e", "print(1)", "--" })
  end)

  it("ends with the codes and messages of lua5.4", function()
    compare({ "-e", "os.exit(7)" })
    compare({ "-e", "os.exit(false)" })
    compare({ "-e", "setmetatable({}, { __gc = function() print 'collected' end })" })
    compare({ write("error.lua", "local function f() error 'boom' end f()") })
    compare({ write("syntax.lua", "print(") })
    compare({ write("bytes.lua", "#!/usr/bin/env lua\nreturn 5, error") })
    compare({ "-e", "error(setmetatable({}, { __tostring = function() return 'told' end }))" })
    compare({ "-e", "error(nil)" })
    compare({ "/no/such/script.lua" })
    compare({ directory })
    compare({ "-lnone" }, nil, { LUA_PATH = "x", LUA_CPATH = "y" })
    compare({ "-e", "x = 1" }, nil, { LUA_INIT = "error 'in init'" })
    compare({ "-e", "x = 1" }, nil, { LUA_INIT = "@/no/such/file" })
    for _, wrong in ipairs { { "-x" }, { "-e" }, { "-l" }, { "-ix" }, { "-l", "-v" }, { "--none" }, { "-vE" } } do
      local result = compare(wrong)
      assert.equal(1, result.code)
      assert.matches("\nusage: shmlua %[options%]", result.err)
    end
    local help = run(shmlua, { "--help" })
    assert.same({ 0, "" }, { help.code, help.err })
    assert.matches("  %-j N ", help.out)
  end)

  -- With libreadline, lua5.4 echoes what it reads; so the output is told here. Ours has it at terminals only.
  it("reads statements", function()
    local function talk(input, ...)
      local result = run(shmlua, { "-i", ... }, input)
      assert.equal(0, result.code)
      return result.out:gsub("^shm [%d.]+, Lua 5.4[^\n]*\n", ""), result.err
    end
    assert.equal("> > 2\n> 1\n> >> >> 1\n2\n> nil\t2\n> > 3\n> \n",
      (talk("x = 1\nx + 1\n= x\nfor i = 1, 2 do\nprint(i)\nend\nnil, 2\n\nlocal y <const> = 3; print(y)\n")))
    local out, err = talk("error 'boom'\nx x\n_PROMPT = 'next: '\n1\nlocal x <const> =")
    assert.equal("> > > next: 1\nnext: >> next: \n", out)
    assert.matches("^stdin:1: boom\nstack traceback:.*\nstdin:1: syntax error near 'x'\nstdin:1: [^\n]* near <eof>\n$",
      err)
    out, err = talk("print = nil\n1\n")
    assert.equal("> > > \n", out)
    assert.equal("shmlua: error calling 'print' (attempt to call a nil value)\n", err)
    assert.equal("> 5\n> \n", (talk("a", "-e", "a = 5")))
    assert.equal("> 5000\n> \n", (talk("#'" .. ("x"):rep(5000) .. "'\n")))
  end)

  it("raises an error for Ctrl-C, and the script can end in order", function()
    for _, program in ipairs { shmlua, process.lua } do
      local self = process.start(program, { "-e", [[
        local last <close> = setmetatable({}, { __close = function() print "closed" end })
        io.stdout:setvbuf "no"
        print "ready"
        while true do end]] }, { env = clean })
      assert.equal("ready", self:line())
      self:kill("sigint")
      assert.equal(1, (self:wait()))
      assert.equal("closed\n", self.out)
      assert.matches("interrupted!\nstack traceback:", self.err)
    end
  end)

  it("raises it in a call that waits, too", function()
    local self = process.start(shmlua, { "-e", [[
      local arena = require "shm".arena(nil, "64K")
      io.stdout:setvbuf "no"
      print "ready"
      arena:channel("c", "1K"):receive()]] }, { env = clean })
    assert.equal("ready", self:line())
    self:kill("sigint")
    assert.equal(1, (self:wait()))
    assert.matches("interrupted!", self.err)
  end)
end)
