-- record_spec.lua: records and arrays of records have their fields where C has them, and take a value
-- whole or not at all. Layouts: layout_spec.lua.
local shm = require "shm"
local process = require "spec.support.process"
local outcome = require "spec.support.outcome"
local layouts = require "spec.support.quote"
local uv = require "luv"

local types = { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }

local fails, define_quote = outcome.raises, layouts.define

describe("a record", function()
  local Quote, segment, q

  before_each(function()
    Quote = define_quote()
    segment = assert(shm.create("/shm_spec_record", 4096, { owned = true }))
    q = segment:record(Quote, 256)
  end)
  after_each(function() segment:close() end)

  it("has fields of every element type", function()
    local list = {}
    for i, name in ipairs(types) do list[i] = name .. " " .. name .. "_" end
    local all = shm.record("All", list)
    local record = segment:record(all)
    for _, name in ipairs(types) do
      local integer, bits = name:match("^[iu]"), tonumber(name:sub(2))
      local values = integer == "u" and { 0, (1 << bits) - 1, 77 } or integer and { -1 << (bits - 1), 5.0, -1 }
        or { 0.5, -math.huge, math.pi }
      for _, value in ipairs(values) do
        record[name .. "_"] = value
        local view = segment:view(name, all.offset[name .. "_"], 1)
        if name ~= "f32" then assert.equal(value, record[name .. "_"]) end
        assert.equal(view[1], record[name .. "_"])
      end
      fails("All%." .. name .. "_: \"x\" is a string, and " .. name, function() record[name .. "_"] = "x" end)
    end
  end)

  it("has its fields where C has them", function()
    q.id, q.price[1], q.name, q.inner.id, q.inner2[2].c = 7, 2.5, "ACME", 8, "x"
    assert.equal(("I4 xxxx d"):pack(7, 2.5), segment:read(16, 256))
    assert.equal("ACME" .. ("\0"):rep(12) .. ("I4"):pack(8), segment:read(20, 256 + 72))
    assert.equal("x", segment:read(1, 256 + 96 + 8 + 4))
    assert.same({ 7, 2.5, "ACME", 8, "x" }, { q.id, q.price[1], q.name, q.inner.id, q.inner2[2].c })
  end)

  it("has text up to a NUL, or to its end", function()
    q.name = ("n"):rep(16)
    assert.equal(("n"):rep(16), q.name)
    assert.equal("\0", segment:read(1, 256 + 88))
    q.name = "ab"
    assert.equal("ab", q.name)
    assert.equal("ab" .. ("\0"):rep(14), segment:read(16, 256 + 72))
    q.name = ""
    assert.equal("", q.name)
    fails("Quote%.name: a string of 17 bytes does not fit char%[16%]", function() q.name = ("n"):rep(17) end)
    fails("Quote%.name: a string with a NUL inside", function() q.name = "a\0b" end)
    fails("Quote%.name: 42 is not a string", function() q.name = 42 end)
    fails("Quote%.name: nil is not a string", function() q.name = nil end)
    local long = segment:record(shm.record("Long", { "char text[3000]", "char end_" }))
    for _, length in ipairs { 39, 40, 41, 63, 64, 65, 2999, 3000 } do
      long.text = ("t"):rep(length)
      assert.equal(("t"):rep(length), long.text)
    end
    assert.equal("\0", long.end_)
  end)

  it("has single chars", function()
    q.inner.c = "\xff"
    assert.equal("\xff", q.inner.c)
    q.inner.c = "\0"
    assert.equal("\0", q.inner.c)
    for value, why in pairs { [""] = "a string of 0 bytes is not one char", ab = "a string of 2 bytes is",
      [65] = "65 is not a string of one byte" } do
      fails("Other%.c: " .. why, function() q.inner.c = value end)
    end
  end)

  it("has arrays as views, which are made once", function()
    q.price = { 1, 2, 3 }
    assert.matches("^view of 8 f64 at offset 264", tostring(q.price))
    assert.same({ 1, 2, 3, 0, 0, 0, 0, 0 }, q.price:totable())
    assert.is_true(rawequal(q.price, q.price))
    q.price = { 9 }
    q.price = { [8] = 8, [2] = 0.5 }
    q.price = {}
    assert.same({ 9, 0.5, 3, 0, 0, 0, 0, 8 }, q.price:totable())
    fails("Quote%.price: index 9 is not within 1 and 8", function() q.price = { 1, 2, 3, 4, 5, 6, 7, 8, 9 } end)
    fails("Quote%.price: index x is not within", function() q.price = { 4, x = 1 } end)
    fails("Quote%.price%[2%]: \"x\" is a string", function() q.price = { 4, "x" } end)
    fails("Quote%.price: 3 is not a table", function() q.price = 3 end)
    assert.equal(9, q.price[1])
  end)

  it("has records inside", function()
    q.inner = { id = 3 }
    q.inner = { c = "y" }
    assert.same({ 3, "y" }, { q.inner.id, q.inner.c })
    assert.is_true(rawequal(q.inner, q.inner))
    q.inner2 = { { id = 1 }, [4] = { id = 4 } }
    q.inner2[2] = { id = 2 }
    assert.equal(4, #q.inner2)
    assert.is_nil(q.inner2[5])
    local ids = {}
    for i, other in ipairs(q.inner2) do ids[i] = other.id end
    assert.same({ 1, 2, 0, 4 }, ids)
    fails("Quote%.inner: 3 is not a table of fields", function() q.inner = 3 end)
    fails("Quote%.inner2%[3%]%.id: %-1 does not fit u32", function() q.inner2 = { {}, {}, { id = -1 } } end)
    fails("Other%[2%]%.id: %-1 does not fit u32", function() q.inner2[2] = { id = -1 } end)
    fails("index 5 is not within 1 and 4", function() q.inner2[5] = {} end)
  end)

  it("is stored whole from a table, and becomes one", function()
    local whole = {
      id = 1, price = { 1, 2, 3, 4, 5, 6, 7, 8 }, name = "all", inner = { id = 2, c = "i" },
      inner2 = { { id = 3, c = "a" }, { id = 4, c = "b" }, { id = 5, c = "c" }, { id = 6, c = "d" } },
    }
    assert.equal(q, q:set(whole))
    assert.same(whole, q:totable())
    assert.same(whole, segment:view(Quote)[3]:totable())
    q:set { id = 9, inner = { c = "j" }, inner2 = { [3] = { id = 50 } } }
    whole.id, whole.inner.c, whole.inner2[3].id = 9, "j", 50
    assert.same(whole, q:totable())
    q:set {}
    assert.same(whole, q:totable())
  end)

  it("is not stored in part", function()
    segment:fill(1)
    local before = segment:read()
    local good = { id = 5, name = "new", price = { 1, 2, 3 }, inner = { id = 3, c = "x" }, inner2 = { { id = 4 } } }
    for path, bad in pairs {
      ["Quote.id: 4294967296 does not fit u32"] = { id = 1 << 32 },
      ["Quote.id: 1.5 is not a whole number, as u32"] = { id = 1.5 },
      ['Quote.id: "5" is a string, and u32 has numbers'] = { id = "5" },
      ["Quote.name: a string of 17 bytes"] = { name = ("x"):rep(17) },
      ["Quote.price[3]: true is not a number"] = { price = { 1, 2, true } },
      ["Quote.price: index 9 is not within 1 and 8"] = { price = { 1, 2, 3, 4, 5, 6, 7, 8, 9 } },
      ["Quote.inner.c: a string of 2 bytes"] = { inner = { id = 3, c = "xy" } },
      ["Quote.inner2[4].id: -1 does not fit u32"] = { inner2 = { {}, {}, {}, { id = -1 } } },
      ["Quote has no field 'di'; there are id, price, name, inner, inner2"] = { di = 1 },
      ["Quote has no field '1'; there are id, price"] = { 1 },
      ["Quote.inner has no field 'di'; there are id, c"] = { inner = { id = 1, di = 2 } },
    } do
      local value = setmetatable({}, { __index = error, __pairs = error })
      for field in pairs(good) do rawset(value, field, good[field]) end
      for field, wrong in pairs(bad) do rawset(value, field, wrong) end
      for _, store in ipairs { function() q:set(value) end, function() segment:view(Quote)[3] = value end } do
        local _, message = pcall(store)
        assert.is_truthy(message:gsub("Quote%[3%]", "Quote"):find(path, 1, true), message)
      end
      for field, wrong in pairs(bad) do
        local done = pcall(function() q[field] = wrong end)
        assert.is_false(done)
      end
      assert.equal(before, segment:read())
    end
    fails("Quote: 7 is not a table of fields", q.set, q, 7)
    fails("Quote: nil is not a table of fields", q.set, q)
    assert.equal(before, segment:read())
  end)

  it("has no field but its own", function()
    fails("Quote has no field 'nothing'; there are id, price, name, inner, inner2", function() return q.nothing end)
    fails("Quote has no field 'nothing'", function() q.nothing = 1 end)
    fails("Quote has no field '1'", function() return q[1] end)
    fails("Quote has no field 'set'", function() q.set = 1 end)
    fails("Quote has no field 'nil'", getmetatable(q).__index, q)
  end)

  it("has a field where a method has its name; the layout has the method still", function()
    local Odd = shm.record("Odd", { "u8 set", "u8 totable", "u8 size", "u8 cdef" })
    local odd = segment:record(Odd)
    odd.set, odd.totable, odd.size = 1, 2, 3
    assert.same({ 1, 2, 3 }, { odd.set, odd.totable, odd.size })
    Odd.set(odd, { size = 4 })
    assert.same({ set = 1, totable = 2, size = 4, cdef = 0 }, Odd.totable(odd))
    assert.same({ 4, 2 }, { Odd.size, Odd.offset.size })
  end)

  it("is walked in the order of its fields", function()
    local names = {}
    q.id = 7
    for name, value in pairs(q) do
      names[#names + 1] = name
      if name == "id" then assert.equal(7, value) end
    end
    assert.same({ "id", "price", "name", "inner", "inner2" }, names)
  end)

  it("says what it is", function()
    assert.equal('record Quote at offset 256 of segment "/shm_spec_record"', tostring(q))
    assert.equal('array of 4 Other at offset 352 of segment "/shm_spec_record"', tostring(q.inner2))
    segment:detach()
    assert.matches("%(detached%)$", tostring(q))
  end)

  it("lies at any offset inside its segment", function()
    segment:record(Quote, 4096 - 128).inner2[4].c = "z"
    local odd = segment:record(Quote, 1001)
    odd:set { id = 0x12345678, price = { 2.5 } }
    assert.same({ 0x12345678, 2.5 }, { odd.id, odd.price[1] })
    for _, offset in ipairs { 4096 - 127, 4096, -1, math.maxinteger, math.mininteger } do
      fails("1 Quote of 128 bytes at offset " .. ("%d"):format(offset):gsub("%-", "%%-") .. " are not within",
        segment.record, segment, Quote, offset)
    end
    fails("layout %(shm.record makes one%) expected, got string", segment.record, segment, "Quote")
    fails("layout %(shm.record makes one%) expected, got shm.record", segment.record, segment, q)
    local lone <close> = assert(shm.create(nil, 100))
    fails("are not within anonymous segment of 100 bytes", lone.record, lone, Quote)
  end)

  it("is used by its own methods only", function()
    local other = segment:record(shm.record("Tiny", { "u8 id" }))
    local view = segment:view "u8"
    for _, call in ipairs { getmetatable(q).__index, getmetatable(q).__newindex, q.set, q.totable } do
      for _, receiver in ipairs { 1, "x", {}, segment, view, q.inner2, Quote, io.stdout } do
        fails("shm.record %(methods are called with a colon%) expected", call, receiver, "id", 1)
      end
      fails("shm.record .* expected", call)
    end
    fails("another layout", getmetatable(q).__index, other, "inner2")
    fails("another layout", getmetatable(q).__newindex, other, "id", 3)
    fails("shm.layout .* expected", Quote.cdef, q)
    fails("shm.records .* expected", getmetatable(q.inner2).__index, q, 1)
  end)

  it("is not written where its segment is readonly", function()
    q.id = 5
    local other <close> = assert(shm.attach("/shm_spec_record", { readonly = true }))
    local readonly = other:record(Quote, 256)
    assert.equal(5, readonly.id)
    for _, write in ipairs { function() readonly.id = 1 end, function() readonly.name = "x" end,
      function() readonly.price = { 1 } end, function() readonly.price[1] = 1 end,
      function() readonly.inner = { id = 1 } end, function() readonly:set {} end,
      function() readonly.inner2[1] = {} end, function() other:view(Quote)[1] = {} end } do
      fails("is attached readonly", write)
    end
    assert.equal(5, q.id)
  end)

  it("is used no more once its segment is detached", function()
    local price, inner, inner2, quotes = q.price, q.inner, q.inner2, segment:view(Quote)
    segment:detach()
    for _, use in ipairs { function() return q.id end, function() return q.name end, function() return q.price end,
      function() return q.inner end, function() q.id = 1 end, function() q.name = "x" end,
      function() q.price = { 1 } end, function() q:set {} end, function() return q:totable() end,
      function() return price[1] end, function() return inner.id end, function() inner.id = 1 end,
      function() return inner2[1] end, function() inner2[1] = {} end, function() return quotes[1] end,
      function() quotes[1] = {} end, function() return quotes:totable() end,
      function() for _ in pairs(q) do assert(false) end end,
      function() return segment:record(Quote) end, function() return segment:view(Quote) end } do
      fails("is detached", use)
    end
  end)

  it("is used no more once its segment is too short for it", function()
    local last, lasts = segment:record(Quote, 4096 - 128), segment:view(Quote)
    last.id = 3
    assert.is_true(segment:resize(4000))
    fails("is smaller than what was asked for", function() return last.id end)
    fails("is smaller than what was asked for", function() last:set { id = 1 } end)
    fails("is smaller than what was asked for", function() return lasts[1] end)
    q.id = 4
    assert.equal(4, q.id)
    assert.is_true(segment:resize(4096))
    assert.equal(3, last.id)
  end)

  it("says that its memory was lost", function()
    local file = assert(uv.fs_open("/dev/shm/shm_spec_record", "r+", 0))
    assert(uv.fs_ftruncate(file, 0))
    assert(uv.fs_close(file))
    for _, use in ipairs { function() return q.id end, function() q.id = 1 end, function() return q.name end,
      function() return q:totable() end, function() q:set { id = 1 } end, function() q.price = { 1 } end } do
      fails("has lost memory", use)
    end
  end)

  it("keeps its segment and its layout", function()
    local function make()
      local lone = assert(shm.create(nil, 100))
      shm.record("GoneInner", { "u16 x", "u16 y[4]" })
      return lone:record(shm.record("Gone", { "u8 a", "GoneInner inner[3]" }), 10)
    end
    local record = make()
    shm.record("Gone", { "u8 x" })
    shm.record("GoneInner", { "u8 x" })
    local inner = record.inner
    record.a = 200
    collectgarbage()
    collectgarbage()
    inner[3] = { x = 5, y = { 1, 2, 3, 4 } }
    assert.same({ 5, 4, 200 }, { record.inner[3].x, record:totable().inner[3].y[4], record.a })
    record = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.same({ x = 5, y = { 1, 2, 3, 4 } }, inner[3]:totable())
  end)

  it("survives a finalizer that detaches at any allocation", function()
    local run = process.run_lua([[ -- an interpreter of its own: collections come soon where there is little
      local shm = require "shm"
      shm.record("Other", { "u32 id", "char c" })
      local Quote = shm.record("Quote", { "u32 id", "f64 price[8]", "char name[16]", "Other inner[4]" })
      local calls = 0
      for moment = 1, 400 do
        local lone <close> = assert(shm.create(nil, 4096))
        local record, array = lone:record(Quote), lone:view(Quote, 0, 3)
        local function use()
          calls = calls + 1
          record:totable()
          array[3] = { name = "x" .. record.name:sub(1, 3), inner = { { id = calls }, { id = 2 } } }
          return #array:totable()
        end
        for _ = 1, moment % 50 do use() end -- so that it comes at another moment each time
        setmetatable({}, { __gc = function() lone:detach() end })
        local done, message = true, nil
        while done do done, message = pcall(use) end
        assert(message:find("is detached", 1, true), message)
      end
      print(calls > 10000)
    ]])
    assert.same({ 0, "true\n", "" }, { run.code, run.out, run.err })
  end)
end)

describe("an array of records", function()
  local Quote, segment, quotes

  before_each(function()
    Quote = define_quote()
    segment = assert(shm.create(nil, 1000))
    quotes = segment:view(Quote, 100, 5)
  end)
  after_each(function() segment:close() end)

  it("has records from 1, and nil past the end", function()
    quotes[1].id = 11
    quotes[5].inner2[4].c = "e"
    assert.equal(("I4"):pack(11), segment:read(4, 100))
    assert.equal("e", segment:read(1, 100 + 4 * 128 + 96 + 3 * 8 + 4))
    for _, index in ipairs { 0, 6, -1, math.maxinteger, math.mininteger, 1.5 } do assert.is_nil(quotes[index]) end
    assert.equal(11, quotes[1.0].id)
    assert.is_nil(quotes.nothing)
    assert.is_nil(quotes[true])
  end)

  it("has as many as asked for, or as there is room for", function()
    assert.equal(5, #quotes)
    assert.equal(7, #segment:view(Quote))
    assert.equal(6, #segment:view(Quote, 200))
    assert.equal(0, #segment:view(Quote, 1000))
    assert.equal(0, #segment:view(Quote, 10, 0))
    for _, range in ipairs { { 0, 8 }, { 105, 7 }, { -1, 1 }, { 0, -1 }, { 1001, 0 }, { 0, math.maxinteger },
      { 0, 1 << 57 }, { math.maxinteger, 1 }, { -1 } } do
      fails("Quote of 128 bytes at offset %-?%d+ are not within anonymous segment of 1000 bytes",
        segment.view, segment, Quote, table.unpack(range))
    end
  end)

  it("takes tables", function()
    quotes[3] = { id = 3, name = "three" }
    quotes[3] = { name = "drei" }
    assert.same({ 3, "drei" }, { quotes[3].id, quotes[3].name })
    assert.same({ 0, 0 }, { quotes[2].id, quotes[4].id })
    for _, index in ipairs { 0, 6, math.mininteger } do
      fails("index %-?%d+ is not within 1 and 5", function() quotes[index] = {} end)
    end
    fails("Quote%[3%]: 3 is not a table of fields", function() quotes[3] = 3 end)
    fails("has numbers as indexes, not x", function() quotes.x = {} end)
    fails("number has no integer representation", function() quotes[1.5] = {} end)
  end)

  it("is walked, counted and copied", function()
    for i, quote in ipairs(quotes) do quote.id = i end
    local ids = {}
    for i, quote in pairs(quotes) do ids[i] = quote.id end
    assert.same({ 1, 2, 3, 4, 5 }, ids)
    local tables = quotes:totable()
    assert.equal(5, #tables)
    assert.same(quotes[4]:totable(), tables[4])
    assert.equal("array of 5 Quote at offset 100 of anonymous segment", tostring(quotes))
  end)
end)
