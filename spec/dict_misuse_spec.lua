-- dict_misuse_spec.lua: dicts in wrong hands: arguments, receivers, what is closed or removed, what is scribbled over,
-- scripts and finalizers that close what they are using.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local process = require "spec.support.process"

local name = "/shm_spec_dict"
local snapshot = ("/tmp/shm_spec_snapshot_%d"):format(require("luv").os_getpid()) -- other runs have their own

local arena, d
before_each(function()
  arena = assert(shm.arena(name, "1M", { owned = true }))
  d = assert(arena:dict("d", "128K"))
end)
after_each(function() arena:close() end)

local raises = outcome.raises

-- Good arguments of every method, after the key if it has one.
local function nothing() end
local arguments = {
  get = { "k" }, get_stale = { "k" }, set = { "k", 1 }, safe_set = { "k", 1 }, add = { "k", 1 }, safe_add = { "k", 1 },
  replace = { "k", 1 }, delete = { "k" }, ttl = { "k" }, expire = { "k", 1 }, incr = { "k", 1, 0 },
  lpush = { "k", 1 }, rpush = { "k", 1 }, lpop = { "k" }, rpop = { "k" }, llen = { "k" }, lrange = { "k", 1, -1 },
  cas = { "k", 1, 2 }, update = { "k", nothing }, fetch = { "k", 1, nothing }, get_all = { { "k" } },
  set_all = { { k = 1 } }, get_keys = {}, scan = {}, flush_all = {}, flush_expired = {}, capacity = {}, free_space = {},
  stat = {}, snapshot = { snapshot }, restore = { "/dev/null" },
}

local function methods()
  local all = {}
  for method in pairs(getmetatable(d).__index) do
    assert.is_truthy(arguments[method], method)
    all[#all + 1] = method
  end
  assert.is_true(#all > 25)
  return all
end

describe("a method of a dict", function()
  it("refuses every receiver of another sort", function()
    local meta = getmetatable(d)
    local calls = { meta.__gc, meta.__tostring, meta.__pairs }
    for _, method in ipairs(methods()) do calls[#calls + 1] = meta.__index[method] end
    local foreigners = { io.stdout, {}, "x", 1, print, true, arena, arena:channel("c", 1024), arena:mutex "m" }
    for size = 0, 512 do foreigners[#foreigners + 1] = lowlevel.userdata(size) end
    for _, call in ipairs(calls) do
      for _, foreign in ipairs(foreigners) do
        raises("shm%.dict %(methods are called with a colon%) expected", call, foreign, 1, 1)
      end
      raises("expected, got no value", call)
    end
  end)

  it("raises what is wrong with its arguments", function()
    for _, bad in ipairs { true, {}, print, 1.5, 1 / 0, 0 / 0, 2 ^ 63 } do
      for _, method in ipairs { "get", "get_stale", "delete", "ttl", "lpop", "rpop", "llen" } do
        raises("key %(a string or an integer%) expected", d[method], d, bad)
      end
      for _, method in ipairs { "set", "add", "replace", "incr", "rpush", "expire" } do
        raises("key %(a string or an integer%) expected", d[method], d, bad, 1)
      end
    end
    raises("number expected, got no value", d.lrange, d, "k", 1)
    raises("number has no integer representation", d.lrange, d, "k", 1, 1.5)
    for _, bad in ipairs { -1, -1e-9, 0 / 0, -1 / 0 } do
      for _, method in ipairs { "set", "safe_set", "add", "safe_add", "replace" } do
        raises("a time to live is a number of seconds, not negative", d[method], d, "k", 1, bad)
      end
      raises("not negative", d.expire, d, "k", bad)
      raises("not negative", d.incr, d, "k", 1, 0, bad)
      raises("not negative", d.cas, d, "k", 1, 2, bad)
      raises("not negative", d.update, d, "k", nothing, bad)
      raises("not negative", d.fetch, d, "k", bad, nothing)
      raises("not negative", d.set_all, d, {}, bad)
    end
    raises("number expected", d.set, d, "k", 1, "soon")
    raises("number expected", d.expire, d, "k")
    for _, bad in ipairs { -1, 1 << 32 } do raises("flags are 0 to 4294967295", d.set, d, "k", 1, 0, bad) end
    raises("number has no integer representation", d.set, d, "k", 1, 0, 1.5)
    for _, bad in ipairs { {}, true, "x", print } do
      raises("number expected, got", d.incr, d, "k", bad)
      if bad ~= true then raises("number expected, got", d.incr, d, "k", 1, bad) end
    end
    raises("number expected", d.incr, d, "k")
    raises("number expected", d.incr, d, "k", 1, true)
    raises('must provide "init" when providing "init_ttl"', d.incr, d, "k", 1, nil, 5)
    raises("no message carries", d.rpush, d, "k", nil)
    raises("value expected", d.lpush, d, "k")
    raises("value expected", d.cas, d, "k", 1)
    for _, method in ipairs { "update", "fetch" } do raises("function expected", d[method], d, "k", 1, 1) end
    raises("a timeout is a number of seconds", d.fetch, d, "k", 0, nothing, 0 / 0)
    for _, method in ipairs { "get_all", "set_all" } do raises("table expected", d[method], d, "k") end
    for _, method in ipairs { "get_keys", "flush_expired", "scan" } do
      raises("a count is not negative", d[method], d, -1)
      raises("number expected", d[method], d, "x")
    end
    raises("at least 1 entry", d.scan, d, 0, 0)
    for _, bad in ipairs { 1 << 40, math.maxinteger } do raises("no scan has said this cursor", d.scan, d, bad) end
    for _, bad in ipairs { 0, -1, 1.5, "x", true, {} } do raises("bad argument", arena.dict, arena, "x", bad) end
    raises("a dict has at most 16G", arena.dict, arena, "x", "17G")
    raises("the name of an object has 1 to 63 bytes", arena.dict, arena, "", 1)
    assert.same({}, d:get_keys())
  end)

  it("raises of values what messages raise", function()
    local within = {}
    within.self = within
    for _, call in ipairs { "set", "add", "replace", "rpush", "lpush" } do
      raises("value is a function, which no message carries", d[call], d, "k", print)
      raises("value.a%[1%] is a userdata", d[call], d, "k", { a = { io.stdout } })
      raises("is a table that it is in", d[call], d, "k", within)
    end
    local deep = {}
    for _ = 1, 100 do deep = { deep, deep } end
    assert.same({ false, "no memory", false }, { d:set("k", deep) })
  end)
end)

describe("a dict that is closed", function()
  it("raises, whatever is called; a walk through it, too", function()
    d:set("k", 1)
    local walk = pairs(d)
    local before = {}
    for _, method in ipairs(methods()) do before[method] = d[method] end
    arena:close()
    for method, call in pairs(before) do
      if method ~= "restore" then raises("closed", call, d, table.unpack(arguments[method])) end
    end
    raises("closed", walk)
    raises("is at work, or has failed", walk)
    assert.equal('dict "d" (closed)', tostring(d))
    assert.is_nil(io.open(snapshot))
  end)

  it("in the middle of its own call raises, or has done it", function()
    local function fresh()
      local a = assert(shm.arena(nil, "256K"))
      return a, a:dict("d", "64K")
    end
    local a, own = fresh()
    raises("closed", own.update, own, "k", function() a:close() return 1 end)
    a, own = fresh()
    raises("closed", own.fetch, own, "k", 0, function() a:close() return 1 end)
    a, own = fresh()
    assert.is_nil(own:fetch("k", 0, function() a:close() end))
    a, own = fresh()
    own:set_all { a = 1, b = 2 }
    raises("closed", function() for _ in pairs(own) do a:close() own:get "a" end end)
    a, own = fresh() -- by a finalizer, at any allocation
    collectgarbage "generational"
    for i = 1, 200 do
      if not pcall(own.set, own, i, { i }) then break end
      setmetatable({}, { __gc = function() if i > 100 then a:close() end end })
      if not pcall(own.get_keys, own, 0) then break end
    end
    collectgarbage()
    collectgarbage "incremental"
    raises("closed", own.get, own, 1)
  end)

  it("leaves a task of fetch to others, also where another handle has it", function()
    local second <close> = assert(shm.arena(name))
    local other = second:dict("d", "128K")
    raises("closed", other.fetch, other, "k", 0, function() second:close() return 1 end)
    assert.equal(2, d:fetch("k", 0, function() return 2 end, 5))
  end)
end)

describe("a dict that is removed", function()
  it("is EIDRM everywhere", function()
    arena:remove "d"
    for _, method in ipairs(methods()) do
      if method ~= "restore" then
        local none, message, code = d[method](d, table.unpack(arguments[method]))
        assert.same({ nil, "EIDRM" }, { none, code }, method)
        assert.matches('^dict "d" of arena "/shm_spec_dict" was removed', message)
      end
    end
    raises("was removed", pairs(d))
    assert.is_nil(io.open(snapshot))
  end)
end)

-- Every bucket leads to the entry of `key`, which is the only one.
local function spoil_buckets(dict)
  local memory <close> = assert(shm.attach(name))
  local from = #memory - arena:stat().largest - dict:capacity() -- the last object lies before what is free
  local at, count = 192 + 256 * dict:stat().shards, 1
  while count < dict:capacity() // 72 // 2 do count = count * 2 end
  local buckets = memory:view("u32", from + at, count)
  local cell = 0
  for i = 1, count do cell = math.max(cell, buckets[i]) end
  assert.is_true(cell > 0)
  buckets:fill(cell)
  return count
end

local function is_damaged(...)
  local none, message, code = ...
  assert.is_nil(none)
  assert.matches("is damaged", message)
  assert.equal("EBADMSG", code)
end

describe("a dict in which every bucket leads to one entry", function()
  local function peak(f, ...)
    collectgarbage()
    local before = collectgarbage "count"
    f(...)
    return collectgarbage "count" - before
  end

  it("is no more to its walks than four times its memory", function()
    local key = ("k"):rep(30000)
    assert(d:set(key, ("v"):rep(1000)))
    local buckets = spoil_buckets(d)
    assert.is_true(buckets * #key > 50 * d:capacity()) -- what walks would find
    collectgarbage "stop"
    assert.is_true(peak(function() is_damaged(d:get_keys(0)) end) < 16 * 128)
    collectgarbage "restart"
    is_damaged(d:snapshot(snapshot))
    assert.is_nil(io.open(snapshot))
    is_damaged(d:scan(0, 1000000))
    local count = 0
    raises("is damaged", function() for _ in pairs(d) do count = count + 1 end end)
    assert.is_true(count <= 5 * d:capacity() // #key)
    assert.equal(10, #d:get_keys(10)) -- as many as were asked for
    assert.is_true(d:flush_all())
  end)

  it("counts the elements of its lists, too", function()
    for i = 1, 500 do d:rpush("list", ("e"):rep(100) .. i) end
    local buckets, count = spoil_buckets(d), 0
    assert.is_true(buckets * 50000 > 50 * d:capacity())
    is_damaged(d:snapshot(snapshot))
    assert.is_nil(io.open(snapshot))
    is_damaged(d:scan(0, 1000000))
    raises("is damaged", function() for _ in pairs(d) do count = count + 1 end end)
    assert.is_true(count <= 5 * d:capacity() // 50000)
  end)
end)

describe("an element of a list that is damaged", function()
  it("is no value of a range, and the others are", function()
    for _, value in ipairs { "first", "second", "third" } do d:rpush("l", value) end
    local memory <close> = assert(shm.attach(name))
    local at = memory:read():find("second", 1, true) - 1
    local length = memory:view("u8", at - 32 + 24, 1) -- of a cell's head, whose payload begins at 32
    assert.equal(6, length[1])
    local tag = memory:view("u8", at - 32 + 5, 1)
    tag[1] = 1 -- MessagePack, which "second" is not
    is_damaged(d:lrange("l", 1, -1))
    is_damaged(d:lrange("l", 2, 2))
    assert.same({ "third" }, d:lrange("l", 3, 3))
    assert.equal(3, d:llen "l")
  end)
end)

describe("a dict that is scribbled over", function()
  it("has errors or wrong values; nothing crashes, hangs or takes endless memory", function()
    local seed = os.time()
    math.randomseed(seed)
    local memory <close> = assert(shm.attach(name))
    local damaged, late, round = 0, false, 0
    while round < 60 and not late do -- a lock that seems to be a living process's is waited for ten seconds: once
      round = round + 1
      arena:remove "d"
      d = assert(arena:dict("d", "16K"))
      for i = 1, 40 do
        d:set("k" .. i, i % 3 == 0 and { i } or ("v"):rep(i))
        d:rpush("list" .. i % 5, i)
      end
      local from = #memory - arena:stat().largest - 16384 -- the only object lies before what is free
      for _ = 1, 1 << round % 8 do
        local at = from + math.random(0, 16384 - 8)
        memory:write(("<i8"):pack(math.random(0) >> math.random(0, 63)), at // 8 * 8)
      end
      for _, method in ipairs(methods()) do
        for _, key in ipairs { "k1", "k30", "list1" } do
          local given = { table.unpack(arguments[method]) }
          if given[1] == "k" then given[1] = key end
          local done, message, _, code = pcall(d[method], d, table.unpack(given))
          assert.is_true(done, ("%s: %s (seed %d)"):format(method, message, seed))
          if code == "EBADMSG" then damaged = damaged + 1 end
          late = code == "ETIMEDOUT"
          if late then goto over end
        end
      end
      pcall(function() for _ in pairs(d) do end end)
      ::over::
    end
    os.remove(snapshot)
    assert.is_true(damaged > 0 or late)
  end)
end)

describe("under a collection at every allocation", function()
  it("everything of dicts works", function()
    local run = process.run(process.build .. "/spec/gcstress", { "spec/support/gcstress_dict.lua" }, { seconds = 120 })
    assert.same({ 0, "" }, { run.code, run.err })
  end)
end)
