-- tool_page.lua: the manual page of the tool shm, from the description of its command line.
local roff = require "roff"

local tool_page = {}

local function raw(node, field) return rawget(node, field) end

local function property(node, name) return raw(node, "properties")[name] end

local function value_of(node) return property(node, "argname") or raw(node, "name"):match("[^- ]+$"):upper() end

-- "-o BYTES, --offset BYTES", "--json", "NAME".
local function label(node)
  if raw(node, "kind") == "argument" then return raw(node, "name") end
  local names = {}
  for name in raw(node, "name"):gmatch("%S+") do
    names[#names + 1] = raw(node, "kind") == "option" and name .. " " .. value_of(node) or name
  end
  return table.concat(names, ", ")
end

local function is_optional(node)
  return raw(node, "kind") ~= "argument" or property(node, "args") == "*" or property(node, "args") == "?"
end

local function synopsis(path, node)
  local words = { path }
  for _, part in ipairs(raw(node, "children")) do
    local text = raw(part, "kind") == "command" and nil or label(part):match("[^,]*$"):gsub("^ ", "")
    if text and property(part, "args") == "*" then text = text .. "..." end
    if text then words[#words + 1] = is_optional(part) and "[" .. text .. "]" or text end
  end
  return table.concat(words, " ")
end

local function items(node)
  local list = {}
  for _, part in ipairs(raw(node, "children")) do
    if raw(part, "kind") ~= "command" then
      local text, default = raw(part, "text"), property(part, "default")
      list[#list + 1] = roff.item(label(part), default and ("%s (default: %s)"):format(text, default) or text)
    end
  end
  return table.concat(list)
end

local function commands(parser)
  local list = {}
  for _, command in ipairs(raw(parser, "children")) do
    if raw(command, "kind") == "command" then
      list[#list + 1] = roff.subsection(synopsis(raw(parser, "name") .. " " .. raw(command, "name"), command))
        .. roff.text(raw(command, "text")) .. "\n" .. items(command)
        .. roff.example((property(command, "epilog"):gsub("^Example: ", "")))
    end
  end
  return table.concat(list)
end

-- parser: as recorder.lua has kept it; notes: sections, { title, text }.
function tool_page.write(parser, notes)
  local name, text = raw(parser, "name"), raw(parser, "text")
  local page = {
    roff.header(name:upper(), 1, "User Commands"), roff.section "NAME",
    roff.text(name) .. " \\- " .. roff.text((text:gsub("%.$", ""):gsub("^%u", string.lower))) .. "\n",
    roff.section "SYNOPSIS", roff.text(name .. " COMMAND [OPTION]... [ARGUMENT]...") .. "\n",
    roff.section "COMMANDS", commands(parser),
  }
  for _, note in ipairs(notes) do page[#page + 1] = roff.section(note[1]) .. roff.text(note[2]) .. "\n" end
  page[#page + 1] = roff.section "SEE ALSO" .. "shmlua(1), shm(3lua), ipcs(1), shm_overview(7), sysvipc(7)\n"
  return table.concat(page)
end

return tool_page
