-- nginx.lua: nginx with its Lua module, which shares dictionaries between its workers. They measure
-- before they would serve anything. Touches a folder that it is given, and a server that it starts
-- and stops.

local config <const> = [[
load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;
user root;
daemon off;
worker_processes %d;
worker_cpu_affinity auto;
pid nginx.pid;
error_log error.log;
events {}
http {
  lua_shared_dict cache 256m;
  lua_shared_dict course 1m;
  access_log off;
  init_worker_by_lua_block {
    local processes, n, least = %d, %d, 0
    local id, cache, course = ngx.worker.id(), ngx.shared.cache, ngx.shared.course
    local ffi = require "ffi"
    ffi.cdef "int clock_gettime(int, long *);"
    local function now()
      local time = ffi.new "long[2]"
      ffi.C.clock_gettime(1, time)
      return tonumber(time[0]) + tonumber(time[1]) * 1e-9
    end
    local function meet(name)
      course:incr(name, 1, 0)
      while course:get(name) < processes do end
    end
    %s
    meet "filled"
    work(math.max(math.ceil(n / processes / 4), least))
    meet "warm"
    local start = now()
    work(math.ceil(n / processes))
    meet "done"
    if id == 0 then
      local file = io.open("seconds.part", "w")
      file:write(now() - start)
      file:close()
      os.rename("seconds.part", "seconds")
    end
  }
}
]]

-- Seconds that n operations take, which so many workers share, or nil: it is not there. `script`
-- defines work(n) for the worker `id`, with the dictionary `cache`.
local function nginx(folder, script, processes, n)
  local file <close> = assert(io.open(folder .. "/nginx.conf", "w"))
  file:write(config:format(processes, processes, n, script))
  file:flush()
  local command = ("cd %s && rm -f seconds && { nginx -p %s -c nginx.conf -e error.log 2>/dev/null &"
    .. " server=$!; for i in $(seq 1500); do [ -f seconds ] && break; kill -0 $server 2>/dev/null"
    .. " || break; sleep 0.02; done; kill $server 2>/dev/null; wait $server;"
    .. " cat seconds 2>/dev/null; }"):format(folder, folder)
  local process <close> = assert(io.popen(command))
  return process:read("n")
end

return nginx
