-- commandline.lua: the one description of the command line: for parsing, --help, and the man page.
local argparse = require "argparse"

local commandline = {}

commandline.commands = { "ls", "stat", "create", "read", "write", "rm", "watch", "arena", "top" }

-- What holds for all commands: at the end of --help, and sections of the man page.
commandline.notes = {
  { "NAMES", "A NAME is /name (POSIX), a key (System V: 13, 0x0000000d) or an identifier (id=4). mq:13 and "
    .. "mq:id=4 are message queues; ls, stat and rm know them. A SIZE is bytes, or "
    .. "64K, 1M, 2G." },
  { "EXIT STATUS", "Exit codes: 0 done, 1 failed (one line on standard error says why), 2 the command line cannot be "
    .. "meant." },
  { "ENVIRONMENT", "Colour is for terminals only, and not where NO_COLOR is set." },
}

-- A parser of the whole command line.
function commandline.parser()
  local notes = {}
  for i, note in ipairs(commandline.notes) do notes[i] = note[2] end
  local parser = argparse("shm", "Looks at shared memory, and into it.")
    :epilog(table.concat(notes, "\n\n") .. "\n\nExample: shm ls"):require_command(true):command_target("command")
    :help_max_width(100)
  parser:flag("--version", "Show the version and exit."):action(function()
    print(require "shm"._VERSION)
    os.exit(0)
  end)
  for _, name in ipairs(commandline.commands) do
    local part = require("cli." .. name)
    local command = parser:command(name, part.summary)
    command:summary(part.summary):epilog("Example: " .. part.example)
    part.describe(command)
  end
  return parser
end

-- Conversions of arguments: for argparse, nil and a message where it cannot be.
function commandline.whole(text)
  local number = math.tointeger(tonumber(text))
  if number and number >= 0 then return number end
  return nil, ("%s is not a whole number from 0"):format(text)
end

function commandline.seconds(text)
  local number = tonumber(text)
  if number and number >= 0.05 and number <= 1e6 then return number end
  return nil, ("%s is not a number of seconds from 0.05"):format(text)
end

return commandline
