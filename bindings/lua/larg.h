/* larg.h: arguments that several functions take: names, sizes, modes, options. Touches core. */
#ifndef SHMX_LUA_LARG_H
#define SHMX_LUA_LARG_H

#include "shmx.h"

#include <lua.h>

/* Each checks the argument at `index` and raises a sentence about it if it is no good. */

/* Raises where the argument at 1 is the module, so that it was shm:create and not shm.create. */
void larg_refuse_colon(lua_State *L);

/* Makes the table at the top the module that larg_refuse_colon knows. */
void larg_set_module(lua_State *L);

/* A key, "/name", {id=n}, or nil for anonymous memory. A "/name" lives as long as the argument. */
shmx_name larg_name(lua_State *L, int index);

/* A key or {id=n}, for what System V alone has; `noun` says what, in the plural. */
shmx_name larg_sysv_name(lua_State *L, int index, const char *noun);

/* Bytes, at least 1: an integer, or a string such as "64K". */
size_t larg_size(lua_State *L, int index);

/* A table of options, or nothing; `creating` allows those that shape a new segment. */
shmx_options larg_options(lua_State *L, int index, bool creating);

/* Permission bits for something new, "0640" or an integer: the value at the top is part of the
 * argument at `index`. */
uint32_t larg_creation_mode(lua_State *L, int index);

/* A table of changes: mode, uid, gid. */
shmx_change larg_change(lua_State *L, int index);

/* One of these: the value at the top, by its name. False for another name. */
bool larg_change_field(lua_State *L, int index, const char *name, shmx_change *change);

/* A string without a NUL inside. */
const char *larg_cstring(lua_State *L, int index, const char *what);

#endif
