-- letters_server.lua: each second, one more 'A' in a string that letters_client.lua prints.
-- Reimplements comm.h, comm.cpp and server.cpp of "shared memory" (document 4).
-- Corrects: the original writes its NUL one byte past the end when the string is longest; never
-- reaches its own shmdt and IPC_RMID (here Ctrl-C does); and gives ftok the project 0x666, of
-- which it uses 0x66.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local options = example.parser("Writes a growing string; letters_client.lua prints it.", true):parse()

local size <const> = 4096
local key = example.check(shm.ftok("/tmp", 0x66))
-- Exclusive: a second server is refused. Owned: the name goes with this process.
local segment <close> = example.check(shm.create(key, size, { mode = "0644", owned = true }))
print("serving letters in " .. tostring(segment))
for step in example.steps(options) do
  local place = (step - 1) % (size - 1) -- the last byte is the longest string's NUL
  segment:write("A\0", place)
end
