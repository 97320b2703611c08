-- dict_peers.lua: the tables that others share, for dict.lua: LMDB, Redis, PHP's APCu, nginx with its
-- Lua module. Touches a folder that it is given, and servers that it starts and stops.
local nginx = require "scripts.bench.nginx"
local outside = require "scripts.bench.outside"

local peers = {}

-- ---- those that are asked from C: objects as those of tables.c ----

-- A new one that has so many keys; nil: it is not there.
function peers.lmdb(folder, count)
  local found, new = pcall(require, "lmdb")
  if not found then return nil end
  local path = ("%s/lmdb-%d"):format(folder, count)
  os.execute("mkdir " .. path)
  return new(count, path)
end

function peers.redis(folder, count) return require "redis"(count, folder) end

-- ---- those that have an interpreter: what makes a contestant, which makes all keys each time ----

-- A process writes when it has begun and ended.
local php <const> = [[<?php
[, $how, $processes, $count, $n] = $argv;
$keys = [];
for ($i = 0; $i < $count; $i++) $keys[] = sprintf("key:%012d", $i);
mt_srand(1);
shuffle($keys);
foreach ($keys as $i => $key) apcu_store($key, sprintf("value%03d", $i & 255)) or exit(1);
apcu_store("ready", 0);
function work($how, $keys, $count, $at, $value, $n) {
    if ($how == "get") for (; $n > 0; $n--) {
        if ($at >= $count) $at = 0;
        apcu_fetch($keys[$at++]);
    } else for (; $n > 0; $n--) {
        if ($at >= $count) $at = 0;
        apcu_store($keys[$at++], $value);
    }
}
for ($p = 0; $p < $processes; $p++) {
    if (pcntl_fork() != 0) continue;
    $at = intdiv($count, $processes) * $p;
    $value = sprintf("value%03d", $p);
    $n = intdiv($n, $processes);
    $warm = max(intdiv($n, 4), min(intdiv($count, $processes * 2), 60000)); // its pages are there
    work($how, $keys, $count, $at, $value, $warm);
    apcu_inc("ready");
    while (apcu_fetch("ready") < $processes) usleep(50); // who reads keeps off who writes
    $start = hrtime(true);
    work($how, $keys, $count, $at, $value, $n);
    apcu_store("time $p", [$start, hrtime(true)]);
    posix_kill(getmypid(), SIGKILL);
}
while (pcntl_wait($status) > 0);
$times = [];
for ($p = 0; $p < $processes; $p++) $times[] = apcu_fetch("time $p");
echo (max(array_column($times, 1)) - min(array_column($times, 0))) / 1e9;
]]

function peers.apcu(how, processes, count)
  local options = " -d apc.enable_cli=1 -d apc.shm_size=384M -d apc.entries_hint=" .. count
  return outside("php" .. options, php, how, processes, count)
end

local lua <const> = [[
    local how, count = "%s", %d
    local keys, value, random = {}, "value00" .. id, 1
    for i = 1, count do
      random = (random * 16807) %% 2147483647
      local place = random %% i + 1
      keys[i] = keys[place]
      keys[place] = ("key:%%012d"):format(i)
    end
    if id == 0 then for i = 1, count do assert(cache:set(keys[i], value)) end end
    local at = math.floor(count / processes) * id
    least = math.min(math.floor(count / processes / 2), 60000) -- its pages are there then
    local function get(n) for _ = 1, n do at = at %% count + 1 cache:get(keys[at]) end end
    local function set(n) for _ = 1, n do at = at %% count + 1 cache:set(keys[at], value) end end
    local work = how == "get" and get or set]]

function peers.nginx(folder, how, processes, count)
  local script = lua:format(how, count)
  return function()
    if not nginx(folder, script, processes, 1000) then return nil end
    return function(n) return assert(nginx(folder, script, processes, n), "nginx has failed") end
  end
end

return peers
