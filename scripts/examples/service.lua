-- service.lua: requests and replies: servers share the work, an error comes back to the caller as an error, and a
-- server that dies within a request fails that call and no other.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local uv = require "luv"
local parser = example.parser("Two servers, and one who calls them.")
parser:flag("--server", "Be a server (the first process starts two)."):hidden(true)
local options = parser:parse()

local prices = { apple = 0.5, pear = 0.75, plum = 0.2 }

local arena <close> = example.check(shm.arena("/shm_service", "1M", { owned = not options.server }))
local service = example.check(arena:service "price")

local function serve()
  for order, reply in service:requests() do
    if order == "die" then uv.kill(uv.os_getpid(), "sigkill") end
    local price = prices[order.fruit]
    if price then
      reply { total = price * order.count, server = uv.os_getpid() }
    else
      reply(nil, "there is no " .. order.fruit)
    end
  end
end

local function start_server()
  local handle
  handle = example.check(uv.spawn(example.interpreter, { args = { arg[0], "--server" }, stdio = { nil, 1, 2 } },
    function() handle:close() end))
end

local function call(what, request)
  local reply, message, code = service:call(request, 5)
  if reply then
    print(("%-18s %.2f, says server %d"):format(what, reply.total, reply.server))
  else
    print(("%-18s %s: %s"):format(what, code, message))
  end
end

if options.server then
  serve()
else
  start_server()
  start_server()
  call("4 apples:", { fruit = "apple", count = 4 })
  call("10 plums:", { fruit = "plum", count = 10 })
  call("a durian:", { fruit = "durian", count = 1 })
  call("a deadly request:", "die")
  call("2 pears:", { fruit = "pear", count = 2 })
  service:finish()
  uv.run()
end
