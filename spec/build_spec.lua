-- build_spec.lua: what the Makefile and the README promise: targets, an installation, a rock, a demo.
local process = require "spec.support.process"
local uv = require "luv"

local root = uv.cwd()
-- As a user types it: without what the make that runs these specs has put into the environment.
local clean = { MAKEFLAGS = false, MAKELEVEL = false, MFLAGS = false, BUILD = false, SANITIZE = false,
  PRELOAD = false, LD_PRELOAD = false, LUA_PATH = false, LUA_CPATH = false, SHM_BUILD = false }

local directory
setup(function() directory = assert(uv.fs_mkdtemp("/tmp/shm_spec_XXXXXX")) end)
teardown(function() assert.equal(0, process.run("rm", { "-rf", directory }).code) end)

local function run(command, arguments, changes, cwd)
  local env = {}
  for name, value in pairs(clean) do env[name] = value end
  for name, value in pairs(changes or {}) do env[name] = value end
  return process.run(command, arguments, { env = env, cwd = cwd, seconds = 120 })
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
  table.sort(lines)
  return lines
end

-- Without optimization: this is about what is built and installed, and is built twice.
local function make(...)
  local result = run("make", { "--no-print-directory", "CFLAGS=-O0", ... })
  assert.equal(0, result.code, result.err)
  return result
end

local function write(name, text)
  local path = directory .. "/" .. name
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

local function readme(pattern)
  local file <close> = assert(io.open("README.md"))
  return assert(file:read("a"):match(pattern))
end

describe("make", function()
  it("help has a line for each target", function()
    local help = make("help").out
    local targets = { "help", "all", "man", "demo", "test", "one", "lint", "asan", "torture", "fuzz", "accept",
      "bench", "bench-peers", "plots", "install", "uninstall", "clean" }
    for _, target in ipairs(targets) do
      assert.matches("\n?" .. target:gsub("%-", "%%-") .. " +%l[^\n]+\n", help)
    end
    assert.equal(#targets, select(2, help:gsub("\n", "")))
  end)

  it("leaves the module and both libraries", function()
    make("all", "BUILD=" .. directory .. "/out")
    for _, name in ipairs { "shm.so", "libshmx.a", "libshmx.so", "libshmx_lua.a", "shmlua" } do
      assert.is_truthy(uv.fs_stat(directory .. "/out/" .. name), name)
    end
    local symbols = run("nm", { "-D", "--defined-only", directory .. "/out/shm.so" }).out
    assert.equal("luaopen_shm", symbols:match("%w+ T ([%w_]+)"))
    assert.equal(1, select(2, symbols:gsub("\n", "")))
  end)

  it("says what is missing where Lua's headers are", function()
    local result = run("make", { "BUILD=" .. directory .. "/none", "LUA_INCDIR=/no/such/folder" })
    assert.is_true(result.code ~= 0)
    assert.matches("lua.h is not in /no/such/folder: install liblua5.4%-dev", result.err)
  end)

  it("demo shows the documents' programs at work, and ends", function()
    local started = uv.hrtime()
    local result = run("make", { "demo" })
    assert.equal(0, result.code, result.err)
    assert.equal("", result.err)
    assert.matches("letters_client %d+ +AAAAAAAAAA\n", result.out)
    local written = result.out:match("random_writer %d+ +write a random number (%d+)\n")
    assert.matches("random_reader %d+ +" .. written .. "\n", result.out)
    assert.matches("answered HELLO FROM ONE PROCESS", result.out)
    assert.matches("jobs %d+ +20000 jobs, 20000 results of %d+ workers; 5 workers were killed", result.out)
    assert.matches("service %d+ +a deadly request: +EOWNERDEAD: ", result.out)
    assert.is_true((uv.hrtime() - started) / 1e9 < 30)
  end)
end)

describe("make one", function()
  local function one(...) return run("make", { "--no-print-directory", "one", ... }) end

  it("runs the C test and the specs of a name, and of these the ones that FILTER names", function()
    local result = one("ONLY=mutex", "FILTER=two")
    assert.equal(0, result.code, result.err)
    assert.matches("Running %d+ test%(s%)", result.out)
    assert.matches("\n%d+ success[es]* / 0 failures", result.out)
    local alone = one("ONLY=error_test")
    assert.equal(0, alone.code, alone.err)
    assert.matches("Running %d+ test", alone.out)
    assert.is_nil(alone.out:find("successes", 1, true))
  end)

  it("says what it did not find", function()
    local result = one("ONLY=nothing")
    assert.is_true(result.code ~= 0)
    assert.matches("there is neither spec/nothing_spec.lua nor spec/core/nothing_test.c", result.out)
  end)
end)

describe("make demo and make test", function()
  -- A machine with other tools in front: stand-ins for dpkg-query, apt-get and sudo.
  local function with(tools)
    local bin = assert(uv.fs_mkdtemp(directory .. "/binXXXXXX"))
    for name, script in pairs(tools) do
      local file <close> = assert(io.open(bin .. "/" .. name, "w"))
      file:write("#!/bin/sh\n", script, "\n")
      assert(uv.fs_chmod(bin .. "/" .. name, 493))
    end
    return { PATH = bin .. ":" .. os.getenv("PATH") }
  end

  it("install nothing where nothing is missing", function()
    local env = with { ["apt-get"] = "echo asked for the network >&2; exit 1", ["dpkg-query"] = "echo installed" }
    for _, target in ipairs { "setup-demo", "setup-test", "setup-lint", "setup-fuzz", "setup-bench" } do
      local result = run("make", { "--no-print-directory", target }, env)
      assert.same({ 0, "", "" }, { result.code, result.out, result.err })
    end
  end)

  it("install what is missing, asking nothing", function()
    local log = directory .. "/apt.log"
    local env = with {
      ["dpkg-query"] = 'case "$*" in *lua-luv|*lua-busted) exit 1;; *) echo installed;; esac',
      ["apt-get"] = 'echo "$DEBIAN_FRONTEND $*" >> ' .. log .. "; cat >/dev/null",
      sudo = 'shift; exec "$@"',
    }
    local result = run("make", { "--no-print-directory", "setup-test" }, env)
    assert.equal(0, result.code, result.err)
    assert.equal("installing: lua-busted lua-luv\n", result.out)
    local file <close> = assert(io.open(log))
    assert.equal("noninteractive -qq update\n" ..
      "noninteractive -qq install -y --no-install-recommends lua-busted lua-luv\n", file:read("a"))
  end)

  it("say so where apt fails", function()
    local env = with { ["dpkg-query"] = "exit 1", ["apt-get"] = "echo no network >&2; exit 100",
      sudo = 'shift; exec "$@"' }
    local result = run("make", { "--no-print-directory", "setup-demo" }, env)
    assert.is_true(result.code ~= 0)
    assert.matches("no network", result.err)
  end)
end)

describe("an installation", function()
  local prefix, here
  setup(function()
    prefix = directory .. "/usr"
    here = { PKG_CONFIG_PATH = prefix .. "/lib/pkgconfig", LD_LIBRARY_PATH = prefix .. "/lib",
      LUA_CPATH = prefix .. "/lib/lua/5.4/?.so;;" }
    make("install", "PREFIX=" .. prefix, "BUILD=" .. directory .. "/out")
  end)

  it("has the module, and the README's ten lines print what they say", function()
    local script = write("ten.lua", readme("```lua\n(.-)```"))
    local result = run(process.lua, { script }, here)
    assert.equal("", result.err)
    assert.equal('hello\t65536\tsegment "/prices" (posix, 65536 bytes)\nhello\n' ..
      'nil\tsegment "/prices" exists already; use attach or open, or remove it first\tEEXIST\n' ..
      'false\toffset 65530 with length 10 is not within segment "/prices" of 65536 bytes\n', result.out)
  end)

  it("prints what the README's typed memory says", function()
    local script = write("typed.lua", readme("have types.-```lua\n(.-)```"))
    local result = run(process.lua, { script }, here)
    assert.equal("", result.err)
    assert.matches("^2\t6\t1\t11\nfalse\t.-1.5 is not a whole number, as i32 has them\n"
      .. "7\t2.5\tACME\t88\ntimed%-out\n$", result.out)
  end)

  it("prints what the README's arena says", function()
    local script = write("arena.lua", readme("share an arena.-```lua\n(.-)```"))
    local result = run(process.lua, { script }, here)
    assert.equal("", result.err)
    assert.equal('0\tguard of mutex "turn" of arena "/app"\n'
      .. 'false\tmutex "turn" of arena "/app" is not held by this thread: nobody holds it\n'
      .. "array\taccount\t64\nmutex\tturn\t64\n", result.out)
  end)

  it("prints what the README's messages say", function()
    local script = write("messages.lua", readme("Messages go.-```lua\n(.-)```"))
    local result = run(process.lua, { script }, here)
    assert.equal("", result.err)
    assert.equal('7\t2\tnil\tchannel "jobs" of arena "/post" is empty\tEAGAIN\n6.0\ttrue\nissue 3073\t3072\n'
      .. 'nil\tservice "prices" of arena "/post": no reply came in time\tETIMEDOUT\n', result.out)
  end)

  it("prints what the README's dict says", function()
    local script = write("dict.lua", readme("share a dict.-```lua\n(.-)```"))
    local result = run(process.lua, { script }, here)
    assert.equal("", result.err)
    assert.equal("<html>\tnil\nfalse\texists\tfalse\n1\ttrue\tnil\tfalse\n20\tnil\tfalse\n"
      .. "made for /slow\tmade for /slow\n2\ta\ntrue\t4\t0\n", result.out)
  end)

  it("has all that a C program needs, shared and static", function()
    local source = write("main.c", readme("```c\n(.-)```"))
    for _, static in ipairs { "", "--static" } do
      local binary = directory .. "/main" .. static
      local compile = ("gcc -Wall -Wextra -Werror %s %s -o %s $(pkg-config --cflags --libs %s shmx)")
        :format(static == "" and "" or "-static", source, binary, static)
      local compiled = run("sh", { "-c", compile }, here)
      assert.equal(0, compiled.code, compiled.err)
      assert.equal(0, run(binary, {}, here).code)
      local read = readme("\n`lua5.4 %-e '([^\n]-)'`")
      assert.equal("hello\ttrue\n", run(process.lua, { "-e", read }, here).out)
    end
  end)

  it("has shmlua, which needs no search path", function()
    local result = run(prefix .. "/bin/shmlua", { "-j2", "-e", 'print(#require "shm".worker.arena:objects())' })
    assert.same({ 0, "0\n0\n", "" }, { result.code, result.out, result.err })
  end)

  it("prints what the README's workers say", function()
    local script = write("sum.lua", readme("On all cores.-```lua\n(.-)```"))
    local result = run(prefix .. "/bin/shmlua", { "-j", "4", script })
    assert.same({ 0, "500500\n", "" }, { result.code, result.out, result.err })
  end)

  it("has what a C program needs that embeds Lua, and the example that does", function()
    local example = directory .. "/embed"
    assert.equal(0, run("cp", { "-r", prefix .. "/share/shm/examples/embed", example }).code)
    local compiled = run("make", { "-C", example, "CFLAGS=-Werror" }, here)
    assert.equal(0, compiled.code, compiled.err)
    local result = run(example .. "/embed", {}, here)
    assert.same({ 0, "the script has the sum 32, in anonymous segment (memfd, 64 bytes)\n"
      .. "the program reads 32\n", "" }, { result.code, result.out, result.err })
    local lines = select(2, run("cat", { example .. "/embed.c" }).out:gsub("\n", ""))
    assert.is_true(lines < 100)
  end)

  it("hands handles to scripts and back, and says what is none", function()
    local source = write("handles.c", [[
      #include <lauxlib.h>
      #include <lualib.h>
      #include <stdio.h>
      #include <shmx_lua.h>
      static int segment_of(lua_State *L) {
        lua_pushboolean(L, shmx_lua_check_segment(L, 1)->object.data != NULL);
        return 1;
      }
      static int arena_of(lua_State *L) {
        lua_pushinteger(L, (lua_Integer)shmx_lua_check_arena(L, 1)->segment.object.size);
        return 1;
      }
      int main(int argc, char **argv) {
        shmx_arena arena = {0}, other = {0};
        shmx_arena_object object = {0};
        shmx_kind kind = shmx_array_kind(SHMX_I32, 1);
        if (shmx_arena_open(&other, shmx_anonymous(), 8192, NULL) != 0) return 2;
        if (shmx_arena_open(&arena, shmx_anonymous(), 65536, NULL) != 0) return 3;
        if (shmx_arena_find(&arena, "n", &kind, &object) != 0) return 4;
        lua_State *L = luaL_newstate(); /* nobody opens the module in it */
        luaL_openlibs(L);
        shmx_arena *moved = shmx_lua_push_arena(L, &arena);
        lua_setglobal(L, "arena");
        if (arena.segment.object.data != NULL || object.arena != moved) return 5;
        shmx_segment mine = {0};
        if (shmx_segment_create(&mine, shmx_anonymous(), 100, NULL) != 0) return 10;
        if (shmx_lua_push_segment(L, &mine)->object.data == NULL || mine.object.data != NULL) return 11;
        lua_setglobal(L, "mine");
        shmx_segment *segment = shmx_lua_push_segment(L, NULL);
        if (shmx_segment_create(segment, shmx_anonymous(), 100, NULL) != 0) return 6;
        lua_setglobal(L, "segment");
        lua_register(L, "segment_of", segment_of);
        lua_register(L, "arena_of", arena_of);
        *(int32_t *)object.memory.object.data = 42; /* as good as before */
        if (luaL_dostring(L, argv[argc - 1]) != LUA_OK) return puts(lua_tostring(L, -1)), 7;
        if (shmx_segment_write(segment, 0, "x", 1) != -EBADF) return 8;
        lua_close(L);
        if (object.arena != NULL || shmx_arena_object_check(&object) != -EBADF) return 9;
        shmx_arena_close(&other);
        return 0;
      }]])
    local binary = directory .. "/handles"
    local compiled = run("sh", { "-c", "gcc -Wall -Wextra -Werror " .. source .. " -o " .. binary
      .. " $(pkg-config --cflags --libs shmx_lua)" }, here)
    assert.equal(0, compiled.code, compiled.err)
    local result = run(binary, { [[
      assert(arena:array("n", "i32", 1)[1] == 42 and arena_of(arena) == 65536)
      assert(package.loaded.shm._VERSION and segment_of(segment))
      for _, wrong in ipairs { 1, "x", io.stdout, arena } do
        local ok, message = pcall(segment_of, wrong)
        assert(not ok and message:find("bad argument #1 to '?segment_of'? %(shm.segment expected, got "), message)
      end
      local ok, message = pcall(arena_of, segment)
      assert(not ok and message:find "shm.arena expected, got shm.segment", message)
      ok, message = pcall(arena_of)
      assert(not ok and message:find "shm.arena expected, got no value", message)
      segment:write "hello"
      segment:close()
      assert(segment_of(segment) == false)]] }, here)
    assert.same({ 0, "", "" }, { result.code, result.out, result.err })
  end)

  it("has two headers, for C11 and C++11, that do not find a program's own base/api.h", function()
    local headers = run("find", { prefix .. "/include", "-type", "f", "-printf", "%f\\n" }).out
    assert.same({ "shmx.h", "shmx_lua.h" }, lines_of(headers))
    write("api.h", "#error this is the program's own\n")
    assert.equal(0, run("sh", { "-c", "mkdir -p own/base && cp api.h own/base" }, nil, directory).code)
    for header in headers:gmatch("[^\n]+") do
      for _, language in ipairs { "c -std=c11", "c++ -std=c++11" } do
        local compiled = run("sh", { "-c", ("echo 'int unused;' | gcc -x %s -pedantic -Wall -Wextra -Werror "
          .. "-fsyntax-only -Iown -I%s/include -include %s -"):format(language, prefix, header) }, nil, directory)
        assert.equal(0, compiled.code, compiled.err)
      end
    end
  end)

  it("has a library of the version that its header says", function()
    local source = write("version.c", "#include <shmx.h>\n#include <string.h>\n"
      .. "int main(void) { return strcmp(shmx_version(), SHMX_VERSION) != 0; }\n")
    local binary = directory .. "/version"
    local compiled = run("sh", { "-c", ("gcc -Wall -Werror %s -o %s $(pkg-config --cflags --libs shmx)")
      :format(source, binary) }, here)
    assert.equal(0, compiled.code, compiled.err)
    assert.equal(0, run(binary, {}, here).code)
  end)

  it("has the examples and the description of the API", function()
    local examples = prefix .. "/share/shm/examples/"
    local result = run(process.lua, { examples .. "posix_object.lua" }, here)
    assert.equal(0, result.code, result.err)
    assert.is_truthy(uv.fs_stat(prefix .. "/share/shm/meta/shm.lua"))
  end)

  it("has the tool, its manual and its completion", function()
    local share = prefix .. "/share/"
    for _, path in ipairs { "man/man1/shm.1", "man/man1/shmlua.1", "man/man3/shm.3lua",
      "bash-completion/completions/shm", "bash-completion/completions/shmlua" } do
      assert.is_truthy(uv.fs_stat(share .. path), path)
    end
    local result = run(prefix .. "/bin/shm", { "ls" }) -- which finds its module and its parts by itself
    assert.equal(0, result.code, result.err)
    assert.matches("^NAME OR KEY", result.out)
  end)

  it("is staged below DESTDIR, and uninstall leaves nothing of it", function()
    local stage = directory .. "/stage"
    make("install", "DESTDIR=" .. stage, "BUILD=" .. directory .. "/out")
    assert.is_truthy(uv.fs_stat(stage .. "/usr/local/lib/lua/5.4/shm.so"))
    local pc <close> = assert(io.open(stage .. "/usr/local/lib/pkgconfig/shmx.pc"))
    local text = pc:read("a")
    assert.is_nil(text:find(stage, 1, true))
    assert.equal(require "shm"._VERSION, "shm " .. text:match("Version: (%S+)"))
    make("uninstall", "DESTDIR=" .. stage, "BUILD=" .. directory .. "/out")
    assert.equal("", run("find", { stage, "!", "-type", "d" }).out)
  end)
end)

describe("the rockspec", function()
  it("builds a module that works", function()
    local tree = directory .. "/rocks"
    local result = process.run("luarocks", { "--lua-version", "5.4", "--tree", tree, "make", "CFLAGS=-O0 -fPIC" },
      { env = clean, cwd = root, seconds = 120 })
    assert.equal(0, result.code, result.err)
    local used = run(process.lua, { "-e", 'print(require "shm".create(nil, 10))' },
      { LUA_CPATH = tree .. "/lib/lua/5.4/?.so" })
    assert.equal("anonymous segment (memfd, 10 bytes)\n", used.out, used.err)
  end)
end)
