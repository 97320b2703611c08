-- counter.lua: several processes add to one counter, and nothing is lost: the total is exact.
-- --plain shows why that needs an atomic operation: v[1] = v[1] + 1 loses what others add meanwhile.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("Several processes count together.")
parser:option("--processes", "How many processes count.", 4):convert(example.whole)
parser:option("--count", "How often each of them adds 1.", 1000000):convert(example.whole)
parser:flag("--plain", "Read and write instead of fetch_add, and lose counts.")
parser:option("--worker", "Be a process that counts (the first starts them)."):hidden(true)
local options = parser:parse()

if options.worker then
  local counter = example.check(shm.attach(options.worker)):view "u64"
  for _ = 1, options.count do
    if options.plain then counter[1] = counter[1] + 1 else counter:fetch_add(1, 1) end
  end
else
  local segment <close> = example.check(shm.create("/shm_counter", 8, { owned = true }))
  local counter = segment:view "u64"
  example.run_workers(options.processes, "--worker", "/shm_counter", "--count", options.count,
    options.plain and "--plain" or nil)
  local expected = options.processes * options.count
  print(("%d processes counted to %d of %d%s"):format(options.processes, counter:load(1), expected,
    counter:load(1) == expected and "" or ": some counts are lost"))
end
