-- lifecycle_spec.lua: when a segment is detached and when its name goes: <close>, collection, exit,
-- fork, owners.
local shm = require "shm"
local lowlevel = require "lowlevel"
local process = require "spec.support.process"

local name, key = "/shm_spec_lifecycle", 0x5e600002

-- How many mappings of POSIX objects or memfds this process has.
local function mapped()
  local count = 0
  for line in io.lines("/proc/self/maps") do
    if line:find("%s/dev/shm/") or line:find("%s/memfd:shm") then count = count + 1 end
  end
  return count
end

describe("a handle", function()
  it("detaches at the end of its block, also when an error ends it", function()
    local kept
    assert.error_matches(function()
      local segment <close> = assert(shm.create(name, 10, { owned = true }))
      kept = segment
      assert.equal(1, mapped())
      error("on purpose")
    end, "on purpose")
    assert.matches("detached", tostring(kept))
    assert.equal(0, mapped())
  end)

  it("detaches when it is collected, and removes no name then", function()
    local segment = assert(shm.create(name, 10)) -- luacheck: ignore
    assert.equal(1, mapped())
    segment = nil -- luacheck: ignore
    collectgarbage()
    assert.equal(0, mapped())
    assert.is_true(shm.remove(name))
  end)

  it("is collected after remove, and after detach", function()
    local segment = assert(shm.create(key, 10))
    segment:remove()
    segment = nil -- luacheck: ignore
    collectgarbage()
    assert.is_nil(shm.attach(key))
    segment = assert(shm.create(key, 10, { owned = true }))
    segment:detach()
    segment = nil -- luacheck: ignore
    collectgarbage()
    assert.is_nil(shm.attach(key))
  end)

  it("survives calls of its own __gc and __close, and refuses foreign ones", function()
    local segment <close> = assert(shm.create(nil, 10))
    local meta = getmetatable(segment)
    meta.__gc(segment)
    meta.__gc(segment)
    meta.__close(segment)
    assert.error_matches(function() segment:read() end, "is detached")
    local foreigners = { io.stdout, {}, "x", 1, print, coroutine.create(print) }
    for size = 0, 1024 do foreigners[#foreigners + 1] = lowlevel.userdata(size) end -- one is as long as ours
    for _, foreign in ipairs(foreigners) do
      for _, method in ipairs { meta.__gc, meta.__close, meta.__len, meta.__tostring, meta.__index.read,
        meta.__index.write, meta.__index.stat } do
        assert.error_matches(function() method(foreign) end, "shm.segment .* expected, got")
      end
    end
    assert.error_matches(meta.__index.read, "shm.segment .* expected, got no value")
  end)

  it("leaves nothing where creation fails", function()
    for _ = 1, 200 do assert.is_nil(shm.create(nil, 10, { huge = true, address = 4096 })) end
    collectgarbage()
    assert.equal(0, mapped())
  end)
end)

describe("an owned segment", function()
  for backing, owned_name in pairs { sysv = key, posix = name } do
    it("is removed by the process that created it, not by a forked child: " .. backing, function()
      local segment = assert(shm.create(owned_name, 10, { owned = true }))
      assert.equal(0, lowlevel.child(function()
        segment:write("child")
        return segment:close()
      end))
      assert.equal("child", segment:read(5))
      assert.equal(0, lowlevel.child(function()
        segment = nil -- luacheck: ignore
        collectgarbage()
        return true
      end))
      assert.is_false(segment:stat().removed)
      segment:close()
      assert.is_nil(shm.attach(owned_name))
    end)

    it("is not removed by a forked child that exits: " .. backing, function()
      local segment <close> = assert(shm.create(owned_name, 10, { owned = true }))
      assert.equal(0, lowlevel.child(os.exit)) -- runs what is to run at exit
      assert.is_false(segment:stat().removed)
    end)

    it("is not owned by who finds it with open: " .. backing, function()
      local segment <close> = assert(shm.create(owned_name, 10, { owned = true }))
      assert(shm.open(owned_name, 10, { owned = true })):close()
      assert.is_false(segment:stat().removed)
    end)

    it("goes when its process ends: " .. backing, function()
      local script = ([[
        local shm = require "shm"
        segment = assert(shm.create(%q, 10, { owned = true }))
        %s]]):format(owned_name, "%s")
      for ending, code in pairs { [""] = 0, ["os.exit(3, true)"] = 3, ["os.exit(4)"] = 4, ["error('x')"] = 1 } do
        local run = process.run_lua(script:format(ending))
        assert.equal(code, run.code, run.err)
        assert.is_nil(shm.attach(owned_name))
      end
    end)
  end

  it("does not take another's segment of the same name along", function()
    local first = assert(shm.create(name, 10, { owned = true }))
    assert.is_true(shm.remove(name))
    local second <close> = assert(shm.create(name, 10, { owned = true }))
    second:write("second")
    first:close()
    assert.is_false(second:stat().removed)
    assert.equal("second", second:read(6))
  end)

  it("does not mind that somebody removed it before", function()
    for _, owned_name in ipairs { key, name } do
      local segment = assert(shm.create(owned_name, 10, { owned = true }))
      assert.is_true(shm.remove(owned_name))
      assert.is_true(segment:close())
    end
  end)

  it("is how a private segment is cleaned up", function()
    local segment = assert(shm.create(shm.PRIVATE, 10, { owned = true }))
    local id = segment:stat().id
    local other <close> = assert(shm.attach { id = id })
    other:write("by id")
    assert.equal("by id", segment:read(5))
    segment:close()
    assert.is_true(other:stat().removed)
  end)
end)

describe("fork", function()
  it("hands anonymous memory to the child", function()
    local segment <close> = assert(shm.create(nil, 100))
    assert.equal(0, lowlevel.child(function()
      segment:write("from the child")
      return true
    end))
    assert.equal("from the child", segment:cstring())
  end)

  it("gives each process a handle of its own", function()
    local segment <close> = assert(shm.create(key, 100, { owned = true }))
    assert.equal(1, segment:stat().nattch)
    assert.equal(0, lowlevel.child(function() return segment:stat().nattch == 2 end))
    assert.equal(1, segment:stat().nattch)
  end)
end)
