/*
 * luser.h: user values and upvalues of ours, which the library debug can replace. Of the wrong
 * type, most of Lua's API does not check them and crashes. Touches lua.h.
 */
#ifndef SHMX_LUA_LUSER_H
#define SHMX_LUA_LUSER_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* Raises unless a user value or an upvalue is as it was. */
static inline void luser_check(lua_State *L, bool same) {
  if (!same) luaL_error(L, "a value within this object was replaced by the library debug");
}

/* Pushes a table that is a user value; raises where it is none any more. */
static inline void luser_push_table(lua_State *L, int index, int value) {
  luser_check(L, lua_getiuservalue(L, index, value) == LUA_TTABLE);
}

/* Replaces the key at the top by what a table that is an upvalue has for it, and returns the type.
 * As fast as lua_rawget, but where the upvalue is no table any more, Lua raises. */
static inline int luser_get(lua_State *L, int upvalue) {
  return lua_gettable(L, lua_upvalueindex(upvalue));
}

#endif
