-- shmlua_terminal_spec.lua: shmlua on a terminal: statements, Ctrl-C, Ctrl-D, Ctrl-Z, a progress bar.
local process = require "spec.support.process"
local terminal = require "spec.support.terminal"
local uv = require "luv"

local shmlua = process.build .. "/shmlua"
local example = uv.cwd() .. "/scripts/examples/mandelbrot.lua"

describe("shmlua at a terminal", function()
  local child, from
  local function tell(text) child.input:write(text) end
  local function await(text) from = terminal.await(child, text, from) + 1 end

  local function talk(command)
    child, from = terminal.start("trap : INT; TERM=dumb " .. command .. "; echo code $?"), 1
  end
  after_each(function()
    child:kill "sigkill" -- where a test has failed
    child:wait()
  end)

  local function finish(code)
    assert.matches("code " .. code .. "\r\n$", terminal.finish(child))
  end

  for _, options in ipairs { "", " -i" } do
    it("reads statements, and goes on after errors" .. options, function()
      talk(shmlua .. options)
      await "Lua 5.4"
      tell "x = 20\r"
      tell "x + 1\r"
      await "21\r\n"
      tell "for i = 1, 2 do\r"
      await ">> "
      tell "print('turn', i) end\r"
      await "turn\t2\r\n"
      tell "error 'boom'\r"
      await "\nstdin:1: boom\r\nstack traceback:"
      tell "= x\r"
      await "20\r\n"
      tell "_PROMPT = 'the la' .. 'st> '\r"
      await "the last> "
      tell "\4"
      finish(0)
    end)
  end

  it("comes back to its prompt where Ctrl-C ends a loop", function()
    talk(shmlua)
    for _ = 1, 2 do -- also the second time
      await "> "
      tell "print('be' .. 'gun') while true do end\r"
      await "begun\r\n"
      tell "\3"
      await "interrupted!"
    end
    tell "_PROMPT = 'the la' .. 'st> '\r"
    await "the last> "
    tell "\4"
    finish(0)
  end)

  local closing = [[local shm = require "shm"
    local last <close> = setmetatable({}, { __close = function(_, e) print(e:match "%a+!", shm.worker.index) end }) ]]

  it("ends a group by Ctrl-C, in order", function()
    talk(shmlua .. " -j 3 --grace=1000 -e '" .. closing .. "print \"ready\" while true do end'")
    for _ = 1, 3 do await "ready" end
    tell "\3"
    finish(128 + 2)
    for i = 1, 3 do assert.is_truthy(child.out:find("interrupted!\t" .. i, 1, true), child.out) end
  end)

  it("ends a group by Ctrl-C, whose workers wait for what they have started", function()
    talk(shmlua .. " -j 2 --grace=1000 -e '" .. closing
      .. "os.execute \"echo ready; exec sleep 1000\" while true do end'")
    for _ = 1, 2 do await "ready" end
    tell "\3"
    finish(128 + 2)
    assert.equal(2, select(2, child.out:gsub("%a+ed!\t%d", "")), child.out)
  end)

  it("stops a group by Ctrl-Z, which goes on with fg", function()
    local script = "print[[ready]] io.read() print[[read]]"
    talk("bash --norc -c 'set -m; " .. shmlua .. " -j 1 -e \"" .. script .. "\"; echo stopped $?; fg >/dev/null'")
    await "ready"
    tell "\26"
    await "stopped 148"
    tell "line\r"
    await "read\r\n"
    finish(0)
  end)

  it("has a bar of what the example mandelbrot has done, and none elsewhere", function()
    local command = shmlua .. " -j 2 " .. example .. " --size 60 --iterations 50 --output /dev/null"
    talk(command)
    finish(0)
    assert.matches("\r%[#* *%] %d+/40 rows, %d+ a second, %d+ s left ", child.out)
    assert.matches("\r%[" .. ("#"):rep(40) .. "%] 40/40 rows, %d+ a second, 0 s left \r\n60 x 40 pixels", child.out)
    local plain = process.run("sh", { "-c", command })
    assert.same({ 0, "" }, { plain.code, plain.err })
    assert.matches("^60 x 40 pixels, 2 workers, [%d.]+ s: /dev/null\n$", plain.out)
  end)
end)
