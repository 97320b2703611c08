-- linear.lua: is a history of calls that overlap what some order of them, one by one, would have given? The search of
-- Wing and Gong ("Testing and verifying concurrent objects", 1993), which remembers where it has been.
local linear = {}

-- A call may be next if no other that is not yet placed had returned before it began.
local function candidates(calls, placed, first)
  local list, earliest = {}, math.huge
  for i = first, #calls do
    local call = calls[i]
    if call.from > earliest then break end
    if not placed[i] then
      list[#list + 1] = i
      if call.to < earliest then earliest = call.to end
    end
  end
  local possible = {}
  for _, i in ipairs(list) do
    if calls[i].from <= earliest then possible[#possible + 1] = i end
  end
  return possible
end

-- What the rest of the search depends on, as a string.
local function situation(placed, first, last, state)
  local bits = {}
  for i = first, last do bits[#bits + 1] = placed[i] and "1" or "0" end
  return first .. " " .. table.concat(bits) .. " " .. state
end

-- calls: a list of { from = , to = , ... }, times in one clock. step(state, call) returns the next state (a string) and
-- what the call would have returned, which is compared with call.result. Returns true; or false, and how many calls
-- the longest order has that works.
function linear.check(calls, step)
  table.sort(calls, function(a, b) return a.from < b.from end)
  local placed, seen, longest, last = {}, {}, 0, 0

  local function place(count, first, state)
    if count > longest then longest = count end
    while placed[first] do first = first + 1 end
    if first > #calls then return true end
    local key = situation(placed, first, last, state)
    if seen[key] then return false end
    seen[key] = true
    for _, i in ipairs(candidates(calls, placed, first)) do
      local next_state, result = step(state, calls[i])
      if result == calls[i].result then
        placed[i] = true
        local before = last
        last = math.max(last, i)
        if place(count + 1, first, next_state) then return true end
        placed[i], last = nil, before
      end
    end
    return false
  end

  return place(0, 1, ""), longest
end

return linear
