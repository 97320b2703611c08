-- messages_spec.lua: System V message queues: what scripts and C programs send each other through them, and what is
-- refused; and how the tool shows and removes them.
local shm = require "shm"
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local uv = require "luv"

local key = 0x5e600020
local opened = {}

local function open(...)
  local queue = assert(shm.messages(...))
  opened[#opened + 1] = queue
  return queue
end

after_each(function()
  for _, queue in ipairs(opened) do queue:remove() end
  opened = {}
end)

local function refused(pattern, code, ...)
  local value, message, found = ...
  assert.is_nil(value)
  assert.matches(pattern, message)
  assert.equal(code, found)
end

-- A process with the queue as `q`.
local function start(chunk)
  return process.start(process.lua, { "-e", ([[
    local shm = require "shm"
    local q = assert(shm.messages(%d, { create = false }))
    local function say(...) print(...) io.stdout:flush() end
    %s]]):format(key, chunk) })
end

local function sleeps(child)
  assert.is_true(process.await(function()
    local file <close> = io.open(("/proc/%d/stat"):format(child.pid))
    return child.code ~= nil or file ~= nil and file:read("a"):find "^.*%) S" ~= nil
  end))
end

local function finish(child)
  assert.equal(0, (child:wait()), child.err)
  assert.equal("", child.err)
  return child.out
end

describe("a message queue", function()
  it("is created, or found as it is", function()
    refused("^message queue 0x5e600020 does not exist; create it first$", "ENOENT",
      shm.messages(key, { create = false }))
    local queue = open(key, { mode = "0640" })
    local stat = queue:stat()
    assert.equal(("message queue 0x5e600020 (id %d)"):format(stat.id), tostring(queue))
    for _, same in ipairs { open(key), open(key, { create = false }), open { id = stat.id } } do
      assert.equal(tostring(queue), tostring(same))
      assert.equal("0640", same:stat().mode)
    end
    local private = open(shm.PRIVATE)
    assert.equal(0, private:stat().key)
    assert.equal("0600", private:stat().mode)
    assert.equal(("message queue id %d (id %d)"):format(private:stat().id, private:stat().id), tostring(private))
    refused("^message queue id 2147483647 does not exist", "ENOENT", shm.messages { id = 0x7fffffff })
  end)

  it("returns messages in their order, with their types, whatever bytes they have", function()
    local queue = open(key)
    local all = {}
    for byte = 0, 255 do all[#all + 1] = string.char(byte) end
    local texts = { "", "\0", table.concat(all), ("x"):rep(shm.limits().msgmax) }
    for i, text in ipairs(texts) do assert.is_true(queue:send(text, i)) end
    for i, text in ipairs(texts) do assert.same({ text, i }, { queue:receive() }) end
    assert.is_true(queue:send "of type 1")
    assert.same({ "of type 1", 1 }, { queue:receive(nil, nil) })
  end)

  it("returns the message of the type that is asked for", function()
    local queue = open(key)
    for i, type in ipairs { 5, 3, 5, math.maxinteger, 2 } do assert.is_true(queue:send(tostring(i), type)) end
    assert.same({ "4", math.maxinteger }, { queue:receive(math.maxinteger) })
    assert.same({ "2", 3 }, { queue:receive(5, { except = true }) })
    assert.same({ "5", 2 }, { queue:receive(-4) })
    assert.same({ "1", 5 }, { queue:receive(math.mininteger, 0, {}) })
    refused("^message queue 0x5e600020 has no message of a type that is 4; ", "EAGAIN", queue:receive(4, 0))
    refused("^message queue 0x5e600020 has no message of a type up to 4; ", "EAGAIN", queue:receive(-4, 0))
    refused("has no message of a type other than 5; ", "EAGAIN", queue:receive(5, 0, { except = true }))
    assert.same({ "3", 5 }, { queue:receive(5, 0, { except = false }) })
    refused("^message queue 0x5e600020 is empty; try again, or allow more time$", "EAGAIN", queue:receive(0, 0))
  end)

  it("says when the time is up, and what it holds", function()
    local queue = open(key)
    refused("^message queue 0x5e600020 is empty", "ETIMEDOUT", queue:receive(0, 0.01))
    refused("^message queue 0x5e600020 is empty", "EAGAIN", queue:receive(nil, -1))
    assert.is_true(queue:set { qbytes = 100 })
    assert.is_true(queue:send(("x"):rep(60)))
    local full = "^message queue 0x5e600020 is full: it holds 60 of at most 100 bytes %(qnum 1%), and this message "
      .. "has 50; "
    refused(full, "EAGAIN", queue:send(("y"):rep(50), 1, 0))
    refused(full, "ETIMEDOUT", queue:send(("y"):rep(50), 1, 0.01))
    assert.equal(1, queue:stat().qnum)
  end)

  it("refuses a message that can never be in it, at once and without a timeout", function()
    local queue, most = open(key), shm.limits().msgmax
    refused(("^message queue 0x5e600020 takes messages of at most %d bytes %%(MSGMAX%%), and this one has %d; ")
      :format(most, most + 1), "EMSGSIZE", queue:send(("x"):rep(most + 1)))
    queue:set { qbytes = 10 }
    refused("takes messages of at most 10 bytes %(its qbytes%), and this one has 11; ", "EMSGSIZE",
      queue:send(("x"):rep(11)))
    assert.equal(0, queue:stat().qnum)
  end)

  it("wakes a receiver and a sender that wait", function()
    local queue = open(key)
    for _, timeout in ipairs { "nil", "60" } do
      local receiver = start(("say(q:receive(7, %s))"):format(timeout))
      sleeps(receiver)
      queue:send "not this"
      queue:send("this", 7)
      assert.equal("this\t7\n", finish(receiver))
      queue:receive()
      queue:set { qbytes = 10 }
      queue:send "0123456789"
      local sender = start(("say(q:send('later', 3, %s))"):format(timeout))
      sleeps(sender)
      assert.equal("0123456789", (queue:receive()))
      assert.equal("true\n", finish(sender))
      assert.same({ "later", 3 }, { queue:receive() })
      queue:set { qbytes = 16384 }
    end
  end)

  it("lets Ctrl-C reach a script that waits", function()
    local queue = open(key)
    queue:set { qbytes = 10 }
    queue:send "0123456789"
    for _, call in ipairs { "q:receive(7)", "q:receive(7, 60)", "q:send('x')", "q:send('x', 1, 60)" } do
      local child = start('say "waits" ' .. call)
      child:line()
      sleeps(child)
      child:kill "sigint"
      assert.equal(1, (child:wait()))
      assert.matches("interrupted!", child.err)
      assert.equal(1, queue:stat().qnum)
    end
  end)

  it("tells a process that waits, and all others, that it was removed", function()
    local queue = open(key)
    local waiting = { start "say(q:receive())", start "say(q:receive(0, 60))" }
    for _, child in ipairs(waiting) do sleeps(child) end
    local other = open(key)
    assert.is_true(queue:remove())
    for _, child in ipairs(waiting) do
      assert.matches("^nil\tmessage queue 0x5e600020 was removed; [^\n]*\tEIDRM\n$", finish(child))
    end
    for _, method in ipairs { "receive", "stat", "remove" } do refused("was removed", "EIDRM", other[method](other)) end
    refused("was removed", "EIDRM", other:send "x")
    refused("was removed", "EIDRM", other:set { mode = "0600" })
  end)

  it("says how it is, and is changed", function()
    local queue, me = open(key), uv.os_getpid()
    queue:send "three"
    local stat = queue:stat()
    assert.same({ key, "messages", 5, 5, 1, shm.limits().msgmnb, me, 0, 0, uv.getuid(), uv.getgid() },
      { stat.key, stat.backing, stat.size, stat.cbytes, stat.qnum, stat.qbytes, stat.lspid, stat.lrpid, stat.rtime,
        stat.uid, stat.gid })
    assert.is_true(math.abs(stat.stime - os.time()) < 60 and math.abs(stat.ctime - os.time()) < 60)
    assert.is_true(queue:set { mode = "0666", qbytes = 1000 })
    assert.same({ "0666", 1000 }, { queue:stat().mode, queue:stat().qbytes })
    queue:receive()
    assert.equal(me, queue:stat().lrpid)
    local found
    for _, one in ipairs(shm.list()) do
      if one.backing == "messages" and one.id == stat.id then found = one end
    end
    assert.same(queue:stat(), found)
  end)

  it("keeps users out as its mode says", function()
    local nobody, missing = sandbox.nobody()
    if not nobody then return pending(missing) end
    open(key)
    local result = process.run(process.lua, { "-e", ([[
      local q = assert(require "shm".messages(%d))
      for _, call in ipairs { { "send", "x" }, { "receive" }, { "set", { mode = "0666" } }, { "remove" } } do
        print(call[1], select(3, q[call[1] ](q, call[2])))
      end
      print(q:stat().mode)]]):format(key) }, nobody)
    assert.equal("send\tEACCES\nreceive\tEACCES\nset\tEPERM\nremove\tEPERM\n0600\n", result.out, result.err)
  end)

  it("is refused with the limit if the machine has no more", function()
    if sandbox.missing then return pending(sandbox.missing) end
    local result = sandbox.run("1M", "echo 1 > /proc/sys/kernel/msgmni", [[
      local shm = require "shm"
      assert(shm.messages(1))
      print(shm.messages(2))]])
    assert.matches("^nil\tmessage queue 0x00000002 cannot be created: the machine has all its 1 message queues "
      .. "%(MSGMNI%); [^\n]*\tENOSPC\n$", result.out, result.err)
  end)

  it("raises what is misuse", function()
    local queue = open(key)
    for message, call in pairs {
      ["type 0: a message has a type from 1"] = function() queue:send("x", 0) end,
      ["string %(string.pack makes one%) expected, got table"] = function() queue:send {} end,
      ["a timeout is a number of seconds"] = function() queue:receive(0, 0 / 0) end,
      ["type %-1: except takes a type from 1"] = function() queue:receive(-1, { except = true }) end,
      ["option except is true or false, not a number"] = function() queue:receive(1, 0, { except = 1 }) end,
      ["unknown option 'excpet'; there is except"] = function() queue:receive(1, 0, { excpet = true }) end,
      ["unknown option 'exclusive'; there are mode, create"] = function() shm.messages(key, { exclusive = true }) end,
      ["option create is true or false, not a string"] = function() shm.messages(key, { create = "no" }) end,
      ["a private message queue is new each time"] = function() shm.messages(shm.PRIVATE, { create = false }) end,
      ["message queues have an integer key"] = function() shm.messages "/name" end,
      ["cannot set 'size'; there are mode, uid, gid, qbytes"] = function() queue:set { size = 1 } end,
      ["qbytes is a number of bytes from 0"] = function() queue:set { qbytes = -1 } end,
      ["methods are called with a colon"] = function() queue.send "x" end,
    } do
      assert.error_matches(call, message)
    end
    assert.equal(0, queue:stat().qnum)
  end)
end)

describe("a message that memory runs out for", function()
  -- Messages of 16 MiB; `ballast` leaves the process less than two of them.
  local function run(script)
    if sandbox.missing then return pending(sandbox.missing) end
    if process.is_sanitized then return pending "a sanitizer cannot start under ulimit -v" end
    local result = sandbox.run("1M", [[for limit in msgmax msgmnb; do echo 134217728 > /proc/sys/kernel/$limit; done
      export MALLOC_MMAP_THRESHOLD_=65536 # large blocks are the system's, and go back to it
      ulimit -v 200000]], [[
      local shm = require "shm"
      local q, size = assert(shm.messages(1)), 16 << 20
      assert(q:send(("x"):rep(size), 7))
      collectgarbage()
      local ballast = {}
      while pcall(function() ballast[#ballast + 1] = ("b"):rep(4 << 20) .. #ballast end) do end
      local function left()
        collectgarbage()
        local file <close> = io.open "/proc/self/statm"
        return 200000 * 1024 - file:read "n" * 4096
      end
      while left() < 20 << 20 do ballast[#ballast] = nil end
      print(pcall(q.receive, q))
      print(q:stat().qnum)
      ballast = nil
      collectgarbage()
      ]] .. script)
    assert.equal("", result.err)
    return result.out
  end

  it("is returned by the next receive", function()
    local out = run [[
      print(q:receive(3, 0))
      local data, type = q:receive(0, 0)
      print(#data == size and data:find "[^x]" == nil, type, q:stat().qnum, select(3, q:receive(0, 0)))]]
    if out then
      assert.matches("^false\tnot enough memory\n0\nnil\t[^\n]*\tEAGAIN\ntrue\t7\t0\tEAGAIN\n$", out)
    end
  end)

  it("goes back to the queue if the queue object is collected before", function()
    local out = run [[
      q = nil
      collectgarbage()
      q = shm.messages(1)
      print(q:stat().qnum)
      local data, type = q:receive(0, 0)
      print(#data == size, type)]]
    if out then assert.equal("false\tnot enough memory\n0\n1\ntrue\t7\n", out) end
  end)
end)

describe("a finalizer that runs within receive", function()
  it("may receive from the same queue, and each message is received once", function()
    local queue, count, stolen, sent, is_receiving = open(key), {}, 0, 0, false
    local function receive()
      local data = queue:receive(0, 0)
      if data then count[data] = (count[data] or 0) + 1 end
      return data
    end
    local function make_thief()
      setmetatable({}, { __gc = function()
        if is_receiving and receive() then stolen = stolen + 1 end
      end })
    end
    local mode = collectgarbage("incremental", 100, 1000)
    finally(function() collectgarbage(mode) end)
    while stolen < 20 and sent < 100000 do
      for _ = 1, 2 do
        sent = sent + 1
        queue:send(("%08d"):format(sent):rep(500))
      end
      make_thief()
      is_receiving = true
      repeat until not receive()
      is_receiving = false
    end
    assert.equal(20, stolen)
    for i = 1, sent do assert.equal(1, count[("%08d"):format(i):rep(500)]) end
  end)
end)

describe("a message between a script and a C program", function()
  it("arrives, both ways", function()
    local queue = open(key)
    assert.equal(0, process.run_peer("messages", "send", key, "3", "from C", "").code)
    assert.same({ "from C", 3 }, { queue:receive(3) })
    assert.same({ "", 3 }, { queue:receive() })
    local receiver = process.start_peer("messages", "receive", key, "-9", "3")
    queue:send("ten", 10)
    for _, text in ipairs { "9 nine", "1 one", "2 two" } do
      queue:send(text:match "%a+", math.tointeger(tonumber(text:match "%d")))
      assert.equal(text, receiver:line())
    end
    assert.equal(0, (receiver:wait()))
    assert.equal("ten", (queue:receive(0, 0)))
  end)

  it("goes through a queue that the C program has made, and removes", function()
    assert.equal(0, process.run_peer("messages", "send", key, "1", "first").code)
    local queue = open(key, { create = false })
    assert.same({ "first", 1 }, { queue:receive(0, 0) })
    assert.equal(0, process.run_peer("messages", "remove", key).code)
    refused("was removed", "EIDRM", queue:receive(0, 0))
  end)

  it("is seen by ipcs", function()
    local queue = open(key, { mode = "0640" })
    queue:send "seven b"
    local text = process.run("ipcs", { "-q" }).out
    assert.matches(("\n0x5e600020 %d +%%S+ +640 +7 +1 *\n"):format(queue:stat().id), text)
  end)
end)

describe("the tool shm", function()
  local tool = uv.cwd() .. "/scripts/shm"
  local function run(...) return process.run(process.lua, { tool, ... }) end

  it("lists message queues, tells of them, and removes them", function()
    local queue = open(key)
    queue:send "abc"
    assert.matches("\nmq:0x5e600020 +%d+ +3 +%S+ +0600 +%- +%- +message queue, 1 message\n", run("ls").out)
    assert.matches("\n    \"qnum\": 1,\n", run("ls", "--json").out)
    local stat = run("stat", "mq:0x5e600020").out
    assert.matches("^backing +messages\nkey +0x5e600020\n", stat)
    assert.matches("\nqnum +1\nqbytes +16K %(16384 bytes%)\nlspid +" .. ("%d "):format(uv.os_getpid()), stat)
    assert.equal(stat, run("stat", "0x5e600020").out)
    assert.equal(stat, run("stat", "mq:id=" .. queue:stat().id).out)
    assert.matches('^{[^}]*"qnum": 1,', run("stat", "mq:0x5e600020", "--json").out)
    assert.equal("would remove mq:0x5e600020\n", run("rm", "-n", "0x5e600020").out)
    assert.is_nil(run("rm", "--orphans", "-n").out:find("mq:", 1, true))
    assert.equal("removed mq:0x5e600020\n", run("rm", "mq:0x5e600020").out)
    refused("was removed", "EIDRM", queue:stat())
    local gone = run("rm", "mq:0x5e600020")
    assert.same({ 1, "shm: message queue 0x5e600020 does not exist\n" }, { gone.code, gone.err })
  end)

  it("takes a key that a segment and a queue have for the segment's, and mq: for the queue's", function()
    local queue = open(key)
    local segment <close> = assert(shm.create(key, 100, { owned = true }))
    assert.matches("^backing +sysv\n", run("stat", "0x5e600020").out)
    assert.equal("removed 0x5e600020\n", run("rm", "0x5e600020").out)
    assert.is_true(segment:stat().removed)
    assert.equal(0, queue:stat().qnum)
    assert.equal("removed mq:0x5e600020\n", run("rm", "0x5e600020").out)
  end)
end)
