-- output.lua: standard output: collected, written in lots, silent when its reader has gone; colour.
local problem = require "cli.problem"
local uv = require "luv"

local output = {}

local LOT = 65536 -- bytes
local parts, length = {}, 0

-- Writes what was said. A reader who has gone has what it wanted: that ends the program, silently.
function output.flush()
  local text = table.concat(parts)
  parts, length = {}, 0
  if text == "" then return end
  local written, message, errno = io.stdout:write(text)
  if written then written, message, errno = io.stdout:flush() end
  if written then return end
  if errno == 32 then error({ code = 0 }, 0) end -- EPIPE
  problem.fail("standard output: " .. message)
end

function output.write(text)
  parts[#parts + 1] = text
  length = length + #text
  if length >= LOT then
    length = 0
    output.flush()
  end
end

function output.line(text)
  output.write(text .. "\n")
end

output.is_terminal = uv.guess_handle(1) == "tty"
local no_color = os.getenv("NO_COLOR")
output.has_colour = output.is_terminal and (no_color == nil or no_color == "") and os.getenv("TERM") ~= "dumb"

-- Such as can be read on white and on black.
local codes = { head = "1", bad = "31", warn = "35", dim = "2", name = "1", mark = "30;43" }

-- The text in a colour, where there is colour; as it is without a style.
function output.paint(style, text)
  if not style or not output.has_colour or text == "" then return text end
  return "\27[" .. codes[style] .. "m" .. text .. "\27[0m"
end

-- Columns and rows of the terminal; nil where there is none.
function output.size()
  if not output.is_terminal then return nil end
  local terminal = uv.new_tty(1, false)
  if not terminal then return 80, 24 end
  local width, height = terminal:get_winsize()
  terminal:close()
  uv.run("nowait")
  if not width or width == 0 then return 80, 24 end
  return width, height
end

return output
