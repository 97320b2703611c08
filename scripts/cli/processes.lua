-- processes.lua: what /proc says of processes: their commands, and which POSIX objects they have mapped.
local names = require "cli.names"
local uv = require "luv"

local processes = {}

local function read(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

-- The command of a process; nil where there is no such process.
function processes.command(pid)
  local text = read("/proc/" .. pid .. "/comm")
  return text and names.printable((text:gsub("\n$", "")))
end

-- "4711 lua5.4", or "4711 (gone)".
function processes.describe(pid, lives)
  local command = lives ~= false and processes.command(pid)
  return pid .. " " .. (command or "(gone)")
end

-- Each process of a list once, and how often each is in it.
function processes.distinct(pids)
  local list, times = {}, {}
  for _, pid in ipairs(pids) do
    if not times[pid] then list[#list + 1] = pid end
    times[pid] = (times[pid] or 0) + 1
  end
  return list, times
end

-- Processes of other mount namespaces have a /dev/shm of their own, whose inodes have the same numbers.
local function device_of(path)
  local device = assert(uv.fs_stat(path)).dev
  return ("%02x:%02x"):format(device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xfff00)
end

local function add_mapped(found, pid, device)
  local maps = read("/proc/" .. pid .. "/maps")
  local seen = {}
  for where, inode in (maps or ""):gmatch("(%x+:%x+) (%d+) +/dev/shm/") do
    inode = math.tointeger(tonumber(inode))
    if where == device and not seen[inode] then
      seen[inode] = true
      found[inode] = (found[inode] or 0) + 1
    end
  end
end

-- Inodes of /dev/shm, and how many processes that we may look at have each mapped.
function processes.mapped()
  local found, device = {}, device_of("/dev/shm")
  local scan = uv.fs_scandir("/proc")
  for name in function() return scan and uv.fs_scandir_next(scan) end do
    if name:find("^%d+$") then add_mapped(found, name, device) end
  end
  return found
end

local users

-- The name of a user.
function processes.user(uid)
  if not users then
    users = {}
    for name, number in ("\n" .. (read("/etc/passwd") or "")):gmatch("\n([^:\n]*):[^:\n]*:(%d+)") do
      users[math.tointeger(tonumber(number))] = name
    end
  end
  return users[uid] or tostring(uid)
end

return processes
