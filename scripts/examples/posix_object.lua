-- posix_object.lua: two processes meet in the POSIX shared memory object "/shm_example".
-- Reimplements what "the POSIX way" of document 0 teaches: shm_open, mmap, munmap, shm_unlink.
-- Corrects: no -lrt is needed any more; the object has its size before anybody can see it.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("Two processes exchange a line through a POSIX object.")
parser:flag("--child", "Be the second process (the first starts it).")
local options = parser:parse()
local question, answer = 0, 256 -- offsets

if options.child then
  local segment <close> = example.check(shm.attach("/shm_example"))
  segment:write(segment:cstring(question):upper() .. "\0", answer)
else
  -- shm_open, ftruncate and mmap; shm_unlink and munmap when it is closed
  local segment <close> = example.check(shm.create("/shm_example", 4096, { owned = true }))
  print("created  " .. tostring(segment))
  segment:write("hello from one process\0", question)
  print("wrote    " .. segment:cstring(question))
  example.check(os.execute(('"%s" "%s" --child'):format(example.interpreter, arg[0])), "the child failed")
  print("answered " .. segment:cstring(answer))
end
