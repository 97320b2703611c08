-- scale.lua: what the cost of an operation has to do with the size of what it does not touch:
-- channels beside the one in use, bytes of a segment, objects of an arena. In each race the largest
-- and the smallest are contestants, in turns. `make bench` runs it; with an argument, the races that
-- have it in their headings, with a second one, so many rounds of them. Touches up to 6 GiB of
-- memory of its own, which it removes, and processes of its own.
local shm = require "shm"
local baseline = require "baseline"
local channels = require "channels"
local bench = require "scripts.bench.bench"
local messages = require "scripts.bench.messages"
local letter <const>, racing = messages.letter, messages.racing

local needs <const> = "5 GiB of shared memory" -- what is not there, where something is not

-- Contestants of one name, one for each size; asks are put to the first, which is the largest.
local function sized(race, as, sizes, new, is)
  for i, size in ipairs(sizes) do
    race[#race + 1] = { as == "shm" and size.name or ("%s, %s"):format(size.name, as), as = as,
      x = size.x, new = function() return new(size) end, needs = needs, is = is or "ours",
      asks = i == 1 and as == "shm" and race.asks or nil }
  end
  return race
end

-- ---- channels ----

local ring <const> = 1 << 14 -- bytes
local counts <const> = { { x = 64, name = "64 channels" }, { x = 16, name = "16 channels" },
  { x = 4, name = "4 channels" }, { x = 1, name = "1 channel" } }

local function make_channels(n)
  local arena, made = assert(shm.arena(nil, "4M")), {}
  for i = 1, n do made[i] = messages.channel(arena, ring) end
  return made
end

-- Of there and back channels, the next pair each time.
local function exchange_around(size)
  local there, back, used = make_channels(size.x), make_channels(size.x), size.x
  return racing {
    function(n)
      for i = 1, n do
        local at = i % used + 1
        there[at]:send(letter)
        back[at]:receive()
      end
    end,
    function(n)
      for i = 1, n do
        local at = i % used + 1
        back[at]:send(there[at]:receive())
      end
    end }
end

local function stream_around(size)
  local all, used = make_channels(size.x), size.x
  return racing { function(n) for i = 1, n do all[i % used + 1]:send(letter) end end,
    function(n) for i = 1, n do all[i % used + 1]:receive() end end }
end

-- One of all, and the others are there.
local function exchange_beside(size)
  local all = make_channels(size.x + 1)
  local there, back = all[1], all[#all]
  return racing { function(n) for _ = 1, n do there:send(letter) back:receive() end end,
    function(n) for _ = 1, n do back:send(there:receive()) end end }
end

local function stream_beside(size)
  local one = make_channels(size.x)[size.x]
  return racing { messages.sending(one, letter), messages.receiving(one, letter) }
end

-- Bare rings, by a call each, too.
local function rings(n)
  local made = {}
  for i = 1, n do made[i] = channels.ring(#letter, ring) end
  return made
end

local function bare_exchange_around(size)
  local all, used = rings(size.x), size.x
  return racing { function(n) for i = 1, n do all[i % used + 1]:pings(1) end end,
    function(n) for i = 1, n do all[i % used + 1]:pongs(1) end end }
end

local function bare_stream_around(size)
  local all, used = rings(size.x), size.x
  return racing { function(n) for i = 1, n do all[i % used + 1]:sends(1) end end,
    function(n) for i = 1, n do all[i % used + 1]:receives(1) end end }
end

local function race_channels()
  local ends <const> = { counts[1], counts[#counts] }
  local function race(work, unit, count, ask, new, bare)
    local it = sized({ work = work, unit = unit, count = count, asks = { ask } }, "shm",
      bare and counts or ends, new)
    bench.race(bare and sized(it, "bare rings, C", ends, bare, "floor") or it)
  end
  local most <const>, least <const> = { "1 channel", most = 1.2 }, { "1 channel", least = 1 / 1.2 }
  race("round trip, other channels idle", "s", 20000, most, exchange_beside)
  race("one way, other channels idle", "op/s", 50000, least, stream_beside)
  race("round trip, channels in turn", "s", 20000, most, exchange_around, bare_exchange_around)
  race("one way, channels in turn", "op/s", 50000, least, stream_around, bare_stream_around)
end

-- ---- segments ----

local bytes <const> = { { x = 4 << 30, name = "4 GiB" }, { x = 1 << 30, name = "1 GiB" },
  { x = 64 << 20, name = "64 MiB" }, { x = 1 << 20, name = "1 MiB" }, { x = 4096, name = "4 KiB" } }

-- Lua seeds its random numbers anew in each process: two benchmarks at once do not meet.
local base <const> = "/shm_bench_" .. math.random(1, 0x7fffffff)

-- Made when they are first asked for; nil where there is not so much memory.
local segments <const> = setmetatable({}, {
  __index = function(all, size)
    all[size] = shm.create(base .. "_" .. size, size, { owned = true }) or nil
    return rawget(all, size)
  end,
  __close = function(all) for _, segment in pairs(all) do segment:close() end end })

-- Places of 64 bytes, as many in each segment that has so many, all over it. Their pages are there
-- when they are used: most of a large segment's are never touched.
local places <const> = 1 << 14

local function scattered(segment)
  local offsets, last = {}, #segment // 64 - 1
  for i = 1, places do offsets[i] = math.random(0, last) * 64 end
  for _, offset in ipairs(offsets) do segment:write(letter, offset) end
  return offsets
end

local function each(offsets, run)
  return function(n)
    for _ = 1, n // places do
      for _, offset in ipairs(offsets) do run(offset) end
    end
  end
end

local memcpy <const>, pushlstring <const> = baseline.memcpy, baseline.pushlstring

local function at_one_place(segment)
  local offset = #segment - 64
  segment:write(letter, offset)
  return { write = function(n) for _ = 1, n do segment:write(letter, offset) end end,
    read = function(n) for _ = 1, n do segment:read(64, offset) end end }
end

local function anywhere(segment)
  local offsets = scattered(segment)
  return { write = each(offsets, function(offset) segment:write(letter, offset) end),
    read = each(offsets, function(offset) segment:read(64, offset) end) }
end

local function anywhere_bare(segment)
  local offsets, address = scattered(segment), segment:stat().address
  return { write = each(offsets, function(offset) memcpy(address + offset, letter) end),
    read = each(offsets, function(offset) pushlstring(address + offset, 64) end) }
end

local function race_copies()
  local function using(make, way)
    return function(size)
      local segment = segments[size.x]
      return segment and make(segment)[way]
    end
  end
  local ends <const> = { bytes[1], bytes[5] }
  for _, way in ipairs { "write", "read" } do
    bench.race(sized({ work = ("%s 64 B at one place"):format(way), count = 50000,
      asks = { { "4 KiB", most = 1.2 } } }, "shm", bytes, using(at_one_place, way)))
    local race = sized({ work = ("%s 64 B all over"):format(way), count = 4 * places,
      asks = { { "4 GiB, C", most = 1.3 } } }, "shm", bytes, using(anywhere, way))
    bench.race(sized(race, "C", ends, using(anywhere_bare, way), "floor"))
  end
end

local function race_attach()
  local function visiting(size)
    local segment = segments[size.x]
    local name = segment and base .. "_" .. size.x
    return segment and function(n) for _ = 1, n do shm.attach(name):close() end end
  end
  local function visiting_bare(size)
    local segment = segments[size.x]
    local name = segment and base .. "_" .. size.x
    return segment and function(n) for _ = 1, n do baseline.posix_visit(name) end end
  end
  -- The kernel itself may need longer from 1 GiB on.
  local race = sized({ work = "attach, detach", count = 1000,
    asks = { { "4 KiB", most = 1.2 }, { "4 GiB, system calls, C", most = 1.2 } } }, "shm", bytes, visiting)
  bench.race(sized(race, "system calls, C", { bytes[1], bytes[5] }, visiting_bare, "floor"))
end

-- Memory is taken when a segment is created, so this is what grows with the size.
local function race_create(size, count, rounds)
  local name = base .. "_new"
  local function call_cycle(n)
    for _ = 1, n do
      local a = assert(shm.create(name, size.x))
      local b = assert(shm.attach(name))
      b:close()
      a:remove()
      a:close()
    end
  end
  local function call_bare(n) for _ = 1, n do baseline.posix_cycle(name, size.x) end end
  local function if_it_fits(run)
    return function()
      local segment <close> = shm.create(name, size.x, { owned = true })
      return segment and run
    end
  end
  bench.race { work = "create to remove", at = size.name, x = size.x, count = count, rounds = rounds,
    { "shm", new = if_it_fits(call_cycle), needs = needs },
    { "system calls, C", new = if_it_fits(call_bare), needs = needs, is = "limit" } }
end

-- ---- arenas ----

local objects <const> = { { x = 1000, name = "1,000 objects" }, { x = 100, name = "100 objects" },
  { x = 10, name = "10 objects" }, { x = 1, name = "1 object" } }

-- What is done with the last of so many, whose handle is open.
local function among(size, use)
  local arena = assert(shm.arena(nil, "4M"))
  for i = 1, size.x - 1 do assert(arena:array("object " .. i, "i64", 1)) end
  return use(arena, "object " .. size.x)
end

-- A process opens the arena and, by its name, the last of so many.
local function race_opening()
  local name = base .. "_arena"
  local made <close> = assert(shm.arena(name, "4M", { owned = true }))
  for i = 1, objects[1].x do assert(made:array("object " .. i, "i64", 1)) end
  local function opening(size)
    local last = "object " .. size.x
    return function(n)
      for _ = 1, n do
        local arena = shm.arena(name)
        arena:array(last, "i64", 1)
        arena:close()
      end
    end
  end
  bench.race(sized({ work = "open an arena and its last object", count = 1000,
    asks = { { "1 object", most = 1.2 } } }, "shm", objects, opening))
end

local function race_objects()
  local asks <const> = { { "1 object", most = 1.2 } }
  local function race(work, count, use)
    bench.race(sized({ work = work, count = count, asks = asks }, "shm", objects,
      function(size) return among(size, use) end))
  end
  race("fetch_add on an object of an arena", 100000, function(arena, name)
    local array = arena:array(name, "i64", 1)
    return function(n) for _ = 1, n do array:fetch_add(1, 1) end end
  end)
  race("lock, unlock a mutex of an arena", 100000, function(arena, name)
    local mutex = arena:mutex(name)
    return function(n) for _ = 1, n do mutex:lock() mutex:unlock() end end
  end)
  race_opening()
end

bench.begin [[
medians of 3 to 11 rounds in turns; a segment's memory is taken when it is created]]
race_channels()
race_objects()
do
  local _ <close> = segments
  race_attach()
  race_copies()
end
race_create(bytes[5], 200)
race_create(bytes[4], 100)
race_create(bytes[3], 4, 5)
race_create(bytes[2], 1, 3)
