-- channel.lua: what messages cost, as ratios to bare memory, to the kernel's pipes and to other
-- libraries in the same run: there and back, one way, large ones, to many. `make bench` runs it;
-- with an argument, it runs the rows that have it in their names, with a second one, so many rounds
-- of them. Touches anonymous memory only, and processes of its own.
local shm = require "shm"
local baseline = require "baseline"
local channels = require "channels"
local locks = require "locks"
local bench = require "scripts.bench.bench"
local bound, race = bench.bound, channels.race

-- Nanoseconds there and back between the nearest two cores, and the farthest.
local function distances()
  local nearest, farthest = channels.distances()
  return nearest * 1e9, farthest * 1e9
end

local letter <const> = ("x"):rep(64)
local ring <const> = 1 << 18 -- bytes, everybody's

-- ---- contests ----

local only, most = arg[1], math.tointeger(arg[2])

-- Some take a part of what the others do, for they are as much slower.
local function rarely(part, run)
  return function(n) return run(n // part) * part end
end

local function compare(how, contest)
  if only and not contest.what:find(only, 1, true) then return end
  contest.rounds = most or contest.rounds or 11
  how(contest)
end

local function times(contest) compare(bench.compare_times, contest) end
local function throughputs(contest) compare(bench.compare_throughputs, contest) end

-- Seconds that n messages take, which all these together send and receive.
local function racing(runs)
  return function(n) return (race(runs, n // 4, n)) end
end

-- The same for what carries messages in C.
local function streaming(carrier)
  return racing { function(n) carrier:sends(n) end, function(n) carrier:receives(n) end }
end

local function exchanging(carrier)
  return racing { function(n) carrier:pings(n) end, function(n) carrier:pongs(n) end }
end

-- ---- ours, from Lua ----

local arena <close> = assert(shm.arena(nil, "16M"))
local made = 0

local function new_channel(options, size)
  made = made + 1
  return assert(arena:channel("channel " .. made, size or ring, options))
end

local function sending(ch, data)
  return function(n) for _ = 1, n do ch:send(data) end end
end

local function receiving(ch, data)
  return function(n)
    local value
    for _ = 1, n do value = ch:receive() end
    assert(value == data)
  end
end

local function shared_stream()
  local ch = new_channel()
  return racing { sending(ch, letter), receiving(ch, letter) }
end

-- The ends are claimed by the processes that use them.
local function exclusive_stream()
  made = made + 1
  local name = "channel " .. made
  local function claiming(side, work)
    local run
    return function(n)
      run = run or work(assert(arena:channel(name, ring, { exclusive = side })), letter)
      run(n)
    end
  end
  return racing { claiming("producer", sending), claiming("consumer", receiving) }
end

local function batch_stream(size)
  local ch, batch = new_channel(), {}
  for i = 1, size do batch[i] = letter end
  local function send(n) for _ = 1, n // size do ch:send_all(batch) end end
  local function receive(n)
    n = n // size * size
    while n > 0 do
      local got = ch:receive_all(size)
      n = n - #got
    end
  end
  return racing { send, receive }
end

local function exchange(options)
  local there, back = new_channel(options), new_channel(options)
  local function ping(n) for _ = 1, n do there:send(letter) back:receive() end end
  local function pong(n) for _ = 1, n do back:send(there:receive()) end end
  return racing { ping, pong }
end

-- ---- what else Debian has ----

-- Sends so many messages one way or there and back, through a Pipe or Queues of multiprocessing;
-- prints the seconds. The first message there and back warms up.
local script <const> = [[
import multiprocessing, os, sys, time
kind, way = sys.argv[1].split("_")
count, letter = int(sys.argv[2]), b"x" * 64
def pin(core):
    if core in os.sched_getaffinity(0): os.sched_setaffinity(0, {core})
def answer(receive, send):
    pin(1)
    send(receive())
    for _ in range(count):
        message = receive()
        if way == "exchange": send(message)
    send(letter)
if kind == "pipe":
    a, b = multiprocessing.Pipe()
    ours, theirs = (a.send_bytes, a.recv_bytes), (b.recv_bytes, b.send_bytes)
else:
    there, back = multiprocessing.Queue(), multiprocessing.Queue()
    ours, theirs = (there.put, back.get), (there.get, back.put)
process = multiprocessing.Process(target=answer, args=theirs)
process.start()
pin(0)
send, receive = ours
send(letter), receive()
start = time.perf_counter()
for _ in range(count):
    send(letter)
    if way == "exchange": receive()
receive()
print(time.perf_counter() - start)
process.join()
]]

-- `part`: how much less they do in the same time.
local peers <const> = {
  { name = "pipe in C", stream = 4, exchange = 30, new = channels.pipe },
  { name = "socket pair in C", stream = 8, exchange = 30, new = channels.socketpair },
  { name = "POSIX queue in C", stream = 8, exchange = 30, new = channels.queue,
    missing = "POSIX message queues" },
  { name = "ZeroMQ ipc in C", stream = 2, exchange = 100, library = "zeromq",
    missing = "libzmq3-dev" },
  { name = "Boost in C++", stream = 2, exchange = 30, library = "boost", missing = "libboost-dev" },
  { name = "Python Pipe", stream = 20, exchange = 60, python = "pipe" },
  { name = "Python Queue", stream = 40, exchange = 60, python = "queue" },
}

local function compare_peers(what, way, ours, contesting, count)
  for _, peer in ipairs(peers) do
    local contest = { what = ("%s / %s"):format(what, peer.name), ours = ours, count = count,
      rounds = 5, part = peer[way], needs = "python3", compare = bench.compare_throughputs }
    local found, new = true, peer.new
    if peer.library then found, new = pcall(require, peer.library) end
    local carrier = found and new and new(64)
    if peer.python then
      compare(function(c) bench.compare_python(c, script, peer.python .. "_" .. way) end, contest)
    elseif carrier then
      contest.limit = rarely(contest.part, contesting(carrier))
      throughputs(contest)
    else
      compare(function(c) bench.print_missing(c.what, "no " .. peer.missing) end, contest)
    end
  end
end

-- ---- there and back ----

local function bench_exchange()
  local count <const> = 20000
  local pipe = exchanging(channels.pipe(64))
  local spinning, sleeping = exchange(), exchange { spin = 0 }
  times { what = "there and back / bare, in C", target = 2.5, count = count, ours = spinning,
    limit = exchanging(channels.exchange(64)) }
  times { what = "same in C / bare, in C", count = count,
    ours = exchanging(channels.channel(64, ring)), limit = exchanging(channels.exchange(64)) }
  times { what = "same in C / two bare rings", count = count,
    ours = exchanging(channels.channel(64, ring)), limit = exchanging(channels.ring(64, ring)) }
  throughputs { what = "there and back / pipe in C", target = 20, count = count, ours = spinning,
    limit = rarely(20, pipe) }
  times { what = "with spin=0 / pipe in C", target = 1.25, count = 1000, ours = sleeping,
    limit = pipe }
  compare_peers("back", "exchange", spinning, exchanging, count)
end

-- ---- one way ----

local function bench_stream()
  local count <const> = 100000
  local shared, exclusive = shared_stream(), exclusive_stream()
  local function contest(what, ours, limit, target)
    throughputs { what = what, ours = ours, limit = limit, target = target, count = count }
  end
  local function reach(what, ours, rate)
    contest(("%s / %d M/s"):format(what, rate // 1000000), ours, bound(1 / rate), 1)
  end
  local bare = streaming(channels.ring(64, ring))
  reach("one way, shared ends", shared, 4e6)
  reach("one way, exclusive ends", exclusive, 8e6)
  reach("one way, 64 a call", batch_stream(64), 8e6)
  reach("in C, shared ends", streaming(channels.channel(64, ring, false)), 10e6)
  contest("in C, exclusive ends / bare ring", streaming(channels.channel(64, ring, true)), bare, 0.7)
  contest("from Lua, exclusive / bare ring", exclusive, bare)
  local ch = new_channel()
  local function half(run) return function(n) run(n // 2) end end
  local send, receive = half(sending(ch, letter)), half(receiving(ch, letter))
  reach("2 to 2, shared ends", racing { send, send, receive, receive }, 3e6)
  compare_peers("one way", "stream", shared, streaming, count)
end

-- ---- large messages ----

local function bench_large()
  local size <const>, capacity <const> = 1 << 16, 1 << 20
  local data = letter:rep(size // #letter)
  local ch = new_channel(nil, capacity)
  local copying = racing { sending(ch, data), receiving(ch, data) }
  local function contest(what, limit, target)
    throughputs { what = what, ours = copying, limit = limit, target = target, count = 4000,
      bytes = size }
  end
  contest("64 KiB one way / 8 GB/s", bound(size / 8e9), 1)
  contest("64 KiB one way / bare ring", streaming(channels.ring(size, capacity)))
  contest("64 KiB one way / pipe in C", rarely(4, streaming(channels.pipe(size))))

  local here = new_channel(nil, capacity)
  local function passing(bytes)
    return function(n)
      for _ = 1, n do
        here:reserve(bytes) here:commit()
        here:peek() here:release()
      end
    end
  end
  times { what = "reserve + peek 64 KiB / 64 B", target = 1.2, count = 50000, rounds = 21,
    ours = passing(size), limit = passing(#letter) }
end

-- ---- topics ----

-- What a publisher pays, on a core of its own: the subscribers have the others. With all of them
-- awake, its processor's time is taken, which others on that core do not add to; where they sleep
-- between two messages, the time of its calls.
local function bench_topic()
  local topic = assert(arena:topic("topic", ring))
  local spent = assert(arena:array("spent", "f64", 1))
  local function attended(publish, crowd, options, warm)
    return function(n)
      local subscription = assert(topic:subscribe(options))
      local function watch(many) for _ = 1, many do subscription:receive() end end
      spent[1] = 0
      local _, cpu = race({ publish }, warm or n // 4, n, watch, crowd)
      return spent[1] > 0 and spent[1] or cpu
    end
  end
  local function publish(n) for _ = 1, n do topic:publish(letter) end end
  times { what = "publish to 8 / to 1", target = 1.2, count = 50000,
    ours = attended(publish, 8), limit = attended(publish, 1) }
  times { what = "publish to 8 / to 3, same cores", count = 50000, -- of a machine with four
    ours = attended(publish, 8), limit = attended(publish, 3) }
  times { what = "publish to 1 / to none", count = 50000,
    ours = attended(publish, 1), limit = attended(publish, 0) }

  local now = baseline.now
  local clock = assert(arena:semaphore("clock", 1))
  clock:acquire()
  local function publish_rarely(n)
    local seconds = 0
    for _ = 1, n do
      clock:acquire(0.001)
      local start = now()
      topic:publish(letter)
      seconds = seconds + now() - start
    end
    spent[1] = seconds
  end
  times { what = "publish to 8 sleepers / to 1", count = 40, ours = attended(publish_rarely, 8,
    { spin = 0 }, 10), limit = attended(publish_rarely, 1, { spin = 0 }, 10) }
end

-- ---- waiting ----

-- The processor's time that five seconds of waiting take, of each kind in a process of its own.
local function bench_waiting()
  local seconds <const> = 5
  local empty, full = new_channel(), new_channel()
  local subscription = assert(arena:topic("quiet", ring):subscribe())
  while full:send(letter, 0) do end
  local function late(outcome, _, code) assert(not outcome and code == "ETIMEDOUT") end
  local names <const> = { "ch:receive()", "ch:send()", "s:receive()" }
  local used
  for i, name in ipairs(names) do
    compare(function(contest)
      used = used or locks.cpu {
        function() late(empty:receive(seconds)) end,
        function() late(full:send(letter, seconds)) end,
        function() late(subscription:receive(seconds)) end,
      }
      contest.ours, contest.rounds = bound(used[i]), 1
      bench.compare_times(contest)
    end, { what = ("CPU in 5 s of %s / 10 ms"):format(name), target = 1, count = 1,
      limit = bound(10e-3) })
  end
end

io.stdout:setvbuf("line")
bench.print_machine()
print("method   medians of 5 to 21 rounds in turns (quartiles of the ratio); messages of 64 bytes;")
print("         each process has a core of its own and has warmed up; ours is Lua, unless in C")
print(("cores    the nearest two, %.0f ns there and back; the farthest are %.0f"):format(
  distances()))
print()
bench.print_header()
bench_exchange()
bench_stream()
bench_large()
bench_topic()
bench_waiting()
