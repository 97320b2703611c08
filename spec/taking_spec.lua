-- taking_spec.lua: what is received, popped or served leaves shared memory only when its value exists, and once.
local shm = require "shm"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_taking"

local arena
before_each(function() arena = assert(shm.arena(name, "8M", { owned = true })) end)
after_each(function()
  collectgarbage "incremental"
  arena:close()
end)

-- Calls f while Lua collects garbage that has this finalizer.
local function while_collecting(finalizer, f, ...)
  local results
  collectgarbage "generational" -- each of its steps finalizes what has just been made
  collectgarbage "stop"
  setmetatable({}, { __gc = function() if not results then finalizer() end end })
  collectgarbage "restart" -- the next allocation takes a step
  results = table.pack(f(...))
  return table.unpack(results, 1, results.n)
end

describe("memory that ends in the middle of a call", function()
  it("costs no message, request or element", function()
    local run = process.run(process.build .. "/spec/gcstress", { "spec/support/gcstress_short.lua" }, { seconds = 120 })
    assert.equal("", run.err)
    assert.equal("passed with 0 collections\n", run.out)
  end)

  it("leaves a message for a receiver that has more memory", function()
    if process.is_sanitized then return pending "a sanitizer cannot start under ulimit -v" end
    local c = assert(arena:channel("c", "4M"))
    local list = {}
    for i = 1, 1000 do list[i] = i % 100 end -- 1,003 bytes in the ring, 16,000 in Lua
    c:send(list)
    local run = process.run("sh", { "-c", [[ulimit -v 100000 && exec "$0" -e "$1"]], process.lua, [[
      local c, keep = require "shm".arena("]] .. name .. [["):channel("c", "4M"), {}
      for _ = 1, 3 do -- what a collection gives back is taken, too
        for shift = 18, 12, -1 do
          pcall(function() while true do keep[#keep + 1] = ("y"):rep(1 << shift) .. #keep end end)
        end
        collectgarbage()
      end
      print(pcall(c.receive, c, 0))]] })
    assert.same({ "false\tnot enough memory\n", "" }, { run.out, run.err })
    assert.same(list, c:receive(0))
  end)
end)

describe("a finalizer that takes what is just being taken", function()
  local all = { { 1 }, ("short but not interned, as it is longer than that"), { { ("y"):rep(2000) } },
    ("z"):rep(150000) }

  it("has it, and the receiver of a channel gets the next one", function()
    local c = assert(arena:channel("c", "1M"))
    for _, value in ipairs(all) do
      local taken
      c:send_all { value, { "second" }, { "third" } }
      local got = while_collecting(function() taken = c:receive(0) end, c.receive, c, 0)
      assert.same({ value, { "second" } }, { taken, got })
      assert.same({ { { "third" } } }, { c:receive_all(nil, 0) })
    end
  end)

  it("has it, and receive_all gets the rest", function()
    local c = assert(arena:channel("c", "64K"))
    local taken
    c:send_all { { 1 }, { 2 }, { 3 }, { 4 } }
    local got = while_collecting(function() taken = c:receive(0) end, c.receive_all, c, nil, 0)
    for _, value in ipairs(c:receive_all(nil, 0) or {}) do got[#got + 1] = value end
    assert.same({ { 1 }, { { 2 }, { 3 }, { 4 } } }, { taken, got })
  end)

  it("has it, and the subscriber of a topic gets the next one, with none lost", function()
    local t = assert(arena:topic("t", "1M"))
    local s = assert(t:subscribe())
    local taken
    for _, value in ipairs { { 1 }, { 2 }, { 3 } } do t:publish(value) end
    local got, lost = while_collecting(function() taken = s:receive(0) end, s.receive, s, 0)
    assert.same({ { 1 }, { 2 }, 0 }, { taken, got, lost })
    assert.same({ { 3 }, 0 }, { s:receive(0) })
  end)

  it("has it, and lpop and rpop get the next one", function()
    local d = assert(arena:dict("d", "1M"))
    for pop, expected in pairs { lpop = { 1, 2, 3 }, rpop = { 3, 2, 1 } } do
      for i = 1, 3 do d:rpush("l", { i }) end
      local taken
      local got = while_collecting(function() taken = d[pop](d, "l") end, d[pop], d, "l")
      assert.same({ { expected[1] }, { expected[2] }, { expected[3] } }, { taken, got, (d[pop](d, "l")) })
      assert.is_nil((d[pop](d, "l")))
    end
  end)

  it("has the last one, and pop finds no list", function()
    local d = assert(arena:dict("d", "1M"))
    d:rpush("l", { 1 })
    local taken
    assert.is_nil((while_collecting(function() taken = d:lpop "l" end, d.lpop, d, "l")))
    assert.same({ 1 }, taken)
  end)

  it("has a request, and the server gets the next one", function()
    local s = assert(arena:service "s")
    local callers = {}
    for i = 1, 2 do
      callers[i] = peers.waiting(name, ("say 'calls' print(a:service('s'):call({ %d }, 20)[1])"):format(i))
    end
    local next_request, server = s:requests()
    local outer, inner = {}, {}
    outer.request, outer.reply = while_collecting(function()
      local other_next, other = s:requests()
      inner.request, inner.reply = other_next(other)
    end, next_request, server)
    assert.same({ { 1 }, { 2 } }, { inner.request, outer.request })
    for _, one in ipairs { inner, outer } do assert.is_true(one.reply(one.request)) end
    for i = 1, 2 do
      callers[i]:wait()
      assert.equal(("%d\n"):format(i), callers[i].out:gsub("calls\n", ""))
    end
  end)
end)

describe("many who take at once", function()
  it("receive each message once, whatever its kind and however they receive", function()
    local total <const> = 6000
    local ways = {
      "local v repeat v = c:receive() if v ~= nil then note(v) end until v == nil",
      "for v in c:messages() do note(v) end",
      "local l repeat l = c:receive_all(7) for _, v in ipairs(l or {}) do note(v) end until not l",
      "local l repeat l = c:receive_all() for _, v in ipairs(l or {}) do note(v) end until not l" }
    local receivers, senders = {}, {}
    for i, way in ipairs(ways) do
      receivers[i] = peers.start(name, [[
        local c, seen = a:channel("c", "64K"), {}
        local function note(v)
          seen[#seen + 1] = type(v) == "table" and v[1] or type(v) == "string" and v:match "%d+" or v
        end
        ]] .. way .. [[ print(table.concat(seen, " "))]])
    end
    local c = assert(arena:channel("c", "64K"))
    for i = 1, 2 do
      senders[i] = peers.start(name, ([[
        local c = a:channel("c", "64K")
        for i = %d, %d, 2 do
          local way = i %% 4
          assert(c:send(way == 0 and i or way == 1 and { i } or ("x"):rep(way * i %% 6000) .. i))
        end]]):format(i, total))
    end
    for i = 1, 2 do peers.finish(senders[i]) end
    c:finish()
    local times = {}
    for i = 1, #ways do
      for number in peers.finish(receivers[i]):gmatch "%d+" do
        number = math.tointeger(number)
        times[number] = (times[number] or 0) + 1
      end
    end
    for i = 1, total do assert.equal(1, times[i], i) end
    assert.equal(total, #times)
  end)

  it("pop each element once, at both ends", function()
    local d = assert(arena:dict("d", "4M"))
    local total <const> = 4000
    for i = 1, total do d:rpush("l", i % 2 == 0 and i or { i }) end
    local all, times = {}, {}
    for i = 1, 4 do
      all[i] = peers.start(name, ([[
        local d, seen = a:dict("d", "4M"), {}
        repeat
          local v = d:%s "l"
          seen[#seen + 1] = type(v) == "table" and v[1] or v
        until v == nil
        print(table.concat(seen, " "))]]):format(i % 2 == 0 and "lpop" or "rpop"))
    end
    for i = 1, 4 do
      for number in peers.finish(all[i]):gmatch "%d+" do
        number = math.tointeger(number)
        times[number] = (times[number] or 0) + 1
      end
    end
    for i = 1, total do assert.equal(1, times[i], i) end
    assert.equal(0, d:llen "l")
  end)
end)

