-- inspect_spec.lua: an arena seen from outside: segment:inspect, and whether a creator lives.
local shm = require "shm"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local uv = require "luv"

package.path = package.path .. ";scripts/?.lua"

local name = "/shm_spec_inspect"
local me = uv.os_getpid()

local function inspect()
  local segment <close> = assert(shm.attach(name, { readonly = true }))
  return segment:inspect()
end

local function object(wanted)
  for _, found in ipairs(assert(inspect()).objects) do
    if found.name == wanted then return found end
  end
end

describe("an inspection", function()
  local arena
  before_each(function() arena = assert(shm.arena(name, "256K", { owned = true })) end)
  after_each(function() arena:close() end)

  it("says of the arena what the arena says", function()
    arena:array("xs", "f64", 10)
    local seen, stat = inspect(), arena:stat()
    for _, field in ipairs { "size", "used", "largest", "max_objects", "max_handles" } do
      assert.equal(stat[field], seen[field], field)
    end
    assert.equal(me, seen.creator)
    assert.is_true(seen.creator_lives)
    assert.same({ me }, seen.handles)
    local xs = object "xs"
    assert.same({ "array", 10, true, false, 0 }, { xs.kind, xs.count, xs.sound, xs.waiting, xs.more })
    assert.same({ me }, xs.users)
    assert.same({}, xs.holders)
    assert.is_nil(xs.stat)
  end)

  it("names who holds what", function()
    local function holder(part, count) return { { process = me, part = part, count = count or 1, lives = true } } end
    local mutex, rwlock, semaphore = arena:mutex "m", arena:rwlock "rw", arena:semaphore("s", 5)
    assert.same({}, object("m").holders)
    local guard = mutex:guard()
    assert.same(holder "holds", object("m").holders)
    guard:unlock()
    local reading = rwlock:read()
    assert.same(holder "reads", object("rw").holders)
    reading:unlock()
    local writing = rwlock:write()
    assert.same(holder "writes", object("rw").holders)
    writing:unlock()
    semaphore:acquire(3, 0)
    assert.same(holder("holds", 3), object("s").holders)
    assert.same({ value = 2 }, object("s").stat)
    semaphore:release(3)
    local channel = arena:channel("c", "1K", { exclusive = "producer" })
    assert.same(holder "sends", object("c").holders)
    channel:send "hello"
    assert.same(channel:stat(), object("c").stat)
    local topic, dict, service = arena:topic("t", "1K"), arena:dict("d", "16K"), arena:service "calls"
    topic:publish "news"
    dict:set("key", "value")
    assert.same(topic:stat(), object("t").stat)
    assert.same(dict:stat(), object("d").stat)
    assert.equal(0, object("calls").stat.sent)
    service:finish()
  end)

  it("names who waits, and who died", function()
    arena:barrier("b", 2)
    local mutex = arena:mutex "m"
    local waiting = process.start(process.lua, { "-e", ([[
      local arena = require "shm".arena(%q)
      local mutex = arena:mutex "m"
      mutex:lock()
      arena:barrier("b", 2):wait()]]):format(name) })
    assert.is_true(process.await(function() return #object("b").holders == 1 end))
    assert.same({ { process = waiting.pid, part = "waits", count = 1, lives = true } }, object("b").holders)
    peers.sleeps(waiting)
    assert.same({ { process = waiting.pid, part = "waits", count = 1, lives = true } }, object("b").holders)
    assert.is_nil((mutex:lock(0.01)))
    assert.is_true(object("m").waiting)
    local other = process.start(process.lua, { "-e", ([[
      local once, again = require "shm".arena(%q), require "shm".arena(%q)
      once:mutex("m"):lock()]]):format(name, name) })
    local function who_waits()
      for _, holder in ipairs(object("m").holders) do
        if holder.part == "waits" then return math.tointeger(holder.process) end
      end
    end
    local may_look <close> = io.open(("/proc/%d/syscall"):format(other.pid))
    if may_look and may_look:read(1) then
      assert.is_true(process.await(function() return who_waits() == other.pid end))
      local count = 0 -- though it has the arena open twice
      for _, holder in ipairs(object("m").holders) do count = count + (holder.part == "waits" and holder.count or 0) end
      assert.equal(1, count)
    end
    other:kill "sigkill"
    other:wait()
    waiting:kill "sigkill"
    waiting:wait()
    assert.same({ { process = waiting.pid, part = "holds", count = 1, lives = false } }, object("m").holders)
    assert.same({ me }, inspect().handles)
  end)

  it("says which side of a channel waits", function()
    local channel = arena:channel("c", "1K")
    local receiver = process.start(process.lua, { "-e", ([[
      require "shm".arena(%q):channel("c", "1K"):receive()]]):format(name) })
    assert.is_true(process.await(function() return object("c").stat.receivers_wait end))
    assert.is_false(object("c").stat.senders_wait)
    channel:send "x"
    assert.equal(0, receiver:wait(), receiver.err)
  end)

  it("says who has which object open, and who only the arena", function()
    local xs = arena:array("xs", "u8", 4)
    local other = peers.hold(name, [[local ys = a:array("ys", "u8", 4) say "there" hear()]])
    assert.same({ xs = { me }, ys = { other.pid } }, { xs = object("xs").users, ys = object("ys").users })
    assert.same({ [me] = true, [other.pid] = true }, { [inspect().handles[1]] = true, [inspect().handles[2]] = true })
    peers.finish(other)
    assert.same({ me }, inspect().handles)
    assert.equal(4, #xs)
  end)

  it("has no object that is removed, though it is open", function()
    local xs = arena:array("xs", "u8", 4)
    assert.is_table(object "xs")
    assert.is_true(arena:remove "xs")
    assert.is_nil(object "xs")
    assert.is_truthy(xs)
  end)

  it("is none of memory that is gone", function()
    arena:dict("d", "128K")
    local segment <close> = assert(shm.attach(name, { readonly = true }))
    local seen = assert(segment:inspect())
    local directory = math.tointeger(seen.used - seen.objects[1].size)
    local file = assert(uv.fs_open("/dev/shm" .. name, "r+", 0))
    assert.is_true(uv.fs_ftruncate(file, (directory + 4095) // 4096 * 4096))
    assert.is_true(uv.fs_close(file))
    local _, message, code = segment:inspect()
    assert.equal("EFAULT", code, message)
  end)

  it("names who calls and who serves", function()
    local service = arena:service "s"
    local caller = process.start(process.lua, { "-e", ([[
      require "shm".arena(%q):service("s"):call("request")]]):format(name) })
    local next_request, server = service:requests()
    local request, reply = next_request(server)
    assert.equal("request", request)
    local parts = {}
    for _, holder in ipairs(object("s").holders) do parts[holder.part] = holder.process end
    assert.equal(caller.pid, parts.calls)
    assert.equal(me, parts.serves)
    reply "done"
    assert.equal(0, caller:wait())
  end)

  it("changes nothing: it needs no right to write", function()
    arena:dict("d", "16K")
    local writable <close> = assert(shm.attach(name))
    local before = writable:read()
    assert.is_table(inspect())
    assert.is_true(before == writable:read())
  end)

  it("says of a writer that he waits as long as somebody reads", function()
    local reading = arena:rwlock("rw"):read()
    local writer = process.start(process.lua, { "-e", ([[require "shm".arena(%q):rwlock("rw"):write()]]):format(name) })
    local parts
    assert.is_true(process.await(function()
      parts = {}
      for _, holder in ipairs(object("rw").holders) do parts[math.tointeger(holder.process)] = holder.part end
      return parts[writer.pid] ~= nil
    end))
    assert.same({ [me] = "reads", [writer.pid] = "waits" }, parts)
    reading:unlock()
    assert.equal(0, writer:wait(), writer.err)
  end)

  it("is of a size that does not depend on what stands in the memory, and can be shown", function()
    local objects, json = require "cli.objects", require "cli.json"
    arena:mutex("m"):lock()
    for _, make in ipairs { "mutex", "rwlock", "condition", "service" } do arena[make](arena, make) end
    arena:semaphore("s", 5)
    arena:barrier("b", 3)
    arena:channel("c", "1K"):send "x"
    arena:topic("t", "1K"):publish "y"
    arena:dict("d", "16K"):set("k", "v")
    local raw <close> = assert(shm.attach(name))
    local copy <close> = assert(shm.create(nil, #raw))
    copy:write(raw:read())
    local good, words = copy:inspect(), copy:view "u64"
    local values = { 0, -1, math.mininteger, math.maxinteger, 0xffffffff, 1 << 31, me, 1 << 40, 0x3ffffffe }
    local looks = 0
    for i = 1, (math.tointeger(good.used) // 8) do
      local before = words[i]
      -- Of cells and places that are empty, some.
      if i <= 256 or before ~= 0 or i % 7 == 0 then
        words[i] = values[i % #values + 1]
        local seen = copy:inspect()
        if seen then
          looks = looks + 1
          assert.is_true(#json.encode(seen) < 50000)
          for _, line in ipairs(objects.table(seen, objects.by_name(good), 0.5, 80)) do
            assert.is_true(#line <= 80 and not line:find("[^\32-\126]"), line)
          end
          objects.heading("/x", seen, 80)
        end
        words[i] = before
      end
    end
    assert.is_true(looks > 500)
  end)

  it("believes nothing that stands in the memory", function()
    arena:channel("c", "1K")
    arena:semaphore("s", 3)
    local raw <close> = assert(shm.attach(name))
    local layout = raw:view("u64", 256 + 8, 1) -- of the first object
    local truth = layout[1]
    assert.is_true(object("c").sound)
    layout[1] = truth + 1
    assert.is_false(object("c").sound)
    layout[1] = truth
    local size = raw:view("u64", 256 + 24, 1)
    size[1] = 64
    assert.is_false(object("c").sound)
    raw:view("u64", 256 + 128 + 32, 1)[1] = (1 << 32) + 3 -- permits of the second
    assert.is_false(object("s").sound)
    raw:view("u64", 256 + 32, 1)[1] = 1 << 40 -- how many there are of it
    assert.is_false(object("c").sound)
    assert.is_nil(object("c").stat)
    raw:view("u32", 256 + 128 + 4, 1)[1] = 77 -- the kind of the second
    assert.same({ "unknown", false }, { object("s").kind, object("s").sound })
    for turn = 1, 300 do
      for i = 64, 8184, 8 do raw:view("u64", i, 1)[1] = (turn * i * 0x9e3779b97f4a7c15) >> (turn % 60) end
      local segment <close> = assert(shm.attach(name, { readonly = true }))
      assert.is_table(segment:inspect())
    end
    raw:view("u64", 16, 1)[1] = 1
    assert.equal("EBADMSG", select(3, inspect()))
    raw:fill(0)
    local _, message, code = inspect()
    assert.same({ ('segment "%s" is no arena'):format(name), "EPROTOTYPE" }, { message, code })
  end)
end)

describe("a segment that is no arena", function()
  it("is none", function()
    for _, size in ipairs { 1, 4096, 65536 } do
      local segment <close> = assert(shm.create(nil, size))
      assert.equal("EPROTOTYPE", select(3, segment:inspect()))
      assert.equal(("\0"):rep(size), segment:read()) -- and is not made one
    end
  end)
end)

describe("the creator of a segment", function()
  it("lives, or does not", function()
    local mine <close> = assert(shm.create(shm.PRIVATE, 100, { owned = true }))
    assert.is_true(mine:stat().creator_lives)
    local made = process.run_lua [[
      local shm = require "shm"
      local segment = shm.create(shm.PRIVATE, 100)
      print(segment:stat().id, segment:stat().creator_lives)]]
    local id, lives = made.out:match("^(%d+)\t(%w+)\n$")
    assert.equal("true", lives)
    local orphan <close> = assert(shm.attach { id = math.tointeger(tonumber(id)) })
    assert.is_false(orphan:stat().creator_lives)
    orphan:remove()
  end)
end)
