-- names.lua: how segments are called on the command line, and in what is shown.
local problem = require "cli.problem"
local shm = require "shm"

local names = {}

-- "/name", a key (13, 0x0000000d) or an identifier (id=4), as the module has them.
function names.parse(text)
  if text:sub(1, 1) == "/" then return text end
  local id = math.tointeger(tonumber(text:match("^id=(%d+)$")))
  if id then return { id = id } end
  local key = text:find("^%x") and math.tointeger(tonumber(text))
  if key and key > 0 and key <= 0xffffffff then return key end
  problem.misuse(("%q is no name: there are /name, keys (13, 0x0000000d) and identifiers (id=4)"):format(text))
end

-- Attaches to what a name of the command line leads to.
function names.attach(text, options)
  return problem.check(problem.call(shm.attach, names.parse(text), options))
end

-- Bytes that a terminal would obey, or cannot show, as \xNN.
function names.printable(text)
  local function escape(bytes) return (bytes:gsub(".", function(byte) return ("\\x%02x"):format(byte:byte()) end)) end
  text = text:gsub("[%c\127]", escape):gsub("\xc2[\x80-\x9f]", escape) -- U+0080 to U+009F, which are controls, too
  return utf8.len(text) and text or (text:gsub("[\128-\255]", escape))
end

-- What a status is of, so that the command line takes it: "/name", "0x0000000d", "id=4", "mq:0x0000000d".
function names.of(stat)
  if stat.name then return stat.name end
  local prefix = stat.backing == "messages" and "mq:" or ""
  if stat.key ~= 0 then return prefix .. ("0x%08x"):format(stat.key & 0xffffffff) end
  return prefix .. "id=" .. stat.id
end

-- As the module takes it; a System V segment by its identifier, which a removed one still has.
function names.handle(stat)
  return stat.name or { id = stat.id }
end

return names
