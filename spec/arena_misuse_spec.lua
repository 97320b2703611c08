-- arena_misuse_spec.lua: arenas and locks in wrong hands: receivers, closed handles, finalizers by hand,
-- scripts that close what they are using.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local process = require "spec.support.process"

local Point = shm.record("MisusePoint", { "f32 x", "f32 y" })

local raises = outcome.raises

-- One of each sort, all of one anonymous arena; `segment` is of none.
local function all()
  local arena = assert(shm.arena(nil, "64K"))
  local mutex = arena:mutex "m"
  return {
    arena = arena, mutex = mutex, rwlock = arena:rwlock "rw", semaphore = arena:semaphore("s", 3),
    condition = arena:condition "c", barrier = arena:barrier("b", 2), guard = arena:mutex("g"):guard(),
    view = arena:array("v", "u32", 4), record = arena:record("r", Point), records = arena:array("rs", Point, 3),
    segment = assert(shm.create(nil, 100)), layout = Point,
  }
end

local names = { "arena", "mutex", "rwlock", "semaphore", "condition", "barrier", "guard" }

describe("a method", function()
  it("refuses every receiver of another sort", function()
    local things = all()
    local foreigners = { io.stdout, {}, "x", 1, print, coroutine.create(print), true, lowlevel.userdata(8) }
    for _, thing in pairs(things) do foreigners[#foreigners + 1] = thing end
    for size = 0, 512 do foreigners[#foreigners + 1] = lowlevel.userdata(size) end -- some as long as ours
    for _, sort in ipairs(names) do
      local meta = getmetatable(things[sort])
      local methods = { meta.__gc, meta.__tostring, meta.__close }
      for _, method in pairs(meta.__index) do methods[#methods + 1] = method end
      for _, foreign in ipairs(foreigners) do
        if foreign ~= things[sort] then
          for _, method in ipairs(methods) do
            raises("shm%." .. sort .. " %(methods are called with a colon%) expected, got", method, foreign, 1, 1)
          end
        end
      end
      for _, method in ipairs(methods) do raises("expected, got no value", method) end
    end
    for _, thing in pairs(things) do
      assert.is_truthy(tostring(thing))
      if thing ~= things.segment then raises("shm.segment", shm.read, thing) end
      raises("%(a key, ", shm.arena, thing ~= Point and thing or print, 8192)
    end
    things.segment:close()
  end)

  it("of an arena refuses what is no type, layout or count", function()
    local things <const> = all()
    local a = things.arena
    for _, bad in ipairs { "f65", "", "U8", "char" } do raises("no type '", a.array, a, "x", bad, 1) end
    for _, bad in ipairs { {}, print, a, things.record, io.stdout, true } do
      raises("string expected", a.array, a, "x", bad, 1)
      raises("layout %(shm.record makes one%) expected", a.record, a, "x", bad)
    end
    raises("layout .* expected", a.record, a, "x")
    for _, bad in ipairs { 1.5, 0 / 0, 1 / 0 } do
      raises("no integer representation", a.array, a, "x", "u8", bad)
      raises("no integer representation", a.array, a, "x", Point, bad)
    end
    for _, bad in ipairs { "x", {}, true } do
      raises("number expected", a.array, a, "x", "u8", bad)
      raises("number expected", a.array, a, "x", Point, bad)
    end
    raises("number expected, got no value", a.array, a, "x", "u8")
    things.segment:close()
  end)

  it("that there is not raises, and nothing can be assigned", function()
    local things = all()
    for _, sort in ipairs(names) do
      raises('has no field "nothing"', function() return things[sort].nothing end)
      raises("has no field 1", function() return things[sort][1] end)
      raises('has no field "field"', function() things[sort].field = 1 end)
      raises("attempt to get length", function() return #things[sort] end)
    end
    things.segment:close()
  end)
end)

describe("an object", function()
  it("says what it is, also when its arena is closed", function()
    local things = all()
    local expected = {
      mutex = 'mutex "m"', rwlock = 'rwlock "rw"', semaphore = 'semaphore "s"', condition = 'condition "c"',
      barrier = 'barrier "b"',
    }
    for sort, text in pairs(expected) do assert.equal(text .. " of anonymous arena", tostring(things[sort])) end
    assert.equal('guard of mutex "g" of anonymous arena', tostring(things.guard))
    assert.equal('view of 4 u32 at offset 0 of object "v"', tostring(things.view))
    assert.matches('object "r"', tostring(things.record))
    assert.matches('object "rs"', tostring(things.records))
    things.arena:close()
    for sort, text in pairs(expected) do assert.equal(text .. " (closed)", tostring(things[sort])) end
    assert.equal('guard of mutex "g"', tostring(things.guard))
    assert.is_false(things.guard:unlock())
    for _, sort in ipairs { "view", "record", "records" } do assert.is_string(tostring(things[sort])) end
    things.segment:close()
  end)

  it("raises in every method once its arena is closed", function()
    local things = all()
    assert.is_true(things.mutex:lock())
    assert.same({ true }, { things.arena:close() })
    assert.same({ true }, { things.arena:close() })
    for name, method in pairs(getmetatable(things.arena).__index) do
      if name ~= "close" then
        raises("^anonymous arena is closed; open it again$", method, things.arena, "m", "u8", 1)
      end
    end
    for _, sort in ipairs { "mutex", "rwlock", "semaphore", "condition", "barrier" } do
      for name, method in pairs(getmetatable(things[sort]).__index) do
        local arguments = { sort == "condition" and things.mutex or name == "with" and print or nil }
        if name == "ownerdead" then
          assert.is_false(things.mutex:ownerdead())
        else
          raises(' "%w+" is closed$', method, things[sort], table.unpack(arguments))
        end
      end
    end
    for _, use in ipairs {
      function() return things.view[1] end, function() things.view[1] = 1 end, function() return things.view:sum() end,
      function() return things.view:sub(1, 2) end, function() return things.record.x end,
      function() things.record.x = 1 end, function() return things.records[1].x end,
      function() return things.view:wait(1, 0, 0) end,
    } do
      raises("is detached", use)
    end
    things.segment:close()
  end)

  it("bears calls of its own __gc, as often as you like, and is made anew by its arena", function()
    local things = all()
    assert.is_true(things.mutex:lock())
    for _, sort in ipairs { "mutex", "rwlock", "semaphore", "condition", "barrier" } do
      local meta = getmetatable(things[sort])
      for _ = 1, 3 do meta.__gc(things[sort]) end
      assert.matches("%(closed%)$", tostring(things[sort]))
      for name, method in pairs(meta.__index) do
        if name ~= "ownerdead" then
          local argument = sort == "condition" and things.mutex or name == "with" and print or nil
          raises("is closed", method, things[sort], argument)
        end
      end
    end
    local mutex = things.arena:mutex "m"
    assert.are_not.equal(things.mutex, mutex)
    assert.equal(mutex, things.arena:mutex "m")
    assert.same({ true, "EOWNERDEAD" }, { mutex:lock(0) })
    assert.equal(3, things.arena:semaphore("s", 3):value())
    for _, call in ipairs { "__gc", "__close" } do
      for _ = 1, 2 do
        getmetatable(things.guard)[call](things.guard)
        getmetatable(things.arena)[call](things.arena)
      end
    end
    assert.equal("anonymous arena (closed)", tostring(things.arena))
    assert.equal("guard (unlocked)", tostring(things.guard))
    things.segment:close()
  end)

  it("stays open in its views when its userdata for the memory is gone, and pins its arena", function()
    local v, r, m
    do
      local a <close> = assert(shm.arena("/shm_spec_misuse", "64K", { owned = true })) -- luacheck: ignore
      local b = assert(shm.arena "/shm_spec_misuse")
      v, r, m = b:array("v", "u32", 4), b:record("r", Point), b:mutex "m"
    end
    collectgarbage()
    collectgarbage()
    v[1], r.x = 7, 0.5
    assert.equal(7, v[1])
    assert.equal(0.5, r.x)
    assert.is_true(m:lock() and m:unlock())
    v, r, m = nil, nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
  end)

  it("can be passed between arenas: a condition waits with the mutex of another", function()
    local one <close> = assert(shm.arena(nil, 8192))
    local two <close> = assert(shm.arena(nil, 8192))
    local c, m = one:condition "c", two:mutex "m"
    m:lock()
    assert.equal("ETIMEDOUT", select(3, c:wait(m, 0.01)))
    assert.is_true(m:unlock())
  end)
end)

-- A finalizer removes what is being made, at whatever allocation the collector runs it.
local removing = [[
local shm = require "shm"
local arena <close> = assert(shm.arena(nil, "1M"))
local Quote = shm.record("RacedQuote", { "u32 id", "f64 price[8]" })
local function reserve()
  local channel, message, code = arena:channel("x", 256)
  if not channel then return nil, message, code end
  local view
  view, message, code = channel:reserve(1, "u8", 0)
  if view then arena:remove "x" end
  return view, message, code
end
local function peek()
  local channel, message, code = arena:channel("x", 256)
  if not channel then return nil, message, code end
  if not channel:send "message" then return nil, "", "EIDRM" end
  local view
  view, message, code = channel:peek("u8", 0)
  arena:remove "x"
  return view, message, code
end
local makers = {
  function() return arena:array("x", "i64", 10) end, function() return arena:array("x", Quote, 10) end,
  function() return arena:record("x", Quote) end, reserve, peek,
  function() return arena:channel("x", 256, { exclusive = "both" }) end,
}
collectgarbage("generational", 1, 100)
for i, make in ipairs(makers) do
  local refused = 0
  arena:remove "x"
  for n = 1, 3000 do
    setmetatable({}, { __gc = function() arena:remove "x" end })
    for _ = 1, n % 7 do local _ = {} end
    local value, _, code = make()
    assert(value or code == "EIDRM", code)
    if not value then refused = refused + 1 end
  end
  print(i, refused > 0)
end
]]

describe("an object that is removed while it is made", function()
  it("is returned, or nil, a message and EIDRM", function()
    local child = process.run_lua(removing)
    assert.equal("", child.err)
    assert.equal("1\ttrue\n2\ttrue\n3\ttrue\n4\ttrue\n5\ttrue\n6\tfalse\n", child.out)
  end)
end)

describe("a script that closes what it is using", function()
  it("in a finalizer, while an object is opened, is told", function()
    for _, call in ipairs { "mutex", "condition", "objects", "array" } do
      local a = assert(shm.arena(nil, "64K"))
      local mode = collectgarbage "incremental"
      for _ = 1, 50 do setmetatable({}, { __gc = function() a:close() end }) end
      local done, message
      local count = 0
      repeat
        count = count + 1
        done, message = pcall(a[call], a, "x" .. count % 16, "u8", 8)
        if call ~= "objects" then pcall(a.remove, a, "x" .. count % 16) end
      until not done or count > 20000
      assert.is_false(done)
      assert.matches("is closed", message)
      collectgarbage(mode)
    end
  end)

  it("in with, guards and coroutines, is left unharmed", function()
    local a = assert(shm.arena(nil, 8192))
    local m = a:mutex "m"
    local co = coroutine.wrap(function() return m:with(function() return coroutine.yield() end) end)
    co()
    a:close()
    assert.equal(5, co(5))
    raises("is closed", m.lock, m)
    local never = coroutine.create(function()
      local b <close> = assert(shm.arena(nil, 8192))
      b:mutex("m"):with(coroutine.yield)
    end)
    assert(coroutine.resume(never))
    assert.is_true(coroutine.close(never))
  end)
end)

describe("several Lua states in one process", function()
  it("have arenas of their own, and locks that know their threads", function()
    local run = process.run_lua([[
      local uv, shm = require "luv", require "shm"
      local name = "/shm_spec_misuse"
      local a <close> = assert(shm.arena(name, "64K", { owned = true }))
      local m, v = a:mutex "m", a:array("v", "u32", 3)
      m:lock()
      local thread = uv.new_thread(function(name)
        local a <close> = assert(require("shm").arena(name))
        local m, v = a:mutex "m", a:array("v", "u32", 3)
        local _, message, code = m:trylock()
        assert(code == "EBUSY" and message:match(("process %d holds it"):format(require("luv").os_getpid())), message)
        assert(not pcall(m.unlock, m), "another thread's")
        v[1] = 1
        v:notify(1)
        for i = 1, 20000 do
          m:lock()
          v[2] = v[2] + 1
          m:unlock()
        end
      end, name)
      while v:load(1) == 0 do v:wait(1, 0, 1) end
      local other = uv.new_thread(function(name)
        local a <close> = assert(require("shm").arena(name))
        local v, g <close> = a:array("v", "u32", 3), a:mutex("other"):guard() -- luacheck: ignore
        v[3] = 1
        v:notify(3)
        v:wait(3, 1, 20)
      end, name)
      while v:load(3) == 0 do v:wait(3, 0, 1) end
      print(select(2, a:mutex("other"):trylock()):match "process (%d+) holds it" == ("%d"):format(uv.os_getpid()))
      v[3] = 2
      v:notify(3)
      other:join()
      m:unlock()
      for i = 1, 20000 do m:with(function() v[2] = v[2] + 1 end) end
      thread:join()
      print(v[2], a:stat().handles)]])
    assert.equal("", run.err)
    assert.equal("true\n40000\t1\n", run.out)
  end)
end)

describe("a collection at every allocation", function()
  it("harms no arena, lock, guard, view or record of one", function()
    local run = process.run(process.build .. "/spec/gcstress", { "spec/support/gcstress_arena.lua" }, { seconds = 120 })
    assert.equal("", run.err)
    assert.matches("^passed with %d%d%d+ collections", run.out)
  end)

  it("harms no channel, topic, service or view of a message", function()
    local script = "spec/support/gcstress_queues.lua"
    local run = process.run(process.build .. "/spec/gcstress", { script }, { seconds = 120 })
    assert.equal("", run.err)
    assert.matches("^passed with %d%d%d%d+ collections", run.out)
  end)
end)
