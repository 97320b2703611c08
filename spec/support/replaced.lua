-- replaced.lua: replaces each user value, upvalue and metatable of all that the module makes, by the library debug,
-- and then calls every method and metamethod. Nothing is to be right, but the process must live: debug_spec.lua looks.
local shm = require "shm"

local Point = shm.record("ReplacedPoint", { "u32 x", "f32 y[2]" })
local Line = shm.record("ReplacedLine", { "u32 id", "ReplacedPoint from", "ReplacedPoint ends[2]", "char name[8]" })

-- One of each kind. Nothing blocks: there are permits enough, and what could be waited for is finished.
local function make_all()
  local arena = assert(shm.arena(nil, "1M"))
  local segment = assert(shm.create(nil, 4096))
  local channel, used = arena:channel("finished", 1024), arena:channel("used", 1024)
  used:send "message"
  local reserved, peeked = used:reserve(4, "u32"), used:peek "u8"
  local topic, service = arena:topic("topic", 1024), arena:service("service", 64)
  local subscription = topic:subscribe()
  topic:publish "news"
  topic:finish()
  channel:finish()
  service:finish()
  local dict = arena:dict("dict", "64K")
  dict:set("key", { 1, 2 })
  local walk = pairs(dict)
  local step, server, _, closing = service:requests()
  local view = arena:array("view", "i64", 4)
  view:fill(7)
  local all = {
    arena = arena, segment = segment, channel = channel, used = used, reserved = reserved, peeked = peeked,
    topic = topic, subscription = subscription, service = service, dict = dict, walk = walk, step = step,
    server = server, closing = closing, view = view, sub = segment:view("u16", 8, 100),
    record = segment:record(Line, 512), placed = arena:record("record", Line),
    records = arena:array("records", Line, 3), layout = Line, inner = Point,
    mutex = arena:mutex "mutex", rwlock = arena:rwlock "rwlock", semaphore = arena:semaphore("semaphore", 30000),
    condition = arena:condition "condition", barrier = arena:barrier("barrier", 1), guard = arena:mutex("held"):guard(),
  }
  return all
end

local function foreign(all, kind) return kind == "record" and all.view or all.record end

-- What is put into the place of a value.
local replacements = {
  function() return nil end, function() return 7 end, function() return io.stdout end, function() return {} end,
  function() return "text" end, foreign, function(all) return all.layout end, function(all) return all.inner end,
  function(all) return all.segment end,
}

local line = { id = 1, from = { x = 1, y = { 1, 2 } }, ends = { { x = 2 } }, name = "a" }
local arguments = { {}, { 1 }, { 0 }, { "x" }, { 1, 1 }, { 1, 0 }, { {} }, { line }, { Line }, { "x", "u8", 4 } }

-- What may wait is called of a finished channel, and waits with a timeout.
local skipped = { __gc = true, __close = true, fd = true, snapshot = true, restore = true }
local waits = { receive = true, receive_all = true, messages = true, peek = true, send = true, send_all = true,
  reserve = true }

local function try(call, ...)
  for _, list in ipairs(arguments) do pcall(call, ..., table.unpack(list)) end
end

-- Calls f(name, function) for all functions that a value has.
local function each_function(value, f)
  if type(value) == "function" then return f("__call", value) end
  local meta = debug.getmetatable(value) or {}
  for name, found in pairs(meta) do
    if type(found) == "function" then f(name, found) end
  end
  local methods = meta.__index
  for i = 1, 2 do
    if type(methods) == "function" then
      local _, upvalue = debug.getupvalue(methods, i)
      for name, found in pairs(type(upvalue) == "table" and upvalue or {}) do
        if type(found) == "function" then f(name, found) end
      end
    end
  end
  for name, found in pairs(type(methods) == "table" and methods or {}) do f(name, found) end
end

-- Uses a value as scripts do.
local function use(all, kind)
  local value = all[kind]
  if type(value) == "function" then
    pcall(value)
    return pcall(value, all.server)
  end
  for _, key in ipairs { 1, 2, "x", "id", "from", "ends", "name", "size", "lock" } do
    pcall(function() return value[key] end)
    pcall(function() value[key] = 1 end)
    pcall(function() value[key] = line[key] end)
    pcall(function() value[key] = line end)
    pcall(function() return value[key].x, value[key][1], value[key]:sum() end)
  end
  pcall(function() return #value, tostring(value) end)
  pcall(function() for _ in pairs(value) do end end)
  pcall(function() for _ in ipairs(value) do end end)
  if kind == "arena" then
    for _, maker in ipairs { "mutex", "rwlock", "condition" } do
      pcall(function() return value[maker](value, "new " .. maker) end)
    end
    pcall(function() return value:array("array", Line, 2) end)
    pcall(function() return value:record("record", Line) end)
  elseif kind == "layout" or kind == "inner" then
    pcall(function() return all.segment:record(value, 0) end)
    pcall(function() return all.segment:view(value, 0, 2) end)
    pcall(function() all.record.from = line.from all.record:set(line) return all.record:totable() end)
    pcall(function() all.records[1] = line return all.records[2].from.y[1], all.records:totable() end)
  end
  each_function(value, function(name, method)
    if name == "wait" and kind ~= "barrier" then
      pcall(method, value, 1, 1, 0)
    elseif not skipped[name] and not (kind == "used" and waits[name]) then
      try(method, value)
    end
  end)
end

-- Each experiment has everything anew, and keeps it until its end.
local function user_values(kind)
  local count = 0
  while count < 9 and select(2, debug.getuservalue(make_all()[kind], count + 1)) do count = count + 1 end
  for n = 1, count do
    for _, replace in ipairs(replacements) do
      local all = make_all()
      local before = debug.getuservalue(all[kind], n)
      debug.setuservalue(all[kind], replace(all, kind), n)
      use(all, kind)
      debug.setuservalue(all[kind], before, n)
    end
  end
  return count
end

-- Upvalues are of a metatable, which all values of the kind have: they are put back.
local function upvalues(kind)
  local count = 0
  local functions = {}
  each_function(make_all()[kind], function(_, method) functions[#functions + 1] = method end)
  for _, method in ipairs(functions) do
    for n = 1, 3 do
      local name, before = debug.getupvalue(method, n)
      if name == nil then break end
      count = count + 1
      for _, replace in ipairs(replacements) do
        local all = make_all()
        debug.setupvalue(method, n, (replace(all, kind)))
        use(all, kind)
        debug.setupvalue(method, n, before)
      end
    end
  end
  return count
end

-- Methods know their receivers, whatever metatable leads to them.
local function metatables(kind)
  for _, other in ipairs { "view", "record", "records", "layout", "mutex", "channel", "dict", "arena", "segment" } do
    local all = make_all()
    local before = debug.getmetatable(all[kind])
    debug.setmetatable(all[kind], debug.getmetatable(all[other]))
    use(all, kind)
    debug.setmetatable(all[kind], before)
  end
end

-- A walk is a closure of its own, and a loop over requests is closed.
local function closures()
  for _, replace in ipairs(replacements) do
    local all = make_all()
    debug.setuservalue(all.server, replace(all, "server"), 2)
    pcall(debug.getmetatable(all.server).__close, all.server, "an error")
    local _, before = debug.getupvalue(all.walk, 1)
    for n = 1, 2 do
      local value = debug.getuservalue(before, n)
      debug.setuservalue(before, replace(all, "walk"), n)
      pcall(all.walk)
      debug.setuservalue(before, value, n)
    end
    debug.setupvalue(all.walk, 1, (replace(all, "walk")))
    pcall(all.walk)
    debug.setupvalue(all.walk, 1, before)
  end
end

local kinds = {}
for kind in pairs(make_all()) do kinds[#kinds + 1] = kind end
table.sort(kinds)
local values, ups = 0, 0
for _, kind in ipairs(kinds) do
  if type(make_all()[kind]) == "userdata" then
    values = values + user_values(kind)
    metatables(kind)
  end
  ups = ups + upvalues(kind)
  print(kind)
end
closures()
collectgarbage()
print("all", values > 20, ups > 20)
