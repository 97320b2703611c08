-- json.lua: values as JSON (RFC 8259); keys of tables in order, so that output can be compared.
local json = {}

local short = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function string_of(text)
  local function escape(byte) return short[byte] or ("\\u%04x"):format(byte:byte()) end
  text = text:gsub('[%c"\\\127]', escape)
  if not utf8.len(text) then text = text:gsub("[\128-\255]", escape) end
  return '"' .. text .. '"'
end

local encode

local function list_of(list, indent)
  local parts = {}
  for i, value in ipairs(list) do parts[i] = indent .. "  " .. encode(value, indent .. "  ") end
  return #parts == 0 and "[]" or "[\n" .. table.concat(parts, ",\n") .. "\n" .. indent .. "]"
end

local function object_of(object, indent)
  local keys, parts = {}, {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do
    parts[i] = indent .. "  " .. string_of(key) .. ": " .. encode(object[key], indent .. "  ")
  end
  return #parts == 0 and "{}" or "{\n" .. table.concat(parts, ",\n") .. "\n" .. indent .. "}"
end

-- A table with an element 1, or with nothing in it, is an array.
function encode(value, indent)
  if type(value) == "string" then return string_of(value) end
  if type(value) ~= "table" then return tostring(value) end
  if value[1] ~= nil or next(value) == nil then return list_of(value, indent) end
  return object_of(value, indent)
end

function json.encode(value) return encode(value, "") end

return json
