rockspec_format = "3.0"
package = "shm"
version = "scm-1"
source = { url = "." } -- for `luarocks make` in a checkout
description = {
  summary = "Shared memory that Lua programs can trust",
  detailed = "System V, POSIX and anonymous shared memory: create, attach, read, write, remove.",
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = { "lua ~> 5.4" }
build = {
  type = "make",
  build_target = "build/rock/shm.so",
  build_variables = { BUILD = "build/rock", CC = "$(CC)", CFLAGS = "$(CFLAGS)", LUA_INCDIR = "$(LUA_INCDIR)" },
  install_pass = false,
  install = { lib = { shm = "build/rock/shm.so" } },
}
