-- tool_terminal_spec.lua: the tool `shm` on a terminal, which script(1) makes: colour, keys, watch, top.
local shm = require "shm"
local process = require "spec.support.process"
local terminal = require "spec.support.terminal"
local uv = require "luv"

local tool = process.lua .. " " .. uv.cwd() .. "/scripts/shm "
local name = "/shm_spec_terminal"

local ENTER, LEAVE = "\27[?1049h\27[?25l", "\27[?25h\27[?1049l"

local start, await, plain = terminal.start, terminal.await, terminal.plain

local function run(command, options) return terminal.finish(start(command, options)) end

-- What was drawn last, without colour.
local function screen_of(child)
  return plain(child.out:match(".*\27%[H(.*)$") or "")
end

-- Awaits a screen that has this.
local function await_screen(child, pattern)
  assert.is_true(process.await(function() return screen_of(child):find(pattern) ~= nil end),
    pattern .. " is not on: " .. screen_of(child))
end

-- Starts a screen between two looks at what the terminal is like.
local function start_screen(arguments, options)
  return start("stty -g; sh -c 'echo pid $$; exec " .. tool .. arguments .. "'; echo code $?; stty -g", options)
end

-- The screen has ended with this code, and the terminal is as it was.
local function has_restored(child, code)
  terminal.finish(child)
  assert.is_truthy(child.out:find(ENTER, 1, true))
  local before, rest = child.out:match("^(%S+)\r\npid (.*)$")
  local behind = rest:match(".*" .. LEAVE:gsub("%p", "%%%0") .. "(.*)$")
  local ended, after = behind:match("code (%d+)\r\n(%S+)\r\n$")
  assert.equal(tostring(code), ended, behind)
  assert.equal(before, after)
  return behind:match("^(.-)code ")
end

local segment
before_each(function() segment = assert(shm.create(name, 4096, { owned = true })) end)
after_each(function() segment:close() end)

describe("on a terminal, shm", function()
  it("has colour, but not where NO_COLOR is set", function()
    local out = run(tool .. "ls")
    assert.matches("^\27%[1mNAME OR KEY", out)
    assert.is_nil(run(tool .. "ls", { no_color = "1" }):find("\27", 1, true))
    assert.matches("^\27%[1mNAME OR KEY", run(tool .. "ls", { no_color = "" }))
  end)

  it("has no colour where TERM is dumb", function()
    assert.is_nil(run("TERM=dumb " .. tool .. "ls"):find("\27", 1, true))
  end)

  it("has no line that is longer than the terminal", function()
    local long <close> = assert(shm.arena("/" .. ("shm_spec_long"):rep(15), "64K", { owned = true }))
    long:mutex(("m"):rep(63))
    for _, width in ipairs { 40, 79, 100 } do
      for _, command in ipairs { "ls", "arena /" .. ("shm_spec_long"):rep(15), "top -n 1", "watch -n 1 " .. name } do
        local out = plain(run(tool .. command, { width = width }))
        for line in out:gmatch("[^\n]+") do assert.is_true(#line <= width, ("%d: %s"):format(width, line)) end
      end
    end
  end)
end)

describe("shm arena on a terminal", function()
  it("cuts nothing of who holds what, but wraps it", function()
    local arena <close> = assert(shm.arena("/shm_spec_wrap", "64K", { owned = true }))
    local guard <close> = assert(arena:mutex("turn"):guard())
    local semaphore = arena:semaphore("permits", 8)
    semaphore:acquire(3, 0)
    local me = math.tointeger(uv.os_getpid())
    for _, width in ipairs { 50, 60, 70, 80, 100, 200 } do
      local out = plain(run(tool .. "arena /shm_spec_wrap -i 0", { width = width }))
      for line in out:gmatch("[^\n]+") do assert.is_true(#line <= width, ("%d: %s"):format(width, line)) end
      local text = out:gsub("%s+", " ")
      assert.is_truthy(text:find(("held by %d lua5.4 "):format(me), 1, true), out)
      assert.is_truthy(text:find(("5 of 8 free; held by %d lua5.4 x3"):format(me), 1, true), out)
      assert.is_truthy(text:find("; 2 of 32 objects", 1, true), out)
      assert.equal(width >= 80, out:find("OBJECT[^\n]*STATE") ~= nil, width)
    end
    assert.is_truthy(guard)
    semaphore:release(3)
  end)
end)

describe("shm watch", function()
  it("marks what has changed, and q leaves", function()
    local child = start_screen("watch " .. name .. " --interval 0.1")
    await(child, "00000000")
    local from = #child.out
    segment:write("A", 2)
    await(child, "00 00 \27[30;43m41\27[0m 00", from)
    assert.matches("00000000  00 00 41 00", plain(child.out))
    child.input:write "q"
    assert.equal("", has_restored(child, 0))
  end)

  it("marks with stars without colour, moves by keys, and Ctrl-C leaves", function()
    local child = start_screen("watch " .. name .. " --interval 0.1", { no_color = "1", height = 10 })
    await(child, "00000070")
    child.input:write " j"
    await_screen(child, "^[^\n]*\n\n00000090 ")
    for _, step in ipairs { { "\27[A", "00000080" }, { "\27[B", "00000090" }, { "b", "00000010" },
      { "\27[6~", "00000090" }, { "\27[5~", "00000010" }, { "bk", "00000000" }, { " j", "00000090" } } do
      child.input:write(step[1])
      await_screen(child, "^[^\n]*\n\n" .. step[2])
    end
    local from = #child.out
    segment:write("A", 0x92)
    await(child, "00000090  00 00 41*00", from)
    child.input:write "\3"
    assert.equal("", has_restored(child, 0))
  end)

  it("keeps its marks, whatever is typed, until the next look", function()
    local child = start_screen("watch " .. name .. " --interval 1", { no_color = "1", height = 10 })
    await(child, "00000070")
    segment:write("A", 0x22)
    await_screen(child, "00 00 41%*00")
    child.input:write "j"
    await_screen(child, "^[^\n]* 1 changed [^\n]*\n\n00000010 .*\n00000020  00 00 41%*00")
    child.input:write "q"
    has_restored(child, 0)
  end)

  it("hides no change behind keys", function()
    local child = start_screen("watch " .. name .. " --interval 1", { no_color = "1", height = 10 })
    await_screen(child, "\n\n00000000")
    assert.is_truthy(child.out:find("\27[H\27[K", 1, true)) -- nothing is left of a title that was longer
    child.input:write " "
    await_screen(child, "\n\n00000080")
    segment:write("A", 0xa2)
    child.input:write "j"
    await(child, "000000a0  00 00 41*00")
    child.input:write "q"
    has_restored(child, 0)
  end)

  it("has shorter lines where the terminal is narrower, and follows it", function()
    local child = start_screen("watch " .. name .. " --interval 1000", { height = 10 })
    await_screen(child, "\n00000010 ")
    local device = uv.fs_readlink(("/proc/%s/fd/0"):format(child.out:match("pid (%d+)")))
    for _, case in ipairs { { 60, "\n00000008 [^\n]*\n00000010 " }, { 40, "\n00000004 " }, { 120, "\n00000010 " } } do
      local at = #child.out
      process.run("stty", { "-F", device, "cols", tostring(case[1]) })
      assert.is_true(process.await(function()
        return child.out:find("\27[H", at + 1, true) and screen_of(child):find("\n\n00000000 [^\n]*" .. case[2]) ~= nil
      end), screen_of(child))
      for line in screen_of(child):gmatch "[^\n]+" do assert.is_true(#line <= case[1], line) end
    end
    child.input:write "q"
    has_restored(child, 0)
  end)

  it("stops with Ctrl-Z and goes on with fg, and the terminal is as it was meanwhile", function()
    local child = start(("stty -g; bash -c 'set -m; %s top -i 0.1; echo stopped; stty -g; fg; echo code $?'; stty -g")
      :format(tool))
    await(child, "NAME OR KEY")
    child.input:write "\26"
    local at = await(child, "stopped\r\n")
    at = await(child, ENTER, at)
    await(child, "NAME OR KEY", at)
    child.input:write "q"
    assert.is_true(process.await(function() return child.code ~= nil end), child.out)
    child:wait()
    local before = child.out:match "^(%S+)\r\n"
    local meanwhile = child.out:match("stopped\r\n(%S+)\r\n")
    local after = child.out:match("code 0\r\n(%S+)\r\n$")
    assert.same({ before, before }, { meanwhile, after })
    local left = child.out:find(LEAVE, 1, true)
    assert.is_true(left < child.out:find("stopped", 1, true))
  end)

  it("goes on after Ctrl-Z where no shell could say so", function()
    local child = start_screen("watch " .. name .. " --interval 0.1")
    await(child, "00000000")
    child.input:write "\26"
    local at = await(child, LEAVE)
    await(child, "00000000", at)
    child.input:write "q"
    assert.equal("", has_restored(child, 0))
  end)

  it("restores the terminal when a signal ends it", function()
    for signal, code in pairs { sigterm = 143, sighup = 129, sigint = 0 } do
      local child = start_screen("top --interval 1000")
      await(child, "NAME OR KEY")
      uv.kill(tonumber(child.out:match("pid (%d+)")), signal)
      assert.equal("", has_restored(child, code))
    end
  end)

  it("restores the terminal when it fails, and says why", function()
    local child = start_screen("watch " .. name .. " --interval 0.1")
    await(child, "00000000")
    assert(io.open("/dev/shm" .. name, "w")):close()
    assert.matches("^shm: segment \"" .. name .. "\" has lost memory[^\n]*\r\n$", has_restored(child, 1))
  end)
end)

describe("shm top", function()
  it("says what it has no room for", function()
    local arena <close> = assert(shm.arena("/shm_spec_top", "64K", { owned = true }))
    for i = 1, 20 do arena:mutex("m" .. i) end
    for _, height in ipairs { 6, 12, 20 } do
      local out = plain(run(tool .. "top -n 1", { height = height }))
      local lines = select(2, out:gsub("\n", "\n")) + 1
      assert.is_true(lines <= height, out)
      assert.matches("%.%.%. %d+ more lines$", out)
    end
    local out = plain(run(tool .. "top -n 1", { height = 40 }))
    assert.is_nil(out:find("more lines", 1, true))
    assert.matches("\nm20 ", out)
  end)

  it("shows rates, follows the terminal, and q leaves", function()
    local arena <close> = assert(shm.arena("/shm_spec_top", "64K", { owned = true }))
    local channel = arena:channel("jobs", "4K")
    local child = start_screen("top --interval 0.2")
    await(child, "NAME OR KEY")
    local timer = uv.new_timer()
    timer:start(0, 10, function()
      channel:send "job"
      channel:receive()
    end)
    local shown, message = pcall(await_screen, child, "\njobs +channel +%S+ +1 +%S+ +0%% +[1-9]%d* +[1-9]%d*")
    timer:close()
    assert.is_true(shown, message)
    assert.matches("2 segments of 68K, 1 arena", screen_of(child))
    child.input:write "q"
    assert.equal("", has_restored(child, 0))
  end)
end)
