-- create_once.lua: creates a segment that must not exist yet. It works once.
-- Reimplements the example of ftok and IPC_CREAT | IPC_EXCL of "System V IPC" (document 1).
-- Corrects: the original ftok fails unnoticed where its file is missing (here the file is the
-- script itself, or --path); and it does not say how to get rid of the segment.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("Creates a segment; the second time it exists already.")
parser:option("--path", "The file that ftok makes the key of.", arg[0])
local options = parser:parse()

local key = example.check(shm.ftok(options.path, 0x14))
local segment <close> = example.check(shm.create(key, 4096))
print(("shmget success, key: 0x%08x, shmId: %d"):format(key & 0xffffffff, segment:stat().id))
print("It stays when this process ends. Run this again to see it refused.")
