-- house_spec.lua: the code keeps to the README's map of the house: rooms, arrows, sizes, words.
local uv = require "luv"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- All files below a folder whose names end so.
local function files(folder, ending, found)
  found = found or {}
  local scan = assert(uv.fs_scandir(folder))
  for name, kind in function() return uv.fs_scandir_next(scan) end do
    local path = folder .. "/" .. name
    if kind == "directory" then
      files(path, ending, found)
    elseif path:find(ending) then
      found[#found + 1] = path
    end
  end
  return found
end

local below = {
  base = { base = true },
  os = { os = true, base = true },
  sync = { sync = true, os = true, base = true },
  mem = { mem = true, sync = true, os = true, base = true },
  data = { data = true, mem = true, sync = true, os = true, base = true },
}

local function room_of(path) return path:match("^core/(%w+)/") end

describe("the house", function()
  it("has arrows that go down only", function()
    local arrows = 0
    for _, path in ipairs(files("core", "%.[ch]$")) do
      local room = room_of(path)
      for target in read(path):gmatch('#include "([^"]+)"') do
        arrows = arrows + 1
        local to = target:match("^(%w+)/")
        assert.is_truthy(to, path .. " includes " .. target .. " without its room")
        assert.is_true(room == nil or below[room][to] == true, path .. " includes " .. target)
        assert.is_truthy(uv.fs_stat("core/" .. target), path .. " includes " .. target)
      end
    end
    assert.is_true(arrows > 20)
  end)

  it("has system calls in core/os only", function()
    for _, path in ipairs(files("core", "%.[ch]$")) do
      if room_of(path) ~= "os" then
        local text = read(path)
        for _, word in ipairs { "#include <sys/", "#include <unistd.h>", "#include <fcntl.h>" } do
          assert.is_nil(text:find(word, 1, true), path .. " has " .. word)
        end
        local code = text:gsub("/%*.-%*/", ""):gsub("<errno.h>", "")
        assert.is_nil(code:find("%f[%w_]errno%f[^%w_]"), path .. " reads errno")
      end
    end
  end)

  it("has a binding that knows of the core only what a C host knows", function()
    for _, path in ipairs(files("bindings", "%.[ch]$")) do
      for target in read(path):gmatch('#include "([^"]+)"') do
        local in_host = path:find("^bindings/host/")
        local known = target == "shmx.h" or target == "lua/shmx_lua.h"
          or target:find(in_host and "^host/" or "^lua/")
        assert.is_truthy(known, path .. " includes " .. target)
      end
      -- Processes are started and ended in one place.
      local calls_system = path == "bindings/host/supervise.c"
      assert.is_true(calls_system or not read(path):find("#include <sys/", 1, true), path)
    end
  end)

  it("has a core that knows no Lua", function()
    for _, path in ipairs(files("core", "%.[ch]$")) do
      local text = read(path)
      assert.is_nil(text:find("lua_", 1, true) or text:find("lua.h", 1, true), path)
    end
  end)

  it("has files that say first what they are, and are one thing each", function()
    for _, folder in ipairs { "core", "bindings", "scripts", "spec" } do
      for _, path in ipairs(files(folder, "%.[chl][ua]?a?$")) do
        local text, name = read(path), path:match("[^/]*$")
        local opening = text:match("^/%*%s*%**%s*([^\n]*)")
          or text:gsub("^%-%-%-@meta[^\n]*\n", ""):match("^%-%- ([^\n]*)")
        assert.is_truthy(opening and opening:find(name, 1, true) == 1, path .. " does not begin with its name")
        local lines = select(2, text:gsub("\n", ""))
        local is_reference = folder == "bindings" and name == "shm.lua" -- all of the API, in one place
        local most = folder == "spec" and 600 or 450
        assert.is_true(lines <= most or is_reference, path .. " has " .. lines .. " lines")
      end
    end
  end)

  it("has a map in the README that names every room and every part", function()
    local map = read("README.md"):match("## The house.-```(.-)```")
    for _, path in ipairs(files("core", "%.c$")) do
      assert.is_truthy(map:find(path:match("([^/]*)%.c$"):gsub("^fdmap$", "posix"), 1, true), path)
    end
    for _, path in ipairs(files("bindings/lua", "%.c$")) do
      assert.is_truthy(map:find(path:match("([^/]*)%.c$"), 1, true), path)
    end
    for _, path in ipairs(files("bindings/host", "%.c$")) do
      assert.is_truthy(map:find(path:match("([^/]*)%.c$"), 1, true), path)
    end
    for folder in map:gmatch("\n%s*(%w+)/ ") do
      assert.is_truthy(uv.fs_stat(folder) or uv.fs_stat("core/" .. folder) or uv.fs_stat("bindings/" .. folder)
        or uv.fs_stat("scripts/" .. folder), folder)
    end
  end)

  it("has the README's table of errors in base/error.c, word for word", function()
    local in_code, in_readme = {}, {}
    for code, text in read("core/base/error.c"):gmatch('%{(E[%u%d]+), "%1",%s*(".-")%}') do
      in_code[code] = text:gsub('"%s*"', ""):gsub('^"(.*)"$', "%1")
    end
    for code, text in read("README.md"):gmatch("\n| (E[%u%d]+) | (.-) |") do in_readme[code] = text end
    assert.is_truthy(in_code.EEXIST)
    assert.same(in_code, in_readme)
  end)
end)
