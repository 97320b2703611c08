-- stuck_lock_spec.lua: calls without a timeout that find a lock whose owner never gives it up: they end all the same.
local shm = require "shm"
local uv = require "luv"
local process = require "spec.support.process"

local name = "/shm_spec_stuck"

-- Opens everything, waits for the word, and makes one call.
local caller = [[
local shm = require "shm"
local a = assert(shm.arena "]] .. name .. [[")
local objects = {
  a = a, t = a:topic("t", 256), ch = a:channel("ch", 256), sv = a:service("sv", 64),
  s = a:semaphore("s", 2), b = a:barrier("b", 2), taken = a:semaphore("taken", 1), empty = a:channel("empty", 256),
}
io.stdout:setvbuf "line"
print "ready"
io.read()
print(load(call, "=call", "t", setmetatable(objects, { __index = _G }))())
]]

describe("a lock whose owner is stopped, or that a peer has forged,", function()
  local calls = {
    "return t:publish 'x'", "return t:subscribe()", "return t:finish()",
    "return ch:finish()", "return sv:finish()", "return sv:call 'x'",
    "return s:acquire()", "return b:wait()",
    "return a:remove 'none'", "return a:objects()", "return a:stat()", "return a:mutex 'm'",
    "return require 'shm'.arena '" .. name .. "'",
    "local step, server = sv:requests() local _, why = pcall(step, server) return nil, why, 'ETIMEDOUT'",
  }

  -- Each waits ten seconds, and so all of them do so at once.
  it("ends calls that have no timeout after ten seconds, and they name the process that has it", function()
    local arena <close> = assert(shm.arena(name, "1M", { owned = true }))
    local segment <close> = assert(shm.attach(name))
    for _, object in ipairs { { "topic", "t", 256 }, { "channel", "ch", 256 }, { "service", "sv", 64 },
      { "semaphore", "s", 2 }, { "barrier", "b", 2 }, { "semaphore", "taken", 1 }, { "channel", "empty", 256 } } do
      assert(arena[object[1]](arena, table.unpack(object, 2)))
    end
    local taken, empty = arena:semaphore("taken", 1), arena:channel("empty", 256)
    assert(taken:acquire())
    local children = {}
    local function start_call(call)
      local child = process.start(process.lua, { "-e", "local call = [[" .. call .. "]] " .. caller })
      assert.equal("ready", child:line())
      return child
    end
    for i, call in ipairs(calls) do children[i] = start_call(call) end
    local patient = { start_call "return taken:acquire()", start_call "return empty:receive()" }
    local me = math.tointeger(uv.os_getpid())
    local function lock(offset) segment:view("u64", offset, 1)[1] = me end
    local function start(i) return segment:view("u64", 256 + (i - 1) * 128 + 16, 1)[1] end
    local requests = start(3) + 64 + 32 * (64 + 64)
    for _, offset in ipairs { 64, start(1), start(2), requests, requests + 128, start(4), start(5) } do lock(offset) end
    for _, child in ipairs(children) do child.input:write "go\n" end
    for _, child in ipairs(patient) do child.input:write "go\n" end
    for i, call in ipairs(calls) do
      local line = children[i]:line()
      assert.matches("process " .. me, line, nil, call)
      assert.matches("ETIMEDOUT$", line, nil, call)
      assert.equal(0, (children[i]:wait()), children[i].err)
    end
    -- What is waited for as long as others like takes no lock of theirs.
    for _, child in ipairs(patient) do assert.equal("", child.out) end
    assert(taken:release() and empty:send "sent")
    assert.equal("true", patient[1]:line())
    assert.equal("sent", patient[2]:line())
    for _, child in ipairs(patient) do assert.equal(0, (child:wait())) end
    segment:view("u64", 64, 1)[1] = 0
  end)
end)
