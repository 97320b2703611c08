-- dict.lua: what a get and a set of a dict cost, as ratios to the least that a shared table can be,
-- in C and behind calls from Lua, in the same run: from one process and four, with few keys and
-- many; what a scan costs the others; what an entry needs. `make bench` runs it; with an argument,
-- it runs the rows that have it in their names, with a second one, so many rounds of them. Touches
-- anonymous memory only, and processes of its own.
local shm = require "shm"
local channels = require "channels"
local tables = require "tables"
local bench = require "scripts.bench.bench"

-- ---- contests ----

local only, most = arg[1], math.tointeger(arg[2])

local function wanted(what) return not only or what:find(only, 1, true) end

local function throughputs(contest)
  if not wanted(contest.what) then return end
  contest.rounds = most or contest.rounds or 11
  bench.compare_throughputs(contest)
end

-- Seconds that n operations take, which so many processes share, each from another key on; it has
-- done some before. Runs are run(first, n). They are the processor's, of the process that needed
-- most, since whatever else runs on the machine is not to count; nobody here sleeps but for locks.
local function racing(run, processes, keys, watch)
  local runs, warm = {}, keys // processes // 2
  for i = 1, processes do
    local first = keys // processes * (i - 1)
    runs[i] = function(n) run(first, n) end
  end
  return function(n)
    n = n // processes
    local wall, _, cpu = channels.race(runs, math.max(warm, n // 4), n, watch, watch and 1 or 0)
    return os.getenv("WALL") and wall or cpu
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

-- ---- those who are compared, with so many keys ----

local function contestants(count)
  local size = math.max(1 << 20, count * 128) -- bytes: a dict that is half full
  local arena = assert(shm.arena(nil, size + (1 << 20)))
  local bare, in_c = tables.bare(count), tables.dict(count, size)
  local dict = assert(arena:dict("dict", size))
  local keys, values = tables.keys(count)
  for _, t in ipairs { bare, in_c } do t:sets(0, count) end
  setting(dict, keys, values)(0, count)
  local function in_loops(t)
    return { get = function(first, n) t:gets(first, n) end,
      set = function(first, n) t:sets(first, n) end }
  end
  local function in_lua(t) return { get = getting(t, keys), set = setting(t, keys, values) } end
  return { bare = in_loops(bare), called = in_lua(bare), in_c = in_loops(in_c), ours = in_lua(dict),
    dict = dict, count = count, arena = arena }
end

-- ---- get and set ----

-- `reach`: millions a second that the issue asks for, beside what a bare table behind calls has
-- reached there; the ratio of the two is the target.
local function compare(all, what, how, processes, operations, reach, called)
  local function contest(kind, ours, limit, target)
    throughputs { what = ("%s, %s %s"):format(how, what, kind), ours = ours, limit = limit,
      target = target, count = operations, rounds = (all.count > 10000 or not target) and 5 }
  end
  local function race(t) return racing(t[how], processes, all.count) end
  contest("/ bare, Lua", race(all.ours), race(all.called), reach / called)
  contest("/ goal", race(all.ours), bench.bound(1e-6 / reach), 1)
  contest("/ bare, C", race(all.in_c), race(all.bare))
end

local function bench_few()
  local all = contestants(1000)
  compare(all, "1 x 1K", "get", 1, 400000, 8, 9.8)
  compare(all, "1 x 1K", "set", 1, 400000, 7, 11.5)
  compare(all, "4 x 1K", "get", 4, 1600000, 28, 38.8)
  compare(all, "4 x 1K", "set", 4, 1600000, 14, 24.8)
  throughputs { what = "get, 4 x 1K / 1 x 1K", target = 3.5, count = 400000,
    ours = racing(all.ours.get, 4, 1000), limit = racing(all.ours.get, 1, 1000) }
end

local function bench_many()
  local all = contestants(1000000)
  compare(all, "4 x 1M", "get", 4, 1000000, 5.5, 6.7)
  compare(all, "4 x 1M", "set", 4, 1000000, 4, 7.0)
  for _, name in ipairs { "ours", "called" } do
    throughputs { what = name == "ours" and "get, 4 x 1M / 1 x 1M" or "bare, Lua, 4 x 1M / 1 x 1M",
      target = name == "ours" and 3.5 or nil, count = 1000000, rounds = 5,
      ours = racing(all[name].get, 4, all.count), limit = racing(all[name].get, 1, all.count) }
  end

  local dict = all.dict
  local function scan(times)
    local cursor = 0
    for _ = 1, times do cursor = dict:scan(cursor, 1000) end
  end
  for _, how in ipairs { "get", "set" } do
    throughputs { what = ("%s beside a scan of 1M / alone"):format(how), target = 0.9,
      count = 750000, rounds = 5, ours = racing(all.ours[how], 3, all.count, scan),
      limit = racing(all.ours[how], 3, all.count) }
  end
end

-- ---- memory ----

-- What entries of a full dict need beside their keys and values: 64 bytes and an eighth of what
-- they use. All of a dict, with what belongs to none of them, is for information.
local function bench_memory()
  local size <const> = 1 << 24
  for _, length in ipairs { 0, 8, 40, 100, 1000, 10000 } do
    local what = ("beside 16 B + %d B"):format(length)
    if wanted(what) then
      local arena <close> = assert(shm.arena(nil, size + (1 << 20)))
      local dict, value, count = assert(arena:dict("dict", size)), ("x"):rep(length), 0
      while dict:safe_set(("key:%012d"):format(count), value) do count = count + 1 end
      local used = dict:stat().used / count
      bench.print_bytes(what, used - 16 - length, 64 + used / 8,
        ("all of a full dict: %.1f B"):format(size / count - 16 - length))
    end
  end
end

io.stdout:setvbuf("line")
bench.print_machine()
print("method   medians of 5 to 11 rounds in turns (quartiles of the ratio); keys of 16 bytes, in")
print("         random order, values of 8; each process has a core of its own and has warmed up;")
print("         seconds are the processor's, of the process that needed most; bare is a C table")
print("         with a seqlock in each entry, which is all it has")
print()
bench.print_header()
bench_few()
bench_many()
bench_memory()
