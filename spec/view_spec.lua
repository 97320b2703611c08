-- view_spec.lua: views: typed elements of a segment, as natural as a table and as strict as C.
local shm = require "shm"
local process = require "spec.support.process"

local types = { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }
local sizes = { i8 = 1, u8 = 1, i16 = 2, u16 = 2, i32 = 4, u32 = 4, i64 = 8, u64 = 8, f32 = 4, f64 = 8 }
-- What string.unpack calls the same element.
local formats = { i8 = "i1", u8 = "I1", i16 = "i2", u16 = "I2", i32 = "i4", u32 = "I4", i64 = "i8", u64 = "I8",
  f32 = "f", f64 = "d" }
local limits = {
  i8 = { -128, 127 }, u8 = { 0, 255 }, i16 = { -32768, 32767 }, u16 = { 0, 65535 },
  i32 = { -2147483648, 2147483647 }, u32 = { 0, 4294967295 },
  i64 = { math.mininteger, math.maxinteger }, u64 = { math.mininteger, math.maxinteger },
}

local segment
before_each(function() segment = assert(shm.create(nil, 4096)) end)
after_each(function() segment:close() end)

for _, type in ipairs(types) do
  describe("an element of type " .. type, function()
    it("is what C has at that place, aligned or not", function()
      for _, offset in ipairs { 0, 8, 1, 3, 4096 - 2 * sizes[type] } do
        local v = segment:view(type, offset, 2)
        local value = limits[type] and limits[type][1] or -1.5
        v[1], v[2] = value, 7
        local bytes = string.pack("=" .. formats[type] .. formats[type], value, 7)
        assert.equal(bytes, segment:read(2 * sizes[type], offset))
        assert.equal(value, v[1])
        assert.equal(7, v[2])
        segment:write(string.pack("=" .. formats[type], 42), offset + sizes[type])
        assert.equal(42, v[2])
        assert.equal(limits[type] and "integer" or "float", math.type(v[2]))
      end
    end)

    it("has its limits", function()
      local v = segment:view(type, 0, 1)
      v[1] = 5
      for _, bad in ipairs { "5", true, {}, print, 0 / 0, 1 / 0, 1.5, 2 ^ 63, -2 ^ 63 * 2, 1e300 } do
        local fits = not limits[type] and math.type(bad) == "float"
          and (type == "f64" or bad ~= 1e300)
        if not fits then
          assert.error_matches(function() v[1] = bad end, "%f[%w]" .. type .. "%f[%W]")
        end
      end
      assert.error_matches(function() v[1] = nil end, "nil is not a number, as " .. type)
      assert.equal(5, v[1])
      if not limits[type] then return end
      for _, good in ipairs(limits[type]) do
        v[1] = good
        assert.equal(good, v[1])
      end
      if sizes[type] < 8 then
        v[1] = 1
        assert.error_matches(function() v[1] = limits[type][1] - 1 end, "^.-does not fit " .. type .. "$")
        assert.error_matches(function() v[1] = limits[type][2] + 1 end, "does not fit " .. type .. "$")
        assert.equal(1, v[1])
      end
    end)
  end)
end

describe("a view", function()
  it("has as many elements as fit, or as are asked for", function()
    assert.equal(512, #segment:view "f64")
    assert.equal(511, #segment:view("f64", 1))
    assert.equal(0, #segment:view("f64", 4096))
    assert.equal(0, #segment:view("f64", 4089))
    assert.equal(3, #segment:view("u8", 100, 3))
    assert.equal(0, #segment:view("u8", 100, 0))
  end)

  it("is not made outside the segment", function()
    for _, place in ipairs { { 0, 513 }, { 1, 512 }, { 4096, 1 }, { -1, 1 }, { 0, -1 }, { 4097, 0 },
      { 0, math.maxinteger }, { math.maxinteger, 1 }, { math.mininteger, 1 }, { 8, 1 << 61 } } do
      assert.error_matches(function() segment:view("f64", place[1], place[2]) end,
        "f64 at offset %-?%d+ are not within anonymous segment of 4096 bytes")
    end
    assert.error_matches(function() segment:view("f64", 4097) end, "are not within")
  end)

  it("has one of the ten types", function()
    for _, name in ipairs { "int", "F64", "i128", "", "u8 " } do
      assert.error_matches(function() segment:view(name) end, "no type '" .. name .. "'; there are i8 u8")
    end
    assert.error_matches(function() segment:view() end, "expected, got no value")
  end)

  it("is nil past the end when read, as a table is, and raises when written", function()
    local v = segment:view("i32", 0, 10)
    for _, index in ipairs { 0, -1, 11, math.maxinteger, math.mininteger } do
      assert.is_nil(v[index])
      assert.error_matches(function() v[index] = 1 end, "index %-?%d+ is not within 1 and 10")
    end
    assert.is_nil(v.x)
    assert.is_nil(v[1.5])
    assert.is_nil(v[{}])
    assert.is_nil(v["1"])
    assert.equal(0, v[1.0])
    assert.error_matches(function() v.x = 1 end, "a view has numbers as indexes, not x")
    assert.error_matches(function() v[1.5] = 1 end, "no integer representation")
    v[2.0] = 3
    assert.equal(3, v[2])
  end)

  it("is walked by ipairs and pairs", function()
    local v = segment:view("i32", 0, 3)
    v:set(1, 10, 20, 30)
    for _, walk in ipairs { ipairs, pairs } do
      local seen = {}
      for i, x in walk(v) do seen[#seen + 1] = i .. "=" .. x end
      assert.equal("1=10 2=20 3=30", table.concat(seen, " "))
    end
    for _ in pairs(segment:view("i32", 0, 0)) do error("an empty view has no element") end
  end)

  it("gets and sets several elements", function()
    local v = segment:view("u16", 0, 5)
    assert.equal(v, v:set(2, 7, 8, 9))
    assert.same({ 0, 7, 8, 9, 0 }, { v:get(1, 5) })
    assert.same({ 8 }, { v:get(3) })
    assert.same({ 3, 0, nil, nil }, { 3, v:get(5, 7) })
    assert.equal(3, select("#", v:get(5, 7)))
    assert.equal(0, select("#", v:get(2, 1)))
    assert.equal(v, v:set(1))
    assert.error_matches(function() v:get(1, math.maxinteger) end, "too many elements to return")
    assert.error_matches(function() v:get(math.mininteger, math.maxinteger) end, "too many elements")
  end)

  it("is not written in part", function()
    local v = segment:view("u8", 0, 4)
    v:fill(1)
    for _, bad in ipairs {
      function() v:set(1, 2, 3, 300) end, function() v:set(3, 2, 2, 2) end, function() v:set(0, 2) end,
      function() v:set(1, 2, 2, 2, 2, 2) end, function() v:copy { 2, 3, "4" } end,
      function() v:copy { 2, 2, 2, 2, 2 } end, function() v:copy({ 2, 2 }, 4) end,
      function() v:copy(segment:view("i16", 100, 2):copy { 2, -1 }) end, function() v:copy("12345") end,
      function() v:copy("12", 4) end, function() v:fill(256) end, function() v:fill(2, 3, 5) end,
      function() v:copy({ 2 }, 0) end, function() v:copy({ 2 }, math.mininteger) end,
    } do
      assert.has_error(bad)
      assert.same({ 1, 1, 1, 1 }, v:totable())
    end
  end)

  it("becomes a table, as a whole or in part", function()
    local v = segment:view("i8", 0, 4):copy { -1, 2, -3, 4 }
    assert.same({ -1, 2, -3, 4 }, v:totable())
    assert.same({ -3, 4 }, v:totable(3))
    assert.same({ 2, -3 }, v:totable(2, 3))
    assert.same({}, v:totable(3, 2))
    assert.same({}, v:totable(5))
    for _, run in ipairs { { 0, 2 }, { 2, 5 }, { 6, 6 }, { 3, 1 } } do
      assert.error_matches(function() v:totable(run[1], run[2]) end, "index %d is not within 1 and 4")
    end
  end)

  it("is filled", function()
    for _, type in ipairs(types) do
      local v = segment:view(type, 1, 400)
      assert.equal(v, v:fill(100))
      assert.same({ 100, 100 }, { v[1], v[400] })
      v:fill(1, 2, 399):fill(2, 5, 5)
      assert.same({ 100, 1, 1, 1, 2, 1 }, { v:get(1, 6) })
      assert.same({ 1, 100 }, { v:get(399, 400) })
      v:fill(3, 4, 3)
      assert.equal(1, v[4])
    end
    local v = segment:view("f64", 0, 512):fill(0.1)
    assert.equal(0.1, v[512])
  end)

  it("has views of a part of it that share its memory", function()
    local v = segment:view("i32", 4, 10)
    local part = v:sub(3, 5)
    assert.equal(3, #part)
    part[1] = 42
    assert.equal(42, v[3])
    assert.equal(42, part:sub(1, 1)[1])
    assert.equal(8, #v:sub(3))
    assert.equal(0, #v:sub(11))
    assert.is_nil(part[4])
    assert.error_matches(function() part[4] = 1 end, "is not within 1 and 3")
    assert.error_matches(function() v:sub(3, 11) end, "is not within 1 and 10")
  end)

  it("copies from a view of its type, also where they overlap", function()
    local v = segment:view("u8", 0, 10):copy("0123456789")
    v:sub(3):copy(v:sub(1, 8))
    assert.equal("0101234567", segment:read(10))
    v:copy(v:sub(3, 10), 1)
    assert.equal("0123456767", segment:read(10))
  end)

  it("copies from a view of any other type, with conversion", function()
    for _, from in ipairs(types) do
      for _, to in ipairs(types) do
        local source = segment:view(from, 3, 4):copy { 1, 2, 3, 100 }
        local target = segment:view(to, 2048, 6):fill(0):copy(source, 2)
        assert.same({ 0, 1, 2, 3, 100, 0 }, target:totable())
      end
    end
    local floats = segment:view("f64", 0, 2):copy { 1.0, 1.5 }
    assert.error_matches(function() segment:view("i32", 100, 2):copy(floats) end, "element 2, 1.5, does not fit i32")
    local overlapping = segment:view("u8", 0, 8):copy { 1, 2, 3, 4, 5, 6, 7, 8 }
    segment:view("u16", 0, 8):copy(overlapping)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, segment:view("u16", 0, 8):totable())
  end)

  it("copies from a table and from the bytes of a string", function()
    local v = segment:view("i32", 0, 4)
    assert.equal(v, v:copy({ 5, 6.0 }, 2))
    assert.same({ 0, 5, 6, 0 }, v:totable())
    v:copy(string.pack("=i4i4", -1, -2), 3)
    assert.same({ 0, 5, -1, -2 }, v:totable())
    assert.error_matches(function() v:copy "12345" end, "5 bytes are not a whole number of i32")
    assert.error_matches(function() v:copy(5) end, "view, table or string expected, got number")
    v:copy {}
    v:copy("", 5)
  end)

  it("finds, sums and compares", function()
    for _, type in ipairs(types) do
      local values = {}
      for i = 1, 37 do values[i] = (i * 7) % 50 end
      local v = segment:view(type, 1, 37):copy(values)
      local sum, least, most = 0, math.huge, -math.huge
      for i = 1, 37 do
        sum, least, most = sum + values[i], math.min(least, values[i]), math.max(most, values[i])
        assert.equal(i, v:find(values[i]))
        assert.equal(i, v:find(values[i] + 0.0))
      end
      assert.equal(sum, v:sum())
      assert.equal(least, v:min())
      assert.equal(most, v:max())
      assert.is_nil(v:find(1000))
      assert.is_nil(v:find(7.5))
      local empty = v:sub(1, 0)
      assert.same({ 0 }, { empty:sum(), empty:min(), empty:max(), empty:find(1) })
    end
  end)

  it("sums without loss at the limits, wraps at 64 bits, and passes over NaN in min and max", function()
    local u = segment:view("u32", 0, 3):fill(4294967295)
    assert.equal(3 * 4294967295, u:sum())
    local i = segment:view("i64", 0, 2):copy { math.maxinteger, 1 }
    assert.equal(math.mininteger, i:sum())
    local f = segment:view("f64", 0, 3):copy { 0 / 0, 2, 1 }
    assert.equal(1, f:min())
    assert.equal(2, f:max())
    assert.is_nil(f:find(0 / 0))
    assert.equal(3, segment:view("u64", 0, 3):copy { -1, 0, 5 }:find(5))
    assert.equal(-1, segment:view("u64", 0, 3):max()) -- 2^64 - 1, as its bits
  end)

  it("says what it is", function()
    assert.equal("view of 10 f64 at offset 16 of anonymous segment", tostring(segment:view("f64", 16, 10)))
  end)

  it("refuses foreign receivers", function()
    local v = segment:view "u8"
    local meta = getmetatable(v)
    for _, method in ipairs { v.get, v.sum, v.load, v.wait, meta.__index, meta.__newindex, meta.__len, meta.__pairs } do
      for _, foreign in ipairs { 1, "x", {}, io.stdout, segment } do
        assert.error_matches(function() method(foreign, 1, 1) end, "shm.view .* expected, got")
      end
    end
  end)
end)

describe("a view and its segment", function()
  it("pins it", function()
    local v
    do
      local pinned = assert(shm.create(nil, 100))
      v = pinned:view("u8", 0, 10):fill(9):sub(2, 3)
    end
    collectgarbage()
    collectgarbage()
    assert.equal(9, v[1])
  end)

  it("is of no use once that is detached", function()
    local v, atoms, empty = segment:view "f64", segment:view "i32", segment:view("u8", 0, 0)
    segment:detach()
    for _, use in ipairs {
      function() return v[1] end, function() v[1] = 1 end, function() v:get(1) end, function() v:set(1, 1) end,
      function() v:totable() end, function() v:fill(1) end, function() v:sub(1, 1) end, function() v:copy { 1 } end,
      function() v:sum() end, function() v:min() end, function() v:max() end, function() v:find(1) end,
      function() empty:sum() end, function() atoms:load(1) end, function() atoms:store(1, 1) end,
      function() atoms:fetch_add(1, 1) end, function() atoms:compare_exchange(1, 0, 1) end,
      function() atoms:wait(1, 0, 0) end, function() atoms:notify(1) end, function() segment:view "u8" end,
    } do
      assert.error_matches(use, "is detached; attach it again")
    end
    assert.matches("%(detached%)$", tostring(v))
    assert.equal(512, #v)
  end)

  it("is not written where that is readonly", function()
    local readonly <close> = assert(shm.create(nil, 64, { readonly = true }))
    local v = readonly:view "i32"
    assert.equal(0, v[1])
    assert.equal(0, v:load(1))
    for _, use in ipairs { function() v[1] = 1 end, function() v:set(1, 1) end, function() v:fill(1) end,
      function() v:copy { 1 } end, function() v:store(1, 1) end, function() v:exchange(1, 1) end,
      function() v:fetch_or(1, 1) end, function() v:compare_exchange(1, 0, 1) end } do
      assert.error_matches(use, "is attached readonly")
    end
    assert.equal("timed-out", v:wait(1, 0, 0))
    assert.equal(0, v:notify(1))
  end)

  it("raises where that has become too short, and works where it has moved", function()
    local object <close> = assert(shm.create("/shm_spec_view", 4096, { owned = true }))
    local v, first = object:view("u8", 4000, 96), object:view("u8", 0, 10)
    object:resize(100)
    assert.error_matches(function() return v[1] end, "is smaller than what was asked for")
    first[1] = 5
    object:resize("8M")
    assert.equal(5, first[1])
    assert.equal(0, v[96])
  end)

  it("raises where another process has truncated that", function()
    for _, use in ipairs { function(v) return v[1] end, function(v) v[1] = 1 end, function(v) v:sum() end,
      function(v) v:totable() end, function(v) v:fill(0) end, function(v) v:get(1, 3) end, function(v) v:set(1, 1) end,
      function(v) v:copy { 1 } end, function(v) v:min() end, function(v) v:find(3) end, function(v) v:load(1) end,
      function(v) v:fetch_add(1, 1) end, function(v) v:wait(1, 0, 0) end } do
      local object <close> = assert(shm.create("/shm_spec_view", 8192, { owned = true }))
      local v = object:view("i32", 4096, 16)
      assert.equal(0, process.run("truncate", { "-s", "0", "/dev/shm/shm_spec_view" }).code)
      assert.error_matches(function() use(v) end, "has lost memory")
    end
  end)
end)

describe("garbage collection", function()
  it("at every allocation, generational or incremental, is harmless", function()
    local run = process.run(process.build .. "/spec/gcstress", { "spec/support/gcstress.lua" }, { seconds = 120 })
    assert.equal("", run.err)
    assert.equal(0, run.code)
    assert.is_true(math.tointeger(tonumber(run.out:match("^passed with (%d+) collections"))) > 10000)
  end)

  it("in any order is harmless, and so are finalizers that detach in the middle of a call", function()
    for _, mode in ipairs { "generational", "incremental" } do
      collectgarbage(mode)
      for _ = 1, 50 do
        local one = assert(shm.create(nil, 64))
        local v = one:view "i32"
        setmetatable({}, { __gc = function() one:detach() end })
        local ok, result = pcall(function()
          for i = 1, 200 do
            local t = v:totable()
            v:copy(t)
            v:copy(v:sub(1, 8))
            v:sub(9):copy(segment:view("u8", i, 8))
          end
        end)
        assert.is_true(ok or result:find("is detached", 1, true) ~= nil, result)
      end
    end
    collectgarbage("incremental")
  end)
end)
