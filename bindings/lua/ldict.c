/* ldict.c: d:get, d:set and their like, and what dicts are as userdata. Touches core. */
#include "lua/ldict.h"
#include "lua/larena.h"
#include "lua/larg.h"

/* ---- the userdata ---- */

static struct ldict *dict_of(shmx_arena_object *object) {
  return (struct ldict *)((char *)object - offsetof(struct lobject, object));
}

/* A generator that closes the arena leaves its task to others. */
static void closing(shmx_arena_object *object) {
  struct ldict *self = dict_of(object);
  for (const struct ldict_task *task = self->tasks; task != NULL; task = task->outer)
    shmx_dict_fetch_end(task->fetch, NULL, 0, 0, NULL);
  shmx_dict_close(&self->dict);
}

static void opened(struct lobject *self, uint64_t count) {
  shmx_dict_open(&((struct ldict *)self)->dict, self->object.memory.object.data, count);
}

const struct lobject_type ldict_type = {"shm.dict", SHMX_KIND_DICT, sizeof(struct ldict),
                                        opened,     closing,        0};

int ldict_open(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  uint64_t size = larg_size(L, 3);
  luaL_argcheck(L, size <= SHMX_DICT_SIZE_MAX, 3, "a dict has at most 16G");
  shmx_kind kind = shmx_dict_kind(size);
  return lobject_open(L, arena, 2, &kind, &ldict_type) != NULL ? 1 : 3;
}

/* ---- getting ---- */

/* nil for what is not there; else as all that fails. */
static int fail_get(lua_State *L, struct ldict *self, int status) {
  if (status != -ENOENT) return ldict_fail(L, self, status);
  lua_pushnil(L);
  return 1;
}

static int push_item(lua_State *L, struct ldict *self, int status, const shmx_dict_item *item) {
  if (status == 0) status = ldict_push_value(L, item);
  if (status != 0) return fail_get(L, self, status);
  if (item->flags == 0) return 1;
  lua_pushinteger(L, item->flags);
  return 2;
}

static int dict_get(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  struct lbuffer buffer;
  shmx_dict_item item;
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  lbuffer_start(&buffer);
  int status = ldict_look(self);
  if (status == 0) status = shmx_dict_get(&self->dict, &key.key, buffer.data, buffer.room, &item);
  /* Nearly always: */
  if (__builtin_expect(status == 0, 1) && item.tag == LVALUE_STRING && item.flags == 0) {
    lua_pushlstring(L, item.data, item.length);
    return 1;
  }
  if (status == -EMSGSIZE || status == -EINTR)
    status = ldict_read(L, self, &key.key, &buffer, &item, NULL);
  return push_item(L, self, status, &item);
}

static int dict_get_stale(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  struct lbuffer buffer;
  shmx_dict_item item;
  bool stale;
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  lbuffer_start(&buffer);
  int status = ldict_read(L, self, &key.key, &buffer, &item, &stale);
  if (status == 0) status = ldict_push_value(L, &item);
  if (status != 0) return fail_get(L, self, status);
  if (item.flags == 0)
    lua_pushnil(L);
  else
    lua_pushinteger(L, item.flags);
  lua_pushboolean(L, stale);
  return 3;
}

/* ---- storing ---- */

/* What was not there is deleted, too. */
static int delete (lua_State *L, struct ldict *self, const shmx_dict_key *key) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_delete(&self->dict, key);
  } while (ldict_again(L, status));
  return ldict_return_stored(L, self, status == -ENOENT ? 0 : status, false);
}

static int store_nil(lua_State *L, struct ldict *self, const shmx_dict_key *key, uint32_t mode) {
  if (!(mode & (SHMX_DICT_ADD | SHMX_DICT_REPLACE))) return delete (L, self, key);
  lua_pushboolean(L, 0);
  lua_pushliteral(L, "attempt to add or replace nil values");
  lua_pushboolean(L, 0);
  return 3;
}

static int store(lua_State *L, uint32_t mode) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  struct ldict_value value;
  bool forcible = false;
  int64_t ttl = 0;
  uint32_t flags = 0;
  if (lua_gettop(L) > 3) {
    ttl = ldict_ttl(L, 4, 0);
    flags = ldict_flags(L, 5);
  }
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  int type = lua_type(L, 3);
  if (type <= LUA_TNIL) return store_nil(L, self, &key.key, mode);
  ldict_typed_value(L, 3, type, self, &value);
  value.item.flags = flags;
  int status;
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_set(&self->dict, &key.key, &value.item, ttl, mode, &forcible);
  } while (ldict_again(L, status));
  return ldict_return_stored(L, self, status, forcible);
}

static int dict_set(lua_State *L) {
  return store(L, SHMX_DICT_SET);
}

static int dict_safe_set(lua_State *L) {
  return store(L, SHMX_DICT_SET | SHMX_DICT_SAFE);
}

static int dict_add(lua_State *L) {
  return store(L, SHMX_DICT_ADD);
}

static int dict_safe_add(lua_State *L) {
  return store(L, SHMX_DICT_ADD | SHMX_DICT_SAFE);
}

static int dict_replace(lua_State *L) {
  return store(L, SHMX_DICT_REPLACE);
}

static int dict_delete(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  return delete (L, self, &key.key);
}

/* ---- time ---- */

static int dict_ttl(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  int64_t ttl;
  int status;
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_ttl(&self->dict, &key.key, &ttl);
  } while (ldict_again(L, status));
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushnumber(L, (lua_Number)ttl / (lua_Number)SHMX_SECOND);
  return 1;
}

static int dict_expire(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  int status;
  luaL_checknumber(L, 3);
  int64_t ttl = ldict_ttl(L, 3, 0);
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_expire(&self->dict, &key.key, ttl);
  } while (ldict_again(L, status));
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- registration ---- */

void ldict_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"get", dict_get},
      {"get_stale", dict_get_stale},
      {"set", dict_set},
      {"safe_set", dict_safe_set},
      {"add", dict_add},
      {"safe_add", dict_safe_add},
      {"replace", dict_replace},
      {"delete", dict_delete},
      {"ttl", dict_ttl},
      {"expire", dict_expire},
      {"incr", ldict_incr},
      {"lpush", ldict_lpush},
      {"rpush", ldict_rpush},
      {"lpop", ldict_lpop},
      {"rpop", ldict_rpop},
      {"llen", ldict_llen},
      {"lrange", ldict_lrange},
      {"cas", ldict_cas},
      {"update", ldict_update},
      {"fetch", ldict_fetch},
      {"get_all", ldict_get_all},
      {"set_all", ldict_set_all},
      {"get_keys", ldict_get_keys},
      {"scan", ldict_scan},
      {"flush_all", ldict_flush_all},
      {"flush_expired", ldict_flush_expired},
      {"capacity", ldict_capacity},
      {"free_space", ldict_free_space},
      {"stat", ldict_stat},
      {"snapshot", ldict_snapshot},
      {"restore", ldict_restore},
      {NULL, NULL},
  };
  lobject_register(L, &ldict_type, methods);
  luaL_getmetatable(L, ldict_type.name);
  lua_pushcfunction(L, ldict_pairs);
  lua_setfield(L, -2, "__pairs");
  lua_pop(L, 1);
}
