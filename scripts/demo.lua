-- demo.lua: what `make demo` shows: the documents' programs as real processes that share memory.
local shm = require "shm"
local uv = require "luv"

local directory = arg[0]:match("^.*/") or "./"
local lua = os.getenv("SHM_LUA") or "lua5.4"

local function say(format, ...) print(format:format(...)) end

-- Ctrl-C reaches the children too, and they clean up; we end when they have ended.
local interrupted = false
local interrupt = uv.new_signal()
interrupt:start("sigint", function() interrupted = true end)
interrupt:unref()

local function finish()
  uv.run()
  if interrupted then os.exit(130, true) end
end

-- Starts an example; each line that it prints is shown behind its name and pid.
local function start(name, ...)
  local output, rest, child, pid = uv.new_pipe(), ""
  child, pid = uv.spawn(lua, {
    args = { directory .. "examples/" .. name .. ".lua", ... },
    stdio = { nil, output, 2 },
  }, function(code)
    say("%16s %-6d ends%s", name, pid, code == 0 and "" or " with exit code " .. code)
    child:close()
  end)
  assert(child, "cannot start " .. lua)
  say("%16s %-6d starts", name, pid)
  output:read_start(function(_, data)
    if not data then return output:close() end
    rest = (rest .. data):gsub("([^\n]*)\n", function(line)
      say("%16s %-6d %s", name, pid, line)
      return ""
    end)
  end)
end

-- Lets the processes run until this segment exists, so that a reader does not come too soon.
local function await(key)
  local deadline = uv.hrtime() + 5e9
  local timer = uv.new_timer()
  timer:start(0, 10, function() end)
  repeat
    uv.run("once")
    local segment = shm.attach(key, { readonly = true })
    if segment then segment:close() end
  until segment or uv.hrtime() > deadline
  timer:close()
end

local function refuse_leftover(key)
  local left = shm.attach(key, { readonly = true })
  if not left then return end
  io.stderr:write(("%s is there already: another demo, or a leftover of one.\n"):format(left))
  io.stderr:write(("Remove it with: ipcrm -m %d\n"):format(left:stat().id))
  os.exit(1, true)
end

local letters, numbers = shm.ftok("/tmp", 0x66), 1234
refuse_leftover(letters)
refuse_leftover(numbers)

say("\n1. Letters: a server writes a growing string into System V shared memory, a client prints it.")
say("   No message is sent: both processes look at the same bytes.\n")
start("letters_server", "--interval", "0.5", "--count", "10")
await(letters)
for _, stat in ipairs(shm.list()) do
  if stat.backing == "sysv" and stat.key == letters then
    say("   the segment: key 0x%08x, id %d, %d bytes, mode %s, created by process %d",
      letters & 0xffffffff, stat.id, stat.size, stat.mode, stat.cpid)
  end
end
start("letters_client", "--interval", "0.5")
finish()

say("\n2. Random numbers: a writer puts an int32 at offset 0, a reader reads it from there.\n")
start("random_writer", "--interval", "0.5", "--count", "8")
await(numbers)
start("random_reader", "--interval", "0.5")
finish()

say("\n3. A POSIX object with a name, shared by two processes.\n")
start("posix_object")
finish()

say("\n4. A race: processes add to two counters, without a lock, with one, and one of them is killed inside.\n")
start("race")
finish()

say("\n5. Messages: a queue of jobs, whose workers are killed and replaced; and calls to two servers.\n")
start("jobs", "--jobs", "20000", "--kills", "5")
finish()
start("service")
finish()

say("\nThe segments are gone again: `ipcs -m` and `ls /dev/shm` show what they showed before.")
say("Read scripts/examples/letters_server.lua next, or the README from \"Ten lines\".")
