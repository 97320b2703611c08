-- gcstress_dict.lua: uses everything of dicts, in both modes of the collector. gcstress.c runs it, with a collection at
-- every allocation; now and then a finalizer closes the arena meanwhile.
local shm = require "shm"

local large = ("large"):rep(1000)

local function use(d, path)
  assert(d:set("t", { 1, { x = large } }, 10, 3) and d:get("t")[2].x == large and select(2, d:get_stale "t") == 3)
  assert(d:incr("n", 1, 1) == 2 and d:rpush("l", large) == 1 and d:lpush("l", { 1 }) == 2 and d:llen "l" == 2)
  assert(d:lrange("l", 1, -1)[2] == large and #d:lrange("l", 2, 1) == 0)
  assert(d:cas("t", { 1, { x = large } }, { y = 1 }) and d:update("t", function(t) return { t.y + 1 } end)[1] == 2)
  assert(d:fetch("f", 0, function(key) return { key .. "" } end)[1] == "f" and d:fetch("f", 0, error)[1] == "f")
  assert(not pcall(d.fetch, d, "g", 0, function() error {} end) and d:fetch("g", 0, function() end) == nil)
  assert(d:set_all { a = large, b = { {} } } and d:get_all { "a", "b" }.a == large and #d:get_keys() == 6)
  local count = 0
  for _, value in pairs(d) do count = count + (value ~= nil and 1 or 0) end
  local cursor, entries = d:scan(0, 100)
  assert(count == 6 and cursor == 0 and entries.l[2] == large and tostring(d) ~= "" and d:stat().entries == 6)
  assert(d:snapshot(path) == 6 and d:flush_all() and d:flush_expired() == 6 and d:restore(path) == 6)
  assert(d:rpop "l" == large and d:lpop("l")[1] == 1 and d:delete "t" and #d:get_keys() == 4)
end

local path = os.tmpname()
for _, mode in ipairs { "generational", "incremental" } do
  collectgarbage(mode)
  stress(true) -- luacheck: ignore 113
  for _ = 1, 5 do
    local a <close> = assert(shm.arena(nil, "256K"))
    use(a:dict("d", "128K"), path)
  end
  for delay = 1, 60 do
    local a <close> = assert(shm.arena(nil, "256K"))
    local d = a:dict("d", "128K")
    local left = delay
    local function tick()
      left = left - 1
      if left == 0 then a:close() else setmetatable({}, { __gc = tick }) end
    end
    tick()
    local _, message = pcall(use, d, path)
    assert(left <= 0 or message == nil, message)
  end
  stress(false) -- luacheck: ignore 113
end
os.remove(path)
