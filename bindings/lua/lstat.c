/* lstat.c: the status of channels, topics and dicts as tables. Touches core. */
#include "lua/lstat.h"
#include "lua/lfield.h"

#include <lauxlib.h>

void lstat_push_channel(lua_State *L, const shmx_channel *channel) {
  shmx_channel_status stat;
  shmx_channel_stat(channel, &stat);
  uint64_t limit = shmx_channel_limit(channel);
  lua_createtable(L, 0, 8);
  set_integer(L, "capacity", stat.capacity);
  set_integer(L, "limit", limit);
  set_integer(L, "used", stat.used);
  set_integer(L, "sent", stat.sent);
  set_integer(L, "received", stat.received);
  set_boolean(L, "receivers_wait", stat.receivers_wait);
  set_boolean(L, "senders_wait", stat.senders_wait);
  set_boolean(L, "finished", stat.finished);
}

void lstat_push_topic(lua_State *L, const shmx_topic *topic) {
  shmx_topic_status stat;
  shmx_topic_stat(topic, &stat);
  uint64_t limit = shmx_topic_limit(topic);
  lua_createtable(L, 0, 5);
  set_integer(L, "capacity", stat.capacity);
  set_integer(L, "limit", limit);
  set_integer(L, "used", stat.used);
  set_integer(L, "published", stat.published);
  set_boolean(L, "finished", stat.finished);
}

void lstat_push_dict(lua_State *L, const shmx_dict_status *stat, uint64_t limit) {
  lua_createtable(L, 0, 15);
  set_integer(L, "capacity", stat->capacity);
  set_integer(L, "limit", limit);
  set_integer(L, "room", stat->room);
  set_integer(L, "used", stat->used);
  set_integer(L, "free", stat->free);
  set_integer(L, "payload", stat->payload);
  set_integer(L, "entries", stat->entries);
  set_integer(L, "hits", stat->hits);
  set_integer(L, "misses", stat->misses);
  set_integer(L, "evictions", stat->evictions);
  set_integer(L, "expired", stat->expired);
  set_integer(L, "shards", stat->shards);
  set_integer(L, "fullest", stat->fullest);
  set_integer(L, "emptiest", stat->emptiest);
  lua_Number overhead = (lua_Number)stat->used - (lua_Number)stat->payload;
  lua_pushnumber(L, stat->used != 0 ? overhead / (lua_Number)stat->used : 0);
  lua_setfield(L, -2, "fragmentation");
}
