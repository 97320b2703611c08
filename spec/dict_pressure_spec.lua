-- dict_pressure_spec.lua: a dict that is full all the time: what is in use stays, and an operation never evicts the
-- entry that it works on.
local shm = require "shm"

local name = "/shm_spec_dict"

local arena
before_each(function() arena = assert(shm.arena(name, "8M", { owned = true })) end)
after_each(function() arena:close() end)

local flood = ("x"):rep(100)

-- Is there nothing under the key? `ttl` does not count as a use.
local function is_gone(d, key) return d:ttl(key) == nil end

local long = ("y"):rep(300)

-- What an operation is to find, and the operation: it is given the dict, the key and the number of the step, and
-- returns whether the key was lost.
local operations = {
  get = { "v", function(d, k) return d:get(k) ~= "v" end },
  ["get of a long value"] = { long, function(d, k) return d:get(k) ~= long end },
  ["get of a list"] = { {}, function(d, k) return select(2, d:get(k)) ~= "value is a list" end },
  get_stale = { "v", function(d, k) return d:get_stale(k) ~= "v" end },
  get_all = { "v", function(d, k) return d:get_all({ k })[k] ~= "v" end },
  ["set of one word"] = { 0, function(d, k, i) return is_gone(d, k) or not d:set(k, i) end },
  ["set of some words"] = { ("%030d"):format(0),
    function(d, k, i) return is_gone(d, k) or not d:set(k, ("%030d"):format(i)) end },
  ["set of another length"] = { "v", function(d, k, i) return is_gone(d, k) or not d:set(k, ("z"):rep(i % 90)) end },
  safe_set = { "v", function(d, k, i) return is_gone(d, k) or not d:safe_set(k, "v" .. i % 10) end },
  set_all = { 0, function(d, k, i) return is_gone(d, k) or not d:set_all { [k] = i } end },
  add = { "v", function(d, k) return d:add(k, "w") end },
  safe_add = { "v", function(d, k) return d:safe_add(k, "w") end },
  replace = { "v", function(d, k) return not d:replace(k, "v") end },
  ["replace of another length"] = { "v", function(d, k, i) return not d:replace(k, ("v"):rep(i % 200)) end },
  incr = { 0, function(d, k, i) return d:incr(k, 1) ~= i end },
  ["incr with init"] = { 0, function(d, k, i) return d:incr(k, 1, 0, 60) ~= i end },
  ["incr of another type"] = { 0, function(d, k, i) return d:incr(k, i % 2 == 0 and 1 or 1.0) ~= i end },
  cas = { 0, function(d, k, i) return not d:cas(k, i - 1, i) end },
  ["cas that finds another value"] = { 0,
    function(d, k) return select(2, d:cas(k, "other", 1)) ~= "changed" or is_gone(d, k) end },
  update = { 0, function(d, k, i) return d:update(k, function(v) return (v or -1) + 1 end) ~= i end },
  expire = { "v", function(d, k) return not d:expire(k, 60) end },
  llen = { {}, function(d, k) return d:llen(k) ~= 1 end },
  ["push and pop"] = { {}, function(d, k, i) return d:rpush(k, i) ~= 2 or d:lpop(k) ~= i - 1 end },
  fetch = { "v", function(d, k) return d:fetch(k, 60, function() return "made" end) ~= "v" end },
}

describe("a dict beside a flood of other keys", function()
  it("loses no key that an operation finds at every step", function()
    local d = assert(arena:dict("pressed", "1M"))
    for operation, parts in pairs(operations) do
      if parts[1] ~= nil and type(parts[1]) ~= "table" then d:set(operation, parts[1]) else d:rpush(operation, 0) end
    end
    local lost = {}
    for i = 1, 200000 do
      d:set("flood " .. i, flood)
      for operation, parts in pairs(operations) do
        if parts[2](d, operation, i) then lost[operation] = lost[operation] or i end
      end
    end
    assert.same({}, lost)
    assert.is_true(d:stat().evictions > 190000)
  end)

  it("keeps a new key for a while: a lock that add takes has one holder", function()
    local d = assert(arena:dict("locks", "1M"))
    local taken_twice, more = 0, 0
    for i = 1, 200000 do
      local key = "lock" .. i
      d:add(key, 1, 60)
      for _ = 1, 3 do
        more = more + 1
        d:set(more, flood)
      end
      if d:add(key, 2, 60) then taken_twice = taken_twice + 1 end
      d:delete(key)
    end
    assert.equal(0, taken_twice)
  end)
end)

describe("an operation in a full dict", function()
  -- Calls `use(d, value)` many times: the value is too large for what is free, and "mine" is "old" before.
  local function each_size(use)
    for _, size in ipairs { "16K", "64K", "256K" } do
      local d = assert(arena:dict("full" .. size, size))
      local limit = d:stat().limit
      for round = 1, 300 do
        d:set("mine", "old")
        for i = 1, 50 do d:set(round * 50 + i, ("x"):rep(limit // 20)) end
        if d:replace("mine", "old") then use(d, ("y"):rep(limit // (1 + round % 8) - 32)) end
      end
      assert.is_true(d:stat().evictions > 1000)
    end
  end

  it("never evicts its own entry: replace", function()
    each_size(function(d, value) assert.is_true((d:replace("mine", value))) end)
  end)

  it("never evicts its own entry: cas", function()
    each_size(function(d, value)
      assert.is_true((d:cas("mine", "old", value)))
      assert.equal(value, (d:get "mine"))
    end)
  end)

  it("never evicts its own entry: update", function()
    each_size(function(d, value)
      local seen = {}
      d:update("mine", function(old)
        seen[#seen + 1] = old or "nothing"
        return value
      end)
      assert.same({ "old" }, seen)
    end)
  end)

  it("keeps the time to live of the entry that it puts anew", function()
    each_size(function(d, value)
      d:set("mine", value, 100)
      assert.is_true((d:cas("mine", value, value .. "1")))
      assert.is_true(d:ttl "mine" > 50)
    end)
  end)

  -- Pushes until there is no memory; the length at which that was.
  local function push_until_full(d, value)
    local length = 0
    for i = 1, 1 << 20 do
      local n, err = d[i % 2 == 0 and "lpush" or "rpush"](d, "jobs", value)
      if n == nil then
        assert.equal("no memory", err)
        return length
      end
      assert.equal(length + 1, n)
      length = n
    end
  end

  it("never evicts its own list: a push says no memory when nothing else is left", function()
    for _, size in ipairs { "16K", "256K", "1M" } do
      for _, others in ipairs { 0, 50 } do
        local d = assert(arena:dict("list" .. size .. others, size))
        for i = 1, others do d:set(i, ("x"):rep(100)) end
        local length = push_until_full(d, ("z"):rep(100))
        local room = d:stat().room
        assert.is_true(length * 192 > room - 8192, length * 192 .. " of " .. room)
        for _ = 1, 10 do assert.same({ nil, "no memory" }, { d:rpush("jobs", ("z"):rep(1000)) }) end
        assert.equal(length, d:llen "jobs")
        for _ = 1, length do assert.equal(100, #d:lpop "jobs") end
        assert.equal(1, d:rpush("jobs", ("z"):rep(1000)))
      end
    end
  end)
end)
