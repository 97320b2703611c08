-- gcstress_queues.lua: uses everything of channels, topics and services, in both modes of the collector. gcstress.c
-- runs it, with a collection at every allocation.
local shm = require "shm"

local SOON = 5 -- seconds; nothing here waits, but if it is broken

local function same(one, other)
  if type(one) ~= "table" then return one == other end
  for key, value in pairs(one) do
    if not same(value, other[key]) then return false end
  end
  return #one == #other
end

local large = ("x"):rep(5000) -- buffers of Lua's own get no second try
local values = { "text", ("long"):rep(300), 1, 1.5, true, false, { 1, "two", { three = { 3 } } }, {} }

local function use_channel(a)
  local c = assert(a:channel("c", 4096))
  for _, value in ipairs(values) do
    assert(c:send(value, SOON))
    assert(same(value, c:receive(SOON)))
  end
  assert(c:send_all(values, SOON) == #values and same(values, c:receive_all(nil, SOON)))
  local v = assert(c:reserve(20, "f64", SOON))
  v:fill(1.5)
  assert(c:commit(10) and not pcall(function() return v[1] end))
  local peeked, format = c:peek("f64", SOON)
  assert(format == "string" and peeked:sum() == 15 and c:release())
  assert(not pcall(c.send, c, { print }) and not pcall(c.send, c, large) and not pcall(c.commit, c))
  assert(select(3, c:receive(0)) == "EAGAIN" and c:stat().sent > 0 and tostring(c) and c:send "last" and c:finish())
  for value in c:messages() do assert(value == "last") end
  assert(select(3, a:channel("c", 8192)) == "EPROTOTYPE")
  local own = a:channel("own", 256, { exclusive = "both", spin = 0 })
  assert(own:send({ 1 }, SOON) and own:receive(SOON)[1] == 1)
  local long = assert(a:channel("long", 32768))
  for _, value in ipairs { large, { large } } do
    assert(long:send(value, SOON) and same(value, long:receive(SOON)))
  end
  return c, v, peeked
end

local function use_topic(a)
  local t = assert(a:topic("t", 1024))
  local s = assert(t:subscribe { from = "oldest", spin = 0 })
  for _, value in ipairs { "text", 1, { 1, { "two" } } } do
    assert(t:publish(value))
    local received, lost = s:receive(SOON)
    assert(same(value, received) and lost == 0)
  end
  for i = 1, 100 do t:publish { i } end
  local first, lost = s:receive(SOON)
  assert(first[1] == lost + 1 and t:stat().published == 103 and tostring(s) and t:finish())
  for value, more in s:messages() do first, lost = value, lost + more end
  assert(first[1] == 100 and select(4, s:receive(0)) == 0)
  return s
end

-- Calls, and serves the call from a hook that runs while it waits.
local function call(s, value, handler)
  local next_request, server = s:requests()
  debug.sethook(function()
    if debug.getinfo(2, "f").func == s.call then return end
    debug.sethook()
    handler(next_request(server))
  end, "c")
  return s:call(value, SOON)
end

local function use_service(a)
  local s = assert(a:service("s", 2048))
  for _, value in ipairs(values) do
    assert(same(value, call(s, value, function(request, reply) assert(reply(request)) end)))
  end
  local none, message, code = call(s, 1, function(_, reply) reply(nil, { 1 }) end)
  assert(none == nil and message:find "^table" and code == "EREMOTE")
  assert(select(3, s:call(1, 0)) == "ETIMEDOUT")
  return s
end

local function run(mode)
  collectgarbage(mode)
  stress(true) -- luacheck: ignore 113
  for round = 1, 3 do
    local a = assert(shm.arena(nil, "1M"))
    local c, v, peeked = use_channel(a)
    local subscription, service = use_topic(a), use_service(a)
    if round == 2 then a:close() end
    a = nil -- luacheck: ignore
    assert(not pcall(function() return v[1] end) and not pcall(function() return peeked[1] end))
    assert(pcall(c.stat, c) == (round ~= 2) and pcall(subscription.receive, subscription, 0) == (round ~= 2))
    assert(pcall(service.finish, service) == (round ~= 2))
  end
  stress(false) -- luacheck: ignore 113
end

-- A stack that has to grow gets no second try: so it is large before, and stays so below many values.
local function grow(depth) return depth == 0 and 0 or 1 + grow(depth - 1) end

local function run_below(mode, ...)
  assert(grow(200) == 200)
  run(mode)
  return ...
end

for _, mode in ipairs { "generational", "incremental" } do run_below(mode, table.unpack({}, 1, 250)) end
