-- header.lua: makes the one header that is installed, of core/shmx.h and the headers that it includes. Each comes once,
-- where it is first included, without its guard: lua5.4 scripts/package/header.lua core shmx.h >build/include/shmx.h
local root, first = arg[1], arg[2]
local seen = {}

local function read(name)
  local lines, guard = {}, nil
  for line in assert(io.lines(root .. "/" .. name)) do lines[#lines + 1] = line end
  if name == first then return lines end
  for i, line in ipairs(lines) do
    guard = guard or line:match("^#ifndef (SHMX_[%w_]*_H)$")
    if guard and (line == "#ifndef " .. guard or line == "#define " .. guard) then lines[i] = false end
  end
  assert(guard and lines[#lines] == "#endif", name .. " has no guard")
  lines[#lines] = false
  return lines
end

local blank = false -- one empty line is enough

local copy

-- What a header includes stands before it; in the first one, where it is included.
local function print_lines(lines)
  for _, line in ipairs(lines) do
    local included = line and line:match('^#include "([^"]+)"')
    if included then
      copy(included)
    elseif line and not (blank and line == "") then
      io.write(line, "\n")
      blank = line == ""
    end
  end
end

function copy(name)
  if seen[name] then return end
  seen[name] = true
  local lines = read(name)
  for i, line in ipairs(name ~= first and lines or {}) do
    local included = line and line:match('^#include "([^"]+)"')
    if included then
      copy(included)
      lines[i] = false
    end
  end
  print_lines(lines)
end

copy(first)
