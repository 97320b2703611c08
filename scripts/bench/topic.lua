-- topic.lua: what it costs to tell many of a message, beside bare memory, a pipe for each, and
-- ZeroMQ: what the publisher pays, by how many have subscribed. `make bench` runs it; with an
-- argument, the races that have it in their headings, with a second one, so many rounds of them.
-- Touches anonymous memory, and processes of its own.
local shm = require "shm"
local baseline = require "baseline"
local channels = require "channels"
local topics = require "topics"
local bench = require "scripts.bench.bench"
local letter <const>, room <const> = require "scripts.bench.messages".letter, 1 << 18

local arena <close> = assert(shm.arena(nil, "4M"))
local topic <const> = assert(arena:topic("topic", room))
local spent <const> = assert(arena:array("spent", "f64", 1))

-- A crowd watches, on other cores than the publisher's. Seconds are the processor's, which others
-- on the publisher's core do not add to, or those that the publisher has measured itself.
local function attended(publish, watch, crowd, warm)
  return function(n)
    spent[1] = 0
    local _, cpu = channels.race({ publish }, warm or n // 4, n, watch, crowd)
    return spent[1] > 0 and spent[1] or cpu
  end
end

-- The crowd inherits a subscription, and each of it goes on with that for itself.
local function ours(crowd, publish, options, warm)
  return function(n)
    local subscription = assert(topic:subscribe(options))
    local function watch(many) for _ = 1, many do subscription:receive() end end
    return attended(publish, watch, crowd, warm)(n)
  end
end

local function in_c(circle, crowd)
  if not circle then return nil end
  return attended(function(n) circle:publishes(n) end, function(n) circle:watches(n) end, crowd)
end

local function publish(n) for _ = 1, n do topic:publish(letter) end end

-- ---- by subscribers ----

local function race_publish(crowd)
  local found, zeromq = pcall(require, "zeromq")
  bench.race { work = "publish", at = crowd == 1 and "1 subscriber" or crowd .. " subscribers",
    x = crowd, count = 20000, rounds = 5,
    { "shm", ours(crowd, publish) },
    { "shm, C", in_c(topics.topic(#letter, crowd, room), crowd), is = "ours" },
    { "bare memory, C", in_c(topics.board(#letter, crowd), crowd), is = "limit" },
    { "a pipe for each, C", in_c(topics.pipes(#letter, crowd), crowd), part = 8 * crowd },
    { "ZeroMQ ipc, C", in_c(found and zeromq.news(#letter, crowd), crowd), part = 10 * crowd,
      needs = "libzmq3-dev" } }
end

-- The same in turns: who subscribes beside others on the same cores costs the publisher nothing. A
-- subscriber alone has the nearest core; then the publisher pays for the farthest that reads, as
-- bare memory shows.
local function race_crowds()
  local function bare(crowd) return in_c(topics.board(#letter, crowd), crowd) end
  bench.race { work = "publish, by crowd", count = 30000, rounds = 7,
    { "to 8", ours(8, publish), asks = { { "to 3", most = 1.2 }, { "to 1", most = 1.2 } } },
    { "to 3", ours(3, publish), is = "ours" }, -- a core each, where there are four
    { "to 1", ours(1, publish), is = "ours" },
    { "to none", ours(0, publish), is = "ours" },
    { "bare memory to 3, C", bare(3), is = "floor" },
    { "bare memory to 1, C", bare(1), is = "floor" } }
end

-- ---- who sleeps between two messages ----

local now <const> = baseline.now
local clock <const> = assert(arena:semaphore("clock", 1))
clock:acquire()

-- The time of the calls.
local function publish_rarely(n)
  local seconds = 0
  for _ = 1, n do
    clock:acquire(1, 0.001)
    local start = now()
    topic:publish(letter)
    seconds = seconds + now() - start
  end
  spent[1] = seconds
end

local function race_sleepers()
  bench.race { work = "publish to sleepers", count = 40,
    { "to 8", ours(8, publish_rarely, { spin = 0 }, 10) },
    { "to 1", ours(1, publish_rarely, { spin = 0 }, 10), is = "ours" } }
end

bench.begin [[
medians of 5 to 11 rounds in turns of the processor's time that a publisher needs, ZeroMQ's with its
thread's; messages of 64 bytes; the publisher has a core of its own; who is slow loses messages in
memory, and holds up the publisher of pipes and of ZeroMQ, who sleeps then]]
for _, crowd in ipairs { 1, 2, 4, 8, 16 } do race_publish(crowd) end
race_crowds()
race_sleepers()
