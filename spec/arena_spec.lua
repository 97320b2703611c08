-- arena_spec.lua: arenas: opening by several at once, objects by name, removal, space, what is refused.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local uv = require "luv"

local name, key = "/shm_spec_arena", 0x5e600010
local max, min = math.maxinteger, math.mininteger

local raises, refused = outcome.raises, outcome.refused

-- An arena in this process only, of 64 KiB unless it is said.
local function anonymous(size) return assert(shm.arena(nil, size or "64K")) end

local function named(size) return assert(shm.arena(name, size or "64K", { owned = true })) end

describe("an arena", function()
  it("is made, found, and found again without its size", function()
    for _, one in ipairs { name, key } do
      refused("^arena .* does not exist; create it first$", "ENOENT", shm.arena(one))
      local first <close> = assert(shm.arena(one, 65536, { owned = true }))
      local second <close> = assert(shm.arena(one, "64K"))
      local third <close> = assert(shm.arena(one))
      local v = first:array("v", "i32", 10)
      v[3] = 7
      assert.equal(7, second:array("v", "i32", 10)[3])
      assert.equal(7, third:array("v", "i32", 10)[3])
      assert.equal(3, third:stat().handles)
      second:close()
      assert.equal(2, third:stat().handles)
    end
  end)

  it("of System V is found by its identifier, private ones too", function()
    local a <close> = assert(shm.arena(shm.PRIVATE, 8192, { owned = true }))
    local id = a:stat().id
    local other <close> = assert(shm.arena { id = id })
    local sized <close> = assert(shm.arena({ id = id }, 8192))
    other:array("v", "u8", 1)[1] = 5
    assert.equal(5, sized:array("v", "u8", 1)[1])
    local posix <close> = named()
    assert.is_nil(posix:stat().id)
    refused("^arena id 2147483647 does not exist", "ENOENT", shm.arena { id = 0x7fffffff })
  end)

  it("says what it is", function()
    local posix <close> = named()
    local sysv <close> = assert(shm.arena(key, 8192, { owned = true }))
    local a = anonymous()
    assert.equal('arena "/shm_spec_arena" (65536 bytes)', tostring(posix))
    assert.equal("arena 0x5e600010 (8192 bytes)", tostring(sysv))
    assert.equal("anonymous arena (65536 bytes)", tostring(a))
    a:close()
    assert.equal("anonymous arena (closed)", tostring(a))
  end)

  it("keeps its name when it is closed, unless it is owned", function()
    assert(shm.arena(name, 8192)):close()
    assert(shm.arena(name)):close()
    assert.is_true(shm.remove(name))
    named():close()
    refused("does not exist", "ENOENT", shm.arena(name))
  end)

  it("gives back what was asked for: the same userdata for a lock, all zero for memory", function()
    local a <close> = anonymous()
    for kind, count in pairs { mutex = false, rwlock = false, condition = false, semaphore = 3, barrier = 2 } do
      local object = assert(a[kind](a, kind, count or nil))
      assert.equal(object, (a[kind](a, kind, count or nil)))
      assert.equal(kind .. ' "' .. kind .. '" of anonymous arena', tostring(object))
    end
    assert.same({ 0, 0, 0 }, a:array("v", "f64", 3):totable())
    a:array("v", "f64", 3)[1] = 1.5
    assert.equal(1.5, a:array("v", "f64", 3)[1])
  end)

  it("keeps an object in memory without anybody having it open", function()
    local a <close> = anonymous()
    a:array("v", "u8", 1)[1] = 9
    collectgarbage()
    assert.equal(9, a:array("v", "u8", 1)[1])
  end)

  it("has the name of an object in any bytes but NUL, 1 to 63 of them", function()
    local a <close> = anonymous()
    for _, good in ipairs { "x", ("n"):rep(63), "a b/c\n", "\255\1", "Ä" } do
      assert(a:mutex(good))
      assert.equal(good, a:objects()[1].name)
      assert.is_true(a:remove(good))
    end
    for _, method in ipairs { "mutex", "rwlock", "condition" } do
      raises("1 to 63 bytes", a[method], a, "")
      raises("1 to 63 bytes", a[method], a, ("n"):rep(64))
      raises("NUL inside", a[method], a, "a\0b")
      for _, bad in ipairs { {}, true, print, io.stdout, a } do raises("string expected", a[method], a, bad) end
      raises("string expected, got no value", a[method], a)
    end
    for method, arguments in pairs { semaphore = { 1 }, barrier = { 1 }, array = { "u8", 1 } } do
      raises("1 to 63 bytes", a[method], a, "", table.unpack(arguments))
      raises("1 to 63 bytes", a[method], a, ("n"):rep(64), table.unpack(arguments))
      raises("string expected, got nil", a[method], a, nil, table.unpack(arguments))
    end
    raises("NUL inside", a.remove, a, "a\0b")
    refused('^object "" of anonymous arena does not exist', "ENOENT", a:remove(""))
    refused('^object "n*" of anonymous arena does not exist', "ENOENT", a:remove(("n"):rep(1000)))
    assert.same({}, a:objects())
  end)

  it("lists its objects in the order of their places, which are used anew", function()
    local a <close> = anonymous "1M"
    a:mutex "m"
    a:rwlock "r"
    a:semaphore("s", 32767)
    a:condition "c"
    a:barrier("b", 3)
    a:array("v", "i16", 5)
    a:record("l", shm.record("Two", { "u32 x", "f64 y" }))
    a:array("ls", shm.record("Two", { "u32 x", "f64 y" }), 5)
    local list = {}
    for i, entry in ipairs(a:objects()) do
      list[i] = ("%s %s %d"):format(entry.name, entry.kind, entry.count)
      assert.is_true(entry.size > 0 and entry.size % 64 == 0)
    end
    assert.same({ "m mutex 1", "r rwlock 1", "s semaphore 32767", "c condition 1", "b barrier 3", "v array 5",
      "l record 1", "ls record 5" }, list)
    a:remove "r"
    collectgarbage()
    a:mutex "new"
    assert.equal("new", a:objects()[2].name)
  end)
end)

describe("an object of another kind, count, type or layout", function()
  it("is refused under the same name, also while it is open", function()
    local a <close> = anonymous()
    local Point = shm.record("Point", { "f32 x", "f32 y" })
    local makers = {
      mutex = function(n) return a:mutex(n) end, rwlock = function(n) return a:rwlock(n) end,
      condition = function(n) return a:condition(n) end,
      semaphore = function(n) return a:semaphore(n, 2) end, fewer = function(n) return a:semaphore(n, 1) end,
      barrier = function(n) return a:barrier(n, 2) end, more = function(n) return a:barrier(n, 3) end,
      u8 = function(n) return a:array(n, "u8", 64) end, i8 = function(n) return a:array(n, "i8", 64) end,
      u64 = function(n) return a:array(n, "u64", 8) end, f64 = function(n) return a:array(n, "f64", 8) end,
      shorter = function(n) return a:array(n, "u8", 63) end,
      record = function(n) return a:record(n, Point) end, records = function(n) return a:array(n, Point, 8) end,
    }
    for made, make in pairs(makers) do
      local keep = assert(make(made))
      for asked, ask in pairs(makers) do
        if asked == made then
          assert.is_truthy(ask(made))
        else
          refused('"' .. made .. '" [ih]', "EPROTOTYPE", ask(made)) -- is ..., has ...
        end
      end
      assert.is_truthy(tostring(keep))
    end
    -- a record is an array of one of them
    assert.is_truthy(a:array("record", Point, 1))
  end)

  it("is refused where a field has another name, place or type, in this and another process", function()
    local a <close> = named()
    local r = a:record("r", shm.record("Field", { "u32 id", "f32 price", "char text[8]" }))
    r:set { id = 7, price = 0.5, text = "seven" }
    for _, fields in ipairs {
      { "u32 ID", "f32 price", "char text[8]" }, { "i32 id", "f32 price", "char text[8]" },
      { "f32 price", "u32 id", "char text[8]" }, { "u32 id", "f32 price", "char text[7]" },
      { "u32 id", "f32 price", "u8 text[8]" }, { "u32 id", "f32 price" },
    } do
      refused('^record "r" has another layout: names, types', "EPROTOTYPE",
        a:record("r", shm.record("Field", fields)))
    end
    -- the name of a layout does not count
    assert.equal("seven", a:record("r", shm.record("Other", { "u32 id", "f32 price", "char text[8]" })).text)
    local peer = peers.start(name, [[
      local good, bad = { "u32 id", "f32 price", "char text[8]" }, { "u32 id", "f32 price_", "char text[8]" }
      local r = assert(a:record("r", shm.record("Mine", good)))
      print(r.id, r.price, r.text, select(3, a:record("r", shm.record("Mine", bad))))
      r.id = 8]])
    assert.equal("7\t0.5\tseven\tEPROTOTYPE\n", peers.finish(peer))
    assert.equal(8, r.id)
  end)

  it("is refused where a layout inside it is another", function()
    local a <close> = anonymous()
    local function outer(inner)
      shm.record("Inner", inner)
      return shm.record("Outer", { "u32 id", "Inner one[2]" })
    end
    assert(a:array("r", outer { "u16 x", "u16 y" }, 2))
    assert(a:array("r", outer { "u16 x", "u16 y" }, 2))
    refused("has another layout", "EPROTOTYPE", a:array("r", outer { "u16 x", "u16 z" }, 2))
    refused("has another layout", "EPROTOTYPE", a:array("r", outer { "u32 x" }, 2))
  end)
end)

describe("space", function()
  it("is told by ENOSPC to the byte: so large an array fits, and then none", function()
    for _, size in ipairs { 8192, 8193, 65536, 100001, 1 << 20 } do
      local a <close> = anonymous(size)
      a:mutex "m"
      a:array("v", "u8", 1000)
      local none, message, code = a:array("x", "u8", size)
      assert.is_nil(none)
      assert.equal("ENOSPC", code)
      local largest = math.tointeger(tonumber(message:match("^array \"x\" needs " .. size ..
        " bytes; the largest free extent of the arena is (%d+)$")))
      assert.equal(largest, a:stat().largest)
      refused("needs " .. largest + 1 .. " bytes", "ENOSPC", a:array("x", "u8", largest + 1))
      local v = assert(a:array("x", "u8", largest))
      v:fill(255)
      assert.equal(0, a:stat().largest)
      refused("the largest free extent of the arena is 0$", "ENOSPC", a:mutex "more")
      assert.is_true(a:mutex("m"):lock())
      assert.equal(0, a:array("v", "u8", 1000):max())
    end
  end)

  it("is used and free, together what there is", function()
    local a <close> = anonymous(1 << 20)
    local empty = a:stat()
    assert.equal(1 << 20, empty.size)
    assert.equal(512, empty.max_objects)
    assert.equal(512, empty.max_handles)
    assert.equal(0, empty.objects)
    assert.equal(1, empty.handles)
    assert.equal(empty.size, empty.used + empty.largest)
    local used = empty.used
    for i = 1, 40 do
      local before = a:stat()
      assert(a:array("a" .. i, "u8", i * 100))
      local after = a:stat()
      local bytes = (i * 100 + 63) // 64 * 64
      used = used + bytes
      assert.equal(before.used + bytes, after.used)
      assert.equal(used, after.used)
      assert.equal(after.size, after.used + after.largest) -- first fit leaves it in one
      assert.equal(i, after.objects)
    end
    for i = 2, 40, 2 do
      a:remove("a" .. i)
      collectgarbage()
      used = used - (i * 100 + 63) // 64 * 64
      assert.equal(used, a:stat().used)
    end
    assert.equal(20, a:stat().objects)
    for i = 1, 39, 2 do a:remove("a" .. i) end
    collectgarbage()
    assert.same(empty, a:stat())
  end)

  it("has limits of objects: 16 in 8 KiB, 1024 in much", function()
    for size, most in pairs { [8192] = 16, [65536] = 32, [8 << 20] = 1024 } do
      local a <close> = anonymous(size)
      assert.equal(most, a:stat().max_objects)
      for i = 1, most do assert(a:condition("c" .. i)) end
      refused("^anonymous arena has all " .. most .. " of its objects; remove one"
        .. (most < 1024 and ", or make a larger arena$" or "$"), "ENOSPC", a:condition "one more")
      assert.equal(most, #a:objects())
      assert.is_true(a:remove "c7")
      assert(a:condition "one more")
    end
  end)

  it("of an object that is removed and made anew a thousand times is there each time", function()
    local a <close> = anonymous()
    local count = (a:stat().largest // 3) // 64 * 8
    for i = 1, 1000 do
      local v = assert(a:array("third", "f64", count))
      assert.equal(0, v[1] + v[count])
      v[1], v[count] = i, i
      assert.is_true(a:remove "third")
      raises("was removed", function() return v[1] end)
    end
  end)

  it("is refused for what never fits, without harm", function()
    local a <close> = anonymous()
    for _, count in ipairs { max, max // 8, max // 8 + 1, 1 << 61, 1 << 62, 1 << 32 } do
      refused("^array .* needs .*the largest free extent", "ENOSPC", a:array("x", "f64", count))
      refused("^record .* needs .*the largest free extent", "ENOSPC", a:array("x", shm.record("Big", { "u8 b[1000]" }),
        count))
    end
    for _, count in ipairs { 0, -1, min } do
      raises("an array has at least 1 element", a.array, a, "x", "f64", count)
      raises("an array has at least 1 element", a.array, a, "x", shm.record("One", { "u8 b" }), count)
    end
    assert.same({}, a:objects())
  end)
end)

describe("opening", function()
  it("refuses what is no arena, of another size, or of another version", function()
    for _, one in ipairs { name, key } do
      for bytes, size in pairs { ["hello"] = 8192, [("\0"):rep(300) .. "x"] = 65536, ["\0\0\0\0\0\0\0\0\1"] = 8192 } do
        local segment <close> = assert(shm.create(one, size,
          { owned = true })):write(bytes)
        refused("^segment .* of " .. size .. " bytes is no arena; choose another name, or remove it first$",
          "EPROTOTYPE", shm.arena(one))
        refused("is no arena", "EPROTOTYPE", shm.arena(one, size))
        assert.equal(bytes .. ("\0"):rep(size - #bytes), segment:read())
      end
      local segment <close> = assert(shm.create(one, 4096, { owned = true }))
      refused("of 4096 bytes is no arena", "EPROTOTYPE", shm.arena(one))
      refused("of 4096 bytes is no arena", "ERANGE", shm.arena(one, 8192))
      segment:close()
      local a <close> = assert(shm.arena(one, 16384, { owned = true }))
      for _, size in ipairs { 8192, 16383, 16385, 32768 } do
        refused("^arena .* has 16384 bytes, " .. size .. " were asked for; leave the size out to take it as it is$",
          "ERANGE", shm.arena(one, size))
      end
      local bytes <close> = assert(shm.attach(one))
      local version = bytes:view("u32", 8, 1)
      version[1] = 1
        version[1] = 1
      local written = one == name and name or "0x5e600010"
      refused("^arena .* has format 1 %(shm 0.1%), this is format 2; stop its processes, then shm rm " .. written
        .. "$",
        "EPROTONOSUPPORT", shm.arena(one))
      refused("has format 1", "EPROTONOSUPPORT", shm.arena(one, 8192)) -- of another size, too
      version[1] = 3
      refused("has format 3 %(a later shm%)", "EPROTONOSUPPORT", shm.arena(one))
      version[1] = 2
      local size = bytes:view("u64", 16, 1)
      size[1] = 16385
      refused("was made with 16385 bytes and has 16384: another program", "ERANGE", shm.arena(one))
      size[1] = 16384
      for offset = 24, 32, 8 do -- the inodes of the namespaces
        local namespace = bytes:view("u64", offset, 1)
        namespace[1] = namespace[1] + 1
        refused("another PID or time namespace", "EXDEV", shm.arena(one))
        namespace[1] = namespace[1] - 1
      end
      bytes:view("u64", 0, 1)[1] = 1
      refused("is no arena", "EPROTOTYPE", shm.arena(one))
      assert.is_true(a:close())
    end
  end)

  it("makes an arena of a segment that is zero, as one whose maker was killed", function()
    local segment <close> = assert(shm.create(name, 8192, { owned = true }))
    local a <close> = assert(shm.arena(name))
    assert(a:mutex "m")
    assert.matches("^hmxarena", segment:read(8))
  end)

  it("refuses another PID namespace", function()
    local flags = uv.getuid() == 0 and "-pf" or "-rpf"
    if process.run("unshare", { flags, "true" }).code ~= 0 then return pending "unshare(2) is not permitted here" end
    local a <close> = named()
    local script = ([[print(select(3, require("shm").arena(%q)))]]):format(name)
    local run = process.run("unshare", { flags, "--mount-proc", process.lua, "-e", script })
    assert.equal("EXDEV\n", run.out, run.err)
    assert.equal(1, a:stat().handles)
  end)

  it("has as many handles as there are places, which collection, and death, give back", function()
    local a <close> = named(8192)
    assert.equal(128, a:stat().max_handles)
    local handles = {}
    for i = 2, 128 do handles[i] = assert(shm.arena(name)) end
    refused("is open as often as it has places for, 128 times; close it elsewhere", "EUSERS", shm.arena(name))
    assert.equal(128, a:stat().handles)
    handles[60] = nil
    assert(shm.arena(name)):close() -- what is garbage does not count
    for i = 2, 128 do
      if handles[i] then handles[i]:close() end
    end
    assert.equal(1, a:stat().handles)
    for _ = 1, 1000 do assert(shm.arena(name)) end
    collectgarbage()
    local peer = peers.hold(name, ([[
      local all = {}
      for i = 1, 126 do all[i] = shm.arena(%q) end
      say(a:stat().handles) hear()]]):format(name))
    assert.equal("128", peer.said)
    peers.kill(peer)
    assert.equal(1, a:stat().handles)
  end)

  it("leaves nothing where it fails", function()
    local before = #shm.list()
    raises("at least 8192 bytes", shm.arena, name, 8191)
    raises("at least 8192 bytes", shm.arena, name, "7K")
    raises("at least 1 byte", shm.arena, name, 0)
    raises("is negative", shm.arena, name, -1)
    raises("not bytes, or a number with", shm.arena, name, "8 K")
    raises("not a whole number", shm.arena, name, 8192.5)
    raises("size %(bytes", shm.arena, name, {})
    raises("a size is needed", shm.arena, nil)
    raises("a size is needed", shm.arena, shm.PRIVATE)
    raises("an arena cannot be readonly", shm.arena, name, 8192, { readonly = true })
    raises("unknown option 'size'", shm.arena, name, 8192, { size = 3 })
    raises("table of options expected", shm.arena, name, 8192, 3)
    raises("name", shm.arena, "no slash", 8192)
    raises("name %(a key", shm.arena, true, 8192)
    assert.equal("8192", tostring(anonymous("8K")):match "%d+")
    assert.equal(before, #shm.list())
  end)
end)
