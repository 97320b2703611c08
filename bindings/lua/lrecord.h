/* lrecord.h: the userdata that Lua has for a record and for an array of records. Touches core. */
#ifndef SHMX_LUA_LRECORD_H
#define SHMX_LUA_LRECORD_H

#include "shmx.h"

#include <lauxlib.h>
#include <lua.h>

/* Makes the metatable "shm.records"; a layout makes that of its records. Pushes nothing. */
void lrecord_register(lua_State *L);

/* Pushes the metatable of the records of one layout, whose table of names is at `names`. */
void lrecord_push_metatable(lua_State *L, int names);

/* Replaces memory and a layout, at the top, by a record at its start; by an array of records.
 * Returns 0, or a negative errno. */
int lrecord_open(lua_State *L);
int lrecord_open_array(lua_State *L, uint64_t count);

/* What every record has, unless a field has the name. */
extern const luaL_Reg lrecord_methods[];

/* seg:record(layout [, offset]) */
int lrecord_of_segment(lua_State *L);

/* seg:view(layout [, offset [, count]]) */
int lrecord_array_of_segment(lua_State *L);

#endif
