-- machine.lua: what a benchmark was measured on: machine, kernel, versions, load. Touches /proc and
-- the list of packages.
local baseline = require "baseline"

local machine = {}

local packages <const> = { "gcc", "python3", "python3-numpy", "python3-sysv-ipc", "perl", "php-cli",
  "php-apcu", "libluajit2-5.1-2", "libzmq5", "libboost-dev", "liblmdb0", "redis-tools", "nginx",
  "libnginx-mod-http-lua" }

local function read_file(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- Of the packages that are there, without what Debian appends.
local function versions()
  local command = "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' "
    .. table.concat(packages, " ")
  local process <close> = assert(io.popen(command .. " 2>/dev/null"))
  local found = { baseline.lua_release }
  for package, version in process:read("a"):gmatch("%f[%a]installed (%S+) (%d[^-+~\n]*)") do
    found[#found + 1] = package .. " " .. version
  end
  return table.concat(found, ", ")
end

function machine.load() return read_file("/proc/loadavg"):match("%S+ %S+ %S+") end

-- Lines of a name and what it is.
function machine.lines()
  local cpuinfo = read_file("/proc/cpuinfo")
  local model = cpuinfo:match("model name%s*:%s*([^\n]+)") or "unknown CPU"
  local _, cores = cpuinfo:gsub("%f[^\n\0]processor%s*:", "")
  return {
    ("machine  %s, %d cores"):format(model, cores),
    "kernel   " .. read_file("/proc/sys/kernel/osrelease"):match("%S+"),
    "versions " .. versions(),
    "load     " .. machine.load(),
  }
end

return machine
