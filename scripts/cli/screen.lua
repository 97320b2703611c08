-- screen.lua: a screen that refreshes until q, Ctrl-C or a signal; the terminal is as before, however it ends, and
-- while it is stopped. Where standard output is no terminal, refreshes are printed one below the other.
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
  local function on(signal, seen)
    local handle = uv.new_signal()
    handle:start(signal, seen)
    handles[#handles + 1] = handle
  end
  for name, code in pairs { sigint = 0, sigterm = 128 + 15, sighup = 128 + 1 } do
    on(name, function() state.ended = state.ended or code end)
  end
  on("sigwinch", function() state.due = true end)
  local timer = uv.new_timer()
  timer:start(state.interval, state.interval, function() state.due, state.ticked = true, true end)
  handles[#handles + 1] = timer
  return handles
end

-- Ctrl-Z is a key while the screen has the terminal; kill(1) sends the signal.
local function watch_stop(state)
  state.stop_signal:start("sigtstp", function() state.stopping = true end)
end

-- Keys as they are typed; nil where standard input is no terminal.
local function open_keyboard(state)
  if uv.guess_handle(0) ~= "tty" then return nil end
  local keyboard = uv.new_tty(0, true)
  if not keyboard then return nil end
  keyboard:read_start(function(_, keys)
    if not keys or keys:find("[q\3\4]") then
      state.ended = state.ended or 0
    elseif keys:find("\26", 1, true) then
      state.stopping = true
    else
      state.keys = state.keys .. keys
    end
  end)
  return keyboard
end

-- The terminal is the screen's, or as it was before.
local function take_terminal(state)
  if state.keyboard then state.keyboard:set_mode(1) end
  put(ENTER)
end

local function give_terminal(state)
  pcall(put, LEAVE)
  if state.keyboard then state.keyboard:set_mode(0) end
end

-- Stops, and what was started with it, until the shell says SIGCONT; where no shell could, the system ignores it.
local function stop(state)
  state.stopping = false
  give_terminal(state)
  state.stop_signal:stop()
  uv.kill(0, "sigtstp")
  watch_stop(state)
  take_terminal(state)
end

local function close(handles)
  for _, handle in ipairs(handles) do handle:close() end
  uv.run("nowait")
end

-- Lines are cleared before they are written: behind a line that fills the terminal, the last letter would be.
local function show(lines, height)
  if not output.is_terminal then
    for _, line in ipairs(lines) do output.line(line) end
    output.line ""
    return output.flush()
  end
  put("\27[H\27[K" .. table.concat(lines, "\r\n\27[K", 1, math.min(#lines, height)) .. "\27[J")
end

-- Draws until it has ended. A refresh follows each tick, key and change of the size.
local function loop(state, options)
  for drawn = 1, options.count or math.huge do
    local look = { ticked = state.ticked, keys = state.keys }
    state.due, state.ticked, state.keys = false, false, ""
    look.width, look.height = output.size()
    show(options.draw(look), look.height)
    if drawn == options.count then break end
    while not (state.due or state.keys ~= "" or state.ended or state.stopping) do uv.run("once") end
    if state.stopping then stop(state) end
    if state.ended then return state.ended end
  end
  return 0
end

-- options: interval (seconds), count (refreshes; nil: until it ends; 1 where there is no terminal), and
-- draw(look), which returns lines. look: width and height (nil where there is no terminal), keys (typed since the
-- look before), ticked (the interval is over, and not only a key was typed). Returns the exit code.
function screen.run(options)
  local state = { interval = math.max(1, math.floor(options.interval * 1000)), keys = "", ticked = true }
  if not output.is_terminal then options.count = options.count or 1 end
  local handles = watch_world(state)
  if output.is_terminal then
    state.keyboard, state.stop_signal = open_keyboard(state), uv.new_signal()
    table.move({ state.stop_signal, state.keyboard }, 1, 2, #handles + 1, handles)
    watch_stop(state)
    take_terminal(state)
  end
  local done, result = pcall(loop, state, options)
  if output.is_terminal then give_terminal(state) end
  close(handles)
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
