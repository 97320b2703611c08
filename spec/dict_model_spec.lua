-- dict_model_spec.lua: calls at random from 1 to 8 processes are as if they had been made one by one: for each key
-- there is an order, that does not contradict the times, in which a plain Lua model returns the same.
local shm = require "shm"
local linear = require "spec.support.linear"
local process = require "spec.support.process"

local name = "/shm_spec_dict"

-- ---- the model: the state of a key is "" for nothing, "n5", "stext", or "l1,2,3" ----

local function value_of(state)
  if state == "" then return "nil" end
  return state:sub(1, 1) == "l" and "nil value is a list" or state:sub(2)
end

local model = {}

function model.get(state) return state, value_of(state) end
function model.delete() return "", "true" end
function model.set(_, value) return "s" .. value, "true" end
model.safe_set = model.set
function model.set_number(_, value) return "n" .. value, "true" end

function model.add(state, value)
  if state ~= "" then return state, "false exists" end
  return "s" .. value, "true"
end
model.safe_add = model.add

function model.replace(state, value)
  if state == "" then return state, "false not found" end
  return "s" .. value, "true"
end

local function plus(state, by)
  local sum = ("%d"):format(state:sub(2) + by)
  return "n" .. sum, sum
end

function model.incr(state)
  if state == "" then return state, "nil not found" end
  if state:sub(1, 1) ~= "n" then return state, "nil not a number" end
  return plus(state, 1)
end

function model.incr_init(state) return model.incr(state == "" and "n10" or state) end

function model.update(state)
  local kind = state:sub(1, 1)
  if kind == "l" then return state, value_of(state) end
  if kind == "s" then return state .. "+", state:sub(2) .. "+" end
  return plus(state == "" and "n0" or state, 1)
end

function model.cas(state, arguments)
  local old, new = arguments:match "^(%S*) (%S*)$"
  if state:sub(1, 1) == "l" then return state, "false value is a list" end
  if state ~= old then return state, "false changed" end
  return "s" .. new, "true"
end

function model.fetch(state, made)
  if state ~= "" then return state, value_of(state) end
  return "s" .. made, made
end

-- The elements of a list, or nothing and what is said where it is none.
local function list_of(state)
  local list = {}
  if state ~= "" and state:sub(1, 1) ~= "l" then return nil, "nil value not a list" end
  for element in state:sub(2):gmatch "[^,]+" do list[#list + 1] = element end
  return list
end

local function pushes(at)
  return function(state, value)
    local list, words = list_of(state)
    if not list then return state, words end
    table.insert(list, at or #list + 1, value)
    return "l" .. table.concat(list, ","), ("%d"):format(#list)
  end
end
model.lpush, model.rpush = pushes(1), pushes()

local function pops(at)
  return function(state)
    local list, words = list_of(state)
    if not list then return state, words end
    local value = #list > 0 and table.remove(list, at or #list)
    return #list > 0 and "l" .. table.concat(list, ",") or "", value or "nil"
  end
end
model.lpop, model.rpop = pops(1), pops()

function model.llen(state)
  local list, words = list_of(state)
  return state, list and ("%d"):format(#list) or words
end

local function step(state, call) return model[call.name](state, call.arguments) end

-- ---- histories ----

local function parse(text, worker, histories)
  local count = 0
  for line in text:gmatch "[^\n]+" do
    local key, call, arguments, result, from, to = line:match "^(%d+)\t([%w_]+)\t([^\t]*)\t([^\t]*)\t(%d+)\t(%d+)$"
    assert(key, line)
    local history = histories[key] or {}
    histories[key] = history
    history[#history + 1] = { name = call, arguments = arguments, result = result, worker = worker,
      from = tonumber(from), to = tonumber(to) }
    count = count + 1
  end
  return count
end

-- Runs so many processes; the history of each key.
local function run(seed, processes, calls, keys)
  local workers, histories = {}, {}
  for i = 1, processes do
    local arguments = { "spec/support/dict_worker.lua", name, seed, i, calls, keys }
    for n, argument in ipairs(arguments) do arguments[n] = tostring(argument) end
    workers[i] = process.start(process.lua, arguments)
  end
  for i = 1, processes do assert.equal("ready", workers[i]:line()) end
  for i = 1, processes do workers[i].input:write "go\n" end
  local overlap = 0
  for i = 1, processes do
    assert.equal(0, (workers[i]:wait()), workers[i].err)
    assert.equal(calls, parse(workers[i].out, i, histories))
  end
  for _, history in pairs(histories) do
    table.sort(history, function(a, b) return a.from < b.from end)
    for i = 2, #history do overlap = overlap + (history[i].from < history[i - 1].to and 1 or 0) end
  end
  return histories, overlap
end

-- Some calls of a history, around one, as text.
local function excerpt(history, at)
  local lines = {}
  for i = math.max(1, at - 10), math.min(#history, at + 10) do
    local call = history[i]
    lines[#lines + 1] = ("%d %s(%s) = %s [%d, %d]"):format(call.worker, call.name, call.arguments, call.result,
      call.from, call.to)
  end
  return table.concat(lines, "\n")
end

describe("the model", function()
  local function is_linear(calls) return (linear.check(calls, step)) end
  local function call(from, to, what, arguments, result)
    return { from = from, to = to, name = what, arguments = arguments, result = result, worker = 0 }
  end

  it("finds an order where there is one", function()
    assert.is_true(is_linear {})
    assert.is_true(is_linear { call(1, 9, "set", "a", "true"), call(2, 3, "get", "", "nil"),
      call(4, 5, "get", "", "a") })
    assert.is_true(is_linear { call(1, 9, "incr_init", "", "12"), call(2, 8, "incr_init", "", "11"),
      call(10, 11, "get", "", "12") })
    assert.is_true(is_linear { call(1, 3, "add", "a", "true"), call(2, 4, "add", "b", "false exists") })
  end)

  it("finds none where there is none", function()
    assert.is_false(is_linear { call(1, 2, "set", "a", "true"), call(3, 4, "get", "", "nil") }) -- lost
    assert.is_false(is_linear { call(1, 9, "set", "a", "true"), call(2, 3, "get", "", "a"),
      call(4, 5, "get", "", "nil") }) -- back in time
    assert.is_false(is_linear { call(1, 9, "incr_init", "", "11"), call(2, 8, "incr_init", "", "11") })
    assert.is_false(is_linear { call(1, 3, "add", "a", "true"), call(2, 4, "add", "b", "true") })
    assert.is_false(is_linear { call(1, 2, "get", "", "torn") })
  end)

  it("does not believe a history of which one result was changed", function()
    local arena <close> = assert(shm.arena(name, "2M", { owned = true }))
    assert(arena:dict("d", "1M"))
    local histories = run(os.time(), 2, 200, 4)
    local denied, tried = 0, 0
    for _, history in pairs(histories) do
      for _, one in ipairs(history) do
        if one.name == "get" and tried < 20 then
          local result = one.result
          one.result, tried = "t9.9", tried + 1
          if not is_linear(history) then denied = denied + 1 end
          one.result = result
        end
      end
    end
    assert.same({ 20, 20 }, { tried, denied })
  end)
end)

describe("a dict", function()
  for _, processes in ipairs { 1, 2, 4, 8 } do
    it("is as the model for " .. processes .. " processes", function()
      local seed = tonumber(os.getenv "SHM_SEED") or os.time() * 10 + processes
      local overlaps = 0
      for round = 1, 8 do
        local arena <close> = assert(shm.arena(name, "2M", { owned = true }))
        local d = assert(arena:dict("d", "1M"))
        local histories, overlap = run(seed + round, processes, 2000, 4 * processes)
        for key, history in pairs(histories) do
          local is_linear, longest = linear.check(history, step)
          assert.is_true(is_linear, ("SHM_SEED=%d, round %d, key %s: no order has call %d\n%s"):format(seed, round, key,
            longest + 1, excerpt(history, longest + 1)))
        end
        overlaps = overlaps + overlap
        assert.equal(0, d:stat().evictions)
      end
      assert.is_true(processes == 1 or overlaps > 0, "no two calls were at the same time")
    end)
  end
end)
