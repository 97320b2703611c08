-- cache.lua: workers share a cache of an expensive function. Who misses makes the value, while the others who want the
-- same one wait for it and do not make it, too: d:fetch(key, seconds, generator). All of them start with an empty cache
-- and want the same keys first, which is when caches without that make everything as often as there are workers.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("Several workers share a cache of an expensive function.")
parser:option("--workers", "How many workers there are.", 4):convert(example.whole)
parser:option("--keys", "How many different values they want.", 20):convert(example.whole)
parser:option("--lookups", "How often each worker looks one up.", 100000):convert(example.whole)
parser:flag("--worker", "Be a worker (the first process starts them)."):hidden(true)
local options = parser:parse()

local arena <close> = example.check(shm.arena("/shm_cache", "4M", { owned = not options.worker }))
local cache = example.check(arena:dict("cache", "1M"))
local counts = example.check(arena:dict("counts", "64K"))

-- The expensive function: how many primes there are up to a number, and the largest of them.
local function primes_up_to(number)
  local count, largest = 0, nil
  for candidate = 2, number do
    local divisor = 2
    while divisor * divisor <= candidate and candidate % divisor ~= 0 do divisor = divisor + 1 end
    if divisor * divisor > candidate then count, largest = count + 1, candidate end
  end
  return { count = count, largest = largest }
end

local function generate(key)
  counts:incr(key, 1, 0) -- so that we see how often it was called
  return primes_up_to(key)
end

local function work()
  for lookup = 1, options.lookups do
    local number = 1000 * (1 + lookup % math.max(1, options.keys))
    local primes = example.check(cache:fetch(number, 3600, generate))
    if primes.largest > number then error "that is no answer" end
  end
end

local function show()
  local made, most = 0, 0
  for _, times in pairs(counts) do
    made, most = made + times, math.max(most, times)
  end
  local stat = cache:stat()
  print(("%d workers looked up %d values: %d hits, %d misses (of which some waited for another's value)"):format(
    options.workers, options.workers * options.lookups, stat.hits, stat.misses))
  print(("%d keys, made %d times: each at most %d time%s"):format(stat.entries, made, most, most == 1 and "" or "s"))
  local number = 1000 * options.keys
  local primes = cache:get(number)
  if not primes then return end
  print(("up to %d there are %d primes, the largest is %d"):format(number, primes.count, primes.largest))
end

if options.worker then
  work()
else
  example.run_workers(options.workers, "--worker", "--lookups", options.lookups, "--keys", options.keys)
  show()
end
