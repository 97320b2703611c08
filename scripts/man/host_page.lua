-- host_page.lua: the manual page of shmlua: its options as its own --help has them, and what holds beyond.
local roff = require "roff"

local host_page = {}

local sections = {
  { "DESCRIPTION", "It takes what lua5.4 takes, and does the same; the module `shm` is there without a search path.",
    "With -j, the script is read once, also from standard input, and each worker runs all of it, and LUA_INIT, -l and "
    .. "-e before. A worker that a signal kills is reported in a line. It, unless it is restarted, and one that ends "
    .. "with another exit code than 0, end the group: the others get SIGTERM.",
    "SIGINT, SIGTERM and SIGHUP stop the group: the scripts get an error, once, so that what is to be closed is "
    .. "closed; workers that are still there after the grace time are killed. Nothing is left behind: what workers "
    .. "have started ends with the group, and if shmlua is killed, the system kills its workers.",
    "With --restart=always, a worker that ends with an uncaught error, or by os.exit with another code than 0, is "
    .. "started again, as often as it fails, and ten times a second at most. A worker that ends with 0 has done its "
    .. "work and is not started again. (What systemd and Docker call on-failure.)",
    "Standard output of a worker is buffered by lines. A line of up to 64 KiB is written by one write(2), also if "
    .. "`io.write` makes it of several parts, so lines of several workers do not mix; on a pipe that holds for lines "
    .. "of up to 4096 bytes (PIPE_BUF). `io.stdout:setvbuf` in the script takes the place of that: with `no`, each "
    .. "part is written by itself. Standard error has no buffer: a line is to be written in one string.",
    "Workers share standard input. Each reads ahead of what it uses, so what one worker has read is lost to the "
    .. "others: one worker should read, and send what it has read through a channel." },
  { "EXIT STATUS", "That of the script; 1 after an error of any kind, also on the command line. With -j, 0 if all "
    .. "workers have ended with 0, else that of the first that did not, or 128 and its signal. If a signal has "
    .. "stopped the group, shmlua dies of that signal. As process 1 of a container, which the kernel keeps from that, "
    .. "shmlua ends with 128 and the signal, also without -j." },
  { "ENVIRONMENT", "LUA_INIT, LUA_PATH, LUA_CPATH, and these with _5_4, as for lua5.4; with -E, none of them." },
}

local examples = { "shmlua script.lua 1 2 3", "shmlua -j auto mandelbrot.lua",
  "shmlua -j 4 --restart=10 --grace=1 server.lua" }

-- "  -l g=mod     require library" begins an option; what is indented like its text goes on.
local function items(help)
  local list = {}
  for line in help:gmatch("[^\n]+") do
    local option, text = line:match("^  (%-.-)  +(%S.*)$")
    local more = line:match("^   +(%S.*)$")
    if option then
      list[#list + 1] = { option, text }
    elseif more and #list > 0 then
      list[#list][2] = list[#list][2] .. " " .. more
    end
  end
  for i, item in ipairs(list) do list[i] = roff.item(item[1], item[2]) end
  return table.concat(list)
end

-- help: what `shmlua --help` prints.
function host_page.write(help)
  local usage, summary = help:match("^usage: ([^\n]+)\n([^\n]+)%.\n")
  local page = {
    roff.header("SHMLUA", 1, "User Commands"), roff.section "NAME",
    "shmlua \\- " .. roff.text((summary:gsub("^%u", string.lower))) .. "\n",
    roff.section "SYNOPSIS", roff.text(usage) .. "\n",
    roff.section "OPTIONS", items(help),
  }
  for _, section in ipairs(sections) do
    page[#page + 1] = roff.section(section[1])
    for i = 2, #section do page[#page + 1] = roff.paragraph(section[i]) end
  end
  page[#page + 1] = roff.section "EXAMPLES"
  for _, example in ipairs(examples) do page[#page + 1] = roff.example(example) end
  page[#page + 1] = roff.section "SEE ALSO" .. "shm(1), shm(3lua), lua(1)\n"
  return table.concat(page)
end

return host_page
