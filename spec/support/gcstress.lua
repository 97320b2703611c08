-- gcstress.lua: uses everything that makes, pins and drops segments, views, records, semaphores and message queues, in
-- both modes of the collector. gcstress.c runs it, with a collection at every allocation.
local shm = require "shm"

local Inner = shm.record("StressInner", { "u16 a", "char text[60]" })
local Outer = shm.record("StressOuter", { "u32 id", "f64 price[4]", "StressInner inner", "StressInner more[2]" })
assert(Inner.size > 0 and Outer:cdef():find("StressInner", 1, true))

local long = { ("a"):rep(1000), ("b"):rep(2000), ("c"):rep(3000) } -- string.rep has memory that is not asked for twice

local function use_queue()
  local queue = assert(shm.messages(shm.PRIVATE, { mode = "0600" }))
  for i = 1, 3 do assert(queue:send(long[i], i)) end
  assert(queue:receive(-2) == long[1] and queue:receive(2, 0, { except = true }) == long[3])
  assert(queue:receive() == long[2] and select(3, queue:receive(0, 0)) == "EAGAIN" and tostring(queue))
  assert(queue:set { qbytes = 10 } and queue:stat().qbytes == 10 and select(3, queue:send(long[1])) == "EMSGSIZE")
  assert(queue:remove() and select(3, queue:stat()) == "EIDRM")
end

local function use(segment)
  local v = segment:view("f64", 0, 40):fill(1.5)
  assert(v:sub(3, 5):sub(2)[1] == 1.5 and #v:totable() == 40 and v:sum() == 60)
  v:copy({ 1, 2, 3 }, 2):copy(segment:view("u8", 400, 8), 20):set(1, 9, 9)
  assert(select("#", v:get(1, 40)) == 40)
  for i, x in pairs(v:sub(1, 3)) do assert(v[i] == x) end
  assert(tostring(v):find("40 f64", 1, true))
  local atoms = segment:view("i32", 1024, 4)
  assert(atoms:fetch_add(1, 2) == 0 and atoms:wait(1, 0) == "not-equal" and atoms:notify(1) == 0)
  local q = segment:record(Outer, 2048)
  q.id, q.price[2], q.inner.text, q.more[2].a = 7, 2.5, ("t"):rep(50), 3
  q:set { id = 8, price = { 1 }, inner = { a = 4 }, more = { { a = 1 }, { text = "x" } } }
  local t = q:totable()
  assert(t.id == 8 and t.price[2] == 2.5 and t.inner.text == ("t"):rep(50) and t.more[2].a == 3)
  local all = segment:view(Outer, 2048, 2)
  all[2] = t
  assert(#all:totable() == 2 and all[2].inner.a == 4)
  assert(segment:write(("x"):rep(100), 4000):read(100, 4000) == ("x"):rep(100))
  assert(segment:stat().size == 4200 and #shm.list() >= 0 and shm.limits().page_size > 0)
  assert(not pcall(function() v[1] = "x" end) and not pcall(q.set, q, { id = 1, nothing = 2 }))
  local set = assert(shm.semaphores(shm.PRIVATE, 3, { value = { 1, 2, 3 }, mode = "0600" }))
  assert(set:op { { 1, -1 }, { 2, 5 } } and set:values()[2] == 7 and set:stat().pids[3] > 0)
  assert(select(3, set:acquire(1, 1, 0)) == "ETIMEDOUT" and not pcall(set.op, set, { { 1, 2 }, { 9, 1 } }))
  assert(set:remove() and select(3, set:values()) == "EIDRM" and tostring(set))
  return v, q, all
end

for _, mode in ipairs { "generational", "incremental" } do
  collectgarbage(mode)
  stress(true) -- luacheck: ignore 113
  for _ = 1, 20 do
    local v, q, all
    do
      local segment = assert(shm.create(nil, 4200))
      v, q, all = use(segment)
      use_queue()
    end
    assert(v[1] == 9 and q.id == 8 and all[1].id == 8) -- pinned: the segment is not collected
    local closed = assert(shm.create(nil, 4200))
    local view, record = use(closed)
    closed:detach()
    assert(not pcall(function() return view[1] end) and not pcall(function() return record.id end))
  end
  stress(false) -- luacheck: ignore 113
end
