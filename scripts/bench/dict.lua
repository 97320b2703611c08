-- dict.lua: what a get and a set of a dict cost beside the least that a shared table can be, in C
-- and behind calls from Lua, and beside what others share: by processes and by keys; what a scan
-- costs the others; what an entry needs. `make bench` runs it; with an argument, the races that have
-- it in their headings. Touches anonymous memory, processes of its own, and a folder in /tmp.
local shm = require "shm"
local channels = require "channels"
local tables = require "tables"
local bench = require "scripts.bench.bench"
local peers = require "scripts.bench.dict_peers"
local scratch = require "scripts.bench.scratch"

local many <const> = 1000000

-- Seconds that n operations take, which so many processes share, each from another key on; it has
-- done some before. Runs are run(first, n). All contestants are timed by the clock on the wall, from
-- the beginning of the first process to the end of the last; they have a core each, where there are
-- enough. `watch` runs beside them; `served`: the memory is a server's, which has all its pages.
local function racing(run, processes, keys, watch, served)
  local runs, warm = {}, served and 0 or math.min(keys // processes // 2, 60000) -- most pages, then
  for i = 1, processes do
    local first = keys // processes * (i - 1)
    runs[i] = function(n) run(first, n) end
  end
  return function(n)
    n = math.max(n // processes, 1)
    local wall = channels.race(runs, math.max(warm, n // 4), n, watch, watch and 1 or 0)
    return wall
  end
end

-- ---- from Lua ----

-- The keys in turn from first + 1 on, and again; the loop costs as little as one can.
local function getting(t, keys)
  return function(first, n)
    while n > 0 do
      local last = math.min(first + n, #keys)
      for i = first + 1, last do t:get(keys[i]) end
      n, first = n - (last - first), 0
    end
  end
end

local function setting(t, keys, values)
  return function(first, n)
    while n > 0 do
      local last = math.min(first + n, #keys)
      for i = first + 1, last do t:set(keys[i], values[i & 255 | 1]) end
      n, first = n - (last - first), 0
    end
  end
end

-- ---- tables with so many keys, made when they are wanted, until they are closed ----

local made = {}

local function in_loops(t, at_once)
  return { get = function(first, n) t:gets(first, n, at_once) end,
    set = function(first, n) t:sets(first, n, at_once) end }
end

function made.keys_and_values(all) return { tables.keys(all.count) } end

function made.ours(all)
  local size = math.max(1 << 20, all.count * 128) -- bytes: a dict that is half full
  all.arena = assert(shm.arena(nil, size + (1 << 20)))
  all.dict = assert(all.arena:dict("dict", size))
  local keys, values = table.unpack(all.keys_and_values)
  local set = setting(all.dict, keys, values)
  set(0, all.count)
  return { get = getting(all.dict, keys), set = set }
end

function made.ours_in_c(all)
  local t = tables.dict(all.count, math.max(1 << 20, all.count * 128))
  t:sets(0, all.count)
  return in_loops(t)
end

function made.bare_table(all)
  local t = tables.bare(all.count)
  t:sets(0, all.count)
  return t
end

function made.bare(all) return in_loops(all.bare_table) end

function made.called(all)
  local keys, values = table.unpack(all.keys_and_values)
  return { get = getting(all.bare_table, keys), set = setting(all.bare_table, keys, values) }
end

function made.lmdb(all)
  local t = peers.lmdb(all.folder, all.count)
  return t and in_loops(t)
end

function made.redis_server(all) return peers.redis(all.folder, all.count) or false end

function made.redis(all) return all.redis_server and in_loops(all.redis_server, 1) end

function made.redis_by_100(all) return all.redis_server and in_loops(all.redis_server, 100) end

local function stop(all)
  local server = rawget(all, "redis_server")
  if server then server:stop() end
end

local function make(all, name)
  all[name] = made[name](all) or false
  return all[name]
end

local function tables_of(count, folder)
  return setmetatable({ count = count, folder = folder }, { __index = make, __close = stop })
end

-- ---- get and set ----

-- What LMDB and Redis do is done by C; each operation is a transaction, or a request.
local parts <const> = { get = { lmdb = 8, redis = 200, by_100 = 20, apcu = 8, nginx = 8 },
  set = { lmdb = 100, redis = 200, by_100 = 20, apcu = 8, nginx = 8 } }

-- Appends the contestants; `rare`: the others take part, where peers are asked for.
local function contest(race, all, how, processes, asks, rare)
  local part, count, folder = parts[how], all.count, all.folder
  race.unit, race.sample = "op/s", bench.elsewhere
  local function add(name, table_name, p)
    p = p or {}
    p[1], p.new = name, function()
      return all[table_name] and racing(all[table_name][how], processes, count, nil, p.served)
    end
    race[#race + 1] = p
  end
  add("dict", "ours", { asks = asks })
  add("dict, C", "ours_in_c", { is = "ours" })
  add("bare table, C", "bare", { is = "limit" })
  add("bare table behind calls", "called", { is = "floor" })
  if rare then
    add("LMDB, C", "lmdb", { needs = "liblmdb-dev", part = part.lmdb, rare = true })
    add("Redis, C", "redis",
      { needs = "redis-tools", part = part.redis, rare = true, served = true })
    add("Redis, by 100, C", "redis_by_100",
      { needs = "redis-tools", part = part.by_100, rare = true, served = true })
    race[#race + 1] = { "APCu", needs = "php-apcu", part = part.apcu, rare = true,
      new = peers.apcu(how, processes, count) }
    race[#race + 1] = { "ngx.shared.DICT", needs = "libnginx-mod-http-lua", part = part.nginx,
      rare = true, new = peers.nginx(folder, how, processes, count) }
  end
  bench.race(race)
end

-- What is asked: operations a second, and a share of what a bare table behind calls does; the latter
-- is what the former was beside the machine that they were asked for.
local function asking(goal, share)
  return { { least = goal }, { "bare table behind calls", least = share } }
end

local asked <const> = {
  [1000] = { get = { [1] = asking(8e6, 0.816), [4] = asking(28e6, 0.722) },
    set = { [1] = asking(7e6, 0.609), [4] = asking(14e6, 0.565) } },
  [many] = { get = { [4] = asking(5.5e6, 0.821) }, set = { [4] = asking(4e6, 0.571) } },
}

-- 1000000 --> "1,000,000"
local function grouped(n)
  local groups = tostring(n):reverse():gsub("%d%d%d", "%0,"):reverse()
  return (groups:gsub("^,", ""))
end

local function race_processes(all)
  local few = all.count < many
  for _, how in ipairs { "get", "set" } do
    for _, processes in ipairs { 1, 2, 4, 8 } do
      contest({ x = processes, at = processes .. " at once",
        work = ("dict %s by processes, %s keys"):format(how, grouped(all.count)), rounds = few and 7 or 5,
        count = (few and 200000 or 60000) * processes }, all, how, processes,
        asked[all.count][how][processes], few or processes == 4)
    end
  end
end

local function race_keys(all)
  contest({ work = "dict get by keys", at = grouped(all.count) .. " keys", x = all.count,
    rounds = all.count < many and 9 or 5, count = 200000 }, all, "get", 1, nil, true)
end

-- ---- four beside one ----

local function race_scaling(all)
  local function of(name, processes)
    return function() return racing(all[name].get, processes, all.count) end
  end
  bench.race { work = "scaling of dict gets", at = grouped(all.count) .. " keys", unit = "op/s",
    sample = bench.elsewhere, rounds = all.count < many and 9 or 5, count = 400000,
    { "dict, 4 at once", new = of("ours", 4), asks = { { "dict, 1", least = 3.5 } } },
    { "dict, 1", new = of("ours", 1), is = "ours" },
    { "bare behind calls, 4 at once", new = of("called", 4), is = "floor",
      asks = { { "bare behind calls, 1", least = 3.5 } } },
    { "bare behind calls, 1", new = of("called", 1), is = "floor" } }
end

-- ---- beside a scan ----

local function race_scan(all)
  local function scan(times)
    local cursor = 0
    for _ = 1, times do cursor = all.dict:scan(cursor, 1000) end
  end
  for _, how in ipairs { "get", "set" } do
    bench.race { work = ("dict %s by 3 beside a scan"):format(how), rounds = 5, count = 240000,
      at = grouped(all.count) .. " keys", unit = "op/s", sample = bench.elsewhere,
      { "beside a scan", asks = { { "alone", least = 0.9 } },
        new = function() return racing(all.ours[how], 3, all.count, scan) end },
      { "alone", is = "ours", new = function() return racing(all.ours[how], 3, all.count) end } }
  end
end

-- ---- memory ----

-- What entries of a full dict need beside their keys and values: 64 bytes and an eighth of what
-- they use. All of a dict, with what belongs to none of them, is for information.
local function race_memory()
  local size <const> = 1 << 24
  for _, length in ipairs { 0, 8, 40, 100, 1000, 10000 } do
    local work, at = "memory of an entry beside its data", ("16 B + %d B"):format(length)
    if bench.wanted(work, at) then
      local arena <close> = assert(shm.arena(nil, size + (1 << 20)))
      local dict, value, count = assert(arena:dict("dict", size)), ("x"):rep(length), 0
      while dict:safe_set(("key:%012d"):format(count), value) do count = count + 1 end
      local used = dict:stat().used / count
      bench.race { work = work, at = at, x = length, unit = "B", rounds = 1, count = 1,
        { "used", function() return used - 16 - length end, asks = { { most = 64 + used / 8 } } },
        { "all of a full dict", function() return size / count - 16 - length end, is = "ours" } }
    end
  end
end

bench.begin [[medians of 5 to 9 rounds in turns; keys of 16 bytes, in random order, values of 8;
  each process has a core of its own, where there are enough, and has warmed up;
  bare is a C table with a seqlock in each entry, which is all it has]]
local folder <close> = scratch()
for _, count in ipairs { 10, 1000, 100000, many } do
  local all <close> = tables_of(count, folder.path)
  race_keys(all)
  if asked[count] then
    race_processes(all)
    race_scaling(all)
  end
  if count == many then race_scan(all) end
end
race_memory()
