-- host_page.lua: the description of shmlua's command line, for its manual page.
local host_page = {}

function host_page.parser(recorder)
  local parser = recorder("shmlua", "Runs Lua scripts with shared memory built in, on as many cores as there are.")
  parser:option("-e", "Runs a statement."):argname("STATEMENT")
  parser:option("-l", "Requires a module into a global of its name."):argname("MODULE")
  parser:flag("-i", "Enters interactive mode after the script.")
  parser:flag("-v", "Says the version.")
  parser:flag("-E", "Ignores environment variables.")
  parser:flag("-W", "Turns warnings on.")
  parser:option("-j", "Runs so many worker processes, or one for each core of the machine. They share one anonymous "
    .. "arena: shm.worker.arena; which of them it is says shm.worker.index, and how many there are shm.worker.count.")
    :argname("N|auto")
  parser:option("--arena", "Bytes of the arena that workers share: 64K, 1M, 2G."):argname("=SIZE")
  parser:option("--restart", "Starts a worker that has crashed anew, N times at most; without it, the first failure "
    .. "ends the group with its code."):argname("[=N]")
  parser:option("--grace", "How long workers have to end after SIGINT or SIGTERM, before they are killed.")
    :argname("=SECONDS")
  parser:argument("SCRIPT", "A file, or - for standard input; without it, standard input."):args("?")
  parser:argument("ARGUMENT", "Of the script: arg[1] and so on."):args("*")
  return parser
end

host_page.notes = {
  { "DESCRIPTION", "It behaves as lua5.4 does; the module `shm` is there without a search path. With -j it watches "
    .. "over its workers: one that crashes is reported with its signal. Nothing is left behind, also when it is "
    .. "killed." },
  { "EXIT STATUS", "That of the script; with -j, 0, or that of the first worker that failed." },
  { "EXAMPLES", "shmlua -j auto mandelbrot.lua" },
}

return host_page
