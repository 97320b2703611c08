-- shmlua_alike_spec.lua: command lines that lua5.4 and shmlua answer alike: output, messages, exit codes.
local process = require "spec.support.process"
local uv = require "luv"

-- Both are called lua, each first in a search path of its own.
local directory
setup(function()
  directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX"))
  local theirs = process.run("sh", { "-c", "command -v " .. process.lua }).out:match("[^\n]+")
  for name, program in pairs { ours = process.build .. "/shmlua", theirs = theirs } do
    assert(uv.fs_mkdir(directory .. "/" .. name, 448))
    assert(uv.fs_symlink(program, directory .. "/" .. name .. "/lua"))
  end
end)
teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

local files = {
  ["arguments.lua"] = [[
    local first = 0
    while arg[first - 1] do first = first - 1 end
    for i = first, #arg do print(i, arg[i]) end
    print(select("#", ...), ...)]],
  ["error.lua"] = "local function f() error 'boom' end f()",
  ["syntax.lua"] = "print(",
  ["shebang.lua"] = "#!/usr/bin/env lua\nprint(debug.getinfo(1).currentline, 'ran')",
  ["init.lua"] = "print('from a file')",
  ["-"] = "print('a file of this name', ...)",
}

setup(function()
  for name, text in pairs(files) do
    local file <close> = assert(io.open(directory .. "/" .. name, "w"))
    file:write(text)
  end
end)

local function run(who, command)
  local env = { PATH = directory .. "/" .. who .. ":" .. os.getenv "PATH", LUA_INIT = false, LUA_INIT_5_4 = false,
    LUA_PATH = false, LUA_CPATH = false }
  local result = process.run("sh", { "-c", command }, { cwd = directory, env = env })
  local out = result.out:gsub("^shm [%d.]+, Lua", "Lua")
  local err = result.err:gsub("\nusage: .*", "\nusage")
  return { out = out, err = err, code = result.code, signal = result.signal }
end

local closed = [[local last <close> = setmetatable({}, { __close = function(_, e) print("closed", e) end }) ]]

local commands = {
  ["arguments"] = [[
    lua arguments.lua
    lua arguments.lua a "" -e "c d"
    lua -W -e "x = 1" -lstring -- arguments.lua a -i
    lua -W - a b <arguments.lua
    lua <arguments.lua
    lua -- - a
    lua -e "print(arg[0], arg[1], arg[-1], #arg)" -W
    LUA_INIT="arg = { 'changed', 'too' }" lua arguments.lua a
    LUA_INIT="arg = nil" lua arguments.lua a
    lua a b c
    lua ""
    lua --
    lua /]],
  ["options"] = [[
    lua -v
    lua -v -v -e "print(1)"
    lua -eprint\(1\) -e "print(2)" -lm=string -l n=table -e "print(m == string, n == table)"
    lua -l string-5 -e "print(string)" 2>/dev/null
    lua -e "" -e "print(1)" --
    lua -e--comment
    lua -e-1
    lua -l-v
    lua -lnone
    lua -l =string
    lua -W -e "warn('one ', 'line') warn '@off' warn 'no'"
    lua -e "warn 'no' warn '@on' warn 'yes'"
    lua -e "print(collectgarbage 'incremental')"
    lua -e "print(pcall(error)) print(_VERSION, package.loaded.shm)"
    lua -v </dev/null
    echo "print('input', ...)" | lua -W
    echo "print('input')" | lua -e "x = 1"]],
  ["the environment"] = [[
    LUA_INIT="print(2)" LUA_INIT_5_4="print(3)" lua -e "print(1)"
    LUA_INIT="print(2)" lua -e "print(1)"
    LUA_INIT= lua -e "print(1)"
    LUA_INIT=@init.lua lua -e "print(1)"
    LUA_INIT=@none lua -e "print(1)"
    LUA_INIT="error 'in init'" lua -e "print(1)"
    LUA_INIT="x x" lua -v
    LUA_INIT="os.exit(9)" lua -e "print(1)"
    LUA_INIT="error()" LUA_PATH=p lua -E -e "print(package.path == os.getenv 'LUA_PATH')"
    LUA_PATH=p LUA_PATH_5_4="q;;" lua -e "print(package.path)"]],
  ["wrong options"] = [[
    lua -x
    lua -e
    lua -l
    lua -l -v
    lua -e -v
    lua -ix
    lua -vE
    lua -Wx
    lua -v -x
    lua --none]],
  ["ends"] = [[
    lua -e "os.exit(7)"
    lua -e "os.exit(256)"
    lua -e "os.exit(true)"
    lua -e "os.exit(false)"
    lua -e "$CLOSED os.exit(4)"
    lua -e "$CLOSED os.exit(4, true)"
    lua -e "$CLOSED error 'boom'"
    lua -e "$CLOSED error()"
    lua -e "local x <close> = setmetatable({}, { __close = error })"
    lua -e "setmetatable({}, { __gc = function() print 'collected' end })"
    lua -W -e "setmetatable({}, { __gc = function() error 'in gc' end })"
    lua -e "print(io.stdout:close()) print 'still there'"
    lua -e "os.execute 'kill -TERM \$PPID' for i = 1, 1e6 do end"
    lua -e "print(1)" >&-
    lua -e "print(io.read())" <&-]],
  ["errors"] = [[
    lua error.lua
    lua syntax.lua
    lua shebang.lua
    lua nofile
    lua nofile a b
    lua .
    lua -e "error(setmetatable({}, { __tostring = function() return 'told' end }))"
    lua -e "error(setmetatable({}, { __tostring = function() return 1 end }))"
    lua -e "error(nil)"
    lua -e "error {}"
    lua -e "error(12)"
    lua -e "error('far', 2)"
    lua -e "error('nowhere', 0)"
    lua -e "x ="
    lua -e "coroutine.wrap(function() error 'deep' end)()"
    lua -i error.lua
    lua -i -e "error 'x'"
    lua -e "error 'first'" nofile
    echo "error 'in input'" | lua
    echo "error 'in input'" | lua -
    echo "print(" | lua
    printf "\033Lua" | lua -]],
  -- With libreadline, lua5.4 echoes what it reads.
  ["statements with errors"] = [[
    lua -i </dev/null >/dev/null
    echo "x x" | lua -i >/dev/null
    printf "error()\nerror {}\nerror 'boom'\nlocal function f() error 'deep' end f()" | lua -i >/dev/null
    printf "error(setmetatable({}, { __tostring = function() return 'told' end }))" | lua -i >/dev/null
    printf "print = nil\n1\n" | lua -i >/dev/null
    echo "os.exit(5)" | lua -i >/dev/null]],
}

for what, lines in pairs(commands) do
  describe("lua5.4 and shmlua have the same " .. what .. ":", function()
    for line in lines:gmatch("%s*([^\n]+)") do
      it(line, function()
        local command = line:gsub("%$CLOSED", function() return (closed:gsub('"', '\\"')) end)
        assert.same(run("theirs", command), run("ours", command))
      end)
    end
  end)
end
