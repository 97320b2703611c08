/* lstat.h: what objects of an arena say of themselves, as tables. Touches core. */
#ifndef SHMX_LUA_LSTAT_H
#define SHMX_LUA_LSTAT_H

#include "shmx.h"

#include <lua.h>

/* Each pushes a table: shm.ChannelStat, shm.TopicStat, shm.DictStat. */
void lstat_push_channel(lua_State *L, const shmx_channel *channel);
void lstat_push_topic(lua_State *L, const shmx_topic *topic);
void lstat_push_dict(lua_State *L, const shmx_dict_status *status, uint64_t limit);

#endif
