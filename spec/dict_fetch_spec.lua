-- dict_fetch_spec.lua: d:fetch under pressure: one generator at once, fetches that wait for each other, and the old
-- value while a new one is made.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_dict"

local arena, d
before_each(function()
  arena = assert(shm.arena(name, "4M", { owned = true }))
  d = assert(arena:dict("d", "256K"))
end)
after_each(function() arena:close() end)

local raises = outcome.raises

local function returns(expected, ...) assert.same(expected, table.pack(...)) end

-- Stores a value, and waits until it has expired.
local function set_expired(key, value)
  d:set(key, value, 0.001)
  assert.is_true(process.await(function() return d:get(key) == nil end))
end

-- Starts a process that makes the value of a key, and does not end before it is told to.
local function maker(key, ending)
  return peers.hold(name, ([[
    local d = a:dict("d", "256K")
    pcall(d.fetch, d, %q, 60, function() say "makes" hear() %s end)]]):format(key, ending or "return 'new'"))
end

describe("fetch in a full dict", function()
  it("has one generator at once: a task is not evicted", function()
    local one = maker "slow"
    for i = 1, 20000 do d:set("flood" .. i, ("x"):rep(100)) end
    local none, _, code = d:fetch("slow", 60, function() return "second" end, 0.05)
    returns({ nil, "ETIMEDOUT", n = 2 }, none, code)
    peers.tell(one)
    peers.finish(one)
    assert.equal("new", (d:get "slow"))
    assert.is_true(d:stat().evictions > 10000)
  end)

  it("keeps the old value while the new one is made", function()
    set_expired("slow", "old")
    local one = maker("slow", "return nil")
    for i = 1, 20000 do d:set("flood" .. i, ("x"):rep(100), i % 2 == 0 and 0.001 or 60) end
    d:flush_expired()
    returns({ "old", nil, true, n = 3 }, d:get_stale "slow")
    peers.tell(one)
    peers.finish(one)
    returns({ "old", nil, true, n = 3 }, d:get_stale "slow")
    d:flush_expired()
    assert.is_nil(d:get_stale "slow")
  end)

  it("evicts the task of a dead process", function()
    for i = 1, 50 do peers.kill(maker("task" .. i)) end
    local before = d:stat().entries
    assert.equal(50, before)
    for i = 1, 20000 do d:set("flood" .. i, ("x"):rep(100)) end
    d:flush_all()
    d:flush_expired()
    assert.equal(0, d:stat().entries)
  end)
end)

describe("fetches that wait for each other", function()
  -- Processes 1 to n: each makes a value, and within its generator fetches the value that the next one makes.
  local function in_a_cycle(n, dict_of)
    local all, ended, refused = {}, 0, 0
    for i = 1, n do
      all[i] = peers.hold(name, ([[
        local own, other = a:dict(%q, "64K"), a:dict(%q, "64K")
        local value, err = own:fetch("value %d", 60, function(key)
          say "makes" hear()
          local inner, message, code = other:fetch("value %d", 60, function() return "inner" end, 20)
          say(code or "got " .. inner)
          say(message or "")
          return key
        end)
        say(value)]]):format(dict_of(i), dict_of(i % n + 1), i, i % n + 1))
    end
    for i = 1, n do peers.tell(all[i]) end
    for i = 1, n do
      local said, message = all[i]:line(), all[i]:line()
      if said == "EDEADLK" then
        refused = refused + 1
        local next_one = i % n + 1
        assert.equal(('key "value %d" of dict "%s" of arena "%s": process %d makes the value, and waits for one that '
          .. "this thread makes; fetch keys in one order everywhere"):format(next_one, dict_of(next_one), name,
          all[next_one].pid), message)
      else
        assert.equal("got value " .. i % n + 1, said)
      end
      assert.equal("value " .. i, all[i]:line())
      peers.finish(all[i])
      ended = ended + 1
    end
    assert.equal(n, ended)
    assert.equal(1, refused)
  end

  for _, n in ipairs { 2, 3, 5 } do
    it("get EDEADLK, one of " .. n, function() in_a_cycle(n, function() return "same" end) end)
    it("get EDEADLK, one of " .. n .. " of several dicts", function()
      in_a_cycle(n, function(i) return "dict " .. i end)
    end)
  end

  it("do not get it where nobody waits for this one", function()
    local one = maker "a"
    local value = d:fetch("b", 60, function()
      peers.tell(one)
      return d:fetch("a", 60, print, 20)
    end)
    assert.equal("new", value)
    peers.finish(one)
  end)

  it("go on when one of them dies", function()
    local one = peers.hold(name, [[
      local d = a:dict("d", "256K")
      d:fetch("a", 60, function() say "makes" hear() return d:fetch("b", 60, print) end)]])
    local two = peers.hold(name, [[
      local d = a:dict("d", "256K")
      say(d:fetch("b", 60, function() say "makes" hear() return d:fetch("a", 60, function() return "own" end) end))]])
    peers.tell(one)
    peers.sleeps(one)
    peers.kill(one)
    peers.tell(two)
    assert.equal("own", two:line())
    peers.finish(two)
  end)

  it("name the key: also an integer, and one that cannot be printed", function()
    local function refuses(text, key)
      raises(text, d.fetch, d, key, 0, function() return d:fetch(key, 0, print) end)
    end
    refuses('key 7 of dict "d" of arena "' .. name .. '": the generator fetches the value that it is to make', 7)
    refuses('key "a%?b" of dict', "a\0b")
    refuses('key "' .. ("k"):rep(64) .. '..." of dict', ("k"):rep(100))
  end)
end)

describe("the old value", function()
  it("stays while the new one is made, and if that fails", function()
    for how, make in pairs {
      returned = function() return nil, "database down" end,
      raised = function() error "database down" end,
      unsuitable = function() return print end,
    } do
      set_expired(how, "old " .. how)
      pcall(d.fetch, d, how, 60, function(key)
        returns({ n = 1 }, d:get(key))
        returns({ "old " .. how, nil, true, n = 3 }, d:get_stale(key))
        return make()
      end)
      returns({ "old " .. how, nil, true, n = 3 }, d:get_stale(how))
    end
    set_expired("k", "old")
    peers.kill(maker "k")
    returns({ "old", nil, true, n = 3 }, d:get_stale "k")
    assert.equal("new", d:fetch("k", 60, function() return "new" end))
    returns({ "new", nil, false, n = 3 }, d:get_stale "k")
  end)

  it("is what others get with stale, and without they wait", function()
    set_expired("k", "old")
    local one = maker "k"
    returns({ "old", n = 1 }, d:fetch("k", 60, print, { stale = 100 }))
    returns({ "old", n = 1 }, d:fetch("k", 60, print, { stale = math.huge, timeout = 0 }))
    for _, options in ipairs { { stale = 1e-6, timeout = 0.01 }, { stale = 0, timeout = 0 }, { timeout = 0 }, 0 } do
      local none, _, code = d:fetch("k", 60, print, options)
      returns({ nil, "ETIMEDOUT", n = 2 }, none, code)
    end
    local waiter = peers.waiting(name, [[say "waits" say(a:dict("d", "256K"):fetch("k", 60, print))]])
    peers.tell(one)
    assert.equal("new", waiter:line())
    peers.finish(one)
    peers.finish(waiter)
    returns({ "new", n = 1 }, d:fetch("k", 60, print, { stale = 100 }))
  end)

  it("is made anew by the one who finds it expired, also with stale", function()
    set_expired("k", ("o"):rep(5000))
    assert.equal("new", d:fetch("k", 60, function(key)
      assert.equal(5000, #d:get_stale(key))
      return "new"
    end, { stale = 100 }))
    set_expired("large", ("o"):rep(5000))
    local one = maker "large"
    assert.equal(5000, #d:fetch("large", 60, print, { stale = 100 }))
    peers.tell(one)
    peers.finish(one)
  end)

  it("is never a list", function()
    d:rpush("k", 1)
    d:expire("k", 0.001)
    assert.is_true(process.await(function() return d:llen "k" == 0 end))
    local one = maker "k"
    assert.equal("ETIMEDOUT", (select(3, d:fetch("k", 60, print, { stale = 100, timeout = 0 }))))
    peers.tell(one)
    peers.finish(one)
    assert.equal("new", (d:get "k"))
  end)
end)

describe("while a value is made,", function()
  it("a set by another counts, and wakes waiters", function()
    set_expired("k", "old")
    local one = maker "k"
    local waiter = peers.waiting(name, [[say "waits" say(a:dict("d", "256K"):fetch("k", 60, print))]])
    d:set("k", "set meanwhile")
    assert.equal("set meanwhile", waiter:line())
    peers.finish(waiter)
    peers.tell(one)
    peers.finish(one)
    assert.equal("set meanwhile", (d:get "k"))
  end)

  it("delete and flush_all end the old value, and not the making", function()
    for _, what in ipairs { "delete", "flush_all" } do
      set_expired("k", "old")
      local one = maker "k"
      d[what](d, what == "delete" and "k" or nil)
      assert.equal("ETIMEDOUT", (select(3, d:fetch("k", 60, print, { stale = math.huge, timeout = 0 }))))
      peers.tell(one)
      peers.finish(one)
      assert.equal("new", (d:get "k"))
    end
  end)

  it("expire finds nothing, for the old value has expired", function()
    set_expired("k", "old")
    local one = maker "k"
    returns({ nil, "not found", n = 2 }, d:expire("k", 60))
    returns({ false, "not found", false, n = 3 }, d:replace("k", 1))
    peers.tell(one)
    peers.finish(one)
    assert.equal("new", (d:get "k"))
  end)

  it("get_keys, scan and pairs do not show the task", function()
    local one = maker "k"
    assert.same({}, d:get_keys(0))
    for _ in pairs(d) do error "there is no value" end
    peers.tell(one)
    peers.finish(one)
    assert.same({ "k" }, d:get_keys(0))
  end)
end)

describe("the generator's third value", function()
  it("is the time to live of this value", function()
    returns({ "v", n = 1 }, d:fetch("a", 60, function() return "v", nil, 500 end))
    assert.is_true(d:ttl "a" > 400)
    d:fetch("b", 60, function() return "v", "ignored", nil end)
    local left = d:ttl "b"
    assert.is_true(left > 30 and left <= 60)
    d:fetch("c", 60, function() return "v", nil, 0 end)
    assert.equal(0.0, d:ttl "c")
    d:fetch("d", 0, function() return "v", nil, 0.001 end)
    assert.is_true(process.await(function() return d:get "d" == nil end))
    returns({ "v", n = 1 }, d:fetch("e", nil, function() return "v", nil, 5 end))
  end)

  it("raises where it is no time, and the next one makes the value", function()
    for _, bad in ipairs { -1, 0 / 0, {}, "soon", false } do
      raises("the generator's third value is the seconds", d.fetch, d, "k", 0, function() return 1, nil, bad end)
    end
    assert.equal(2, d:fetch("k", 0, function() return 2 end))
  end)
end)

describe("the options of fetch", function()
  it("are checked", function()
    local function nothing() end
    raises("unknown option 'tiemout'; there are timeout, stale", d.fetch, d, "k", 0, nothing, { tiemout = 1 })
    raises("unknown option '1'", d.fetch, d, "k", 0, nothing, { 1 })
    raises("stale is a number of seconds, not negative", d.fetch, d, "k", 0, nothing, { stale = -1 })
    for _, field in ipairs { "stale", "timeout" } do
      for _, bad in ipairs { 0 / 0, "x", true, {} } do
        raises(field .. " is a number of seconds", d.fetch, d, "k", 0, nothing, { [field] = bad })
      end
    end
  end)
end)
