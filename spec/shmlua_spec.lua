-- shmlua_spec.lua: shmlua alone: the module inside, help, statements, Ctrl-C. shmlua_alike_spec.lua compares it.
local process = require "spec.support.process"

local shmlua = process.build .. "/shmlua"
local clean = { LUA_INIT = false, LUA_INIT_5_4 = false, LUA_PATH = false, LUA_CPATH = false }

local function run(program, arguments, input, env)
  local changes = {}
  for name, value in pairs(clean) do changes[name] = value end
  for name, value in pairs(env or {}) do changes[name] = value end
  local self = process.start(program, arguments, { env = changes })
  if input then self.input:write(input) end
  self:wait()
  return self
end

describe("shmlua", function()
  it("has shm without a search path, and not as a global", function()
    local result = run(shmlua, { "-e", 'print(shm, require "shm"._VERSION, require "shm".worker)' }, nil,
      { LUA_PATH = "none", LUA_CPATH = "none" })
    assert.same({ 0, ("nil\t%s\tnil\n"):format(require "shm"._VERSION), "" }, { result.code, result.out, result.err })
  end)

  it("has help, and says how it is run where options are wrong", function()
    local help = run(shmlua, { "--help" })
    assert.same({ 0, "" }, { help.code, help.err })
    assert.matches("^usage: shmlua %[options%].*  %-j N ", help.out)
    local wrong = run(shmlua, { "-x" })
    assert.same({ 1, "", "shmlua: unrecognized option '-x'\n" .. help.out }, { wrong.code, wrong.out, wrong.err })
  end)

  it("may be called by any name", function()
    local long = ("x"):rep(3000)
    for _, options in ipairs { "", "-j1 " } do
      local result = run("bash", { "-c", ("exec -a /bin/%s %s %snofile"):format(long, shmlua, options) })
      assert.equal(1, result.code)
      assert.equal(1, result.err:find(long .. ": cannot open nofile", 1, true))
    end
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
    assert.equal("error calling 'print' (attempt to call a nil value)\n", err)
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
