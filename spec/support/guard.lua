-- guard.lua: fails the run if a spec file leaves a segment, a set of semaphores, a message queue, an object, a
-- descriptor, a mapping or a process behind. busted runs it before all specs (--helper). It also sets the paths, for
-- the specs and the processes that they start, where the Makefile has not.
local busted = require "busted"
local uv = require "luv"

if not os.getenv "SHM_BUILD" then
  local build = uv.cwd() .. "/build"
  package.cpath = ("%s/?.so;%s/spec/?.so;%s"):format(build, build, package.cpath)
  package.path = uv.cwd() .. "/?.lua;" .. package.path
  uv.os_setenv("LUA_CPATH", package.cpath)
  uv.os_setenv("LUA_PATH", package.path)
  uv.os_setenv("SHM_BUILD", build)
end

local process = require "spec.support.process"

local function list(directory)
  local scan, name = uv.fs_scandir(directory), nil
  return function()
    name = scan and uv.fs_scandir_next(scan)
    return name
  end
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a") or ""
end

-- Everything of this kind, as a set of descriptions.
local function survey()
  collectgarbage()
  collectgarbage()
  local found = {}
  for key, id in read("/proc/sysvipc/shm"):gmatch("\n%s*(%-?%d+)%s+(%d+)") do
    found[("System V segment id %s, key %s"):format(id, key)] = true
  end
  for key, id in read("/proc/sysvipc/sem"):gmatch("\n%s*(%-?%d+)%s+(%d+)") do
    found[("System V semaphores id %s, key %s"):format(id, key)] = true
  end
  for key, id in read("/proc/sysvipc/msg"):gmatch("\n%s*(%-?%d+)%s+(%d+)") do
    found[("System V message queue id %s, key %s"):format(id, key)] = true
  end
  for name in list("/dev/shm") do found["POSIX object /" .. name] = true end
  for fd in list("/proc/self/fd") do
    local target = uv.fs_readlink("/proc/self/fd/" .. fd)
    if target then found[("descriptor %s: %s"):format(fd, target)] = true end
  end
  for line in read("/proc/self/maps"):gmatch("[^\n]+") do
    local mapped = line:match("%s/SYSV%x+") or line:match("%s/dev/shm/") or line:match("%s/memfd:shm")
    if mapped then found["mapping " .. line] = true end
  end
  for task in list("/proc/self/task") do
    for child in read("/proc/self/task/" .. task .. "/children"):gmatch("%d+") do
      found["process " .. child .. ": " .. read("/proc/" .. child .. "/comm"):gsub("\n", "")] = true
    end
  end
  return found
end

local function left(before)
  local added = {}
  for thing in pairs(survey()) do
    if not before[thing] then added[#added + 1] = thing end
  end
  table.sort(added)
  return added
end

local before
busted.subscribe({ "file", "start" }, function()
  process.run("true") -- the event loop's own descriptors come first
  before = survey()
end)

-- What a killed process had may take the kernel a moment; then it is a leak.
busted.subscribe({ "file", "end" }, function(file)
  if not process.await(function() return #left(before) == 0 end, 2) then
    error(("%s left behind:\n  %s"):format(file.name, table.concat(left(before), "\n  ")), 0)
  end
end)
