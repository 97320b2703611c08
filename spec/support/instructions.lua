-- instructions.lua: how many instructions a call of each of the hottest operations takes, counted
-- by valgrind's callgrind, and those that were accepted. As a script it accepts (`make accept`).
-- No clock is read, and any run counts the same: see counter.c.
local process = require "spec.support.process"
local uv = require "luv"

local instructions = {}

local accepted_file <const> = "spec/instructions.txt"
local tolerance <const> = 10 -- percent

-- Of memcpy and its like the C library takes the variants that any x86-64 has.
local tunables <const> = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX2,-AVX512F,-AVX512VL,"
  .. "-AVX512BW,-ERMS,-FSRM,-SSSE3,-SSE4_1,-SSE4_2,-BMI1,-BMI2,-RTM"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

-- ---- counting ----

-- Callgrind writes a profile of the n-th operation to profiles.n, for callgrind_annotate.
local profiles <const> = process.build .. "/spec/callgrind"

local function run(command, arguments)
  local result = process.run(command, arguments, { env = { GLIBC_TUNABLES = tunables } })
  assert(result.code == 0, result.err)
  return result.out
end

-- What the figures depend on: the machine, the compiler and those of its flags that change what it
-- makes, the C library, Lua.
function instructions.built()
  local flags = {}
  local command = read(process.build .. "/stamp"):match("^(.-) core/")
  for word in command:gmatch("%S+") do
    if word:find("^%-[DOfm]") or #flags == 0 then flags[#flags + 1] = word end
  end
  local versions = run(process.build .. "/spec/counter", {}):gsub("\n", "")
  return ("%s, %s, %s"):format(uv.os_uname().machine, table.concat(flags, " "), versions)
end

-- What an earlier run has left there is not to be taken for this one's.
local function remove_profiles()
  local n = 1
  while os.remove(profiles .. "." .. n) do n = n + 1 end
end

-- A list of { name, count, profile }.
function instructions.count()
  remove_profiles()
  local out = run("valgrind", { "-q", "--tool=callgrind", "--callgrind-out-file=" .. profiles,
    "--toggle-collect=counted", "--dump-after=counted", process.build .. "/spec/counter",
    "spec/support/hottest.lua" })
  local figures = {}
  for name, calls in out:gmatch("(.-) x (%d+)\n") do
    local path = profiles .. "." .. #figures + 1
    local total = assert(read(path):match("\ntotals: (%d+)"), path)
    figures[#figures + 1] = { name = name, count = (total + calls // 2) // calls, profile = path }
  end
  return figures
end

-- ---- what was accepted ----

-- What the figures hold for, and a count by each name.
function instructions.accepted()
  local text = read(accepted_file)
  local counts = {}
  for count, name in text:gmatch("\n *(%d+)  ([^\n]+)") do counts[name] = math.tointeger(count) end
  return assert(text:match("\nbuilt: ([^\n]+)")), counts
end

-- A sentence about each figure that is not near the accepted one. One that has shrunk is to be
-- accepted, too: else it may grow again, and nobody is told.
function instructions.compare(figures, accepted)
  local faults, left = {}, {}
  for name in pairs(accepted) do left[name] = true end
  local function fault(...) faults[#faults + 1] = string.format(...) end
  for _, figure in ipairs(figures) do
    local name, new, old = figure.name, figure.count, accepted[figure.name]
    left[name] = nil
    if not old then
      fault("%s takes %d instructions, and none were accepted", name, new)
    elseif math.abs(new - old) * 100 > tolerance * old then
      fault("%s takes %d instructions, and %d were accepted: %.0f %% %s; where they go, says: "
        .. "callgrind_annotate --threshold=100 %s", name, new, old, math.abs(new - old) / old * 100,
        new > old and "more" or "less", figure.profile)
    end
  end
  for name in pairs(left) do fault("%s was accepted, and is not counted any more", name) end
  if #faults > 0 then
    fault("If that is meant, accept the new figures: make accept (writes %s)", accepted_file)
  end
  return table.concat(faults, "\n")
end

local function accept()
  local lines = {
    "# instructions.txt: what a call of each of the hottest operations takes, from Lua,",
    "# as spec/support/hottest.lua makes it. Written by `make accept`.",
    "built: " .. instructions.built(),
  }
  local before = select(2, instructions.accepted())
  for _, figure in ipairs(instructions.count()) do
    lines[#lines + 1] = ("%6d  %s"):format(figure.count, figure.name)
    local old = before[figure.name] or "not there"
    print(("%6d  %-24s was %s"):format(figure.count, figure.name, old))
  end
  local file <close> = assert(io.open(accepted_file, "w"))
  file:write(table.concat(lines, "\n"), "\n")
end

if not ... then accept() end
return instructions
