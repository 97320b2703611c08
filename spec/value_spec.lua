-- value_spec.lua: values through channels, topics and services, and bytes that are none.
local shm = require "shm"

local name = "/shm_spec_value"

local function raises(text, call, ...)
  local done, message = pcall(call, ...)
  assert.is_false(done, "nothing was raised where '" .. text .. "' was to be")
  assert.is_truthy(tostring(message):find(text, 1, true), tostring(message))
end

local arena, c
before_each(function()
  arena = assert(shm.arena(name, "8M", { owned = true }))
  c = assert(arena:channel("c", "256K"))
end)
after_each(function() arena:close() end)

local function round_trip(value)
  assert(c:send(value, 0))
  local back, message = c:receive(0)
  assert(back ~= nil, message)
  return back
end

-- The bytes in which a value travels.
local function bytes(value)
  c:send(value, 0)
  local v, format = c:peek()
  local text = string.char(table.unpack(v:totable()))
  c:release()
  return text, format
end

-- The same, also where 1 == 1.0 and 0.0 == -0.0.
local function same(left, right)
  if type(left) ~= "table" or type(right) ~= "table" then
    return math.type(left) == math.type(right) and
      (left == right and (left ~= 0 or 1 / left == 1 / right) or left ~= left and right ~= right)
  end
  for key, value in pairs(left) do
    if not same(value, right[key]) then return false end
  end
  for key in pairs(right) do
    if left[key] == nil then return false end
  end
  return true
end

-- What is received when these bytes have come as MessagePack: those of a value as long are overwritten.
local function receive_bytes(text)
  local peer = assert(shm.arena(name))
  local d = peer:channel("c", "256K")
  local value = { ("x"):rep(#text - (#text <= 33 and 2 or #text <= 258 and 3 or 4)) }
  if #text == 1 then value = 1 end
  if #text == 34 then value = { ("x"):rep(31), 1 } end
  assert(c:send(value, 0))
  local v, format = d:peek()
  assert(format == "msgpack" and #v == #text)
  v:copy { text:byte(1, -1) }
  peer:close() -- it was peeked at and not released
  return c:receive(0)
end

describe("a value", function()
  it("comes as it went: numbers, integers and floats apart, booleans, strings", function()
    local values = { 0, 1, -1, 127, 128, 255, 256, 65535, 65536, -32, -33, -128, -129, -32768, -32769, 1 << 31, 1 << 32,
      -(1 << 31) - 1, math.maxinteger, math.mininteger, 0.0, -0.0, 1.0, 0.1, 1 / 0, -1 / 0, 0 / 0, 2.0 ^ 53, 5e-324,
      1.7976931348623157e308, true, false, "", "x", "\0", "\xff\xfe", "gr\u{fc}n", "\u{10ffff}", ("y"):rep(100000) }
    for _, value in ipairs(values) do
      assert.is_true(same(value, round_trip(value)), tostring(value))
      assert.is_true(same({ value }, round_trip { value }), tostring(value))
      assert.is_true(same({ key = value }, round_trip { key = value }), tostring(value))
      if value == value then assert.is_true(same({ [value] = 1 }, round_trip { [value] = 1 }), tostring(value)) end
    end
    assert.is_true(same(values, round_trip(values)))
  end)

  it("may be a table of every shape", function()
    local tables = { {}, { {} }, { a = {} }, { 1, 2, 3 }, { 1, nil, 3 }, { [2] = "two" }, { [0] = 0, 1, 2 },
      { 1, 2, x = 3 }, { [1.5] = 1, [-1] = 2, [true] = 3, [false] = 4, [""] = 5, [math.mininteger] = 6 },
      { { { { "deep" } } } },
      { [1 << 40] = 1 }, { true, false, { x = { y = { z = -0.0 } } } } }
    for i, value in ipairs(tables) do assert.is_true(same(value, round_trip(value)), "table " .. i) end
    local long, wide = {}, {}
    for i = 1, 70000 do long[i] = i % 100 end
    for i = 1, 5000 do wide["key" .. i] = i end
    assert.is_true(same(long, round_trip(long)) and same(wide, round_trip(wide)))
    for _, count in ipairs { 15, 16, 17, 65535, 65536 } do
      assert.is_true(same(table.move(long, 1, count, 1, {}), round_trip(table.move(long, 1, count, 1, {}))))
    end
    local shared = { 1 }
    assert.same({ { 1 }, { 1 }, x = { 1 } }, round_trip { shared, shared, x = shared }) -- no cycle
    local key
    for k, v in pairs(round_trip { [{ 7 }] = "a table as key" }) do key = { k, v } end
    assert.same({ { 7 }, "a table as key" }, key)
  end)

  it("travels as MessagePack that others read, a string as its bytes", function()
    local expected = {
      [1] = "\x01", [-1] = "\xff", [127] = "\x7f", [128] = "\xcc\x80", [-33] = "\xd0\xdf", [65536] = "\xce\0\1\0\0",
      [math.mininteger] = "\xd3\x80\0\0\0\0\0\0\0", [1.5] = "\xcb" .. (">d"):pack(1.5), [true] = "\xc3",
    }
    for value, text in pairs(expected) do assert.same({ text, "msgpack" }, { bytes(value) }) end
    assert.same({ "\xcb" .. (">d"):pack(1), "msgpack" }, { bytes(1.0) })
    assert.same({ "\xc2", "msgpack" }, { bytes(false) })
    assert.same({ "\x90", "msgpack" }, { bytes {} })
    assert.same({ "\x93\x01\x02\xa1x", "msgpack" }, { bytes { 1, 2, "x" } })
    assert.same({ "\x81\xa1k\x91\xc3", "msgpack" }, { bytes { k = { true } } })
    assert.equal("\x81\x02\x01", (bytes { [2] = 1 }))
    assert.same({ "\x91", "string" }, { bytes "\x91" })
  end)

  it("has its strings as text where they are UTF-8, and else as bytes", function()
    for _, text in ipairs { "", "abc", "\0", "\x7f", "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{ffff}",
      "\u{10000}", "\u{10ffff}", "a\u{20ac}b" } do
      assert.equal("\x91" .. string.char(0xa0 + #text) .. text, (bytes { text }))
    end
    for _, text in ipairs { "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2a", "\xe0\x9f\xbf", "\xe2\x82",
      "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98", "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80", "\xff", "ok\xfe" } do
      assert.equal("\x91\xc4" .. string.char(#text) .. text, (bytes { text }))
      assert.same({ text }, round_trip { text })
    end
  end)

  it("is nested 128 deep, and no deeper", function()
    local function nest(depth, keyed)
      local innermost = {}
      local value = innermost
      for _ = 2, depth do
        value = keyed and { k = value } or { value }
      end
      innermost[1] = "end"
      return value
    end
    for _, keyed in ipairs { false, true } do
      local value = nest(128, keyed)
      assert.is_true(same(value, round_trip(value)))
      raises(" is deeper than 128 tables", c.send, c, nest(129, keyed))
      raises(" is deeper than 128 tables", c.send, c, nest(3000, keyed))
    end
    raises("value" .. ("[1]"):rep(128) .. " is deeper than 128 tables", c.send, c, nest(129))
    raises("value" .. (".k"):rep(128) .. " is deeper than 128 tables", c.send, c, nest(129, true))
    assert.is_nil((c:receive(0)))
  end)

  it("that no message carries raises, and says where it is", function()
    local cycle = { jobs = { 1, {} } }
    cycle.jobs[2].up = cycle
    local itself = {}
    itself[itself] = 1
    local cases = {
      { "value is nil, which no message carries", nil },
      { "value is a function, which no message carries", print },
      { "value is a thread, which no message carries", coroutine.create(print) },
      { "value is a userdata, which no message carries", c },
      { "value.jobs[3].callback is a function, which no message carries", { jobs = { 1, 2, { callback = print } } } },
      { "value[2] is a userdata", { 1, arena } },
      { "value[-7] is a function", { [-7] = print } },
      { "value[true] is a function", { [true] = print } },
      { "value[1.5] is a function", { [1.5] = print } },
      { "value.jobs[2].up is a table that it is in", cycle },
      { " is a table that it is in", itself },
      { " is a function, which no message carries", { [print] = 1 } },
    }
    local topic, service = arena:topic("t", "4K"), arena:service "s"
    for _, case in ipairs(cases) do
      local list = { case[2] }
      raises(case[1], c.send, c, case[2])
      raises(case[1], topic.publish, topic, case[2])
      raises(case[1], service.call, service, case[2], 0)
      if case[2] ~= nil then raises(case[1], c.send_all, c, list) end
    end
    assert.is_nil((c:receive(0)))
    assert.equal(0, topic:stat().published)
  end)

  it("that a finalizer changes while it is sent arrives whole, as it was before or after", function()
    local d = assert(arena:dict("d", "1M"))
    local function make()
      local t, list = {}, {}
      for i = 1, 40 do t["k" .. i], list[i] = ("v"):rep(100), { i } end
      t.list = list
      setmetatable({}, { __gc = function()
        for i = 1, 5 do t["k" .. i], list[41 - i] = nil, nil end
        for i = 1, 50 do t["new" .. i] = i end
      end })
      return t
    end
    local function check(back, message)
      assert(back, message)
      local changed = back.k1 == nil
      for i = 1, 40 do assert.equal((not changed or i > 5) and ("v"):rep(100) or nil, back["k" .. i]) end
      assert.equal(changed and 35 or 40, #back.list)
      assert.equal(changed and 50 or nil, back.new50)
    end
    for mode in ("generational incremental"):gmatch "%a+" do
      collectgarbage(mode)
      for _ = 1, 300 do
        assert(c:send(make(), 0))
        check(c:receive(0))
        assert(c:send_all({ make(), make() }, 0) == 2)
        for _, back in ipairs(c:receive_all(nil, 0)) do check(back) end
        assert(d:set("k", make()))
        check(d:get "k")
        assert(d:rpush("l", make()))
        check(d:lpop "l")
      end
    end
  end)

  it("is read without metamethods", function()
    local function never() error "a metamethod was called" end
    local meta = { __index = never, __len = never, __pairs = never, __tostring = never, __name = "x", __eq = never }
    assert.same({ 1, 2 }, round_trip(setmetatable({ 1, 2 }, meta)))
    local proxy = setmetatable({}, { __index = { 1, 2, 3 }, __len = function() return 3 end })
    assert.same({}, round_trip(proxy))
    assert.is_nil(getmetatable(round_trip(proxy)))
  end)

  it("takes no memory beside its own where a large one was received before", function()
    local large, text = assert(arena:channel("large", "4M")), ("x"):rep(1 << 20)
    local function memory_of_one()
      collectgarbage()
      collectgarbage("stop")
      local before = collectgarbage("count")
      large:send(text, 0)
      local back = large:receive(0)
      local taken = collectgarbage("count") - before
      collectgarbage("restart")
      assert.equal(text, back)
      return taken
    end
    memory_of_one()
    assert.is_true(memory_of_one() < 1024 + 64) -- KiB: the string, and no second buffer
  end)

  it("is too large where it is larger than the limit", function()
    local limit = c:stat().limit
    for _, value in ipairs { ("x"):rep(limit + 1), { ("x"):rep(limit) }, { x = { ("y"):rep(limit) } } } do
      raises(("it takes %d bytes at most"):format(limit), c.send, c, value)
    end
    assert.equal(limit, #round_trip(("x"):rep(limit)))
    assert.equal(limit - 6, #round_trip({ ("x"):rep(limit - 6) })[1])
    raises("bytes at most", c.send, c, { ("x"):rep(limit - 5) })
  end)
end)

describe("bytes that a peer wrote", function()
  it("are read where they are MessagePack, whoever wrote them", function()
    local cases = {
      ["\xcf\xff\xff\xff\xff\xff\xff\xff\xff"] = -1,
      ["\xcf\x80\0\0\0\0\0\0\0"] = math.mininteger, ["\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"] = math.maxinteger,
      ["\xca" .. (">f"):pack(1.5)] = 1.5, ["\xd3" .. (">i8"):pack(5)] = 5, ["\xd2" .. (">i4"):pack(-5)] = -5,
      ["\xce\0\0\0\7"] = 7, ["\xd9\3abc"] = "abc", ["\xda\0\3abc"] = "abc", ["\xdb\0\0\0\3abc"] = "abc",
      ["\xc4\2\xff\0"] = "\xff\0", ["\xc5\0\1x"] = "x", ["\xc6\0\0\0\1x"] = "x",
      ["\xdc\0\2\1\2"] = { 1, 2 }, ["\xdd\0\0\0\1\xc2"] = { false }, ["\xde\0\1\xa1k\1"] = { k = 1 },
      ["\xdf\0\0\0\1\1\xc3"] = { true }, ["\x93\1\xc0\3"] = { 1, nil, 3 }, ["\x82\xa1a\1\xa1a\2"] = { a = 2 },
      ["\x82\xa1a\xc0\xa1b\2"] = { b = 2 }, ["\x81\xcb" .. (">d"):pack(2) .. "\1"] = { [2] = 1 }, ["\xa3abc"] = "abc",
    }
    for text, value in pairs(cases) do
      local back, message = receive_bytes(text)
      assert.is_true(same(value, back), ("%q: %s %s"):format(text, tostring(back), tostring(message)))
    end
  end)

  it("are EBADMSG where they are no value, and what follows is received", function()
    for _, text in ipairs { "\xc1", "\x91", "\x81", "\xa1", "\x92\1", "\x82\1\2", "\x91\xc1", "\x91\xd9",
      "\x91\xa2x", "\xcc", "\xcb\0\0\0", "\xd9\5abc", "\xc4\3ab", "\xdb\xff\xff\xff\xffabc",
      "\xdd\xff\xff\xff\xff\1\2\3",
      "\xdf\xff\xff\xff\xff\1\2", "\xdc\xff\xff\1", "\x01\x01", "\x90\x90", "\xc0\xc0",
      "\xd4\1\2\3", "\xc7\2\1\1",
      "\xdd\0\0", "\xde\0", "\x92\xd4\1\2", "\x82\xc0\1", ("\x91"):rep(200) } do
      local value, message, code = receive_bytes(text)
      assert.is_nil(value, ("%q"):format(text))
      assert.equal("EBADMSG", code)
      assert.matches('^channel "c" of arena .* is damaged', message)
      assert.equal("next", round_trip "next")
    end
    assert.is_true(pcall(function() assert(receive_bytes(("\x91"):rep(127) .. "\x90")) end))
  end)

  it("are EPROTO where they are MessagePack that has no Lua value, and what follows is received", function()
    local extension = " holds a MessagePack extension %(type "
    local key = " holds a MessagePack map with the key "
    for text, what in pairs {
      ["\xd4\1\2"] = extension .. "1%), which has no Lua value$", ["\xd6\xff\0\0\0\0"] = extension .. "%-1%)",
      ["\xd8\x80" .. ("\0"):rep(16)] = extension .. "%-128%)", ["\xc7\1\5\1"] = extension .. "5%)",
      ["\xc8\0\1\6\1"] = extension .. "6%)", ["\xc9\0\0\0\1\7\1"] = extension .. "7%)",
      ["\x91\xd4\1\2"] = extension .. "1%)", ["\x81\xa1k\xd5\x2a\1\2"] = extension .. "42%)",
      ["\x81\xc0\1"] = key .. "nil, which no Lua table has$",
      ["\xc0"] = " holds nil as MessagePack, which no Lua message carries$",
      ["\x81\xcb" .. (">d"):pack(0 / 0) .. "\1"] = key .. "NaN",
      [("\x91"):rep(129) .. "\1"] = " holds MessagePack deeper than 128 tables",
      [("\x81\1"):rep(129) .. "\x91\1"] = " holds MessagePack deeper than 128 tables" } do
      local value, message, code = receive_bytes(text)
      assert.is_nil(value, ("%q"):format(text))
      assert.matches('^channel "c" of arena "/shm_spec_value"' .. what, message)
      assert.equal("EPROTO", code)
      assert.equal("next", round_trip "next")
    end
  end)

  it("of any kind do no harm", function()
    local seed = tonumber(os.getenv "SHM_SEED") or os.time()
    math.randomseed(seed)
    local heads = { "\xdd", "\xdf", "\xdb", "\xc6", "\xc7", "\xc9", "\x9f", "\x8f", "\x91", "\x81", "\xd9" }
    for round = 1, 3000 do
      local length = math.random(1, 30)
      local text = {}
      for i = 1, length do text[i] = string.char(math.random(0, 255)) end
      if round % 2 == 0 then text[1] = heads[math.random(#heads)] end
      local value, _, code = receive_bytes(table.concat(text))
      local told = code == "EBADMSG" or code == "EPROTO"
      assert.is_true(value ~= nil or told, ("SHM_SEED=%d round %d"):format(seed, round))
      if value ~= nil and type(value) ~= "table" then
        assert.is_true(same(value, round_trip(value)), ("SHM_SEED=%d round %d"):format(seed, round))
      end
    end
    assert.equal("next", round_trip "next")
  end)
end)
