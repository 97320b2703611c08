-- dict_peers.lua: gets and sets of a dict beside those of what else Debian has: LMDB, Redis, PHP's
-- APCu, nginx with its Lua module. `make bench-peers` runs it; an argument takes the rows that have
-- it in their names. Touches a folder of its own in /tmp, and servers that it starts and stops.
local shm = require "shm"
local baseline = require "baseline"
local channels = require "channels"
local tables = require "tables"
local bench = require "scripts.bench.bench"

local only = arg[1]

local function run(command)
  local process <close> = assert(io.popen(command))
  return process:read("a")
end

local folder = run("mktemp -d /tmp/shm-bench-XXXXXX"):match("%S+")

local function write(name, text)
  local file <close> = assert(io.open(folder .. "/" .. name, "w"))
  file:write(text)
  return folder .. "/" .. name
end

-- ---- a script for each that has an interpreter: prints the seconds of the slowest process ----

local php <const> = [[<?php
[, $how, $processes, $count, $n] = $argv;
$keys = [];
for ($i = 0; $i < $count; $i++) $keys[] = sprintf("key:%012d", $i);
mt_srand(1);
shuffle($keys);
foreach ($keys as $i => $key) apcu_store($key, sprintf("value%03d", $i & 255)) or exit(1);
apcu_store("ready", 0);
for ($p = 0; $p < $processes; $p++) {
    if (pcntl_fork() != 0) continue;
    $at = intdiv($count, $processes) * $p;
    $value = sprintf("value%03d", $p);
    for ($round = 0; $round < 2; $round++) {
        $start = hrtime(true);
        for ($i = intdiv($n, $processes); $i > 0; $i--) {
            if ($at >= $count) $at = 0;
            if ($how == "get") apcu_fetch($keys[$at++]);
            else apcu_store($keys[$at++], $value);
        }
        if ($round == 0) {
            apcu_inc("ready");
            while (apcu_fetch("ready") < $processes);
        }
    }
    apcu_store("seconds $p", (hrtime(true) - $start) / 1e9);
    posix_kill(getmypid(), SIGKILL);
}
while (pcntl_wait($status) > 0);
$longest = 0;
for ($p = 0; $p < $processes; $p++) $longest = max($longest, apcu_fetch("seconds $p"));
echo $longest;
]]

-- Each worker measures before it would serve anything.
local nginx <const> = [[
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
  access_log off;
  init_worker_by_lua_block {
    local how, processes, count, n = "%s", %d, %d, %d
    local id, cache = ngx.worker.id(), ngx.shared.cache
    local function meet(name)
      cache:incr(name, 1, 0)
      while cache:get(name) < processes do end
    end
    local keys, value, random = {}, "value00" .. id, 1
    for i = 1, count do
      random = (random * 16807) %% 2147483647
      local place = random %% i + 1
      keys[i] = keys[place]
      keys[place] = ("key:%%012d"):format(i)
    end
    if id == 0 then for i = 1, count do assert(cache:set(keys[i], value)) end end
    meet("filled")
    local at = math.floor(count / processes) * id
    local function work()
      if how == "get" then
        for _ = 1, n / processes do at = at %% count + 1 cache:get(keys[at]) end
      else
        for _ = 1, n / processes do at = at %% count + 1 cache:set(keys[at], value) end
      end
    end
    work()
    meet("warm")
    ngx.update_time()
    local start = ngx.now()
    work()
    ngx.update_time()
    local seconds = ngx.now() - start
    if seconds >= (cache:get("seconds") or 0) then cache:set("seconds", seconds) end
    meet("done")
    if id == 0 then
      local file = io.open("%s/seconds.part", "w")
      file:write(cache:get("seconds"))
      file:close()
      os.rename("%s/seconds.part", "%s/seconds")
    end
  }
}
]]

local function time_php(how, processes, count, n)
  local script = write("apcu.php", php)
  return tonumber(run(("php -d apc.enable_cli=1 -d apc.shm_size=384M -d memory_limit=1G "
    .. "-d apc.entries_hint=%d %s %s %d %d %d 2>/dev/null"):format(count, script, how, processes,
    count, n)))
end

local function time_nginx(how, processes, count, n)
  local config = write("nginx.conf", nginx:format(processes, how, processes, count, n, folder, folder,
    folder))
  local command = ("cd %s && rm -f seconds && { nginx -p %s -c %s -e error.log 2>/dev/null & server=$!;"
    .. " for i in $(seq 600); do [ -f seconds ] && break; kill -0 $server 2>/dev/null || break;"
    .. " sleep 0.05; done; kill $server 2>/dev/null; wait $server; cat seconds 2>/dev/null; }")
    :format(folder, folder, config)
  return tonumber(run(command))
end

-- ---- those who are compared ----

-- Seconds that n operations take, which so many processes share: by the clock on the wall, as theirs.
local function racing(work, processes, keys)
  return function(n)
    local runs = {}
    for i = 1, processes do
      runs[i] = function(many) work(keys // processes * (i - 1), many) end
    end
    return (channels.race(runs, math.max(keys // processes // 2, n // processes // 4),
      n // processes))
  end
end

local function ours(count)
  local size = math.max(1 << 20, count * 128)
  local arena = assert(shm.arena(nil, size + (1 << 20)))
  local dict = assert(arena:dict("dict", size))
  local keys, values = tables.keys(count)
  for i, key in ipairs(keys) do assert(dict:set(key, values[i & 255 | 1])) end
  local function every(first, n, call)
    while n > 0 do
      local last = math.min(first + n, #keys)
      call(first + 1, last)
      n, first = n - (last - first), 0
    end
  end
  return {
    arena = arena,
    get = function(first, n)
      every(first, n, function(from, to) for i = from, to do dict:get(keys[i]) end end)
    end,
    set = function(first, n)
      every(first, n, function(from, to) for i = from, to do dict:set(keys[i], "value001") end end)
    end,
  }
end

local function in_loops(t)
  return { get = function(first, n) t:gets(first, n) end, set = function(first, n) t:sets(first, n) end,
    stop = function() if t.stop then t:stop() end end }
end

-- With `part`, they do so many times less than ours in about the same time.
local peers <const> = {
  { name = "LMDB in C", missing = "liblmdb-dev", part = { get = 2, set = 100 }, new = function(count)
    local found, new = pcall(require, "lmdb")
    os.execute(("rm -rf %s/lmdb && mkdir %s/lmdb"):format(folder, folder))
    return found and in_loops(new(count, folder .. "/lmdb"))
  end },
  { name = "Redis, by 100, in C", missing = "redis-server", part = { get = 10, set = 10 },
    new = function(count)
      local t = require "redis"(count, folder)
      return t and in_loops(t)
    end },
  { name = "APCu", missing = "php-cli php-apcu", part = { get = 2, set = 4 }, time = time_php },
  { name = "ngx.shared.DICT", missing = "libnginx-mod-http-lua", part = { get = 16, set = 16 },
    time = time_nginx },
}

-- How a peer does it: a function of how many; or nil.
local function limit_of(peer, there, how, processes, count)
  if there then return racing(there[how], processes, count) end
  if not peer.time or not peer.time(how, processes, count, 1000) then return nil end
  return function(n) return assert(peer.time(how, processes, count, n), peer.name) end
end

local function compare(processes, count, operations)
  local mine = ours(count)
  for _, peer in ipairs(peers) do
    local names = {}
    for _, how in ipairs { "get", "set" } do
      local size = count < 1000000 and "1K" or "1M"
      local what = ("%s, %d x %s / %s"):format(how, processes, size, peer.name)
      if not only or what:find(only, 1, true) then names[how] = what end
    end
    local there = next(names) and peer.new and peer.new(count)
    for how, what in pairs(names) do
      local limit, part = limit_of(peer, there, how, processes, count), peer.part[how]
      if limit then
        bench.compare_throughputs { what = what, count = operations, rounds = 3,
          ours = racing(mine[how], processes, count),
          limit = function(n) return limit(n // part) * part end }
      else
        bench.print_missing(what, "no " .. peer.missing)
      end
    end
    if there then there.stop() end
  end
end

io.stdout:setvbuf("line")
bench.print_machine()
print("method   medians of 3 rounds in turns (quartiles of the ratio); keys of 16 bytes, values of 8;")
print("         by the clock on the wall; processes x keys; ours is Lua, and the limit is the other")
print()
bench.print_header()
local start = baseline.now()
local finished, message = pcall(function()
  compare(1, 1000, 2000000)
  compare(4, 1000, 4000000)
  compare(4, 1000000, 2000000)
end)
os.execute("rm -rf " .. folder)
assert(finished, message)
print(("\n%.0f s"):format(baseline.now() - start))
