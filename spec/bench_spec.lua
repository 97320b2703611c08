-- bench_spec.lua: what the benchmarks conclude of what they measure, what they write down, and what
-- is made of it. Races here return made-up seconds, so nothing depends on a clock.
local process = require "spec.support.process"
local results = require "scripts.bench.results"
local uv = require "luv"

local directory
setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

-- What a race prints, and the rows that it writes. A contestant's run is a list of the seconds that
-- its samples take, from the warming round on, or an expression.
local function race(text, options)
  local path, script = directory .. "/bench.csv", directory .. "/race.lua"
  os.remove(path)
  local file <close> = assert(io.open(script, "w"))
  file:write([[
    local bench = require "scripts.bench.bench"
    local function seconds(...)
      local list, i = { ... }, 0
      return function(n) i = i % #list + 1 return list[i] * n end
    end
    bench.race { work = "work", at = "at", count = 12, rounds = 4, ]], text, "}")
  file:close()
  local env = { SHM_RESULTS = path, SHM_PEERS = false }
  for name, value in pairs(options and options.env or {}) do env[name] = value end
  local run = process.run(process.lua, { script, table.unpack(options or {}) }, { env = env })
  assert.equal("", run.err)
  return run.out, io.open(path) and results.read(path) or {}
end

local function find(rows, name)
  for _, row in ipairs(rows) do
    if row.contestant == name then return row end
  end
end

describe("a race", function()
  it("tells the median and the quartiles of what its rounds took, but for the first", function()
    local out, rows = race '{ "ours", seconds(99, 1e-9, 2e-9, 3e-9, 4e-9) }'
    assert.matches("work, at: less is better\n", out)
    assert.matches("ours +2.50 ns  1.75..3.25", out)
    local row = find(rows, "ours")
    assert.same({ 1.75e-9, 2.5e-9, 3.25e-9, 4 }, { row.low, row.median, row.high, row.rounds })
  end)

  it("takes ratios within each round, so that what disturbs all disturbs none of them", function()
    local _, rows = race [[ { "ours", seconds(1, 2, 4, 8, 16) },
      { "limit", seconds(1, 1, 2, 4, 8), is = "limit" }, { "peer", seconds(1, 8, 16, 32, 64) } ]]
    local row = find(rows, "ours")
    assert.same({ 2, 2, 2 }, { row.limit_low, row.limit_ratio, row.limit_high })
    assert.same({ "peer", 0.25, 0.25, 0.25 }, { row.peer, row.peer_low, row.peer_ratio, row.peer_high })
    assert.equal(8, find(rows, "peer").limit_ratio)
  end)

  it("tells rates as the inverse of times, and bytes as themselves", function()
    local out, rows = race [[ unit = "op/s", { "ours", seconds(1e-6) }, { "peer", seconds(2e-6) } ]]
    assert.matches("more is better", out)
    assert.matches("ours +1.00 M/s .* 2.00  ahead: peer", out)
    assert.equal(500000, find(rows, "peer").median)
    out = race [[ unit = "B/s", bytes = 1000, { "ours", seconds(1e-6) } ]]
    assert.matches("ours +1.00 GB/s", out)
    out = race [[ unit = "B", { "ours", seconds(72) } ]]
    assert.matches("ours +72.0 B", out)
  end)

  it("gives those who are slower a part of the work, and has one of it at least", function()
    local _, rows = race [[ { "ours", function(n) return n == 12 and 12 or 0 end },
      { "slower", function(n) return n == 3 and 3 or 0 end, part = 4 },
      { "slowest", function(n) return n == 1 and 1 or 0 end, part = 400 } ]]
    for _, name in ipairs { "ours", "slower", "slowest" } do assert.equal(1, find(rows, name).median) end
  end)

  it("compares with the best of the peers, and concludes nothing within the spread", function()
    local out, rows = race [[ { "ours", seconds(1, 1, 1, 3, 3) }, { "slow", seconds(9) },
      { "fast", seconds(2) } ]]
    assert.matches("undecided: fast", out)
    assert.equal("fast", find(rows, "ours").peer)
    assert.matches("ahead: peer", race [[ { "ours", seconds(1) }, { "peer", seconds(2) } ]])
    assert.matches("behind: peer", race [[ { "ours", seconds(2) }, { "peer", seconds(1) } ]])
    assert.matches("behind: peer",
      race [[ unit = "op/s", { "ours", seconds(2) }, { "peer", seconds(1) } ]])
  end)

  it("answers what is asked: met, MISSED, or undecided", function()
    local function answer(asks, ours)
      return (race(('{ "ours", seconds(%s), asks = { %s } }, { "other", seconds(2) }')
        :format(ours or "3", asks)))
    end
    assert.matches("<= 1.5 x other: met %(1.50%)", answer '{ "other", most = 1.5 }')
    assert.matches("<= 1.4 x other: MISSED %(1.50%)", answer '{ "other", most = 1.4 }')
    assert.matches(">= 1.6 x other: MISSED", answer '{ "other", least = 1.6 }')
    assert.matches("<= 1.5 x other: undecided", answer('{ "other", most = 1.5 }', "1, 1, 4, 1, 4"))
    assert.matches("<= 1 x other %+ 1.00 s: met %(1.00%)", answer '{ "other", most = 1, margin = 1 }')
    assert.matches("<= 4.00 s: met", answer "{ most = 4 }")
    assert.matches("<= 2.00 s: MISSED", answer "{ most = 2 }")
    assert.matches("missing one not there", answer '{ "missing one", most = 2 }')
  end)

  it("names who is not there, and what for; rare ones only where peers are asked for", function()
    local text = [[ { "ours", seconds(1) }, { "gone", new = function() end, needs = "a-package" },
      { "rare", new = function() return seconds(3) end, rare = true } ]]
    local out, rows = race(text)
    assert.matches("gone +%-.*no a%-package\n", out)
    assert.not_matches("rare", out)
    assert.equal(1, #rows)
    out, rows = race(text, { env = { SHM_PEERS = "1" } })
    assert.matches("rare +3.00 s", out)
    assert.equal(2, #rows)
  end)

  it("may have contestants that are places on the axis themselves, of one name", function()
    local out, rows = race [[ { "to 2", seconds(1), x = 2, as = "ours", asks = { { "to 1", most = 1 } } },
      { "to 1", seconds(1), x = 1, as = "ours" } ]]
    assert.matches("to 2 .* x to 1: met", out)
    assert.same({ "ours", 2, "ours", 1 }, { rows[1].contestant, rows[1].x, rows[2].contestant, rows[2].x })
  end)

  it("is left out where an argument asks for another, and has as many rounds as asked", function()
    assert.equal("", (race('{ "ours", seconds(1) }', { "play" })))
    local _, rows = race('{ "ours", seconds(1) }', { "work, at", "2" })
    assert.equal(2, rows[1].rounds)
  end)
end)

describe("what a race has written", function()
  it("is read again, whatever is in its names", function()
    local _, rows = race [==[ { 'a "b", c', seconds(1) }, { "", seconds(2) }, { '"', seconds(3) } ]==]
    local names = {}
    for _, row in ipairs(rows) do names[#names + 1] = row.contestant or "" end
    table.sort(names)
    assert.same({ "", '"', 'a "b", c' }, names)
    assert.matches("^machine  ", rows.about[1])
  end)

  it("is added to, below what is there", function()
    local path = directory .. "/more.csv"
    for _ = 1, 2 do race('{ "ours", seconds(1) }', { env = { SHM_RESULTS = path } }) end
    assert.equal(2, #results.read(path))
  end)
end)

describe("the order of a race", function()
  it("lets nobody come after the same one each time", function()
    local function named(name)
      return ('{ "%s", function() io.write("<%s>") return 1 end }'):format(name, name)
    end
    local out = race(named "a" .. "," .. named "b" .. "," .. named "c", { "work, at", "100" })
    for name, others in pairs { a = "[bc]", b = "[ac]", c = "[ab]" } do
      local before = {}
      for other in out:gmatch(("<(%s)><%s>"):format(others, name)) do before[other] = true end
      local first = next(before)
      assert.truthy(first and next(before, first), name)
    end
  end)
end)

describe("what is asked of all rounds", function()
  it("is asked of the largest figure", function()
    local out = race [[ { "ours", seconds(99, 1, 2, 3, 9),
      asks = { { most = 9, always = true }, { most = 8, always = true } } } ]]
    assert.matches("always <= 9.00 s: met (9.00 s); always <= 8.00 s: MISSED (9.00 s)", out, 1, true)
  end)
end)

describe("a table without results", function()
  it("is refused, with the way out", function()
    local made = process.run(process.lua, { "scripts/bench/summary.lua", directory .. "/none" })
    assert.equal(1, made.code)
    assert.matches("/bench.csv is not there: make bench writes it\n", made.err)
  end)
end)

describe("a contestant of another language", function()
  local function run(script, arguments)
    return race(('{ "ours", new = require "scripts.bench.outside"("%s", %q, %s), needs = "that" }')
      :format("perl", script, arguments or "1"))
  end

  it("gets its arguments and how often, and prints its seconds", function()
    assert.matches("ours +5.00 s", run("print $ARGV[0] * $ARGV[1]", "5"))
  end)

  it("is not there where it cannot run", function()
    assert.matches("ours +%-.*no that", run "die")
    assert.matches("ours +%-.*no that", run "use A::Module::That::Is::Not::There; print 1")
  end)
end)

describe("the results in the README", function()
  local function read(path)
    local file <close> = assert(io.open(path))
    return file:read("a")
  end

  it("are those of the tree, which scripts/bench/results has", function()
    local shown = read("README.md"):match("<!%-%- scripts/bench/results/bench%.md.-%-%->\n(.-)\n</details>")
    assert.equal(read("scripts/bench/results/bench.md"), shown)
    local folder = directory .. "/again"
    assert(uv.fs_mkdir(folder, 448))
    assert(uv.fs_copyfile("scripts/bench/results/bench.csv", folder .. "/bench.csv"))
    assert.equal(0, process.run(process.lua, { "scripts/bench/summary.lua", folder }).code)
    assert.equal(shown, read(folder .. "/bench.md"))
  end)

  it("have a picture each, and each picture is there", function()
    local count = 0
    for path in read("README.md"):gmatch("%((scripts/bench/results/%w+%.svg)%)") do
      assert.matches("^<%?xml.*<svg ", read(path))
      count = count + 1
    end
    assert.equal(4, count)
  end)
end)

describe("the table of the results", function()
  it("has a row for each work that others do, too", function()
    local folder = directory .. "/table"
    assert(uv.fs_mkdir(folder, 448))
    local env = { SHM_RESULTS = folder .. "/bench.csv" }
    race([[ { "ours", seconds(2e-6) }, { "limit, C", seconds(1e-6), is = "limit" },
      { "peer", seconds(8e-6) } ]], { env = env })
    race('{ "alone", seconds(1) }', { env = env })
    local made = process.run(process.lua, { "scripts/bench/summary.lua", folder })
    assert.same({ "", 0 }, { made.err, made.code })
    local file <close> = assert(io.open(folder .. "/bench.md"))
    local text = file:read("a")
    assert.truthy(text:find("| work, at | 2.00 us | 8.00 us (peer) | ahead, 4.00 x | 1.00 us |\n", 1, true))
    assert.is_nil(text:find("alone", 1, true))
    assert.matches("machine  ", text)
  end)
end)
