-- machine_spec.lua: what we say of the machine and its segments is what ipcs, ipcrm and /proc say.
local shm = require "shm"
local process = require "spec.support.process"
local uv = require "luv"

local key = 0x5e600005

local function ipcs(id)
  local run = process.run("ipcs", { "-m", "-i", tostring(id) })
  assert.equal(0, run.code, run.err)
  return run.out
end

describe("System V segments", function()
  it("are seen by ipcs, with our figures", function()
    local segment <close> = assert(shm.create(key, 5000, { mode = "0640", owned = true }))
    local stat = segment:stat()
    local text = ipcs(stat.id)
    for pattern, value in pairs {
      ["uid=(%d+)"] = stat.uid, ["gid=(%d+)"] = stat.gid, ["cuid=(%d+)"] = stat.cuid, ["cgid=(%d+)"] = stat.cgid,
      ["bytes=(%d+)"] = stat.size, ["cpid=(%d+)"] = stat.cpid,
      ["nattch=(%d+)"] = stat.nattch,
    } do
      assert.equal(value, math.tointeger(tonumber(text:match(pattern))))
    end
    assert.equal("0640", text:match("access_perms=(%d+)"))
    assert.equal(uv.os_getpid(), stat.cpid)
    assert.equal(uv.os_getpid(), stat.lpid) -- by now ipcs: it was forked with our mapping
    assert.equal(1, stat.nattch)
    assert.equal(0, stat.dtime)
    assert.equal(key, stat.key)
    assert.is_true(math.abs(stat.atime - os.time()) < 60)
    local other = assert(shm.attach(key))
    assert.equal(2, segment:stat().nattch)
    other:close()
    assert.is_true(math.abs(segment:stat().dtime - os.time()) < 60)
  end)

  it("say who attached or detached last", function()
    local segment <close> = assert(shm.create(key, 10, { owned = true }))
    local other = process.start(process.lua, { "-e", ("require('shm').attach(%d) io.read()"):format(key) })
    assert.is_true(process.await(function() return segment:stat().nattch == 2 end))
    assert.equal(other.pid, segment:stat().lpid)
    assert.equal(uv.os_getpid(), segment:stat().cpid)
    other:wait()
  end)

  it("are removed by ipcrm, and the other side finds out in words", function()
    local segment <close> = assert(shm.create(key, 10))
    segment:write("still")
    assert.equal(0, process.run("ipcrm", { "-M", tostring(key) }).code)
    assert.is_true(segment:stat().removed)
    assert.equal("still", segment:read(5))
    local none, message, code = shm.attach(key)
    assert.is_nil(none)
    assert.equal("segment 0x5e600005 does not exist; create it first", message)
    assert.equal("ENOENT", code)
    local by_id = assert(shm.attach { id = segment:stat().id }) -- the id works until the last detach
    by_id:close()
    local id = segment:stat().id
    segment:close()
    assert.is_nil((shm.attach { id = id }))
  end)

  it("made by others are listed and attached", function()
    local run = process.run("ipcmk", { "-M", "3000", "-p", "0600" })
    local id = math.tointeger(tonumber(run.out:match("%d+")))
    local segment <close> = assert(shm.attach { id = id })
    assert.equal(3000, #segment)
    local listed
    for _, stat in ipairs(shm.list()) do listed = listed or stat.id == id and stat end
    assert.equal(3000, listed.size)
    assert.equal(segment:stat().key, listed.key)
    assert.is_true(segment:remove())
  end)
end)

describe("the list", function()
  it("has all that /proc/sysvipc/shm and /dev/shm have", function()
    local first <close> = assert(shm.create(shm.PRIVATE, 10, { owned = true }))
    local second <close> = assert(shm.create("/shm_spec_b", 10, { owned = true }))
    local third <close> = assert(shm.create("/shm_spec_a", 10, { owned = true }))
    local ids, names = {}, {}
    for _, stat in ipairs(shm.list()) do
      if stat.id then ids[#ids + 1] = stat.id else names[#names + 1] = stat.name end
    end
    local proc = {}
    for line in io.lines("/proc/sysvipc/shm") do
      proc[#proc + 1] = math.tointeger(tonumber(line:match("^%s*%-?%d+%s+(%d+)")))
    end
    table.sort(ids)
    table.sort(proc)
    assert.same(proc, ids)
    local sorted = { table.unpack(names) }
    table.sort(sorted)
    assert.same(sorted, names)
    assert.is_true(#ids >= 1 and #names >= 2)
    local files = process.run("find", { "/dev/shm", "-maxdepth", "1", "-type", "f" }).out
    assert.equal(select(2, files:gsub("\n", "")), #names)
    assert.same({ 10, 10, 10 }, { #first, #second, #third })
  end)
end)

describe("the limits", function()
  it("are the kernel's", function()
    local limits = shm.limits()
    local function proc(file)
      local handle <close> = assert(io.open("/proc/sys/kernel/" .. file))
      local text = handle:read("a"):match("%d+")
      return math.tointeger(tonumber(text)) or math.maxinteger -- above 2^63: no limit
    end
    assert.equal(proc("shmmax"), limits.shmmax)
    assert.equal(proc("shmall"), limits.shmall)
    assert.equal(proc("shmmni"), limits.shmmni)
    assert.equal(1, limits.shmmin)
    assert.equal(math.tointeger(tonumber(process.run("getconf", { "PAGESIZE" }).out)), limits.page_size)
    local df = process.run("df", { "--output=size", "-B1", "/dev/shm" }).out:match("\n%s*(%d+)")
    assert.equal(math.tointeger(tonumber(df)), limits.posix_size)
    assert.is_true(limits.posix_free <= limits.posix_size)
    local meminfo <close> = assert(io.open("/proc/meminfo"))
    local huge = meminfo:read("a"):match("Hugepagesize:%s+(%d+) kB")
    assert.equal(huge and math.tointeger(huge) * 1024 or 0, limits.huge_page_size)
  end)
end)
