-- atomic_spec.lua: atomic operations between processes, waiting and waking, and C's view of it all.
local shm = require "shm"
local lowlevel = require "lowlevel"
local process = require "spec.support.process"

local name = "/shm_spec_atomic"
local integers = { i8 = 8, u8 = 8, i16 = 16, u16 = 16, i32 = 32, u32 = 32, i64 = 64, u64 = 64 }
local types = { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }

local segment
before_each(function() segment = assert(shm.create(name, 4096, { owned = true })) end)
after_each(function() segment:close() end)

-- Starts processes that attach the segment and run a chunk on it as `s`; waits for all of them.
local function start_workers(count, chunk)
  local workers = {}
  for i = 1, count do
    workers[i] = process.start(process.lua,
      { "-e", ("local s = assert(require('shm').attach(%q)) local worker = %d %s"):format(name, i, chunk) })
  end
  return workers
end

local function finish(workers)
  for _, worker in ipairs(workers) do
    assert.equal(0, (worker:wait(120)), worker.err)
    assert.equal("", worker.err)
  end
end

describe("an atomic operation", function()
  for type, bits in pairs(integers) do
    it("does what it says on " .. type, function()
      local v = segment:view(type, 64, 4)
      local signed = type:sub(1, 1) == "i"
      local function wrap(x) -- into the element's width
        if bits == 64 then return x end
        x = x & (1 << bits) - 1
        return signed and x >= 1 << bits - 1 and x - (1 << bits) or x
      end
      assert.equal(v, v:store(2, 100))
      assert.equal(100, v:load(2))
      assert.equal(100, v:exchange(2, 5))
      assert.equal(5, v:fetch_add(2, 100))
      assert.equal(105, v:fetch_sub(2, 5))
      assert.equal(100, v:fetch_and(2, 0x6c))
      assert.equal(100 & 0x6c, v:fetch_or(2, 0x13))
      assert.equal(100 & 0x6c | 0x13, v:fetch_xor(2, 0x7f))
      assert.equal((100 & 0x6c | 0x13) ~ 0x7f, v[2])
      v[2] = wrap((1 << bits) - 1)
      assert.equal(wrap(-1), v:fetch_add(2, 1))
      assert.equal(0, v:fetch_sub(2, 1))
      assert.equal(wrap(-1), v:load(2))
      assert.same({ true }, { v:compare_exchange(2, wrap(-1), 7) })
      assert.same({ false, 7 }, { v:compare_exchange(2, 8, 9) })
      assert.equal(7, v[2])
      assert.same({ 0, 7, 0, 0 }, v:totable())
    end)
  end

  it("takes an order where that has a meaning", function()
    local v = segment:view "i32"
    for _, order in ipairs { "relaxed", "acquire", "release", "acq_rel", "seq_cst" } do
      v[1] = 1
      for _, method in ipairs { "exchange", "fetch_add", "fetch_sub", "fetch_and", "fetch_or", "fetch_xor" } do
        assert.is_number(v[method](v, 1, 1, order))
      end
      v[1] = 1
      assert.is_true(v:compare_exchange(1, 1, 2, order))
      local of_loads = order ~= "release" and order ~= "acq_rel"
      local of_stores = order ~= "acquire" and order ~= "acq_rel"
      assert.equal(of_loads, (pcall(v.load, v, 1, order)))
      assert.equal(of_stores, (pcall(v.store, v, 1, 1, order)))
    end
    assert.error_matches(function() v:load(1, "strong") end, "invalid option 'strong'")
    assert.error_matches(function() v:load(1, "release") end, "cannot have that order")
  end)

  it("is for aligned integers, inside the view, of values that fit", function()
    assert.error_matches(function() segment:view("f64"):load(1) end, "f64 elements have no atomic operations")
    assert.error_matches(function() segment:view("f32"):fetch_add(1, 1) end, "f32 elements have no")
    for type, bits in pairs(integers) do
      if bits > 8 then
        assert.error_matches(function() segment:view(type, 1):load(1) end, type .. " at offset 1 is not aligned")
      end
    end
    local v = segment:view("u8", 0, 4)
    for _, index in ipairs { 0, 5, -1, math.maxinteger, math.mininteger } do
      assert.error_matches(function() v:fetch_add(index, 1) end, "is not within 1 and 4")
      assert.error_matches(function() v:store(index, 1) end, "is not within 1 and 4")
    end
    for _, value in ipairs { 256, -1, 1.5, "1", 2 ^ 70 } do
      for _, method in ipairs { "store", "exchange", "fetch_add", "fetch_xor" } do
        assert.error_matches(function() v[method](v, 1, value) end, "u8")
      end
      assert.error_matches(function() v:compare_exchange(1, value, 1) end, "u8")
      assert.error_matches(function() v:compare_exchange(1, 1, value) end, "u8")
    end
    assert.equal(3.0, v:store(1, 3.0):load(1))
    assert.error_matches(function() v:load() end, "number expected, got no value")
  end)

  it("adds up over four processes", function()
    finish(start_workers(4, "local v = s:view 'u32' for _ = 1, 1000000 do v:fetch_add(1, 1) end"))
    assert.equal(4000000, segment:view("u32")[1])
  end)

  it("compares and exchanges over four processes", function()
    finish(start_workers(4, [[
      local v = s:view "i64"
      for _ = 1, 250000 do
        local seen = v:load(1, "relaxed")
        while true do
          local done, found = v:compare_exchange(1, seen, seen + 3)
          if done then break end
          seen = found
        end
      end]]))
    assert.equal(3000000, segment:view("i64")[1])
  end)
end)

describe("C", function()
  local values = { -128, 255, -32768, 65535, -2147483648, 4294967295, math.mininteger, 0x7ffffffffffffff1, -1.5, 0.1 }

  it("sees every type where Lua has written it", function()
    for i, type in ipairs(types) do
      segment:view(type, 64 * (i - 1), 1)[1] = values[i]
      segment:view(type, 64 * (i - 1) + 33, 1)[1] = values[i]
    end
    local lines = {}
    for line in process.run_peer("types", "read", name).out:gmatch("[^\n]+") do lines[#lines + 1] = line end
    for i, value in ipairs(values) do
      local aligned, unaligned = lines[i]:match("^(%S+) (%S+)$")
      assert.equal(value, tonumber(aligned))
      assert.equal(value, tonumber(unaligned))
    end
  end)

  it("writes every type where Lua sees it", function()
    assert.equal(0, process.run_peer("types", "write", name).code)
    for i, type in ipairs(types) do
      assert.equal(values[i], segment:view(type, 64 * (i - 1))[1])
      assert.equal(values[i], segment:view(type, 64 * (i - 1) + 33)[1])
    end
  end)

  it("adds to the same atomic", function()
    local v = segment:view("u32", 1024)
    local peer = process.start_peer("types", "add", name, "1000000")
    for _ = 1, 500000 do v:fetch_add(1, 1) end
    assert.equal(0, (peer:wait(60)))
    assert.equal(1500000, v:load(1))
  end)

  it("wakes who waits in Lua", function()
    local worker = start_workers(1, "local v = s:view('u32', 1028) v:store(2, 1) print(v:wait(1, 0, 30))")[1]
    local v = segment:view("u32", 1028)
    assert.is_true(process.await(function() return v[2] == 1 end))
    local woken = 0
    assert.is_true(process.await(function() -- it may be about to sleep
      woken = woken + math.tointeger(tonumber(process.run_peer("types", "wake", name).out))
      return woken > 0 or worker.code
    end))
    worker:wait()
    assert.is_true(worker.out == "ok\n" or worker.out == "not-equal\n", worker.err)
  end)
end)

describe("waiting", function()
  it("returns at once where the value is another, or there is no time", function()
    local v = segment:view "i32"
    assert.equal("not-equal", v:wait(1, 5))
    assert.equal("not-equal", v:wait(1, 5, 0))
    assert.equal("timed-out", v:wait(1, 0, 0))
    assert.equal("timed-out", v:wait(1, 0, -1))
    assert.equal("timed-out", v:wait(1, 0, -1 / 0))
    assert.equal("timed-out", v:wait(1, 0, 0.02))
    v[1] = -7
    assert.equal("timed-out", v:wait(1, -7, 0))
    assert.equal("not-equal", v:wait(1, 7, 1e300))
  end)

  it("refuses what it cannot wait for", function()
    for _, type in ipairs(types) do
      if type ~= "i32" and type ~= "u32" then
        assert.error_matches(function() segment:view(type):wait(1, 0, 0) end, "wait and notify need i32 or u32")
        assert.error_matches(function() segment:view(type):notify(1) end, "wait and notify need i32 or u32")
      end
    end
    local v = segment:view("u32", 0, 4)
    assert.error_matches(function() v:wait(5, 0, 0) end, "index 5 is not within 1 and 4")
    assert.error_matches(function() v:wait(1, -1, 0) end, "%-1 does not fit u32")
    assert.error_matches(function() v:wait(1, 0, 0 / 0) end, "a timeout is a number of seconds")
    assert.error_matches(function() v:wait(1, 0, "soon") end, "number expected, got string")
    assert.error_matches(function() segment:view("u32", 2):wait(1, 0, 0) end, "is not aligned")
    assert.error_matches(function() v:notify(1, -1) end, "a count is not negative")
    assert.equal(0, v:notify(1))
    assert.equal(0, v:notify(1, 0))
    assert.equal(0, v:notify(1, math.maxinteger))
  end)

  it("ends when another process notifies, as many as are asked for", function()
    local v = segment:view "u32"
    local workers = start_workers(4, "local v = s:view 'u32' v:fetch_add(2, 1) print(v:wait(1, 0, 30))")
    assert.is_true(process.await(function() return v:load(2) == 4 end))
    local woken = 0
    assert.is_true(process.await(function() woken = woken + v:notify(1, 1) return woken == 2 end))
    assert.is_true(process.await(function() woken = woken + v:notify(1) return woken == 4 end))
    finish(workers)
    for _, worker in ipairs(workers) do assert.equal("ok\n", worker.out) end
  end)

  it("works on a readonly mapping", function()
    local v = segment:view "u32"
    local worker = process.start(process.lua, { "-e", ([[
      local v = assert(require("shm").attach(%q, { readonly = true })):view "u32"
      print("ready")
      io.stdout:flush()
      print(v:wait(1, 0, 30))]]):format(name) })
    assert.equal("ready", worker:line())
    assert.is_true(process.await(function() return v:notify(1) == 1 end))
    finish { worker }
    assert.equal("ok\n", worker.out)
  end)

  it("lets Ctrl-C through, and goes on after other signals", function()
    local workers = start_workers(1, "local v = s:view 'u32' v:store(2, 1) v:wait(1, 0)")
    local v = segment:view "u32"
    assert.is_true(process.await(function() return v:load(2) == 1 end))
    workers[1]:kill("sigint")
    assert.equal(1, (workers[1]:wait(5)))
    assert.matches("interrupted!", workers[1].err)
  end)

  it("keeps its deadline whatever signals come", function()
    local worker = start_workers(1, [[
      local uv = require "luv"
      local timer = uv.new_signal()
      timer:start("sigusr1", function() end)
      local v, started = s:view "u32", uv.hrtime()
      v:store(2, 1)
      print(v:wait(1, 0, 0.5), (uv.hrtime() - started) / 1e9 >= 0.5)
      os.exit(0)]])[1]
    local v = segment:view "u32"
    assert.is_true(process.await(function() return v:load(2) == 1 end))
    process.await(function()
      worker:kill("sigusr1")
      return worker.code
    end)
    worker:wait()
    assert.equal("timed-out\ttrue\n", worker.out, worker.err)
  end)

  it("works between a process and its forked child, over anonymous memory", function()
    local anonymous <close> = assert(shm.create(nil, 64))
    local v = anonymous:view "i32"
    assert.equal(0, lowlevel.child(function()
      v:store(1, 1)
      v:notify(1)
      return v:wait(2, 1, 0) == "not-equal"
    end))
    assert.equal("not-equal", v:wait(1, 0, 10))
  end)
end)
