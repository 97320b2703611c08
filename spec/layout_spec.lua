-- layout_spec.lua: layouts are those of C: of gcc, and of C programs that share the memory.
local shm = require "shm"
local process = require "spec.support.process"
local outcome = require "spec.support.outcome"
local layouts = require "spec.support.quote"
local uv = require "luv"

local types = { "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64" }

local directory
setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

-- Compiles a C program and returns its path; neither it nor gcc is to have our sanitizer.
local clean = { env = { LD_PRELOAD = false } }

local function compile(name, text)
  local path = directory .. "/" .. name
  local file = assert(io.open(path .. ".c", "w"))
  assert(file:write(text))
  file:close()
  local flags = { "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o", path, path .. ".c" }
  local gcc = process.run("gcc", flags, clean)
  assert.equal(0, gcc.code, gcc.err)
  return path
end

local fails, define_quote = outcome.raises, layouts.define

describe("a layout", function()
  it("is as C has it", function()
    local Quote = define_quote()
    assert.equal("Quote", Quote.name)
    assert.equal(128, Quote.size)
    assert.equal(8, Quote.align)
    assert.same({ id = 0, price = 8, name = 72, inner = 88, inner2 = 96 }, Quote.offset)
    assert.equal("layout Quote (5 fields, 128 bytes)", tostring(Quote))
    assert.is_nil(Quote.nothing)
  end)

  it("is told as C, with what is inside first, and once", function()
    define_quote()
    shm.record("Deeper", { "Quote quote", "Other others[2]" })
    assert.equal([[
typedef struct Other {
  uint32_t id;
  char c;
} Other;
typedef struct Quote {
  uint32_t id;
  double price[8];
  char name[16];
  Other inner;
  Other inner2[4];
} Quote;
typedef struct Deepest {
  Deeper deeper;
} Deepest;
]], (shm.record("Deepest", { "Deeper deeper" }):cdef():gsub("typedef struct Deeper.-Deeper;\n", "")))
  end)

  it("may be spaced as one likes", function()
    local loose = shm.record("Loose", { "  u8\ta ", "f64   b [ 3 ] ", "char\nc[ 2]", "u16 d[007]" })
    assert.same({ a = 0, b = 8, c = 32, d = 34 }, loose.offset)
    assert.equal(48, loose.size)
  end)

  it("may be defined anew; what was made of the old one goes on", function()
    local old = shm.record("Again", { "u32 a", "u32 b" })
    local user = shm.record("AgainUser", { "Again again" })
    local new = shm.record("Again", { "u8 a" })
    assert.same({ 8, 8, 1 }, { old.size, user.size, new.size })
    assert.matches("uint32_t b;", user:cdef(), 1, true)
    assert.equal(1, shm.record("AgainUser", { "Again again" }).size)
    shm.record("Kept", { "Again again" })
    shm.record("Again", { "u16 a" })
    fails('field "Again b" brings in a layout whose name an earlier', shm.record, "Both", { "Kept a", "Again b" })
    shm.record("Loop", { "u8 x" })
    shm.record("LoopUser", { "Loop loop" })
    fails('field "LoopUser a" brings in an older layout of this layout\'s own name', shm.record, "Loop",
      { "LoopUser a" })
  end)

  for _, case in ipairs {
    { "no such type", { "u8 a", "u33 x" }, 'field "u33 x" has no such type; there are i8 .*, char, and layouts' },
    { "a pointer", { "u8 *x" }, 'field "u8 %*x" has a name that is no C identifier' },
    { "no name", { "u32" }, 'field "u32" has no name' },
    { "no text", { "" }, 'field "" has no name' },
    { "a name that C cannot have", { "u32 2x" }, 'field "u32 2x" has a name that is no C identifier' },
    { "another alphabet's name", { "u32 größe" }, "has a name that is no C identifier" },
    { "a keyword", { "u32 while" }, 'field "u32 while" has a name that is a keyword of C' },
    { "a name of C's own", { "u32 __x" }, 'field "u32 __x" has a name that C keeps for itself' },
    { "a macro of stdint.h", { "u32 INT8_MAX" }, "has a name that C keeps for itself" },
    { "a field twice", { "u32 x", "u8 x" }, 'field "u8 x" has the name of an earlier field' },
    { "an array of nothing", { "u8 x[0]" }, 'field "u8 x%[0%]" has an array size that is no whole number from 1' },
    { "an array of less", { "u8 x[-1]" }, "has an array size that is no whole" },
    { "an array without its size", { "u8 x[]" }, "has an array size that is no whole" },
    { "an open bracket", { "u8 x[3" }, "has an array size that is no whole" },
    { "an array of arrays", { "u8 x[3][4]" }, 'is not "type name" or "type name%[count%]"' },
    { "a third word", { "u8 x y" }, 'field "u8 x y" is not "type name"' },
    { "more than 64 bits of size", { "u8 x[99999999999999999999]" }, "has an array size that is too large" },
    { "2^64 bytes", { "u64 x[2305843009213693952]" }, 'field "u64 x%[%d+%]" makes the record larger than 2%^60 bytes' },
    { "2^60 bytes and one", { "u8 a", "u8 x[1152921504606846976]" }, "makes the record larger" },
    { "padding beyond 2^60 bytes", { "u64 a", "u8 x[1152921504606846969]", "u8 y" }, "makes the record larger" },
    { "a name of 64 bytes", { "u8 " .. ("x"):rep(64) }, "has a name of more than 63 bytes" },
    { "no fields", {}, 'layout "Bad" has no fields' },
    { "a field that is a number", { "u8 a", 42 }, "field 2 is a number, not a string as" },
    { "a hole", { "u8 a", nil, "u8 c" }, "field 2 is a nil, not a string" },
    { "fields by name", { a = "u8" }, "a list of fields" },
    { "a NUL", { "u8 a\0b" }, "a field with a NUL inside" },
    { "no list", 42, "table expected, got number" },
    { "itself", { "Bad x" }, "has no such type" },
  } do
    it("refuses " .. case[1], function()
      fails(case[3], shm.record, "Bad", case[2])
    end)
  end

  it("refuses a name that C or the elements have", function()
    for name, why in pairs { int = "keyword", u8 = "element type", char = "keyword", ["2x"] = "no C identifier",
      [""] = "no name", uint8_t = "keeps for itself", _Bool = "keeps for itself", bool = "keyword",
      ["a b"] = "no C identifier", [("x"):rep(64)] = "more than 63 bytes" } do
      fails('layout ".*" has .*' .. why, shm.record, name, { "u8 x" })
    end
    fails("a NUL inside", shm.record, "a\0b", { "u8 x" })
    fails("string expected", shm.record, nil, { "u8 x" })
  end)

  it("has at most 255 fields, and 16 levels", function()
    local list = {}
    for i = 1, 255 do list[i] = "u8 x" .. i end
    assert.equal(255, shm.record("Wide", list).size)
    list[256] = "u8 x256"
    fails('field "u8 x256" is one too many: a layout has at most 255 fields', shm.record, "Wide", list)
    shm.record("Level1", { "u8 x" })
    for i = 2, 16 do shm.record("Level" .. i, { ("Level%d a"):format(i - 1), ("Level%d b"):format(i - 1) }) end
    fails("is too deep: more than 16", shm.record, "Level17", { "Level16 a" })
    local deep = shm.record("Level16", { "Level15 a", "Level15 b[2]" })
    assert.equal(3 * 2 ^ 14, deep.size)
    local _, count = deep:cdef():gsub("typedef", "")
    assert.equal(16, count)
    local segment <close> = assert(shm.create(nil, deep.size))
    local value = { x = 5 }
    for _ = 2, 16 do value = { a = value, b = {} } end
    segment:record(deep):set(value)
    local inner = segment:record(deep):totable()
    for _ = 2, 16 do inner = inner.a end
    assert.equal(5, inner.x)
    for _ = 2, 16 do inner = { a = inner } end
    inner.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.x = 256
    local record = segment:record(deep)
    fails("Level16" .. ("%.a"):rep(15) .. "%.x: 256 does not fit u8", record.set, record, inner)
  end)
end)

-- Layouts by chance: fields of all types, arrays, and layouts that were made before.
local function generate(count)
  local made = {}
  for i = 1, count do
    local list = {}
    for f = 1, math.random(1, 9) do
      local kind, array = math.random(1, 14), math.random(1, 3) == 1
      local name = types[kind] or "char"
      local inner = #made > 0 and made[math.random(math.max(1, #made - 20), #made)]
      if kind > 11 and inner and inner.layout.size < 2000 and inner.depth < 16 then
        name = inner.layout.name
        list.depth = math.max(list.depth or 0, inner.depth)
      end
      list[f] = ("%s f%d%s"):format(name, f, array and ("[%d]"):format(math.random(1, 7)) or "")
    end
    local depth = (list.depth or 0) + 1
    list.depth = nil
    made[i] = { layout = shm.record("Generated" .. i, list), fields = #list, depth = depth }
  end
  return made
end

local seed = tonumber(os.getenv("SHM_SEED")) or os.time()

it("300 generated layouts are those of gcc (SHM_SEED=" .. seed .. ")", function()
  math.randomseed(seed)
  local made = generate(300)
  local deepest, program, expected = 0, { "#include <stdint.h>\n#include <stddef.h>\n#include <stdio.h>\n" }, {}
  for i, one in ipairs(made) do
    local layout, line = one.layout, { one.layout.size, one.layout.align }
    local code = ("static void show%d(void) {\n%sprintf(\"%%zu %%zu\", sizeof(%s), _Alignof(%s));\n"):format(i,
      layout:cdef(), layout.name, layout.name)
    for f = 1, one.fields do
      code = code .. ("printf(\" %%zu\", offsetof(%s, f%d));\n"):format(layout.name, f)
      line[#line + 1] = layout.offset["f" .. f]
    end
    program[#program + 1] = code .. "puts(\"\");\n}\n"
    expected[i] = table.concat(line, " ") .. "\n"
    deepest = math.max(deepest, one.depth)
  end
  assert.is_true(deepest >= 4)
  program[#program + 1] = "int main(void) {\n"
  for i = 1, #made do program[#program + 1] = ("show%d();\n"):format(i) end
  program[#program + 1] = "}\n"
  local run = process.run(compile("generated", table.concat(program)), {}, clean)
  assert.equal(0, run.code)
  assert.equal(table.concat(expected), run.out)
end)

describe("a struct of a C program", function()
  local Rich, path
  local name = "/shm_spec_struct"
  local function setting() -- what both sides write
    return {
      a = -8, b = 200, c = -16000, d = 60000, e = -32, f = 4000000000, g = -64, h = -1, x = 0.5, y = -2.25,
      one = "c", text = "text", full = "1234", bytes = { 1, 2, 255 }, doubles = { 0.5, 1.5 },
      inner = { tag = "t", point = { x = 1, y = 2 } },
      inners = { { tag = "u", point = { x = 3, y = 4 } }, { tag = "v", point = { x = 5, y = 6 } } },
    }
  end
  local shown = "-8 200 -16000 60000 -32 4000000000 -64 18446744073709551615 0.50 -2.25 c text 1234 1 2 255 " ..
    "0.50 1.50 t 1.0 2.0 u 3.0 4.0 v 5.0 6.0\n"

  setup(function()
    shm.record("Point", { "f32 x", "f64 y" })
    shm.record("Inner", { "char tag", "Point point" })
    Rich = shm.record("Rich", { "i8 a", "u8 b", "i16 c", "u16 d", "i32 e", "u32 f", "i64 g", "u64 h", "f32 x", "f64 y",
      "char one", "char text[7]", "char full[4]", "u8 bytes[3]", "f64 doubles[2]", "Inner inner", "Inner inners[2]" })
    path = compile("struct", "#include <stdint.h>\n" .. Rich:cdef() .. [[
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

int main(int count, char **arguments) {
  (void)count;
  int fd = shm_open(arguments[1], O_RDWR, 0);
  char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd < 0 || memory == MAP_FAILED) return 1;
  Rich *r = (Rich *)(memory + 64);
  if (arguments[2][0] == 'w') {
    *r = (Rich){-8, 200, -16000, 60000, -32, 4000000000, -64, UINT64_MAX, 0.5f, -2.25, 'c', "text",
      {'1', '2', '3', '4'}, {1, 2, 255}, {0.5, 1.5}, {'t', {1, 2}}, {{'u', {3, 4}}, {'v', {5, 6}}}};
    return 0;
  }
  printf("%d %u %d %u %" PRId32 " %" PRIu32 " %" PRId64 " %" PRIu64 " %.2f %.2f %c %s %.4s %u %u %u %.2f %.2f",
    r->a, r->b, r->c, r->d, r->e, r->f, r->g, r->h, (double)r->x, r->y, r->one, r->text, r->full,
    r->bytes[0], r->bytes[1], r->bytes[2], r->doubles[0], r->doubles[1]);
  Inner *inners[] = {&r->inner, &r->inners[0], &r->inners[1]};
  for (int i = 0; i < 3; i++)
    printf(" %c %.1f %.1f", inners[i]->tag, (double)inners[i]->point.x, inners[i]->point.y);
  puts("");
  return 0;
}
]])
  end)

  it("is read by Lua", function()
    local segment <close> = assert(shm.create(name, 4096, { owned = true }))
    assert.equal(0, process.run(path, { name, "write" }, clean).code)
    assert.same(setting(), segment:record(Rich, 64):totable())
  end)

  it("is written by Lua, whole or field by field", function()
    local segment <close> = assert(shm.create(name, 4096, { owned = true }))
    segment:record(Rich, 64):set(setting())
    assert.equal(shown, process.run(path, { name, "read" }, clean).out)
    segment:fill(0)
    local record = segment:record(Rich, 64)
    for field, value in pairs(setting()) do record[field] = value end
    assert.equal(shown, process.run(path, { name, "read" }, clean).out)
  end)
end)
