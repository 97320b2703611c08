-- tool_spec.lua: the tool `shm` as a person uses it, with pipes: what it prints, and how it fails.
local shm = require "shm"
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local uv = require "luv"

local tool = uv.cwd() .. "/scripts/shm"
local name = "/shm_spec_tool"
local me = math.tointeger(uv.os_getpid())

local function run(arguments, options)
  return process.run(process.lua, { tool, table.unpack(arguments) }, options)
end

local function prints(out, ...)
  local result = run { ... }
  assert.equal("", result.err)
  assert.equal(0, result.code)
  if out then assert.equal(out, result.out) end
  return result.out
end

-- One line on standard error, nothing else, and the code.
local function fails(code, pattern, ...)
  local result = run { ... }
  assert.equal("", result.out)
  assert.matches("^shm: [^\n]*" .. pattern .. "[^\n]*\n$", result.err)
  assert.equal(code, result.code)
end

local function shell(command, env)
  return process.run("sh", { "-c", command }, { env = env })
end

-- What JSON says, as far as the tool writes it: no brackets within strings.
local function parse(json)
  local lua = json:gsub("%[%]", "{}"):gsub('("[^"]*"): ', "[%1] = "):gsub("%[\n", "{\n"):gsub("%]([,\n])", "}%1")
  return assert(load("return " .. lua))()
end

local segment
before_each(function() segment = assert(shm.create(name, 4096, { owned = true })) end)
after_each(function() segment:close() end)

describe("shm", function()
  it("explains itself, with an example for each command", function()
    local help = prints(nil, "--help")
    local commands = {}
    for command in help:match("Commands:(\n.-)\n\n"):gmatch("\n   (%l+)") do
      commands[#commands + 1] = command
      local text = prints(nil, command, "--help")
      assert.matches("Usage: shm " .. command, text)
      assert.matches("\nExample: [^\n]*shm " .. command .. "[^\n]*\n$", text)
      for line in text:gmatch("[^\n]*") do assert.is_true(#line <= 120, line) end
    end
    assert.same({ "ls", "stat", "create", "read", "write", "rm", "watch", "arena", "top" }, commands)
  end)

  it("says its version", function()
    prints(shm._VERSION .. "\n", "--version")
  end)

  it("takes misuse for misuse: one line, and code 2", function()
    fails(2, "a command is required")
    fails(2, "unknown command 'lss'", "lss")
    fails(2, "unknown option", "ls", "--nonsense")
    fails(2, "missing argument 'NAME'", "read")
    fails(2, "missing argument 'SIZE'", "create", "/x")
    fails(2, '"prices" is no name', "read", "prices")
    fails(2, '"0" is no name', "read", "0")
    fails(2, "is no name", "read", "id=x")
    fails(2, "whole number", "read", name, "--offset=-1")
    fails(2, "rm needs a NAME", "rm")
    fails(2, "quote it", "write", name, "a", "b")
    fails(2, '"x" is no number', "write", name, "--type", "u8", "x")
    fails(2, "300", "write", name, "--type", "u8", "300")
    fails(2, "mode", "create", "/shm_spec_none", "100", "--mode", "9")
    fails(2, "size", "create", "/shm_spec_none", "0")
    fails(2, "an identifier is given", "create", "id=4", "100")
    fails(2, "seconds", "watch", name, "--interval", "0")
  end)

  it("says in one line what the world refuses, with code 1", function()
    for _, command in ipairs { "stat", "read", "rm", "watch", "arena" } do
      fails(1, 'segment "/shm_spec_none" does not exist', command, "/shm_spec_none")
    end
    fails(1, "does not exist", "write", "/shm_spec_none", "text")
    fails(1, "does not exist", "read", "id=2147483647")
    fails(1, "does not exist", "read", "0xfedcba98")
    fails(1, "exists already", "create", name, "100")
    fails(1, "there are 4096 bytes from offset 0 on", "read", name, "--count", "4097")
    fails(1, "behind the end", "read", name, "--offset", "5000")
    fails(1, "5 bytes do not fit", "write", name, "hello", "--offset", "4092")
    fails(1, "is no arena", "arena", name)
    fails(1, "shm\\x1b%[31m", "rm", "/shm\27[31m")
  end)

  it("is silent where its reader has gone", function()
    for _, command in ipairs { "ls", "read " .. name .. " --raw", "--help", "arena " .. name .. " --help" } do
      -- The signal ends it; where that is ignored, it ends by itself.
      local result = shell(("{ %s %s %s; echo $? >&2; } | sleep 0"):format(process.lua, tool, command))
      assert.matches("^%d+\n$", result.err, command)
      result = shell(("trap '' PIPE; (sleep 0.1; %s %s %s; echo $? >&2) | true"):format(process.lua, tool, command))
      assert.equal("0\n", result.err, command)
      result = shell(("%s %s %s | head -1"):format(process.lua, tool, command))
      assert.equal("", result.err, command)
    end
  end)

  it("says where it cannot write", function()
    local result = shell(("%s %s ls >/dev/full"):format(process.lua, tool))
    assert.equal("shm: standard output: No space left on device\n", result.err)
    assert.equal(1, result.code)
  end)

  it("has no colour in a pipe", function()
    assert.is_nil(prints(nil, "ls"):find("\27"))
  end)
end)

describe("shm ls and stat", function()
  it("list what there is", function()
    local sysv <close> = assert(shm.create(shm.PRIVATE, 100000, { mode = "0640", owned = true }))
    assert.is_true(sysv:mlock())
    assert.matches("\nprivate [^\n]* lua5.4 +locked\n", prints(nil, "ls"))
    assert.is_true(sysv:munlock())
    local out = prints(nil, "ls")
    assert.matches("^NAME OR KEY +ID +SIZE +OWNER +MODE +ATTACHED +CREATOR +NOTES\n", out)
    assert.matches("\n" .. name .. " +%-  4.0K +%S+ +0600 +1 +%-\n", out)
    assert.matches(("\nprivate +%d +98K +%%S+ +0640 +1 +%d lua5.4\n"):format(sysv:stat().id, me), out)
    local arena <close> = assert(shm.arena("/shm_spec_tool_arena", "64K", { owned = true }))
    local found = {}
    for _, stat in ipairs(parse(prints(nil, "ls", "--json"))) do found[stat.name or stat.id] = stat end
    local id = sysv:stat().id
    for field, value in pairs { id = id, key = 0, size = 100000, mode = "0640", attached = 1, creator = me,
      creator_lives = true, arena = false, orphan = false, backing = "sysv", uid = uv.getuid() } do
      assert.equal(value, found[id][field], field)
    end
    for field, value in pairs { name = "/shm_spec_tool_arena", size = 65536, attached = 1, creator = me,
      creator_lives = true, arena = true, orphan = false, backing = "posix" } do
      assert.equal(value, found["/shm_spec_tool_arena"][field], field)
    end
    assert.is_nil(found[name].creator) -- of a POSIX object that is no arena, nobody knows
    assert.equal(65536, arena:stat().size)
  end)

  it("count who is attached here, and not in another mount namespace", function()
    if sandbox.missing then return pending(sandbox.missing) end
    local inode = uv.fs_stat("/dev/shm" .. name).ino
    local other = process.start("unshare", { "-m", "sh", "-c", ("mount -t tmpfs tmpfs /dev/shm && exec %s -e '%s'")
      :format(process.lua, ([[
        local shm, held = require "shm"
        for i = 1, 100 + %d do
          held = shm.create("/s" .. i, 10)
          if held:stat().ino == %d then break end
          held:close()
        end
        print(held:stat() and held:stat().ino) io.stdout:flush() io.read()]]):format(inode, inode)) })
    assert.equal(tostring(inode), other:line())
    assert.matches("\n" .. name .. " +%- +4.0K +%S+ +0600 +1 +%-\n", prints(nil, "ls"))
    other:wait()
  end)

  it("list what has a key, who died, and what is removed", function()
    local made = process.run_lua [[
      print(require("shm").create(0xfedc002, 100, { mode = "0604" }):stat().id)]]
    local pid, id = made.pid, made.out:match "^(%d+)\n$"
    local line = "\n0x0fedc002 +" .. id .. " +100 +%S+ +0604 +%d +" .. pid .. " %(gone%)  "
    assert.matches(line .. "orphan\n", prints(nil, "ls"))
    local held <close> = assert(shm.attach(0xfedc002))
    prints("removed 0x0fedc002\n", "rm", "0x0fedc002")
    assert.matches("\nprivate +" .. id .. " [^\n]* 1 +" .. pid .. " %(gone%)  removed\n", prints(nil, "ls"))
    assert.equal(100, #held)
  end)

  it("tell arenas from others, also of a damaged header, and do not make them", function()
    local arena <close> = assert(shm.arena("/shm_spec_tool_arena", "64K", { owned = true }))
    arena:mutex "m"
    assert.matches("\n/shm_spec_tool_arena +[^\n]* " .. me .. " lua5.4 +arena, 1 object\n", prints(nil, "ls"))
    assert.matches("\narena +yes, of 1 object\n", prints(nil, "stat", "/shm_spec_tool_arena"))
    assert.matches("\narena +no\n", prints(nil, "stat", name))
    assert.equal(("\0"):rep(4096), segment:read())
    local raw <close> = assert(shm.attach "/shm_spec_tool_arena")
    raw:view("u64", 16, 1)[1] = 77
    fails(1, "is damaged", "arena", "/shm_spec_tool_arena")
    assert.matches("arena, not readable", prints(nil, "ls"))
  end)

  it("look at whatever stands in an arena", function()
    local arena = assert(shm.arena("/shm_spec_tool_arena", "64K"))
    arena:channel("jobs", "1K"):send "x"
    arena:dict("d", "8K"):set("key", "value")
    local raw <close> = assert(shm.attach "/shm_spec_tool_arena")
    local bytes = raw:read()
    arena:close()
    for _, filling in ipairs { "\0", "\1", "\127", "\255", "\0\0\0\0\255\255\255\255", "arena\27[31m" } do
      for _, from in ipairs { 8, 64, 256, 4352 } do
        raw:write(bytes)
        raw:write(filling:rep(#raw // #filling - from // #filling - 1), from)
        for _, command in ipairs { "arena", "stat" } do
          local result = run { command, "/shm_spec_tool_arena", command == "arena" and "-i0" or nil }
          assert.is_true(result.code <= 1 and result.signal == 0)
          assert.is_nil((result.out .. result.err):find("[^\32-\126\n]"))
          assert.is_nil(result.err:find("\n.") or result.err:find("%.lua:"), result.err)
        end
      end
      assert.matches("/shm_spec_tool_arena ", prints(nil, "ls"))
      prints(nil, "top")
    end
    raw:remove()
  end)

  it("show names as they are typed, and nothing that a terminal would obey", function()
    local odd <close> = assert(shm.create("/shm_spec\27[31m\n\255", 10, { owned = true }))
    assert.matches("\n/shm_spec\\x1b%[31m\\x0a\\xff +", prints(nil, "ls"))
    assert.is_truthy(prints(nil, "ls", "--json"):find("shm_spec\\u001b[31m\\n\\u00ff", 1, true))
    assert.equal(10, #odd)
  end)

  it("say what the system says", function()
    local out = prints(nil, "stat", name)
    assert.matches("backing +posix\nname +" .. name .. "\nsize +4.0K %(4096 bytes%)\n", out)
    assert.matches('"size": 4096', prints(nil, "stat", name, "--json"))
    local sysv <close> = assert(shm.create(shm.PRIVATE, 10, { owned = true }))
    assert.matches("\nnattch +1\ncpid +" .. me .. " lua5.4\ncreator_lives +true\n",
      prints(nil, "stat", "id=" .. sysv:stat().id))
  end)

  it("say that they may not look", function()
    local other, missing = sandbox.nobody()
    if not other then return pending(missing) end
    local result = run({ "read", name }, other)
    assert.matches("^shm: segment \"" .. name .. "\" is closed to this user by its mode; [^\n]*\n$", result.err)
    assert.equal(1, result.code)
    assert.matches(name .. " [^\n]*closed to us\n", run({ "ls" }, other).out)
    for _, words in ipairs { { "write", name, "x" }, { "watch", name }, { "arena", name }, { "rm", name },
      { "rm", "-n", name } } do
      result = run(words, other)
      assert.same({ 1, "" }, { result.code, result.out }, words[1])
      assert.matches("^shm: [^\n]*\n$", result.err)
    end
    assert.matches("\nmode +0600\nuid +0 %(root%)\n.*\narena +not known: it is closed to this user\n",
      run({ "stat", name }, other).out)
    local theirs <close> = assert(shm.create("/shm_spec_theirs", 10, { mode = "0200", owned = true }))
    assert.is_true(theirs:set { uid = 65534 })
    assert.equal("would remove /shm_spec_theirs\n", run({ "rm", "-n", "/shm_spec_theirs" }, other).out)
    prints("would remove /shm_spec_theirs\n", "rm", "-n", "/shm_spec_theirs")
    local key <close> = assert(shm.create(0xfedc0003, 10, { mode = "0200", owned = true }))
    assert.is_true(key:set { uid = 65534 })
    assert.equal("would remove 0xfedc0003\n", run({ "rm", "-n", "0xfedc0003" }, other).out)
  end)
end)

describe("shm create and rm", function()
  it("make a segment and remove it", function()
    prints('segment "/shm_spec_made" (posix, 65536 bytes)\n', "create", "/shm_spec_made", "64K", "--mode", "0640")
    local made <close> = assert(shm.attach "/shm_spec_made")
    assert.equal("0640", made:stat().mode)
    prints("would remove /shm_spec_made\n", "rm", "--dry-run", "/shm_spec_made")
    prints("removed /shm_spec_made\n", "rm", "/shm_spec_made")
    fails(1, "does not exist", "rm", "-n", "/shm_spec_made")
    local id = prints(nil, "create", "private", "100"):match("^private segment %(sysv id (%d+), 100 bytes%)\n$")
      or prints(nil, "ls"):match("private +(%d+)")
    prints(("removed id=%s\n"):format(id), "rm", "id=" .. id)
    prints(nil, "create", "0xfedc0001", "100")
    assert.matches("\nkey +0xfedc0001\n.*\ncuid +%d+ [^\n]*\n", prints(nil, "stat", "0xfedc0001"))
    prints("would remove 0xfedc0001\n", "rm", "-n", "0xfedc0001")
    prints("removed 0xfedc0001\n", "rm", "0xfedc0001")
  end)

  it("make an arena", function()
    prints('arena "/shm_spec_made" (65536 bytes)\n', "create", "/shm_spec_made", "64K", "--arena")
    assert.matches("^arena /shm_spec_made: 64K, 6.2K used", prints(nil, "arena", "/shm_spec_made"))
    prints(nil, "rm", "/shm_spec_made")
    fails(2, "8192", "create", "/shm_spec_made", "100", "--arena")
    assert.is_nil((shm.attach "/shm_spec_made"))
  end)

  it("remove what can be, and say what cannot", function()
    prints(nil, "create", "/shm_spec_made", "10")
    local result = run { "rm", "/shm_spec_none", "/shm_spec_made" }
    assert.equal("removed /shm_spec_made\n", result.out)
    assert.matches("^shm: [^\n]*does not exist[^\n]*\n$", result.err)
    assert.equal(1, result.code)
  end)

  it("say what is removed before what is not, in that order", function()
    prints(nil, "create", "/shm_spec_made", "10")
    local result = shell(("%s %s rm /shm_spec_made /shm_spec_none 2>&1"):format(process.lua, tool))
    assert.matches("^removed /shm_spec_made\nshm: [^\n]*\n$", result.out)
    prints(nil, "create", "/shm_spec_made", "10")
    result = run { "rm", "/shm_spec_made", "/bad/name" }
    assert.same({ 2, "removed /shm_spec_made\n" }, { result.code, result.out })
    assert.matches("^shm: [^\n]*\n$", result.err)
  end)

  it("make an arena without a name", function()
    local out = prints(nil, "create", "private", "64K", "--arena")
    local id = prints(nil, "ls"):match("\nprivate +(%d+) [^\n]*arena, 0 objects\n")
    assert.is_truthy(id, out)
    prints(nil, "rm", "id=" .. id)
    assert.is_nil(prints(nil, "ls"):find("\nprivate"))
  end)

  it("remove orphans: those of dead creators that nobody has, and no others", function()
    local mine <close> = assert(shm.create(shm.PRIVATE, 10, { owned = true }))
    local made = process.run_lua [[
      local shm = require "shm"
      print(shm.create(shm.PRIVATE, 10):stat().id, shm.create(shm.PRIVATE, 10):stat().id)
      shm.arena("/shm_spec_orphan", "64K", { mode = "0666" })
      shm.create("/shm_spec_plain", 100)]]
    local held, orphan = made.out:match("^(%d+)\t(%d+)\n$")
    local holder <close> = assert(shm.attach { id = math.tointeger(tonumber(held)) })
    local expected = { ["would remove id=" .. orphan] = true, ["would remove /shm_spec_orphan"] = true }
    local opened_by_another <close> = assert(shm.arena("/shm_spec_orphan", nil))
    assert.matches("\n/shm_spec_orphan +%- [^\n]*%(gone%) +arena, 0 objects\n",
      run({ "ls" }, (sandbox.nobody())).out) -- who may not see what we have mapped
    opened_by_another:close()
    local found = {}
    for line in prints(nil, "rm", "--orphans", "--dry-run"):gmatch("[^\n]+") do found[line] = true end
    for line in pairs(expected) do assert.is_true(found[line], line) end
    assert.is_nil(found["would remove id=" .. held])
    assert.is_nil(found["would remove id=" .. mine:stat().id])
    assert.is_nil(found["would remove /shm_spec_plain"]) -- nobody knows who made it
    local opened <close> = assert(shm.arena "/shm_spec_orphan")
    assert.is_nil(prints(nil, "rm", "--orphans", "-n"):find("/shm_spec_orphan", 1, true))
    opened:close()
    for _, one in ipairs { "id=" .. orphan, "/shm_spec_orphan", "/shm_spec_plain" } do prints(nil, "rm", one) end
    holder:remove()
  end)
end)

describe("shm rm --orphans", function()
  it("removes them, in a machine of its own", function()
    if sandbox.missing then return pending(sandbox.missing) end
    local result = sandbox.run("1m", nil, ([[
      local function run(command) assert(os.execute(command)) end
      local lua, tool = %q, %q
      run(lua .. " -lshm -e 'shm.create(77, 100) shm.arena([=[/dead]=], 65536) shm.create([=[/x]=], 9)'")
      run(lua .. " " .. tool .. " rm --orphans")
      run(lua .. " " .. tool .. " rm --orphans")
      run(lua .. " " .. tool .. " ls")]]):format(process.lua, tool))
    assert.equal("", result.err)
    assert.matches("^removed 0x0000004d\nremoved /dead\nNAME OR KEY [^\n]*\n/x [^\n]*\n$", result.out)
  end)
end)

describe("shm read and write", function()
  it("show bytes as hexdump does", function()
    segment:write("hello\0\255", 16)
    local out = prints(nil, "read", name)
    local reference = shell("hexdump -C /dev/shm" .. name).out
    assert.equal(reference:gsub(" +|", " |"), (out:gsub(" +|", " |")))
    prints("00000010  68 65 6c                                          |hel|\n00000013\n", "read", name, "-o", "16",
      "-c", "3")
  end)

  it("pass bytes on as they are, however many", function()
    local big <close> = assert(shm.create("/shm_spec_big", 300000, { owned = true }))
    local bytes = {}
    for i = 1, 75000 do bytes[i] = string.pack("<I4", i * 2654435761 & 0xffffffff) end
    bytes = table.concat(bytes)
    local child = process.start(process.lua, { tool, "write", "/shm_spec_big" })
    local is_written = false
    child.input:write(bytes, function() is_written = true end)
    assert.is_true(process.await(function() return is_written end))
    assert.equal(0, child:wait(), child.err)
    assert.is_true(bytes == big:read())
    assert.is_true(bytes == prints(nil, "read", "/shm_spec_big", "--raw"))
    assert.equal(bytes:sub(11, 30), prints(nil, "read", "/shm_spec_big", "--raw", "-o", "10", "-c", "20"))
  end)

  it("write what fits, or nothing", function()
    prints("", "write", name, "", "--offset", "4096")
    local result = shell(("head -c 4097 /dev/zero | tr '\\0' x | %s %s write %s"):format(process.lua, tool, name))
    assert.equal("shm: 4097 bytes do not fit: there are 4096 from offset 0 on\n", result.err)
    assert.equal(("\0"):rep(4096), segment:read())
    result = shell(("printf 'a\\0b' | %s %s write %s -o 7"):format(process.lua, tool, name))
    assert.same({ 0, "" }, { result.code, result.out .. result.err })
    assert.equal("\0a\0b\0", segment:read(5, 6))
    fails(1, "5 bytes do not fit: there are 0 from offset 9000 on", "write", name, "hello", "--offset", "9000")
  end)

  it("know types", function()
    prints("", "write", name, "--type", "f64", "--offset", "8", "1.5", "0x10", "0.1")
    prints("1.5\n16\n0.10000000000000001\n", "read", name, "--type", "f64", "--offset", "8", "--count", "3")
    prints("", "write", name, "hello")
    prints("104\n101\n", "read", name, "-t", "u8", "-c", "2")
    fails(2, "not within", "read", name, "-t", "f64", "-o", "4090", "-c", "1")
  end)
end)

describe("shm arena, watch and top", function()
  it("show an arena's objects, who holds them, and how fast they are", function()
    local arena <close> = assert(shm.arena("/shm_spec_tool_arena", "1M", { owned = true }))
    local channel, mutex = arena:channel("jobs", "4K"), arena:mutex "turn"
    local worker = process.start(process.lua, { "-e", [[
      local arena = require "shm".arena "/shm_spec_tool_arena"
      local channel, mutex = arena:channel("jobs", "4K"), arena:mutex "turn"
      mutex:lock()
      print "locked"
      io.stdout:flush()
      while channel:receive() do end]] })
    assert.equal("locked", worker:line())
    local timer = uv.new_timer()
    timer:start(0, 10, function() channel:send "job" end)
    local result = run { "arena", "/shm_spec_tool_arena" }
    timer:close()
    assert.equal(0, result.code, result.err)
    assert.matches("^arena /shm_spec_tool_arena: 1.0M, [^\n]*; 2 of 512 objects\n", result.out)
    assert.matches("made by " .. me .. " lua5.4\nopen in 2 processes: ", result.out)
    assert.matches("\nOBJECT +KIND +SIZE +OPEN +FILL +IN/S +OUT/S +STATE\n", result.out)
    local came, went = result.out:match("\njobs +channel +%S+ +2 +%S+ +%d+%% +(%d+) +(%d+)[^\n]*\n")
    assert.is_true(tonumber(came) > 0 and tonumber(went) > 0)
    assert.matches("\nturn +mutex +64 +2 +held by " .. worker.pid .. " lua5.4\n", result.out)
    worker:kill "sigkill"
    worker:wait()
    local still = prints(nil, "arena", "/shm_spec_tool_arena", "-i", "0")
    assert.matches("held by " .. worker.pid .. " %(gone%)", still)
    assert.matches("\njobs +channel +%S+ +1 +%S+ +%d+%%[^%d\n]*\n", still) -- no rates
    local seen = parse(prints(nil, "arena", "/shm_spec_tool_arena", "--json"))
    assert.same({ me }, seen.handles)
    assert.same({ process = worker.pid, part = "holds", count = 1, lives = false }, seen.objects[2].holders[1])
    assert.is_truthy(mutex:lock(1))
    local out = prints(nil, "top")
    assert.matches("^%d+ segments? of %S+, %d+ arenas?", out)
    assert.matches("\nturn +mutex +64 +1 +held by " .. me, out)
  end)

  it("end at once by a signal, whatever they do", function()
    local arena <close> = assert(shm.arena("/shm_spec_tool_arena", "64K", { owned = true }))
    arena:channel("jobs", "4K")
    local child = process.start(process.lua, { tool, "arena", "/shm_spec_tool_arena", "-i", "3600" })
    assert.is_true(process.await(function()
      local maps <close> = assert(io.open(("/proc/%d/maps"):format(child.pid)))
      return maps:read("a"):find("/shm_spec_tool_arena", 1, true) ~= nil
    end))
    child:kill "sigint"
    local _, signal = child:wait()
    assert.same({ 2, "" }, { signal, child.out .. child.err })
  end)

  it("print a look below the other where there is no terminal", function()
    local child = process.start(process.lua, { tool, "watch", name, "-n", "2", "-i", "0.2" })
    assert.matches("^" .. name .. "  4096 bytes  0 changed", child:line())
    segment:write("x", 3)
    assert.equal(0, child:wait(), child.err)
    assert.matches("1 changed", child.out)
    assert.matches("\n00000000  00 00 00 78%*00 ", child.out)
  end)
end)
