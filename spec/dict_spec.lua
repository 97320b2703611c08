-- dict_spec.lua: dicts: the methods of ngx.shared.DICT, as its users know them; time; lists; eviction.
local shm = require "shm"
local process = require "spec.support.process"
local uv = require "luv"

local name = "/shm_spec_dict"

local arena, d
before_each(function()
  arena = assert(shm.arena(name, "4M", { owned = true }))
  d = assert(arena:dict("d", "1M"))
end)
after_each(function() arena:close() end)

local function seconds() return uv.hrtime() / 1e9 end

-- All that a call returns, its nils too.
local function returns(expected, ...)
  assert.same(expected, table.pack(...))
end

local stored = table.pack(true, nil, false)

describe("a dict", function()
  it("is found or made, and says what it is", function()
    assert.equal('dict "d" of arena "/shm_spec_dict"', tostring(d))
    assert.equal(d, arena:dict("d", 1 << 20))
    local entry = arena:objects()[1]
    assert.same({ "d", "dict", 1 << 20 }, { entry.name, entry.kind, entry.size })
    for _, other in ipairs { { "dict", "2M", 'dict "d" has 1048576 bytes, 2097152 were asked for' },
      { "channel", "1M", '"d" is a dict, not a channel' } } do
      local none, message, code = arena[other[1]](arena, "d", other[2])
      assert.is_nil(none)
      assert.equal(other[3], message)
      assert.equal("EPROTOTYPE", code)
    end
    assert.equal("ENOSPC", select(3, arena:dict("large", "16M")))
    assert.equal(16384, arena:dict("small", 1):capacity())
    assert.equal(1 << 20, d:capacity())
  end)

  it("keeps values of every kind as they are", function()
    local values = { "", "text", ("x"):rep(100000), "\0\255", 0, 1, -1, math.maxinteger, math.mininteger, 0.0, 2.5,
      1 / 0, -1 / 0, true, false, {}, { 1, 2, { a = { "b" } } }, { x = 1.5, [7] = "seven", [true] = false } }
    for i, value in ipairs(values) do
      returns(stored, d:set("k" .. i, value))
      local found = d:get("k" .. i)
      assert.same(value, found)
      assert.equal(math.type(value), math.type(found))
    end
    d:set("nan", 0 / 0)
    local nan = d:get "nan"
    assert.is_true(nan ~= nan)
  end)

  it("says nil for what is not there, and keeps keys of strings and integers apart", function()
    returns({ n = 1 }, d:get "none")
    returns({ n = 1 }, d:get(1))
    returns({ n = 1 }, d:get_stale "none")
    d:set("1", "text")
    d:set(1, "number")
    d:set(("\0"):rep(7) .. "\1", "bytes")
    assert.same({ "text", "number", "number" }, { d:get "1", d:get(1), (d:get(1.0)) })
    for _, key in ipairs { "\0", ("k"):rep(65535), " ", math.mininteger, math.maxinteger, 0, -1 } do
      d:set(key, key)
      assert.equal(key, (d:get(key)))
    end
  end)

  it("has flags", function()
    d:set("a", 1, 0, 7)
    returns({ 1, 7, n = 2 }, d:get "a")
    returns({ 1, 7, false, n = 3 }, d:get_stale "a")
    d:set("a", 1, nil, 0xffffffff)
    returns({ 1, 0xffffffff, n = 2 }, d:get "a")
    d:set("a", 1)
    returns({ 1, n = 1 }, d:get "a")
    returns({ 1, nil, false, n = 3 }, d:get_stale "a")
    d:add("b", "x", 0, 3)
    d:incr("b2", 1, 5)
    returns({ "x", 3, n = 2 }, d:get "b")
    d:replace("b", "y", 0, 4)
    returns({ "y", 4, n = 2 }, d:get "b")
  end)

  it("adds where nothing is, and replaces where something is", function()
    returns({ false, "not found", false, n = 3 }, d:replace("k", 1))
    returns(stored, d:add("k", 1))
    returns({ false, "exists", false, n = 3 }, d:add("k", 2))
    returns({ false, "exists", false, n = 3 }, d:safe_add("k", 2))
    assert.equal(1, (d:get "k"))
    returns(stored, d:replace("k", 3))
    returns(stored, d:safe_set("k", 4))
    assert.equal(4, (d:get "k"))
    returns(stored, d:safe_add("new", false))
    assert.is_false((d:get "new"))
    d:set("gone", 1, 0.001)
    process.await(function() return d:get "gone" == nil end)
    returns({ false, "not found", false, n = 3 }, d:replace("gone", 2))
    returns(stored, d:add("gone", 3))
  end)

  it("deletes, and so does set with nil", function()
    for _, delete in ipairs { d.delete, d.set, d.safe_set } do
      d:set("k", 1)
      returns(stored, delete(d, "k", nil))
      returns({ n = 1 }, d:get "k")
      returns(stored, delete(d, "k", nil)) -- again: as ngx has it
      d:rpush("list", 1)
      returns(stored, delete(d, "list", nil))
      returns({ 0, n = 1 }, d:llen "list")
    end
    for _, call in ipairs { "add", "safe_add", "replace" } do
      d:set("k", 1)
      for _, key in ipairs { "k", "none" } do
        returns({ false, "attempt to add or replace nil values", false, n = 3 }, d[call](d, key, nil))
      end
      returns({ 1, n = 1 }, d:get "k")
    end
  end)

  it("says what is wrong with a key as ngx does", function()
    local calls = { get = {}, get_stale = {}, set = { 1 }, safe_set = { 1 }, add = { 1 }, safe_add = { 1 },
      replace = { 1 }, delete = {}, incr = { 1 }, lpush = { 1 }, rpush = { 1 }, lpop = {}, rpop = {}, llen = {},
      lrange = { 1, 2 },
      ttl = {}, expire = { 1 }, cas = { 1, 2 }, update = { print }, fetch = { 1, print } }
    for method, arguments in pairs(calls) do
      returns({ nil, "nil key", n = 2 }, d[method](d, nil, table.unpack(arguments)))
      returns({ nil, "empty key", n = 2 }, d[method](d, "", table.unpack(arguments)))
      returns({ nil, "key too long", n = 2 }, d[method](d, ("k"):rep(65536), table.unpack(arguments)))
    end
    returns({ nil, "empty key", n = 2 }, d:get_all { "" })
    returns({ nil, "key too long", n = 2 }, d:set_all { [("k"):rep(65536)] = 1 })
    assert.equal(0, d:stat().entries)
  end)
end)

describe("a number in a dict", function()
  it("is added to", function()
    returns({ nil, "not found", n = 2 }, d:incr("n", 1))
    returns({ 11, nil, false, n = 3 }, d:incr("n", 1, 10))
    returns({ 12, nil, false, n = 3 }, d:incr("n", 1, 10))
    returns({ 10, n = 1 }, d:incr("n", -2))
    returns({ 10.5, n = 1 }, d:incr("n", 0.5))
    returns({ 11.5, n = 1 }, d:incr("n", "1"))
    d:set("n", math.maxinteger)
    returns({ math.mininteger, n = 1 }, d:incr("n", 1))
    for _, value in ipairs { "5", true, {} } do
      d:set("n", value)
      returns({ nil, "not a number", n = 2 }, d:incr("n", 1))
      returns({ nil, "not a number", n = 2 }, d:incr("n", 1, 1))
    end
    d:rpush("l", 1)
    returns({ nil, "not a number", n = 2 }, d:incr("l", 1))
    d:set("n", 1, 100, 9)
    d:incr("n", 1)
    returns({ 2, 9, n = 2 }, d:get "n")
    assert.is_true(d:ttl "n" > 99)
  end)

  it("that is new has a time to live, if one is given", function()
    d:incr("n", 1, 0, 0.01)
    assert.is_true(process.await(function() return d:get "n" == nil end))
    returns({ 1, nil, false, n = 3 }, d:incr("n", 1, 0))
    assert.equal(0.0, d:ttl "n")
  end)
end)

describe("time to live", function()
  it("has fractions, and ends", function()
    local before = seconds()
    d:set("k", "v", 0.05)
    local left = d:ttl "k"
    assert.is_true(left > 0 and left <= 0.05 or seconds() - before > 0.05)
    assert.is_true(process.await(function() return d:get "k" == nil end))
    assert.is_true(seconds() - before >= 0.05)
    returns({ nil, "not found", n = 2 }, d:ttl "k")
    returns({ "v", nil, true, n = 3 }, d:get_stale "k")
    returns({ nil, "not found", n = 2 }, d:expire("k", 1))
    d:set("k", "v", 1e-12)
    assert.is_true(process.await(function() return d:get "k" == nil end))
    for _, forever in ipairs { 0, 1 / 0, 1e300, 1e10 } do
      d:set("k", "v", forever)
      assert.equal(0.0, d:ttl "k")
    end
  end)

  it("is given anew, and taken", function()
    d:set("k", 1)
    returns({ 0.0, n = 1 }, d:ttl "k")
    returns({ true, n = 1 }, d:expire("k", 60))
    local left = d:ttl "k"
    assert.is_true(left > 30 and left <= 60)
    returns({ true, n = 1 }, d:expire("k", 0))
    returns({ 0.0, n = 1 }, d:ttl "k")
    d:expire("k", 0.001)
    assert.is_true(process.await(function() return d:get "k" == nil end))
    d:rpush("l", 1)
    d:expire("l", 0.001)
    assert.is_true(process.await(function() return d:llen "l" == 0 end))
    returns({ 1, nil, false, n = 3 }, d:rpush("l", 2)) -- a new one
    returns({ nil, "not found", n = 2 }, d:ttl "none")
    returns({ nil, "not found", n = 2 }, d:expire("none", 1))
  end)

  it("of all is over after flush_all; flush_expired gives the memory back", function()
    local free = d:free_space()
    for i = 1, 100 do d:set(i, i) end
    d:rpush("l", 1)
    assert.is_true(d:free_space() < free)
    returns({ 0, n = 1 }, d:flush_expired())
    returns({ true, n = 1 }, d:flush_all())
    returns({ n = 1 }, d:get(1))
    returns({ 1, nil, true, n = 3 }, d:get_stale(1))
    assert.same({}, d:get_keys(0))
    returns({ 10, n = 1 }, d:flush_expired(10))
    returns({ 91, n = 1 }, d:flush_expired(0))
    returns({ n = 1 }, d:get_stale(1))
    assert.equal(free, d:free_space())
    assert.equal(0, d:stat().entries)
  end)
end)

describe("a list in a dict", function()
  it("is pushed to and popped from at both ends", function()
    returns({ 0, n = 1 }, d:llen "l")
    returns({ n = 1 }, d:lpop "l")
    returns({ n = 1 }, d:rpop "l")
    returns({ 1, nil, false, n = 3 }, d:rpush("l", "b"))
    returns({ 2, nil, false, n = 3 }, d:rpush("l", { 3 }))
    returns({ 3, nil, false, n = 3 }, d:lpush("l", 1.5))
    returns({ 3, n = 1 }, d:llen "l")
    returns({ 1.5, n = 1 }, d:lpop "l")
    returns({ { 3 }, n = 1 }, d:rpop "l")
    returns({ "b", n = 1 }, d:rpop "l")
    returns({ 0, n = 1 }, d:llen "l")
    assert.equal(0, d:stat().entries)
    d:rpush("l", ("x"):rep(5000))
    d:rpush("l", false)
    assert.equal(5000, #d:lpop "l")
    assert.is_false(d:lpop "l")
  end)

  it("has ranges, counted from either end, as Redis's LRANGE has them but from 1", function()
    returns({ {}, n = 1 }, d:lrange("l", 1, -1)) -- no list
    local all = { "a", 2, { x = 3 }, false, ("e"):rep(5000), 6.5 }
    for _, value in ipairs(all) do d:rpush("l", value) end
    local function expected(i, j)
      local count, range = #all, {}
      if i < 0 then i = i + count + 1 end
      if j < 0 then j = j + count + 1 end
      for at = math.max(i, 1), math.min(j, count) do range[#range + 1] = all[at] end
      return { range, n = 1 }
    end
    local ends = { math.mininteger, -100, math.maxinteger, 100 }
    for i = -8, 8 do ends[#ends + 1] = i end
    for _, i in ipairs(ends) do
      for _, j in ipairs(ends) do
        local from, to = math.max(i, -100), math.min(math.max(j, -100), 100)
        assert.same(expected(from, to), table.pack(d:lrange("l", i, j)), ("%d to %d"):format(i, j))
      end
    end
    assert.equal(6, d:llen "l") -- a range takes nothing
    d:expire("l", 0.001)
    assert.is_true(process.await(function() return #d:lrange("l", 1, -1) == 0 end))
  end)

  it("of many values has short ranges in its midst, and all of them at one time", function()
    for i = 1, 5000 do assert(d:rpush("l", i)) end
    returns({ { 2500, 2501, 2502 }, n = 1 }, d:lrange("l", 2500, 2502))
    returns({ { 4999, 5000 }, n = 1 }, d:lrange("l", -2, -1))
    for _ = 1, 20 do
      d:rpush("l", d:lpop "l")
      local list, follow = d:lrange("l", 1, -1), 1
      for i = 2, #list do follow = follow + (list[i] == list[i - 1] % 5000 + 1 and 1 or 0) end
      assert.same({ 5000, 5000 }, { #list, follow })
    end
  end)

  it("is no value, and a value no list", function()
    d:rpush("l", 1)
    d:set("v", 1)
    for _, call in ipairs { "get", "get_stale" } do returns({ nil, "value is a list", n = 2 }, d[call](d, "l")) end
    returns({ nil, "value is a list", n = 2 }, d:update("l", print))
    returns({ nil, "value is a list", n = 2 }, d:fetch("l", 0, print))
    returns({ nil, "value is a list", n = 2 }, d:get_all { "v", "l" })
    returns({ false, "value is a list", false, n = 3 }, d:cas("l", 1, 2))
    returns({ false, "value is a list", false, n = 3 }, d:cas("l", {}, 2))
    for _, call in ipairs { "lpush", "rpush" } do
      returns({ nil, "value not a list", n = 2 }, d[call](d, "v", 1))
    end
    for _, call in ipairs { "lpop", "rpop", "llen", "lrange" } do
      returns({ nil, "value not a list", n = 2 }, d[call](d, "v", 1, 2))
    end
    returns({ false, "exists", false, n = 3 }, d:add("l", 1))
    returns(stored, d:set("l", "now a value"))
    assert.equal("now a value", (d:get "l"))
  end)
end)

describe("a dict that is full", function()
  it("evicts what was not read lately, and says so; safe_ says no memory", function()
    local s = arena:dict("s", "16K")
    local refused, count = false, 0
    while not refused and count < 10000 do
      count = count + 1
      refused = not s:safe_set(count, "value")
    end
    assert.is_true(refused and count > 100)
    returns({ false, "no memory", false, n = 3 }, s:safe_set(count, "value"))
    returns({ false, "no memory", false, n = 3 }, s:safe_add(count, "value"))
    for i = 1, count - 1 do assert.equal("value", s:get(i)) end
    returns({ true, nil, true, n = 3 }, s:set("one more", "value"))
    assert.equal("value", s:get "one more")
    assert.is_true(s:stat().evictions >= 1)
    local _, _, forcible = s:incr("number", 1, 0)
    assert.is_boolean(forcible)
    for i = 1, 2000 do
      s:get "one more"
      assert.is_true((s:set("n" .. i, i)))
    end
    assert.equal("value", s:get "one more")
    assert.is_nil((s:get(1)))
    local evicted = false
    for i = 1, 2000 do
      local length, err, forced = s:rpush("list" .. i, i)
      assert.same({ 1, nil }, { length, err })
      evicted = evicted or forced
    end
    assert.is_true(evicted)
  end)

  it("makes room by what has expired first", function()
    local s = arena:dict("s", "16K")
    s:set("stays", 1)
    local count = 0
    while s:safe_set(count, "value", 0.01) do count = count + 1 end
    assert.is_true(process.await(function() return s:get(count - 1) == nil end))
    for i = 1, count do returns(stored, s:safe_set("new" .. i, "value")) end
    assert.equal(1, (s:get "stays"))
    assert.is_true(s:stat().expired >= 1)
    assert.equal(0, s:stat().evictions)
  end)

  it("takes values up to its limit, whatever sizes were there before", function()
    local limit = d:stat().limit
    for _, size in ipairs { 100, 10000, 10, limit - 64, 0 } do
      for i = 1, 2 * d:capacity() // (size + 64) do
        assert.is_true((d:set(i, ("v"):rep(size))))
      end
      assert.equal(size, #d:get(1 + 2 * d:capacity() // (size + 64) - 1))
    end
    for _, call in ipairs { "set", "add", "safe_set" } do
      returns({ false, "no memory", false, n = 3 }, d[call](d, "k", ("v"):rep(limit + 1)))
    end
    returns({ nil, "no memory", n = 2 }, d:rpush("l", ("v"):rep(limit + 1)))
  end)
end)

describe("a dict says", function()
  it("its keys: 1024 of them, or as many as are asked for", function()
    assert.same({}, d:get_keys())
    local expected = {}
    for i = 1, 1500 do
      local key = i % 2 == 0 and i or "key" .. i
      d:set(key, i)
      expected[key] = true
    end
    assert.equal(1024, #d:get_keys())
    assert.equal(1024, #d:get_keys(1024))
    assert.equal(1, #d:get_keys(1))
    local keys = d:get_keys(0)
    assert.equal(1500, #keys)
    for _, key in ipairs(keys) do
      assert.is_true(expected[key], key)
      expected[key] = nil
    end
  end)

  it("how it stands", function()
    d:set("key", "value")
    d:get "key"
    d:get "none"
    local stat = d:stat()
    assert.same({ 1 << 20, 1 << 18, 1, 1, 1, 0, 0 }, { stat.capacity, stat.limit, stat.entries, stat.hits, stat.misses,
      stat.evictions, stat.expired })
    assert.same({ stat.room, stat.free }, { stat.used + stat.free, d:free_space() })
    assert.is_true(stat.payload >= 8 and stat.payload <= stat.used and stat.used <= 128)
    assert.is_true(stat.fragmentation > 0 and stat.fragmentation < 1)
    assert.same({ 1, 0 }, { stat.fullest, stat.emptiest })
    assert.is_true(stat.shards >= 1)
  end)
end)
