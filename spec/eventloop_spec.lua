-- eventloop_spec.lua: a channel's descriptor in event loops: how often it wakes a loop, on one core and on two.
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local shm = require "shm"
local uv = require "luv"

local name = "/shm_spec_eventloop"

local arena, c
before_each(function()
  arena = assert(shm.arena(name, "1M", { owned = true }))
  c = assert(arena:channel("c", "64K"))
end)
after_each(function() arena:close() end)

-- Cores that we may run on: the first, or all.
local function allowed(all)
  local file <close> = assert(io.open "/proc/self/status")
  local list = file:read "a":match "Cpus_allowed_list:%s*(%S+)"
  return all and list or list:match "%d+"
end

local opening = [[
  local uv = require "luv"
  assert(os.execute(("taskset -cp %%s %%d >/dev/null"):format(%q, uv.os_getpid())))
  local c = assert(a:channel("c", "64K"))
]]

local function start(cores, chunk)
  return peers.hold(name, opening:format(cores) .. chunk)
end

-- A step of a loop that was woken: receives one message, or all there are; true when the channel is finished.
local step = [[
  local wakes, got, take = 0, 0, %q
  local fd = assert(c:fd())
  local function step()
    wakes = wakes + 1
    repeat
      local value, _, code = c:receive(0)
      if value then got = got + 1 end
      if code == "EPIPE" then return true end
    until not value or take == "one"
  end
  say "polls"
]]

-- Loops; each prints how many messages it got, and in how many wakes.
local loops = {
  luv = step .. [[
    local poll = uv.new_poll(fd)
    poll:start("r", function() if step() then poll:close() end end)
    uv.run()
    say(got, wakes)]],
  cqueues = step .. [[
    local cqueues = require "cqueues"
    local loop = cqueues.new()
    loop:wrap(function()
      repeat cqueues.poll { pollfd = fd, events = "r" } until step()
    end)
    assert(loop:loop())
    say(got, wakes)]],
}

-- Pauses let the loop find the channel empty each time.
local sender = [[
  say "sends"
  for i = 1, %d do
    assert(c:send(i, 10))
    if i %% 4 ~= 0 then uv.sleep(1) end
  end
  c:finish()]]

local function finish(peer)
  local got, wakes = peers.finish(peer):match "^(%d+)\t(%d+)\n$"
  return tonumber(got), tonumber(wakes)
end

local messages <const> = 200

for loop, chunk in pairs(loops) do
  describe("a loop of " .. loop, function()
    for _, take in ipairs { "one", "all" } do
      for cores, list in pairs { one = allowed(false), all = allowed(true) } do
        it(("that takes %s a wake wakes once a message, on %s core(s)"):format(take, cores), function()
          local consumer = start(list, chunk:format(take))
          local producer = start(list, sender:format(messages))
          peers.finish(producer)
          local got, wakes = finish(consumer)
          assert.equal(messages, got)
          assert.is_true(wakes <= 1.1 * messages, wakes .. " wakes")
        end)
      end
    end

    it("does not spin beside other loops that receive from the channel", function()
      local consumers, received = {}, 0
      for i = 1, 3 do consumers[i] = start(allowed(true), chunk:format(i == 1 and "one" or "all")) end
      peers.finish(start(allowed(true), sender:format(messages)))
      for _, consumer in ipairs(consumers) do
        local got, wakes = finish(consumer)
        assert.is_true(wakes <= 1.1 * messages, wakes .. " wakes")
        received = received + got
      end
      assert.equal(messages, received)
    end)
  end)
end

-- Polls the descriptor until condition(wakes) holds, or the time is over; how often it woke the loop.
local function poll(fd, seconds, condition)
  local handle, wakes = uv.new_poll(fd), 0
  handle:start("r", function() wakes = wakes + 1 end)
  process.await(function() return condition(wakes) end, seconds)
  handle:close()
  uv.run "nowait"
  return wakes
end

-- How often the descriptor wakes a loop that does nothing, until the time is over.
local function wakes_within(fd, seconds)
  return poll(fd, seconds, function() return false end)
end

-- Whether the descriptor becomes readable, before a deadline.
local function becomes_readable(fd)
  return poll(fd, 10, function(wakes) return wakes > 0 end) > 0
end

describe("the descriptor of a channel", function()
  it("does not wake a loop while nothing is sent", function()
    local fd = assert(c:fd())
    assert.equal(0, wakes_within(fd, 0.2))
    for i = 1, 20 do
      assert(c:send(i))
      assert.is_true(becomes_readable(fd))
      assert.equal(i, c:receive(0))
      assert.equal(0, wakes_within(fd, 0.01))
    end
    assert.equal(0, wakes_within(fd, 0.2))
  end)

  it("is readable for messages that were sent before the first call of fd", function()
    assert(c:send "first" and c:send "second")
    local fd = assert(c:fd())
    assert.is_true(becomes_readable(fd))
    assert.equal("first", c:receive(0))
    assert.is_true(becomes_readable(fd))
    assert.equal("second", c:receive(0))
    assert.equal(0, wakes_within(fd, 0.01))
  end)

  it("stays readable when the channel is finished", function()
    local fd = assert(c:fd())
    assert(c:send "last" and c:finish())
    assert.is_true(becomes_readable(fd))
    assert.equal("last", c:receive(0))
    assert.is_true(becomes_readable(fd))
    assert.equal("EPIPE", (select(3, c:receive(0))))
    assert.is_true(becomes_readable(fd))
  end)

  it("tells of a message whose sender was killed after it had sent it", function()
    local fd = assert(c:fd())
    for _ = 1, 5 do
      peers.kill(peers.hold(name, [[local c = a:channel("c", "64K") c:send "left" say "sent" hear()]]))
      assert.is_true(becomes_readable(fd))
      assert.equal("left", c:receive(0))
      assert.equal(0, wakes_within(fd, 0.01))
    end
  end)

  it("is not readable while another process peeks, and is once that has released or died", function()
    local chunk <const> = [[local c = a:channel("c", "64K") assert(c:peek()) say "peeks" hear() c:release() hear()]]
    for _, ending in ipairs { peers.tell, peers.kill } do
      assert(c:send "first" and c:send "second")
      local peer = peers.hold(name, chunk)
      local fd = assert(c:fd())
      assert.equal("EAGAIN", (select(3, c:receive(0)))) -- the second time, it was readable before the peek
      assert.equal(0, wakes_within(fd, 0.05))
      ending(peer)
      assert.is_true(becomes_readable(fd))
      while c:receive(0) do assert.is_true(true) end
      assert.equal(0, wakes_within(fd, 0.01))
      if ending == peers.tell then peers.finish(peer) end
    end
  end)

  it("is quiet for a loop that cannot receive because another process peeks", function()
    local fd = assert(c:fd())
    assert(c:send "first")
    assert.is_true(becomes_readable(fd))
    local peer = peers.hold(name, [[local c = a:channel("c", "64K") assert(c:peek()) say "peeks" hear() c:release()]])
    assert.equal("EAGAIN", (select(3, c:receive(0))))
    assert.equal(0, wakes_within(fd, 0.05))
    peers.tell(peer)
    peers.finish(peer)
  end)
end)
