/* lmessages.h: System V message queues as userdata. Touches core. */
#ifndef SHMX_LUA_LMESSAGES_H
#define SHMX_LUA_LMESSAGES_H

#include "shmx.h"

#include <lua.h>

/* Makes the metatable. */
void lmessages_register(lua_State *L);

/* shm.messages(key [, opts]). */
int lmessages_open(lua_State *L);

/* Pushes a status as a table: shm.MessagesStat. */
void lmessages_push_stat(lua_State *L, const shmx_messages_stat *stat);

#endif
