-- view_peers.lua: contestants of other languages for view.lua. Each has shared memory of its own,
-- as large as needed, whose pages are there, and a loop in a function.
local outside = require "scripts.bench.outside"

local peers = {}

local python <const> = [[
import ctypes, os, struct, sys, time
from multiprocessing import shared_memory
%s
segment = shared_memory.SharedMemory(create=True, size=%d)
segment.buf[:] = bytes(len(segment.buf))
class Quote(ctypes.Structure): _fields_ = [("id", ctypes.c_uint32), ("price", ctypes.c_double)]
def array(first=0, last=None): return numpy.frombuffer(segment.buf, "%s")[first:last]
def run(%s, n):
    %s
made = %s
start = time.perf_counter()
run(*made, int(sys.argv[1]))
print(time.perf_counter() - start, flush=True)
segment.unlink()
os._exit(0)
]]

-- of:    the names of what run has, and what makes them, a tuple
-- run:   does it n times
-- size:  bytes, 800,000 unless it says otherwise
-- kind:  the type of array's elements, "d" unless it says otherwise
-- numpy: it needs that
function peers.python(name, p)
  local script = python:format(p.numpy and "import numpy" or "", p.size or 800000, p.kind or "d",
    p.of[1], p.run, p.of[2])
  return { name, new = outside("python3", script), needs = p.numpy and "python3-numpy" or "python3",
    part = p.part, rare = p.rare }
end

function peers.numpy(name, p)
  p.numpy = true
  return peers.python(name, p)
end

local luajit <const> = [[
local memory, n = map(%d), tonumber(arg[1])
local v = ffi.cast("%s *", memory)
local function run()
  %s
end
local start = now()
run()
print(now() - start)
]]

function peers.luajit(p)
  return { "LuaJIT FFI", new = outside("luajit", luajit:format(p.size or 800000, p.kind, p.run)),
    needs = "libluajit2-5.1-2", part = p.part, rare = true }
end

local php <const> = [[<?php
$n = $argv[1];
$id = shmop_open(random_int(1, 0x7fffffff), "n", 0600, 800000) or exit(1);
shmop_write($id, str_repeat("\0", 800000), 0);
function run($id, $n) { for ($i = 0; $i < $n; $i++) { %s; } }
$start = hrtime(true);
run($id, $n);
echo (hrtime(true) - $start) / 1e9;
shmop_delete($id);
]]

function peers.php(p)
  return { "PHP shmop", new = outside("php", php:format(p.run)), needs = "php-cli", part = p.part,
    rare = true }
end

local perl <const> = [[
use IPC::SysV qw(IPC_PRIVATE IPC_RMID IPC_CREAT S_IRUSR S_IWUSR shmat memread memwrite);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my $id = shmget(IPC_PRIVATE, 800000, IPC_CREAT | S_IRUSR | S_IWUSR) // die;
my $v = shmat($id, undef, 0) // die;
shmctl($id, IPC_RMID, 0);
memwrite($v, "\0" x 800000, 0, 800000) or die;
my ($n, $bytes, $x) = ($ARGV[0]);
my $start = clock_gettime(CLOCK_MONOTONIC);
for my $i (0 .. $n - 1) { %s }
print clock_gettime(CLOCK_MONOTONIC) - $start;
]]

function peers.perl(p)
  return { "Perl IPC::SysV", new = outside("perl", perl:format(p.run)), needs = "perl",
    part = p.part, rare = true }
end

return peers
