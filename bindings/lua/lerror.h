/* lerror.h: how a status of the core becomes what Lua returns or raises. Touches core. */
#ifndef SHMX_LUA_LERROR_H
#define SHMX_LUA_LERROR_H

#include "shmx.h"

#include <lua.h>

/* Returns nil, '<thing> <sentence>', "ENAME": for what the world may refuse. */
int lerror_return(lua_State *L, int status, const char *thing);

/*
 * Returns nil, a message and "ETIMEDOUT": the lock of the thing, which others have for nanoseconds,
 * was not to be had. `holder` is the process that has it; 0: it has just left.
 */
int lerror_return_locked(lua_State *L, const char *thing, uint32_t holder);

/* Replaces the message at the top by nil, the message, "ENAME". */
int lerror_return_message(lua_State *L, int status);

/* Raises '<thing> <sentence>': for misuse. Does not return. */
int lerror_raise(lua_State *L, int status, const char *thing);

/* Returns true, or what lerror_return does. */
int lerror_result(lua_State *L, int status, const char *thing);

/* As lerror_return, for a call that needs so many bytes of memory: with the numbers if it is these
 * that there is no memory for. */
int lerror_return_memory(lua_State *L, int status, const char *thing, uint64_t bytes);

/* Pushes what a segment is called in messages, 'segment "/prices"', and returns it. */
const char *lerror_push_name(lua_State *L, const shmx_name *name);

/* As above for what is in a segment: 'arena "/app"'. */
const char *lerror_push_noun(lua_State *L, const char *noun, const shmx_name *name);

/* Pushes what else System V has is called: 'semaphores 0x000004d2', 'private semaphores'. */
const char *lerror_push_sysv_name(lua_State *L, const char *noun, const shmx_name *name);

#endif
