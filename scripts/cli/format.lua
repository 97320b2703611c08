-- format.lua: sizes, rates, times and shares as people read them; columns that fit the terminal.
local output = require "cli.output"

local format = {}

local function scaled(number, step, units)
  local unit = 1
  while number >= step and unit < #units do
    number, unit = number / step, unit + 1
  end
  if unit == 1 then return ("%d"):format(number) end
  local digits = number < 9.95 and "%.1f%s" or "%.0f%s"
  return digits:format(number, units[unit])
end

-- Bytes: 512, 2.0K, 64K, 1.5M.
function format.size(bytes)
  return scaled(bytes, 1024, { "", "K", "M", "G", "T", "P", "E" })
end

-- How many: 512, 1.2k, 64k, 3.4M.
function format.count(number)
  return scaled(math.floor(number + 0.5), 1000, { "", "k", "M", "G", "T" })
end

function format.time(seconds)
  if not seconds or seconds == 0 then return "never" end
  return os.date("%Y-%m-%d %H:%M:%S", seconds)
end

-- A share from 0 to 1 as a bar and in per cent.
function format.bar(share, width)
  share = share < 0 and 0 or share > 1 and 1 or share
  local full = math.floor(share * width + 0.5)
  if full == 0 and share > 0 then full = 1 end
  return ("#"):rep(full) .. ("."):rep(width - full) .. (" %3d%%"):format(math.floor(share * 100 + 0.5))
end

function format.width(text) return utf8.len(text) or #text end

-- At most so many columns of a text, the last of which says that there was more.
function format.cut(text, width)
  if format.width(text) <= width then return text end
  if width < 1 then return "" end
  if not utf8.len(text) then return text:sub(1, width - 1) .. "~" end
  return text:sub(1, utf8.offset(text, width) - 1) .. "~"
end

local function pad(text, width, right)
  local space = (" "):rep(width - format.width(text))
  return right and space .. text or text .. space
end

local function widths_of(columns, rows)
  local widths = {}
  for i, column in ipairs(columns) do
    widths[i] = format.width(column.title)
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], format.width(row[i].text or row[i])) end
  end
  return widths
end

-- The widest of the columns that may shrink does, again and again, until the line fits.
local function shrink(columns, widths, room)
  local total = 2 * (#columns - 1)
  for _, width in ipairs(widths) do total = total + width end
  while total > room do
    local widest
    for i, column in ipairs(columns) do
      local can = column.least and widths[i] > column.least
      if can and (not widest or widths[i] > widths[widest]) then widest = i end
    end
    if not widest then return end
    widths[widest], total = widths[widest] - 1, total - 1
  end
end

-- Lines of a table. columns: { title =, right =, least = (columns it may shrink to) }; a cell is a text,
-- or { text =, style = }. Without a width, lines are as long as they are.
function format.table(columns, rows, width)
  local widths, lines = widths_of(columns, rows), {}
  if width then shrink(columns, widths, width) end
  local function line(row, style)
    local cells, room = {}, width or math.huge
    for i, cell in ipairs(row) do
      local text = format.cut(cell.text or cell, widths[i])
      local last = i == #row and not columns[i].right
      text = last and text or pad(text, widths[i], columns[i].right)
      text = room == math.huge and text or format.cut(text, room)
      room = room - format.width(text) - 2
      cells[i] = (style or cell.style) and output.paint(style or cell.style, text) or text
      if room <= 0 then break end
    end
    lines[#lines + 1] = (table.concat(cells, "  "):gsub(" +$", ""))
  end
  local titles = {}
  for i, column in ipairs(columns) do titles[i] = column.title end
  line(titles, "head")
  for _, row in ipairs(rows) do line(row) end
  return lines
end

return format
