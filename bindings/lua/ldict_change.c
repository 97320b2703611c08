/* ldict_change.c: values that are changed where nobody else has: d:cas, d:update. Touches core. */
#include "lua/ldict.h"

/* ---- comparing ---- */

static bool is_same(lua_State *L, int a, int b);

/* How many entries, where all values at `a` are those at `b`; else -1. */
static int64_t count_same(lua_State *L, int a, int b) {
  int64_t count = 0;
  for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 1), count++) {
    int top = lua_gettop(L);
    lua_pushvalue(L, top - 1);
    lua_rawget(L, b);
    bool same = is_same(L, top, top + 1);
    lua_pop(L, 1);
    if (!same) return lua_pop(L, 2), -1;
  }
  return count;
}

/* NaN is not equal to itself, and has many encodings. */
static bool is_nan(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TNUMBER && !lua_rawequal(L, index, index);
}

/* Tables are compared by what is in them, for their bytes may be in another order. What is at `a`
 * came out of the dict, and so is no deeper than a message can be. */
static bool is_same(lua_State *L, int a, int b) {
  if (is_nan(L, a)) return is_nan(L, b);
  if (!lua_istable(L, a) || !lua_istable(L, b)) return lua_rawequal(L, a, b);
  luaL_checkstack(L, 6, "comparing values");
  int64_t count = count_same(L, a, b);
  if (count < 0) return false;
  for (lua_pushnil(L); lua_next(L, b); lua_pop(L, 1))
    if (--count < 0) return lua_pop(L, 2), false;
  return true;
}

/* ---- cas ---- */

struct change {
  struct ldict_key key;
  struct ldict_value old, new;
  const shmx_dict_item *expected, *desired; /* or NULL */
  int64_t ttl;
  bool forcible;
  uint64_t seen; /* a hash of what was expected and not found, and how often in a row it was that */
  uint32_t again;
};

enum { AGAIN_MAX = 1000 };

/* Who is late finds another value. One that is read again and again, and is never there to be
 * changed, is that of a spoiled memory. */
static bool is_stuck(struct change *change) {
  const shmx_dict_item *item = change->expected;
  uint64_t hash =
      item != NULL ? shmx_hash(SHMX_HASH_START + item->tag, item->data, item->length) : 0;
  change->again = hash == change->seen ? change->again + 1 : 0;
  change->seen = hash;
  return change->again == AGAIN_MAX;
}

static int try_change(lua_State *L, struct ldict *self, struct change *change) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_cas(&self->dict, &change->key.key, change->expected, change->desired,
                             change->ttl, 0, &change->forcible);
  } while (ldict_again(L, status));
  return status == -EAGAIN && is_stuck(change) ? -EBADMSG : status;
}

/* What is there is compared with the value at 3, and then expected as it is: for values that are
 * the same in other bytes, too. */
static int change_compared(lua_State *L, struct ldict *self, struct change *change) {
  struct lbuffer buffer;
  int status, top = lua_gettop(L);
  do {
    lua_settop(L, top);
    lbuffer_start(&buffer);
    status = ldict_read(L, self, &change->key.key, &buffer, &change->old.item, NULL);
    if (status == 0) status = ldict_push_value(L, &change->old.item);
    if (status != 0) return status == -ENOENT ? -EAGAIN : status;
    if (!is_same(L, lua_gettop(L), 3)) return -EAGAIN;
    change->expected = &change->old.item;
    status = try_change(L, self, change);
  } while (status == -EAGAIN);
  return status;
}

int ldict_cas(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct change change = {.forcible = false};
  luaL_checkany(L, 4);
  lua_settop(L, 6);
  change.ttl = ldict_ttl(L, 5, SHMX_DICT_KEEP);
  uint32_t flags = ldict_flags(L, 6);
  const char *wrong = ldict_key(L, 2, &change.key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  if (!lua_isnil(L, 4)) {
    ldict_value(L, 4, self, &change.new);
    change.new.item.flags = flags;
    change.desired = &change.new.item;
  }
  if (lua_istable(L, 3) || is_nan(L, 3))
    return ldict_return_stored(L, self, change_compared(L, self, &change), change.forcible);
  if (!lua_isnil(L, 3)) {
    ldict_value(L, 3, self, &change.old);
    change.expected = &change.old.item;
  }
  return ldict_return_stored(L, self, try_change(L, self, &change), change.forcible);
}

/* ---- update ---- */

/* Pushes what is there, or nil, which is then expected. What its bytes are in may be below it. */
static int push_expected(lua_State *L, struct ldict *self, struct change *change,
                         struct lbuffer *buffer) {
  int status = ldict_read(L, self, &change->key.key, buffer, &change->old.item, NULL);
  change->expected = status == 0 ? &change->old.item : NULL;
  if (status == 0) return ldict_push_value(L, &change->old.item);
  if (status == -ENOENT) return lua_pushnil(L), 0;
  return status;
}

/* Once: the function's value is at the top. */
static int try_update(lua_State *L, struct ldict *self, struct change *change) {
  struct lbuffer buffer;
  lbuffer_start(&buffer);
  int status = push_expected(L, self, change, &buffer);
  if (status != 0) return status;
  lua_pushvalue(L, 3);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  int result = lua_gettop(L);
  change->desired = NULL;
  if (!lua_isnil(L, result)) {
    ldict_value(L, result, self, &change->new);
    change->new.item.flags = change->expected != NULL ? change->expected->flags : 0;
    change->desired = &change->new.item;
  }
  status = try_change(L, self, change);
  lua_settop(L, result);
  return status;
}

int ldict_update(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct change change = {.forcible = false};
  int status;
  luaL_checktype(L, 3, LUA_TFUNCTION);
  change.ttl = ldict_ttl(L, 4, SHMX_DICT_KEEP);
  const char *wrong = ldict_key(L, 2, &change.key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  lua_settop(L, 4);
  do {
    lua_settop(L, 4);
    status = try_update(L, self, &change);
  } while (status == -EAGAIN);
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushnil(L);
  lua_pushboolean(L, change.forcible);
  return 3;
}
