-- tool_arena_spec.lua: the tool `shm` before an arena: it writes over none, and knows one of another format.
local process = require "spec.support.process"
local shm = require "shm"
local uv = require "luv"

local tool = uv.cwd() .. "/scripts/shm"
local name = "/shm_spec_tool_arena"
local arena

local function run(...) return process.run(process.lua, { tool, ... }) end

describe("shm", function()
  before_each(function() arena = assert(shm.arena(name, "64K", { owned = true })) end)
  after_each(function() arena:close() end)

  it("write refuses an arena, and takes --force", function()
    for _, data in ipairs { { "x" }, { "--type", "u8", "120" } } do
      local refused = run("write", name, "-o", "60000", table.unpack(data))
      assert.same({ "", 1 }, { refused.out, refused.code })
      assert.equal(("shm: %s is an arena: writing would damage its objects; see shm arena %s, or give --force\n")
        :format(name, name), refused.err)
    end
    local bytes <close> = assert(shm.attach(name))
    assert.equal("\0", bytes:read(1, 60000))
    assert.same({ "", 0 }, { run("write", name, "-o", "60000", "--force", "x").err, 0 })
    assert.equal("x", bytes:read(1, 60000))
  end)

  it("read --type hints at shm arena on standard error, and reads", function()
    local read = run("read", name, "--type", "u8", "-c", "2")
    assert.same({ "104\n109\n", 0 }, { read.out, read.code })
    assert.equal(("shm: %s is an arena, shown byte by byte; its objects: shm arena %s\n"):format(name, name), read.err)
    local plain <close> = assert(shm.create("/shm_spec_tool_plain", 10, { owned = true }))
    assert.equal("", run("read", plain:stat().name, "--type", "u8").err)
  end)

  it("says the format of an arena of another format", function()
    local bytes <close> = assert(shm.attach(name))
    bytes:view("u32", 8, 1)[1] = 1
    assert.matches(name .. " [^\n]*arena of format 1\n", run("ls").out)
    assert.matches("arena +yes, of format 1, which this version does not read\n", run("stat", name).out)
    local shown = run("arena", name)
    assert.same({ "", 1 }, { shown.out, shown.code })
    assert.equal(('shm: arena "%s" has format 1 (shm 0.1), this is format 2; stop its processes, then shm rm %s\n')
      :format(name, name), shown.err)
    assert.equal(1, run("write", name, "x").code) -- it is one, too
  end)

  it("never takes an arena of another format for an orphan", function()
    local made = process.run_lua [[
      local shm = require "shm"
      local segment = assert(shm.create(shm.PRIVATE, "64K"))
      local id = segment:stat().id
      local a = assert(shm.arena { id = id })
      a:close()
      print(id)]]
    local id = math.tointeger(tonumber(made.out))
    local line = "would remove id=" .. id .. "\n"
    assert.is_truthy(run("rm", "--orphans", "--dry-run").out:find(line, 1, true), "of our format it is one")
    do
      local segment <close> = assert(shm.attach { id = id })
      segment:view("u32", 8, 1)[1] = 1
    end
    assert.is_nil(run("rm", "--orphans", "--dry-run").out:find(line, 1, true))
    assert.is_true(shm.remove { id = id })
  end)
end)
