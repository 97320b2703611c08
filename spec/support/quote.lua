-- quote.lua: what the specs of layouts and of records share: the layouts Quote and Other.
local shm = require "shm"

local quote = {}

function quote.define()
  shm.record("Other", { "u32 id", "char c" })
  return shm.record("Quote",
    { "u32 id", "f64 price[8]", "char name[16]", "Other inner", "Other inner2[4]" })
end

return quote
