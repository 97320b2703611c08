-- outside.lua: contestants that are programs of other languages. A script gets what it is to do and
-- how often as its arguments, and prints the seconds that it took. Touches processes.

-- LuaJIT's own program cannot be installed beside nginx's module, which has the library; so Python
-- calls that.
local host <const> = [[python3 -c '
import ctypes, sys
lib = ctypes.CDLL("libluajit-5.1.so.2")
lib.luaL_newstate.restype = ctypes.c_void_p
L = ctypes.c_void_p(lib.luaL_newstate())
lib.luaL_openlibs(L)
script = "arg = {" + ",".join("\"%s\"" % a for a in sys.argv[1:]) + "} " + sys.stdin.read()
if lib.luaL_loadstring(L, script.encode()) != 0 or lib.lua_pcall(L, 0, 0, 0) != 0: sys.exit(1)
']]

local commands <const> = { python3 = "%s%s -", perl = "%s%s -",
  php = "%s%s -d memory_limit=2G --" }

-- What a script of LuaJIT has, to begin with: memory that forked children would share, whose pages
-- are there, and the clock.
local luajit <const> = [[
local ffi = require "ffi"
ffi.cdef "void *mmap(void *, size_t, int, int, int, long); int clock_gettime(int, long *);"
local function map(size) return ffi.C.mmap(nil, size, 3, 0x8021, -1, 0) end
local function now()
  local time = ffi.new "long[2]"
  ffi.C.clock_gettime(1, time)
  return tonumber(time[0]) + tonumber(time[1]) * 1e-9
end
]]

-- What finds out whether such a script runs with these arguments; it returns what runs it with them
-- and the count, or nil: the language or a module of it is not there. The language's name may be
-- followed by options.
local function outside(name, script, ...)
  local language, options = name:match("(%S+)(.*)")
  local interpreter = os.getenv(language:upper()) or language
  local command = commands[language] and commands[language]:format(interpreter, options)
  if language == "luajit" then command, script = host, luajit .. script end
  command = command .. " " .. table.concat({ ... }, " ")
  local function run(count)
    local process <close> = assert(io.popen(("%s %d 2>/dev/null <<'END OF SCRIPT'\n%s\nEND OF SCRIPT")
      :format(command, count, script)))
    return process:read("n")
  end
  local function run_surely(count) return run(count) or error(command .. " has failed", 0) end
  return function() return run(1) and run_surely end
end

return outside
