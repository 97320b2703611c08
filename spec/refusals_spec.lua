-- refusals_spec.lua: what the world refuses comes back as nil, a sentence and the errno's name, and
-- nothing is left behind: limits, permissions, full memory, memory that is taken away.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local uv = require "luv"

local name, key = "/shm_spec_refusals", 0x5e600004

local refused = outcome.refused

-- Runs a script in a sandbox; it must end well, and its output is returned.
local function sandboxed(size, commands, script)
  if sandbox.missing then return pending(sandbox.missing) end
  local run = sandbox.run(size, commands, script)
  assert.equal("", run.err)
  assert.equal(0, run.code)
  return run.out
end

describe("attaching", function()
  it("to what is missing says so", function()
    refused('^segment "/shm_spec_missing" does not exist; create it first$', "ENOENT", shm.attach("/shm_spec_missing"))
    refused("^segment 0x5e6000ff does not exist", "ENOENT", shm.attach(0x5e6000ff))
    refused("^segment id 2147483647 does not exist", "ENOENT", shm.attach { id = 0x7fffffff })
    refused("^segment id 2147483647 does not exist", "ENOENT", shm.remove { id = 0x7fffffff })
    refused('^segment "/shm_spec_missing" does not exist', "ENOENT", shm.remove("/shm_spec_missing"))
  end)

  it("to another user's segment is refused, and so is its removal", function()
    local sysv <close> = assert(shm.create(key, 10, { owned = true }))
    local posix <close> = assert(shm.create(name, 10, { owned = true }))
    local run = sandbox.run_as_nobody(([[
      local shm = require "shm"
      for _, name in ipairs { %d, %q, { id = %d } } do
        print(select(3, shm.attach(name)), select(3, shm.attach(name, { readonly = true })),
          select(3, shm.remove(name)))
      end
      print(select(3, shm.open(%q, 10)), select(3, shm.create(%d, 10)), #shm.list() >= 2)
      print((select(2, shm.attach(%q))))
    ]]):format(key, name, sysv:stat().id, name, key, name))
    if run then
      assert.equal("EACCES\tEACCES\tEPERM\nEACCES\tEACCES\tEPERM\nEACCES\tEACCES\tEPERM\n" ..
        "EACCES\tEEXIST\ttrue\n" ..
        'segment "/shm_spec_refusals" is closed to this user by its mode; attach readonly if that is ' ..
        "enough, or ask its owner to widen the mode\n",
        run.out, run.err)
    else -- not root: a mode of 0 keeps out its owner, too
      for _, segment in ipairs { sysv, posix } do assert(segment:set { mode = 0 }) end
      refused("is closed to this user by its mode", "EACCES", shm.attach(key))
      refused("is closed to this user by its mode", "EACCES", shm.attach(name))
    end
  end)

  it("another user may read where the mode says so, and change nothing", function()
    local posix <close> = assert(shm.create(name, 10, { owned = true, mode = "0644" }))
    local sysv <close> = assert(shm.create(key, 10, { owned = true, mode = "0644" }))
    posix:write("read me")
    sysv:write("read me")
    local run = sandbox.run_as_nobody(([[
      local shm = require "shm"
      for _, name in ipairs { %d, %q } do
        local segment <close> = assert(shm.attach(name, { readonly = true }))
        print(segment:cstring(), select(3, shm.attach(name)), select(3, segment:set { mode = "0666" }),
          select(3, segment:remove()) ~= nil)
      end
    ]]):format(key, name))
    if not run then return pending("only root can become another user") end
    assert.equal(("read me\tEACCES\tEPERM\ttrue\n"):rep(2), run.out, run.err)
  end)

  it("is given back by an owner who had taken away all modes", function()
    local script = ([[
      local shm = require "shm"
      for _, name in ipairs { %d, %q } do
        local segment <close> = assert(shm.create(name, 10, { owned = true }))
        assert(segment:set { mode = "0000" })
        print(select(3, shm.attach(name)), segment:stat().mode, segment:set { mode = "0600" }, segment:stat().mode)
      end
    ]]):format(key, name)
    local run = sandbox.run_as_nobody(script) or process.run_lua(script)
    assert.equal(("EACCES\t0000\ttrue\t0600\n"):rep(2), run.out, run.err)
  end)

  it("to a name that is no shared memory is refused at once", function()
    local path = "/dev/shm" .. name
    assert.equal(0, process.run("mkfifo", { path }).code)
    refused("is not shared memory: a directory, a link, a pipe or a device has its name", "ENODEV", shm.attach(name))
    refused("is not shared memory", "ENODEV", shm.attach(name, { readonly = true }))
    refused("exists already", "EEXIST", shm.create(name, 10))
    assert(os.remove(path))
    assert.equal(0, process.run("mkdir", { path }).code)
    refused("is not shared memory", "ENODEV", shm.attach(name))
    assert(os.remove(path))
    assert.equal(0, process.run("ln", { "-s", "/etc/passwd", path }).code)
    refused("is not shared memory", "ENODEV", shm.attach(name))
    assert(os.remove(path))
    assert(io.open(path, "w")):close()
    refused("is empty: its creator has not given it a size yet", "ENODATA", shm.attach(name))
    refused("is empty", "ENODATA", shm.open(name, 10))
    assert(os.remove(path))
  end)
end)

describe("what a backing does not offer", function()
  it("is said", function()
    local sysv <close> = assert(shm.create(key, 10, { owned = true }))
    local memfd <close> = assert(shm.create(nil, 10))
    refused("segment 0x5e600004 cannot do that: only POSIX objects change their size", "ENOTSUP", sysv:resize(20))
    refused("anonymous segment cannot do that", "ENOTSUP", memfd:resize(20))
    refused("anonymous segment cannot do that", "ENOTSUP", memfd:remove())
    refused("cannot do that", "ENOTSUP", shm.create(name, 10, { huge = true }))
  end)

  it("also for huge pages, which the machine may not have", function()
    for _, huge_name in ipairs { key, false } do
      local segment <close>, message, code = shm.create(huge_name or nil, 100, { huge = true, owned = true })
      if segment then
        segment:write("in a huge page")
        assert.equal("in a huge", segment:read(9))
        assert.equal(0, segment:stat().address % shm.limits().huge_page_size)
      else
        assert.matches("huge pages", message) -- none to be had, or not by this user
        assert.is_true(code == "ENOMEM" or code == "EPERM")
      end
    end
  end)
end)

describe("a size", function()
  it("beyond what the machine has is refused at creation", function()
    refused("was refused memory: out of memory", "ENOMEM", shm.create(nil, "1000T"))
    refused("was refused memory", "ENOMEM", shm.create(key, "1000T"))
    refused("has no room: .* the space in /dev/shm is used up", "ENOSPC", shm.create(name, "1000T"))
    refused("has no room", "ENOSPC", shm.create(name, math.maxinteger))
    refused("was refused memory", "ENOMEM", shm.create(nil, math.maxinteger))
    refused("", "ENOMEM", shm.create(key, math.maxinteger))
    refused("does not exist", "ENOENT", shm.attach(name))
    refused("does not exist", "ENOENT", shm.attach(key))
  end)

  it("of a GiB works", function()
    if shm.limits().posix_free < 3 << 30 then return pending("/dev/shm has not 3 GiB free") end
    for _, big in ipairs { key, name } do
      local segment <close> = assert(shm.create(big, "1G", { owned = true }))
      segment:write("end", (1 << 30) - 3)
      local other <close> = assert(shm.attach(big))
      assert.equal("\0end", other:read(nil, (1 << 30) - 4))
    end
  end)

  it("above SHMMAX is refused", function()
    assert.equal("EFBIG\tsegment 0x00000005 cannot be that large: a limit is lower (SHMMAX, SEMMSL, or ulimit -f "
      .. "for POSIX and anonymous memory)\ntrue\t8192\n",
      sandboxed("1m", "echo 8192 > /proc/sys/kernel/shmmax", [[
        local shm = require "shm"
        local none, message, code = shm.create(5, 8193)
        print(code, message)
        local segment <close> = shm.create(5, 8192)
        print(segment ~= nil, shm.limits().shmmax)]]))
  end)

  it("above the limit of file sizes is refused, and the process lives on", function()
    local run = process.run("sh", { "-c", "ulimit -f 8; exec " .. process.lua .. " -e \"$1\"", "sh", [[
      local shm = require "shm"
      for _, name in ipairs { "/shm_spec_refusals", false } do
        print(select(3, shm.create(name or nil, "64K")),
          select(3, shm.create(name or nil, "64K", { reserve = false })))
      end
      print(shm.limits().huge_page_size == 0 or select(3, shm.create(nil, "64K", { huge = true })))
      local segment <close> = assert(shm.create("/shm_spec_refusals", 4096, { owned = true }))
      print(select(3, segment:resize("64K")), #segment)]] })
    assert.matches("^EFBIG\tEFBIG\nEFBIG\tEFBIG\n%w+\nEFBIG\t4096\n$", run.out, run.err)
  end)

  it("above SHMALL is refused", function()
    assert.equal("nil\tENOSPC\ntrue\n", sandboxed("1m", "echo 2 > /proc/sys/kernel/shmall", [[
      local shm = require "shm"
      local none, message, code = shm.create(5, 8193)
      print(none, code)
      local segment <close> = shm.create(5, 8192)
      print(segment ~= nil)]]))
  end)
end)

describe("a full /dev/shm", function()
  it("is ENOSPC at creation, and leaves nothing", function()
    assert.equal("ENOSPC\nENOSPC\n0\n1\n", sandboxed("1m", nil, [[
      local shm = require "shm"
      print(select(3, shm.create("/large", "2M")))
      local first <close> = assert(shm.create("/first", "700K", { owned = true }))
      print(select(3, shm.create("/second", "700K")))
      first:fill(1)
      local limits = shm.limits()
      print(limits.posix_free // (limits.posix_size // 2))
      print(#shm.list())]]))
  end)

  it("is ENOSPC when an object grows, which then is as it was", function()
    assert.equal("ENOSPC\n100\t100\tkept\n", sandboxed("1m", nil, [[
      local shm = require "shm"
      local segment <close> = assert(shm.create("/grows", 100, { owned = true }))
      segment:write("kept")
      print(select(3, segment:resize("2M")))
      print(#segment, segment:stat().size, segment:cstring())]]))
  end)

  it("is EFAULT for memory that was not reserved, not a crash", function()
    assert.equal("EFAULT\tsegment \"/sparse\" has lost memory: it was truncated, or its file system is full; " ..
      "detach it and attach or create it anew\nEFAULT\ntrue\n", sandboxed("1m", nil, [[
      local shm = require "shm"
      local segment <close> = assert(shm.create("/sparse", "4M", { owned = true, reserve = false }))
      local done, message, code = segment:fill(1)
      print(code, message)
      print(select(3, segment:read(1)))
      print(segment:close())]]))
  end)
end)

describe("an arena whose memory is not reserved", function()
  it("gives back what an object took that could not be made, of whatever kind", function()
    assert.equal(("ENOMEM\ttrue\ttrue\t1\n"):rep(7) .. "true\ttrue\n1\t2\n", sandboxed("2m", nil, [[
      local shm = require "shm"
      local a = assert(shm.arena("/sparse", "64M", { owned = true, reserve = false }))
      local same = assert(shm.attach "/sparse")
      local Large = shm.record("Large", { "u8 bytes[1048576]" })
      local makers = {
        dict = function() return a:dict("big", "32M") end,
        channel = function() return a:channel("big", "16M") end,
        topic = function() return a:topic("big", "16M") end,
        service = function() return a:service("big", "1M") end,
        bytes = function() return a:array("big", "u8", 40 << 20) end,
        doubles = function() return a:array("big", "f64", 4 << 20) end,
        records = function() return a:array("big", Large, 16) end,
      }
      assert(a:array("first", "u8", 100000)) -- begins and ends within pages
      for kind, make in pairs(makers) do
        local before = same:stat().allocated
        local object, message, code = make()
        local fact = '"big" of arena "/sparse" needs %d+ bytes of memory, and /dev/shm has %d+ left'
        print(code or object, message:match(fact) ~= nil, same:stat().allocated - before <= 2 * 4096, #a:objects())
      end
      local d = assert(a:dict("small", "600K")) -- the handle has lost nothing
      print(d:set("k", 1), same:stat().allocated < 1000000)
      local other <close> = assert(shm.arena("/sparse")) -- nor is anything half made for others
      d = assert(other:dict("small", "600K"))
      print(d:get "k", #other:objects())]]))
  end)
end)

describe("the number of segments", function()
  it("is limited by SHMMNI, and all of them work", function()
    assert.equal("4000\tENOSPC\t4000\n0\n", sandboxed("1m", "echo 4000 > /proc/sys/kernel/shmmni", [[
      local shm = require "shm"
      local segments, code = {}
      for i = 1, 5000 do
        local segment, message, found = shm.create(i, 16, { owned = true })
        code = found
        if not segment then break end
        segments[i] = segment:write(tostring(i) .. "\0")
      end
      for i, segment in ipairs(segments) do assert(segment:cstring() == tostring(i)) end
      print(#segments, code, #shm.list())
      for _, segment in ipairs(segments) do segment:close() end
      print(#shm.list())]]))
  end)
end)

describe("a POSIX object that another process truncates", function()
  it("is an error also where it has grown and moved before", function()
    local segment <close> = assert(shm.create(name, 100, { owned = true }))
    assert(segment:resize("4M"))
    assert.equal(0, process.run("truncate", { "-s", "0", "/dev/shm" .. name }).code)
    refused("has lost memory", "EFAULT", segment:read(1, (4 << 20) - 1))
    refused("has lost memory", "EFAULT", segment:fill(0))
  end)

  for method, arguments in pairs { read = {}, write = { ("x"):rep(8192) }, fill = { 0 }, cstring = { 8191 } } do
    it("is an error in " .. method .. ", not a crash", function()
      local segment <close> = assert(shm.create(name, 8192, { owned = true }))
      segment:fill(65)
      assert.equal(0, process.run("truncate", { "-s", "0", "/dev/shm" .. name }).code)
      refused('^segment "/shm_spec_refusals" has lost memory: it was truncated', "EFAULT",
        segment[method](segment, table.unpack(arguments)))
      refused("has lost memory", "EFAULT", segment:read(1))
      refused("has lost memory", "EFAULT", segment:resize(100))
    end)
  end

  it("still serves what is left of it", function()
    local segment <close> = assert(shm.create(name, 8192, { owned = true }))
    segment:fill(65)
    assert.equal(0, process.run("truncate", { "-s", "4096", "/dev/shm" .. name }).code)
    assert.equal("AAAA", segment:read(4, 4092))
    refused("has lost memory", "EFAULT", segment:read(1, 4096))
    segment:close()
  end)

  local reading = [[
    local shm = require "shm"
    local segment <close> = assert(shm.create("]] .. name .. [[", 8192, { owned = true }))
    os.execute("truncate -s 0 /dev/shm]] .. name .. [[")
    print(select(3, segment:read(10, 0)))
  ]]
  for what, command in pairs {
    ["lua"] = { process.lua, "-e", reading }, ["shmlua"] = { process.build .. "/shmlua", "-e", reading },
  } do
    it("is an error also where the parent has left SIGBUS blocked: " .. what, function()
      local child = process.run("env", { "--block-signal=BUS", table.unpack(command) })
      assert.equal("EFAULT\n", child.out)
      assert.equal(0, child.code)
    end)
  end

  it("is an error also where a worker of shmlua inherits SIGBUS blocked", function()
    local script = os.tmpname()
    local file <close> = assert(io.open(script, "w"))
    file:write(reading)
    file:close()
    local child = process.run("env", { "--block-signal=BUS", process.build .. "/shmlua", "-j", "1", script })
    os.remove(script)
    assert.equal("EFAULT\n", child.out)
    assert.equal(0, child.code)
  end)

  it("is lost memory, and not a removal, to the objects of an arena", function()
    local arena <close> = assert(shm.arena(name, "64K", { owned = true }))
    local channel, mutex, array = arena:channel("c", 256), arena:mutex "m", arena:array("a", "u8", 100)
    assert.equal(0, process.run("truncate", { "-s", "0", "/dev/shm" .. name }).code)
    refused("has lost memory", "EFAULT", channel:receive(0))
    refused("has lost memory", "EFAULT", mutex:lock())
    assert.matches("has lost memory", select(2, pcall(array.load, array, 1)))
  end)

  it("is attached anew with its new size", function()
    local segment <close> = assert(shm.create(name, 8192, { owned = true }))
    assert.equal(0, process.run("truncate", { "-s", "100", "/dev/shm" .. name }).code)
    local other <close> = assert(shm.attach(name))
    assert.equal(8192, #segment) -- what it was attached with
    assert.equal(100, #other)
  end)
end)

describe("anonymous memory", function()
  it("cannot be truncated, or grown, by whoever finds its descriptor", function()
    local segment <close> = assert(shm.create(nil, 8192))
    segment:fill(65)
    local pid = uv.os_getpid()
    local fd
    for entry in function(scan) return uv.fs_scandir_next(scan) end, assert(uv.fs_scandir("/proc/self/fd")) do
      if (uv.fs_readlink("/proc/self/fd/" .. entry) or ""):find("memfd:shm", 1, true) then fd = entry end
    end
    for _, size in ipairs { 0, 4096, 16384 } do
      local run = process.run("truncate", { "-s", tostring(size), ("/proc/%d/fd/%s"):format(pid, fd) })
      assert.matches("Operation not permitted", run.err)
    end
    assert.equal(("A"):rep(8192), segment:read())
  end)
end)

describe("resizing", function()
  it("keeps the contents, and adds zeroes", function()
    local segment <close> = assert(shm.create(name, 10, { owned = true }))
    segment:write("0123456789")
    assert.is_true(segment:resize("1M"))
    assert.equal(1 << 20, #segment)
    assert.equal("0123456789\0", segment:read(11))
    assert.equal("\0", segment:read(1, (1 << 20) - 1))
    segment:write("end", (1 << 20) - 3)
    local other <close> = assert(shm.attach(name))
    assert.equal("end", other:read(3, (1 << 20) - 3))
    assert.is_true(segment:resize(5))
    assert.equal("01234", segment:read())
    assert.error_matches(function() segment:read(6) end, "is not within")
    refused("has lost memory", "EFAULT", other:read(1, 8192))
    assert.is_true(segment:resize(4096))
    assert.equal("01234\0\0", segment:read(7))
  end)

  it("is refused for a readonly segment", function()
    local segment <close> = assert(shm.create(name, 10, { owned = true, readonly = true }))
    assert.error_matches(function() segment:resize(20) end, "is attached readonly")
  end)
end)
