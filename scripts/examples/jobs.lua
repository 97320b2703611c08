-- jobs.lua: a queue of jobs and workers that are killed: every job is done, and every result comes, whoever dies. A
-- worker takes a job out of the queue only when its result is in the results: peek, work, send, release. Killed before
-- the last step, it leaves the job to another, so a result may come twice, but never not at all.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local uv = require "luv"
local parser = example.parser("Workers are killed, and every job is done.")
parser:option("--workers", "How many workers there are at a time.", 4):convert(example.whole)
parser:option("--jobs", "How many jobs.", 100000):convert(example.whole)
parser:option("--kills", "How many workers are killed.", 10):convert(example.whole)
parser:flag("--worker", "Be a worker (the first process starts them)."):hidden(true)
local options = parser:parse()

local arena <close> = example.check(shm.arena("/shm_jobs", "1M", { owned = not options.worker }))
local jobs = example.check(arena:channel("jobs", "64K"))
local results = example.check(arena:channel("results", "64K"))

-- A worker's share: how many steps the Collatz sequence of a number has.
local function steps_of(number)
  local steps = 0
  while number ~= 1 do
    number = number % 2 == 0 and number // 2 or 3 * number + 1
    steps = steps + 1
  end
  return steps
end

local function work()
  while true do
    local job, _, code = jobs:peek "u32"
    if code == "EPIPE" then return end
    local number = example.check(job)[1]
    results:send { job = number, steps = steps_of(number), worker = uv.os_getpid() }
    jobs:release()
  end
end

local workers, killed, finished = {}, 0, false

local function start_worker()
  local handle, pid
  handle, pid = uv.spawn(example.interpreter, { args = { arg[0], "--worker" }, stdio = { nil, 1, 2 } },
    function(_, signal)
      workers[pid] = nil
      handle:close()
      if signal == 9 and not finished then start_worker() end
    end)
  example.check(handle, "cannot start a worker")
  workers[pid] = true
end

local function kill_one()
  local pid = next(workers)
  if pid then
    uv.kill(pid, "sigkill")
    killed = killed + 1
  end
end

-- Sends jobs and receives results, and kills a worker now and then.
local function run()
  for _ = 1, options.workers do start_worker() end
  local sent, done, twice, by = 0, 0, 0, {}
  local results_of = {}
  while done < options.jobs do
    while sent < options.jobs do
      local job = jobs:reserve(1, "u32", 0)
      if not job then break end
      sent = sent + 1
      job[1] = sent
      jobs:commit()
    end
    local result = results:receive(0.05)
    if result then
      if results_of[result.job] then twice = twice + 1 else done = done + 1 end
      results_of[result.job] = result.steps
      by[result.worker] = (by[result.worker] or 0) + 1
      if killed < options.kills and done >= (killed + 1) * options.jobs // (options.kills + 1) then kill_one() end
    end
    uv.run("nowait")
  end
  finished = true
  jobs:finish()
  uv.run()
  local hands = 0
  for _ in pairs(by) do hands = hands + 1 end
  print(("%d jobs, %d results of %d workers; %d workers were killed, %d results came twice"):format(
    options.jobs, done, hands, killed, twice))
end

if options.worker then work() else run() end
