-- segment.lua: what segments cost beside what the machine can do and what other languages have:
-- copies in and out by size, and the way from create to remove. `make bench` runs it; with an
-- argument, the races that have it in their headings. Touches memory of its own, and removes it.
local shm = require "shm"
local baseline = require "baseline"
local bench = require "scripts.bench.bench"
local outside = require "scripts.bench.outside"
local nothing, memcpy, pushlstring = baseline.nothing, baseline.memcpy, baseline.pushlstring

-- ---- other languages: each copies so many bytes in or out, of a segment of its own ----

local python <const> = [[
import sys, time
from multiprocessing import shared_memory
def copy_in(memory, data, size, count):
    for _ in range(count): memory[:size] = data
def copy_out(memory, data, size, count):
    for _ in range(count): bytes(memory[:size])
way, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
segment = shared_memory.SharedMemory(create=True, size=size)
memory, data = segment.buf, b"x" * size
memory[:size] = data
copy = copy_in if way == "in" else copy_out
start = time.perf_counter()
copy(memory, data, size, count)
print(time.perf_counter() - start)
del memory
segment.close()
segment.unlink()
]]

local sysv_ipc <const> = [[
import sys, time, sysv_ipc
def copy_in(segment, data, size, count):
    for _ in range(count): segment.write(data)
def copy_out(segment, data, size, count):
    for _ in range(count): segment.read(size)
way, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
segment, data = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=size), b"x" * size
segment.write(data)
copy = copy_in if way == "in" else copy_out
start = time.perf_counter()
copy(segment, data, size, count)
print(time.perf_counter() - start)
segment.detach()
segment.remove()
]]

-- It stays attached: shmread and shmwrite would attach and detach each time.
local perl <const> = [[
use IPC::SysV qw(IPC_PRIVATE IPC_RMID IPC_CREAT S_IRUSR S_IWUSR shmat memread memwrite);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my ($way, $size, $count) = @ARGV;
my $id = shmget(IPC_PRIVATE, $size, IPC_CREAT | S_IRUSR | S_IWUSR) // die;
my $memory = shmat($id, undef, 0) // die;
shmctl($id, IPC_RMID, 0);
my ($data, $out) = ("x" x $size);
memwrite($memory, $data, 0, $size) or die;
my $start = clock_gettime(CLOCK_MONOTONIC);
if ($way eq "in") { memwrite($memory, $data, 0, $size) for 1 .. $count; }
else { memread($memory, $out, 0, $size) for 1 .. $count; }
print clock_gettime(CLOCK_MONOTONIC) - $start;
]]

local php <const> = [[<?php
[, $way, $size, $count] = $argv;
$id = shmop_open(random_int(1, 0x7fffffff), "n", 0600, $size) or exit(1);
$data = str_repeat("x", $size);
shmop_write($id, $data, 0);
$start = hrtime(true);
if ($way == "in") for ($i = 0; $i < $count; $i++) shmop_write($id, $data, 0);
else for ($i = 0; $i < $count; $i++) shmop_read($id, 0, $size);
echo (hrtime(true) - $start) / 1e9;
shmop_delete($id);
]]

-- All its strings are interned, and what nobody uses is never made: the same bytes again would not
-- be copied at all. So some of them change each time, and each string is kept until the next one.
-- Those that ours reads alone are read so here, too: samples.lua.
local luajit <const> = [[
local way, size, count = arg[1], tonumber(arg[2]), tonumber(arg[3])
local memory, data, kept = map(size), ("x"):rep(size), {}
local number = ffi.cast("int32_t *", memory)
ffi.copy(memory, data, size)
local function copy_in(n) for _ = 1, n do ffi.copy(memory, data, size) end end
local function copy_out(first, last)
  for i = first, last do
    number[0] = i
    kept[1] = ffi.string(memory, size)
  end
end
local seconds, start = 0, now()
if way == "in" then
  copy_in(count)
  seconds = now() - start
elseif size <= 4096 then
  copy_out(1, count)
  seconds = now() - start
else
  collectgarbage("stop")
  for i = 1, count do
    kept[1] = nil
    collectgarbage()
    start = now()
    copy_out(i, i)
    seconds = seconds + now() - start
  end
end
print(seconds)
]]

local function others(way, size)
  local function other(name, language, script, needs, rare)
    return { name, new = outside(language, script, way, size), needs = needs, rare = rare,
      sample = bench.running }
  end
  return other("Python shared_memory", "python3", python, "python3"),
    other("Python sysv_ipc", "python3", sysv_ipc, "python3-sysv-ipc", true),
    other("Perl memread, memwrite", "perl", perl, "perl", true),
    other("PHP shmop", "php", php, "php-cli", true),
    other("LuaJIT FFI", "luajit", luajit, "libluajit2-5.1-2", true)
end

-- ---- copies ----

-- The same string into, and the same bytes out of, the same mapping, whose pages are all there. The
-- collector runs, as it does in a script, but for large reads: see samples.lua.
local function race_copies(name, size)
  local segment <close> = assert(shm.create(nil, size, { populate = true }))
  local address = segment:stat().address
  local data = ("x"):rep(size)
  local few = size <= 4096

  local function call_nothing(n) for _ = 1, n do nothing() end end
  local function call_memcpy(n) for _ = 1, n do memcpy(address, data) end end
  local function call_pushlstring(n) for _ = 1, n do pushlstring(address, size) end end
  local function call_write(n) for _ = 1, n do segment:write(data) end end
  local function call_read(n) for _ = 1, n do segment:read(size, 0) end end

  bench.race { work = "copy in", at = name, x = size, unit = few and "s" or "B/s", bytes = size,
    rounds = few and 21 or 11, count = math.min(100000, math.max((64 << 20) // size, 1)),
    { "seg:write", call_write, asks = few and { { "empty call", most = 6 } }
      or { { "memcpy, C", least = 0.9 } } },
    { "memcpy, C", call_memcpy, is = "limit" },
    { "empty call", few and call_nothing, is = "floor" },
    others("in", size) }
  bench.race { work = "copy out", at = name, x = size, unit = few and "s" or "B/s", bytes = size,
    rounds = few and 21 or 11, count = math.min(100000, math.max((32 << 20) // size, 1)),
    sample = not few and bench.alone,
    { "seg:read", call_read, asks = few and { { "empty call", most = 9 } }
      or { { "lua_pushlstring, C", least = 0.95 } } },
    { "lua_pushlstring, C", call_pushlstring, is = "limit" },
    { "empty call", few and call_nothing, is = "floor" },
    others("out", size) }
end

-- ---- create, attach, detach, remove ----

local function race_cycle(kind, name, bare)
  local size <const> = 4096
  assert(shm.create(name, size)):remove() -- it was free, so from here on it is ours to remove
  local _ <close> = setmetatable({}, { __close = function() shm.remove(name) end })
  local function call_bare(n) for _ = 1, n do bare(name, size) end end
  local function call_cycle(n)
    for _ = 1, n do
      local a = shm.create(name, size)
      local b = shm.attach(name)
      b:close()
      a:remove()
      a:close()
    end
  end
  bench.race { work = "create, attach, detach, remove", at = kind, count = 1000, rounds = 31,
    { "shm", call_cycle, asks = { { "system calls, C", most = 1.3 } } },
    { "system calls, C", call_bare, is = "limit" } }
end

-- Lua seeds its random numbers anew in each process: two benchmarks at once do not meet.
local number <const> = math.random(1, 0x7fffffff)

bench.begin [[medians of 11 to 31 rounds in turns; the loop's own cost is left in all]]
race_copies("64 B", 64)
race_copies("64 KiB", 64 << 10)
race_copies("1 MiB", 1 << 20)
race_copies("64 MiB", 64 << 20)
race_cycle("System V", number, baseline.sysv_cycle)
race_cycle("POSIX", "/shm_bench_" .. number, baseline.posix_cycle)
