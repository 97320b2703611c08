-- quote.lua: what the specs of layouts and of records share: the layouts Quote and Other.
local assert = require "luassert"
local shm = require "shm"

local quote = {}

function quote.fails(pattern, call, ...)
  local done, message = pcall(call, ...)
  assert.is_false(done, "nothing was raised where '" .. pattern .. "' was to be")
  assert.matches(pattern, message)
end

function quote.define()
  shm.record("Other", { "u32 id", "char c" })
  return shm.record("Quote",
    { "u32 id", "f64 price[8]", "char name[16]", "Other inner", "Other inner2[4]" })
end

return quote
