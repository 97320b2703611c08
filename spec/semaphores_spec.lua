-- semaphores_spec.lua: sets of System V semaphores: what they do between processes, also with those that are killed,
-- and what they refuse.
local shm = require "shm"
local lowlevel = require "lowlevel"
local process = require "spec.support.process"
local semaphores = require "spec.support.semaphores"
local uv = require "luv"

local key, open, start, finish, await, refused = semaphores.key, semaphores.open, semaphores.start,
  semaphores.finish, semaphores.await, semaphores.refused

after_each(semaphores.remove_all)

describe("a set of semaphores", function()
  it("has the values and the mode that were asked for, whatever the umask", function()
    assert.same({ 0, 0, 0 }, open(key, 3):values())
    semaphores.remove_all()
    local set = open(key, 3, { value = 7, mode = "0666" })
    assert.same({ 7, 7, 7 }, set:values())
    assert.equal("0666", set:stat().mode)
    assert.equal("0600", open(shm.PRIVATE, 1):stat().mode)
    assert.same({ 0, 32767, 5 }, open(shm.PRIVATE, 3, { value = { 0, 32767, 5.0 } }):values())
    local strict = process.run("sh", { "-c", ("umask 077; exec %s -e \"$1\""):format(process.lua), "sh",
      ("print(require('shm').semaphores(%d, 1, { mode = '0666' }):stat().mode)"):format(key + 1) })
    assert.equal("0666\n", strict.out, strict.err)
    assert.equal("0666", open(key + 1):stat().mode)
  end)

  it("is found by all, as it is, with any smaller size", function()
    local set = open(key, 3, { value = { 1, 2, 3 } })
    for _, found in ipairs { open(key, 3, { value = 9, mode = "0666" }), open(key, 2), open(key),
      open { id = set:stat().id }, (open({ id = set:stat().id }, 3)) } do
      assert.same({ 1, 2, 3 }, found:values())
      assert.equal(3, #found)
      assert.equal("0600", found:stat().mode)
      assert.equal(tostring(set), tostring(found))
    end
    assert.is_true(set:release(3, 2))
    assert.equal(5, open(key):value(3))
    refused("^semaphores 0x5e600010 are 3, 4 were asked for; leave the number out", "ERANGE", shm.semaphores(key, 4))
    refused("^semaphores id %d+ are 1, 2 were", "ERANGE",
      shm.semaphores({ id = open(shm.PRIVATE, 1):stat().id }, 2))
  end)

  it("is not there where it was not created", function()
    refused("^semaphores 0x5e600010 does not exist; create it first$", "ENOENT", shm.semaphores(key))
    refused("^semaphores id 2147483647 does not exist", "ENOENT", shm.semaphores { id = 0x7fffffff })
    refused("^semaphores id 2147483647 does not exist", "ENOENT", shm.semaphores({ id = 0x7fffffff }, 1))
  end)

  it("is acquired and released", function()
    local set = open(key, 2, { value = { 3, 0 } })
    assert.is_true(set:acquire(1))
    assert.is_true(set:acquire(1, 2))
    assert.same({ 0, 0 }, set:values())
    assert.is_true(set:release(1))
    assert.is_true(set:release(2, 32767))
    assert.same({ 1, 32767 }, set:values())
    assert.is_true(set:acquire(2, 32767))
    assert.is_true(set:wait_zero(2))
    assert.equal(1, set:value(1))
  end)

  it("says when the time is up", function()
    local set = open(key, 1, { value = 1 })
    for _, timeout in ipairs { 0, -1, -1 / 0, 0.02 } do
      refused("^semaphores 0x5e600010 was not to be had in time; try again, or allow more time$", "ETIMEDOUT",
        set:acquire(1, 2, timeout))
      refused("was not to be had in time", "ETIMEDOUT", set:wait_zero(1, timeout))
      refused("was not to be had in time", "ETIMEDOUT", set:op({ { 1, -1 }, { 1, -1 } }, timeout))
    end
    local started = uv.hrtime()
    refused("was not to be had in time", "ETIMEDOUT", set:acquire(1, 2, 0.2))
    assert.is_true((uv.hrtime() - started) / 1e9 >= 0.2)
    assert.is_true(set:acquire(1, 1, 0))
    assert.is_true(set:wait_zero(1, 0))
    assert.is_true(set:wait_zero(1, 1e300))
    assert.is_true(set:wait_zero(1, 1 / 0))
  end)

  it("takes steps all at once, or none", function()
    local set = open(key, 3, { value = { 2, 0, 5 } })
    assert.is_true(set:op { { 1, -2 }, { 2, 3 }, { 3, 0.0 - 5 } })
    assert.same({ 0, 3, 0 }, set:values())
    assert.is_true(set:op { { 1, 0 }, { 1, 1 } }) -- a lock, as textbooks have it
    refused("in time", "ETIMEDOUT", set:op({ { 1, 0 }, { 1, 1 } }, 0))
    refused("in time", "ETIMEDOUT", set:op({ { 1, -1 }, { 2, -4 } }, 0))
    refused("in time", "ETIMEDOUT", set:op({ { 2, 1 }, { 3, -1 } }, 0))
    assert.same({ 1, 3, 0 }, set:values())
    assert.is_true(set:op { { 3, 2 }, { 3, -1 } }) -- in their order
    refused("in time", "ETIMEDOUT", set:op({ { 1, -2 }, { 1, 2 } }, 0))
    assert.same({ 1, 3, 1 }, set:values())
    local steps = {}
    for i = 1, 500 do steps[i] = { 1, 1 } end
    assert.is_true(set:op(steps))
    assert.equal(501, set:value(1))
    steps[501] = { 1, 1 }
    refused("one operation takes at most 500 steps, not 501", "E2BIG", set:op(steps))
    for i = 502, 70000 do steps[i] = steps[1] end
    refused("one operation takes at most 500 steps, not 70000", "E2BIG", set:op(steps))
    local powers = {}
    for bit = 0, 62 do powers[bit + 1] = ("[%d] = { 1, 1 }"):format(1 << bit) end
    local sparse = load("return { " .. table.concat(powers, ", ") .. " }")()
    assert.equal(1 << 62, #sparse) -- as Lua looks for the end
    refused("one operation takes at most 500 steps, not 4611686018427387904", "E2BIG", set:op(sparse))
    assert.equal(501, set:value(1))
  end)

  it("counts to 32767", function()
    local set = open(key, 1, { value = 32767, undo = false })
    refused("^semaphores 0x5e600010: the value of a semaphore, or .* undone of it, would pass 32767$", "ERANGE",
      set:release(1))
    refused("would pass 32767", "ERANGE", set:op { { 1, -1 }, { 1, 2 } })
    assert.equal(32767, set:value(1))
  end)

  it("is set", function()
    local set = open(key, 2, { value = 1 })
    assert.is_true(set:set(2, 32767))
    assert.is_true(set:set(1, 0))
    assert.same({ 0, 32767 }, set:values())
  end)

  it("says what it is, and how it is", function()
    local set = open(key, 2, { mode = "0640", undo = false })
    local stat = set:stat()
    assert.equal(("semaphores 0x5e600010 (id %d, n 2, no undo)"):format(stat.id), tostring(set))
    assert.same({ key, 2, "0640", uv.getuid(), uv.getgid(), uv.getuid(), uv.getgid() },
      { stat.key, stat.n, stat.mode, stat.uid, stat.gid, stat.cuid, stat.cgid })
    local me = uv.os_getpid()
    assert.same({ { me, me }, { 0, 0 }, { 0, 0 } }, { stat.pids, stat.ncnt, stat.zcnt })
    assert.is_true(math.abs(stat.ctime - os.time()) < 60 and math.abs(stat.otime - os.time()) < 60)
    local text = process.run("ipcs", { "-s", "-i", tostring(stat.id) }).out
    assert.equal("2", text:match("nsems = (%d+)"))
    assert.equal("0640", text:match("mode=(%d+)") or text:match("access_perms=(%d+)"))
    set:set(2, 1)
    local workers = { start(set, "s:acquire(1)"), start(set, "s:acquire(1)"), start(set, "s:wait_zero(2)") }
    await(function() return set:stat().ncnt[1] == 2 and set:stat().zcnt[2] == 1 end)
    set:op { { 1, 2 }, { 2, -1 } }
    for _, worker in ipairs(workers) do finish(worker) end
    local last = set:stat().pids[1]
    assert.is_true(last == workers[1].pid or last == workers[2].pid)
    local private = open(shm.PRIVATE, 1)
    assert.equal(("semaphores id %d (id %d, n 1)"):format(private:stat().id, private:stat().id), tostring(private))
  end)

  it("goes when it is removed, by anybody, and only then", function()
    local id = open(key, 1):stat().id
    semaphores.forget()
    collectgarbage()
    local set = open(key)
    assert.equal(id, set:stat().id)
    local worker = start(set, "print(select(3, s:acquire(1)))")
    await(function() return set:stat().ncnt[1] == 1 end)
    assert.equal(0, process.run_peer("semaphores", "remove", tostring(key)).code)
    finish(worker)
    assert.equal("EIDRM\n", worker.out)
    for method, arguments in pairs { acquire = { 1 }, release = { 1 }, wait_zero = { 1 }, op = { { { 1, 1 } } },
      value = { 1 }, values = {}, set = { 1, 1 }, stat = {}, remove = {} } do
      refused("^semaphores 0x5e600010 was removed; open or create it anew$", "EIDRM",
        set[method](set, table.unpack(arguments)))
    end
    assert.equal(1, #set)
    assert.matches("^semaphores 0x5e600010 %(id", tostring(set))
    assert.not_equal(id, open(key, 1):stat().id)
  end)
end)

describe("what a process has changed", function()
  it("is undone when it ends, also when it is killed", function()
    local set = open(key, 2, { value = { 2, 0 } })
    local worker = start(set, "s:acquire(1, 2) s:op { { 2, 3 } } print 'held' io.stdout:flush() io.read()")
    assert.equal("held", worker:line())
    assert.same({ 0, 3 }, set:values())
    worker:kill("sigkill")
    worker:wait()
    assert.same({ 2, 0 }, set:values())
    finish(start(set, "s:acquire(1)"))
    assert.same({ 2, 0 }, set:values())
  end)

  it("wakes who waited for the killed one", function()
    local set = open(key, 1, { value = 1 })
    local holder = start(set, "s:acquire(1) print 'held' io.stdout:flush() io.read()")
    assert.equal("held", holder:line())
    local waiter = start(set, "print(s:acquire(1))")
    await(function() return set:stat().ncnt[1] == 1 end)
    holder:kill("sigkill")
    holder:wait()
    finish(waiter)
    assert.equal("true\n", waiter.out)
  end)

  it("stays with undo = false", function()
    local set = open(key, 2, { value = { 2, 0 } })
    local run = process.run_lua(([[
      local s = assert(require("shm").semaphores(%d, 2, { undo = false }))
      s:acquire(1, 2) s:op { { 2, 3 } }]]):format(key))
    assert.equal(0, run.code, run.err)
    assert.same({ 0, 3 }, set:values())
  end)

  it("is forgotten by set, of that semaphore alone", function()
    local set = open(key, 2, { value = 5 })
    local worker = start(set, "s:acquire(1, 2) s:acquire(2, 2) print 'held' io.stdout:flush() io.read()")
    assert.equal("held", worker:line())
    assert.is_true(set:set(1, 10))
    finish(worker)
    assert.same({ 10, 5 }, set:values())
  end)

  it("is each process's own after fork", function()
    local set = open(key, 1, { value = 3 })
    assert.is_true(set:acquire(1))
    assert.equal(0, lowlevel.child(function() return set:acquire(1) and set:value(1) == 1 end))
    assert.equal(2, set:value(1))
    assert.equal(1, lowlevel.child(function() return set:acquire(1, 3, 0) end))
    assert.equal(0, lowlevel.child(function() return set:remove() end))
    refused("was removed", "EIDRM", set:acquire(1))
  end)
end)

describe("who waits", function()
  it("goes on when another process releases", function()
    local set = open(key, 2)
    local workers = {}
    for i = 1, 4 do workers[i] = start(set, "print(s:acquire(1), s:acquire(2, 2, 60))") end
    await(function() return set:stat().ncnt[1] == 4 end)
    set:release(1, 2)
    await(function() return set:stat().ncnt[2] == 2 end)
    assert.equal(2, set:stat().ncnt[1])
    set:op { { 1, 2 }, { 2, 8 } }
    for _, worker in ipairs(workers) do
      finish(worker)
      assert.equal("true\ttrue\n", worker.out)
    end
  end)

  it("is one at a time, over four processes", function()
    local memory <close> = assert(shm.create("/shm_spec_semaphores", 64, { owned = true }))
    local set = open(key, 1, { value = 1 })
    local workers = {}
    for i = 1, 4 do
      workers[i] = start(set, [[
        local memory = assert(require("shm").attach("/shm_spec_semaphores"))
        local v = memory:view "i64"
        for _ = 1, 20000 do s:acquire(1) v[1] = v[1] + 1 s:release(1) end]])
    end
    for _, worker in ipairs(workers) do finish(worker) end
    assert.equal(80000, memory:view("i64")[1])
    assert.equal(1, set:value(1))
  end)

  for call, counter in pairs { ["s:acquire(1)"] = "ncnt", ["s:acquire(1, 1, 60)"] = "ncnt",
    ["s:op { { 1, -1 } }"] = "ncnt", ["s:wait_zero(2)"] = "zcnt", ["s:wait_zero(2, 60)"] = "zcnt" } do
    it("lets Ctrl-C through: " .. call, function()
      local set = open(key, 2, { value = { 0, 1 } })
      local worker = start(set, call)
      await(function() return set:stat()[counter][counter == "ncnt" and 1 or 2] == 1 end)
      worker:kill("sigint")
      assert.equal(1, (worker:wait(5)))
      assert.matches("interrupted!", worker.err)
      assert.same({ 0, 1 }, set:values())
    end)
  end

  it("keeps the deadline whatever signals come, and goes on after them", function()
    local set = open(key, 2)
    local worker = start(set, [[
      local uv = require "luv"
      local signal = uv.new_signal()
      signal:start("sigusr1", function() end)
      local started = uv.hrtime()
      s:release(2)
      print(select(3, s:acquire(1, 1, 0.5)), (uv.hrtime() - started) / 1e9 >= 0.5)
      print(s:acquire(1))
      os.exit(0)]])
    await(function() return set:value(2) == 1 end)
    await(function()
      worker:kill("sigusr1")
      return worker.out ~= "" or worker.code
    end)
    await(function() return set:stat().ncnt[1] == 1 or worker.code end)
    for _ = 1, 20 do worker:kill("sigusr1") end
    set:release(1)
    finish(worker)
    assert.equal("ETIMEDOUT\ttrue\ntrue\n", worker.out)
  end)
end)

describe("misuse of semaphores raises:", function()
  local function raises(pattern, f, ...)
    local arguments = table.pack(...)
    assert.error_matches(function() f(table.unpack(arguments, 1, arguments.n)) end, pattern)
  end

  it("a name", function()
    raises("semaphores have an integer key, shm.PRIVATE or {id=n} for a name, not a string", shm.semaphores, "/x", 1)
    raises("for a name, not a string", shm.semaphores, "13", 1)
    raises("for a name, not a nil", shm.semaphores, nil, 1)
    raises("for a name, not a no value", shm.semaphores)
    raises("for a name, not a boolean", shm.semaphores, true, 1)
    raises("key 1.5 is not a whole number", shm.semaphores, 1.5, 1)
    raises("is not a whole number", shm.semaphores, 0 / 0, 1)
    raises("does not fit the 32 bits of a key_t", shm.semaphores, 1 << 32, 1)
    for _, id in ipairs { -1, 1.5, 1 << 31, "x", false } do
      raises("is {id=n} with a System V identifier", shm.semaphores, { id = id }, 1)
    end
    raises("is {id=n} with a System V identifier", shm.semaphores, {}, 1)
  end)

  it("a number of semaphores", function()
    for _, n in ipairs { 0, -1, 32001, math.maxinteger, math.mininteger } do
      raises("n %-?%d+ is not within 1 and 32000", shm.semaphores, key, n)
    end
    for _, n in ipairs { 1.5, 0 / 0, 2 ^ 63 } do raises("no integer representation", shm.semaphores, key, n) end
    raises("number expected, got table", shm.semaphores, key, {})
    raises("private semaphores are new each time: say how many", shm.semaphores, shm.PRIVATE)
    assert.equal(32000, #open(shm.PRIVATE, 32000, { value = 3 }):stat().pids)
  end)

  it("an option", function()
    for pattern, options in pairs {
      ["table of options expected, got number"] = 5,
      ["unknown option 'owned'; there are mode, value, undo"] = { owned = true },
      ["options have names: {value = 1}"] = { 1 },
      ["option undo is true or false, not a number"] = { undo = 1 },
      ["mode 0999 is not permission bits"] = { mode = "0999" },
      ["mode 0 would keep everybody out"] = { mode = 0 },
      ["value has 1 integers for 2 semaphores"] = { value = { 1 } },
      ["value has 3 integers for 2 semaphores"] = { value = { 1, 2, 3 } },
      ["value has 0 integers for 2"] = { value = setmetatable({}, { __len = function() return 2 end,
        __index = function() return 1 end }) },
    } do
      raises(pattern, shm.semaphores, key, 2, options)
    end
    for _, value in ipairs { -1, 32768, 1.5, 0 / 0, "1", true, math.maxinteger, print } do
      local pattern = "value is an integer from 0 to 32767, or a table of such, one for each"
      raises(pattern, shm.semaphores, key, 1, { value = value })
      raises(pattern, shm.semaphores, key, 2, { value = { 1, value } })
      raises(pattern, shm.semaphores, key, 2, { value = { { 1 }, value } })
    end
    local reading = setmetatable({}, { __index = function() error "called" end })
    assert.equal(0, open(shm.PRIVATE, 1, reading):value(1)) -- options are read without metamethods
    raises("say n, too", shm.semaphores, key, nil, { value = { 1 } })
    refused("does not exist", "ENOENT", shm.semaphores(key))
  end)

  it("an index, an amount, a timeout", function()
    local set = open(key, 2, { value = 1 })
    for _, method in ipairs { "acquire", "release", "wait_zero", "value", "set" } do
      for _, index in ipairs { 0, 3, -1, 65537, math.maxinteger, math.mininteger } do
        raises("index %-?%d+ is not within 1 and 2", set[method], set, index, 1)
      end
      raises("number expected, got no value", set[method], set)
      raises("number expected, got table", set[method], set, {}, 1)
      raises("no integer representation", set[method], set, 1.5, 1)
      raises("no integer representation", set[method], set, 0 / 0, 1)
    end
    for _, method in ipairs { "acquire", "release" } do
      for _, amount in ipairs { 0, -1, 32768, 65536, math.maxinteger, math.mininteger } do
        raises("amount %-?%d+ is not within 1 and 32767", set[method], set, 1, amount)
      end
      raises("number expected, got string", set[method], set, 1, "x")
      raises("no integer representation", set[method], set, 1, 1.5)
    end
    for _, value in ipairs { -1, 32768, math.maxinteger } do
      raises("value %-?%d+ is not within 0 and 32767", set.set, set, 1, value)
    end
    raises("number expected, got no value", set.set, set, 1)
    for pattern, timeout in pairs { ["a timeout is a number of seconds"] = 0 / 0, ["number expected"] = "soon" } do
      raises(pattern, set.acquire, set, 1, 1, timeout)
      raises(pattern, set.wait_zero, set, 1, timeout)
      raises(pattern, set.op, set, { { 1, 1 } }, timeout)
    end
    assert.same({ 1, 1 }, set:values())
  end)

  it("steps, and nothing is done", function()
    local set = open(key, 2, { value = 1 })
    raises("table expected, got no value", set.op, set)
    raises("table expected, got number", set.op, set, 1, -1)
    raises("no steps: {{i, delta}, ...}", set.op, set, {})
    raises("no steps", set.op, set, setmetatable({}, { __len = function() return 1 end,
      __index = function() return { 1, 1 } end }))
    for _, bad in ipairs { 1, "x", true, print, set } do
      raises("step 2 is {i, delta}, not a " .. type(bad), set.op, set, { { 1, 1 }, bad })
    end
    for _, index in ipairs { 0, 3, -1, 65537, 1.5, 0 / 0, "1", math.maxinteger, {} } do
      raises("step 2: the index is an integer from 1 to 2, not ", set.op, set, { { 1, 1 }, { index, 1 } })
    end
    for _, delta in ipairs { 32768, -32768, 65536, 1.5, 1 / 0, "1", math.mininteger, print } do
      raises("step 2: what to add is an integer from %-32767 to 32767, not ", set.op, set, { { 1, 1 }, { 1, delta } })
    end
    raises("step 2: the index is an integer from 1 to 2, not nil", set.op, set, { { 1, 1 }, {} })
    raises("step 1: what to add .* not nil", set.op, set, { { 1 }, { 1, 1 } })
    raises("step 1: the index .* not nil", set.op, set,
      { setmetatable({}, { __index = function() error "called" end }), { 1, 1 } })
    assert.same({ 1, 1 }, set:values())
  end)

  it("a receiver", function()
    local set = open(key, 1)
    local foreigners = { io.stdout, {}, "x", 1, print, coroutine.create(print), setmetatable({}, getmetatable(set)) }
    for size = 0, 256 do foreigners[#foreigners + 1] = lowlevel.userdata(size) end -- one is as long as ours
    local segment <close> = assert(shm.create(nil, 10))
    foreigners[#foreigners + 1] = segment
    local functions = { getmetatable(set).__len, getmetatable(set).__tostring }
    for _, method in pairs(getmetatable(set).__index) do functions[#functions + 1] = method end
    assert.equal(11, #functions)
    for _, f in ipairs(functions) do
      for _, foreign in ipairs(foreigners) do
        raises("shm.semaphores %(methods are called with a colon%) expected, got ", f, foreign, 1, 1)
      end
      raises("expected, got no value", f)
    end
    raises("shm.segment .* expected, got", segment.read, set)
  end)
end)
