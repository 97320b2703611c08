-- race.lua: why locks. Several processes add 1 to each of two counters, which should stay equal: without a lock
-- counts are lost; with a mutex the total is exact; and when a process is killed half way, inside the mutex, the
-- next one is told, puts it right, and all go on.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local uv = require "luv"
local parser = example.parser("Several processes race for two counters.")
parser:option("--processes", "How many processes count.", 4):convert(example.whole)
parser:option("--count", "How often each of them adds 1.", 100000):convert(example.whole)
parser:option("--worker", "Be a process that counts so: plain, locked or killed."):hidden(true)
local options = parser:parse()

local function open() return example.check(shm.arena("/shm_race", "64K", { owned = true })) end

local function add_one(pair, dying)
  pair[1] = pair[1] + 1
  if dying then uv.kill(uv.os_getpid(), "sigkill") end -- here: one counter is ahead of the other
  pair[2] = pair[2] + 1
end

-- Locks, and puts right what a process that was killed inside has left.
local function lock(mutex, pair)
  local _, died = mutex:lock()
  if not died then return end
  print(("process %d: the owner before was killed inside: %d and %d"):format(uv.os_getpid(), pair[1], pair[2]))
  pair[2] = pair[1]
end

local function count(arena, mode)
  local pair = example.check(arena:array("pair", "i64", 2))
  local mutex = example.check(arena:mutex "turn")
  local first = example.check(arena:array("tickets", "i64", 1)):fetch_add(1, 1) == 0
  for i = 1, options.count do
    if mode == "plain" then
      add_one(pair)
    else
      lock(mutex, pair)
      add_one(pair, mode == "killed" and first and i == options.count // 2)
      mutex:unlock()
    end
  end
end

local function run(mode, headline)
  local arena <close> = open()
  for _, object in ipairs(arena:objects()) do arena:remove(object.name) end -- a killed run may have left some
  print(headline)
  example.run_workers(options.processes, "--worker", mode, "--count", options.count)
  local pair = example.check(arena:array("pair", "i64", 2))
  lock(arena:mutex "turn", pair) -- it may have been the last of them that was killed
  local expected = options.processes * options.count
  if mode == "killed" then expected = expected - (options.count - options.count // 2) end -- it died half way
  local verdict = pair[1] == expected and pair[2] == expected and "exact" or "some counts are lost"
  print(("  %d and %d of %d: %s\n"):format(pair[1], pair[2], expected, verdict))
end

if options.worker then
  count(open(), options.worker)
else
  run("plain", "1. without a lock")
  run("locked", "2. with a mutex")
  run("killed", "3. with a mutex, and one process is killed inside")
end
