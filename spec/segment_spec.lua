-- segment_spec.lua: what a segment does, the same over all three backings.
local shm = require "shm"
local process = require "spec.support.process"

local names = { sysv = 0x5e600001, posix = "/shm_spec_segment" }

for _, backing in ipairs { "sysv", "posix", "memfd" } do
  describe("a segment (" .. backing .. ")", function()
    local name = names[backing]
    local segment

    before_each(function() segment = assert(shm.create(name, 5000, { owned = true })) end)
    after_each(function() segment:close() end)

    it("is zero, and exactly as long as asked for", function()
      assert.equal(5000, #segment)
      assert.equal(("\0"):rep(5000), segment:read())
    end)

    it("returns what was written, byte for byte", function()
      local bytes = {}
      for byte = 0, 255 do bytes[#bytes + 1] = string.char(byte) end
      local all = table.concat(bytes) .. "\0\0" .. table.concat(bytes)
      segment:write(all, 17)
      assert.equal(all, segment:read(#all, 17))
      assert.equal("\0", segment:read(1, 16))
      assert.equal("\0", segment:read(1, 17 + #all))
    end)

    it("writes at the start, reads to the end, and lets writes be chained", function()
      assert.equal(segment, segment:write("one"):write("two", 4997))
      assert.equal("one", segment:read(3))
      assert.equal("\0two", segment:read(nil, 4996))
      assert.equal("", segment:read(nil, 5000))
      assert.equal("", segment:read(0, 5000))
      segment:write("", 5000)
    end)

    it("is read as a C string: up to a NUL, or to its end", function()
      segment:write("text\0more")
      assert.equal("text", segment:cstring())
      assert.equal("more", segment:cstring(5))
      assert.equal("", segment:cstring(4))
      assert.equal("", segment:cstring(5000))
      segment:fill(65)
      assert.equal(("A"):rep(5000), segment:cstring())
    end)

    it("is filled in part or as a whole", function()
      segment:fill(255, 10, 3)
      assert.equal("\0\255\255\255\0", segment:read(5, 9))
      segment:fill(7, 4998)
      assert.equal("\0\7\7", segment:read(nil, 4997))
      assert.equal(segment, segment:fill(1))
      assert.equal(("\1"):rep(5000), segment:read())
    end)

    it("is used by functions as by methods", function()
      assert.equal(segment, shm.write(segment, "abc", 3))
      assert.equal("bc", shm.read(segment, 2, 4))
    end)

    it("refuses every range that is not inside it, and touches nothing", function()
      segment:fill(1)
      local max, min = math.maxinteger, math.mininteger
      for _, range in ipairs { { 1, 5000 }, { 5001, 0 }, { 5000, 1 }, { 1, -1 }, { -1, 0 }, { 1, max },
        { max, 1 }, { max, max }, { min, 0 }, { min, min }, { 1, min }, { -1, 5000 } } do
        local length, offset = range[1], range[2]
        assert.error_matches(function() segment:read(length, offset) end, "is not within")
        assert.error_matches(function() segment:fill(2, offset, length) end, "is not within")
      end
      for _, offset in ipairs { 4999, 5000, 5001, -1, max, min } do
        assert.error_matches(function() segment:write("xx", offset) end, "offset %-?%d+ with length 2 is not")
      end
      for _, offset in ipairs { 5001, -1, max, min } do
        assert.error_matches(function() segment:cstring(offset) end, "is not within")
        assert.error_matches(function() segment:read(nil, offset) end, "is not within")
      end
      assert.equal(("\1"):rep(5000), segment:read())
    end)

    it("says what it is", function()
      local pattern = ({
        sysv = "^segment 0x5e600001 %(sysv id %d+, 5000 bytes%)$",
        posix = '^segment "/shm_spec_segment" %(posix, 5000 bytes%)$',
        memfd = "^anonymous segment %(memfd, 5000 bytes%)$",
      })[backing]
      assert.matches(pattern, tostring(segment))
      segment:close()
      assert.matches("%(detached%)$", tostring(segment))
    end)

    it("has a status", function()
      local stat = segment:stat()
      assert.equal(backing, stat.backing)
      assert.equal(5000, stat.size)
      assert.equal("0600", stat.mode)
      assert.is_false(stat.removed)
      assert.is_false(stat.readonly)
      assert.equal(0, stat.address % shm.limits().page_size)
      assert.is_true(math.abs(stat.ctime - os.time()) < 60)
    end)

    it("changes its mode", function()
      assert.is_true(segment:set { mode = "0640" })
      assert.equal("0640", segment:stat().mode)
      assert.is_true(segment:set { mode = 0x180, uid = segment:stat().uid, gid = segment:stat().gid })
      assert.equal("0600", segment:stat().mode)
      assert.is_true(segment:set {})
    end)

    it("has the mode that was asked for, whatever the umask", function()
      segment:close()
      segment = assert(shm.create(name, 10, { owned = true, mode = "0666" }))
      assert.equal("0666", segment:stat().mode)
    end)

    it("is locked into memory and unlocked", function()
      assert.is_true(segment:mlock())
      if backing == "sysv" then assert.is_true(segment:stat().locked) end
      assert.is_true(segment:munlock())
      if backing == "sysv" then assert.is_false(segment:stat().locked) end
      segment:close()
      segment = assert(shm.create(name, 10, { owned = true, mlock = true, populate = true }))
    end)

    it("is mapped where it is wanted", function()
      local address, page = segment:stat().address, shm.limits().page_size
      segment:close()
      segment = assert(shm.create(name, 10, { owned = true, address = address }))
      assert.equal(address, segment:stat().address)
      segment:close()
      segment = assert(shm.create(name, 10, { owned = true, address = address + page - 1, round = true }))
      assert.equal(address, segment:stat().address)
      local none, message, code = shm.create(shm.PRIVATE, 10, { address = address, owned = true })
      assert.is_nil(none)
      assert.matches("private segment cannot be mapped there: the address range is in use", message)
      assert.equal("EADDRINUSE", code)
      assert.error_matches(function() shm.create(nil, 10, { address = address + 1 }) end,
        "the address is not at the start of a page; the option round")
    end)

    it("may be made without its memory", function()
      segment:close()
      segment = assert(shm.create(name, "64M", { owned = true, reserve = false }))
      segment:write("x", 64 * 1024 * 1024 - 1)
      assert.equal("\0x", segment:read(2, 64 * 1024 * 1024 - 2))
      local allocated = segment:stat().allocated
      if allocated then assert.is_true(allocated < 1024 * 1024) end
    end)

    it("is not written when it is attached readonly", function()
      segment:close()
      segment = assert(shm.create(name, 10, { owned = true, readonly = true }))
      assert.error_matches(function() segment:write("x") end, "is attached readonly; attach it without")
      assert.error_matches(function() segment:fill(1) end, "is attached readonly")
      assert.equal(("\0"):rep(10), segment:read())
      assert.matches("readonly%)$", tostring(segment))
      assert.is_true(segment:stat().readonly)
    end)

    it("is used no more once it is detached; detaching again is harmless", function()
      assert.is_true(segment:detach())
      for method, arguments in pairs { read = {}, write = { "x" }, cstring = {}, fill = { 0 }, stat = {},
        set = { {} }, resize = { 1 }, mlock = {}, munlock = {}, remove = {} } do
        assert.error_matches(function() segment[method](segment, table.unpack(arguments)) end,
          "is detached; attach it again")
      end
      assert.error_matches(function() return #segment end, "is detached")
      assert.is_true(segment:detach())
      assert.is_true(segment:close())
    end)

    if name then
      it("exists once", function()
        local none, message, code = shm.create(name, 10)
        assert.is_nil(none)
        assert.matches("exists already; use attach or open, or remove it first", message, 1, true)
        assert.equal("EEXIST", code)
      end)

      it("is the same memory for all who attach", function()
        local other <close> = assert(shm.attach(name))
        assert.equal(5000, #other)
        segment:write("from one", 100)
        other:write("from two", 200)
        assert.equal("from one", other:read(8, 100))
        assert.equal("from two", segment:read(8, 200))
      end)

      it("is opened whether it is there or not", function()
        local found <close> = assert(shm.open(name, 5000))
        segment:write("here")
        assert.equal("here", found:read(4))
        segment:close()
        local none, message, code = shm.attach(name)
        assert.is_nil(none)
        assert.matches("does not exist; create it first", message, 1, true)
        assert.equal("ENOENT", code)
        segment = assert(shm.open(name, 4000, { owned = true }))
        assert.equal("\0\0\0\0", segment:read(4))
      end)

      it("is not opened where it is too small", function()
        local none, message, code = shm.open(name, 5001)
        assert.is_nil(none)
        assert.matches(" has 5000 bytes, 5001 were asked for; attach takes it as it is", message, 1, true)
        assert.equal("ERANGE", code)
      end)

      it("lives on without its name until the last detach", function()
        local other <close> = assert(shm.attach(name))
        assert.is_true(segment:remove())
        assert.is_nil(shm.attach(name))
        assert.is_true(other:stat().removed)
        segment:write("still here")
        assert.equal("still here", other:read(10))
        local anew <close> = assert(shm.create(name, 10, { owned = true }))
        assert.equal(("\0"):rep(10), anew:read())
      end)

      it("is removed by name", function()
        assert.is_true(shm.remove(name))
        assert.is_nil(shm.attach(name))
        local done, _, code = shm.remove(name)
        assert.is_nil(done)
        assert.equal("ENOENT", code)
      end)

      it("is removed by the function too", function()
        assert.is_true(shm.remove(segment))
        assert.is_true(segment:stat().removed)
      end)

      it("is listed", function()
        local entry
        for _, stat in ipairs(shm.list()) do
          if stat.name == name or stat.key == name then entry = stat end
        end
        for field, value in pairs(segment:stat()) do
          if field ~= "address" and field ~= "readonly" then assert.same(value, entry[field]) end
        end
      end)
    end
  end)
end

describe("a read", function()
  it("is a string like any other, whatever a peer does to the memory meanwhile", function()
    local segment <close> = assert(shm.create("/shm_spec_segment", 4096, { owned = true }))
    local peer = process.start_peer("posix", "flip", "/shm_spec_segment")
    assert.is_true(process.await(function() return segment:read(1) ~= "\0" end))
    local known = { AAAAAAAA = true, BBBBBBBB = true }
    local strange = 0
    for _ = 1, 300000 do
      -- A string that was hashed before it changed would equal no other of the same bytes.
      if not known[segment:read(8)] or not known[segment:cstring()] then strange = strange + 1 end
    end
    peer:kill("sigkill")
    peer:wait()
    assert.equal(0, strange)
  end)

  it("raises where a finalizer has detached the segment meanwhile", function()
    for _ = 1, 100 do
      local segment = assert(shm.create(nil, 65536)):fill(65)
      setmetatable({}, { __gc = function() segment:close() end })
      local done, data
      repeat
        done, data = pcall(segment.read, segment)
        assert.is_falsy(done and data:find("\0", 1, true))
      until not done
      assert.matches("is detached", data)
    end
  end)
end)
