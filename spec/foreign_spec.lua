-- foreign_spec.lua: messages that Lua has no value for: with another program's tag, or with what is not Lua's.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"

local name = "/shm_spec_foreign"
local extension <const> = "\xd4\xff\7" -- of type -1
local nothing <const> = "holds a MessagePack extension %(type %-1%), which has no Lua value$"
local tagged <const> = "holds bytes with the tag 9; Lua knows 0 %(bytes%), 1 %(MessagePack%), 126 and 127 %(numbers%)$"

local raises, refused = outcome.raises, outcome.refused

local arena, bytes
before_each(function()
  arena = assert(shm.arena(name, "2M", { owned = true }))
  bytes = assert(shm.attach(name))
end)
after_each(function()
  bytes:close()
  arena:close()
end)

-- Writes over what stands in the memory, and gives it this tag, if any, `before` which bytes it stands.
local function replace(old, new, tag, before)
  local at = assert(bytes:read():find(old, 1, true)) - 1
  if new then bytes:write(new, at) end
  if tag then bytes:write(("<I4"):pack(tag), at - before) end
end

-- A message of three bytes as MessagePack, to be replaced.
local mark <const>, marked <const> = { 88, 99 }, "\x92\x58\x63"

describe("a channel with a message that Lua has no value for", function()
  local c
  local what = '^channel "c" of arena "/shm_spec_foreign" '
  before_each(function() c = assert(arena:channel("c", 1024)) end)

  it("says EPROTO and what it is, and goes on behind it", function()
    c:send_all { mark, "between", mark, "after" }
    replace(marked, extension)
    replace(marked, nil, 9, 4)
    refused(what .. nothing, "EPROTO", c:receive(0))
    assert.equal("between", c:receive(0))
    refused(what .. tagged, "EPROTO", c:receive(0))
    assert.equal("after", c:receive(0))
    refused("is empty$", "EAGAIN", c:receive(0))
  end)

  it("leaves it out of receive_all, which says how many there were, and what it is if all are such", function()
    c:send_all { mark, "one", mark, "two" }
    replace(marked, extension)
    replace(marked, "\xc1") -- damaged
    assert.same({ { "one", "two" }, 2 }, { c:receive_all() })
    for tag, expected in pairs { [9] = tagged, [1] = nothing } do
      c:send_all { mark, mark }
      replace(marked, "\xc1")
      replace(marked, extension, tag, 4)
      refused(what .. expected, "EPROTO", c:receive_all())
    end
    refused("is empty$", "EAGAIN", c:receive(0))
  end)

  it("ends the loop of messages() by an error, behind it", function()
    c:send_all { "before", mark, "after" }
    replace(marked, extension)
    c:finish()
    local seen = {}
    raises(nothing, function() for value in c:messages() do seen[#seen + 1] = value end end)
    for value in c:messages() do seen[#seen + 1] = value end
    assert.same({ "before", "after" }, seen)
  end)

  it("lets it be peeked at, with its tag, and released", function()
    c:send_all { mark, "string", { 1 } }
    replace(marked, nil, 9, 4)
    for _, expected in ipairs { 9, "string", "msgpack" } do
      local _, format = c:peek(nil, 0)
      assert.equal(expected, format)
      c:release()
    end
  end)

  it("has numbers by their tags", function()
    for tag, expected in pairs { [126] = { "i8", -7 }, [127] = { "d", 2.5 } } do
      c:send("bytes" .. tag)
      replace("bytes" .. tag, ("<" .. expected[1]):pack(expected[2]), tag, 4)
      local got = c:receive(0)
      assert.equal(expected[2], got)
      assert.equal(math.type(expected[2]), math.type(got))
      c:send("four" .. tag)
      replace("four" .. tag, nil, tag, 4)
      refused("is damaged", "EBADMSG", c:receive(0))
    end
  end)
end)

describe("a topic with a message that Lua has no value for", function()
  it("says EPROTO and what it is to each subscriber, and goes on behind it", function()
    local t = assert(arena:topic("t", 1024))
    local s, other = assert(t:subscribe()), assert(t:subscribe())
    local what = '^topic "t" of arena "/shm_spec_foreign" '
    for _, value in ipairs { mark, mark, "after" } do t:publish(value) end
    replace(marked, extension)
    replace(marked, nil, 9, 12)
    refused(what .. nothing, "EPROTO", s:receive(0))
    refused(what .. tagged, "EPROTO", s:receive(0))
    assert.same({ "after", 0 }, { s:receive(0) })
    for _ = 1, 2 do raises("holds", (other:messages()), other) end
    assert.same({ "after", 0 }, { other:receive(0) })
  end)

  it("says how many were lost before it", function()
    local t = assert(arena:topic("t", 1024))
    local s = assert(t:subscribe())
    for _ = 1, 100 do t:publish(mark) end
    local count = select(2, bytes:read():gsub(marked, ""))
    for _ = 1, count do replace(marked, extension) end
    local none, message, code, lost = s:receive(0)
    refused(nothing, "EPROTO", none, message, code)
    assert.is_true(lost > 0 and lost < 100)
  end)
end)

describe("a list with an element that Lua has no value for", function()
  it("gives it out as EPROTO, once", function()
    local d = assert(arena:dict("d", "64K"))
    d:rpush("l", mark)
    d:rpush("l", "next")
    replace(marked, extension)
    refused('^dict "d" of arena "/shm_spec_foreign" ' .. nothing, "EPROTO", d:lpop "l")
    assert.equal("next", d:lpop "l")
    assert.equal(0, d:llen "l")
  end)
end)

describe("a service with a message that Lua has no value for", function()
  local s
  before_each(function() s = assert(arena:service "s") end)

  -- A caller that waits in s:call(value), and says what it got.
  local function calling(value)
    return peers.waiting(name, ("say 'calls' say(a:service('s'):call(%s, 20))"):format(value))
  end

  -- Replies `served` to each that the loop has, until the service is finished.
  local function serve_all()
    local requests = {}
    s:finish()
    for request, reply in s:requests() do
      requests[#requests + 1] = request
      assert.is_true(reply "served")
    end
    return requests
  end

  it("answers its caller with EREMOTE, and goes on", function()
    local what = "^nil\tthe request "
    local callers, expected = {}, { { extension, nil, what .. nothing:sub(1, -2) .. "\tEREMOTE$" },
      { nil, 9, what .. tagged:sub(1, -2) .. "\tEREMOTE$" }, { "\xc1", nil, what .. "is damaged\tEREMOTE$" } }
    for i, case in ipairs(expected) do
      callers[i] = calling "{ 88, 99 }"
      replace(marked, case[1], case[2], 20)
      if case[2] then replace(marked, "\0\0\0") end -- so that the next is found
    end
    callers[4] = calling "'sound'"
    assert.same({ "sound" }, serve_all())
    for i, case in ipairs(expected) do assert.matches(case[3], callers[i]:line(5)) end
    assert.equal("served", callers[4]:line(5))
    for i = 1, 4 do peers.finish(callers[i]) end
  end)

  it("says EPROTO to a caller where it is the reply", function()
    local caller = calling "'x'"
    peers.stop(caller)
    local next_request, server = s:requests()
    local _, reply = next_request(server)
    assert.is_true(reply(mark))
    replace(marked, extension)
    caller:kill "sigcont"
    local expected = '^nil\tservice "s" of arena "/shm_spec_foreign" ' .. nothing:sub(1, -2) .. "\tEPROTO$"
    assert.matches(expected, caller:line(5))
    peers.finish(caller)
  end)
end)

describe("an error that leaves the loop of a server", function()
  it("is the caller's without the traceback that a handler adds", function()
    local s = assert(arena:service "s")
    for how, expected in pairs {
      ["error 'broke'"] = "^%(command line%):%d+: broke$",
      ["error({ code = 7 })"] = "table",
      ["error(setmetatable({}, { __tostring = function() return 'as text' end }))"] = "as text",
      ["local x = nil + 1"] = "^%(command line%):%d+: attempt to perform arithmetic on a nil value$" } do
      for _, run in ipairs { "serve()", "print(xpcall(serve, debug.traceback))" } do
        local server = peers.waiting(name, ([[
          local function serve()
            say "serves"
            for _ in a:service("s"):requests() do %s end
          end
          %s]]):format(how, run))
        refused(expected, "EREMOTE", s:call("x", 20))
        server:wait()
        local traceback = (server.out .. server.err):find("stack traceback:", 1, true)
        assert.is_truthy(traceback or how:find("{", 1, true), server.err) -- the server has it
      end
    end
  end)
end)
