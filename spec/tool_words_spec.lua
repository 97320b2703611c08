-- tool_words_spec.lua: the words of the tool `shm`: numbers, tables, JSON, states, as its parts make them.
package.path = package.path .. ";scripts/?.lua"

local format = require "cli.format"
local hexdump = require "cli.hexdump"
local json = require "cli.json"
local names = require "cli.names"
local objects = require "cli.objects"
local processes = require "cli.processes"
local me = math.tointeger(require("luv").os_getpid())

local function object(fields)
  local made = { name = "x", kind = "mutex", size = 64, count = 1, sound = true, users = {}, holders = {}, more = 0,
    waiting = false }
  for field, value in pairs(fields) do made[field] = value end
  return made
end

-- The line of an object, and of its rates given what it was a second before.
local function line_of(fields, before)
  local inspection = { objects = { object(fields) } }
  local past = before and objects.by_name { objects = { object(before) } }
  return objects.table(inspection, past, 1)[2]
end

describe("numbers", function()
  it("have at most four letters, and a unit", function()
    for bytes, text in pairs { [0] = "0", [1023] = "1023", [1024] = "1.0K", [10188] = "9.9K", [10189] = "10K",
      [1 << 20] = "1.0M", [3 << 30] = "3.0G", [100 << 40] = "100T" } do assert.equal(text, format.size(bytes)) end
    for count, text in pairs { [0] = "0", [999.4] = "999", [1500] = "1.5k", [9949] = "9.9k", [9960] = "10k",
      [4e6] = "4.0M" } do assert.equal(text, format.count(count)) end
    assert.equal("never", format.time(0))
    assert.matches("^2001%-09%-0%d %d%d:46:40$", format.time(1000000000))
  end)

  it("are bars that show anything above nothing", function()
    for share, text in pairs { [0] = ".....   0%", [0.001] = "#....   0%", [0.5] = "###..  50%", [0.29] = "#....  29%",
      [0.31] = "##...  31%", [1] = "##### 100%", [7] = "##### 100%", [-1] = ".....   0%" } do
      assert.equal(text, format.bar(share, 5))
    end
  end)
end)

describe("texts", function()
  it("are cut and wrapped by letters, whatever their bytes are", function()
    assert.same({ "abc", "ab~", "äö~", "~", "" }, { format.cut("abc", 3), format.cut("abcd", 3), format.cut("äöüß", 3),
      format.cut("abc", 1), format.cut("abc", 0) })
    assert.equal("\x80\x80~", format.cut("\x80\x80\x80\x80", 3))
    assert.same({ "held by 1 lua;", "read by 2 lua,", "3 lua" }, format.wrap("held by 1 lua; read by 2 lua, 3 lua", 15))
    assert.same({ "held by", "1234567", "lua; x" }, format.wrap("held by 1234567 lua; x", 8))
  end)

  it("are tables whose last column is wrapped, or below", function()
    local columns = { { title = "A", least = 2 }, { title = "N", right = true }, { title = "STATE", wrap = 6 } }
    local function rows() return { { "abcdef", "10", "one, two" }, { "b", "5", "" } } end
    assert.same({ "A        N  STATE", "abcdef  10  one, two", "b        5" }, format.table(columns, rows()))
    assert.same({ "A        N  STATE", "abcdef  10  one,", "            two", "b        5" },
      format.table(columns, rows(), 19))
    assert.same({ "A     N  STATE", "ab~  10  one,", "         two", "b     5" }, format.table(columns, rows(), 15))
    assert.same({ "A    N", "a~  10", "    one,", "    two", "b    5" }, format.table(columns, rows(), 9))
  end)

  it("are tables that come closer where that makes them fit, and whose widest column is cut", function()
    local columns = { { title = "NAME", least = 3 }, { title = "N", right = true }, { title = "WHO", least = 2 } }
    local function rows() return { { "abcdef", "10", "you" } } end
    assert.same({ "NAME    N WHO", "abcdef 10 you" }, format.table(columns, rows(), 14))
    assert.same({ "NA~   N  WHO", "ab~  10  you" }, format.table(columns, rows(), 12))
    columns = { { title = "A" }, { title = "S", wrap = 3 } }
    assert.same({ "A  S", "x  one two", "   six" }, format.table(columns, { { "x", "one two six" } }, 10))
  end)

  it("are nothing that a terminal obeys", function()
    assert.equal("\\xc2\\x9b31m \u{a0}", names.printable "\u{9b}31m \u{a0}")
    assert.equal("/a\\x1b\\x7f\\xff", names.printable("/a\27\127\255"))
    assert.equal("/ä", names.printable("/ä"))
  end)

  it("are bytes in rows of several widths", function()
    assert.equal("00000000  41 00 42  |A.B|", (hexdump.line(0, "A\0B", 3)))
    local line, marks = hexdump.line(16, "AB", 4, "AC")
    assert.same({ "00000010  41 42*       |AB|", 1 }, { line, marks })
    for width, row in pairs { [200] = 16, [78] = 16, [77] = 8, [45] = 8, [44] = 4 } do
      assert.equal(row, hexdump.row(width))
      assert.is_true(#hexdump.line(0, ("x"):rep(row), row) <= width)
    end
    assert.equal(16, hexdump.row(nil))
  end)
end)

describe("JSON", function()
  it("is in order, and valid whatever a name is", function()
    assert.equal('{\n  "a": [\n    1,\n    true\n  ],\n  "b": [],\n  "c": 0.5\n}',
      json.encode { c = 0.5, b = {}, a = { 1, true } })
    assert.equal('"\\u001b\\"\\\\\\u007fä"', json.encode "\27\"\\\127ä")
    assert.equal('"\\u00ff\\u00c3"', json.encode "\255\xc3")
  end)
end)

describe("the state of an object", function()
  it("names three of each part, and says how many more there are", function()
    local holders = {}
    for i = 1, 5 do holders[i] = { process = me, part = "reads", count = i, lives = true } end
    local who = processes.describe(me)
    local line = line_of { kind = "rwlock", holders = holders, more = 7 }
    assert.is_truthy(line:find(("  read by %s, %s x2, %s x3, 2 more; and 7 more"):format(who, who, who), 1, true), line)
    local waiter = { process = me, part = "waits", count = 1, lives = true }
    assert.matches("70 of 100 are there; waiting: ", line_of { kind = "barrier", count = 100, holders = { waiter },
      more = 69 })
  end)

  it("says who waits", function()
    local function channel(fields)
      fields.used, fields.capacity, fields.sent, fields.received = 0, 64, 0, 0
      return line_of { kind = "channel", stat = fields }
    end
    assert.matches(" 0%% +receivers wait$", channel { receivers_wait = true })
    assert.matches(" 0%% +senders wait$", channel { senders_wait = true })
    assert.matches(" 0%% +receivers and senders wait$", channel { receivers_wait = true, senders_wait = true })
    assert.matches(" 0%% +finished$", channel { finished = true })
  end)

  it("is that of the dead, too", function()
    local dead = { process = me, part = "holds", count = 1, lives = false }
    assert.matches(("held by %d %%(gone%%)$"):format(me), line_of { holders = { dead } })
    assert.matches("damaged$", line_of { sound = false })
    assert.matches("free; others wait$", line_of { waiting = true })
  end)

  it("has rates of the same object only, and none below zero", function()
    local function channel(sent, kind)
      local stat = { used = 0, capacity = 64, sent = sent, received = sent, published = kind and sent }
      return { kind = kind or "channel", stat = stat }
    end
    assert.matches(" 10  +10$", line_of(channel(30), channel(20)))
    assert.matches(" 0  +0$", line_of(channel(10), channel(20)))
    assert.matches(" 0%%$", line_of(channel(30), channel(20, "topic")))
    assert.matches(" 0%%$", line_of(channel(30)))
  end)
end)
