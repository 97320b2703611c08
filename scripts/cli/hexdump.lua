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

-- A line of up to sixteen bytes, of which those differ that are marked: `before` has others there, if given.
function hexdump.line(offset, bytes, before)
  local hex, text = {}, {}
  for i = 1, hexdump.ROW do
    local byte = bytes:byte(i)
    local is_marked = byte and before and before:byte(i) ~= byte
    hex[i] = (byte and cell(byte, is_marked) or "   ") .. (i == 8 and " " or "")
    text[i] = byte and letter(byte, is_marked) or ""
  end
  return ("%s  %s |%s|"):format(output.paint("dim", ("%08x"):format(offset)), table.concat(hex), table.concat(text))
end

return hexdump
