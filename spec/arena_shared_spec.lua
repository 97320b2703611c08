-- arena_shared_spec.lua: arenas between processes: opened at once, forked, removed from, two handles in one.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"

local name = "/shm_spec_shared"
local kinds = { mutex = false, rwlock = false, condition = false, semaphore = 2, barrier = 2 }

local raises, refused = outcome.raises, outcome.refused

-- What each method of an object of an arena does, with arguments that it takes; `m` is a locked mutex.
local function methods_of(kind, object, m)
  local calls = ({
    mutex = { lock = {}, trylock = {}, unlock = {}, guard = {}, with = { print } },
    rwlock = { read = {}, write = {} },
    semaphore = { acquire = {}, release = {}, value = {} },
    condition = { wait = { m, 10 }, notify = {}, notify_all = {} },
    barrier = { wait = {}, waiting = {} },
  })[kind]
  return coroutine.wrap(function()
    for method, arguments in pairs(calls) do
      coroutine.yield(method, function() return object[method](object, table.unpack(arguments)) end)
    end
  end)
end

local arena
before_each(function() arena = assert(shm.arena(name, "64K", { owned = true })) end)
after_each(function() arena:close() end)

describe("processes that open an arena at the same moment", function()
  -- Each makes the same objects, counts itself under a mutex, and says how many it sees at last.
  local chunk = [[
    local shm = require "shm"
    local uv = require "luv"
    local start = math.tointeger(io.read "n")
    local names = { "/shm_spec_race", 0x5e600012 }
    for round = 1, 60 do
      for _, name in ipairs(names) do
        while uv.hrtime() // 5000000 < start + round do end
        local a = assert(shm.arena(name, 8192))
        local m, count = assert(a:mutex "m"), assert(a:array("n", "u32", 100))
        assert(m:lock(10))
        count[round] = count[round] + 1
        assert(#a:objects() == 2, "two have made an object of one name")
        m:unlock()
        a:close()
      end
    end]]

  it("get the same one, and the same objects in it", function()
    local uv = require "luv"
    local names = { "/shm_spec_race", 0x5e600012 }
    -- Rounds in which the name does not exist at first, and each process comes when the clock says so.
    local racers = {}
    for i = 1, 3 do racers[i] = process.start(process.lua, { "-e", chunk }) end
    local start = uv.hrtime() // 5000000 + 10
    for _, racer in ipairs(racers) do racer.input:write(start .. "\n") end
    for _, racer in ipairs(racers) do
      assert.equal(0, (racer:wait()), racer.err)
      assert.equal("", racer.err)
    end
    for _, one in ipairs(names) do
      local a <close> = assert(shm.arena(one))
      local count = a:array("n", "u32", 100)
      for round = 1, 60 do assert.equal(3, count[round]) end
      assert.equal(1, a:stat().handles)
      assert.is_true(shm.remove(one))
    end
  end)

  it("get the same one in many rounds in which it is new each time", function()
    local chunk_once = [[
      local shm = require "shm"
      for line in io.lines() do
        local name = tonumber(line) or line
        local a = assert(shm.arena(name, 8192))
        local m, count = assert(a:mutex "m"), assert(a:array("n", "u32", 1))
        local guard = assert(m:guard(10))
        count[1] = count[1] + 1
        guard:unlock()
        a:close()
        print "done"
        io.stdout:flush()
      end]]
    local racers = {}
    for i = 1, 4 do racers[i] = process.start(process.lua, { "-e", chunk_once }) end
    for round = 1, 150 do
      local one = round % 2 == 0 and "/shm_spec_race" or 0x5e600012
      for _, racer in ipairs(racers) do racer.input:write(one .. "\n") end
      for _, racer in ipairs(racers) do assert.equal("done", racer:line(), racer.err) end
      local a <close> = assert(shm.arena(one))
      assert.equal(4, a:array("n", "u32", 1)[1])
      assert.equal(2, #a:objects())
      assert.is_true(shm.remove(one))
    end
    for _, racer in ipairs(racers) do peers.finish(racer) end
  end)

  it("share one that is anonymous, by fork", function()
    local a <close> = assert(shm.arena(nil, "64K"))
    for round = 1, 20 do
      assert.equal(0, lowlevel.child(function()
        local m, count = assert(a:mutex("m" .. round)), assert(a:array("n" .. round, "u32", 1))
        m:lock()
        count[1] = count[1] + round
        return m:unlock()
      end))
      assert.equal(round, a:array("n" .. round, "u32", 1)[1])
      assert.is_true(a:mutex("m" .. round):lock(0))
      a:remove("m" .. round)
      a:remove("n" .. round)
      collectgarbage() -- what this process has open keeps its place
    end
    assert.equal(1, a:stat().handles)
  end)
end)

describe("a forked child", function()
  it("has the arena and its objects, and owns none of the locks", function()
    local m, rw, s = arena:mutex "m", arena:rwlock "rw", arena:semaphore("s", 2)
    local r = arena:rwlock "r"
    local guard, write, read = arena:mutex("g"):guard(), rw:write(), r:read()
    assert(m:lock())
    assert(s:acquire(2, 0))
    local pid = ("%d"):format(require("luv").os_getpid())
    assert.equal(0, lowlevel.child(function()
      for _, one in ipairs { m, arena:mutex "m", arena:mutex "g" } do
        refused("process " .. pid .. " holds it", "ETIMEDOUT", one:lock(0))
        refused("process " .. pid .. " holds it", "EBUSY", one:trylock())
        raises("is not held by this thread: process " .. pid, one.unlock, one)
        assert.is_false(one:ownerdead())
      end
      refused("process " .. pid .. " holds it", "ETIMEDOUT", rw:read(0))
      refused("process " .. pid .. " holds it", "ETIMEDOUT", r:write(0))
      local also = assert(r:read(0))
      assert.is_true(also:unlock())
      raises("has taken 0 permits", s.release, s)
      refused("process " .. pid .. " holds it", "ETIMEDOUT", s:acquire(1, 0))
      raises("has taken 0 permits", s.release, s)
      raises("not held by this thread", function() arena:condition("c"):wait(m, 0) end)
      for _, one in ipairs { guard, write, read } do one:unlock() end
      refused("process " .. pid, "EBUSY", arena:mutex("g"):trylock())
      refused("process " .. pid, "ETIMEDOUT", rw:read(0))
      refused("process " .. pid, "ETIMEDOUT", r:write(0))
      assert.equal(2, arena:stat().handles)
      return true
    end))
    assert.equal(1, arena:stat().handles)
    assert.is_true(m:unlock())
    assert.is_true(s:release(2))
    assert.is_true(guard:unlock() and write:unlock() and read:unlock())
  end)

  it("gives up nothing that the parent holds when it closes, collects or exits", function()
    local held = { arena:mutex("g"):guard(), arena:rwlock("w"):write(), arena:rwlock("r"):read() }
    local m, s = arena:mutex "m", arena:semaphore("s", 2)
    assert(m:lock() and s:acquire(1, 0))
    local endings = {
      close = function() return arena:close() end,
      guards = function() for _, guard in ipairs(held) do guard:unlock() end return true end,
      gc = function()
        local meta = getmetatable(m)
        meta.__gc(m)
        getmetatable(s).__gc(s)
        return getmetatable(arena).__gc(arena)
      end,
      collect = function()
        held, m, s, arena = nil, nil, nil, nil
        collectgarbage()
        return true
      end,
      used = function() return arena:stat().handles == 2 and arena:close() end,
      exit = os.exit,
      exit_closed = function() os.exit(true, true) end,
    }
    for ending, call in pairs(endings) do
      assert.equal(0, lowlevel.child(call), ending)
      local peer = peers.start(name, [[print(select(3, a:mutex("m"):trylock()), select(3, a:mutex("g"):lock(0)),
        select(3, a:rwlock("w"):read(0)), select(3, a:rwlock("r"):write(0)), a:semaphore("s", 2):value())]])
      assert.equal("EBUSY\tETIMEDOUT\tETIMEDOUT\tETIMEDOUT\t1\n", peers.finish(peer), ending)
    end
    assert.is_true(m:unlock() and s:release())
    for _, guard in ipairs(held) do assert.is_true(guard:unlock()) end
  end)

  it("locks at once when the parent has unlocked, and is the owner then", function()
    local m = arena:mutex "m"
    assert(m:lock())
    local peer = peers.waiting(name, [[
      local m, v = a:mutex "m", a:array("v", "u32", 2)
      say "waits" assert(m:lock()) v[1] = 1 say "has it" hear() m:unlock()]])
    assert.is_true(m:unlock())
    assert.equal("has it", peer:line())
    local forked = lowlevel.child(function()
      local seconds, done, _, code = peers.timed(m.lock, m, 0.05)
      return not done and code == "ETIMEDOUT" and seconds < 5
    end)
    assert.equal(0, forked)
    peers.tell(peer)
    peers.finish(peer)
    assert.equal(0, lowlevel.child(function() return m:lock(10) and not m:ownerdead() and m:unlock() end))
    assert.same({ true }, { m:lock(0) })
  end)

  it("does not lose a lock of its own to a guard that it has inherited", function()
    local m, rw = arena:mutex "m", arena:rwlock "rw"
    local guards = { m:guard(), rw:write() }
    for _, guard in ipairs(guards) do guard:unlock() end
    guards = { m:guard(), rw:read() }
    m:unlock()
    assert.equal(0, lowlevel.child(function()
      local mine = assert(m:guard(0))
      local other = assert(rw:read(0))
      for _, guard in ipairs(guards) do guard:unlock() end
      guards = nil
      collectgarbage()
      assert.equal(0, lowlevel.child(function() return select(3, m:trylock()) == "EBUSY" end))
      return mine:unlock() and other:unlock()
    end))
    assert.is_true(guards[2]:unlock())
  end)

  it("does not close what the parent has open: its memory is not given away", function()
    local v, m = arena:array("v", "u32", 16), arena:mutex "m"
    assert.equal(0, lowlevel.child(function()
      getmetatable(m).__gc(m)
      return arena:close()
    end))
    peers.finish(peers.start(name, "for _, n in ipairs { 'v', 'm' } do a:remove(n) a:array('new' .. n, 'u32', 16) end"))
    raises("was removed", function() return v[1] end)
    assert.equal("EIDRM", select(3, m:lock(0)))
  end)

  -- The child kills its parent, so that nobody else has the objects open.
  for looks, code in pairs { ["not looked at"] = "", ["looked at"] = "v[1] = 1" } do
    it("is told EIDRM for good of what it has " .. looks .. ", though others use the memory now", function()
      local peer = peers.start(name, ([[
        local lowlevel, uv = require "lowlevel", require "luv"
        local m, s, rw = a:mutex "m", a:semaphore("s", 2), a:rwlock "rw"
        local v, r = a:array("v", "u32", 4), a:record("r", shm.record("R", { "u32 x" }))
        local c, b = a:condition "c", a:barrier("b", 2)
        local guard, used = m:guard(), a:stat().used
        lowlevel.child(function()
          %s
          local other = assert(shm.arena(%q))
          local before = other:stat().handles
          uv.kill(uv.os_getppid(), "sigkill")
          while other:stat().handles == before do end
          for _, entry in ipairs(other:objects()) do assert(other:remove(entry.name)) end
          assert((other:stat().used < used) == %s, "it is free while it is open, or it is not")
          for i = 1, 20 do other:array("new" .. i, "u32", 16):fill(0xffffffff) end
          local function said(call, ...)
            local results = table.pack(pcall(call, ...))
            say(results[4] or tostring(results[2]):match "was removed" or results[2])
          end
          for _ = 1, 2 do
            said(function() return v[1] end) said(function() v[1] = 5 end)
            said(function() return r.x end) said(function() r.x = 5 end)
            said(s.acquire, s, 1, 0) said(s.value, s) said(rw.read, rw, 0) said(m.lock, m, 0) said(m.unlock, m)
            said(b.wait, b, 0) said(c.notify, c)
            assert(not m:ownerdead())
            guard:unlock()
          end
          for i = 1, 20 do assert(other:array("new" .. i, "u32", 16):min() == 0xffffffff) end
        end)]]):format(code, name, code == ""))
      peer:wait()
      assert.equal("", peer.err)
      local round = ("was removed\n"):rep(4) .. ("EIDRM\n"):rep(7)
      assert.equal(round .. round, peer.out)
    end)
  end
end)

describe("removing", function()
  it("ends an object for all methods, views and records, in this process and in others", function()
    local m = arena:mutex "held"
    assert(m:lock())
    local peer = peers.hold(name, [[
      local v, r, m = a:array("array", "u8", 4), a:record("record", shm.record("R", { "u32 x" })), a:mutex "mutex"
      say "open" hear()
      print(select(3, m:lock()), pcall(function() return v[1] end))
      print(pcall(function() return r.x end))]])
    for kind, count in pairs(kinds) do
      local object = assert(arena[kind](arena, kind, count or nil))
      assert.is_true(arena:remove(kind))
      for method, call in methods_of(kind, object, m) do
        refused("^" .. kind .. ' "' .. kind .. '" of arena "/shm_spec_shared" was removed; open or create it anew$',
          "EIDRM", call())
        assert.is_truthy(method)
      end
      refused(' of arena "/shm_spec_shared" does not exist', "ENOENT", arena:remove(kind))
      assert.are_not.equal(object, (arena[kind](arena, kind, count or nil)))
    end
    local v, records = arena:array("array", "u8", 4), arena:array("rows", shm.record("R", { "u32 x" }), 3)
    local r = arena:record("record", shm.record("R", { "u32 x" }))
    local part, row = v:sub(2, 3), records[2]
    arena:remove "array"
    arena:remove "record"
    arena:remove "rows"
    for _, use in ipairs {
      function() return v[1] end, function() v[1] = 1 end, function() return v:totable() end,
      function() return v:sum() end, function() return v:fetch_add(1, 1) end, function() return part[1] end,
      function() return v:sub(1, 1) end, function() return v:fill(3) end,
      function() return r.x end, function() r.x = 1 end, function() return r:totable() end,
      function() return r:set { x = 1 } end, function() return row.x end, function() return records[1].x end,
      function() return records:totable() end,
    } do
      raises("was removed; open or create it anew", use)
    end
    assert.equal(4, #v)
    peers.tell(peer)
    local out = peers.finish(peer)
    assert.matches("^EIDRM\tfalse\t[^\n]*was removed[^\n]*\nfalse\t[^\n]*was removed", out)
    assert.is_true(m:unlock())
  end)

  it("ends who waits in another process with EIDRM, whatever for", function()
    local waits = {
      mutex = { "assert(a:mutex('m'):lock())", "a:mutex('m'):lock()", "m" },
      guard = { "assert(a:mutex('m'):lock())", "a:mutex('m'):guard()", "m" },
      with = { "assert(a:mutex('m'):lock())", "a:mutex('m'):with(print)", "m" },
      read = { "g = assert(a:rwlock('rw'):write())", "a:rwlock('rw'):read()", "rw" },
      write = { "g = assert(a:rwlock('rw'):read())", "a:rwlock('rw'):write()", "rw" },
      semaphore = { "assert(a:semaphore('s', 1):acquire())", "a:semaphore('s', 1):acquire()", "s" },
      condition = { "", "a:condition('c'):wait(locked())", "c" },
      barrier = { "a:barrier('b', 2)", "a:barrier('b', 2):wait()", "b" },
    }
    local timeouts = { "", "20" }
    for what, wait in pairs(waits) do
      for _, timeout in ipairs(timeouts) do
        local holder = peers.hold(name, wait[1] .. " say 'holds' hear()")
        local call = timeout == "" and wait[2] or wait[2]:gsub("locked%(%)%)$", "locked(), 20)")
          :gsub("acquire%(%)$", "acquire(1, 20)"):gsub("%(%)$", "(20)")
        local waiter = peers.waiting(name, [[
          local function locked() local m = a:mutex "mine" assert(m:lock()) return m end
          local open = ]] .. wait[2]:match "^a:%w+%b()" .. [[
          say "waits" local done, message, code = ]] .. call .. [[ print(done, code)
          if a:mutex("mine"):trylock() then a:mutex("mine"):unlock() end]])
        assert.is_true(arena:remove(wait[3]))
        local seconds = peers.timed(waiter.wait, waiter)
        assert.equal("nil\tEIDRM\n", what == "condition" and waiter.out:gsub("EIDRM.*", "EIDRM\n") or waiter.out,
          what .. waiter.err)
        assert.is_true(seconds < 5, what)
        peers.tell(holder)
        peers.finish(holder)
      end
    end
  end)

  it("leaves the mutex of a condition that is removed locked, and a removed one says so", function()
    local peer = peers.waiting(name, [[
      local m, c = a:mutex "m", a:condition "c"
      assert(m:lock()) say "waits"
      local done, message, code = c:wait(m)
      say(code, message:match "^condition" ~= nil, pcall(m.lock, m))
      hear()
      c = a:condition "c"
      say "waits"
      done, message, code = c:wait(m)
      say(code, message:match "^mutex" ~= nil)]])
    arena:remove "c"
    assert.matches('^EIDRM\ttrue\tfalse\t.*is held by this thread', peer:line())
    peers.tell(peer)
    assert.equal("waits", peer:line())
    peers.sleeps(peer)
    arena:remove "m"
    assert.is_true(process.await(function() arena:condition("c"):notify_all() return peer.out ~= "" end))
    assert.equal("EIDRM\ttrue\n", peers.finish(peer))
  end)

  it("does not give the memory away while a living process has it open", function()
    local size = arena:stat().largest
    local count = size // 2 // 64 * 64
    local v = arena:array("old", "u8", count)
    v:fill(65)
    local peer = peers.hold(name, ("local v = a:array('old', 'u8', %d) say(v[1]) hear()"):format(count))
    assert.equal("65", peer.said)
    assert.is_true(arena:remove "old")
    v = nil -- luacheck: ignore
    collectgarbage()
    local used = arena:stat().used
    local new = assert(arena:array("new", "u8", count))
    new:fill(66)
    refused("the largest free extent of the arena is", "ENOSPC", arena:array("third", "u8",
      count)) -- the old memory is still there
    local bytes <close> = assert(shm.attach(name))
    local all = bytes:read()
    assert.is_truthy(all:find(("A"):rep(count), 1, true)) -- not touched
    assert.is_truthy(all:find(("B"):rep(count), 1, true))
    peers.tell(peer)
    peers.finish(peer)
    assert.equal(used, arena:stat().used)
    assert(arena:array("third", "u8", count)):fill(67)
    all = bytes:read()
    assert.is_nil(all:find(("A"):rep(64), 1, true))
    assert.is_truthy(all:find(("C"):rep(count), 1, true))
  end)

  it("does not give the memory away while one of two views of it in a process is open", function()
    local v, w = arena:array("v", "u32", 16), arena:array("v", "u32", 16)
    w[1] = 7
    assert.equal(7, v[1])
    w = nil -- luacheck: ignore
    collectgarbage()
    arena:remove "v"
    for i = 1, 3 do arena:array("new" .. i, "u32", 16):fill(5) end
    raises("was removed", function() return v[1] end)
  end)

  it("does not give the place in the directory away, either, and says so", function()
    local peer = peers.hold(name, "local all = {} for i = 1, 20 do all[i] = a:mutex('m' .. i) end say 'open' hear()")
    for i = 1, 20 do assert.is_true(arena:remove("m" .. i)) end
    for i = 1, 12 do assert(arena:mutex("n" .. i)) end
    refused('^arena "/shm_spec_shared" has all 32 of its objects, of which 20 were removed and are still open; '
      .. "close those$", "ENOSPC", arena:mutex "more")
    assert.equal(12, arena:stat().objects)
    peers.tell(peer)
    peers.finish(peer)
    assert(arena:mutex "more")
  end)

  it("gives the memory to others when who had it is killed, also as a zombie", function()
    local count = arena:stat().largest // 64 * 64
    for _ = 1, 3 do
      local peer = peers.hold(name, ("local v = a:array('old', 'u8', %d) say 'open' hear()"):format(count))
      assert.is_true(arena:remove "old")
      refused("the largest free extent of the arena is", "ENOSPC", arena:array("new", "u8", count))
      peers.kill(peer)
      local v = assert(arena:array("new", "u8", count))
      assert.equal(0, v:max())
      v:fill(1)
      assert.is_true(arena:remove "new")
      v = nil -- luacheck: ignore
      collectgarbage()
    end
  end)
end)
