-- shmlua_workers_spec.lua: shmlua -j N: workers share an arena; who crashes, fails, forks, or will not end.
local shm = require "shm"
local process = require "spec.support.process"
local sandbox = require "spec.support.sandbox"
local uv = require "luv"

local shmlua = process.build .. "/shmlua"

-- What every script here begins with.
local prelude = [[
  local shm = require "shm"
  local worker = shm.worker
  local arena, index = worker.arena, worker.index
  io.stdout:setvbuf "line"
  local function crash(signal)
    local file <close> = io.open "/proc/self/stat"
    os.execute("kill -" .. signal .. " " .. file:read "n")
  end
  local last <close> = setmetatable({}, { __close = function() print("closed", index) end })
]]

local function start(options, text)
  local arguments = {}
  for option in options:gmatch("%S+") do arguments[#arguments + 1] = option end
  arguments[#arguments + 1], arguments[#arguments + 2] = "-e", prelude .. (text or "")
  return process.start(shmlua, arguments)
end

local function run(options, text)
  local self = start(options, text)
  self:wait()
  return self
end

local function lines_of(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do list[#list + 1] = line end
  table.sort(list)
  return list
end

-- A letter: "R" runs, "S" sleeps, "T" is stopped, "Z" and "X" are dead; nil: there is none.
local function state_of(pid)
  local file <close> = io.open("/proc/" .. pid .. "/stat")
  return file and file:read("a"):match("%) (%a) ")
end

local function lives(pid)
  local state = state_of(pid)
  return state ~= nil and state ~= "Z" and state ~= "X"
end

local function await_end(pids)
  return process.await(function()
    for _, pid in ipairs(pids) do
      if lives(pid) then return false end
    end
    return true
  end)
end

local own_pid = [[(function() local file <close> = io.open "/proc/self/stat" return file:read "n" end)()]]

describe("workers", function()
  it("share an arena, and know who they are", function()
    local result = run("-j 3", [[
      local sum = arena:array("sum", "i64", 1)
      sum:fetch_add(1, index)
      arena:barrier("all", worker.count):wait()
      print(index, worker.count, sum:load(1))]])
    assert.same({ 0, "" }, { result.code, result.err })
    assert.same({ "1\t3\t6", "2\t3\t6", "3\t3\t6", "closed\t1", "closed\t2", "closed\t3" }, lines_of(result.out))
  end)

  it("are as many as there are cores for auto; the arena is as large as one says", function()
    local result = run("-jauto --arena=1M", [[print(arena:stat().size, worker.count)]])
    local cores = shm.cpus()
    local count = select(2, result.out:gsub("1048576\t" .. cores .. "\n", ""))
    assert.equal(cores, count)
    assert.matches("\n67108864\n", "\n" .. run("-j1", "print(arena:stat().size)").out)
  end)

  it("are refused where the command line is wrong, with a way out", function()
    for _, count in ipairs { "0", "-1", "1000", "257", "x", "2x", "1.5", "" } do
      local result = process.run(shmlua, { "-j", count, "-e", "print(1)" })
      assert.same({ 1, "" }, { result.code, result.out })
      assert.equal(("shmlua: '%s' is no number of workers: -j takes 1 to 256, or auto"):format(count),
        result.err:match("[^\n]*"))
    end
    for arguments, message in pairs {
      [{ "-j" }] = "'-j' needs argument",
      [{ "-j2" }] = "'-j' needs a script, or -e",
      [{ "-j2", "-i" }] = "'-i' is not for workers, who cannot all have the terminal",
      [{ "--arena=1M", "x.lua" }] = "'--arena=1M' is for workers: say -j N, too",
      [{ "-j2", "--arena=8191" }] = "'--arena=8191' is not bytes, at least 8192, or a number with K, M, G or T",
      [{ "-j2", "--arena=1X" }] = "'--arena=1X' is not bytes, at least 8192, or a number with K, M, G or T",
      [{ "-j2", "--arena=99999999999T" }] =
        "'--arena=99999999999T' is not bytes, at least 8192, or a number with K, M, G or T",
      [{ "-j2", "--restart=x" }] = "'--restart=x' is not a number of restarts",
      [{ "-j2", "--grace=-1" }] = "'--grace=-1' is not a number of seconds",
    } do
      local result = process.run(shmlua, arguments)
      assert.equal("shmlua: " .. message, result.err:match("[^\n]*"))
      assert.equal(1, result.code)
    end
  end)

  it("are not started for a script that is missing or wrong, which is said once", function()
    local missing = process.run(shmlua, { "-j4", "/no/such.lua" })
    assert.same({ 1, "", "shmlua: cannot open /no/such.lua: No such file or directory\n" },
      { missing.code, missing.out, missing.err })
    local wrong = process.start(shmlua, { "-j4", "-" })
    wrong.input:write("print(")
    wrong:wait()
    assert.equal(1, wrong.code)
    assert.equal("shmlua: stdin:1: unexpected symbol near <eof>\n", wrong.err)
  end)

  it("are not started for an arena that the machine does not have", function()
    local result = process.run(shmlua, { "-j2", "--arena=8388607T", "-e", "print(1)" })
    assert.same({ 1, "" }, { result.code, result.out })
    assert.matches("^shmlua: the arena of 9223370937343148032 bytes [^\n]*; say a smaller %-%-arena\n$", result.err)
  end)

  it("all run a script that comes from a pipe, with its arguments", function()
    local self = process.start(shmlua, { "-j2", "-", "a", "b" })
    self.input:write("#!shebang\nprint(arg[0], arg[-1], ...)\nerror 'line 3'")
    self:wait()
    assert.matches("^%-\t%-j2\ta\tb\n", self.out)
    assert.matches("shmlua: stdin:3: line 3\nstack traceback:", self.err)
  end)
end)

describe("a group", function()
  it("ends with the first worker that fails, and its code; the others end in order", function()
    local result = run("-j 3", [[
      arena:barrier("all", 3):wait()
      if index == 2 then os.exit(7) end
      while true do end]])
    assert.equal(7, result.code)
    assert.same({ "closed\t1", "closed\t3" }, lines_of(result.out))
    assert.matches("^shmlua: worker 2 %(pid %d+%) failed with exit code 7\n$", result.err)
    result = run("-j 2", [[if index == 1 then error "boom" end arena:channel("c", "1K"):receive()]])
    assert.equal(1, result.code)
    assert.matches("boom\nstack traceback:.*shmlua: worker 1 %(pid %d+%) failed with exit code 1\n$", result.err)
  end)

  it("tells of errors without mixing them", function()
    local result = run("-j 8", [[arena:barrier("all", 8):wait() error("boom " .. index, 0)]])
    local count = select(2, result.err:gsub("%f[^\n\0]shmlua: boom %d\nstack traceback:\n", ""))
    assert.equal(count, select(2, result.err:gsub("boom", "")))
    assert.is_true(count >= 1)
  end)

  it("ends in order where nobody reads its reports", function()
    local result = process.run("bash", { "--norc", "-c", shmlua .. [[ -j2 --restart --grace=1000 -e '
      local worker = require "shm".worker
      local last <close> = setmetatable({}, { __close = function() print("closed", worker.index) end })
      local crashes = worker.arena:array("crashes", "i32", 1)
      if worker.index == 2 or crashes:fetch_add(1, 1) == 0 then worker.arena:barrier("both", 2):wait() end
      if worker.index == 1 then os.execute "kill -KILL $PPID" end -- and again, until its reader has gone
      while true do end' 2> >(:); echo $?]] })
    local lines = lines_of(result.out)
    assert.same({ tostring(128 + 13), "closed\t2" }, { lines[1], lines[#lines] })
  end)

  it("is stopped by Ctrl-C also where a worker waits for what it has started", function()
    local self = start("-j 2 --grace=1000", [[
      print "ready"
      while true do os.execute "exec sleep 0.1" end]])
    for _ = 1, 2 do assert.equal("ready", self:line()) end
    self:kill("sigint")
    self:wait()
    assert.equal(2, self.signal)
    assert.same({ "closed\t1", "closed\t2" }, lines_of(self.out))
  end)

  it("says that a worker cannot be started", function()
    local nobody, missing = sandbox.nobody() -- root may have as many processes as it likes
    if not nobody and uv.getuid() == 0 then return pending(missing) end
    local result = process.run("bash", { "--norc", "-c", "ulimit -u 1; exec " .. shmlua
      .. " -j3 -e 'while true do end'" }, nobody)
    assert.equal(1, result.code)
    assert.matches("^shmlua: worker 1 cannot be started: [^\n]+; try fewer, or see ulimit %-u\n$", result.err)
  end)

  it("goes on where a worker closes its output, which Lua does not let it do", function()
    local result = run("-j 2", [[if index == 1 then print(io.stdout:close()) end print "still there"]])
    assert.equal(0, result.code)
    assert.same({ "closed\t1", "closed\t2", "nil\tcannot close standard file", "still there", "still there" },
      lines_of(result.out))
  end)

  it("goes on where a worker ends well, also by os.exit", function()
    local result = run("-j 2", [[
      if index == 1 then os.exit(0) end
      arena:channel("c", "1K"):receive(0.1)
      print "second"]])
    assert.same({ 0, "second\nclosed\t2\n", "" }, { result.code, result.out, result.err })
  end)

  it("says by what a worker was killed, and ends", function()
    local result = run("-j 2", [[if index == 1 then crash "ABRT" end while true do end]])
    assert.equal(128 + 6, result.code)
    assert.matches("^shmlua: worker 1 %(pid %d+%) was killed by SIGABRT %(Aborted%)\n$", result.err)
  end)

  it("restarts who crashed, as often as it may", function()
    local script = [[
      local crashes = arena:array("crashes", "i32", 1)
      if index == 1 and crashes:fetch_add(1, 1) < 2 then crash "KILL" end
      print("worker", index)]]
    for _, option in ipairs { "--restart", "--restart=2" } do
      local result = run("-j 2 " .. option, script)
      assert.same({ 0, 2 }, { result.code, select(2, result.err:gsub("SIGKILL %(Killed%); it is restarted\n", "")) })
      assert.same({ "closed\t1", "closed\t2", "worker\t1", "worker\t2" }, lines_of(result.out))
    end
    local result = run("-j 2 --restart=1", script)
    assert.equal(128 + 9, result.code)
    assert.matches("restarted\nshmlua: worker 1 %(pid %d+%) was killed by SIGKILL %(Killed%)\n$", result.err)
    assert.equal(3, run("-j 2 --restart", "os.exit(3)").code)
  end)

  it("restarts a worker that fails if --restart=always says so, but none that ends with 0", function()
    local result = run("-j 2 --restart=always", [[
      local starts = arena:array("starts", "i32", 2)
      local start = starts:fetch_add(index, 1)
      if index == 1 and start == 0 then error "boom" end
      if index == 1 and start == 1 then os.exit(3) end
      if index == 1 and start == 2 then crash "KILL" end
      print("worker", index, start)]])
    assert.equal(0, result.code)
    assert.same({ "closed\t1", "closed\t1", "closed\t2", "worker\t1\t3", "worker\t2\t0" }, lines_of(result.out))
    assert.matches("boom\nstack traceback:.*shmlua: worker 1 %(pid %d+%) failed with exit code 1; it is restarted\n"
      .. "shmlua: worker 1 %(pid %d+%) failed with exit code 3; it is restarted\n"
      .. "shmlua: worker 1 %(pid %d+%) was killed by SIGKILL %(Killed%); it is restarted\n$", result.err)
  end)

  it("ends by a signal while --restart=always restarts a worker again and again", function()
    local self = start("-j 1 --restart=always", [[print "ready" error "boom"]])
    for _ = 1, 3 do
      repeat local line = assert(self:line(), self.err) until line == "ready"
    end
    self:kill "sigterm"
    self:wait()
    assert.equal(15, self.signal)
  end)

  for signal, number in pairs { sigint = 2, sigterm = 15, sighup = 1 } do
    it("ends in order by " .. signal, function()
      local self = start("-j 3", [[print "ready" arena:channel("c", "1K"):receive()]])
      for _ = 1, 3 do assert.equal("ready", self:line()) end
      self:kill(signal)
      self:wait()
      assert.equal(number, self.signal)
      assert.same({ "closed\t1", "closed\t2", "closed\t3" }, lines_of(self.out))
      assert.equal("", self.err)
    end)
  end

  it("starts who crashes again and again ten times a second at most", function()
    local began = uv.hrtime()
    assert.equal(128 + 9, run("-j 1 --restart=4", "crash 'KILL'").code)
    assert.is_true(uv.hrtime() - began >= 0.4e9)
  end)

  it("lets a worker that is stopped hear that it is to end", function()
    local self = start("-j 1 --grace=1000", [[print(]] .. own_pid .. [[) crash "STOP" while true do end]])
    local worker = tonumber(self:line())
    assert.is_true(process.await(function() return state_of(worker) == "T" end))
    self:kill "sigterm"
    self:wait()
    assert.same({ 15, "closed\t1\n", "" }, { self.signal, self.out, self.err })
  end)

  it("tells of what fails after a signal was heard", function()
    local self = start("-j 1", [[pcall(function() print "ready" while true do end end) error "boom"]])
    assert.equal("ready", self:line())
    self:kill "sigterm"
    self:wait()
    assert.matches("^shmlua: [^\n]*boom\n", self.err)
  end)

  it("has nothing of ours where its standard files are closed", function()
    local result = process.run("sh", { "-c", [["$0" -j 1 -e 'os.execute [=[
      for i in 0 1; do readlink /proc/$PPID/fd/$i >&2; done]=]' <&- >&-]], shmlua })
    assert.same({ 0, "/dev/null\n/dev/null\n" }, { result.code, result.err })
  end)

  it("kills who loops through SIGTERM, or is stopped, after the grace time", function()
    local self = start("-j 2 --grace=0.2", [[
      local function ready()
        ready = function() end
        print("ready", ]] .. own_pid .. [[)
        if index == 2 then crash "STOP" end
      end
      while true do pcall(function() ready() while true do end end) end]])
    local pids = { self:line():match("%d+"), self:line():match("%d+") }
    self:kill("sigterm")
    self:wait()
    assert.equal(15, self.signal)
    assert.matches("shmlua: worker 1 %(pid %d+%) has not ended in 0.2 seconds, and is killed\n", self.err)
    assert.is_true(await_end(pids))
  end)

  it("writes all that a worker says on its way out, also when other signals come meanwhile", function()
    local gate = os.tmpname() -- nobody reads while it is there
    finally(function() os.remove(gate) end)
    local script = ([[
      io.stdout:setvbuf "no"
      local said <close> = setmetatable({}, { __close = function()
        for _ = 1, 1000 do io.write(("x"):rep(1000)) end
      end })
      io.stderr:write(%s, "\n")
      while true do end]]):format(own_pid)
    local reader = ("while [ -e %s ]; do sleep 0.01; done; wc -c"):format(gate)
    local self = process.start("sh", { "-c", '"$0" -j 1 --grace=1000 -e "$1" | sh -c "$2"', shmlua, script,
      reader })
    assert.is_true(process.await(function() return self.err:find "\n" ~= nil end))
    local worker = tonumber(self.err)
    uv.kill(worker, "sigterm")
    assert.is_true(process.await(function() return state_of(worker) == "S" end)) -- the pipe is full
    uv.kill(worker, "sigint")
    uv.kill(worker, "sighup")
    os.remove(gate)
    self:wait()
    assert.equal("1000000\n", self.out)
  end)

  it("raises one error in a worker, whose way out another signal does not break off", function()
    local self = start("-j 1", [[
      local slow <close> = setmetatable({}, { __close = function()
        print "closing"
        arena:channel("c", "1K"):receive(0.3)
        print "whole"
      end })
      print("ready", ]] .. own_pid .. [[)
      while true do end]])
    local pid = tonumber(self:line():match("%d+"))
    self:kill("sigterm")
    assert.equal("closing", self:line())
    uv.kill(pid, "sigterm")
    uv.kill(pid, "sigint")
    self:wait()
    assert.same({ 15, "whole\nclosed\t1\n", "" }, { self.signal, self.out, self.err })
  end)

  it("leaves nothing when its parent is killed", function()
    local self = start("-j 3", [[print("ready", ]] .. own_pid .. [[) while true do end]])
    local pids = {}
    for i = 1, 3 do pids[i] = self:line():match("%d+") end
    self:kill("sigkill")
    assert.is_true(await_end(pids))
    self:wait()
  end)

  it("leaves nothing that a worker has started", function()
    local result = run("-j 2", [[os.execute "sleep 1000 >/dev/null 2>&1 & echo $!"]])
    assert.equal(0, result.code)
    local pids = {}
    for pid in result.out:gmatch("%f[^\n\0](%d+)\n") do pids[#pids + 1] = pid end
    assert.equal(2, #pids)
    for _, pid in ipairs(pids) do assert.is_false(lives(pid)) end
  end)

  it("leaves nothing that a worker has forked, also when its parent is killed", function()
    local text = [[
      package.cpath = os.getenv "SHM_BUILD" .. "/spec/?.so;" .. package.cpath
      local lowlevel = require "lowlevel"
      local function ready() print("ready", ]] .. own_pid .. [[) end
      ready()
      lowlevel.child(function()
        ready()
        while true do end
      end)]]
    local self = process.start(shmlua, { "-j2", "-e", prelude .. text }, { env = { SHM_BUILD = process.build } })
    local pids = {}
    for i = 1, 4 do pids[i] = self:line():match("%d+") end
    self:kill("sigkill")
    assert.is_true(await_end(pids))
    self:wait()
  end)

  it("ends where its output goes nowhere, or was closed", function()
    local result = process.run("sh", { "-c", shmlua .. [[ -j2 --restart -e "while true do print(1) end" | head -1]] })
    assert.equal("1\n", result.out)
    assert.matches("was killed by SIGPIPE", result.err)
    result = process.run("sh", { "-c", shmlua
      .. [[ -j2 -e 'local a = require"shm".worker.arena; print(1); assert(a:array("x", "u8", 9))' >&- <&-]] })
    assert.same({ 0, "" }, { result.code, result.err })
  end)

  it("does not take for its own what its process had before", function()
    local result = process.run("sh", { "-c", "sleep 1000 >/dev/null 2>&1 & echo $!; exec " .. shmlua
      .. " -j2 -e 'x = 1'" })
    local pid = tonumber(result.out)
    assert.is_true(lives(pid))
    uv.kill(pid, "sigkill")
    assert.is_true(await_end { pid })
  end)
end)

describe("the example mandelbrot", function()
  local example, directory = uv.cwd() .. "/scripts/examples/mandelbrot.lua", nil
  setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
  teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

  local function paint(workers, output)
    local result = process.run(shmlua, { "-j", workers, example, "--size", "60", "--iterations", "50", "--output",
      directory .. "/" .. output })
    assert.same({ 0, "" }, { result.code, result.err })
    assert.matches("^60 x 40 pixels, " .. workers .. " workers, ", result.out)
    local file <close> = assert(io.open(directory .. "/" .. output, "rb"))
    return file:read("a")
  end

  it("paints the same picture with any number of workers", function()
    local one, four = paint("1", "1.ppm"), paint("4", "4.ppm")
    assert.equal("P6\n60 40\n255\n", one:sub(1, 13))
    assert.equal(13 + 60 * 40 * 3, #one)
    assert.is_true(one == four)
    local middle = 13 + (20 * 60 + 30) * 3
    assert.equal("\0\0\0", one:sub(middle + 1, middle + 3))
  end)

  it("writes a PNG with the same pixels", function()
    local ppm, png = paint("2", "a.ppm"), paint("2", "a.png")
    assert.equal("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x3c\0\0\0\x28\8\2\0\0\0", png:sub(1, 29))
    for row = 0, 39 do assert.is_truthy(png:find(ppm:sub(14 + row * 180, 13 + (row + 1) * 180), 1, true)) end
  end)

  it("says how it is run", function()
    assert.matches("shmlua %-j auto", process.run(shmlua, { example }).err)
    local result = process.run(shmlua, { "-j2", example, "--size", "x" })
    assert.equal(1, result.code)
    assert.matches("usage: shmlua", result.err)
  end)
end)
