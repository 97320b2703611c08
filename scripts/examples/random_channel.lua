-- random_channel.lua: the documents' random numbers over a channel: each number is received once, by one reader, in
-- order, and none is missed. Start a writer, then as many readers as you like with --reader.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("A writer sends random numbers, readers receive them.", true, "random_channel.lua")
parser:flag("--reader", "Receive, until the writer has ended.")
local options = parser:parse()

local arena <close> = example.check(shm.arena("/shm_random", not options.reader and "64K" or nil, { owned = true }))
local numbers = example.check(arena:channel("numbers", "4K"))

if options.reader then
  for number in numbers:messages() do print("received " .. number) end
else
  local number
  for _ in example.steps(options) do
    number = number or math.random(0, 2147483647)
    local sent, message, code = numbers:send(number, 0.2)
    if sent then
      print("sent " .. number)
      number = nil
    elseif code ~= "ETIMEDOUT" then -- full, as nobody reads: Ctrl-C is looked for between two steps
      example.check(sent, message, code)
    end
  end
  numbers:finish()
end
