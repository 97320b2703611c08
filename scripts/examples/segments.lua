-- segments.lua: lists the shared memory of this machine, as `ipcs -m` and `ls /dev/shm` do.
-- Reimplements the use of ipcs and ipcrm in documents 1 and 2; --remove does what ipcrm does.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("Lists shared memory, or removes some.")
parser:option("--remove", "A key (0x0000000d), an id (id=4) or a name (/prices) to remove.")
  :argname("<name>"):count("*")
local options = parser:parse()

local function to_name(text)
  local id = text:match("^id=(%d+)$")
  if id then return { id = math.tointeger(id) } end
  return math.tointeger(tonumber(text)) or text
end

for _, text in ipairs(options.remove) do
  local called, done, message = pcall(shm.remove, to_name(text))
  example.check(called and done, called and message or done)
  print("removed " .. text)
end
if #options.remove > 0 then return end

local row = "%-28s %-10s %6s %6s %12s %6s  %s"
print(row:format("key or name", "id", "owner", "perms", "bytes", "nattch", "status"))
for _, stat in ipairs(example.check(shm.list())) do
  if stat.backing == "messages" then break end -- message queues, which come last, are no memory
  local name = stat.name or ("0x%08x"):format(stat.key & 0xffffffff)
  print(row:format(name, stat.id or "", stat.uid, stat.mode, stat.size, stat.nattch or "",
    stat.removed and "dest" or stat.locked and "locked" or ""))
end
