-- letters_client.lua: each second, prints the string that letters_server.lua makes.
-- Reimplements comm.h, comm.cpp and client.cpp of "shared memory" (document 4).
-- Corrects: the original calls shmget with IPC_CREAT and size 0, which is EINVAL where there is no
-- server; here that is said. It ends when the server has gone.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local options = example.parser("Prints the string that letters_server.lua makes.", true, "letters_server.lua"):parse()

local key = example.check(shm.ftok("/tmp", 0x66))
local segment <close> = example.check(shm.attach(key, { readonly = true }))
for _ in example.steps(options) do
  print(segment:cstring())
  if example.check(segment:stat()).removed then
    print("the server has gone")
    break
  end
end
