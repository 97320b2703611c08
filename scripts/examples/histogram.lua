-- histogram.lua: several processes fill one shared array, and the parent draws it as text bars.
-- Each worker throws dice; element i of the array counts the throws that came to i.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("Several processes fill a histogram.")
parser:option("--processes", "How many processes throw dice.", 4):convert(example.whole)
parser:option("--throws", "How often each of them throws.", 200000):convert(example.whole)
parser:option("--dice", "How many dice a throw has.", 3):convert(example.whole)
parser:option("--worker", "Be a process that throws (the first starts them)."):hidden(true)
local options = parser:parse()
local sums <const> = 6 * options.dice

local function throw()
  local sum = 0
  for _ = 1, options.dice do sum = sum + math.random(6) end
  return sum
end

if options.worker then
  local bars = example.check(shm.attach(options.worker)):view "u32"
  for _ = 1, options.throws do bars:fetch_add(throw(), 1) end
else
  local segment <close> = example.check(shm.create("/shm_histogram", 4 * sums, { owned = true }))
  local bars = segment:view "u32"
  example.run_workers(options.processes, "--worker", "/shm_histogram", "--throws", options.throws,
    "--dice", options.dice)
  local most = bars:max()
  for sum = options.dice, sums do
    print(("%3d %8d %s"):format(sum, bars[sum], ("#"):rep(bars[sum] * 60 // most)))
  end
  print(("%d throws of %d processes"):format(bars:sum(), options.processes))
end
