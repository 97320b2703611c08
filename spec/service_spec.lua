-- service_spec.lua: services between processes: calls, errors, servers and callers that die, late replies, finishing.
local shm = require "shm"
local lowlevel = require "lowlevel"
local outcome = require "spec.support.outcome"
local peers = require "spec.support.peers"
local process = require "spec.support.process"
local uv = require "luv"

local name = "/shm_spec_service"
local what = '^service "s" of arena "/shm_spec_service"'

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

local deadly = "if request == 'die' then require('luv').kill(pid, 'sigkill') end reply(request)"

describe("a service", function()
  it("is found or made, with a limit for requests and replies", function()
    assert.equal(what:sub(2), tostring(s))
    assert.equal(s, arena:service("s", 4096))
    assert.equal(s, arena:service("s", 4096, { retry = true }))
    refused('^service "s" has 4096 bytes for a message, 8192 were asked for$', "EPROTOTYPE", arena:service("s", 8192))
    refused('^"s" is a service, not a channel$', "EPROTOTYPE", arena:channel("s", 4096))
    refused("the largest free extent", "ENOSPC", arena:service("large", "1M"))
    raises("requests and replies have at most 16M", arena.service, arena, "x", "17M")
    raises("unknown option 'retries'; there are retry", arena.service, arena, "x", 64, { retries = true })
    assert.equal("service", arena:objects()[1].kind)
    for _, bad in ipairs { 0, -1, 1.5, "x", true } do raises("bad argument", arena.service, arena, "x", bad) end
    for _, call in ipairs { "call", "requests", "finish" } do raises("with a colon", s[call], arena) end
    raises("a timeout is a number", s.call, s, 1, 0 / 0)
    raises("number expected", s.call, s, 1, {})
    raises("value is nil", s.call, s)
    raises("shm.server expected", (s:requests()), s)
  end)

  it("answers calls with every value, in order", function()
    local server = serve "reply(request)"
    for _, value in ipairs { 1, 1.5, "text", "", true, false, { a = { 1, 2 } }, ("x"):rep(4096),
      { ("y"):rep(4080) } } do
      assert.same({ value }, { s:call(value, 20) })
    end
    for i = 1, 500 do assert.equal(i, s:call(i)) end
    finish(server)
  end)

  it("says that no reply came in time, and drops it when it comes", function()
    local seconds, none, message, code = peers.timed(s.call, s, "late", 0.05)
    refused(what .. ": no reply came in time$", "ETIMEDOUT", none, message, code)
    assert.is_true(seconds >= 0.05 and seconds < 2)
    for _, timeout in ipairs { 0, -1 } do refused("in time", "ETIMEDOUT", s:call("late", timeout)) end
    local server = serve [[
      if request == "slow" then say "has it" hear() end
      say(request, reply(request .. " reply"))]]
    assert.equal("soon reply", s:call("soon", 20)) -- those given up are passed over
    assert.equal("soon\ttrue", server:line())
    refused("in time", "ETIMEDOUT", s:call("slow", 0.3))
    assert.equal("has it", server:line())
    peers.tell(server)
    assert.equal("next reply", s:call("next", 20))
    assert.matches("^slow\tnil\tservice .*: the caller does not wait for the reply any more\tECANCELED$", server:line())
    finish(server)
  end)

  it("hands on errors", function()
    local server = serve [[
      if request == "nil" then say(pcall(reply, nil)) end
      if request == "error" then reply(nil, "on purpose") end
      if request == "table" then reply(nil, setmetatable({}, { __tostring = function() return "as text" end })) end
      if request == "long" then reply(nil, ("e"):rep(10000)) end
      if request == "number" then reply(nil, 7) end
      if request == "false" then reply(false) end
      if request == "function" then say(pcall(reply, print)) reply "after" end
      if request == "large" then say(pcall(reply, ("x"):rep(4097))) reply "smaller" end
      if request == "twice" then reply "once" say(pcall(reply, "again")) say(pcall(reply, nil, "again")) end
      if request == "nil" then reply "was nil" end]]
    assert.same({ nil, "on purpose", "EREMOTE" }, { s:call("error", 20) })
    assert.same({ nil, "as text", "EREMOTE" }, { s:call("table", 20) })
    assert.same({ nil, ("e"):rep(4096), "EREMOTE" }, { s:call("long", 20) })
    assert.same({ nil, "7", "EREMOTE" }, { s:call("number", 20) })
    assert.same({ false }, { s:call("false", 20) })
    assert.equal("was nil", s:call("nil", 20))
    assert.matches("^false\tvalue is nil, which no message carries$", server:line())
    assert.equal("after", s:call("function", 20))
    assert.matches("^false\tvalue is a function", server:line())
    assert.equal("smaller", s:call("large", 20))
    assert.matches("^false\tthe message is too large for service .*: it takes 4096 bytes at most$", server:line())
    assert.equal("once", s:call("twice", 20))
    for _ = 1, 2 do assert.matches("^false\t.*this request was replied to already$", server:line()) end
    raises("is too large for service \"s\" .*: it takes 4096 bytes at most", s.call, s, ("x"):rep(4097))
    local endless = {}
    for _ = 1, 100 do endless = { endless, endless } end
    raises("is too large", s.call, s, endless)
    finish(server)
  end)

  it("replies with the error that leaves the loop", function()
    local server = serve "error('broke on ' .. request, 0)"
    refused("^broke on this", "EREMOTE", s:call("this", 20))
    server:wait()
    assert.equal(1, server.code)
    server = peers.waiting(name, [[
      local s = a:service "s"
      say "serves"
      for i = 1, 2 do
        say(pcall(function() for request in s:requests() do error({ request }) end end))
      end
      for _, reply in s:requests() do reply "well" end]])
    for _ = 1, 2 do refused("^table: ", "EREMOTE", s:call("x", 20)) end
    assert.equal("well", s:call("x", 20))
    finish(server)
  end)

  it("fails a request whose reply is collected", function()
    local server = serve "reply = nil collectgarbage() collectgarbage()"
    local asking = peers.start(name, "print(select(2, a:service('s'):call('kept?', 20)))")
    assert.is_truthy(process.await(function()
      s:call("more", 0.05) -- the loop lets go of a request when it takes the next
      return asking.code
    end, 10))
    assert.equal("the server has dropped the request\tEREMOTE\n", peers.finish(asking))
    server:kill "sigkill"
    server:wait()
  end)

  it("may reply later, in any order", function()
    local server = serve [[
      kept = kept or {}
      table.insert(kept, 1, { reply, request })
      if n == 3 then
        for _, one in ipairs(kept) do one[1](one[2] * 2) end
        kept, n = nil, 0
      end]]
    local callers = {}
    for i = 1, 3 do callers[i] = peers.start(name, ("print(a:service('s'):call(%d, 20))"):format(i)) end
    for i = 1, 3 do assert.equal(("%d\n"):format(2 * i), peers.finish(callers[i])) end
    finish(server)
  end)

  it("is shared by several servers, and by many callers, each of whom gets the reply to what he asked", function()
    local servers, callers, by = {}, {}, {}
    for i = 1, 3 do servers[i] = serve "reply { pid, request[1] * 1000 + request[2] }" end
    for i = 1, 6 do
      callers[i] = peers.start(name, ([[
        local s, by = a:service "s", {}
        for i = 1, 400 do
          local reply = assert(s:call({ %d, i }, 20))
          assert(reply[2] == %d * 1000 + i)
          by[reply[1] ] = true
        end
        for pid in pairs(by) do print(pid) end]]):format(i, i))
    end
    for _, caller in ipairs(callers) do
      for who in peers.finish(caller):gmatch "%d+" do by[tonumber(who)] = true end
    end
    local count = 0
    for _, server in ipairs(servers) do count = count + (by[server.pid] and 1 or 0) end
    assert.is_true(count >= 2, "one server did it all")
    finish(table.unpack(servers))
  end)

  it("is finished: no more calls, but those that were made are served", function()
    local caller = peers.waiting(name, "say 'calls' say(a:service('s'):call('made before', 20))")
    assert.same({ true }, { s:finish() })
    refused(what .. ' is finished; to begin anew, a:remove%("s"%) and open it again$', "EPIPE", s:call "after")
    local served = 0
    for request, reply in s:requests() do
      served = served + 1
      assert.is_true(reply(request))
    end
    assert.equal(1, served)
    assert.equal("made before", caller:line())
    peers.finish(caller)
    assert.is_nil((s:requests())(select(2, s:requests())))
  end)
end)

describe("a server that dies within a request", function()
  it("fails that call, within a second, and no other", function()
    local times = {}
    for round = 1, 3 do
      local servers = { serve(deadly), serve(deadly) }
      local seconds, none, message, code = peers.timed(s.call, s, "die", 20)
      refused(what .. ": the server died before it replied$", "EOWNERDEAD", none, message, code)
      assert.is_true(seconds < 1)
      times[round] = seconds
      for i = 1, 20 do assert.equal(i, s:call(i, 20)) end
      for _, server in ipairs(servers) do peers.kill(server) end
    end
    assert.is_true(peers.median(times) < 0.5)
  end)

  it("by os.exit, too, and leaves what it had not taken to the next", function()
    local server = serve "os.exit(0)"
    local callers = {}
    for i = 1, 4 do
      local start = i == 1 and peers.hold or peers.waiting
      callers[i] = start(name, "say 'calls' local r, m, code = a:service('s'):call('x', 20) say(r or code)")
      if i == 1 then assert.equal("EOWNERDEAD", callers[1]:line(5)) end
    end
    local next_server = serve "reply(request)"
    for i = 2, 4 do assert.equal("x", callers[i]:line(5)) end
    for _, caller in ipairs(callers) do peers.finish(caller) end
    server:wait()
    finish(next_server)
  end)

  it("has its call served by another, with retry", function()
    local again = arena:service("s", nil, { retry = true })
    local first = serve "require('luv').kill(pid, 'sigkill')"
    local second
    local caller = peers.waiting(name, [[
      local s = a:service("s", nil, { retry = true }) say "calls" say(s:call("important", 20))]])
    first:wait()
    second = serve "reply(request)"
    assert.equal("important", caller:line(5))
    peers.finish(caller)
    assert.equal(1, again:call(1, 20))
    second:kill "sigkill"
    second:wait()
    local seconds, none, message, code = peers.timed(again.call, again, 1, 0.2)
    refused("in time", "ETIMEDOUT", none, message, code)
    assert.is_true(seconds < 2)
    s:finish()
  end)

  it("and is stopped, not dead, is waited for", function()
    local server = serve "say 'has it' hear() reply(request)"
    local caller = peers.waiting(name, "say 'calls' say(a:service('s'):call('x', 20))")
    assert.equal("has it", server:line())
    peers.stop(server)
    refused("in time", "ETIMEDOUT", s:call("y", 0.5))
    server:kill "sigcont"
    peers.tell(server)
    assert.equal("x", caller:line(5))
    peers.finish(caller)
    finish(server)
  end)
end)

describe("a caller", function()
  it("that is killed leaves its slot to the next, however many are", function()
    for _ = 1, 9 do
      local dying = {}
      for i = 1, 4 do dying[i] = peers.waiting(name, "say 'calls' a:service('s'):call 'x'") end
      for i = 1, 4 do peers.kill(dying[i]) end
    end
    local server = serve "reply(request)"
    for i = 1, 100 do assert.equal(i, s:call(i, 20)) end
    finish(server)
  end)

  it("waits for a slot where 32 others call", function()
    local callers = {}
    for i = 1, 33 do
      callers[i] = peers.start(name, ("say 'calls' print(a:service('s'):call(%d, 25))"):format(i))
    end
    for i = 1, 33 do peers.sleeps((callers[i]:line() and callers[i])) end
    refused("in time", "ETIMEDOUT", s:call("no slot", 0.1))
    local server = serve "reply(request)"
    for i = 1, 33 do assert.equal(i .. "\n", peers.finish(callers[i])) end
    finish(server)
  end)

  it("is interrupted by Ctrl-C, and so is a server; both go on", function()
    local caller = peers.waiting(name, [[
      local s = a:service "s"
      say "calls" say(pcall(s.call, s, "given up")) say(s:call("again", 20))]])
    caller:kill "sigint"
    assert.matches("^false\t.*interrupted!$", caller:line(5))
    peers.sleeps(caller)
    local server = peers.waiting(name, [[
      local s = a:service "s"
      local function serve() for request, reply in s:requests() do say(request, reply(request)) end end
      say "serves" say(pcall(serve)) serve()]])
    assert.equal("again\ttrue", server:line(5))
    assert.equal("again", caller:line(5))
    peers.finish(caller)
    peers.sleeps(server)
    server:kill "sigint"
    assert.matches("^false\t.*interrupted!$", server:line(5))
    assert.equal("x", s:call("x", 20))
    finish(server)
  end)

  it("is told when the service is removed, and so is a server", function()
    local caller = peers.waiting(name, "say 'calls' say(select(3, a:service('s'):call 'x'))")
    arena:remove "s"
    assert.equal("EIDRM", caller:line(5))
    peers.finish(caller)
    s = arena:service "s"
    local server = peers.waiting(name, "say 'serves' for _ in a:service('s'):requests() do end")
    arena:remove "s"
    server:wait(5)
    assert.matches("was removed", server.err)
    refused("was removed", "EIDRM", s:call(1))
    refused("was removed", "EIDRM", s:finish())
  end)

  it("and a server cost no time while they wait", function()
    local chunk = "say 'waits' local c = os.clock() %s say(os.clock() - c < 0.1)"
    local caller = peers.waiting(name, chunk:format "a:service('s'):call('x', 0.5)")
    assert.equal("true", caller:line(5))
    peers.finish(caller)
    local server = peers.waiting(name, chunk:format "for _ in a:service('s'):requests() do end")
    local late = uv.hrtime() + 3e8
    process.await(function() return uv.hrtime() > late end)
    s:finish()
    assert.equal("true", server:line(5))
    peers.finish(server)
  end)

  it("may be a forked child, and raises once the arena is closed", function()
    local server = serve "reply(request)"
    assert.equal(0, lowlevel.child(function() return s:call("child", 20) == "child" end))
    assert.equal("parent", s:call("parent", 20))
    finish(server)
    local next_request, state = s:requests()
    arena:close()
    raises("closed", s.call, s, 1)
    raises("closed", s.finish, s)
    raises("closed", next_request, state)
  end)

  it("gets no reply from a server whose arena is closed, which is told", function()
    local other = assert(shm.arena(name))
    local caller = peers.waiting(name, "say 'calls' say(select(3, a:service('s'):call('x', 1)))")
    local next_request, state = other:service("s"):requests()
    local request, reply = next_request(state)
    assert.equal("x", request)
    other:close()
    raises("closed", reply, 1)
    assert.equal("ETIMEDOUT", caller:line(5))
    peers.finish(caller)
  end)
end)
