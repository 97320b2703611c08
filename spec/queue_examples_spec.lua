-- queue_examples_spec.lua: the examples of channels, topics, services and dicts, as they are run.
local shm = require "shm"
local process = require "spec.support.process"

local function exists(name)
  local segment <close> = shm.attach(name, { readonly = true })
  return segment ~= nil
end

local function ends_well(child)
  assert.equal(0, (child:wait()), child.err)
  assert.equal("", child.err)
  return child.out
end

describe("random_channel", function()
  it("has each number received once, in order, by one reader", function()
    local writer = process.start_example("random_channel", "--interval", "0.001")
    local order, received, count = { [writer:line():gsub("sent", "received")] = 1 }, {}, 1
    local readers, first = {}, {}
    for i = 1, 2 do readers[i] = process.start_example("random_channel", "--reader") end
    for i, reader in ipairs(readers) do first[i] = reader:line() end -- all are there before it ends
    writer:kill "sigint"
    for line in ends_well(writer):gmatch "[^\n]+" do
      count = count + 1
      order[line:gsub("sent", "received")] = count
    end
    for i, reader in ipairs(readers) do
      local last = 0
      for line in (first[i] .. "\n" .. ends_well(reader)):gmatch "[^\n]+" do
        assert.is_true(order[line] > last and not received[line], line)
        last, received[line], count = order[line], true, count - 1
      end
    end
    assert.equal(0, count)
    assert.is_false(exists "/shm_random")
  end)

  it("ends on Ctrl-C, with and without readers, and misses the writer in words", function()
    local writer = process.start_example("random_channel", "--interval", "0")
    local lines = 0
    repeat lines = lines + 1 until not writer:line() or lines == 250 -- its ring is full, or soon is
    writer:kill "sigint"
    ends_well(writer)
    local reader = process.run_example("random_channel", "--reader")
    assert.equal(1, reader.code)
    assert.matches('"/shm_random" does not exist', reader.err)
    assert.is_false(exists "/shm_random")
  end)
end)

describe("letters_topic", function()
  it("publishes to clients, from the oldest on or from now on, until the server has ended", function()
    local server = process.start_example("letters_topic", "--interval", "0.02")
    assert.equal("published A", server:line())
    local oldest = process.start_example("letters_topic", "--client", "--oldest")
    assert.equal("A", oldest:line())
    local latest = process.start_example("letters_topic", "--client")
    local first = latest:line()
    assert.matches("^AB", first)
    server:kill "sigint"
    local last = ends_well(server):match "published (%u+)\n$" or first
    local text = "A"
    for line in ends_well(oldest):gmatch "[^\n]+" do
      assert.equal(text .. string.char(65 + #text % 26), line)
      text = line
    end
    assert.is_true(#text >= #last)
    assert.is_true(#(ends_well(latest):match "(%u+)\n$" or first) >= #last)
    assert.is_false(exists "/shm_letters")
  end)

  it("publishes without clients, and stops by itself", function()
    assert.equal("published A\npublished AB\n",
      ends_well(process.start_example("letters_topic", "--count", "2", "--interval", "0")))
  end)
end)

describe("jobs", function()
  it("does every job, though workers are killed", function()
    local out = ends_well(process.start_example("jobs", "--jobs", "20000", "--workers", "3", "--kills", "5"))
    local jobs, results, workers, killed, twice =
      out:match "^(%d+) jobs, (%d+) results of (%d+) workers; (%d+) workers were killed, (%d+) results came twice\n$"
    assert.same({ "20000", "20000", "5" }, { jobs, results, killed })
    assert.is_true(tonumber(workers) >= 1 and tonumber(twice) <= 5)
    assert.is_false(exists "/shm_jobs")
  end)
end)

describe("cache", function()
  it("has one generation of each value, and many hits", function()
    local out = ends_well(process.start_example("cache", "--workers", "3", "--keys", "15", "--lookups", "20000"))
    local hits, misses = out:match "^3 workers looked up 60000 values: (%d+) hits, (%d+) misses"
    assert.is_true(tonumber(hits) >= 59000 and tonumber(misses) >= 15)
    assert.matches("\n15 keys, made 15 times: each at most 1 time\nup to 15000 there are 1754 primes, the largest is "
      .. "14983\n$", out)
    assert.is_false(exists "/shm_cache")
  end)

  it("has no values where nobody looks one up", function()
    assert.matches("\n0 keys, made 0 times", ends_well(process.start_example("cache", "--workers", "0", "--keys", "0")))
  end)
end)

describe("service", function()
  it("answers, hands on an error, and goes on when a server dies", function()
    local out = ends_well(process.start_example "service")
    assert.matches("^4 apples: +2%.00, says server %d+\n10 plums: +2%.00, says server %d+\n", out)
    assert.matches("a durian: +EREMOTE: there is no durian\n", out)
    assert.matches("a deadly request: +EOWNERDEAD: service .*: the server died before it replied\n", out)
    assert.matches("2 pears: +1%.50, says server %d+\n$", out)
    assert.is_false(exists "/shm_service")
  end)
end)
