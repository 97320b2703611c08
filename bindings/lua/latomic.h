/* latomic.h: the methods of a view that are atomic, and those that wait. Touches core. */
#ifndef SHMX_LUA_LATOMIC_H
#define SHMX_LUA_LATOMIC_H

#include <lauxlib.h>

extern const luaL_Reg latomic_methods[];

#endif
