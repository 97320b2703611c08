/*
 * shmx_lua.h: what a C program needs that embeds Lua and shares memory with its scripts. It links
 * -lshmx_lua -lshmx -llua5.4: pkg-config --cflags --libs shmx_lua. Touches core.
 *
 *   shmx_segment *memory = shmx_lua_push_segment(L, NULL);
 *   int status = shmx_segment_create(memory, shmx_anonymous(), 4096, NULL);
 *   if (status == 0) lua_setglobal(L, "memory");      -- the script says memory:write("hello")
 *
 * Ownership: what was pushed belongs to Lua. The pointer that a push or a check returns is good as
 * long as the value can be reached from the script or is on the stack; then it is collected, which
 * detaches it. A script may close it at any time: then it is a closed handle, for which the
 * functions of libshmx return EBADF, and the pointer is as good as before. No name is removed that
 * is not SHMX_OWNED.
 *
 * Errors: these functions raise errors of Lua (of memory; of a value that is something else), so
 * they are called where lua_error is caught: inside lua_pcall. What was to be pushed is then still
 * the caller's. libshmx returns a status; shmx_error_text says what it means.
 *
 * Threads: a handle is used by one thread at a time, as its Lua state is. Each thread with a state
 * of its own attaches for itself. After fork, parent and child each have the state and its handles.
 */
#ifndef SHMX_LUA_H
#define SHMX_LUA_H

#include "shmx.h"

#define SHMX_LUA_VERSION "shm " SHMX_VERSION

SHMX_BEGIN_DECLS

struct lua_State;

/*
 * The module, as require "shm" returns it. luaL_requiref(L, "shm", luaopen_shm, 0) makes it there
 * for scripts without a search path; the functions below do so where nobody has. It is to be there
 * before a script asks for it: else require finds another copy, an installed shm.so, whose handles
 * are foreign here.
 */
SHMX_API int luaopen_shm(struct lua_State *L);

/*
 * Pushes a segment, and returns it. It takes over the handle `segment`, which is a closed one from
 * then on; with NULL, what is pushed is a closed handle, to be opened by shmx_segment_create or
 * its like.
 */
SHMX_API shmx_segment *shmx_lua_push_segment(struct lua_State *L, shmx_segment *segment);

/* The segment at `index` of the stack, detached or not. Raises where there is something else. */
SHMX_API shmx_segment *shmx_lua_check_segment(struct lua_State *L, int index);

/*
 * The same for arenas: shmx_arena_open opens a closed one. Objects that were opened through an
 * arena that is taken over stay open, and where they are; they go when Lua closes the arena.
 */
SHMX_API shmx_arena *shmx_lua_push_arena(struct lua_State *L, shmx_arena *arena);
SHMX_API shmx_arena *shmx_lua_check_arena(struct lua_State *L, int index);

SHMX_END_DECLS

#endif
