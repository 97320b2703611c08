-- messages.lua: processes that send each other messages, as runs for races: through ours from Lua,
-- through what carries them in C, and in Python. Touches processes of its own.
local channels = require "channels"
local outside = require "scripts.bench.outside"

local messages = { letter = ("x"):rep(64) }

-- ---- races ----

local lot <const> = 64 -- so that all ends have an equal part, also of the fourth that warms up

-- Seconds that n messages take, which all these together send and receive, after some that warm up:
-- a fourth as many, or more.
function messages.racing(runs, more)
  return function(n)
    local whole = math.max(n // lot, 1) * lot
    return channels.race(runs, math.max(whole // 4, more or 0), whole) * n / whole
  end
end

-- So many of each, which have an equal part of the messages.
local function racing_ends(send, producers, receive, consumers, more)
  local runs = {}
  for i = 1, producers do runs[i] = function(n) send(n // producers) end end
  for _ = 1, consumers do runs[#runs + 1] = function(n) receive(n // consumers) end end
  return messages.racing(runs, more)
end

-- So many messages warm up Lua: until the heap of a forked child has grown to what it is from then
-- on, each string is in memory that nobody has touched, which costs more than its message.
local function warming(size) return math.max((16 << 20) // size // lot, 1) * lot end

-- ---- what carries messages in C ----

function messages.streaming(carrier, producers, consumers)
  return racing_ends(function(n) carrier:sends(n) end, producers or 1,
    function(n) carrier:receives(n) end, consumers or 1)
end

function messages.exchanging(carrier)
  return messages.racing { function(n) carrier:pings(n) end, function(n) carrier:pongs(n) end }
end

-- ---- ours, from Lua ----

-- Bytes of the ring, everybody's: it has a few of the largest messages.
function messages.room(size) return math.max(1 << 18, math.min(16 * size, 1 << 20), 4 * size) end

local made = 0

function messages.channel(arena, capacity, options)
  made = made + 1
  return assert(arena:channel("channel " .. made, capacity or messages.room(64), options))
end

function messages.sending(ch, data)
  return function(n) for _ = 1, n do ch:send(data) end end
end

function messages.receiving(ch, data)
  return function(n)
    local value
    for _ = 1, n do value = ch:receive() end
    assert(value == data)
  end
end

function messages.stream(arena, size, producers, consumers)
  local ch, data = messages.channel(arena, messages.room(size)), ("x"):rep(size)
  return racing_ends(messages.sending(ch, data), producers or 1, messages.receiving(ch, data),
    consumers or 1, warming(size))
end

-- The ends are claimed by the processes that use them.
function messages.exclusive_stream(arena)
  made = made + 1
  local name = "channel " .. made
  local function claiming(side, work)
    local run
    return function(n)
      run = run or work(assert(arena:channel(name, messages.room(64), { exclusive = side })),
        messages.letter)
      run(n)
    end
  end
  return messages.racing({ claiming("producer", messages.sending),
    claiming("consumer", messages.receiving) }, warming(64))
end

function messages.batch_stream(arena, size)
  local ch, batch = messages.channel(arena), {}
  for i = 1, size do batch[i] = messages.letter end
  local function send(n) for _ = 1, n // size do ch:send_all(batch) end end
  local function receive(n)
    n = n // size * size
    while n > 0 do n = n - #ch:receive_all(size) end
  end
  return messages.racing({ send, receive }, warming(64))
end

function messages.exchange(arena, options)
  local there, back = messages.channel(arena, nil, options), messages.channel(arena, nil, options)
  local letter = messages.letter
  local function ping(n) for _ = 1, n do there:send(letter) back:receive() end end
  local function pong(n) for _ = 1, n do back:send(there:receive()) end end
  return messages.racing { ping, pong }
end

-- ---- Python ----

-- Sends so many messages one way or there and back, through a Pipe or Queues of multiprocessing;
-- prints the seconds. The same ends, warmed up in the same way and on the same cores, as in a race.
local script <const> = [[
import multiprocessing, os, sys, time
kind, way, cores = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
size, producers, consumers, asked = map(int, sys.argv[4:8])
count, ends, letter = max(asked // 64, 1) * 64, producers + consumers, b"x" * size
if kind == "pipe":
    a, b = multiprocessing.Pipe()
    send, receive, answer, hear = a.send_bytes, b.recv_bytes, b.send_bytes, a.recv_bytes
else:
    there, back = multiprocessing.Queue(), multiprocessing.Queue()
    send, receive, answer, hear = there.put, there.get, back.put, back.get
def produce(n):
    for _ in range(n // producers): send(letter)
def consume(n):
    for _ in range(n // consumers): receive()
def ping(n):
    for _ in range(n): send(letter); hear()
def pong(n):
    for _ in range(n): answer(receive())
gate = multiprocessing.Barrier(ends + 1)
def end(work, number):
    if ends <= len(cores): os.sched_setaffinity(0, {int(cores[number])})
    work(count // 4)
    gate.wait()
    work(count)
    gate.wait()
works = [ping, pong] if way == "exchange" else [produce] * producers + [consume] * consumers
processes = [multiprocessing.Process(target=end, args=both) for both in zip(works, range(ends))]
for process in processes: process.start()
gate.wait()
start = time.perf_counter()
gate.wait()
print((time.perf_counter() - start) * asked / count)
]]

local cores <const> = table.concat({ channels.cores() }, ",")

-- kind: "pipe" or "queue"; way: "exchange" or "stream".
function messages.python(kind, way, size, producers, consumers)
  return outside("python3", script, kind, way, cores, size, producers or 1, consumers or 1)
end

return messages
