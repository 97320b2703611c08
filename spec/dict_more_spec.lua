-- dict_more_spec.lua: what dicts have beyond ngx.shared.DICT: cas, update, fetch, many at once, scans.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

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

local stored = table.pack(true, nil, false)
local changed = table.pack(false, "changed", false)

describe("cas", function()
  it("stores if what is there is what was expected", function()
    for _, values in ipairs { { 1, 2 }, { "a", "b" }, { true, false }, { 1.5, "x" }, { { 1, { x = 2 } }, { 3 } } } do
      local old, new = values[1], values[2]
      returns(changed, d:cas("k", old, new))
      returns(stored, d:cas("k", nil, old))
      returns(changed, d:cas("k", nil, new))
      returns(changed, d:cas("k", new, old))
      returns(stored, d:cas("k", old, new))
      assert.same(new, (d:get "k"))
      returns(stored, d:cas("k", new, nil))
      returns(stored, d:cas("k", nil, nil))
      returns({ n = 1 }, d:get "k")
    end
    d:set("k", 1)
    returns(changed, d:cas("k", 1.0, 2)) -- another kind of number
  end)

  it("compares tables by what is in them, in whatever order they were made", function()
    local one, other = {}, {}
    for i = 1, 50 do one["k" .. i] = { i } end
    for i = 50, 1, -1 do other["k" .. i] = { i } end
    d:set("k", one)
    returns(stored, d:cas("k", other, { 1 }))
    for _, wrong in ipairs { {}, { 2 }, { 1, 2 }, { { 1 } }, { x = 1 } } do returns(changed, d:cas("k", wrong, 0)) end
    returns(stored, d:cas("k", { 1 }, { {}, "x" }))
    returns(changed, d:cas("k", { {}, { "x" } }, 0))
    returns(stored, d:cas("k", { {}, "x" }, 0))
  end)

  it("finds a NaN equal to a NaN, whatever its bits, on its own and within tables", function()
    local quiet, negative = 0 / 0, -(0 / 0)
    local payload = ("d"):unpack(("I8"):pack(0x7ff8000000000123))
    for _, old in ipairs { quiet, negative, payload } do
      for _, expected in ipairs { quiet, negative, payload } do
        d:set("k", old)
        returns(stored, d:cas("k", expected, 1))
        d:set("t", { mean = old, list = { { 1, old } } })
        returns(changed, d:cas("t", { mean = 1, list = { { 1, expected } } }, 1))
        returns(changed, d:cas("t", { mean = expected, list = { { 1, 2 } } }, 1))
        returns(stored, d:cas("t", { mean = expected, list = { { 1, expected } } }, 1))
      end
      d:set("t", { old })
      returns(stored, d:cas("t", d:get "t", 1)) -- what was just read
    end
    d:set("k", 1)
    returns(changed, d:cas("k", quiet, 2))
    returns(changed, d:cas("none", quiet, 2))
    d:set("k", quiet)
    returns(changed, d:cas("k", 1, 2))
    d:set("k", 0.0)
    returns(changed, d:cas("k", -0.0, 1)) -- two numbers, as bytes
    returns(stored, d:cas("k", 0.0, { 0.0 }))
    returns(stored, d:cas("k", { -0.0 }, 1)) -- in tables, as Lua compares them
  end)

  it("keeps the time to live, unless another is given; sets flags", function()
    d:set("k", 1, 100, 5)
    d:cas("k", 1, 2)
    assert.is_true(d:ttl "k" > 50)
    returns({ 2, n = 1 }, d:get "k")
    d:cas("k", 2, 3, 0, 6)
    assert.equal(0.0, d:ttl "k")
    returns({ 3, 6, n = 2 }, d:get "k")
    d:cas("k", 3, 4, 0.001)
    assert.is_true(process.await(function() return d:get "k" == nil end))
  end)
end)

describe("update", function()
  it("stores what a function makes of a value", function()
    local function seen_plus(by)
      return function(value) return (value or 100) + by end
    end
    returns({ 101, nil, false, n = 3 }, d:update("n", seen_plus(1)))
    returns({ 103, nil, false, n = 3 }, d:update("n", seen_plus(2)))
    returns({ nil, nil, false, n = 3 }, d:update("n", function() end))
    returns({ n = 1 }, d:get "n")
    returns({ nil, nil, false, n = 3 }, d:update("n", function() end))
    d:set("t", { list = {} }, 100, 3)
    d:update("t", function(t) t.list[1] = "x" return t end)
    returns({ { list = { "x" } }, 3, n = 2 }, d:get "t")
    assert.is_true(d:ttl "t" > 50)
    d:update("t", function(t) return t end, 0)
    assert.equal(0.0, d:ttl "t")
    raises("not today", d.update, d, "t", function() error "not today" end)
    raises("no message carries", d.update, d, "t", function() return print end)
    returns({ nil, "no memory", n = 2 }, d:update("t", function() return ("x"):rep(1 << 19) end))
    returns({ { list = { "x" } }, 3, n = 2 }, d:get "t")
  end)

  it("calls it again where another was first, also with what is large", function()
    local calls = 0
    d:set("s", ("x"):rep(3000))
    local result = d:update("s", function(value)
      calls = calls + 1
      if calls < 3 then d:set("s", value .. "y") end
      return value .. "!"
    end)
    assert.same({ 3, 3003 }, { calls, #result })
    assert.equal(result, (d:get "s"))
  end)

  it("loses nothing between processes", function()
    local chunk = [[
      local d = a:dict("d", "1M")
      for i = 1, 300 do
        assert(d:update("t", function(t) t = t or { n = 0 } t.n = t.n + 1 return t end))
        assert(d:update("big", function(s) return (s or "") .. "0123456789" end))
      end]]
    local all = {}
    for i = 1, 4 do all[i] = peers.start(name, chunk) end
    for i = 1, 4 do peers.finish(all[i]) end
    assert.same({ n = 1200 }, (d:get "t"))
    assert.equal(12000, #d:get "big")
  end)
end)

describe("fetch", function()
  it("makes what is not there, once", function()
    local calls = 0
    local function make(key) calls = calls + 1 return { key, calls } end
    returns({ { "k", 1 }, n = 1 }, d:fetch("k", 0.02, make))
    returns({ { "k", 1 }, n = 1 }, d:fetch("k", 0.02, make))
    assert.is_true(process.await(function() return d:get "k" == nil end))
    returns({ { "k", 2 }, n = 1 }, d:fetch("k", 0, make))
    assert.equal(0.0, d:ttl "k")
    for i, value in ipairs { "", 1, 2.5, false, ("x"):rep(5000) } do
      returns({ value, n = 1 }, d:fetch(i, nil, function() return value end))
      returns({ value, n = 1 }, d:fetch(i, nil, error))
    end
  end)

  it("stores nothing where the generator says nil or raises, and the next one makes it", function()
    returns({ nil, "why", 3, n = 3 }, d:fetch("k", 0, function() return nil, "why", 3 end))
    returns({ n = 1 }, d:fetch("k", 0, function() end))
    raises("broken", d.fetch, d, "k", 0, function() error "broken" end)
    raises("no message carries", d.fetch, d, "k", 0, function() return { print } end)
    raises("attempt to yield", coroutine.wrap(function() d:fetch("k", 0, coroutine.yield) end))
    returns({ 1, n = 1 }, d:fetch("k", 0, function() return 1 end))
  end)

  it("returns what cannot be kept, too", function()
    local large = ("x"):rep(1 << 19)
    returns({ large, "no memory", n = 2 }, d:fetch("k", 0, function() return large end))
    assert.is_nil((d:get "k"))
  end)

  it("returns what another has stored meanwhile, which stays", function()
    returns({ "other", n = 1 }, d:fetch("k", 0, function() d:set("k", "other") return 1 end))
    returns({ "other", n = 1 }, d:get "k")
  end)

  it("within its own generator raises; of other keys it works", function()
    raises("the generator fetches the value that it is to make", d.fetch, d, "k", 0,
      function() return d:fetch("k", 0, print) end)
    assert.equal("ab", d:fetch("a", 0, function() return "a" .. d:fetch("b", 0, function() return "b" end) end))
    assert.equal("b", (d:get "b"))
  end)

  it("has one generation while others wait, who get its value", function()
    local chunk = [[
      local d = a:dict("d", "1M")
      say "ready" hear()
      say(d:fetch("slow", 0, function()
        d:incr("calls", 1, 0)
        require "luv".sleep(100)
        return "value"
      end))]]
    local all = {}
    for i = 1, 4 do all[i] = peers.hold(name, chunk) end
    for i = 1, 4 do peers.tell(all[i]) end
    for i = 1, 4 do
      assert.equal("value", all[i]:line())
      peers.finish(all[i])
    end
    assert.equal(1, (d:get "calls"))
  end)

  it("goes on when the one who makes the value dies, raises or gives up", function()
    local ends = { killed = "require 'luv'.sleep(20000)", raised = "hear() error 'x'", refused = "hear() return nil",
      closed = "hear() a:close() return 1" }
    for how, text in pairs(ends) do
      local maker = peers.hold(name, [[
        local d = a:dict("d", "1M")
        pcall(d.fetch, d, "]] .. how .. [[", 0, function() say "makes" ]] .. text .. [[ end)
        say "over" hear()]])
      local waiter = peers.waiting(name, [[
        say "waits"
        say(a:dict("d", "1M"):fetch("]] .. how .. [[", 0, function() return "second" end))]])
      if how == "killed" then peers.kill(maker) else peers.tell(maker) end
      assert.equal("second", waiter:line(5), how)
      peers.finish(waiter)
      if how ~= "killed" then peers.finish(maker) end
    end
  end)

  it("waits no longer than it is told to, and serves Ctrl-C meanwhile", function()
    local maker = peers.hold(name, [[
      a:dict("d", "1M"):fetch("k", 0, function() say "makes" hear() return "made" end)]])
    local took, none, message, code = peers.timed(d.fetch, d, "k", 0, print, 0.1)
    assert.is_nil(none)
    assert.equal(('key "k" of dict "d" of arena "%s" timed out: process %d is still making the value; '
      .. 'try again, or allow more time'):format(name, maker.pid), message)
    assert.equal("ETIMEDOUT", code)
    assert.is_true(took >= 0.1 and took < 3)
    assert.equal("ETIMEDOUT", select(3, d:fetch("k", 0, print, 0)))
    local waiter = peers.waiting(name, [[say "waits" a:dict("d", "1M"):fetch("k", 0, print)]])
    waiter:kill "sigint"
    waiter:wait()
    assert.matches("interrupted!", waiter.err)
    returns({ n = 1 }, d:get "k") -- the task is no value
    returns(stored, d:delete "k")
    peers.tell(maker)
    peers.finish(maker)
    assert.equal("made", (d:get "k"))
  end)
end)

describe("many at once", function()
  it("are got and set", function()
    returns({ {}, n = 1 }, d:get_all { "none" })
    returns(stored, d:set_all {})
    returns(stored, d:set_all({ a = 1, b = { 2 }, [3] = "three" }, 100, 9))
    assert.same({ a = 1, b = { 2 }, [3] = "three" }, d:get_all { "a", "b", 3, "none", "3" })
    assert.is_true(d:ttl "b" > 50)
    returns({ 1, 9, n = 2 }, d:get "a")
    returns({ false, "no memory", false, n = 3 }, d:set_all { large = ("x"):rep(1 << 20) })
    d:set_all({ a = ("y"):rep(3000) }, 0.001)
    assert.is_true(process.await(function() return d:get_all({ "a" }).a == nil end))
  end)

  it("are walked through with pairs and scan", function()
    for _ in pairs(d) do error "there is nothing" end
    local expected = {}
    for i = 1, 1000 do
      local key, value = i % 3 == 0 and i or "k" .. i, i % 7 == 0 and ("x"):rep(i * 10) or { i }
      expected[key] = value
      d:set(key, value)
    end
    d:set("gone", 1, 0.001)
    d:rpush("list", "a")
    d:rpush("list", { "b" })
    expected.list = { "a", { "b" } }
    assert.is_true(process.await(function() return d:get "gone" == nil end))
    local found = {}
    for key, value in pairs(d) do
      assert.is_nil(found[key])
      found[key] = value
    end
    assert.same(expected, found)
    for _, n in ipairs { 1, 10, 5000, false } do
      found = {}
      local cursor, steps = 0, 0
      repeat
        local entries
        cursor, entries = d:scan(cursor, n or nil)
        for key, value in pairs(entries) do
          assert.is_nil(found[key])
          found[key] = value
        end
        steps = steps + 1
      until cursor == 0
      assert.same(expected, found)
      assert.is_true(n == 5000 and steps == 1 or n ~= 5000 and steps > 1)
    end
  end)

  it("are seen once if they were there throughout, whatever others do meanwhile", function()
    for i = 1, 500 do d:set("stays" .. i, i) end
    local writer = peers.hold(name, [[
      local d, i = a:dict("d", "1M"), 0
      while not d:get "stop" do
        i = i + 1
        d:set("comes" .. i % 300, ("x"):rep(i % 1000))
        d:delete("comes" .. (i + 150) % 300)
        if i == 300 then say "writes" end
      end]])
    for _ = 1, 20 do
      local seen = {}
      for key, value in pairs(d) do
        if type(value) == "number" then
          assert.is_nil(seen[value], key)
          seen[value] = true
        end
      end
      assert.equal(500, #seen)
    end
    d:set("stop", true)
    peers.finish(writer)
  end)
end)

describe("a dict", function()
  it("is there for a forked child, too", function()
    d:set("k", 1)
    assert.equal(0, lowlevel.child(function()
      return d:get "k" == 1 and d:incr("k", 1) == 2 and d:fetch("f", 0, function() return "child" end) == "child"
    end))
    assert.same({ 2, "child" }, { d:get "k", (d:get "f") })
  end)

  it("counts exactly what four processes count in it", function()
    local chunk = [[
      local d = a:dict("d", "1M")
      for i = 1, 20000 do assert(d:incr("n" .. i % 4, 1, 0)) end
      for i = 1, 1000 do assert(d:rpush("list", i)) end]]
    local all = {}
    for i = 1, 4 do all[i] = peers.start(name, chunk) end
    for i = 1, 4 do peers.finish(all[i]) end
    for i = 0, 3 do assert.equal(20000, (d:get("n" .. i))) end
    assert.equal(4000, d:llen "list")
  end)

  it("is a C host's, too", function()
    local host = process.build .. "/spec/host_dict"
    d:set_all { text = "from Lua", number = 41, real = 0.5, [12] = "integer key" }
    d:set("flag", true, 0, 7)
    local result = process.run(host, { name, tostring(1 << 20) })
    assert.same({ 0, "" }, { result.code, result.err })
    assert.equal("text 8 bytes, tag 0, flags 0: from Lua\nflag 1 bytes, tag 1, flags 7: \xc3\n" ..
      "12 11 bytes, tag 0, flags 0: integer key\nnumber 42\nreal 1.0\n", result.out)
    assert.same({ 42, 1.0, "from C", 2 ^ 40 | 0 }, { d:get "number", d:get "real", d:get "answer", (d:get(-12)) })
    assert.same({ "first", "last" }, { d:lpop "list", d:lpop "list" })
    assert.same({ { 1, "two" }, 9 }, { d:get "table" })
    local none, message, code = d:get "unknown"
    assert.same({ nil, "EPROTO" }, { none, code })
    assert.matches('^dict "d" of arena .* holds bytes with the tag 5; Lua knows 0 %(bytes%), 1 %(Mess', message)
    assert.equal("EPROTO", select(3, d:update("unknown", print)))
    assert.equal("EPROTO", select(3, d:fetch("unknown", 0, print)))
    assert.equal("EPROTO", select(3, d:get_all { "unknown" }))
    assert.equal("EPROTO", select(3, d:scan(0, 100)))
    raises('dict "d" of arena .* holds bytes with the tag 5;', function() for _ in pairs(d) do end end)
  end)
end)
