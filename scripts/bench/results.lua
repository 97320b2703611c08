-- results.lua: reads what report.lua has written: rows of comma-separated values, and lines that
-- begin with # and say where from. Touches that file.

local results = {}

-- The cells of a line: numbers, and texts in double quotes, in which a double quote stands twice.
local function cells(line)
  local found, at = {}, 1
  repeat
    local text, stop = line:match('^"([^"]*)"()', at)
    while text and line:sub(stop, stop) == '"' do
      local more, after = line:match('^([^"]*)"()', stop + 1)
      text, stop = text .. '"' .. more, after
    end
    if not text then text, stop = line:match("^([^,]*)()", at) end
    found[#found + 1] = text
    at = stop + 1
  until stop > #line
  return found
end

-- A list of rows, each with a field for each column that has something in it; `about` are the lines
-- that say where from.
function results.read(path)
  local rows, columns = { about = {} }, nil
  local file <close> = io.open(path) or error(path .. " is not there: make bench writes it", 0)
  for line in file:lines() do
    if line:sub(1, 1) == "#" then
      table.insert(rows.about, line:sub(3))
    elseif not columns then
      columns = cells(line)
    else
      local row = {}
      for i, cell in ipairs(cells(line)) do
        if cell ~= "" then row[columns[i]] = tonumber(cell) or cell end
      end
      table.insert(rows, row)
    end
  end
  return rows
end

-- The rows of a work, and of a point of it.
function results.of(rows, work, at)
  local found = {}
  for _, row in ipairs(rows) do
    if row.work == work and (not at or row.at == at) then found[#found + 1] = row end
  end
  return found
end

return results
