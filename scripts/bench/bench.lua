-- bench.lua: races: the same work done by several, in turns, round by round. A figure alone says
-- little on a shared machine: what disturbs one contestant disturbs the next, and so the ratios are
-- taken within each round, and their median is reported. Touches what the contestants do.
--
--   bench.race { work = "there and back", at = "64 B", x = 64, unit = "s", count = 20000,
--     { "shm, Lua", function(n) ... end, asks = { { "bare, C", most = 2.5 } } },
--     { "bare, C", function(n) ... end, is = "limit" },
--     { "pipe, C", function(n) ... end, is = "peer", part = 30 } }
--
-- work, at: what is done, and with what (a size, a number of processes); x: the same for an axis
-- unit:     "s" that one operation takes; "op/s"; "B/s", of race.bytes an operation; "B", which a run
--           returns instead of seconds
-- count:    operations in a sample; rounds: of samples, 11 unless it says otherwise
-- sample:   how to take one: bench.running, bench.alone, or bench.elsewhere
-- A contestant: its name, what it does n times (which may return the seconds that this took), or
-- new:      what makes that, or nothing: then it is not there, for which there should be
-- needs:    the package that it comes with
-- is:       "ours", as the first is; "peer"; "limit": the least that it can take; "floor": the least
--           that a call from Lua can
-- sample:   for this one
-- x, as:    its own place on the axis, where that is in its name, and its name for plots
-- part:     how many times fewer operations it gets, since it is as much slower
-- rare:     only where peers are asked for: make bench-peers
-- asks:     what is asked of it: at `most`, or at `least`, so many times another's figure, or with
--           no name, that figure; with `margin`, in seconds, which the other is given beforehand;
--           with `always`, which has no name, the largest of all figures is to be at most that
local figures = require "scripts.bench.figures"
local report = require "scripts.bench.report"
local samples = require "scripts.bench.samples"

local bench = { begin = report.begin, running = samples.running, alone = samples.alone,
  elsewhere = samples.elsewhere }

-- What an argument of the benchmark chooses: races that have it in their heading, and so many rounds.
local only, most = arg[1], math.tointeger(arg[2])
local with_peers <const> = os.getenv("SHM_PEERS") ~= nil

-- ---- the rounds ----

-- Shuffles a list. Nobody comes after the same one each time, whose data may still be in the caches.
local function shuffle(list)
  for i = #list, 2, -1 do
    local place = math.random(i)
    list[i], list[place] = list[place], list[i]
  end
end

-- Their order is another one in each round. Round 0 warms up.
local function run_rounds(race, contestants)
  local turns = table.move(contestants, 1, #contestants, 1, {})
  for round = 0, race.rounds do
    shuffle(turns)
    for _, contestant in ipairs(turns) do
      local take = contestant.sample or race.sample or samples.running
      local seconds = take(contestant[2], math.max(race.count // (contestant.part or 1), 1))
      if round > 0 then contestant.seconds[round] = seconds end
    end
  end
end

-- ---- what came out ----

-- Of seconds, what the race's unit says; of bytes, themselves.
local function figure_of(race)
  if figures.less_is_better(race.unit) then return function(seconds) return seconds end end
  local amount = race.unit == "op/s" and 1 or race.bytes
  return function(seconds) return amount / seconds end
end

-- Of ours and another's figure, round by round.
local function ratio(race, one, other, margin)
  local figure, ratios = figure_of(race), {}
  for round, seconds in ipairs(one.seconds) do
    ratios[round] = figure(seconds) / figure(other.seconds[round] + (margin or 0))
  end
  return samples.summary(ratios)
end

local function find(contestants, what, value)
  for _, contestant in ipairs(contestants) do
    if contestant[what] == value then return contestant end
  end
end

local function best_peer(race, contestants)
  local best, most_so_far = nil, -math.huge
  local sign = figures.less_is_better(race.unit) and -1 or 1
  for _, contestant in ipairs(contestants) do
    local figure = sign * contestant.result.median
    if contestant.is == "peer" and figure > most_so_far then best, most_so_far = contestant, figure end
  end
  return best
end

-- Whether what was asked is so. Quartiles on both sides of it decide nothing.
local function verdict(summary, ask)
  local function meets(value)
    if ask.most then return value <= ask.most end
    return value >= ask.least
  end
  if meets(summary.low) ~= meets(summary.high) then return "undecided" end
  return meets(summary.median) and "met" or "MISSED"
end

local function answer(race, contestants, contestant, ask)
  local sign, bound = ask.most and "<=" or ">=", ask.most or ask.least
  local name, margin = ask[1], ""
  if ask.always then
    local largest = contestant.result.max
    return ("always %s %s: %s (%s)"):format(sign, figures.figure(bound, race.unit),
      largest <= bound and "met" or "MISSED", figures.figure(largest, race.unit))
  end
  if not name then
    return ("%s %s: %s"):format(sign, figures.figure(bound, race.unit), verdict(contestant.result, ask))
  end
  local other = find(contestants, 1, name)
  if not other then return ("%s not there"):format(name) end
  local found = ratio(race, contestant, other, ask.margin)
  if ask.margin then margin = " + " .. figures.figure(ask.margin, "s") end
  return ("%s %.3g x %s%s: %s (%s)"):format(sign, bound, name, margin, verdict(found, ask),
    figures.ratio(found.median))
end

local function conclude(race, contestants)
  local figure = figure_of(race)
  for _, contestant in ipairs(contestants) do
    contestant.result = samples.map(contestant.seconds, figure)
  end
  local limit, peer = find(contestants, "is", "limit"), best_peer(race, contestants)
  for _, contestant in ipairs(contestants) do
    local result, is = contestant.result, contestant.is
    result.name, result.is = contestant[1], is
    result.x, result.as = contestant.x, contestant.as
    if limit and contestant ~= limit then result.to_limit = ratio(race, contestant, limit) end
    if peer and is == "ours" then
      result.to_peer, result.peer = ratio(race, contestant, peer), peer[1]
    end
    result.asks = {}
    for i, ask in ipairs(contestant.asks or {}) do
      result.asks[i] = answer(race, contestants, contestant, ask)
    end
    report.line(result, race)
    report.record(result, race)
  end
end

-- ---- races ----

local function present(race)
  local contestants = {}
  for i, contestant in ipairs(race) do
    if with_peers or not contestant.rare then
      contestant.is = contestant.is or i == 1 and "ours" or "peer"
      contestant.seconds = {}
      contestant[2] = contestant[2] or contestant.new and contestant.new()
      if contestant[2] then
        contestants[#contestants + 1] = contestant
      elseif contestant.needs then
        report.missing(contestant[1], "no " .. contestant.needs)
      end
    end
  end
  return contestants
end

function bench.wanted(work, at)
  return not only or (work .. (at and ", " .. at or "")):find(only, 1, true) ~= nil
end

function bench.race(race)
  if not bench.wanted(race.work, race.at) then return end
  race.unit, race.rounds = race.unit or "s", most or race.rounds or 11
  report.heading(race)
  local contestants = present(race)
  run_rounds(race, contestants)
  conclude(race, contestants)
end

return bench
