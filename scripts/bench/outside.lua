-- outside.lua: contestants that are programs of other languages. A script gets what it is to do and
-- how often as its arguments, and prints the seconds that it took. Touches processes.

local commands <const> = { python3 = "%s -", perl = "%s -", php = "%s -d memory_limit=2G --",
  luajit = "%s -" }

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
-- and the count, or nil: the language or a module of it is not there.
local function outside(language, script, ...)
  local interpreter = os.getenv(language:upper()) or language
  local command = ("%s %s"):format(commands[language]:format(interpreter), table.concat({ ... }, " "))
  if language == "luajit" then script = luajit .. script end
  local function run(count)
    local process <close> = assert(io.popen(("%s %d 2>/dev/null <<'END OF SCRIPT'\n%s\nEND OF SCRIPT")
      :format(command, count, script)))
    return process:read("n")
  end
  local function run_surely(count) return run(count) or error(command .. " has failed", 0) end
  return function() return run(1) and run_surely end
end

return outside
