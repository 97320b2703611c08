-- gcstress_arena.lua: uses everything of arenas and locks, in both modes of the collector. gcstress.c
-- runs it, with a collection at every allocation.
local shm = require "shm"

local Item = shm.record("StressItem", { "u32 id", "char text[12]" })

local function use(a)
  local m, rw, s, c, b = a:mutex "m", a:rwlock "rw", a:semaphore("s", 3), a:condition "c", a:barrier("b", 1)
  assert(m == a:mutex "m" and tostring(m):find("mutex", 1, true) and m:lock())
  assert(not pcall(m.lock, m) and select(3, c:wait(m, 0)) == "ETIMEDOUT" and m:unlock())
  do
    local g <close> = assert(m:guard()) -- luacheck: ignore
    local w <close> = assert(rw:write(1)) -- luacheck: ignore
    assert(not pcall(rw.read, rw, 0))
  end
  assert(select("#", m:with(function(...) return ... end, 1, {}, "x" .. 1)) == 3)
  assert(not pcall(m.with, m, error, {}))
  local co = coroutine.wrap(function() return m:with(function(x) return coroutine.yield(x .. "") end, 1) end)
  assert(co() == "1" and co(2) == 2)
  local r = assert(rw:read())
  assert(tostring(r):find("guard", 1, true) and r:unlock() and not r:unlock())
  assert(s:acquire() and s:acquire(2, 0) and s:value() == 0 and not pcall(s.acquire, s) and s:release(3))
  assert(c:notify() and c:notify_all() and select(2, b:wait()) == true and b:waiting() == 0)
  local v, i, all = a:array("v", "f64", 10), a:record("i", Item), a:array("all", Item, 5)
  v:fill(1.5)
  i:set { id = 7, text = "seven" }
  all[5] = i:totable()
  assert(#a:objects() == 8 and a:stat().objects == 8 and select(3, a:mutex "v") == "EPROTOTYPE")
  assert(select(3, a:array("x", "u8", 1 << 40)) == "ENOSPC" and select(3, a:remove "x") == "ENOENT")
  assert(a:remove "c" and select(3, c:notify()) == "EIDRM" and a:condition "c" ~= c)
  assert(m:lock()) -- is left to the next
  return v, i, all
end

-- An arena seen from outside, while one of its mutexes is held.
local function inspect()
  local arena <close> = assert(shm.arena(shm.PRIVATE, 65536, { owned = true }))
  local seen <close> = assert(shm.attach({ id = arena:stat().id }, { readonly = true }))
  arena:channel("c", 1024)
  arena:dict("d", 16384)
  arena:semaphore("s", 3)
  arena:mutex("m"):lock()
  local found = assert(seen:inspect())
  assert(#found.objects == 4 and found.objects[1].stat.capacity == 1024 and found.objects[3].stat.value == 3)
  assert(found.objects[4].holders[1].part == "holds" and #found.objects[4].users == 1)
end

for _, mode in ipairs { "generational", "incremental" } do
  collectgarbage(mode)
  stress(true) -- luacheck: ignore 113
  for round = 1, 10 do
    local v, i, all
    do
      local a = assert(shm.arena(nil, 16384))
      v, i, all = use(a)
    end
    assert(v:sum() == 15 and i.id == 7 and all[5].text == "seven") -- pinned: the arena is not collected
    local a <close> = assert(shm.arena(nil, 16384))
    local view, record = use(a)
    local third = a:stat().largest // 3 // 64 * 8
    for _ = 1, 5 do
      assert(a:array("third", "f64", third))
      a:remove "third"
    end
    if round % 2 == 0 then a:close() end
    inspect()
    assert(pcall(function() return view[1] + record.id end) == (round % 2 == 1))
  end
  stress(false) -- luacheck: ignore 113
end
