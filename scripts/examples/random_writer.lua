-- random_writer.lua: each second, a random number from 0 to 999 into shared memory.
-- Reimplements a.c of "create, attach, use, detach, remove" (document 3).
-- Corrects: the original gives no mode bits, so that only root could attach (here 0600); goes on
-- after a failed shmget; and leaves its segment behind (here it goes with the writer that made it).
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local options = example.parser("Writes random numbers; random_reader.lua reads them.", true):parse()

local segment <close> = example.check(shm.open(1234, shm.limits().page_size, { owned = true }))
for _ in example.steps(options) do
  local number = math.random(0, 999)
  segment:write(string.pack("i4", number)) -- an int32 at offset 0, as C has it
  print("write a random number " .. number)
end
