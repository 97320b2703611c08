-- hottest.lua: the ten operations that programs do most, each so many times. counter.c runs it.
-- Of those that are alike the one is here that has the other's path in it: a channel all may use,
-- which takes the locks that exclusive ends spare. What the last call returned is looked at, as a
-- call that fails may be cheap.
local shm = require "shm"
local count = count -- luacheck: ignore 113

local segment <close> = assert(shm.create(nil, 4096))
local arena <close> = assert(shm.arena(nil, "4M"))
local letter <const> = ("x"):rep(64)

local v = segment:view("f64", 0, 64):fill(2.5)
count("v[i]", function(n)
  local x
  for _ = 1, n do x = v[7] end
  assert(x == 2.5)
end)
count("v[i] = x", function(n)
  local x <const> = n + 0.5
  for _ = 1, n do v[7] = x end
  assert(v[7] == x)
end)

local atoms = segment:view("i64", 1024, 8)
count("v:fetch_add", function(n)
  local before = atoms[1]
  for _ = 1, n do atoms:fetch_add(1, 1) end
  assert(atoms[1] == before + n)
end)

local q = segment:record(shm.record("Quote", { "u32 id", "f64 price[8]", "char name[16]" }), 2048)
q.id = 7
count("q.id", function(n)
  local x
  for _ = 1, n do x = q.id end
  assert(x == 7)
end)

local mutex = assert(arena:mutex "mutex")
count("m:lock, m:unlock", function(n)
  for _ = 1, n do
    mutex:lock() -- raises where it is held
    mutex:unlock()
  end
end)

local channel = assert(arena:channel("channel", "64K"))
count("ch:send, ch:receive", function(n)
  local got
  for _ = 1, n do
    channel:send(letter)
    got = channel:receive()
  end
  assert(got == letter)
end)

local topic = assert(arena:topic("topic", "64K"))
local reader = topic:subscribe()
count("t:publish, s:receive", function(n)
  local got
  for _ = 1, n do
    topic:publish(letter)
    got = reader:receive()
  end
  assert(got == letter)
end)

-- Keys and values of 16 bytes, which are in one piece; of 64, which are in several.
local dict = assert(arena:dict("dict", "1M"))
local key <const>, short <const> = "key:000000000050", ("x"):rep(16)
for i = 1, 100 do assert(dict:set(("key:%012d"):format(i), short)) end
count("d:get", function(n)
  local got
  for _ = 1, n do got = dict:get(key) end
  assert(got == short)
end)
count("d:set", function(n)
  local done
  for _ = 1, n do done = dict:set(key, letter) end
  assert(done)
end)
count("d:incr", function(n)
  local before = dict:get "number" or 0
  for _ = 1, n do dict:incr("number", 1, 0) end
  assert(dict:get "number" == before + n)
end)
