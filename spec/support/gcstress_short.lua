-- gcstress_short.lua: whatever gives out messages, requests and elements, with memory for so many requests and no more:
-- for every number of them, until there is enough. What fails has taken nothing. gcstress.c runs it.
local shm = require "shm"
local starve = starve -- luacheck: ignore 113

local name = "/shm_spec_short"
local arena <close> = assert(shm.arena(name, "32M", { owned = true }))

local function same(one, other)
  if type(one) ~= "table" then return one == other end
  for key, value in pairs(one) do
    if not same(value, other[key]) then return false end
  end
  return #one == #other
end

local values = { "short", ("interned?"):rep(20), ("straight"):rep(1000), ("long"):rep(50000), 7, 1.5, true,
  { 1, "two", { three = { 3.5 } } }, { ("x"):rep(300), { ("y"):rep(2000) } }, {} }

-- Calls f with ever more memory, until it returns something. Each time that it raises, what `count` counts must be as
-- before. How often it raised.
local function until_it_works(what, count, f, ...)
  local before = count()
  for failures = 0, 10000 do
    local results = table.pack(starve(failures, f, ...))
    if results[1] then return failures, table.unpack(results, 2, results.n) end
    assert(results[2] == "not enough memory", what .. ": " .. tostring(results[2]))
    assert(count() == before, ("%s: after %d requests for memory, %d were left of %d"):format(what, failures, count(),
      before))
  end
  error(what .. " never works")
end

local raised = 0
local function expect(what, expected, count, f, ...)
  local results = table.pack(until_it_works(what, count, f, ...))
  assert(same(expected, results[2]), what .. " gave out something else")
  raised = raised + results[1]
  return table.unpack(results, 3, results.n)
end

-- What receive_all receives at once: of long messages, one.
local function several_of(value)
  return type(value) == "string" and #value > 16384 and { value } or { value, value }
end

local function use_channel(options)
  local c = assert(arena:channel(options and "own" or "c", "1M", options))
  local function left() return c:stat().sent - c:stat().received end
  for i, value in ipairs(values) do
    local what = ("message %d"):format(i)
    for _, how in ipairs { "receive", "messages" } do
      assert(c:send_all { value, "next" })
      expect(what, value, left, how == "receive" and c.receive or (c:messages()), c, 0)
      assert(left() == 1 and c:receive(0) == "next")
    end
    local several = several_of(value)
    assert(c:send_all(several) and c:send "next")
    expect(what, several, left, c.receive_all, c, #several, 0)
    assert(left() == 1 and c:receive(0) == "next")
  end
  -- What is peeked at or reserved when memory ends is nobody's afterwards.
  assert(c:send "ab")
  local _, view = until_it_works("peek", left, c.peek, c, "u8", 0)
  assert(view[1] == 97 and #view == 2 and c:release() and left() == 0)
  local failures
  failures, view = until_it_works("reserve", left, c.reserve, c, 3, "u8", 0)
  view:fill(65)
  assert(failures > 0 and c:commit() and c:receive(0) == "AAA")
  assert(not pcall(c.release, c) and not pcall(c.commit, c))
  -- What is sent when memory ends is not sent, or whole.
  for i, value in ipairs(values) do
    local several = several_of(value)
    until_it_works(("sending %d"):format(i), left, c.send, c, value, 0)
    assert(same(value, c:receive(0)))
    until_it_works(("sending all, %d"):format(i), left, c.send_all, c, several, 0)
    assert(same(several, c:receive_all()))
  end
end

-- Messages that have no value are taken out when that is said, and not before.
local function use_what_is_foreign()
  local c = assert(arena:channel("foreign", 1024))
  local function left() return c:stat().sent - c:stat().received end
  for first, code in pairs { [0xc0] = "EPROTO", [0xc1] = "EBADMSG" } do
    for _, how in ipairs { "receive", "receive_all" } do
      local peer = assert(shm.arena(name))
      assert(c:send(1))
      peer:channel("foreign", 1024):peek():fill(first)
      peer:close() -- it was not released
      local failures, none, _, found = until_it_works(code, left, c[how], c, nil)
      assert(failures > 0 and none == nil and found == code and left() == 0)
    end
  end
end

local function use_topic()
  local t = assert(arena:topic("t", "1M"))
  local s = assert(t:subscribe())
  local received = 0
  local function never_moves() return 0 end -- nobody but the subscription knows where it is
  for i, value in ipairs(values) do
    local what = ("published %d"):format(i)
    for _, how in ipairs { "receive", "messages" } do
      assert(t:publish(value) and t:publish "next")
      assert(expect(what, value, never_moves, how == "receive" and s.receive or (s:messages()), s, 0) == 0)
      local following, lost = s:receive(0)
      assert(following == "next" and lost == 0)
      received = received + 2
    end
  end
  assert(t:stat().published == received)
end

-- Calls, and serves from a hook that runs while the call waits.
local function use_service()
  local s = assert(arena:service("s", "256K"))
  for i, value in ipairs(values) do
    local next_request, server = s:requests()
    local what = ("request %d"):format(i)
    debug.sethook(function()
      if debug.getinfo(2, "f").func == s.call then return end
      debug.sethook()
      local failures, request, reply = until_it_works(what, function() return 0 end, next_request, server)
      raised = raised + failures
      assert(same(value, request) and reply(request))
    end, "c")
    assert(same(value, (assert(s:call(value, 5)))))
  end
end

local function use_list()
  local d = assert(arena:dict("d", "2M"))
  for i, value in ipairs(values) do
    for _, pop in ipairs { "lpop", "rpop" } do
      assert(d:rpush("l", pop == "lpop" and value or "next"))
      assert(d:rpush("l", pop == "lpop" and "next" or value))
      expect(("%s %d"):format(pop, i), value, function() return d:llen "l" end, d[pop], d, "l")
      assert(d:llen "l" == 1 and d[pop](d, "l") == "next")
    end
    until_it_works(("set %d"):format(i), function() return #d:get_keys() end, d.set, d, "k", value)
    assert(same(value, d:get "k") and d:delete "k")
  end
end

use_channel()
use_channel { exclusive = "both" }
use_what_is_foreign()
use_topic()
use_service()
use_list()
assert(raised > 100, raised)
