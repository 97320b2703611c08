-- shmlua_output_spec.lua: what workers of shmlua -j write to the standard output that they have in common.
local process = require "spec.support.process"

local shmlua = process.build .. "/shmlua"
local prelude = [[
  local worker = require "shm".worker
  local arena, index = worker.arena, worker.index
]]

describe("the output of workers", function()
  -- Each worker writes lines of its own letter, in parts of 60 bytes and of less than PIPE_BUF; `cat` makes it a pipe.
  local script = [[
    local letter = string.char(96 + index)
    arena:barrier("all", worker.count):wait()
    for i = 1, 500 do
      for _ = 1, i % 60 + 1 do io.write(letter:rep(60)) end
      io.write("\n")
    end]]

  it("has whole lines, also of parts, on a pipe", function()
    local result = process.run("sh", { "-c", '"$0" -j 4 -e "$1" | cat', shmlua, prelude .. script })
    assert.equal("", result.err)
    local count = 0
    for line in result.out:gmatch("[^\n]*\n") do
      count = count + 1
      assert.equal(line, line:sub(1, 1):rep(#line - 1) .. "\n")
    end
    assert.equal(4 * 500, count)
  end)

  it("is buffered by lines, or as the script says", function()
    local text = [[io.write("fir", "st\n") os.execute "echo second"]]
    assert.equal("first\nsecond\n", process.run(shmlua, { "-j1", "-e", text }).out)
    assert.equal("second\nfirst\n", process.run(shmlua, { "-j1", "-e", 'io.stdout:setvbuf "full" ' .. text }).out)
  end)
end)
