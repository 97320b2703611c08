/* lsealed.h: userdata that have methods and no other fields. Touches lua.h. */
#ifndef SHMX_LUA_LSEALED_H
#define SHMX_LUA_LSEALED_H

#include <lua.h>
#include <stdbool.h>

/*
 * The metatable at the top, whose __index is a table of methods, raises from now on where another
 * field is read or any is assigned. `noun` says what it is of, "dict"; a static string.
 */
void lsealed_set(lua_State *L, const char *noun);

/* Raises that a `noun` has no such field: the key is at 2. Does not return. */
int lsealed_raise(lua_State *L, const char *noun, bool assigning);

#endif
