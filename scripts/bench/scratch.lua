-- scratch.lua: a folder of its own in /tmp, for servers and files; closing it removes it.

local scratch = { __close = function(self) os.execute("rm -rf " .. self.path) end }

return function()
  local process <close> = assert(io.popen("mktemp -d /tmp/shm-bench-XXXXXX"))
  return setmetatable({ path = process:read("l") }, scratch)
end
