-- dict_snapshot_spec.lua: a dict as a file: what is in it, what is restored, what the file system refuses.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local uv = require "luv"

local name = "/shm_spec_dict"

local arena, d
before_each(function()
  arena = assert(shm.arena(name, "4M", { owned = true }))
  d = assert(arena:dict("d", "1M"))
end)
after_each(function() arena:close() end)

local function returns(expected, ...)
  assert.same(expected, table.pack(...))
end

local raises = outcome.raises

describe("a snapshot", function()
  local directory
  setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
  teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

  local function names()
    local all = {}
    for entry in uv.fs_scandir_next, assert(uv.fs_scandir(directory)) do all[#all + 1] = entry end
    table.sort(all)
    return all
  end

  local function run(command, ...) assert.same({ 0, "" }, { process.run(command, { ... }).code, "" }, command) end

  local function write(path, text)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(text))
  end

  local function read(path)
    local file <close> = assert(io.open(path, "rb"))
    return file:read "a"
  end

  -- How many entries a file restores.
  local function restored(path)
    arena:remove "restored"
    return (assert(arena:dict("restored", "1M"):restore(path)))
  end

  local function fill()
    d:set_all { a = 1, b = 2.5, c = true, d = { 1, { x = "y" } }, e = ("e"):rep(9000), [-5] = "n", [7] = false }
    d:set("f", "flags", 1000, 77)
    d:set("\0\255", "")
    for i = 1, 20 do d:rpush("list", { i }) end
    d:expire("list", 500)
    for i = 1, 300 do d:set("many" .. i, ("v"):rep(i)) end
    d:set("gone", 1, 0.001)
    process.await(function() return d:get "gone" == nil end)
  end

  local function all(dict)
    local result = {}
    for key, value in pairs(dict) do result[key] = value end
    return result
  end

  it("is restored as it was, with flags and times to live", function()
    local path = directory .. "/one"
    fill()
    returns({ 310, n = 1 }, d:snapshot(path))
    assert.equal(tonumber("600", 8), uv.fs_stat(path).mode % 512)
    local other = arena:dict("other", "512K")
    other:set("a", "old")
    other:set("stays", 1)
    other:set("list", "a value")
    returns({ 310, nil, false, n = 3 }, other:restore(path))
    local expected = all(d)
    expected.stays = 1
    assert.same(expected, all(other))
    returns({ "flags", 77, n = 2 }, other:get "f")
    for key, ttl in pairs { f = 1000, list = 500 } do
      assert.is_true(other:ttl(key) > ttl / 2 and other:ttl(key) <= ttl)
    end
    assert.equal(0.0, other:ttl "a")
    assert.equal(20, other:llen "list")
    returns({ 310, n = 1 }, d:snapshot(path)) -- over the old one
    assert.same({ "one" }, names())
  end)

  it("replaces regular files only", function()
    d:set("k", 1)
    local place = directory .. "/kinds"
    assert(uv.fs_mkdir(place, 448))
    run("mkfifo", place .. "/fifo")
    local kinds = { [place] = { "a directory", "EISDIR" }, [place .. "/fifo"] = { "a FIFO", "ENODEV" } }
    -- A device of our own: a snapshot that went wrong would replace the machine's.
    if uv.getuid() == 0 and process.run("mknod", { "-m", "666", place .. "/null", "c", "1", "3" }).code == 0 then
      kinds[place .. "/null"] = { "a device", "ENODEV" }
    end
    local before = names()
    for path, expected in pairs(kinds) do
      for _, through in ipairs { path, directory .. "/link" } do
        if through ~= path then assert(uv.fs_symlink(path, through)) end
        for _, call in ipairs { "snapshot", "restore" } do -- neither waits for the other end of a FIFO
          outcome.refused(('^snapshot "%s": there is %s, and no regular file; give another path$')
            :format(through, expected[1]), expected[2], d[call](d, through))
        end
        if through ~= path then assert(uv.fs_unlink(through)) end
      end
    end
    assert.same(before, names())
    assert.equal("fifo", uv.fs_stat(place .. "/fifo").type)
  end)

  it("follows symbolic links, which stay", function()
    local place = directory .. "/links"
    assert(uv.fs_mkdir(place, 448))
    assert(uv.fs_mkdir(place .. "/below", 448))
    d:set("k", 1)
    write(place .. "/below/real", "old")
    for link, to in pairs { relative = "below/real", absolute = place .. "/below/real", chain = "below/up",
      dangling = "below/new", ["below/up"] = "../relative", loop = "loop" } do
      assert(uv.fs_symlink(to, place .. "/" .. link))
    end
    for _, link in ipairs { "relative", "absolute", "chain", "below/up", "dangling" } do
      assert.equal(1, d:snapshot(place .. "/" .. link), link)
      assert.equal("link", uv.fs_lstat(place .. "/" .. link).type)
      assert.equal(1, restored(place .. "/" .. link))
      if link ~= "dangling" then write(place .. "/below/real", "old") end
    end
    assert.equal("file", uv.fs_lstat(place .. "/below/new").type)
    outcome.refused("Too many levels of symbolic links", "ELOOP", d:snapshot(place .. "/loop"))
    outcome.refused("is in the way, and is no regular file; remove it", "ENODEV", (function()
      assert(uv.fs_symlink("below/real", place .. "/s.tmp"))
      return d:snapshot(place .. "/s")
    end)())
    assert.equal("old", read(place .. "/below/real"))
    assert.is_nil(uv.fs_lstat(place .. "/s"))
  end)

  it("leaves the mode and the owner of what it replaces", function()
    local path = directory .. "/mode"
    d:set("k", 1)
    d:snapshot(path)
    assert.equal(tonumber("600", 8), uv.fs_stat(path).mode % 512)
    assert(uv.fs_chmod(path, tonumber("640", 8)))
    local root = uv.getuid() == 0
    if root then assert(uv.fs_chown(path, 65534, 65534)) end
    local before = uv.fs_stat(path)
    assert.equal(1, d:snapshot(path))
    local after = uv.fs_stat(path)
    assert.same({ before.mode, before.uid, before.gid }, { after.mode, after.uid, after.gid })
    assert.is_true(before.ino ~= after.ino)
  end)

  it("takes the place of what a killed one has left, and of nothing else", function()
    local place = directory .. "/left"
    assert(uv.fs_mkdir(place, 448))
    d:set("k", 1)
    write(place .. "/s.tmp", ("left"):rep(10000))
    assert(uv.fs_link(place .. "/s.tmp", place .. "/other")) -- which has another name, too
    assert.equal(1, d:snapshot(place .. "/s"))
    assert.equal(1, restored(place .. "/s"))
    assert.equal(("left"):rep(10000), read(place .. "/other"))
    assert.is_nil(uv.fs_stat(place .. "/s.tmp"))
    assert(uv.fs_mkdir(place .. "/s.tmp", 448))
    outcome.refused('/s.tmp" is in the way, and is no regular file; remove it$', "EISDIR", d:snapshot(place .. "/s"))
    assert.equal(1, restored(place .. "/s"))
  end)

  it("of a process that is killed leaves one file at most, which the next snapshot removes", function()
    local path = directory .. "/killed"
    for i = 1, 20000 do d:set(i, ("x"):rep(20)) end
    local count = #d:get_keys(0)
    assert.equal(count, d:snapshot(path))
    for _ = 1, 10 do
      local writer = peers.hold(name, ([[
        local d = a:dict("d", "1M")
        say "writes"
        while true do assert(d:snapshot(%q)) end]]):format(path))
      assert.is_true(process.await(function() return uv.fs_stat(path .. ".tmp") ~= nil end))
      peers.kill(writer)
      assert.equal(count, restored(path))
    end
    local mine = {}
    for _, entry in ipairs(names()) do if entry:find "^killed" then mine[#mine + 1] = entry end end
    assert.is_true(#mine <= 2, table.concat(mine, " "))
    assert.equal(count, d:snapshot(path))
    assert.is_nil(uv.fs_stat(path .. ".tmp"))
  end)

  it("is not written by two at once", function()
    local path = directory .. "/both"
    d:set("k", 1)
    local holder = process.start("flock", { path .. ".tmp", "sh", "-c", "echo locked; read line" })
    assert.equal("locked", holder:line())
    outcome.refused('^snapshot "' .. path .. '" is being written already, as ".*both.tmp"; try again later$',
      "EBUSY", d:snapshot(path))
    peers.tell(holder)
    peers.finish(holder)
    assert.equal(1, d:snapshot(path))
    local writers = {}
    for i = 1, 4 do
      writers[i] = peers.start(name, ([[
        local d, done = assert(a:dict("many%d", "128K")), 0
        for i = 1, 100 * %d do d:set(i, ("%d"):rep(i %% 50)) end
        repeat
          local count, message, code = d:snapshot(%q)
          assert(count == 100 * %d or code == "EBUSY", message)
          if count then done = done + 1 end
        until done == 10]]):format(i, i, i, path, i))
    end
    for _ = 1, 100 do
      local count = restored(path)
      assert.is_true(count == 1 or count % 100 == 0 and count <= 400)
    end
    for i = 1, 4 do peers.finish(writers[i]) end
    assert.is_true(restored(path) % 100 == 0)
  end)

  -- The old file stays, the process lives, and nothing is left.
  local refusing = [[
    local shm = require "shm"
    local path, a = PATH, assert(shm.arena(ARENA))
    local d = a:dict("d", "1M")
    d:flush_all()
    d:set("k", 1)
    print(d:snapshot(path))
    for i = 1, 3000 do d:set(i, ("v"):rep(80)) end
    print(select(2, d:snapshot(path)))
    print((io.open(path .. ".tmp")))
    print(a:dict("other", "64K"):restore(path))]]

  local function refuses(path, which) return (refusing:gsub("PATH", ("%q"):format(path)):gsub("ARENA", which)) end

  it("that is larger than a file may be is EFBIG, in shmlua, too", function()
    for i, program in ipairs { process.lua, process.build .. "/shmlua" } do
      local path = directory .. "/large" .. i
      local result = process.run("sh", { "-c", "ulimit -f 64; exec \"$0\" -e \"$1\"", program,
        refuses(path, ("%q"):format(name)) })
      local fact = '" is larger than a file may be (ulimit -f, or its file system)\tEFBIG\n'
      assert.equal('1\nsnapshot "' .. path .. fact .. "nil\n1\tnil\tfalse\n", result.out, result.err)
      assert.equal(0, result.code)
    end
  end)

  it("for which there is no room is ENOSPC; in a folder that is read-only, EROFS", function()
    if sandbox.missing then return pending(sandbox.missing) end
    local result = sandbox.run("64k", nil, refuses("/dev/shm/s", [[nil, "2M"]]))
    assert.equal('1\nsnapshot "/dev/shm/s": No space left on device\tENOSPC\nnil\n1\tnil\tfalse\n', result.out,
      result.err)
    result = sandbox.run("64k", "mount -o remount,ro /dev/shm", [[
      local shm = require "shm"
      print(select(2, assert(shm.arena(nil, "1M")):dict("d", "512K"):snapshot "/dev/shm/s"))]])
    assert.equal('snapshot "/dev/shm/s": "/dev/shm/s.tmp" cannot be made: Read-only file system\tEROFS\n', result.out,
      result.err)
  end)

  it("is written whole, or not at all", function()
    local none, message, code = d:snapshot(directory .. "/no/such")
    assert.same({ nil, "ENOENT" }, { none, code })
    assert.matches('^snapshot ".*/no/such": ".*/no/such.tmp" cannot be made: No such file or directory$', message)
    assert.equal("ENOTDIR", select(3, d:snapshot "/dev/null/x"))
    for _, entry in ipairs(names()) do assert.is_nil(entry:find "tmp") end -- nothing is left of those
    raises("string expected", d.snapshot, d)
    raises("path", d.restore, d, "a\0b")
  end)

  it("that is damaged anywhere restores nothing", function()
    local path = directory .. "/whole"
    d:set_all { a = 1, b = { 2 }, [3] = "three" }
    d:rpush("list", "x")
    d:snapshot(path)
    local file <close> = assert(io.open(path, "rb"))
    local bytes = file:read "a"
    local empty = arena:dict("empty", "64K")
    local function restore(text)
      local copy <close> = assert(io.open(directory .. "/copy", "wb"))
      copy:write(text)
      copy:flush()
      return empty:restore(directory .. "/copy")
    end
    for length = 0, #bytes - 1 do
      local none, message, code = restore(bytes:sub(1, length))
      assert.same({ nil, "EBADMSG" }, { none, code }, length)
      assert.matches("is no snapshot of a dict$", message .. (message:match "damaged at byte %d+, or was cut off there$"
        and " is no snapshot of a dict" or ""))
    end
    for at = 1, #bytes do
      for _, change in ipairs { 1, 0x80 } do
        local other = string.char(bytes:byte(at) ~ change)
        local none, _, code = restore(bytes:sub(1, at - 1) .. other .. bytes:sub(at + 1))
        assert.is_nil(none, at)
        assert.is_truthy(code == "EBADMSG" or code == "EPROTONOSUPPORT" or code == "EMSGSIZE", code)
      end
    end
    assert.is_nil((restore(bytes .. "x")))
    assert.same({}, all(empty))
    assert.equal(4, (restore(bytes)))
    assert.same({ "ENOENT", "EISDIR" }, { select(3, d:restore(directory .. "/none")), select(3, d:restore "/tmp") })
  end)

  it("of larger values is refused by a smaller dict, before anything is stored", function()
    local path = directory .. "/large"
    d:set_all { small = 1, large = ("x"):rep(100000) }
    d:snapshot(path)
    local small = arena:dict("small", "64K")
    local none, message, code = small:restore(path)
    assert.same({ nil, "EMSGSIZE" }, { none, code })
    assert.matches('has an entry, up to byte %d+, that is too large for dict "small"', message)
    assert.same({}, all(small))
  end)
end)
