/* lwait.h: what waiting calls share: timeouts, and letting signals reach the script. Touches core.
 */
#ifndef SHMX_LUA_LWAIT_H
#define SHMX_LUA_LWAIT_H

#include "shmx.h"

#include <lua.h>

/* The deadline of a timeout in seconds at `index`; SHMX_FOREVER where there is none. */
int64_t lwait_check_deadline(lua_State *L, int index);

/* After -EINTR: lets the interpreter run its hook, which is where Ctrl-C raises its error. */
void lwait_run_hook(lua_State *L);

#endif
