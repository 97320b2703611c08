-- outcome.lua: how a call is to end that cannot be done: it raises, or returns nil, a message and a code.
local assert = require "luassert"

local outcome = {}

-- The call raises a message that matches the pattern.
function outcome.raises(pattern, call, ...)
  local done, message = pcall(call, ...)
  assert.is_false(done, "nothing was raised where '" .. pattern .. "' was to be")
  assert.matches(pattern, message)
end

-- These are the results of such a call: nil, a message that matches the pattern, the code.
function outcome.refused(pattern, code, ...)
  local value, message, found = ...
  assert.is_nil(value)
  assert.matches(pattern, message)
  assert.equal(code, found)
end

return outcome
