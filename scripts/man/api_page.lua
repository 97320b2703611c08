-- api_page.lua: the manual page of the module, from bindings/meta/shm.lua, which describes all of it.
local roff = require "roff"

local api_page = {}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- ---- reading ----

-- The comments and the lines below them: { text =, tags = { { tag, rest } }, code = }.
local function blocks_of(text)
  local blocks, block = {}, { tags = {}, lines = {} }
  for line in text:gmatch("[^\n]*") do
    local tag, rest = line:match("^%-%-%-@(%w+)%s*(.*)$")
    local more = line:match("^%-%-%-  (.*)$")
    local words = line:match("^%-%-%-(.*)$")
    if tag then
      block.tags[#block.tags + 1] = { tag, rest }
    elseif more and #block.tags > 0 then
      local last = block.tags[#block.tags]
      last[2] = last[2] .. " " .. more
    elseif words then
      block.lines[#block.lines + 1] = words
    elseif #block.lines > 0 or #block.tags > 0 then
      block.code = line
      blocks[#blocks + 1], block = block, { tags = {}, lines = {} }
    end
  end
  return blocks
end

local function tags(block, name)
  local list = {}
  for _, tag in ipairs(block.tags) do
    if tag[1] == name then list[#list + 1] = tag[2] end
  end
  return list
end

-- The type at the start of a text, which may have spaces within brackets, or behind "|", and what follows it.
local function split_type(text)
  local depth, at = 0, 1
  while at <= #text do
    local letter = text:sub(at, at)
    if letter:find("[({<%[]") then depth = depth + 1 end
    if letter:find("[)}>%]]") then depth = depth - 1 end
    local goes_on = text:sub(at - 1, at - 1):find("[:,|]")
    if letter == " " and depth == 0 and not goes_on then break end
    at = at + 1
  end
  return text:sub(1, at - 1), (text:sub(at + 1))
end

-- ---- writing ----

local function field_item(rest)
  local name, more = rest:match("^(%S+)%s+(.*)$")
  local kind, text = split_type(more)
  if name:find("%?$") then kind = kind .. ", optional" end
  return roff.item((name:gsub("%?$", "")), text ~= "" and kind .. ": " .. text or kind)
end

local function class_of(block)
  local name = tags(block, "class")[1]
  if not name then return "" end
  local fields = {}
  for i, rest in ipairs(tags(block, "field")) do fields[i] = field_item(rest) end
  return roff.subsection(name) .. roff.text(table.concat(block.lines, "\n")) .. "\n" .. table.concat(fields)
end

local function alias_of(block)
  local alias = tags(block, "alias")[1]
  if not alias then return "" end
  local name, definition = alias:match("^(%S+)%s+(.*)$")
  return roff.subsection(name) .. roff.text(table.concat(block.lines, "\n")) .. "\n" .. roff.paragraph(definition)
end

-- "shm.create(name, size [, opts])" of a declaration and the parameters that are optional.
local function signature(call, parameters, block)
  local optional = {}
  for _, rest in ipairs(tags(block, "param")) do optional[rest:match("^([%w_.]+)")] = rest:find("^[%w_.]+%?") end
  local text, closing = "", ""
  for name in parameters:gmatch("[%w_.]+") do
    local comma = text == "" and "" or ", "
    if optional[name] then
      text, closing = text .. (text == "" and "[" or " [") .. comma .. name, closing .. "]"
    else
      text = text .. comma .. name
    end
  end
  return ("%s(%s%s)"):format(call, text, closing)
end

local function returns_of(block)
  local list = {}
  for i, rest in ipairs(tags(block, "return")) do list[i] = rest end
  return roff.item("Returns", table.concat(list, "; "))
end

local function function_of(block)
  local call, parameters = block.code:match("^function ([%w_.:]+)%((.-)%) end$")
  if not call then return nil end
  local text = table.concat(block.lines, "\n"):gsub("\nSystem calls: ", "\n.br\nSystem calls: ")
    :gsub("\nErrors: ", "\n.br\nErrors: ")
  local parts = { roff.subsection(signature(call, parameters, block)),
    (roff.text(text):gsub("\n\\&%.br\n", "\n.br\n")), "\n" }
  for _, rest in ipairs(tags(block, "param")) do parts[#parts + 1] = field_item(rest) end
  parts[#parts + 1] = returns_of(block)
  return table.concat(parts), call:match("^%w+")
end

local function sections(blocks)
  local types, owners, order = {}, {}, {}
  for _, block in ipairs(blocks) do
    local text, owner = function_of(block)
    if text then
      if not owners[owner] then owners[owner], order[#order + 1] = {}, owner end
      table.insert(owners[owner], text)
    else
      types[#types + 1] = alias_of(block) .. class_of(block)
    end
  end
  local page = {}
  for _, owner in ipairs(order) do
    page[#page + 1] = roff.section(owner == "shm" and "FUNCTIONS" or owner:upper()) .. table.concat(owners[owner])
  end
  page[#page + 1] = roff.section "TYPES" .. table.concat(types)
  return table.concat(page)
end

-- The page, as the description in this file has it.
function api_page.write(path)
  local text = read(path)
  local opening = text:match("\n(%-%- Everywhere.-)\n\n"):gsub("%-%- ?", "")
  return roff.header("SHM", "3lua", "Lua Library") .. roff.section "NAME"
    .. "shm \\- shared memory that Lua programs can trust\n" .. roff.section "SYNOPSIS"
    .. roff.example 'local shm = require "shm"' .. roff.section "DESCRIPTION" .. roff.text(opening) .. "\n"
    .. sections(blocks_of(text)) .. roff.section "SEE ALSO" .. "shm(1), shmlua(1), shm_overview(7), sysvipc(7)\n"
end

return api_page
