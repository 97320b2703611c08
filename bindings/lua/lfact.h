/* lfact.h: sentences about what a call that failed has found. Touches core. */
#ifndef SHMX_LUA_LFACT_H
#define SHMX_LUA_LFACT_H

#include "shmx.h"

#include <lua.h>

/*
 * Returns nil, a sentence and "ENAME": about the facts, if they are of this status, else as
 * lerror_return. `thing` is what the segment, arena or set of semaphores is called.
 */
int lfact_return(lua_State *L, int status, const shmx_facts *facts, const char *thing);

/* As above, where `bytes` of memory were wanted: ENOMEM says how many there are. */
int lfact_return_memory(lua_State *L, int status, const shmx_facts *facts, const char *thing,
                        uint64_t bytes);

/*
 * As above for an object of an arena, which was to be found or made: `name`, of this kind. The size
 * that its maker gave, if its kind has one, is at 3.
 */
int lfact_return_object(lua_State *L, int status, const shmx_facts *facts, const shmx_arena *arena,
                        const char *name, const shmx_kind *kind);

#endif
