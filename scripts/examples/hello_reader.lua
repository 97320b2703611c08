-- hello_reader.lua: prints what hello_writer.lua wrote, and removes the segment.
-- Reimplements the read example of "shmget, shmat, shmdt, shmctl" (document 2).
-- Corrects: the original creates an empty segment where there is none, prints as far as a NUL may
-- be (here: to the end of the segment at most), and removes what it could not read.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
example.parser("Prints the text that hello_writer.lua wrote, and removes the segment.", false,
  "hello_writer.lua"):parse()

local segment <close> = example.check(shm.attach(13))
print("shm = " .. segment:cstring())
example.check(segment:remove())
print("delete shm success.")
