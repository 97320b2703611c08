-- crowd.lua: what several processes do at once, each on a core of its own where there are enough:
-- for a time, and how often they did it is counted. All are timed by the clock on the wall. Touches
-- processes.
local locks = require "locks"
local outside = require "scripts.bench.outside"

local crowd = { seconds = 0.02 }

-- A contestant, for a race whose count is 1: so many processes call run(n), which does n of them.
function crowd.of(run, processes)
  return function() return locks.race(run, processes, crowd.seconds) end
end

-- The same of Python: `work` defines make(), of which all get what it returns, and run(it, n).
local python <const> = [[
import multiprocessing, os, sys, time
%s
def racer(number, made, barrier, go, stop, done, ends):
    cores = sorted(os.sched_getaffinity(0))
    if processes <= len(cores): os.sched_setaffinity(0, {cores[number]})
    run(made, 100)
    barrier.wait()
    while not go.value: pass
    count = 0
    while not stop.value:
        run(made, 100)
        count += 100
    ends[number] = time.perf_counter()
    done[number] = count
processes, seconds = int(sys.argv[1]), float(sys.argv[2])
context = multiprocessing.get_context("fork")
made, barrier = make(context), context.Barrier(processes + 1)
go, stop = context.RawValue("b", 0), context.RawValue("b", 0)
done, ends = context.RawArray("q", processes), context.RawArray("d", processes)
racers = [context.Process(target=racer, args=(i, made, barrier, go, stop, done, ends))
          for i in range(processes)]
for process in racers: process.start()
barrier.wait()
start = time.perf_counter()
go.value = 1
time.sleep(seconds)
stop.value = 1
for process in racers: process.join()
print((max(ends) - start) / sum(done))
]]

-- What finds out whether it is there, as that of outside.lua.
function crowd.python(work, processes)
  return outside("python3", python:format(work), processes, crowd.seconds)
end

return crowd
