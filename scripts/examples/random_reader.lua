-- random_reader.lua: each second, prints the random number that random_writer.lua wrote last.
-- Reimplements b.c of "create, attach, use, detach, remove" (document 3).
-- Corrects: the original creates the segment where there is none; here the writer does, and the
-- reader, which only reads, attaches readonly and ends when the writer has gone.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local options = example.parser("Prints what random_writer.lua writes.", true, "random_writer.lua"):parse()

local segment <close> = example.check(shm.attach(1234, { readonly = true }))
for _ in example.steps(options) do
  print((string.unpack("i4", segment:read(4))))
  if example.check(segment:stat()).removed then
    print("the writer has gone")
    break
  end
end
