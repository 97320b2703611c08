/*
 * methods.h: a userdata of a benchmark's, as an object with methods. Touches Lua.
 */
#ifndef SCRIPTS_BENCH_METHODS_H
#define SCRIPTS_BENCH_METHODS_H

#include <lauxlib.h>
#include <lua.h>

/* Gives what is at the top these methods. */
static inline void set_methods(lua_State *L, const luaL_Reg *methods) {
  lua_createtable(L, 0, 1);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
}

#endif
