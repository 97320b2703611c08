/* lwait.h: what calls that sleep have in common: a deadline, and signals meanwhile. Touches core.
 */
#ifndef SHMX_LUA_LWAIT_H
#define SHMX_LUA_LWAIT_H

#include "shmx.h"

#include <lua.h>
#include <stdbool.h>

/* Nobody sleeps longer without a look: a signal that comes while we are not asleep wakes nobody. */
#define LWAIT_SLICE (SHMX_SECOND / 4)

/* The deadline of a timeout in seconds at `index`; none for nil. Raises what is no number. */
int64_t lwait_check_deadline(lua_State *L, int index);

/* Is the timeout at `index` more than a try? One of 0 has an error of its own. */
bool lwait_is_patient(lua_State *L, int index);

/* Until when a call that the system may keep asleep waits at first: at most LWAIT_SLICE. */
int64_t lwait_slice(int64_t deadline);

/* Is such a call to be made again, after the hook? After a signal, and at the end of a slice. */
bool lwait_goes_on(int status, int64_t deadline);

/*
 * Lets the script's hook run, as after a signal: Ctrl-C raises its error there. It may do anything
 * meanwhile, so what the caller holds may have been closed.
 */
void lwait_run_hook(lua_State *L);

/* As above; but what the hook raises is pushed, and false returned. */
bool lwait_try_hook(lua_State *L);

#endif
