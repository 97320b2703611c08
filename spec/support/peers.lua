-- peers.lua: processes that share an arena with a spec: each runs a chunk of Lua, and the spec sees
-- what it says, what it waits for, and what it costs.
local process = require "spec.support.process"
local uv = require "luv"

local peers = {}

local opening = [[
local shm = require "shm"
local function say(...) print(...) io.stdout:flush() end
local function hear() return io.read "l" end
local a = assert(shm.arena(%s, %s))
]]

-- A name of an arena as Lua source.
local function literal(name)
  return type(name) == "table" and ("{ id = %d }"):format(name.id) or ("%q"):format(name)
end

-- Starts a process that opens the arena as `a` and runs the chunk, which has say(...) and hear().
function peers.start(name, chunk, options)
  local size = options and options.size
  return process.start(process.lua, { "-e", opening:format(literal(name), size or "nil") .. chunk }, options)
end

-- Starts as many as there are chunks, and waits until each has said something.
function peers.hold(name, chunk)
  local peer = peers.start(name, chunk)
  peer.said = peer:line()
  return peer
end

-- Tells it to go on from hear().
function peers.tell(peer, line)
  peer.input:write((line or "go") .. "\n")
end

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a" or ""
end

-- The state of a process as proc(5) has it: "S" sleeps, "T" is stopped, "Z" is a zombie.
function peers.state(pid)
  return read(("/proc/%d/stat"):format(pid)):match "^.*%) (%S)"
end

-- Waits until it sleeps; it has said last that it is about to.
function peers.sleeps(peer)
  assert(process.await(function() return peers.state(peer.pid) == "S" or peer.code end), "it does not sleep")
  assert(not peer.code, peer.err)
  return peer
end

-- Starts one that says it is about to wait, and waits until it does.
function peers.waiting(name, chunk)
  return peers.sleeps(peers.hold(name, chunk))
end

-- Starts a server of the service "s": it runs the chunk for each `request`, and has `reply`.
function peers.serve(name, chunk)
  return peers.waiting(name, ([[
    local s, pid, n = a:service "s", require("luv").os_getpid(), 0
    say "serves"
    for request, reply in s:requests() do
      n = n + 1
      %s
    end]]):format(chunk))
end

-- Waits until one that sleeps has woken and sleeps again, so that its first look is over.
function peers.sleeps_on(peer)
  local path = ("/proc/%d/status"):format(peer.pid)
  local function switches() return tonumber(read(path):match "\nvoluntary_ctxt_switches:%s*(%d+)") end
  local before = switches()
  local function again() return peer.code or switches() ~= before end
  assert(process.await(again), "it does not look")
  return peers.sleeps(peer)
end

-- Kills it and waits until it is gone.
function peers.kill(peer)
  peer:kill "sigkill"
  peer:wait()
end

-- Stops it, and waits until it is stopped.
function peers.stop(peer)
  peer:kill "sigstop"
  assert(process.await(function() return peers.state(peer.pid) == "T" end), "it does not stop")
end

-- Its end, which must be a good one; returns what it said.
function peers.finish(peer)
  local code = peer:wait()
  if code ~= 0 or peer.err ~= "" then error(("exit code %d: %s"):format(code, peer.err), 2) end
  return peer.out
end

-- Seconds that a call takes, and what it returns.
function peers.timed(call, ...)
  local started = uv.hrtime()
  local results = table.pack(call(...))
  return (uv.hrtime() - started) / 1e9, table.unpack(results, 1, results.n)
end

-- The middle one of some numbers.
function peers.median(numbers)
  table.sort(numbers)
  return numbers[(#numbers + 1) // 2]
end

return peers
