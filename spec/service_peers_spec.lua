-- service_peers_spec.lua: services whose callers are killed, whose servers are stopped, and what is left of either.
local shm = require "shm"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local uv = require "luv"

local name = "/shm_spec_service_peers"

local raises, refused = outcome.raises, outcome.refused

local arena, s
before_each(function()
  arena = assert(shm.arena(name, "2M", { owned = true }))
  s = assert(arena:service "s")
end)
after_each(function() arena:close() end)

local function serve(chunk) return peers.serve(name, chunk) end

local function finish(...)
  s:finish()
  for _, peer in ipairs { ... } do peers.finish(peer) end
end

describe("a server", function()
  it("tells a server that a caller who was killed gets no reply, and serves on", function()
    local server = serve "if request == 'x' then say 'has it' hear() end say(request, reply(request))"
    local caller = peers.waiting(name, "say 'calls' a:service('s'):call('x')")
    assert.equal("has it", server:line())
    peers.kill(caller)
    peers.tell(server)
    assert.matches("^x\tnil\tservice .*: the caller does not wait for the reply any more\tECANCELED$", server:line())
    assert.equal("y", s:call("y", 20))
    assert.equal("y\ttrue", server:line())
    finish(server)
  end)

  it("replies with the place of an error in a handler, which goes on where it is caught", function()
    local server = serve [[
      local done, message = pcall(function()
        error "broke"
      end)
      if done then reply "fine" else reply(nil, message) end]]
    for _ = 1, 2 do refused("^%(command line%):%d+: broke$", "EREMOTE", s:call("x", 20)) end
    finish(server)
    arena:remove "s"
    arena:service("s", 128)
    server = peers.start(name, "for _ in a:service('s', 128):requests() do local x = nil + 1 end")
    refused("^%(command line%):%d+: attempt to perform arithmetic on a nil value", "EREMOTE",
      arena:service("s", 128):call(("x"):rep(100), 20))
    server:wait()
    assert.equal(1, server.code)
  end)

  it("that is stopped longer than its caller waits, gets on when it is continued", function()
    local server = serve "say(request, reply(request))"
    assert.equal("first", s:call("first", 20))
    assert.equal("first\ttrue", server:line())
    peers.stop(server)
    local seconds, none, message, code = peers.timed(s.call, s, "in vain", 0.3)
    refused("no reply came in time", "ETIMEDOUT", none, message, code)
    assert.is_true(seconds >= 0.3 and seconds < 2)
    local caller = peers.waiting(name, "say 'calls' say(a:service('s'):call('patient', 20))")
    server:kill "sigcont"
    assert.equal("patient", caller:line(5))
    peers.finish(caller)
    assert.equal("patient\ttrue", server:line()) -- what was given up is passed over
    assert.equal("next", s:call("next", 20))
    finish(server)
  end)

  it("does not lose a request where its slot's lock is another's for a moment", function()
    arena:close()
    arena = assert(shm.arena(name, "2M", { owned = true }))
    s = arena:service "s"
    local bytes <close> = assert(shm.attach(name))
    local mutex = peers.hold(name, "a:mutex 'm':lock() say 'holds' hear()")
    local caller = peers.waiting(name, "say 'calls' print(a:service('s'):call('patience', 3))")
    local words = bytes:view("u64", 0, #bytes // 8)
    local held, slot
    for i = 1, #words do -- the word of the mutex names its owner, the slot's first its caller, the next is its lock
      local low = words[i] & 0x3fffffff
      if low == mutex.pid and not held then held = words[i] end
      if low == caller.pid and words[i + 1] == 0 and words[i + 3] == 1 then slot = i end
    end
    words[slot + 1] = held
    local server = serve "reply(request)"
    local late = uv.hrtime() + 1e8
    process.await(function() return uv.hrtime() > late end)
    words[slot + 1] = 0
    assert.equal("patience", caller:line(5))
    peers.finish(caller)
    peers.kill(mutex)
    finish(server)
  end)
end)

describe("a caller", function()
  it("keeps no slot for a call whose arena a hook has closed", function()
    local bytes <close> = assert(shm.attach(name))
    local function places_of_mine() -- words that name this process
      local words, found = bytes:view("u64", 0, #bytes // 8), 0
      for i = 1, #words do found = found + (words[i] & 0x3fffffff == uv.os_getpid() and 1 or 0) end
      return found
    end
    local before, other, started = places_of_mine(), assert(shm.arena(name)), uv.hrtime()
    local service = other:service "s"
    debug.sethook(function()
      if uv.hrtime() > started + 1e8 then other:close() end
    end, "c")
    raises("closed", service.call, service, "nobody serves")
    debug.sethook()
    assert.equal(before, places_of_mine())
  end)
end)
