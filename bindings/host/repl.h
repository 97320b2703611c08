/* repl.h: the terminal: lines are read, run, and what they return is printed. Touches lua.h. */
#ifndef SHMX_HOST_REPL_H
#define SHMX_HOST_REPL_H

#include "host/options.h"

#include <lua.h>

/* Until the end of input. Lines can be edited where libreadline is installed. */
void repl_run(lua_State *L, const struct options *options);

#endif
