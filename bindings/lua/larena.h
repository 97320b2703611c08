/* larena.h: the userdata that Lua has for an arena. Touches core. */
#ifndef SHMX_LUA_LARENA_H
#define SHMX_LUA_LARENA_H

#include "lua/lobject.h"

/* User value of an arena: a table, name of an object -> the userdata that has it open. */
enum { LARENA_OBJECTS = 1 };

/* Makes the metatables of arenas and of all that is in them. Pushes nothing. */
void larena_register(lua_State *L);

/* shm.arena(name, size [, opts]) */
int larena_open(lua_State *L);

/* Pushes a closed handle that is ready to be opened: __gc knows it already. */
shmx_arena *larena_new(lua_State *L);

/* The arena at `index`, open or not, or NULL where there is no arena. */
shmx_arena *larena_test(lua_State *L, int index);

/* The receiver of a method; raises where it is no arena, or a closed one. */
shmx_arena *larena_check(lua_State *L);

/* Pushes what an arena is called in messages, 'arena "/app"', and returns it. */
const char *larena_push_name(lua_State *L, const shmx_arena *arena);

/* The memory of the array or record at `index`, which scripts see views of only; or NULL. */
shmx_segment *larena_memory(lua_State *L, int index);

#endif
