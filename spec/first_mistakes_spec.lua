-- first_mistakes_spec.lua: what newcomers get wrong first is answered by a sentence that says what to write.
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local shm = require "shm"

local name = "/shm_spec_mistakes"
local raises, refused = outcome.raises, outcome.refused
local arena

describe("a first mistake", function()
  before_each(function() arena = assert(shm.arena(name, "1M", { owned = true })) end)
  after_each(function() arena:close() end)

  it("with the colon of the module names the dot", function()
    for _, call in ipairs {
      function() shm:create("/x", 10) end, function() shm:attach "/x" end, function() shm:open("/x", 10) end,
      function() shm:remove "/x" end, function() shm:read(1) end, function() shm:write "x" end,
      function() shm:ftok("/tmp", 1) end, function() shm:list() end, function() shm:limits() end,
      function() shm:record("R", { "u8 a" }) end, function() shm:arena("/x", "64K") end,
      function() shm:semaphores(1, 1) end,
    } do
      raises("functions of the module are called with a dot: shm%.%l+%(...%), not shm:%l+%(...%)", call)
    end
    raises("shm%.create%(...%), not shm:create", function() shm:create("/x", 10) end)
  end)

  it("with the dot of a method names the colon", function()
    local d, ch = arena:dict("d", "64K"), arena:channel("c", 1024)
    raises("shm.dict %(methods are called with a colon%) expected, got string", function() d.get("k") end)
    raises("shm.channel %(methods are called with a colon%) expected, got string", function() ch.send("x") end)
  end)

  it("with a field that there is not, read or assigned, raises for every kind of object", function()
    local segment <close> = assert(shm.create(nil, 64))
    local set = assert(shm.semaphores(shm.PRIVATE, 1))
    local objects = {
      ["an arena"] = arena, ["a segment"] = segment, ["a set of semaphores"] = set, ["a mutex"] = arena:mutex "m",
      ["an rwlock"] = arena:rwlock "rw", ["a semaphore"] = arena:semaphore("s", 1),
        ["a condition"] = arena:condition "k",
      ["a barrier"] = arena:barrier("b", 2), ["a channel"] = arena:channel("c", 1024), ["a topic"] = arena:topic("t",
        1024),
      ["a service"] = arena:service "v", ["a dict"] = arena:dict("d", "64K"), ["a guard"] = arena:mutex("m"):guard(),
      ["a subscription"] = arena:topic("t", 1024):subscribe(),
    }
    for noun, object in pairs(objects) do
      raises(noun .. ' has no field "lenght"', function() return object.lenght end)
      raises(noun .. ' has no field "foo"', function() object.foo = 1 end)
      raises(noun .. " has no field 1", function() return object[1] end)
    end
    assert.is_true(set:remove())
    raises('a dict has no field "foo"; d:set%("foo", value%) stores under a key$',
      function() objects["a dict"].foo = 1 end)
    raises('a dict has no field "foo"; d:get%("foo"%) reads a key$', function() return objects["a dict"].foo end)
  end)

  it("with a string where a number is stored says that it is a string", function()
    local v = arena:array("v", "u8", 4)
    for _, call in ipairs { function() v[1] = "1" end, function() v:set(1, "1") end, function() v:fill("1") end,
      function() v:copy { 1, "1" } end, function() v:store(1, "1") end } do
      raises('"1" is a string, and u8 has numbers', call)
    end
    raises('f64: "0.5" is a string, and f64 has numbers', function()
      arena:record("r", shm.record("Strings", { "f64 f64" })).f64 = "0.5"
    end)
    assert.equal(0, v[1])
  end)

  it("with an option of few values names the option and the values", function()
    raises('option from is one of "latest", "oldest", not "start"', function()
      arena:topic("t", 1024):subscribe { from = "start" }
    end)
    raises('option from is one of "latest", "oldest", not 1', function() arena:topic("t",
      1024):subscribe { from = 1 } end)
    raises('option exclusive is one of "producer", "consumer", "both", not true', function()
      arena:channel("c", 1024, { exclusive = true })
    end)
    raises("option retry is true or false, not a number", function() arena:service("s", 4096, { retry = 1 }) end)
    assert(arena:topic("t", 1024):subscribe { from = "oldest" })
    assert(arena:channel("c", 1024, { exclusive = "both" }))
  end)

  it("with a hole in the list of send_all names its index, and sends nothing", function()
    local ch = arena:channel("c", 1024)
    raises("message 2: value is nil, which no message carries", function() ch:send_all { 1, nil, 3 } end)
    assert.equal(0, ch:stat().sent)
  end)

  it("with m:with and no function asks for one; a timeout may stand before it", function()
    local m = arena:mutex "m"
    raises("function expected, got no value", function() m:with() end)
    raises("function expected, got no value", function() m:with(0.5) end)
    raises("function expected, got string", function() m:with "f" end)
    assert.is_true(m:trylock())
    m:unlock()
    assert.same({ 1, 2 }, { m:with(0.5, function(...) return ... end, 1, 2) })
    assert.same({ 1 }, { m:with(nil, function(...) return ... end, 1) })
    assert.same({ 3 }, { m:with(function(...) return ... end, 3) })
    local peer = peers.hold(name, "a:mutex('m'):lock() say 'locked' hear()")
    refused("was not to be had in time", "ETIMEDOUT", m:with(0.01, error))
    peers.tell(peer)
    peers.finish(peer)
  end)

  it("with what is finished names a:remove", function()
    local ch, t, s = arena:channel("c", 1024), arena:topic("t", 1024), arena:service "s"
    for _, object in ipairs { ch, t, s } do assert.is_true(object:finish()) end
    refused('^channel "c" of .* is finished; to begin anew, a:remove%("c"%) and open it again$', "EPIPE", ch:send(1))
    refused('a:remove%("t"%)', "EPIPE", t:publish(1))
    refused('a:remove%("s"%)', "EPIPE", s:call(1))
  end)

  it("with a name that is too long says how long it is", function()
    raises("the name of an object has 1 to 63 bytes, and not 64", function() arena:mutex(("x"):rep(64)) end)
    raises("the name of an object has 1 to 63 bytes, and not 0", function() arena:mutex "" end)
  end)
end)

describe("the name of an arena", function()
  it("is its own in messages, though it contains another word of theirs", function()
    local a <close> = assert(shm.arena("/spec_segment", "64K", { owned = true }))
    assert.matches('^arena "/spec_segment" ', tostring(a))
    refused('^arena "/spec_segment" has 65536 bytes', "ERANGE", shm.arena("/spec_segment", "128K"))
  end)
end)
