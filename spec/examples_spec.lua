-- examples_spec.lua: the documents' programs in Lua, each against its C counterpart, both ways.
local shm = require "shm"
local process = require "spec.support.process"

local examples = "scripts/examples/"
local letters_key = shm.ftok("/tmp", 0x66)

local function exists(name)
  local segment <close> = shm.attach(name, { readonly = true })
  return segment ~= nil
end

local function ends(child, code, out, err)
  assert.equal(code, child.code, child.err)
  assert.equal(out, child.out)
  if err then assert.matches(err, child.err) else assert.equal("", child.err) end
end

describe("hello", function()
  local said = "shm = I'm share memory\ndelete shm success.\n"
  local writers = { Lua = process.run_example, C = process.run_peer }
  for writer, write in pairs(writers) do
    for reader, read in pairs(writers) do
      it(("is written in %s and read in %s"):format(writer, reader), function()
        assert.equal(0, write("hello_writer").code)
        assert.is_true(exists(13))
        ends(read("hello_reader"), 0, said)
        assert.is_false(exists(13))
      end)
    end
  end

  it("that nobody has written is missed in words", function()
    ends(process.run_example("hello_reader"), 1, "",
      "^segment 0x0000000d does not exist; create it first\nStart hello_writer.lua first.\n$")
  end)

  it("has the documents' size and mode", function()
    process.run_example("hello_writer")
    local segment <close> = assert(shm.attach(13))
    assert.equal(2048, #segment)
    assert.equal("0666", segment:stat().mode)
    assert.equal("I'm share memory\0\0", segment:read(18))
    segment:remove()
  end)
end)

describe("random numbers", function()
  -- Reads until a number has been seen that the writer wrote; the reader is ahead of no writer.
  local function meet(writer, reader)
    local written, met = {}, 0
    for _ = 1, 200 do
      local number = math.tointeger(tonumber(writer:line():match("^write a random number (%d+)$")))
      assert.is_true(number >= 0 and number <= 999)
      written[number] = true
      if written[math.tointeger(tonumber(reader:line()))] then met = met + 1 end
      if met == 5 then return end
    end
    error("the reader never saw what the writer wrote")
  end

  it("are written in Lua and read in C", function()
    local writer = process.start_example("random_writer", "--interval", "0.01")
    assert.matches("^write a random number", writer:line())
    local reader = process.start_peer("random_reader", "1000", "10")
    meet(writer, reader)
    writer:kill("sigint")
    reader:kill("sigterm")
    reader:wait()
    assert.equal(0, (writer:wait()))
    assert.is_false(exists(1234))
  end)

  it("are written in C and read in Lua", function()
    local writer = process.start_peer("random_writer", "1000", "10")
    assert.matches("^write a random number", writer:line())
    local reader = process.start_example("random_reader", "--interval", "0.01")
    meet(writer, reader)
    assert.is_true(shm.remove(1234)) -- as ipcrm does
    assert.equal(0, (reader:wait()))
    assert.matches("the writer has gone\n$", reader.out)
    writer:kill("sigkill")
    writer:wait()
  end)

  it("are counted", function()
    local writer = process.run_example("random_writer", "--count", "3", "--interval", "0")
    assert.equal(3, select(2, writer.out:gsub("write a random number %d+\n", "")))
    assert.equal("", process.run_example("random_writer", "--count", "0").out)
    assert.is_false(exists(1234))
  end)
end)

describe("letters", function()
  it("are served in Lua and printed in C", function()
    local server = process.start_example("letters_server", "--interval", "0.01")
    assert.is_true(process.await(function() return exists(letters_key) end))
    local client = process.start_peer("letters_client", "1000", "10")
    local longest = 0
    while longest < 10 do
      local line = client:line()
      assert.matches("^A*$", line)
      assert.is_true(#line >= longest)
      longest = #line
    end
    server:kill("sigint")
    assert.equal(0, (server:wait()))
    assert.equal("", server.err)
    assert.is_false(exists(letters_key))
    client:kill("sigterm")
    client:wait()
  end)

  it("are served in C and printed in Lua, until the server has gone", function()
    local server = process.start_peer("letters_server", "20", "1")
    assert.equal("written", server:line())
    local client = process.start_example("letters_client", "--interval", "0.01")
    assert.equal(("A"):rep(20), client:line())
    server:wait()
    assert.equal(0, (client:wait()))
    assert.matches("the server has gone\n$", client.out)
  end)

  it("wrap without a byte past the end", function()
    local server = process.start_example("letters_server", "--interval", "0")
    assert.is_true(process.await(function() return exists(letters_key) end))
    local segment <close> = assert(shm.attach(letters_key, { readonly = true }))
    local longest, wrapped = 0, false
    assert.is_true(process.await(function()
      local length = #segment:cstring()
      assert.equal("\0", segment:read(1, 4095))
      wrapped = wrapped or length < longest
      longest = math.max(longest, length)
      return wrapped and segment:read(1, 4094) == "A"
    end))
    server:kill("sigterm")
    server:wait()
    assert.is_true(longest <= 4095)
  end)

  it("have one server", function()
    local server = process.start_example("letters_server")
    assert.is_true(process.await(function() return exists(letters_key) end))
    ends(process.run_example("letters_server"), 1, "", "exists already; use attach or open, or remove it first")
    assert.is_true(exists(letters_key))
    server:kill("sigint")
    server:wait()
    assert.is_false(exists(letters_key))
  end)

  it("without a server are missed in words", function()
    ends(process.run_example("letters_client"), 1, "", "does not exist; create it first\nStart letters_server.lua")
  end)
end)

describe("create_once", function()
  local path = examples .. "create_once.lua"
  local key = shm.ftok(path, 0x14)

  it("creates once, and says how to remove what is there", function()
    local first = process.run(process.lua, { path })
    assert.equal(0, first.code, first.err)
    assert.matches(("^shmget success, key: 0x%08x, shmId: %%d+\n"):format(key), first.out)
    local second = process.run(process.lua, { path })
    assert.equal(1, second.code)
    assert.equal("", second.out)
    assert.matches("^segment 0x%x+ exists already", second.err)
    assert.matches("File exists", process.run_peer("create_once", path).err)
    local command, arguments = second.err:match("Remove it with: (lua5.4) (%C+)")
    assert.equal("lua5.4", command)
    local words = {}
    for word in arguments:gmatch("%S+") do words[#words + 1] = word end
    assert.equal(0, process.run(process.lua, words).code)
    assert.is_false(exists(key))
    assert.matches("shmget success", process.run_peer("create_once", path).out)
    assert.equal(1, process.run(process.lua, { path }).code)
    assert.is_true(shm.remove(key))
  end)

  it("says which file ftok misses", function()
    ends(process.run_example("create_once", "--path", "/no/such"), 1, "", '^file "/no/such" does not exist')
  end)
end)

describe("a POSIX object", function()
  local name = "/shm_spec_examples"

  it("is shared by the example's two processes", function()
    ends(process.run_example("posix_object"), 0, 'created  segment "/shm_example" (posix, 4096 bytes)\n' ..
      "wrote    hello from one process\nanswered HELLO FROM ONE PROCESS\n")
    assert.is_false(exists("/shm_example"))
  end)

  it("made in Lua is read, written and removed in C", function()
    local segment <close> = assert(shm.create(name, 4096, { owned = true }))
    segment:write("from Lua\0")
    ends(process.run_peer("posix", "read", name), 0, "from Lua\n")
    ends(process.run_peer("posix", "write", name, "from C"), 0, "")
    assert.equal("from C", segment:cstring())
    ends(process.run_peer("posix", "remove", name), 0, "")
    assert.is_true(segment:stat().removed)
    assert.is_nil((shm.attach(name)))
  end)

  it("made in C is read, written and removed in Lua", function()
    ends(process.run_peer("posix", "create", name, "from C"), 0, "")
    local segment <close> = assert(shm.attach(name))
    assert.equal("from C", segment:cstring())
    segment:write("from Lua\0")
    ends(process.run_peer("posix", "read", name), 0, "from Lua\n")
    assert.is_true(segment:remove())
    ends(process.run_peer("posix", "read", name), 1, "", "No such file")
  end)
end)

describe("segments", function()
  it("lists and removes by key, id and name", function()
    local sysv <close> = assert(shm.create(0x5e600006, 100, { owned = true, mode = "0640" }))
    local private <close> = assert(shm.create(shm.PRIVATE, 10, { owned = true }))
    local posix <close> = assert(shm.create("/shm_spec_list", 200, { owned = true }))
    local list = process.run_example("segments").out
    assert.matches(("\n0x5e600006 +%d +%%d+ +0640 +100 +%%d+"):format(sysv:stat().id), list)
    assert.matches("\n/shm_spec_list +%d+ +0600 +200", list)
    ends(process.run_example("segments", "--remove", "0x5e600006", "--remove", "id=" .. private:stat().id,
      "--remove", "/shm_spec_list"), 0,
      ("removed 0x5e600006\nremoved id=%d\nremoved /shm_spec_list\n"):format(private:stat().id))
    for _, segment in ipairs { sysv, private, posix } do assert.is_true(segment:stat().removed) end
  end)

  it("says what it cannot remove", function()
    ends(process.run_example("segments", "--remove", "0x5e600007"), 1, "", "^segment 0x5e600007 does not exist")
    ends(process.run_example("segments", "--remove", "prices"), 1, "", 'name "prices" must begin with "/"')
  end)
end)

describe("counter", function()
  it("is exact over its processes, and shows what is lost without atomics", function()
    ends(process.run_example("counter", "--processes", "4", "--count", "100000"), 0,
      "4 processes counted to 400000 of 400000\n")
    local plain = process.run_example("counter", "--plain", "--processes", "2", "--count", "1000")
    assert.matches("^2 processes counted to %d+ of 2000", plain.out)
    assert.is_false(exists("/shm_counter"))
  end)

  it("wants whole numbers", function()
    ends(process.run_example("counter", "--processes", "many"), 1, "", "many is not a whole number")
  end)
end)

describe("race", function()
  it("loses counts without a lock, none with one, and goes on when a process is killed inside", function()
    local run, lost
    for _ = 1, 10 do -- without a lock, counts may survive by luck
      run = process.run_example("race", "--processes", "3", "--count", "50000")
      assert.equal(0, run.code, run.err)
      lost = run.out:match("1%. without a lock\n +%d+ and %d+ of 150000: some counts are lost\n")
      if lost then break end
    end
    assert.is_truthy(lost)
    assert.matches("2%. with a mutex\n +150000 and 150000 of 150000: exact\n", run.out)
    local ahead, behind = run.out:match("process %d+: the owner before was killed inside: (%d+) and (%d+)\n")
    assert.equal(1, ahead - behind)
    assert.matches("killed inside: %d+ and %d+\n +125000 and 125000 of 125000: exact\n", run.out)
    assert.is_false(exists("/shm_race"))
  end)
end)

describe("histogram", function()
  it("has every throw of every process in its bars", function()
    local run = process.run_example("histogram", "--processes", "3", "--throws", "5000", "--dice", "2")
    assert.equal(0, run.code, run.err)
    local bars, total = 0, 0
    for sum, count, bar in run.out:gmatch(" *(%d+) +(%d+) (#*)\n") do
      assert.is_true(tonumber(sum) >= 2 and tonumber(sum) <= 12 and #bar <= 60)
      bars, total = bars + 1, total + tonumber(count)
    end
    assert.same({ 11, 15000 }, { bars, total })
    assert.matches("\n15000 throws of 3 processes\n$", run.out)
    assert.is_false(exists("/shm_histogram"))
  end)
end)

describe("an example that loops", function()
  local loops = {
    random_writer = {}, letters_server = {},
    random_reader = { key = 1234 }, letters_client = { key = letters_key },
  }
  for name, needs in pairs(loops) do
    for _, signal in ipairs { "sigint", "sigterm", "sighup", "sigpipe" } do
      it(("ends cleanly on %s: %s"):format(signal, name), function()
        local partner <close> = needs.key and assert(shm.create(needs.key, 4096, { owned = true }))
        local child = process.start_example(name, "--interval", "3600")
        if name == "letters_server" then
          assert.is_true(process.await(function() return exists(letters_key) end))
          assert.is_true(process.await(function()
            local segment <close> = shm.attach(letters_key)
            return segment:cstring() == "A"
          end))
        else
          assert.is_string(child:line()) -- at once, through a pipe, an hour before the next
        end
        child:kill(signal)
        assert.equal(0, (child:wait()))
        assert.equal("", child.err)
        assert.equal(partner ~= nil, exists(needs.key or letters_key))
      end)
    end

    it("explains its options: " .. name, function()
      local help = process.run_example(name, "--help")
      assert.matches("%-%-interval", help.out)
      assert.matches("%-%-count", help.out)
      for _, bad in ipairs { "--interval=x", "--interval=-1", "--interval=1e999", "--count=-1", "--count=1.5" } do
        local run = process.run_example(name, bad)
        assert.is_true(run.code ~= 0)
        assert.is_truthy(run.err:find(bad:match("=(.*)") .. " is not a ", 1, true), run.err)
      end
      assert.matches("unknown option '%-%-frequency'", process.run_example(name, "--frequency").err)
    end)
  end
end)

describe("an example", function()
  it("says what to do where the module is not there", function()
    local run = process.run(process.lua, { examples .. "hello_writer.lua" },
      { env = { LUA_CPATH = "/no/such/?.so", LUA_PATH = "/no/such/?.lua" } })
    assert.equal(1, run.code)
    assert.matches("^the module %w+ is not there for Lua 5.4: ", run.err)
  end)

  it("removes what it made where the reader of its output has gone", function()
    for name, arguments in pairs { random_writer = " --interval 0.01", posix_object = "" } do
      local pipe = ("%s %s%s.lua%s | head -n 1"):format(process.lua, examples, name, arguments)
      local run = process.run("sh", { "-c", pipe })
      assert.equal(0, run.code)
      assert.equal("", run.err)
      assert.matches("^%C+\n$", run.out)
    end
    assert.is_false(exists(1234) or exists("/shm_example"))
  end)

  for _, name in ipairs { "hello_writer", "hello_reader", "random_writer", "random_reader", "letters_server",
    "letters_client", "create_once", "posix_object", "segments" } do
    it("is short, and says what it reimplements: " .. name, function()
      local file <close> = assert(io.open(examples .. name .. ".lua"))
      local text = file:read("a")
      assert.matches("^%-%- " .. name .. "%.lua: ", text)
      assert.matches("%-%- Reimplements .-documents? %d", text)
      assert.is_true(select(2, text:gsub("\n", "")) <= 40)
    end)
  end
end)
