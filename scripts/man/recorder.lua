-- recorder.lua: stands in for argparse: keeps what a command line is described with, for the manual.

-- What has parts of its own; every other method is a property.
local parts = { command = true, option = true, flag = true, argument = true }

local node

local methods = {
  __index = function(_, method)
    return function(self, ...)
      local properties, children = rawget(self, "properties"), rawget(self, "children")
      if parts[method] then
        children[#children + 1] = node(method, ...)
        return children[#children]
      end
      properties[method] = (...) == nil and true or ...
      return self
    end
  end,
}

-- kind: "parser", "command", "option", "flag" or "argument"; name: as it is typed, "-o --offset".
function node(kind, name, text)
  return setmetatable({ kind = kind, name = name, text = text, properties = {}, children = {} }, methods)
end

return function(name, text) return node("parser", name, text) end
