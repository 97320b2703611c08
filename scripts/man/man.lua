-- man.lua: writes a manual page to standard output: shm.1, shmlua.1 or shm.3lua. `make man` calls it, from the
-- top of the tree, and hands what `shmlua --help` prints to shmlua.1. It needs Lua only: of the libraries that the
-- tool uses, it takes stand-ins.
local here = arg[0]:match("^.*/") or "./"
package.path = here .. "?.lua;" .. here .. "../?.lua;" .. package.path

-- The tool's description is recorded, and nothing of it runs.
package.preload.argparse = function() return require "recorder" end
package.preload.luv = function() return { guess_handle = function() end } end
package.preload.shm = function() return {} end

-- core/base/version.h says it.
local function version()
  local file <close> = assert(io.open(here .. "../../core/base/version.h"))
  local numbers = {}
  for number in file:read("a"):gmatch("#define SHMX_VERSION_[MP]%u+ +(%d+)") do numbers[#numbers + 1] = number end
  return table.concat(numbers, ".")
end

require "roff".version = version()

local pages = {
  ["shm.1"] = function()
    local commandline = require "cli.commandline"
    return require "tool_page".write(commandline.parser(), commandline.notes)
  end,
  ["shmlua.1"] = function() return require "host_page".write(io.read "a") end,
  ["shm.3lua"] = function() return require "api_page".write(here .. "../../bindings/meta/shm.lua") end,
}

local page = pages[arg[1]]
if not page then
  io.stderr:write("man.lua: there are shm.1, shmlua.1 and shm.3lua\n")
  os.exit(2)
end
io.write(page())
