-- channel.lua: what messages from one to another cost, beside bare memory, the kernel's pipes and
-- queues, and other libraries: there and back, one way by size, with several at an end, and waiting
-- for one. `make bench` runs it; with an argument, the races that have it in their headings, with a
-- second one, so many rounds of them. Touches anonymous memory, and processes of its own.
local shm = require "shm"
local channels = require "channels"
local locks = require "locks"
local bench = require "scripts.bench.bench"
local messages = require "scripts.bench.messages"
local exchanging, streaming = messages.exchanging, messages.streaming
local letter <const> = messages.letter

-- ---- what else Debian has ----

local function library(name, method)
  return function(...)
    local found, new = pcall(require, name)
    if not found then return nil end
    return (method and new[method] or new)(...)
  end
end

-- Several may be at both ends of these. The parts are as in a race: of exchanges, of small messages
-- and of large ones.
local peers <const> = {
  { name = "pipe, C", parts = { 30, 4, 2 }, several = true, new = channels.pipe },
  { name = "socket pair, C", parts = { 30, 8, 4 }, several = true, new = channels.socketpair },
  { name = "POSIX queue, C", parts = { 30, 8, 4 }, several = true, new = channels.queue,
    needs = "POSIX message queues of this size" },
  { name = "System V queue, C", parts = { 30, 16, 4 }, several = true, new = channels.sysv,
    needs = "System V message queues of this size" },
  { name = "ZeroMQ ipc, C", parts = { 100, 2, 3 }, new = library("zeromq", "queue"),
    needs = "libzmq3-dev" },
  { name = "Boost message_queue, C++", parts = { 30, 2, 4 }, several = true,
    new = library "boost", needs = "libboost-dev" },
  { name = "Redis RPUSH, BLPOP, C", parts = { 100, 300, 20 }, rare = true, several = true,
    new = library "redis_list", needs = "redis-tools" },
  { name = "Python Pipe", parts = { 60, 40, 4 }, python = "pipe", needs = "python3" },
  { name = "Python Queue", parts = { 60, 80, 30 }, several = true, python = "queue",
    rare_by_size = true, needs = "python3" },
}

local large <const> = 4096 -- bytes, or more

local function contestant_of(peer, way, size, producers, consumers)
  local function new()
    if peer.python then return messages.python(peer.python, way, size, producers, consumers)() end
    local carrier = peer.new(size)
    if not carrier then return nil end
    return way == "exchange" and exchanging(carrier) or streaming(carrier, producers, consumers)
  end
  local part = peer.parts[way == "exchange" and 1 or size < large and 2 or 3]
  local by_size = way == "stream" and not producers
  return { peer.name, new = new, needs = peer.needs, part = part,
    rare = peer.rare or by_size and peer.rare_by_size }
end

-- The race with all peers that there are.
local function race_peers(race, way, size, producers, consumers)
  for _, peer in ipairs(peers) do
    if not producers or peer.several then
      race[#race + 1] = contestant_of(peer, way, size, producers, consumers)
    end
  end
  bench.race(race)
end

local function open_arena() return assert(shm.arena(nil, "16M")) end

-- ---- there and back ----

local function race_exchange()
  local arena <close> = open_arena()
  race_peers({ work = "round trip", at = "64 B", x = 64, count = 20000,
    { "shm", messages.exchange(arena), asks = { { "bare exchange, C", most = 2.5 },
      { "pipe, C", most = 1 / 20 } } },
    { "shm, C", exchanging(channels.channel(64, messages.room(64))), is = "ours" },
    { "two bare rings, C", exchanging(channels.ring(64, messages.room(64))), is = "floor" },
    { "bare exchange, C", exchanging(channels.exchange(64)), is = "limit" } }, "exchange", 64)
  bench.race { work = "round trip, asleep", at = "64 B", x = 64, count = 1000,
    { "shm, spin = 0", messages.exchange(arena, { spin = 0 }), asks = { { "pipe, C", most = 1.25 } } },
    { "pipe, C", exchanging(channels.pipe(64)) } }
end

-- ---- one way ----

local function race_stream(name, size, asks)
  local arena <close> = open_arena()
  race_peers({ work = "one way", at = name, x = size, unit = "op/s", rounds = 5,
    count = math.max((100 << 20) // (1024 + 6 * size), 256),
    { "shm", messages.stream(arena, size), asks = asks },
    { "shm, C", streaming(channels.channel(size, messages.room(size), false)), is = "ours" },
    { "bare ring, C", streaming(channels.ring(size, messages.room(size))), is = "limit" } },
    "stream", size)
end

local function race_ends()
  local arena <close> = open_arena()
  local function in_c(exclusive)
    return streaming(channels.channel(64, messages.room(64), exclusive))
  end
  bench.race { work = "one way by use of the ends", at = "64 B", x = 64, unit = "op/s",
    count = 100000,
    { "shm, shared", messages.stream(arena, 64), asks = { { least = 4e6 } } },
    { "shm, exclusive", messages.exclusive_stream(arena), is = "ours", asks = { { least = 8e6 } } },
    { "shm, 64 a call", messages.batch_stream(arena, 64), is = "ours", asks = { { least = 8e6 } } },
    { "shm, shared, C", in_c(false), is = "ours", asks = { { least = 10e6 } } },
    { "shm, exclusive, C", in_c(true), is = "ours", asks = { { "bare ring, C", least = 0.7 } } },
    { "bare ring, C", streaming(channels.ring(64, messages.room(64))), is = "limit" } }
end

local function race_crowd(producers, consumers, asks)
  local arena <close> = open_arena()
  local shared = channels.channel(64, messages.room(64), false)
  race_peers({ work = "one way by producers x consumers", unit = "op/s", rounds = 5, count = 50000,
    at = ("%d x %d"):format(producers, consumers),
    { "shm", messages.stream(arena, 64, producers, consumers), asks = asks },
    { "shm, C", streaming(shared, producers, consumers), is = "ours" } },
    "stream", 64, producers, consumers)
end

-- ---- in the ring itself ----

local function race_places()
  local arena <close> = open_arena()
  local ch = messages.channel(arena, 1 << 20)
  local function passing(bytes)
    return function(n)
      for _ = 1, n do
        ch:reserve(bytes) ch:commit()
        ch:peek() ch:release()
      end
    end
  end
  bench.race { work = "reserve, commit, peek, release", count = 50000, rounds = 21,
    { "64 KiB", passing(1 << 16), x = 1 << 16, as = "shm", asks = { { "64 B", most = 1.2 } } },
    { "64 B", passing(64), x = 64, as = "shm", is = "ours" } }
end

-- ---- waiting ----

-- The processor's time that it takes, of each kind in a process of its own, all at once.
local function race_waiting()
  local seconds <const> = 3
  local arena <close> = open_arena()
  local empty, full = messages.channel(arena), messages.channel(arena)
  local subscription = assert(arena:topic("quiet", messages.room(64)):subscribe())
  while full:send(letter, 0) do end
  local function late(outcome, _, code) assert(not outcome and code == "ETIMEDOUT") end
  local used
  local function use(i)
    return function()
      used = used or locks.cpu {
        function() late(empty:receive(seconds)) end,
        function() late(full:send(letter, seconds)) end,
        function() late(subscription:receive(seconds)) end,
      }
      return used[i]
    end
  end
  local asks <const> = { { most = 6e-3 } }
  bench.race { work = "waiting for a message, processor's time", at = seconds .. " s", count = 1, rounds = 1,
    { "ch:receive()", use(1), asks = asks },
    { "ch:send()", use(2), is = "ours", asks = asks },
    { "s:receive()", use(3), is = "ours", asks = asks } }
end

local nearest <const>, farthest <const> = channels.distances()
bench.begin(([[
medians of 5 to 21 rounds in turns; messages of one size, a call for each, but "64 a call"
each process has a core of its own, if there are as many, and has warmed up
the nearest two cores are %.0f ns there and back, and are taken first; the farthest %.0f]])
  :format(nearest * 1e9, farthest * 1e9))
race_exchange()
race_ends()
race_stream("64 B", 64)
race_stream("256 B", 256)
race_stream("1 KiB", 1 << 10)
race_stream("4 KiB", 4 << 10)
race_stream("16 KiB", 16 << 10)
race_stream("64 KiB", 64 << 10, { { least = 8e9 / (64 << 10) } }) -- 8 GB/s
race_stream("1 MiB", 1 << 20)
race_crowd(1, 1)
race_crowd(2, 1)
race_crowd(1, 2)
race_crowd(2, 2, { { least = 3e6 } })
race_crowd(4, 4)
race_places()
race_waiting()
