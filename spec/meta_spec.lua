-- meta_spec.lua: bindings/meta/shm.lua describes what there is, all of it, and nothing else.
local shm = require "shm"
local process = require "spec.support.process"

local file <close> = assert(io.open("bindings/meta/shm.lua"))
local text = file:read("a")

-- Names that the meta file declares as functions of a table, and the comment above each.
local function declared(owner)
  local names, comments = {}, {}
  local comment = {}
  for line in text:gmatch("[^\n]*") do
    local name, parameters = line:match("^function " .. owner .. "[.:]([%w_]+)%((.-)%) end$")
    if name then
      names[name] = true
      comments[name] = { text = table.concat(comment, "\n"), parameters = parameters }
    end
    if line:find("^%-%-%-") then comment[#comment + 1] = line else comment = {} end
  end
  return names, comments
end

-- Names of the fields of a class in the meta file; the value is true for optional ones.
local function fields(class)
  local found, inside = {}, false
  for line in text:gmatch("[^\n]+") do
    local name = line:match("^%-%-%-@class ([%w._]+)")
    if name then inside = name == class end
    local field, optional = line:match("^%-%-%-@field ([%w_]+)(%??)")
    if inside and field then found[field] = optional == "?" end
  end
  return found
end

local function names_of(live)
  local names = {}
  for name, value in pairs(live) do
    if type(value) == "function" then names[name] = true end
  end
  return names
end

local function keys(set)
  local result = {}
  for key in pairs(set) do result[key] = true end
  return result
end

describe("the meta file", function()
  local meta, view_meta, layout, record_meta, records_meta
  do
    local segment <close> = assert(shm.create(nil, 10))
    meta = getmetatable(segment)
    view_meta = getmetatable(segment:view "u8")
    layout = shm.record("Meta", { "u8 field" })
    record_meta = getmetatable(segment:record(layout))
    records_meta = getmetatable(segment:view(layout))
  end

  it("is Lua, and returns the module", function()
    assert.is_table(assert(load(text, "@shm.lua"))())
  end)

  it("has the functions of the module, and no other", function()
    assert.same(names_of(shm), (declared("shm")))
  end)

  it("has the methods of a segment, and no other", function()
    assert.same(names_of(meta.__index), (declared("Segment")))
  end)

  it("has the methods of a view, and no other", function()
    local _, methods = debug.getupvalue(view_meta.__index, 1)
    assert.same(names_of(methods), (declared("View")))
  end)

  it("has the methods of layouts, records and arrays of them, and no other", function()
    local function methods_of(index)
      local found
      for n = 1, 2 do
        local _, value = debug.getupvalue(index, n)
        found = value or found
      end
      return names_of(found)
    end
    assert.same(methods_of(getmetatable(layout).__index), (declared("Layout")))
    assert.same(methods_of(record_meta.__index), (declared("Record")))
    assert.same(methods_of(records_meta.__index), (declared("RecordArray")))
    for field in pairs(fields("shm.Layout")) do assert.is_truthy(layout[field], field) end
  end)

  it("has the methods of an arena and of what is in it, and no other", function()
    local arena <close> = assert(shm.arena(nil, "64K"))
    local mutex = arena:mutex "m"
    local objects = { Arena = arena, Mutex = mutex, RWLock = arena:rwlock "r", Semaphore = arena:semaphore("s", 1),
      Condition = arena:condition "c", Barrier = arena:barrier("b", 1), Guard = mutex:guard(),
      Channel = arena:channel("ch", "1K"), Topic = arena:topic("t", "1K"), Service = arena:service("s2", 64),
      Dict = arena:dict("d", "16K") }
    objects.Subscription = objects.Topic:subscribe()
    assert.same(keys(fields("shm.ChannelStat")), keys(objects.Channel:stat()))
    assert.same(keys(fields("shm.TopicStat")), keys(objects.Topic:stat()))
    assert.same(keys(fields("shm.DictStat")), keys(objects.Dict:stat()))
    for owner, object in pairs(objects) do
      assert.same(names_of(getmetatable(object).__index), (declared(owner)), owner)
    end
    local described = fields("shm.ArenaEntry")
    assert.same(keys(described), keys(arena:objects()[1]))
    local sysv <close> = assert(shm.arena(shm.PRIVATE, "64K", { owned = true }))
    assert.same(keys(fields("shm.ArenaStat")), keys(sysv:stat()))
    local kinds = {}
    arena:array("a", "u8", 1)
    arena:record("l", shm.record("OneByte", { "u8 field" }))
    for _, entry in ipairs(arena:objects()) do kinds[entry.kind] = true end
    local told = {}
    for kind in text:match("@field kind ([^\n]+)"):gmatch('"(%w+)"') do told[kind] = true end
    assert.same(told, kinds)
  end)

  it("has what an inspection says, and no more", function()
    local arena <close> = assert(shm.arena("/shm_spec_inspected", "64K", { owned = true }))
    local mutex = arena:mutex "m"
    local guard <close> = mutex:guard()
    arena:channel("c", "1K")
    local segment <close> = assert(shm.attach("/shm_spec_inspected", { readonly = true }))
    local seen = segment:inspect()
    assert.same(keys(fields("shm.Inspection")), keys(seen))
    assert.same(keys(fields("shm.InspectedObject")), keys(seen.objects[2]))
    assert.same(keys(fields("shm.Holder")), keys(seen.objects[1].holders[1]))
    guard:unlock()
  end)

  it("has the methods of semaphores, and no other; they have nothing to collect", function()
    local set = assert(shm.semaphores(shm.PRIVATE, 1))
    set:remove()
    local semaphores_meta = getmetatable(set)
    assert.same(names_of(semaphores_meta.__index), (declared("Semaphores")))
    assert.same({ __len = true, __tostring = true, __newindex = true }, names_of(semaphores_meta))
  end)

  it("has the values of the module, and no other", function()
    local values = {}
    for name, value in pairs(shm) do
      if type(value) ~= "function" then values[name] = true end
    end
    local always = fields("shm")
    for name, optional in pairs(always) do always[name] = not optional or nil end
    assert.same(values, always)
  end)

  it("has what a worker of shmlua has, and no other", function()
    local shmlua = process.build .. "/shmlua"
    local function print_keys(table, test)
      return ("for key, value in pairs(%s) do if %s then io.write(key, ' ') end end"):format(table, test)
    end
    for class, script in pairs { shm = print_keys("require 'shm'", "type(value) ~= 'function'"),
      ["shm.Worker"] = print_keys("require 'shm'.worker", "true") } do
      local found = {}
      for key in process.run(shmlua, { "-j1", "-e", script }).out:gmatch("%S+") do
        found[key] = true
      end
      assert.same(found, keys(fields(class)))
    end
  end)

  it("knows the metamethods", function()
    assert.same({ __gc = true, __close = true, __len = true, __tostring = true, __newindex = true }, names_of(meta))
    assert.same({ __len = true, __tostring = true, __index = true, __newindex = true, __pairs = true },
      names_of(view_meta))
    assert.matches("@operator len", text)
  end)

  it("says of each function what it takes, returns, calls and may fail with", function()
    for _, owner in ipairs { "shm", "Segment", "View", "Layout", "Record", "RecordArray", "Arena", "Mutex",
      "RWLock", "Semaphore", "Condition", "Barrier", "Guard", "Channel", "Topic", "Subscription", "Service",
      "Dict", "Semaphores" } do
      local _, comments = declared(owner)
      for name, comment in pairs(comments) do
        assert.matches("%-%-%-%u.-%.", comment.text, 1, false, name)
        for _, part in ipairs { "@return", "Errors: ", "System calls: " } do
          assert.is_truthy(comment.text:find(part, 1, true), name .. " lacks " .. part)
        end
        for parameter in comment.parameters:gmatch("[%w_.]+") do
          local pattern = "@param " .. parameter:gsub("%.", "%%.") .. "[? ]"
          assert.is_truthy(comment.text:find(pattern), name .. " lacks @param " .. parameter)
        end
      end
    end
  end)

  it("has every field of a status and of the limits, and no other", function()
    local seen = {}
    local posix <close> = assert(shm.create("/shm_spec_meta", 10, { owned = true }))
    local memfd <close> = assert(shm.create(nil, 10))
    local described = fields("shm.Stat")
    local sysv <close> = assert(shm.create(shm.PRIVATE, 10, { owned = true }))
    for _, one in ipairs { sysv, posix, memfd } do
      local stat = one:stat()
      for field in pairs(stat) do seen[field] = true end
      for field, optional in pairs(described) do
        assert.is_true(optional or stat[field] ~= nil, field .. " is not optional, and missing")
      end
    end
    assert.same(keys(described), seen)
    assert.same(keys(fields("shm.Limits")), keys(shm.limits()))
    local set = assert(shm.semaphores(shm.PRIVATE, 1))
    local stat = set:stat()
    set:remove()
    assert.same(keys(fields("shm.SemaphoresStat")), keys(stat))
  end)

  it("has every option, and no other", function()
    local _, message = pcall(shm.create, nil, 10, { unknown = true })
    local told = {}
    for name in message:match("there are (.-)%)$"):gmatch("[%w_]+") do told[name] = true end
    assert.is_true(told.owned)
    local described = keys(fields("shm.AttachOptions"))
    for name in pairs(fields("shm.CreateOptions")) do described[name] = true end
    assert.same(told, described)
    _, message = pcall(shm.semaphores, shm.PRIVATE, 1, { unknown = true })
    told = {}
    for name in message:match("there are (.-)%)$"):gmatch("[%w_]+") do told[name] = true end
    assert.same(told, keys(fields("shm.SemaphoresOptions")))
  end)

  it("has every change, and no other", function()
    local memfd <close> = assert(shm.create(nil, 10))
    local _, message = pcall(memfd.set, memfd, { unknown = true })
    local told = {}
    for name in message:match("there are (.-)%)$"):gmatch("[%w_]+") do told[name] = true end
    assert.same(told, keys(fields("shm.Change")))
  end)
end)
