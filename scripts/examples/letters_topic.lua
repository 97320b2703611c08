-- letters_topic.lua: the documents' letter server and client once more, over a topic: a server publishes a string that
-- grows, and any number of clients receive each of its lines, without looking at the same bytes again and again.
-- Start the server, then clients with --client; without any, it publishes all the same.
local example = dofile((arg[0]:gsub("[^/]*$", "example.lua")))
local shm = require "shm"
local parser = example.parser("A server publishes letters, clients receive them.", true, "letters_topic.lua")
parser:flag("--client", "Receive, until the server has ended.")
parser:flag("--oldest", "As a client, begin with what was published before.")
local options = parser:parse()

local arena <close> = example.check(shm.arena("/shm_letters", not options.client and "64K" or nil, { owned = true }))
local letters = example.check(arena:topic("letters", "16K"))

if options.client then
  local subscription = example.check(letters:subscribe { from = options.oldest and "oldest" or "latest" })
  for text, lost in subscription:messages() do
    print(text .. (lost > 0 and (" (%d lost)"):format(lost) or ""))
  end
else
  local text = ""
  for step in example.steps(options) do
    text = text .. string.char(65 + (step - 1) % 26)
    example.check(letters:publish(text))
    print("published " .. text)
  end
  letters:finish()
end
