-- dict_worker.lua ARENA SEED NUMBER CALLS KEYS: calls of a dict at random, and what they returned, for dict_model_spec.
-- Says "ready", waits for a line, then says each call: key, name, arguments, result, and when it began and returned.
local shm = require "shm"
local uv = require "luv"

local seed, number, count, keys = tonumber(arg[2]), tonumber(arg[3]), tonumber(arg[4]), tonumber(arg[5])
local arena = assert(shm.arena(arg[1]))
local d = assert(arena:dict("d", "1M"))
math.randomseed(seed, number)

-- Values that no other call stores: texts are long now and then, so that they have several cells.
local function text(i)
  local more = math.random(4) == 1 and math.random(300) or 0
  return ("t%d.%d"):format(number, i) .. ("x"):rep(more)
end

local last = {} -- what this process has seen under each key
local function remember(key, value, err)
  last[key] = value
  return value, err
end

local function plus(value)
  if math.type(value) == "integer" then return value + 1 end
  return value and value .. "+" or 1
end

-- Each returns the arguments as text, and what the dict has returned.
local calls = {
  get = function(key) return "", remember(key, d:get(key)) end,
  delete = function(key) return "", d:delete(key) end,
  incr = function(key) return "", d:incr(key, 1) end,
  incr_init = function(key) return "", d:incr(key, 1, 10) end,
  update = function(key) return "", d:update(key, plus) end,
  lpop = function(key) return "", d:lpop(key) end,
  rpop = function(key) return "", d:rpop(key) end,
  llen = function(key) return "", d:llen(key) end,
  fetch = function(key, i)
    local made = text(i)
    return made, d:fetch(key, 0, function() return made end)
  end,
}
for _, name in ipairs { "set", "add", "replace", "safe_set", "safe_add", "lpush", "rpush" } do
  calls[name] = function(key, i)
    local value = name:find "push" and number * 1000000 + i or text(i)
    return tostring(value), d[name](d, key, value)
  end
end
function calls.set_number(key, i) return i, d:set(key, i) end
function calls.cas(key, i)
  local old, new = last[key], text(i)
  local shown = math.type(old) and "n" .. old or old and "s" .. old or "" -- as a state
  return shown .. " " .. new, d:cas(key, old, new)
end

local names = {}
for name in pairs(calls) do names[#names + 1] = name end
table.sort(names)

-- As the model has it: the first two results; a list's count or a number is not told from its text.
local function shown(arguments, value, err)
  return tostring(arguments), tostring(value) .. (type(err) == "string" and " " .. err or "")
end

local history = {}
print "ready"
io.stdout:flush()
io.read "l"
for i = 1, count do
  local key, name = math.random(keys), names[math.random(#names)]
  if math.random(3) == 1 then name = "get" end
  local from = math.tointeger(uv.hrtime())
  local arguments, result = shown(calls[name](key, i))
  history[i] = table.concat({ key, name, arguments, result, from, math.tointeger(uv.hrtime()) }, "\t")
end
print(table.concat(history, "\n"))
