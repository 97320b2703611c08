-- semaphores_peers_spec.lua: semaphores that others have made, or make at the same moment: C programs, processes that
-- died on the way, other users; and what the machine refuses.
local shm = require "shm"
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local semaphores = require "spec.support.semaphores"
local uv = require "luv"

local key, open, finish, await = semaphores.key, semaphores.open, semaphores.finish, semaphores.await

after_each(semaphores.remove_all)

describe("C", function()
  local function peer(...)
    local run = process.run_peer("semaphores", ...)
    assert.equal(0, run.code, run.err)
    return run.out
  end

  it("uses a set that Lua has created", function()
    local set = open(key, 3, { value = { 1, 2, 3 } })
    assert.equal("1 2 3 \n", peer("values", tostring(key)))
    peer("op", tostring(key), "2", "4")
    peer("op", tostring(key), "0", "-1")
    assert.same({ 0, 2, 7 }, set:values())
    local waiting = process.start_peer("semaphores", "op", tostring(key), "0", "-5")
    await(function() return set:stat().ncnt[1] == 1 end)
    set:release(1, 5)
    finish(waiting)
    assert.equal(0, set:value(1))
  end)

  it("that waits for the first operation, as textbooks have it, goes on", function()
    for value = 1, 32767, 32766 do
      local set = open(key, 2, { value = { value, 0 } })
      peer("textbook", tostring(key))
      assert.same({ value - 1, 0 }, set:values())
      set:remove()
    end
    local set = open(key, 1) -- with 0 too
    assert.is_true(set:stat().otime > 0)
  end)

  it("has created a set that Lua uses", function()
    peer("create", tostring(key), "4", "0", "6")
    local set = open(key, 3, { value = 9 })
    assert.same({ 4, 0, 6 }, set:values())
    local waiting = process.start_peer("semaphores", "op", tostring(key), "1", "-2")
    await(function() return set:stat().ncnt[2] == 1 end)
    assert.is_true(set:op { { 1, -4 }, { 2, 2 } })
    finish(waiting)
    assert.equal("0 0 6 \n", peer("values", tostring(key)))
  end)

  it("has created a set and set a part of it: that is left alone", function()
    peer("setval", tostring(key), "3", "2", "5")
    assert.same({ 0, 0, 5 }, open(key, 3, { value = 9 }):values())
    semaphores.remove_all()
    peer("setval", tostring(key), "3", "1", "0")
    assert.same({ 0, 0, 0 }, open(key, 3, { value = 9 }):values())
  end)

  it("has used it in another PID namespace, where its number is 0 for us: that is left alone", function()
    peer("setval", tostring(key), "2", "1", "5")
    peer("create", tostring(key + 1), "0", "1")
    peer("op", tostring(key + 1), "1", "-1") -- all are 0 now, as if they had never been set
    local flags = uv.getuid() == 0 and "-pf" or "-rpf"
    local run = process.run("unshare", { flags, process.lua, "-e", ([[
      local shm = require "shm"
      for key = %d, %d do
        local s = assert(shm.semaphores(key, 2, { value = 9 }))
        print(s:stat().pids[2], table.concat(s:values(), " "))
      end]]):format(key, key + 1) })
    open(key)
    open(key + 1)
    if run.code ~= 0 then return pending("unshare(1) is not permitted here") end
    assert.equal("0\t0 5\n0\t0 0\n", run.out, run.err)
  end)

  it("has created a set and given it no values: the opener does, and does not wait for ever", function()
    peer("bare", tostring(key), "3")
    assert.same({ 1, 2, 0 }, open(key, 2, { value = { 1, 2 } }):values())
    semaphores.remove_all()
    peer("bare", tostring(key), "2")
    assert.same({ 7, 7 }, open(key, nil, { value = 7 }):values())
    assert.same({ 7, 7 }, open(key, nil, { value = 8 }):values())
  end)
end)

describe("several processes that open at once", function()
  local count = 8

  -- All of them run a chunk, in which go(i) returns in all of them at the same moment.
  local function run_together(rounds, chunk)
    local gate = open(shm.PRIVATE, rounds, { value = count })
    local workers, results = {}, {}
    for i = 1, count do
      workers[i] = process.start(process.lua, { "-e", ([[
        local shm = require "shm"
        local gate = assert(shm.semaphores({ id = %d }, nil, { undo = false }))
        local function go(i) gate:acquire(i) gate:wait_zero(i) end
        %s]]):format(gate:stat().id, chunk) })
    end
    for i, worker in ipairs(workers) do
      finish(worker)
      results[i] = math.tointeger(tonumber(worker.out))
    end
    return results
  end

  local function sum(numbers)
    local total = 0
    for _, number in ipairs(numbers) do total = total + number end
    return total
  end

  it("get one set, and its values from the first moment", function()
    local rounds = 200
    local results = run_together(rounds, ([[
      local won = 0
      for round = 1, %d do
        go(round)
        local s = assert(shm.semaphores(%d + round, 3, { value = { 1, 5, 9 }, undo = false }))
        assert(s:value(3) == 9 and s:value(2) == 5)
        if s:acquire(1, 1, 0) then won = won + 1 end
      end
      print(won)]]):format(rounds, key))
    for round = 1, rounds do assert.same({ 0, 5, 9 }, open(key + round):values()) end
    assert.equal(rounds, sum(results))
  end)

  it("give values once to what a dead creator has left", function()
    assert.equal(0, process.run_peer("semaphores", "bare", tostring(key), "2").code)
    local results = run_together(1, ([[
      go(1)
      local s = assert(shm.semaphores(%d, 2, { value = { 3, 7 }, undo = false }))
      local won = 0
      while s:acquire(1, 1, 0) do won = won + 1 end
      assert(s:value(2) == 7)
      print(won)]]):format(key))
    assert.same({ 0, 7 }, open(key):values())
    assert.equal(3, sum(results))
  end)
end)

describe("what the world refuses", function()
  it("is said: rights", function()
    local set = open(key, 1, { value = 1, mode = "0600" })
    open(key + 1, 1, { value = 1, mode = "0644" })
    assert.equal(0, process.run_peer("semaphores", "bare", tostring(key + 2), "1", "0644").code)
    local run = sandbox.run_as_nobody(([[
      local shm = require "shm"
      print(select(3, shm.semaphores(%d, 1)), select(3, shm.semaphores { id = %d }))
      local s = assert(shm.semaphores(%d, 1))
      print(s:value(1), select(3, s:wait_zero(1, 0)), select(3, s:acquire(1)), select(3, s:release(1)),
        select(3, s:set(1, 1)), select(3, s:remove()))
      print(shm.semaphores(%d, 1, { value = 5 }):value(1)) -- has no values, and this user may not give it any
      print(select(3, shm.semaphores(%d, 1, { mode = "0400" })), select(3, shm.semaphores(%d)))
    ]]):format(key, set:stat().id, key + 1, key + 2, key + 3, key + 3))
    assert.equal(5, open(key + 2, 1, { value = 5 }):value(1))
    if not run then return pending("only root can become another user") end
    assert.equal("EACCES\tEACCES\n1\tETIMEDOUT\tEACCES\tEACCES\tEACCES\tEPERM\n0\nEACCES\tENOENT\n", run.out, run.err)
  end)

  it("is said: the machine's limits", function()
    if sandbox.missing then return pending(sandbox.missing) end
    local run = sandbox.run("1m", "echo 5 8 3 2 > /proc/sys/kernel/sem", [[
      local shm = require "shm"
      print(select(3, shm.semaphores(shm.PRIVATE, 6)), (select(2, shm.semaphores(1, 6))))
      local one = assert(shm.semaphores(1, 5))
      print((select(2, shm.semaphores(shm.PRIVATE, 5))))
      local _, message, code = one:op { { 1, 1 }, { 1, 1 }, { 1, 1 }, { 1, 1 } }
      print(message, code, one:op { { 1, 1 }, { 1, 1 }, { 1, 1 } })
      local two = assert(shm.semaphores(2, 1))
      print(select(2, shm.semaphores(3, 1)))]])
    assert.equal("EFBIG\tsemaphores 0x00000001 cannot be that large: a limit is lower (SHMMAX, SEMMSL, or ulimit -f "
      .. "for POSIX and anonymous memory)\nprivate semaphores have no place: of the 8 System V semaphores of the "
      .. "machine (SEMMNS) 5 are used; remove some, or raise the second number of /proc/sys/kernel/sem\n"
      .. "semaphores 0x00000001: one operation takes at most 3 steps, not 4 (SEMOPM, the third number of "
      .. "/proc/sys/kernel/sem)\tE2BIG\ttrue\n"
      .. "semaphores 0x00000003 have no place: the machine has all 2 of its sets of System V semaphores (SEMMNI); "
      .. "remove some, or raise the fourth number of /proc/sys/kernel/sem\tENOSPC\n", run.out, run.err)
  end)
end)
