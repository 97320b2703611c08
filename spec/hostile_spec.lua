-- hostile_spec.lua: channels, topics and services in whose memory a peer writes: errors or wrong values, and no more.
local shm = require "shm"
local peers = require "spec.support.peers"

local name = "/shm_spec_hostile"

-- Words, from 1, of a channel's and of a topic's memory.
local TAIL, HEAD, RING = 9, 25, 41
local TOPIC_TAIL, FLOOR, TOPIC_RING = 9, 17, 33

local function refused(code, ...)
  local value, message, found = ...
  assert.is_nil(value)
  assert.matches("is damaged", message)
  assert.equal(code, found)
end

local arena, segment
before_each(function()
  arena = assert(shm.arena(name, "4M", { owned = true }))
  segment = assert(shm.attach(name))
end)
after_each(function()
  segment:detach()
  arena:close()
end)

-- The memory of the arena's only object, as words.
local function words_of(count)
  return segment:view("u64", segment:view("u64", 256 + 16, 1)[1], count)
end

local function restore(words, saved)
  for i, word in ipairs(saved) do words[i] = word end
end

-- Each is {word, value}; the first message is 3 bytes long.
local lies = {
  { TAIL, 4 }, { TAIL, 1032 }, { TAIL, -8 }, { TAIL, math.mininteger }, { TAIL, math.maxinteger },
  { HEAD, 4 }, { HEAD, 40 }, { HEAD, -2048 }, { RING, 32 }, { RING, 2000 }, { RING, 0x7fffffff },
  { RING, 0xffffffff }, { RING, -1 }, { RING, math.mininteger }, { RING, math.mininteger | 24 },
}

describe("a channel that a peer has damaged", function()
  it("says EBADMSG, however one receives, and goes on when it is mended", function()
    local c = assert(arena:channel("c", 1024))
    local words = words_of(40 + 1024 // 8)
    assert(c:send_all { "one", "two" })
    local saved = words:totable()
    for _, lie in ipairs(lies) do
      local again <close> = assert(shm.arena(name)) -- a handle believes what it has seen once
      c = assert(again:channel("c", 1024))
      words[lie[1]] = lie[2]
      for _ = 1, 2 do
        refused("EBADMSG", c:receive(0))
        refused("EBADMSG", c:receive_all(nil, 0))
        refused("EBADMSG", c:peek(nil, 0))
        local done, message = pcall(c:messages(), c)
        assert.is_false(done)
        assert.matches("is damaged", message)
      end
      assert.is_true(c:stat().used <= 1024)
      restore(words, saved)
      assert.equal("one", (c:messages()(c)))
      restore(words, saved)
      assert.same({ "one", "two" }, c:receive_all(nil, 0))
      restore(words, saved)
    end
  end)

  it("takes and gives no more than it has, whatever stands there", function()
    local c = assert(arena:channel("c", 256))
    local words = words_of(40 + 256 // 8)
    local saved = words:totable()
    local seed = tonumber(os.getenv "SHM_SEED") or os.time()
    math.randomseed(seed)
    local function then_do(call, view, ...)
      if not view then return view, ... end
      return call(c)
    end
    local calls = {
      function() return c:send(("x"):rep(math.random(0, 100)), 0) end,
      function() return c:send_all({ "a", 1, { 2 } }, 0) end,
      function() return c:receive(0) end,
      function() return c:receive_all(nil, 0) end,
      function() return then_do(c.release, c:peek(nil, 0)) end,
      function() return then_do(c.commit, c:reserve(math.random(0, 100), nil, 0)) end,
      function() return c:stat() end,
    }
    local codes = { EBADMSG = true, EAGAIN = true, EBUSY = true, EDEADLK = true, EPIPE = true, ETIMEDOUT = true }
    for round = 1, 3000 do
      if round % 5 == 0 then restore(words, saved) end
      local at = ({ TAIL, HEAD, math.random(RING, RING + 31) })[math.random(3)]
      local small = 8 * math.random(0, 40)
      words[at] = ({ small, -8, math.mininteger | small, math.random(0) })[math.random(4)]
      local value, _, code = calls[math.random(#calls)]()
      assert.is_true(value ~= nil or codes[code], ("SHM_SEED=%d round %d: %s"):format(seed, round, code))
    end
  end)
end)

describe("a topic that a peer has damaged", function()
  it("says EBADMSG, and goes on when it is mended", function()
    local t = assert(arena:topic("t", 1024))
    local words = words_of(32 + 1024 // 8)
    local s = assert(t:subscribe { from = "oldest" })
    assert(t:publish "one")
    local saved = words:totable()
    for _, lie in ipairs { { TOPIC_TAIL, 8 }, { TOPIC_TAIL, 2048 }, { TOPIC_TAIL, -16 }, { TOPIC_RING, 64 },
      { TOPIC_RING, 0xffffffff }, { TOPIC_RING, -1 } } do
      words[lie[1]] = lie[2]
      for _ = 1, 2 do refused("EBADMSG", s:receive(0)) end
      restore(words, saved)
    end
    assert.same({ "one", 0 }, { s:receive(0) })
    words[FLOOR] = math.mininteger
    assert(t:publish "two")
    assert.equal("two", s:receive(0))
  end)
end)

-- Another process makes the message longer all the time, from what needs a buffer of its own.
local function while_it_grows(offset, receive)
  local peer = peers.hold(name, ([[
    local head = assert(shm.attach(%q)):view("u64", %d, 1)
    say "growing"
    while os.clock() < 20 do
      for length = 1032, 2000000, 8 do head[1] = length end
    end
  ]]):format(name, offset))
  local seconds = os.clock() + 0.15
  while os.clock() < seconds do
    local value, _, code = receive()
    assert.is_true(value ~= nil or code == "EBADMSG", code)
  end
  peers.kill(peer)
end

describe("a message that grows while it is received", function()
  it("is received, or EBADMSG", function()
    local c = assert(arena:channel("c", "1M"))
    local offset = segment:view("u64", 256 + 16, 1)[1]
    local head, tail = segment:view("u64", offset + 192, 1), segment:view("u64", offset + 64, 1)
    tail[1] = 1 << 20
    for _, call in ipairs { c.receive, function(...) return c.receive_all(..., 1, 0) end } do
      while_it_grows(offset + 320, function()
        head[1] = 0
        return call(c, 0)
      end)
    end
  end)
end)
