-- manual_spec.lua: manual pages and completion say what the tools and the module say.
local process = require "spec.support.process"
local shm = require "shm"
local uv = require "luv"

local root = uv.cwd()

local function page(name)
  local result = process.run(process.lua, { root .. "/scripts/man/man.lua", name }, { cwd = "/" })
  assert.equal(0, result.code, result.err)
  return result.out
end

-- The page as it is read, without the overstriking that makes it bold.
local function formatted(name)
  local child = process.start("groff", { "-man", "-Tascii", "-ww", "-P-cbou" })
  local is_written = false
  child.input:write(page(name), function() is_written = true end)
  assert.is_true(process.await(function() return is_written end))
  assert.equal(0, child:wait())
  assert.equal("", child.err)
  return child.out
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
    end
    for _, word in ipairs { "EXIT STATUS", "NO_COLOR", "/name" } do assert.is_truthy(text:find(word, 1, true), word) end
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
    local result = process.run("bash", { "-c", script, "bash", table.unpack(words) })
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
    expected["--help"] = true
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
    assert.same({ ["/shm_spec with a space"] = true }, complete("shm", "read", "/shm_spec"))
    assert.same({ ["0xfedcba99"] = true }, complete("shm", "rm", "0xfedc"))
    assert.same({ f32 = true, f64 = true }, complete("shm", "read", "/x", "--type", "f"))
    assert.equal(20, #posix + #sysv)
  end)

  it("knows the options of shmlua that its manual has", function()
    local text = page("shmlua.1"):gsub("\\%-", "-")
    for option in pairs(complete("shmlua", "-")) do
      assert.is_truthy(text:find(option:gsub("=$", ""), 1, true), option)
    end
    for option in text:gmatch("\\fB(%-+%a+)") do
      assert.is_truthy(next(complete("shmlua", option)), option)
    end
    assert.same({ auto = true }, complete("shmlua", "-j", "a"))
  end)
end)
