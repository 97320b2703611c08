-- debug_spec.lua: the library debug replaces what the values of the module are made of.
local process = require "spec.support.process"

describe("a user value or an upvalue that the library debug has replaced", function()
  it("does not crash the process, whichever it is and whatever is called then", function()
    local child = process.run(process.lua, { "spec/support/replaced.lua" })
    assert.equal("", child.err)
    assert.equal(0, child.signal)
    assert.matches("\nall\ttrue\ttrue\n$", child.out)
  end)
end)
