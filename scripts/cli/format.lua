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

-- "1 object", "2 objects".
function format.many(count, what, ending)
  return ("%d %s"):format(count, what) .. (count == 1 and "" or ending or "s")
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

-- Parts of a text that may stand on a line of their own: phrases, and words of those that are too long.
local function pieces_of(text, width)
  local pieces = {}
  for phrase in text:gsub("([,;:]) ", "%1\n"):gmatch("[^\n]+") do
    if format.width(phrase) > width then phrase = phrase:gsub(" ", "\n") end
    for piece in phrase:gmatch("[^\n]+") do pieces[#pieces + 1] = format.cut(piece, width) end
  end
  return pieces
end

-- The lines of a text, of so many columns.
function format.wrap(text, width)
  if format.width(text) <= width then return { text } end
  local lines = {}
  for _, piece in ipairs(pieces_of(text, width)) do
    local last = lines[#lines]
    if last and format.width(last) + 1 + format.width(piece) <= width then
      lines[#lines] = last .. " " .. piece
    else
      lines[#lines + 1] = piece
    end
  end
  return lines
end

-- ---- tables ----

local GAP, INDENT = 2, 4 -- columns between two cells, and before what stands below its line

local function text_of(cell) return cell.text or cell end

local function widths_of(columns, rows)
  local widths = {}
  for i, column in ipairs(columns) do
    widths[i] = format.width(column.title)
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], format.width(text_of(row[i]))) end
  end
  return widths
end

local function total_of(widths, gap)
  local total = gap * (#widths - 1)
  for _, width in ipairs(widths) do total = total + width end
  return total
end

-- The widest of the columns that may shrink does, again and again, until the line fits, if it can.
local function shrink(columns, widths, gap, room)
  for _ = room + 1, total_of(widths, gap) do
    local widest
    for i, column in ipairs(columns) do
      local can = column.least and widths[i] > column.least
      if can and (not widest or widths[i] > widths[widest]) then widest = i end
    end
    if not widest then return end
    widths[widest] = widths[widest] - 1
  end
end

-- Fits the columns into the room; the last one, which may be wrapped, gets what the others leave of it.
-- Returns the gap, and where there is too little left for that one, its width below the line.
local function fit(columns, widths, room)
  local last, natural = #columns, widths[#columns]
  local most = columns[last].wrap
  if total_of(widths, GAP) <= room then return GAP end
  if not most then
    local gap = total_of(widths, 1) <= room and 1 or GAP
    shrink(columns, widths, gap, room)
    return gap
  end
  widths[last] = math.min(natural, most)
  shrink(columns, widths, GAP, room)
  local rest = room - total_of(widths, GAP)
  if rest < 0 then return GAP, room - INDENT end
  widths[last] = math.min(natural, widths[last] + rest)
  return GAP
end

-- Cells as one line, of at most so many columns.
local function line_of(cells, columns, widths, gap, room, style)
  local texts = {}
  for i, cell in ipairs(cells) do
    local text, at_end = format.cut(text_of(cell), widths[i]), i == #cells and not columns[i].right
    text = format.cut(at_end and text or pad(text, widths[i], columns[i].right), math.max(0, room))
    room = room - widths[i] - gap
    texts[i] = output.paint(style or cell.style, text)
  end
  return (table.concat(texts, (" "):rep(gap)):gsub(" +$", ""))
end

-- Lines of a table. columns: { title =, right =, least = (columns it may shrink to) }, and of the last one, wrap =
-- (columns that it has to have beside the others, or its cells stand below them); a cell is a text, or
-- { text =, style = }. Without a width, lines are as long as they are.
function format.table(columns, rows, width)
  local widths, lines, gap, below = widths_of(columns, rows), {}, GAP, nil
  if width then gap, below = fit(columns, widths, width) end
  local beside = below and #columns - 1 or #columns
  local function add(cells, style)
    cells = table.move(cells, 1, beside, 1, {})
    lines[#lines + 1] = line_of(cells, columns, widths, gap, width or math.huge, style)
  end
  local titles = {}
  for i, column in ipairs(columns) do titles[i] = column.title end
  add(titles, "head")
  local indent = (" "):rep(below and INDENT or total_of(widths, gap) - widths[#columns])
  for _, row in ipairs(rows) do
    local last = row[#columns]
    local texts = columns[#columns].wrap and format.wrap(text_of(last), below or widths[#columns]) or { text_of(last) }
    row[#columns] = { text = texts[1], style = last.style }
    add(row)
    for i = below and 1 or 2, #texts do
      if texts[i] ~= "" then lines[#lines + 1] = indent .. output.paint(last.style, texts[i]) end
    end
  end
  return lines
end

return format
