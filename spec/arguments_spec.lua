-- arguments_spec.lua: misuse raises, with a sentence that names the thing and the way out.
local shm = require "shm"

local function raises(pattern, f, ...)
  local arguments = table.pack(...)
  assert.error_matches(function() f(table.unpack(arguments, 1, arguments.n)) end, pattern)
end

-- A bad value as part of a test's name.
local function shown(value) return type(value) == "string" and ("%q"):format(value:sub(1, 40)) or tostring(value) end

describe("a name", function()
  local bad = {
    { "", 'name "" must begin with "/"' },
    { "prices", 'name "prices" must begin with "/"' },
    { "13", 'name "13" must begin with "/"' },
    { "/", 'name "/" needs something after the "/"' },
    { "/a/b", 'name "/a/b" may have no second "/"' },
    { "//a", 'may have no second "/"' },
    { "/.", "is a directory's" },
    { "/..", "is a directory's" },
    { "/" .. ("x"):rep(300), "is longer than 255 bytes" },
    { "/a\0b", "name with a NUL inside" },
    { 2 ^ 31 * 2, "key 4294967296 does not fit the 32 bits of a key_t" },
    { 1 << 32, "key 4294967296 does not fit" },
    { -2147483649, "key %-2147483649 does not fit" },
    { math.maxinteger, "key 9223372036854775807 does not fit" },
    { 1.5, "key 1.5 is not a whole number" },
    { 2 ^ 63, "is not a whole number" },
    { 0 / 0, "is not a whole number" },
    { true, 'name %(a key, "/name", {id=n} or nil%) expected, got boolean' },
    { print, "expected, got function" },
    { {}, "is {id=n} with a System V identifier" },
    { { id = -1 }, "is {id=n} with" },
    { { id = 1.5 }, "is {id=n} with" },
    { { id = 1 << 31 }, "is {id=n} with" },
    { { id = "x" }, "is {id=n} with" },
  }
  for _, case in ipairs(bad) do
    it(shown(case[1]) .. " is refused", function()
      raises(case[2], shm.create, case[1], 10)
      raises(case[2], shm.open, case[1], 10)
      raises(case[2], shm.attach, case[1])
      raises(case[2], shm.remove, case[1])
    end)
  end

  it("is required", function()
    for _, f in ipairs { shm.create, shm.open, shm.attach, shm.remove } do
      raises('name %(a key, "/name", {id=n} or nil%) expected, got no value', f)
    end
  end)

  it("must lead somewhere to be attached or removed", function()
    for _, f in ipairs { shm.attach, shm.remove } do
      raises("anonymous memory, which no name leads to", f, nil)
      raises("IPC_PRIVATE, a new segment each time; use {id=n}", f, shm.PRIVATE)
    end
  end)

  it("that is an id cannot be created", function()
    raises("use attach", shm.create, { id = 1 }, 10)
    raises("use attach", shm.open, { id = 1 }, 10)
  end)

  it("may be a key as ipcs prints it, or a float without a fraction", function()
    local segment <close> = assert(shm.create(0xfe600003, 10, { owned = true }))
    assert.equal(0xfe600003 - (1 << 32), segment:stat().key)
    assert.matches("segment 0xfe600003 ", tostring(segment))
    assert(shm.attach(0xfe600003 - (1 << 32))):close()
    assert(shm.attach(0xfe600003 + 0.0)):close()
  end)

  it("may be 255 bytes long", function()
    local long = "/" .. ("n"):rep(255)
    local segment <close> = assert(shm.create(long, 10, { owned = true }))
    assert.equal(long, segment:stat().name)
    assert(shm.attach(long)):close()
  end)
end)

describe("a size", function()
  local bad = {
    { 0, "size 0: a segment has at least 1 byte" }, { "0", "size 0:" }, { "0G", "size 0:" },
    { -1, "size %-1 is negative" }, { math.mininteger, "is negative" },
    { 1.5, "size 1.5 is not a whole number of bytes" }, { 2 ^ 63, "is not a whole number of bytes" },
    { 1 / 0, "is not a whole number" },
    { "12Q", 'size "12Q" is not bytes, or a number with K, M, G or T, below 2%^63' },
    { "", 'size "" is not' }, { "K", "is not bytes" }, { "-1", "is not bytes" }, { "1.5K", "is not bytes" },
    { "1KK", "is not bytes" }, { " 1", "is not bytes" }, { "1k", "is not bytes" }, { "0x10", "is not bytes" },
    { "9223372036854775808", "is not bytes" }, { "99999999999999999999", "is not bytes" },
    { "9999999999T", "is not bytes" }, { "1\0K", "size with a NUL inside" },
    { true, 'size %(bytes, or a string as "64K"%) expected, got boolean' }, { {}, "expected, got table" },
  }
  for _, case in ipairs(bad) do
    it(shown(case[1]) .. " is refused", function()
      raises(case[2], shm.create, nil, case[1])
      raises(case[2], shm.open, "/shm_spec_size", case[1])
      local segment <close> = assert(shm.create(nil, 10))
      raises(case[2], segment.resize, segment, case[1])
    end)
  end

  it("is required", function() raises("size %(.*%) expected, got no value", shm.create, nil) end)

  it("may have a unit", function()
    for text, bytes in pairs { ["100"] = 100, ["1K"] = 1024, ["64K"] = 65536, ["2M"] = 2097152 } do
      local segment <close> = assert(shm.create(nil, text))
      assert.equal(bytes, #segment)
    end
    local segment <close> = assert(shm.create(nil, "1G", { reserve = false }))
    assert.equal(1 << 30, #segment)
    local large <close> = assert(shm.create(nil, "1T", { reserve = false }))
    assert.equal(1 << 40, #large)
    local float <close> = assert(shm.create(nil, 10.0))
    assert.equal(10, #float)
  end)
end)

describe("an option", function()
  local bad = {
    { "x", "table of options expected, got string" },
    { { readOnly = true }, "unknown option 'readOnly'; there are readonly" },
    { { "readonly" }, "options have names: {readonly = true}" },
    { { readonly = 1 }, "option readonly is true or false, not a number" },
    { { huge = "yes" }, "option huge is true or false, not a string" },
    { { reserve = 0 }, "option reserve is true or false" },
    { { mode = "0999" }, 'mode 0999 is not permission bits in octal, such as "0640"' },
    { { mode = "rw" }, "mode rw is not" }, { { mode = "" }, "mode  is not" },
    { { mode = "00600" }, "mode 00600 is" }, { { mode = "1777" }, "mode 1777 is not" },
    { { mode = 600 }, "mode 600 is not" }, { { mode = -1 }, "mode %-1 is not" },
    { { mode = 1.5 }, "mode 1.5 is not" }, { { mode = true }, "mode true is not" },
    { { mode = "6\0" }, "is not permission" }, { { mode = {} }, "mode table: 0x%x+ is not" },
    { { mode = "0" }, "mode 0 would keep everybody out" },
    { { address = "0" }, "option address is an integer" }, { { address = 1.5 }, "option address is an integer" },
  }
  for _, case in ipairs(bad) do
    it(("is refused: %s"):format(case[2]), function()
      raises(case[2], shm.create, nil, 10, case[1])
      raises(case[2], shm.open, nil, 10, case[1])
    end)
  end

  it("that shapes a new segment is not for attach", function()
    for name, value in pairs { mode = "0600", owned = true, huge = true, reserve = false } do
      raises("option " .. name .. " is for create and open, not for attach", shm.attach, "/x", { [name] = value })
    end
  end)

  it("may be nothing", function()
    assert(shm.create(nil, 10, nil)):close()
    assert(shm.create(nil, 10, {})):close()
    assert(shm.create(nil, 10, { readonly = false, owned = false, reserve = true })):close()
  end)
end)

describe("an argument of a method", function()
  local segment
  before_each(function() segment = assert(shm.create(nil, 100)) end)
  after_each(function() segment:close() end)

  it("of the wrong type is refused", function()
    for _, data in ipairs { 1, true, {}, print, segment } do
      raises("string %(string.pack makes one%) expected, got", segment.write, segment, data)
    end
    raises("expected, got no value", segment.write, segment)
    raises("number expected, got string", segment.write, segment, "x", "here")
    raises("no integer representation", segment.write, segment, "x", 1.5)
    raises("number expected, got table", segment.read, segment, {})
    raises("no integer representation", segment.read, segment, 1, 2 ^ 63)
    raises("number expected, got boolean", segment.cstring, segment, true)
    raises("number expected, got no value", segment.fill, segment)
  end)

  it("that is no byte is refused", function()
    raises("a byte is 0 to 255", segment.fill, segment, 256)
    raises("a byte is 0 to 255", segment.fill, segment, -1)
    raises("number expected, got string", segment.fill, segment, "A")
  end)

  it("of set is refused by name", function()
    raises("table expected", segment.set, segment)
    raises("cannot set 'owner'; there are mode, uid, gid", segment.set, segment, { owner = 1 })
    raises("uid is a number from 0 to 4294967294", segment.set, segment, { uid = -1 })
    raises("gid is a number", segment.set, segment, { gid = "users" })
    raises("uid is a number", segment.set, segment, { uid = 1 << 32 })
    raises("mode 0888 is not permission bits", segment.set, segment, { mode = "0888" })
  end)

  it("before the dot is refused", function()
    raises("shm.segment %(methods are called with a colon%) expected, got string", segment.write, "x")
    raises("shm.segment .* expected, got table", shm.read, {})
    raises("shm.segment .* expected, got no value", shm.write)
  end)
end)

describe("ftok", function()
  it("makes C's key", function()
    local key = shm.ftok("/tmp", 0x66)
    assert.equal(0x66, key >> 24 & 0xff)
    assert.equal(key, shm.ftok("/tmp", 0x66))
    assert.not_equal(key, shm.ftok("/tmp", 0x67))
    assert.is_true(shm.ftok("/tmp", 255) < 0) -- a key_t is signed
  end)

  it("says which file is missing", function()
    local key, message, code = shm.ftok("/no/such/file", 1)
    assert.is_nil(key)
    assert.equal('file "/no/such/file" does not exist; create it first', message)
    assert.equal("ENOENT", code)
  end)

  it("takes only the 8 bits that it uses", function()
    raises("project 0 is not within 1 and 0xff", shm.ftok, "/tmp", 0)
    raises("project 0x666 is not within 1 and 0xff; C's ftok takes its low 8 bits, 0x66", shm.ftok, "/tmp", 0x666)
    raises("project 0x100 is not", shm.ftok, "/tmp", 256)
    raises("is not within", shm.ftok, "/tmp", -1)
    raises("number expected, got no value", shm.ftok, "/tmp")
    raises("string expected, got no value", shm.ftok)
    raises("path with a NUL inside", shm.ftok, "/tmp\0", 1)
  end)
end)
