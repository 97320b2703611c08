-- sandbox.lua: runs a Lua script in a machine of its own: System V limits, a /dev/shm of a given
-- size, another user. Namespaces do it (unshare(1)), where the kernel lets us.
local process = require "spec.support.process"
local uv = require "luv"

local sandbox = {}
local root = uv.getuid() == 0
local flags = root and "-mi" or "-rmi" -- without root, a user namespace gives the right to

-- A reason why scripts cannot be run so, or nil.
sandbox.missing = process.run("unshare", { flags, "true" }).code ~= 0
  and "unshare(2) is not permitted here" or nil

-- Runs a script with a /dev/shm of `size` and fresh System V limits, set by shell commands.
function sandbox.run(size, commands, script)
  local shell = ("mount -t tmpfs -o size=%s tmpfs /dev/shm && %s exec %s -e \"$1\""):format(size,
    commands and commands .. " && " or "", process.lua)
  return process.run("unshare", { flags, "sh", "-c", shell, "sh", script })
end

-- Options of process.run that make it a user who owns nothing; or nil, and why that cannot be.
function sandbox.nobody()
  if not root then return nil, "only root can become another user" end
  local nobody, path = { uid = 65534, gid = 65534 }, process.build .. "/shm.so"
  if process.run("test", { "-r", path }, nobody).code ~= 0 then return nil, "nobody may not read " .. path end
  return nobody
end

-- Runs a script as a user who owns nothing; nil where we are not root and cannot.
function sandbox.run_as_nobody(script)
  if not root then return nil end
  -- nobody may not be able to look into the folder of the build
  local directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX"))
  assert(uv.fs_chmod(directory, 493)) -- 0755
  assert(uv.fs_copyfile(process.build .. "/shm.so", directory .. "/shm.so"))
  assert(uv.fs_chmod(directory .. "/shm.so", 493))
  local run = process.run(process.lua, { "-e", script },
    { uid = 65534, gid = 65534, env = { LUA_CPATH = directory .. "/?.so" }, cwd = "/" })
  assert(uv.fs_unlink(directory .. "/shm.so"))
  assert(uv.fs_rmdir(directory))
  return run
end

return sandbox
