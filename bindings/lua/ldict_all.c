/* ldict_all.c: many entries at once, and a dict as a whole: d:get_all, d:flush_all, d:stat ...
 * Touches core. */
#include "lua/ldict.h"
#include "lua/lstat.h"

/* ---- several keys ---- */

/* Puts what is there under the key at the top, which is popped, into the table at 3. */
static int get_one(lua_State *L, struct ldict *self, const shmx_dict_key *key) {
  struct lbuffer buffer;
  shmx_dict_item item;
  int top = lua_gettop(L);
  lbuffer_start(&buffer);
  int status = ldict_read(L, self, key, &buffer, &item, NULL);
  if (status == 0) status = ldict_push_value(L, &item);
  if (status == -EPROTO) return status;
  if (status == 0) {
    lua_pushvalue(L, top);
    lua_insert(L, -2);
    lua_rawset(L, 3);
  }
  lua_settop(L, top - 1);
  return status;
}

int ldict_get_all(lua_State *L) {
  struct ldict *self = ldict_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_newtable(L);
  for (lua_Integer i = 1, count = (lua_Integer)lua_rawlen(L, 2); i <= count; i++) {
    struct ldict_key key;
    lua_rawgeti(L, 2, i);
    const char *wrong = ldict_key(L, 4, &key);
    if (wrong != NULL) return ldict_return_words(L, wrong);
    int status = get_one(L, self, &key.key);
    if (status != 0 && status != -ENOENT) return ldict_fail(L, self, status);
  }
  return 1;
}

/* The key is at 5, its value at 6. */
static int set_one(lua_State *L, struct ldict *self, const shmx_dict_key *key, int64_t ttl,
                   uint32_t flags, bool *forcible) {
  struct ldict_value value;
  int status;
  bool forced = false;
  ldict_value(L, 6, self, &value);
  value.item.flags = flags;
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_set(&self->dict, key, &value.item, ttl, SHMX_DICT_SET, &forced);
  } while (ldict_again(L, status));
  *forcible |= forced;
  return status;
}

int ldict_set_all(lua_State *L) {
  struct ldict *self = ldict_check(L);
  int64_t ttl = ldict_ttl(L, 3, 0);
  uint32_t flags = ldict_flags(L, 4);
  bool forcible = false;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 4);
  for (lua_pushnil(L); lua_next(L, 2); lua_settop(L, 5)) {
    struct ldict_key key;
    const char *wrong = ldict_key(L, 5, &key);
    if (wrong != NULL) return ldict_return_words(L, wrong);
    int status = set_one(L, self, &key.key, ttl, flags, &forcible);
    if (status != 0) return ldict_return_stored(L, self, status, forcible);
  }
  return ldict_return_stored(L, self, 0, forcible);
}

/* ---- flushing ---- */

int ldict_flush_all(lua_State *L) {
  struct ldict *self = ldict_check(L);
  int status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_flush_all(&self->dict);
  } while (ldict_again(L, status));
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushboolean(L, 1);
  return 1;
}

/* What was flushed before a signal came counts. */
int ldict_flush_expired(lua_State *L) {
  struct ldict *self = ldict_check(L);
  uint64_t most = ldict_count(L, 2, 0), flushed = 0;
  int status;
  do {
    uint64_t count = 0;
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_flush_expired(&self->dict, most != 0 ? most - flushed : 0, &count);
    flushed += count;
  } while (ldict_again(L, status) && (most == 0 || flushed < most));
  if (status != 0 && status != -EINTR) return ldict_fail(L, self, status);
  lua_pushinteger(L, (lua_Integer)flushed);
  return 1;
}

/* ---- how it stands ---- */

static int look(lua_State *L, struct ldict *self, shmx_dict_status *stat) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_stat(&self->dict, stat);
  } while (ldict_again(L, status));
  return status;
}

int ldict_capacity(lua_State *L) {
  struct ldict *self = ldict_check(L);
  int status = ldict_look(self);
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushinteger(L, (lua_Integer)shmx_dict_capacity(&self->dict));
  return 1;
}

int ldict_free_space(lua_State *L) {
  struct ldict *self = ldict_check(L);
  shmx_dict_status stat;
  int status = look(L, self, &stat);
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushinteger(L, (lua_Integer)stat.free);
  return 1;
}

int ldict_stat(lua_State *L) {
  struct ldict *self = ldict_check(L);
  shmx_dict_status stat;
  int status = look(L, self, &stat);
  if (status != 0) return ldict_fail(L, self, status);
  lstat_push_dict(L, &stat, shmx_dict_limit(&self->dict));
  return 1;
}
