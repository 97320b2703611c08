-- cgroup_spec.lua: what a container (a control group) leaves a process: memory, for which creation fails with numbers
-- instead of being killed, and processors. spec/core/cgroup_test.c has what this machine has not.
local shm = require "shm"
local process = require "spec.support.process"
local uv = require "luv"

local LIMIT = 64 << 20

local function exists(path) return uv.fs_stat(path) ~= nil end

local function put(path, text)
  local file <close> = io.open(path, "w")
  return file and file:write(text) and file:flush()
end

-- A new group of a controller, with files as `old` (version 1) or `new` has them: { name, text }, the first of which
-- has to be there; nil and a reason if this machine does not let us have one.
local function make_group(controller, old, new)
  local top, files = "/sys/fs/cgroup/" .. controller, old
  if not exists(top) then
    top, files = "/sys/fs/cgroup", new
    put(top .. "/cgroup.subtree_control", "+" .. controller)
  end
  local path = ("%s/shm_spec_%d"):format(top, uv.os_getpid())
  if not uv.fs_mkdir(path, 448) then return nil, "no control group can be made in " .. top end
  for i, file in ipairs(files) do
    local name = path .. "/" .. file[1]
    if not (exists(name) and put(name, file[2])) and i == 1 then
      uv.fs_rmdir(path)
      return nil, "there is no " .. name
    end
  end
  return path
end

-- Runs a command within the group.
local function run_in(group, command, ...)
  return process.run("sh", { "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', group, command, ... })
end

local function remove_group(group)
  assert.is_true(process.await(function() return uv.fs_rmdir(group) end, 5)) -- its processes may be ending yet
end

local function with_memory_limit(script)
  local group, missing = make_group("memory",
    { { "memory.limit_in_bytes", LIMIT }, { "memory.memsw.limit_in_bytes", LIMIT } },
    { { "memory.max", LIMIT }, { "memory.swap.max", 0 } })
  if not group then return pending(missing) end
  finally(function() remove_group(group) end)
  local result = run_in(group, process.lua, "-e", 'local shm = require "shm" ' .. script)
  assert.same({ 0, "" }, { result.code, result.err }, "the kernel has killed it")
  return result.out
end

describe("a container's memory limit", function()
  it("refuses what would be more, in each way of taking memory, with the numbers", function()
    local out = with_memory_limit [[
      local name = "/shm_spec_cgroup"
      local function try(thing, message, code) print(thing, message, code) if thing then thing:close() end end
      try(shm.create(name, "256M"))
      try(shm.create(nil, "256M"))
      try(shm.open(name, "256M"))
      try(shm.arena(name, "256M"))
      try(shm.create(shm.PRIVATE, "256M", { populate = true }))
      try(shm.create(name, "256M", { populate = true, reserve = false }))
      try(shm.create(nil, "256M", { mlock = true, reserve = false }))
      local small <close> = shm.create(name, "1M", { owned = true })
      try(select(1, small:resize "257M"), select(2, small:resize "257M"))
      print(#small)]]
    if not out then return end
    local count = 0
    for line in out:gmatch("nil\t([^\n]*)\n") do
      local wanted, limit, left, code = line:match(" was refused memory: out of memory, for it needs (%d+) bytes, "
        .. "and of the (%d+) that its control group %(a container%) may have (%d+) are left; make it smaller, or raise "
        .. "that limit\t(%w+)$")
      assert.same({ "268435456", tostring(LIMIT), "ENOMEM" }, { wanted, limit, code }, line)
      assert.is_true(tonumber(left) > LIMIT // 2 and tonumber(left) < LIMIT)
      count = count + 1
    end
    assert.equal(8, count, out)
    assert.matches("\n1048576\n$", out)
  end)

  it("refuses small ones that are more together, and leaves what the program needs", function()
    local out = with_memory_limit [[
      local kept, count, code, segment = {}, 0, nil, nil
      repeat
        segment, _, code = shm.create(nil, 262144)
        count = count + 1
        kept[count] = segment
      until not segment
      print(count, code)]]
    if not out then return end
    local count, code = out:match("^(%d+)\t(%w+)\n$")
    assert.equal("ENOMEM", code)
    assert.is_true(tonumber(count) > LIMIT // 262144 * 3 // 4, out)
  end)

  it("lets nearly all be taken that limits() calls free", function()
    local out = with_memory_limit [[
      local before = shm.limits()
      local segment <close> = assert(shm.create(nil, before.memory_free - (1 << 20)))
      assert(segment:fill(1))
      print(before.memory_limit, before.memory_free > before.memory_limit // 2)]]
    if out then assert.equal(LIMIT .. "\ttrue\n", out) end
  end)
end)

describe("shm.cpus", function()
  it("is the number of processors that the process may run on", function()
    local count = process.run_lua "print(require('shm').cpus())".out
    assert.equal(shm.cpus() .. "\n", count)
    assert.is_true(math.type(shm.cpus()) == "integer" and shm.cpus() >= 1)
    local first = process.run("sh", { "-c", "taskset -cp $$" }).out:match(": *(%d+)")
    assert.equal("1\n", process.run("taskset", { "-c", first, process.lua, "-e", "print(require('shm').cpus())" }).out)
  end)

  it("is less where a container has a quota, which is rounded up", function()
    if shm.cpus() < 2 then return pending "one processor cannot be less" end
    for _, quota in ipairs { { 20000, 1 }, { 100000, 1 }, { 110000, 2 } } do
      local group, missing = make_group("cpu", { { "cpu.cfs_quota_us", quota[1] } }, { { "cpu.max", quota[1] } })
      if not group then return pending(missing) end
      local shmlua = process.build .. "/shmlua"
      local cpus = run_in(group, process.lua, "-e", "print(require('shm').cpus())")
      local auto = run_in(group, shmlua, "-j", "auto", "-e", "print(require('shm').worker.count)")
      remove_group(group)
      assert.equal(quota[2] .. "\n", cpus.out, cpus.err)
      assert.equal((quota[2] .. "\n"):rep(quota[2]), auto.out, auto.err)
    end
  end)
end)
