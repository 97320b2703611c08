-- dict_snapshot_spec.lua: a dict as a file: what is in it, what is restored, what the file system refuses.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local process = require "spec.support.process"
local uv = require "luv"

local name = "/shm_spec_dict"

local arena, d
before_each(function()
  arena = assert(shm.arena(name, "4M", { owned = true }))
  d = assert(arena:dict("d", "1M"))
end)
after_each(function() arena:close() end)

local function returns(expected, ...)
  assert.same(expected, table.pack(...))
end

local raises = outcome.raises

describe("a snapshot", function()
  local directory
  setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
  teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

  local function fill()
    d:set_all { a = 1, b = 2.5, c = true, d = { 1, { x = "y" } }, e = ("e"):rep(9000), [-5] = "n", [7] = false }
    d:set("f", "flags", 1000, 77)
    d:set("\0\255", "")
    for i = 1, 20 do d:rpush("list", { i }) end
    d:expire("list", 500)
    for i = 1, 300 do d:set("many" .. i, ("v"):rep(i)) end
    d:set("gone", 1, 0.001)
    process.await(function() return d:get "gone" == nil end)
  end

  local function all(dict)
    local result = {}
    for key, value in pairs(dict) do result[key] = value end
    return result
  end

  it("is restored as it was, with flags and times to live", function()
    local path = directory .. "/one"
    fill()
    returns({ 310, n = 1 }, d:snapshot(path))
    assert.equal(tonumber("600", 8), uv.fs_stat(path).mode % 512)
    local other = arena:dict("other", "512K")
    other:set("a", "old")
    other:set("stays", 1)
    other:set("list", "a value")
    returns({ 310, nil, false, n = 3 }, other:restore(path))
    local expected = all(d)
    expected.stays = 1
    assert.same(expected, all(other))
    returns({ "flags", 77, n = 2 }, other:get "f")
    for key, ttl in pairs { f = 1000, list = 500 } do
      assert.is_true(other:ttl(key) > ttl / 2 and other:ttl(key) <= ttl)
    end
    assert.equal(0.0, other:ttl "a")
    assert.equal(20, other:llen "list")
    returns({ 310, n = 1 }, d:snapshot(path)) -- over the old one
    for entry in uv.fs_scandir_next, assert(uv.fs_scandir(directory)) do assert.equal("one", entry) end
  end)

  it("is written whole, or not at all", function()
    local none, message, code = d:snapshot(directory .. "/no/such")
    assert.same({ nil, "ENOENT" }, { none, code })
    assert.matches('^snapshot ".*/no/such": No such file or directory$', message)
    assert.equal("ENOTDIR", select(3, d:snapshot "/dev/null/x"))
    assert(uv.fs_mkdir(directory .. "/folder", 448))
    assert.equal("EISDIR", select(3, d:snapshot(directory .. "/folder")))
    for entry in uv.fs_scandir_next, assert(uv.fs_scandir(directory)) do
      assert.is_nil(entry:find "%.%w%w%w%w%w%w$") -- nothing is left of those
    end
    raises("string expected", d.snapshot, d)
    raises("path", d.restore, d, "a\0b")
  end)

  it("that is damaged anywhere restores nothing", function()
    local path = directory .. "/whole"
    d:set_all { a = 1, b = { 2 }, [3] = "three" }
    d:rpush("list", "x")
    d:snapshot(path)
    local file <close> = assert(io.open(path, "rb"))
    local bytes = file:read "a"
    local empty = arena:dict("empty", "64K")
    local function restore(text)
      local copy <close> = assert(io.open(directory .. "/copy", "wb"))
      copy:write(text)
      copy:flush()
      return empty:restore(directory .. "/copy")
    end
    for length = 0, #bytes - 1 do
      local none, message, code = restore(bytes:sub(1, length))
      assert.same({ nil, "EBADMSG" }, { none, code }, length)
      assert.matches("is no snapshot of a dict$", message .. (message:match "damaged at byte %d+, or was cut off there$"
        and " is no snapshot of a dict" or ""))
    end
    for at = 1, #bytes do
      for _, change in ipairs { 1, 0x80 } do
        local other = string.char(bytes:byte(at) ~ change)
        local none, _, code = restore(bytes:sub(1, at - 1) .. other .. bytes:sub(at + 1))
        assert.is_nil(none, at)
        assert.is_truthy(code == "EBADMSG" or code == "EPROTONOSUPPORT" or code == "EMSGSIZE", code)
      end
    end
    assert.is_nil((restore(bytes .. "x")))
    assert.same({}, all(empty))
    assert.equal(4, (restore(bytes)))
    assert.same({ "ENOENT", "EISDIR" }, { select(3, d:restore(directory .. "/none")), select(3, d:restore "/tmp") })
  end)

  it("of larger values is refused by a smaller dict, before anything is stored", function()
    local path = directory .. "/large"
    d:set_all { small = 1, large = ("x"):rep(100000) }
    d:snapshot(path)
    local small = arena:dict("small", "64K")
    local none, message, code = small:restore(path)
    assert.same({ nil, "EMSGSIZE" }, { none, code })
    assert.matches('has an entry, up to byte %d+, that is too large for dict "small"', message)
    assert.same({}, all(small))
  end)
end)
