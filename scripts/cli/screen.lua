-- screen.lua: a screen that refreshes until q, Ctrl-C or a signal; the terminal is as before, however it ends.
-- Where standard output is no terminal, each refresh is printed below the other.
local format = require "cli.format"
local output = require "cli.output"
local uv = require "luv"

local screen = {}

local ENTER, LEAVE = "\27[?1049h\27[?25l", "\27[?25h\27[?1049l"

local function put(text)
  output.write(text)
  output.flush()
end

-- Handles that live as long as the screen, and what they have seen.
local function watch_world(state)
  local handles = {}
  local numbers = { sigint = 2, sigterm = 15, sighup = 1 }
  for name, number in pairs(numbers) do
    local signal = uv.new_signal()
    signal:start(name, function() state.ended = state.ended or (number == 2 and 0 or 128 + number) end)
    handles[#handles + 1] = signal
  end
  local resized, timer = uv.new_signal(), uv.new_timer()
  resized:start("sigwinch", function() state.due = true end)
  timer:start(state.interval, state.interval, function() state.due, state.ticked = true, true end)
  handles[#handles + 1], handles[#handles + 2] = resized, timer
  return handles
end

-- Keys as they are typed; nil where standard input is no terminal.
local function open_keyboard(state)
  if uv.guess_handle(0) ~= "tty" then return nil end
  local keyboard = uv.new_tty(0, true)
  if not keyboard then return nil end
  keyboard:set_mode(1)
  keyboard:read_start(function(_, keys)
    if not keys or keys:find("[q\3\4]") then
      state.ended = state.ended or 0
    else
      state.keys = state.keys .. keys
    end
  end)
  return keyboard
end

local function close(handles, keyboard)
  if keyboard then
    keyboard:set_mode(0)
    keyboard:close()
  end
  for _, handle in ipairs(handles) do handle:close() end
  uv.run("nowait")
end

local function show(lines, height)
  if not output.is_terminal then
    for _, line in ipairs(lines) do output.line(line) end
    return output.flush()
  end
  local cut = {}
  for i = 1, math.min(#lines, height) do cut[i] = lines[i] .. "\27[K" end
  put("\27[H" .. table.concat(cut, "\r\n") .. "\27[J")
end

-- Draws until it has ended. A refresh follows each tick, key and change of the size.
local function loop(state, options)
  local drawn = 0
  repeat
    state.due, state.ticked = false, false
    local width, height = output.size()
    show(options.draw(width, height, state.keys), height)
    state.keys = ""
    drawn = drawn + 1
    if drawn == options.count then break end
    while not state.due and state.keys == "" and not state.ended do uv.run("once") end
  until state.ended
  return state.ended or 0
end

-- options: interval (seconds), count (refreshes; nil: until it ends; 1 where there is no terminal), and
-- draw(width, height, keys), which returns lines. Returns the exit code.
function screen.run(options)
  local state = { interval = math.max(1, math.floor(options.interval * 1000)), keys = "" }
  if not output.is_terminal then options.count = options.count or 1 end
  local handles = watch_world(state)
  local keyboard = output.is_terminal and open_keyboard(state) or nil
  if output.is_terminal then put(ENTER) end
  local done, result = pcall(loop, state, options)
  if output.is_terminal then pcall(put, LEAVE) end
  close(handles, keyboard)
  if not done then error(result, 0) end
  return result
end

-- The first line of a screen: what is left, and at the right end what is right.
function screen.title(left, right, width)
  width = width or format.width(left) + 2 + format.width(right)
  local room = width - format.width(left) - format.width(right)
  if room < 1 then return output.paint("head", format.cut(left, width)) end
  return output.paint("head", left) .. (" "):rep(room) .. output.paint("dim", right)
end

return screen
