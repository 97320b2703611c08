-- view.lua: what typed views cost, as ratios to what the machine can do in the same run: calls,
-- copies and sums of baseline.c; Python's memoryview and numpy, where they are installed.
-- `make bench` runs it. Touches memory of its own only, and removes it.
local shm = require "shm"
local baseline = require "baseline"
local bench = require "scripts.bench.bench"
local nothing, memset, copy, sum = baseline.nothing, baseline.memset, baseline.copy, baseline.sum
local compare_times, compare_throughputs = bench.compare_times, bench.compare_throughputs
local bound = bench.bound

local calls <const> = 200000 -- they make a sample; a view has as many elements
local million <const> = 1000000

local function anonymous(size) return assert(shm.create(nil, size, { populate = true })) end

-- ---- Python ----

-- Prints the seconds that `count` reads v[i], or sums of a million elements, take.
local script <const> = [[
import sys, time
def read(v, n):
    for i in range(n): v[i]
def add(v, n):
    for _ in range(n): v.sum()
what, count = sys.argv[1], int(sys.argv[2])
if what == "memoryview":
    run, v = read, memoryview(bytearray(8 * count)).cast("d")
else:
    import numpy
    run, v = (read, numpy.ones(count)) if what == "numpy" else (add, numpy.ones(1000000))
start = time.perf_counter()
run(v, count)
print(time.perf_counter() - start)
]]

local function compare_python(contest, what)
  contest.needs = what == "memoryview" and "python3" or "numpy"
  bench.compare_python(contest, script, what)
end

-- ---- one element ----

local function bench_elements()
  local segment <close> = anonymous(8 * calls)
  local f64, i32 = segment:view("f64"), segment:view("i32", 0, calls)

  local function call_nothing(n) for _ = 1, n do nothing() end end
  local function read_f64(n) for i = 1, n do local _ = f64[i] end end
  local function read_i32(n) for i = 1, n do local _ = i32[i] end end
  local function write_f64(n) for i = 1, n do f64[i] = 0.5 end end
  local function write_i32(n) for i = 1, n do i32[i] = 5 end end

  local function contest(what, ours)
    compare_times { what = what, ours = ours, limit = call_nothing, rounds = 41, count = calls,
      target = 3.5 }
  end
  contest("v[i] f64 / empty call", read_f64)
  contest("v[i] i32 / empty call", read_i32)
  contest("v[i] = x f64 / empty call", write_f64)
  contest("v[i] = x i32 / empty call", write_i32)
  compare_python({ what = "v[i] f64 / Python memoryview", ours = read_f64, count = calls,
    target = 1 }, "memoryview")
  compare_python({ what = "v[i] f64 / numpy scalar", ours = read_f64, count = calls, target = 1 },
    "numpy")
end

-- ---- methods ----

-- Of a view, min of no elements does least. A view finds its methods by a C function, because v[i]
-- needs one; for information, the same is asked of the userdata.
local function bench_methods()
  local segment <close> = anonymous(4096)
  local v, empty = segment:view("i32"), segment:view("i32", 0, 0)
  local object, indexed = baseline.object(false), baseline.object(true)
  local fetch_add = v.fetch_add

  local function call_nothing(n) for _ = 1, n do object:nothing() end end
  local function call_nothing_2(n) for _ = 1, n do object:nothing(1, 1) end end
  local function call_indexed(n) for _ = 1, n do indexed:nothing() end end
  local function call_indexed_2(n) for _ = 1, n do indexed:nothing(1, 1) end end
  local function call_least(n) for _ = 1, n do empty:min() end end
  local function call_fetch_add(n) for _ = 1, n do v:fetch_add(1, 1) end end
  local function call_local(n) for _ = 1, n do fetch_add(v, 1, 1) end end

  local function contest(what, ours, limit, target, margin)
    compare_times { what = what, ours = ours, limit = limit, rounds = 41, count = calls,
      target = target, margin = margin }
  end
  contest("v:min(), empty / empty method", call_least, call_nothing, 1.6)
  contest("v:min() / same, C __index", call_least, call_indexed)
  contest("v:fetch_add(1, 1) / same + 20 ns", call_fetch_add, call_nothing_2, 1, 20e-9)
  contest("v:fetch_add() / C __index + 20", call_fetch_add, call_indexed_2, nil, 20e-9)
  contest("local fetch_add / method + 20 ns", call_local, call_nothing_2, nil, 20e-9)
end

-- ---- a field of a record ----

local function bench_records()
  if not shm.record then return end
  local segment <close> = anonymous(8 * calls)
  local q = segment:record(shm.record("Quote", { "u32 id", "f64 price" }))
  local v = segment:view("u32")

  local function read_element(n) for i = 1, n do local _ = v[i] end end
  local function write_element(n) for i = 1, n do v[i] = 5 end end
  local function read_field(n) for _ = 1, n do local _ = q.id end end
  local function write_field(n) for _ = 1, n do q.id = 5 end end

  compare_times { what = "q.id u32 / v[i]", ours = read_field, limit = read_element, rounds = 41,
    count = calls, target = 1.5 }
  compare_times { what = "q.id = x u32 / v[i] = x", ours = write_field, limit = write_element,
    rounds = 41, count = calls, target = 1.5 }
end

-- ---- runs of elements ----

local function bench_sum()
  local segment <close> = anonymous(8 * million)
  local v, address = segment:view("f64"):fill(1), segment:stat().address

  local function call_sum(n) for _ = 1, n do sum(address, million) end end
  local function call_view_sum(n) for _ = 1, n do v:sum() end end

  compare_times { what = "v:sum() of 1e6 f64 / AVX2 in C", ours = call_view_sum, limit = call_sum,
    rounds = 41, count = 20, target = 1.15 }
  compare_python({ what = "v:sum() of 1e6 f64 / numpy", ours = call_view_sum, count = 20,
    target = 1 }, "numpy.sum")
end

-- As many bytes by libc, in the same mapping. Zeroes are compared with zeroes, and others with
-- others: some processors write zeroes to memory twice as fast.
local function bench_fill_and_copy(name, size)
  local segment <close> = anonymous(size)
  local other <close> = anonymous(size)
  local to, from = segment:view("f64"), other:view("f64")
  local to_address, from_address = segment:stat().address, other:stat().address

  local function call_memset_0(n) for _ = 1, n do memset(to_address, 0, size) end end
  local function call_memset(n) for _ = 1, n do memset(to_address, 1, size) end end
  local function call_fill_0(n) for _ = 1, n do to:fill(0) end end
  local function call_fill(n) for _ = 1, n do to:fill(0.1) end end
  local function call_memcpy(n) for _ = 1, n do copy(to_address, from_address, size) end end
  local function call_copy(n) for _ = 1, n do to:copy(from) end end

  local function contest(what, ours, limit)
    compare_throughputs { what = what:format(name), ours = ours, limit = limit, rounds = 31,
      count = math.max((64 << 20) // size, 1), bytes = size, target = 0.9 }
  end
  contest("fill 0, %s / memset", call_fill_0, call_memset_0)
  contest("fill 0.1, %s / memset", call_fill, call_memset)
  contest("copy %s / memcpy", call_copy, call_memcpy)
end

-- Nanoseconds for each element, against a bound.
local function bench_values()
  local segment <close> = anonymous(8 * million)
  local v = segment:view("f64"):fill(0.1)
  local thousand = v:sub(1, 1000)

  local function totable_thousand(n) for _ = 1, n // 1000 do thousand:totable() end end
  local function totable_million(n) for _ = 1, n // million do v:totable() end end
  local function get_200(n) for _ = 1, n // 200 do v:get(1, 200) end end

  local function contest(what, ours, count, seconds)
    compare_times { what = what, ours = ours, limit = bound(seconds), rounds = 31, count = count,
      target = 1 }
  end
  contest("totable, each of 1000 / 12 ns", totable_thousand, million, 12e-9)
  contest("totable, each of 1e6 / 12 ns", totable_million, million, 12e-9)
  contest("get(1, 200), each / 4 ns", get_200, million, 4e-9)
end

bench.print_machine()
print("method   medians of 15 to 41 rounds in turns (quartiles of the ratio); the loop's own cost")
print("         is left in both")
print()
bench.print_header()
bench_elements()
bench_methods()
bench_records()
bench_sum()
bench_fill_and_copy("64 KiB", 64 << 10)
bench_fill_and_copy("8 MiB", 8 << 20)
bench_fill_and_copy("64 MiB", 64 << 20)
bench_values()
