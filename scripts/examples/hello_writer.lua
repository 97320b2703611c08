-- hello_writer.lua: writes "I'm share memory" into the segment with key 13, for hello_reader.lua.
-- Reimplements the write example of "shmget, shmat, shmdt, shmctl" (document 2).
-- Corrects: the original goes on after a failed shmget; it writes without a look at the size.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
example.parser("Writes a text into shared memory; hello_reader.lua reads it."):parse()

-- 1. shmget and 2. shmat
local segment <close> = example.check(shm.open(13, 2048, { mode = "0666" }))
-- 3. write, with the NUL that ends a C string; 4. shmdt: <close> does it
segment:write("I'm share memory\0")
print("written into " .. tostring(segment))
