-- objects.lua: the objects of an arena in words: who holds them, how full they are, and their rates.
local format = require "cli.format"
local names = require "cli.names"
local output = require "cli.output"
local processes = require "cli.processes"

local objects = {}

local verbs = { holds = "held by", reads = "read by", writes = "written by", waits = "waiting:", sends = "sending:",
  receives = "receiving:", calls = "calling:", serves = "serving:" }
local parts = { "holds", "writes", "reads", "waits", "sends", "receives", "calls", "serves" }

local MOST = 3 -- who are named of each part

local function name_of(holder)
  local text = processes.describe(holder.process, holder.lives)
  return holder.count > 1 and text .. " x" .. holder.count or text
end

-- "held by 4711 lua5.4 x3", "read by 1 a, 2 b", in the order of the parts.
local function holders_of(object, waits)
  local found, phrases = {}, {}
  for _, holder in ipairs(object.holders) do
    local list = found[holder.part] or {}
    found[holder.part], list[#list + 1] = list, holder
  end
  for _, part in ipairs(parts) do
    local list, shown = found[part] or {}, {}
    for i = 1, math.min(#list, MOST) do shown[i] = name_of(list[i]) end
    if #list > MOST then shown[#shown + 1] = ("%d more"):format(#list - MOST) end
    local verb = part == "waits" and waits or verbs[part]
    if #list > 0 then phrases[#phrases + 1] = verb .. " " .. table.concat(shown, ", ") end
  end
  return phrases
end

local function is_left_by_dead(object)
  for _, holder in ipairs(object.holders) do
    if not holder.lives then return true end
  end
  return false
end

-- Who waits, in words; what those who are named do, as far as that is one thing.
local function waiting_of(object)
  local stat = object.stat
  if object.kind == "channel" or object.kind == "service" then
    if stat.receivers_wait and stat.senders_wait then return "receivers and senders wait" end
    return stat.receivers_wait and "receivers wait" or stat.senders_wait and "senders wait"
  end
  return object.waiting and (object.kind == "topic" and "subscribers wait" or "others wait")
end

local function names_who_waits(object)
  for _, holder in ipairs(object.holders) do
    if holder.part == "waits" then return true end
  end
  return false
end

local before = {
  mutex = function(object) return #object.holders == 0 and "free" end,
  rwlock = function(object) return #object.holders == 0 and "free" end,
  semaphore = function(object) return ("%d of %d free"):format(object.stat.value, object.count) end,
  barrier = function(object) return ("%d of %d are there"):format(#object.holders + object.more, object.count) end,
  array = function(object) return format.many(object.count, "element") end,
  record = function(object) return object.count > 1 and ("%d records"):format(object.count) end,
  channel = function(object) return object.stat.finished and "finished" end,
  topic = function(object) return object.stat.finished and "finished" end,
  service = function(object) return object.stat.finished and "finished" end,
  dict = function(object)
    local stat = object.stat
    local asked = stat.hits + stat.misses
    local hits = asked > 0 and (", %.0f%% of gets hit"):format(100 * stat.hits / asked) or ""
    return ("%d entries%s"):format(stat.entries, hits)
  end,
}

-- What is to be said of its state, and whether that is bad.
local function state_of(object)
  if not object.sound then return { text = "damaged", style = "bad" } end
  local first = before[object.kind] and before[object.kind](object)
  local waiting = waiting_of(object)
  local phrases = holders_of(object, waiting and waiting .. ":")
  if first then table.insert(phrases, 1, first) end
  if waiting and not names_who_waits(object) then phrases[#phrases + 1] = waiting end
  if object.more > 0 then phrases[#phrases + 1] = ("and %d more"):format(object.more) end
  local style = is_left_by_dead(object) and "bad" or #object.holders > 0 and "warn" or nil
  return { text = names.printable(table.concat(phrases, "; ")), style = style }
end

local function fill_of(object, bar)
  local stat = object.stat
  if not stat or not stat.used then return "" end
  return format.bar(stat.used / (stat.room or stat.capacity), bar)
end

-- ---- rates ----

-- What came in and went out of an object since it was made.
local function counts(object)
  local stat = object.stat
  if not stat then return nil end
  if stat.published then return stat.published, nil end
  if stat.sent then return stat.sent, stat.received end
  if stat.hits then return nil, stat.hits + stat.misses end
end

local function rate(now, past, seconds)
  if not now or not past or seconds <= 0 then return "" end
  return format.count(math.max(0, now - past) / seconds)
end

-- In and out a second, given the inspection before and how many seconds ago that was. Past: name to object.
function objects.rates(object, past, seconds)
  local old = past and past[object.name]
  if not old or old.kind ~= object.kind then return "", "" end
  local came, went = counts(object)
  local old_came, old_went = counts(old)
  return rate(came, old_came, seconds), rate(went, old_went, seconds)
end

-- Objects of an inspection by name.
function objects.by_name(inspection)
  local found = {}
  for _, object in ipairs(inspection.objects) do found[object.name] = object end
  return found
end

local function cells(object, past, seconds, bar)
  local came, went = objects.rates(object, past, seconds)
  return { { text = names.printable(object.name), style = "name" }, object.kind, format.size(object.size),
    tostring(#processes.distinct(object.users)), fill_of(object, bar), came, went, state_of(object) }
end

local columns = { { title = "OBJECT", least = 8 }, { title = "KIND" }, { title = "SIZE", right = true },
  { title = "OPEN", right = true }, { title = "FILL" }, { title = "IN/S", right = true },
  { title = "OUT/S", right = true }, { title = "STATE", wrap = 20 } }

-- Lines of a table of the objects of an inspection.
function objects.table(inspection, past, seconds, width)
  local rows, bar = {}, width and width < 100 and 5 or 10
  for i, object in ipairs(inspection.objects) do rows[i] = cells(object, past, seconds, bar) end
  return format.table(columns, rows, width)
end

-- "4711 lua5.4 (3 times), 4712 lua5.4".
local function users_of(inspection)
  local pids, times = processes.distinct(inspection.handles)
  local phrases = {}
  for i, pid in ipairs(pids) do
    phrases[i] = processes.describe(pid) .. (times[pid] > 1 and (" (%d times)"):format(times[pid]) or "")
  end
  return table.concat(phrases, ", ")
end

-- "open in 2 processes".
function objects.opened(inspection)
  local count = #processes.distinct(inspection.handles)
  return count == 0 and "open nowhere" or "open in " .. format.many(count, "process", "es")
end

-- Lines that say what an arena is: size and use, who made it, who has it open.
function objects.heading(name, inspection, width)
  local total = ("%s, %s used, %s at most for a new object"):format(format.size(inspection.size),
    format.size(inspection.used), format.size(inspection.largest))
  local texts = {
    ("arena %s: %s; %d of %d objects"):format(names.printable(name), total, #inspection.objects,
      inspection.max_objects),
    "made by " .. (inspection.creator and processes.describe(inspection.creator, inspection.creator_lives)
      or "an unknown process"),
    objects.opened(inspection) .. (#inspection.handles > 0 and ": " .. users_of(inspection) or ""),
  }
  local lines = {}
  for i, text in ipairs(texts) do
    for _, line in ipairs(format.wrap(text, width or math.huge)) do
      lines[#lines + 1] = output.paint(i == 1 and "head" or "dim", line)
    end
  end
  return lines
end

return objects
