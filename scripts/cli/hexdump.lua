-- hexdump.lua: bytes as lines of sixteen: offset, hexadecimal, text; some of them marked.
local output = require "cli.output"

local hexdump = {}

hexdump.ROW = 16

-- One byte and the space behind it; without colour, a star marks it.
local function cell(byte, is_marked)
  if not is_marked then return ("%02x "):format(byte) end
  if output.has_colour then return output.paint("mark", ("%02x"):format(byte)) .. " " end
  return ("%02x*"):format(byte)
end

local function letter(byte, is_marked)
  local text = byte >= 32 and byte < 127 and string.char(byte) or "."
  return is_marked and output.has_colour and output.paint("mark", text) or text
end

-- Bytes of a line that fits into so many columns.
function hexdump.row(width)
  return (not width or width >= 78) and hexdump.ROW or width >= 45 and 8 or 4
end

-- A line of up to `row` bytes, of which those differ that are marked: `before` has others there, if given. Also
-- returns how many those are.
function hexdump.line(offset, bytes, row, before)
  local hex, text, marks = {}, {}, 0
  for i = 1, row do
    local byte, old = bytes:byte(i), before and before:byte(i)
    local is_marked = byte and old and old ~= byte
    if is_marked then marks = marks + 1 end
    hex[i] = (byte and cell(byte, is_marked) or "   ") .. (i == 8 and row > 8 and " " or "")
    text[i] = byte and letter(byte, is_marked) or ""
  end
  local line = ("%s  %s |%s|"):format(output.paint("dim", ("%08x"):format(offset)), table.concat(hex),
    table.concat(text))
  return line, marks
end

return hexdump
