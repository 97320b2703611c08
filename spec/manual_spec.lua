-- manual_spec.lua: manual pages and completion say what the tools and the module say.
local process = require "spec.support.process"
local shm = require "shm"
local uv = require "luv"

local root = uv.cwd()

local host_help = process.run(process.build .. "/shmlua", { "--help" }).out

-- Runs a command that is given its standard input, if it reads any; returns its output.
local function filter(input, command, arguments, options)
  local child = process.start(command, arguments, options)
  local is_written = input == nil
  if input then child.input:write(input, function() is_written = true end) end
  assert.is_true(process.await(function() return is_written end))
  assert.equal(0, child:wait(), child.err)
  assert.equal("", child.err)
  return child.out
end

local function page(name)
  local input = name == "shmlua.1" and host_help or nil
  return filter(input, process.lua, { root .. "/scripts/man/man.lua", name }, { cwd = "/" })
end

-- The page as it is read, without the overstriking that makes it bold; groff's memory is not ours to check.
local function formatted(name)
  return filter(page(name), "groff", { "-man", "-Tutf8", "-ww", "-P-cbou" }, { env = { LD_PRELOAD = false } })
end

local function help(...)
  local result = process.run(process.lua, { root .. "/scripts/shm", ... })
  assert.equal(0, result.code, result.err)
  return result.out
end

local function commands()
  local list = {}
  for command in help("--help"):match("Commands:(\n.-)\n\n"):gmatch("\n   (%l+)") do list[#list + 1] = command end
  return list
end

-- Long options of a command, but --help.
local function options(command)
  local set = {}
  for option in help(command, "--help"):gmatch("(%-%-[%l-]+)") do
    if option ~= "--help" then set[option] = true end
  end
  return set
end

describe("the manual", function()
  it("has pages without a warning of groff's", function()
    for _, name in ipairs { "shm.1", "shmlua.1", "shm.3lua" } do assert.matches("NAME\n +shm", formatted(name)) end
    assert.equal(2, process.run(process.lua, { root .. "/scripts/man/man.lua", "none" }).code)
  end)

  it("has the commands and options of shm", function()
    local text = formatted "shm.1"
    for _, command in ipairs(commands()) do
      local part = text:match("\n   shm " .. command .. "[^\n]*\n(.-)\n   shm ") or text
      for option in pairs(options(command)) do
        assert.is_truthy(part:find(option, 1, true), command .. " " .. option)
      end
      local example = help(command, "--help"):match("\nExample: ([^\n]+)\n$")
      assert.is_truthy(part:find("\n *" .. example:gsub("%p", "%%%0") .. "\n"), example) -- to be copied into a shell
    end
    for _, word in ipairs { "EXIT STATUS", "NO_COLOR", "/name" } do assert.is_truthy(text:find(word, 1, true), word) end
  end)

  it("has the options of shmlua as it explains them itself", function()
    local text = formatted("shmlua.1"):gsub("%s+", " ")
    local explained = host_help:gsub("^[^\n]*\n[^\n]*\n", ""):gsub("%s+", " ")
    local count = 0
    for line in host_help:gmatch("\n  (%-[^\n]+)") do
      count = count + 1
      assert.is_truthy(text:find(line:gsub("%s+", " "), 1, true), line)
    end
    assert.is_true(count >= 14)
    assert.is_truthy(text:find("OPTIONS" .. explained, 1, true))
    assert.is_truthy(text:find("SYNOPSIS " .. host_help:match("usage: ([^\n]+)"), 1, true))
  end)

  it("has every function, method and type of the module", function()
    local text = formatted "shm.3lua"
    local file <close> = assert(io.open "bindings/meta/shm.lua")
    local meta = file:read "a"
    local count = 0
    for call in meta:gmatch("\nfunction ([%w_.:]+)%(") do
      count = count + 1
      assert.is_truthy(text:find("\n   " .. call .. "(", 1, true), call)
    end
    assert.is_true(count > 100)
    for class in meta:gmatch("%-%-%-@class ([%w.]+)") do
      assert.is_truthy(text:find("\n   " .. class, 1, true), class)
    end
    assert.matches("\n   shm%.create%(name, size %[, opts%]%)\n", text)
  end)
end)

describe("the completion", function()
  local function complete(tool, ...)
    local words = { tool, ... }
    local script = ([[
      source %s/scripts/completion/shm.bash
      COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
      _%s
      printf '%%s\n' "${COMPREPLY[@]}"]]):format(root, tool)
    local result = process.run("bash", { "--norc", "-c", script, "bash", table.unpack(words) })
    assert.equal("", result.err)
    local set = {}
    for line in result.out:gmatch("[^\n]+") do set[line] = true end
    return set
  end

  local function set_of(list)
    local set = {}
    for _, value in ipairs(list) do set[value] = true end
    return set
  end

  it("knows the commands of shm, and the options of each", function()
    local expected = set_of(commands())
    expected["--help"], expected["--version"] = true, true
    assert.same(expected, complete("shm", ""))
    assert.same({ write = true, watch = true }, complete("shm", "w"))
    for _, command in ipairs(commands()) do
      expected = options(command)
      expected["--help"] = true
      assert.same(expected, complete("shm", command, "-"), command)
    end
  end)

  it("knows the names that there are, and types", function()
    local posix <close> = assert(shm.create("/shm_spec with a space", 10, { owned = true }))
    local sysv <close> = assert(shm.create(-0x1234567, 10, { owned = true }))
    assert.same({ ["/shm_spec\\ with\\ a\\ space"] = true }, complete("shm", "read", "/shm_spec"))
    assert.same({ ["/shm_spec\\ with\\ a\\ space"] = true }, complete("shm", "read", "/shm_spec\\ wi"))
    assert.same({ ["0xfedcba99"] = true }, complete("shm", "rm", "0xfedc"))
    local queue = assert(shm.messages(-0x1234568))
    local of_rm, of_read = complete("shm", "rm", "mq:0xfedc"), complete("shm", "read", "mq:0xfedc")
    queue:remove()
    assert.same({ { ["mq:0xfedcba98"] = true }, {} }, { of_rm, of_read })
    assert.same({ f32 = true, f64 = true }, complete("shm", "read", "/x", "--type", "f"))
    assert.equal(20, #posix + #sysv)
  end)

  it("does nothing that a name says", function()
    local odd <close> = assert(shm.create("/shm_spec_$(echo >&2 obeyed)`echo obeyed >&2`;*", 10, { owned = true }))
    local reply = next(complete("shm", "read", "/shm_spec_"))
    assert.equal("/shm_spec_$(echo >&2 obeyed)`echo obeyed >&2`;*\n",
      process.run("bash", { "--norc", "-c", "printf '%s\\n' " .. reply }).out)
    assert.equal(10, #odd)
  end)

  it("knows the options of shmlua, scripts, and files for these", function()
    local expected = {}
    for option in host_help:gmatch("\n  (%-%-?[%a][%a-]*)") do expected[option] = true end
    local found = complete("shmlua", "-")
    for option in pairs(found) do assert.is_true(expected[option:gsub("=$", "")], option) end
    for option in pairs(expected) do assert.is_true(found[option] or found[option .. "="], option) end
    assert.same({ auto = true }, complete("shmlua", "-j", "a"))
    assert.same({}, complete("shmlua", "-e", ""))
    assert.same({ always = true }, complete("shmlua", "--restart", "=", "a"))
    assert.same({}, complete("shmlua", "--grace", "=", "a"))
    local files = complete("shmlua", "-j", "2", "scripts/examples/")
    assert.is_true(files["scripts/examples/jobs.lua"] and files["scripts/examples/embed"])
    assert.is_nil(files["scripts/examples/mandelbrot.png"])
    files = complete("shmlua", "--grace", "=", "1", "script.lua", "scripts/examples/")
    assert.is_true(files["scripts/examples/mandelbrot.png"])
  end)

  it("works in a shell on a terminal", function()
    local odd <close> = assert(shm.create("/shm_spec_a b", 10, { owned = true }))
    local child = process.start("script", { "-qec", "PS1='ready ' exec bash --norc --noprofile -i", "/dev/null" },
      { env = { TERM = "dumb", SHELL = "/bin/sh", HISTFILE = "/dev/null" } })
    local function await(text, from)
      local function found() return child.out:find(text, from, true) end
      assert.is_truthy(process.await(found), text .. " is not in: " .. child.out)
      return select(2, found()) + 1
    end
    local function type_in(keys, answer)
      local at = #child.out + 1
      child.input:write(keys)
      at = await(answer, at)
      child.input:write "\21echo; echo done\n" -- Ctrl-U: nothing of it is run
      await("\ndone", at)
    end
    await("ready", 1)
    type_in(("source %s/scripts/completion/shm.bash; echo so''urced\n"):format(root), "sourced")
    type_in("shm cr\t", "shm create ")
    type_in("shm stat /shm_spec_a\t", "shm stat /shm_spec_a\\ b ")
    type_in("shm read --ra\t", "shm read --raw ")
    type_in("shmlua --ar\t", "shmlua --arena=")
    type_in("shmlua scripts/examples/jo\t", "shmlua scripts/examples/jobs.lua ")
    type_in("shmlua scripts/exa\t", "shmlua scripts/examples/")
    child.input:write "exit\n"
    assert.is_true(process.await(function() return child.code ~= nil end))
    child:wait()
    assert.equal(10, #odd)
  end)
end)
