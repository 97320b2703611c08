-- channel_turns_spec.lua: channels whose turn is another's, what is damaged in them, and what fork leaves to the child.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local uv = require "luv"

local name = "/shm_spec_turns"
local what = '^channel "c" of arena "/shm_spec_turns"'
local opening = "local c = a:channel('c', 1024) "

local raises, refused = outcome.raises, outcome.refused

local arena, c
before_each(function()
  arena = assert(shm.arena(name, "1M", { owned = true }))
  c = assert(arena:channel("c", 1024))
end)
after_each(function() arena:close() end)

describe("a turn that is another's", function()
  it("is told of, with who has it, and not as a ring that is full or empty", function()
    local peer = peers.hold(name, opening .. [[
      c:reserve(8) say "reserved" hear()
      c:commit() c:peek() say "peeks" hear()]])
    local sends = (": process %d is sending: it has reserved, or is stopped$"):format(peer.pid)
    refused(what .. sends, "EAGAIN", c:send("x", 0))
    refused(what .. sends, "ETIMEDOUT", c:send("x", 0.2))
    refused(what .. sends, "EAGAIN", c:send_all({ "x" }, 0))
    refused(what .. sends, "EAGAIN", c:reserve(1, "u8", 0))
    refused(what .. " is empty$", "EAGAIN", c:receive(0))
    peers.tell(peer)
    assert.equal("peeks", peer:line())
    local receives = (": process %d is receiving: it has peeked, or is stopped$"):format(peer.pid)
    refused(what .. receives, "EAGAIN", c:receive(0))
    refused(what .. receives, "ETIMEDOUT", c:receive(0.2))
    refused(what .. receives, "EAGAIN", c:receive_all(nil, 0))
    refused(what .. receives, "EAGAIN", c:peek(nil, 0))
    while c:send("x", 0) do end
    refused(what .. " is full$", "EAGAIN", c:send("x", 0))
    peers.kill(peer)
    while c:receive(1) do end
    refused(what .. " is empty$", "EAGAIN", c:receive(0))
  end)

  it("is waited for by who claims it, where it is only taken for a moment", function()
    local busy = {}
    for i = 1, 3 do
      busy[i] = peers.start(name, opening .. [[
        local code
        repeat code = select(3, c:send("x", 0)) until code == "EPIPE"]])
    end
    assert.equal("x", c:receive(20))
    for _ = 1, 20 do
      local other <close> = assert(shm.arena(name))
      assert(other:channel("c", 1024, { exclusive = "producer" }))
      for _ = 1, 200 do c:receive(0) end
    end
    c:finish()
    for i = 1, 3 do peers.finish(busy[i]) end
  end)

  it("is refused to who claims it, with its owner's name, where that has reserved or peeked", function()
    for ends, use in pairs { producer = "c:reserve(1)", consumer = "c:send 'x' c:peek()" } do
      local peer = peers.hold(name, opening .. use .. " say 'has it' hear()")
      local seconds, none, message, code = peers.timed(arena.channel, arena, "c", 1024, { exclusive = ends })
      refused(what .. (" is held: process %d holds it$"):format(peer.pid), "EBUSY", none, message, code)
      assert.is_true(seconds < 1)
      peers.kill(peer)
    end
  end)
end)

describe("a damaged message", function()
  local bytes
  before_each(function() bytes = assert(shm.attach(name)) end)
  after_each(function() bytes:close() end)

  -- Where the MessagePack of these bytes is, there is nonsense.
  local function damage(packed)
    local at = assert(bytes:read():find(packed, 1, true))
    bytes:write("\xc1", at - 1)
  end

  it("among others costs none of them", function()
    c:send_all { "first", { 77 }, 2, { 88 }, "last" }
    damage "\x91\x4d"
    damage "\x91\x58"
    assert.same({ { "first", 2, "last" }, 2 }, { c:receive_all() })
    c:send_all { { 77 }, "one" }
    damage "\x91\x4d"
    refused(what .. " is damaged", "EBADMSG", c:receive_all(1))
    assert.same({ { "one" } }, { c:receive_all() })
  end)

  it("alone is told of, and passed over", function()
    c:send_all { { 77 }, "after" }
    damage "\x91\x4d"
    refused(what .. " is damaged", "EBADMSG", c:receive(0))
    assert.equal("after", c:receive(0))
  end)
end)

describe("a forked child", function()
  it("can neither read nor write through views of what its parent has reserved or peeked at", function()
    c:send "AB"
    local reserved, peeked = c:reserve(2), c:peek()
    reserved:fill(67)
    assert.equal(0, lowlevel.child(function()
      for _, view in ipairs { reserved, peeked } do
        raises("or is another process's", function() return view[1] end)
        raises("or is another process's", function() view[1] = 1 end)
        raises("or is another process's", view.fill, view, 1)
      end
      assert(select(3, c:send("child", 0)) == "EAGAIN")
      return true
    end))
    assert.same({ 67, 67, 65 }, { reserved[1], reserved[2], peeked[1] })
    assert.is_true(c:commit() and c:release())
    assert.equal("CC", c:receive(0))
  end)

  it("reserves and peeks for itself, once its parent has none", function()
    local other = arena:channel("other", 1024)
    assert.equal(0, lowlevel.child(function()
      local view = assert(other:reserve(1))
      view[1] = 65
      return other:commit() and other:peek()[1] == 65 and other:release()
    end))
    assert.equal("EAGAIN", (select(3, other:receive(0))))
  end)

  it("has a descriptor of its own, and its parent's goes on, whoever closes first", function()
    local fd = assert(c:fd())
    assert.equal(0, lowlevel.child(function()
      local own = assert(c:fd())
      assert(own == c:fd())
      arena:close() -- the child's
      return true
    end))
    assert.equal(fd, c:fd())
    local peer = peers.start(name, opening .. "c:send 'x'")
    local poll, readable = uv.new_poll(fd), false
    poll:start("r", function() readable = true end)
    local deadline = uv.hrtime() + 5e9
    while not readable and uv.hrtime() < deadline do uv.run "nowait" end
    poll:close()
    uv.run "nowait"
    assert.is_true(readable)
    assert.equal("x", c:receive(0))
    peers.finish(peer)
  end)

  it("may ask for a descriptor that its parent never had, and its own child, too", function()
    assert.equal(0, lowlevel.child(function()
      return c:fd() ~= nil and lowlevel.child(function()
        return c:fd() ~= nil and c:send "grandchild"
      end) == 0
    end))
    assert.equal("grandchild", c:receive(0))
    assert.is_true(assert(c:fd()) > 2)
  end)
end)

describe("a long string that is received", function()
  local long <const>, longer <const> = ("long"):rep(2000), ("longer"):rep(2000)
  local large
  before_each(function() large = assert(arena:channel("large", "64K")) end)
  after_each(function() collectgarbage "incremental" end)

  -- Receives, while Lua collects garbage that has this finalizer.
  local function receive_while(finalizer)
    local results
    collectgarbage "generational" -- each of its steps finalizes what has just been made
    collectgarbage "stop"
    setmetatable({}, { __gc = function() if not results then finalizer() end end })
    collectgarbage "restart" -- the next allocation takes a step
    results = table.pack(pcall(large.receive, large, 0))
    return table.unpack(results, 1, results.n)
  end

  it("is the next one, if a finalizer receives that meanwhile", function()
    large:send_all { long, longer, { long }, "end" }
    local taken
    local fine, value = receive_while(function() taken = large:receive(0) end)
    assert.same({ long, true, longer }, { taken, fine, value })
    fine, value = receive_while(function() end)
    assert.same({ true, { long } }, { fine, value })
    assert.equal("end", large:receive(0))
    refused("is empty$", "EAGAIN", large:receive(0))
  end)

  it("is others' to receive meanwhile, and stays if a finalizer closes the arena", function()
    local other = assert(shm.arena(name))
    local theirs, seen = assert(other:channel("large", "64K")), nil
    large:send_all { long, longer }
    local fine, message = receive_while(function()
      seen = theirs:receive(0)
      arena:close()
    end)
    assert.equal(long, seen)
    assert.is_false(fine)
    assert.matches("is closed$", message)
    assert.equal(longer, theirs:receive(0))
    other:close()
  end)

  it("stays if a finalizer peeks at it, until that is released", function()
    large:send(long)
    local fine, message = receive_while(function() large:peek() end)
    assert.is_false(fine)
    assert.matches("release what is peeked at first$", message)
    assert.is_true(large:release())
    refused("is empty$", "EAGAIN", large:receive(0))
  end)
end)
