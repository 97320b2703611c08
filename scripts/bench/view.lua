-- view.lua: what typed views cost beside what the machine can do and what other languages have:
-- elements, methods, fields of records, runs of elements, and one that several processes count
-- with. `make bench` runs it; with an argument, the races that have it in their headings. Touches
-- memory of its own, processes of its own, and a folder in /tmp.
local shm = require "shm"
local baseline = require "baseline"
local bench = require "scripts.bench.bench"
local crowd = require "scripts.bench.crowd"
local nginx = require "scripts.bench.nginx"
local peers = require "scripts.bench.view_peers"
local scratch = require "scripts.bench.scratch"
local nothing, memset, copy, sum = baseline.nothing, baseline.memset, baseline.copy, baseline.sum

local calls <const> = 100000 -- they make a sample; a view has as many elements
local million <const> = 1000000

local function anonymous(size) return assert(shm.create(nil, size, { populate = true })) end

-- ---- one element ----

-- Python and numpy have the types' names from C. What LuaJIT reads it adds up: what nobody uses, it
-- does not read. `rare`: which of them are.
local function race_elements(name, code, ctype, size, x, rare)
  local segment <close> = anonymous(8 * calls)
  local v, address = segment:view(name, 0, calls), segment:stat().address
  local load, store = baseline["load_" .. name], baseline["store_" .. name]
  local plain <const> = { "v", ('(segment.buf.cast("%s"),)'):format(code) }
  local packed <const> = ('struct.Struct("%s")'):format(code)

  local function call_nothing(n) for _ = 1, n do nothing() end end
  local function read(n) for i = 1, n do local _ = v[i] end end
  local function write(n) for i = 1, n do v[i] = x end end

  bench.race { work = "element get", at = name, count = calls,
    { "v[i]", read, asks = { { "empty call", most = 3.5 } } },
    { "load, C", function(n) load(address, n) end, is = "limit" },
    { "empty call", call_nothing, is = "floor" },
    peers.python("Python memoryview", { of = plain, run = "for i in range(n): v[i]" }),
    peers.numpy("numpy", { kind = code, of = { "v", "(array(),)" }, rare = rare,
      run = "for i in range(n): v[i]" }),
    peers.python("Python struct.unpack_from", { rare = rare,
      of = { "v, unpack_from", ("(segment.buf, %s.unpack_from)"):format(packed) },
      run = ("for i in range(n): unpack_from(v, i * %d)"):format(size) }),
    peers.luajit { kind = ctype,
      run = "local x = 0; for i = 0, n - 1 do x = x + v[i] end; return x" },
    peers.php { run = ('$x = unpack("%s", shmop_read($id, $i * %d, %d))[1]'):format(code, size, size) },
    peers.perl { run = ('memread($v, $bytes, $i * %d, %d); $x = unpack "%s", $bytes;')
      :format(size, size, code) } }
  bench.race { work = "element set", at = name, count = calls,
    { "v[i] = x", write, asks = { { "empty call", most = 3.5 } } },
    { "store, C", function(n) store(address, n) end, is = "limit" },
    { "empty call", call_nothing, is = "floor" },
    peers.python("Python memoryview", { of = plain, run = ("for i in range(n): v[i] = %s"):format(x) }),
    peers.numpy("numpy", { kind = code, of = { "v", "(array(),)" }, rare = rare,
      run = ("for i in range(n): v[i] = %s"):format(x) }),
    peers.python("Python struct.pack_into", { rare = rare,
      of = { "v, pack_into", ("(segment.buf, %s.pack_into)"):format(packed) },
      run = ("for i in range(n): pack_into(v, i * %d, %s)"):format(size, x) }),
    peers.luajit { kind = ctype, run = ("for i = 0, n - 1 do v[i] = %s end"):format(x) },
    peers.php { run = ('shmop_write($id, pack("%s", %s), $i * %d)'):format(code, x, size) },
    peers.perl { run = ('memwrite($v, pack("%s", %s), $i * %d, %d)'):format(code, x, size, size) } }
end

-- ---- one that several processes count with ----

-- Redis and nginx keep a number by its name; each addition is answered before the next one.
local function race_fetch_add(processes, folder, redis)
  local segment <close> = anonymous(4096)
  local v, address = segment:view("i64"), segment:stat().address
  local fetch_add, fetch_adds = baseline.fetch_add, baseline.fetch_adds
  local function added(n) return nginx(folder, [[
    if id == 0 then cache:set("counter", 0) end
    local function work(n) for _ = 1, n do cache:incr("counter", 1) end end]], processes, n) end

  bench.race { work = "fetch_add by processes", at = processes .. " at once", x = processes,
    unit = "op/s", count = 1, rounds = 7,
    { "v:fetch_add", crowd.of(function(n) for _ = 1, n do v:fetch_add(1, 1) end end, processes) },
    { "atomic, C", crowd.of(function(n) fetch_adds(address, n) end, processes), is = "limit" },
    { "atomic behind calls", crowd.of(function(n) for _ = 1, n do fetch_add(address) end end, processes),
      is = "floor" },
    { "Python multiprocessing.Value", needs = "python3", new = crowd.python([[
def make(context): return context.Value("q")
def run(value, n):
    lock, number = value.get_lock(), value.get_obj()
    for _ in range(n):
        with lock: number.value += 1
]], processes) },
    { "Redis INCR, C", needs = "redis-tools", rare = true, new = function()
      local counter = redis()
      return counter and crowd.of(function(n) counter:incrs(n) end, processes)
    end },
    { "ngx.shared.DICT incr", needs = "libnginx-mod-http-lua", rare = true, new = function()
      return added(1000) and function() return assert(added(400000)) / 400000 end
    end } }
end

local function race_counters()
  local folder <close> = scratch()
  local counter
  local function redis()
    counter = counter or require "redis"(1, folder.path)
    return counter
  end
  for _, processes in ipairs { 1, 2, 4, 8 } do race_fetch_add(processes, folder.path, redis) end
  if counter then counter:stop() end
end

-- ---- methods ----

-- Of a view, min of no elements does least. A view finds its methods by a C function, because v[i]
-- needs one; for information, the same is asked of the userdata.
local function race_methods()
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

  bench.race { work = "method of a view", at = "no elements", rounds = 31, count = calls,
    { "v:min()", call_least, asks = { { "empty method", most = 1.6 } } },
    { "empty method", call_nothing, is = "floor" },
    { "same, found by C", call_indexed, is = "floor" } }
  bench.race { work = "method of a view", at = "fetch_add", rounds = 31, count = calls,
    { "v:fetch_add(1, 1)", call_fetch_add, asks = { { "empty method", most = 1, margin = 20e-9 } } },
    { "local fetch_add", call_local, is = "ours" },
    { "empty method", call_nothing_2, is = "floor" },
    { "same, found by C", call_indexed_2, is = "floor" } }
end

-- ---- a field of a record ----

local function race_fields()
  local segment <close> = anonymous(8 * calls)
  local q = segment:record(shm.record("Quote", { "u32 id", "f64 price" }))
  local v = segment:view("u32")
  local quote <const> = { "q", "(Quote.from_buffer(segment.buf),)" }

  local function read_element(n) for i = 1, n do local _ = v[i] end end
  local function write_element(n) for i = 1, n do v[i] = 5 end end
  local function read_field(n) for _ = 1, n do local _ = q.id end end
  local function write_field(n) for _ = 1, n do q.id = 5 end end

  bench.race { work = "field get", at = "u32", count = calls,
    { "q.id", read_field, asks = { { "v[i]", most = 1.5 } } },
    { "v[i]", read_element, is = "ours" },
    peers.python("Python ctypes", { of = quote, run = "for _ in range(n): q.id" }) }
  bench.race { work = "field set", at = "u32", count = calls,
    { "q.id = x", write_field, asks = { { "v[i] = x", most = 1.5 } } },
    { "v[i] = x", write_element, is = "ours" },
    peers.python("Python ctypes", { of = quote, run = "for _ in range(n): q.id = 5" }) }
end

-- ---- runs of elements ----

local function race_sum()
  local segment <close> = anonymous(8 * million)
  local v, address = segment:view("f64"):fill(1), segment:stat().address

  local function call_sum(n) for _ = 1, n do sum(address, million) end end
  local function call_view_sum(n) for _ = 1, n do v:sum() end end
  local function add(n)
    for _ = 1, n do
      local all = 0
      for i = 1, #v do all = all + v[i] end
    end
  end

  bench.race { work = "sum", at = "1,000,000 f64", count = 40,
    { "v:sum()", call_view_sum, asks = { { "AVX2, C", most = 1.15 }, { "numpy", most = 1 } } },
    { "v[i] in a loop", add, is = "ours", part = 40 },
    { "AVX2, C", call_sum, is = "limit" },
    peers.numpy("numpy", { size = 8 * million, of = { "v", "(array(),)" },
      run = "for _ in range(n): v.sum()" }),
    peers.python("Python sum(memoryview)", { size = 8 * million,
      of = { "v", '(segment.buf.cast("d"),)' }, run = "for _ in range(n): sum(v)", part = 20 }),
    peers.luajit { size = 8 * million, kind = "double", part = 2, run = [[
      local x
      for _ = 1, n do x = 0; for i = 0, 999999 do x = x + v[i] end end
      return x]] } }
end

-- As many bytes by libc, in the same mapping. Zeroes are compared with zeroes, and others with
-- others: some processors write zeroes to memory twice as fast.
local function race_fill_and_copy(name, size)
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

  local function numpy(run)
    return peers.numpy("numpy", { size = 2 * size, run = "for _ in range(n): " .. run, rare = true,
      of = { "to, other", ("(array(0, %d), array(%d))"):format(size // 8, size // 8) } })
  end
  local function race(work, call, libc, limit, run)
    bench.race { work = work, at = name, x = size, unit = "B/s", bytes = size, rounds = 15,
      count = math.max((64 << 20) // size, 1),
      { call[1], call[2], asks = { { libc, least = 0.9 } } },
      { libc, limit, is = "limit" },
      numpy(run) }
  end
  race("fill with 0", { "v:fill(0)", call_fill_0 }, "memset, C", call_memset_0, "to.fill(0)")
  race("fill", { "v:fill(0.1)", call_fill }, "memset, C", call_memset, "to.fill(0.1)")
  race("copy of a view", { "v:copy", call_copy }, "memcpy, C", call_memcpy, "to[:] = other")
end

-- Each of so many elements, all at once.
local function race_values()
  local segment <close> = anonymous(8 * million)
  local v = segment:view("f64"):fill(0.1)
  local thousand = v:sub(1, 1000)

  local function totable_thousand(n) for _ = 1, n // 1000 do thousand:totable() end end
  local function totable_million(n) for _ = 1, n // million do v:totable() end end
  local function get_200(n) for _ = 1, n // 200 do v:get(1, 200) end end
  local function lists(many)
    return peers.python("Python memoryview.tolist", { size = 8 * many,
      of = { "v", ('(segment.buf.cast("d")[:%d],)'):format(many) },
      run = ("for _ in range(n // %d): v.tolist()"):format(many) })
  end

  bench.race { work = "elements to a table, each", at = "1,000 f64", rounds = 9, count = million,
    { "v:totable()", totable_thousand, asks = { { most = 12e-9 } } }, lists(1000) }
  bench.race { work = "elements to a table, each", at = "1,000,000 f64", rounds = 9, count = million,
    { "v:totable()", totable_million, asks = { { most = 12e-9 } } }, lists(million) }
  bench.race { work = "elements at once, each", at = "200 f64", rounds = 9, count = million,
    { "v:get(1, 200)", get_200, asks = { { most = 4e-9 } } },
    peers.python("Python struct.unpack_from", {
      of = { "v, unpack_from", '(segment.buf, struct.Struct("200d").unpack_from)' },
      run = "for _ in range(n // 200): unpack_from(v)" }) }
end

bench.begin [[medians of 7 to 31 rounds in turns; the loop's own cost is left in all;
  processes have a core each, where there are enough]]
race_elements("f64", "d", "double", 8, 0.5)
race_elements("i32", "i", "int32_t", 4, 5, true)
race_counters()
race_methods()
race_fields()
race_sum()
race_fill_and_copy("64 KiB", 64 << 10)
race_fill_and_copy("8 MiB", 8 << 20)
race_fill_and_copy("64 MiB", 64 << 20)
race_values()
