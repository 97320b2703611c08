/* ldict_list.c: numbers and lists in a dict: d:incr, d:lpush, d:rpop ... Touches core. */
#include "lua/ldict.h"

/* ---- numbers ---- */

/* Text that says a number is one, as ngx.shared.DICT has it. */
static shmx_dict_number check_number(lua_State *L, int index) {
  shmx_dict_number number;
  if (lua_type(L, index) == LUA_TSTRING && lua_stringtonumber(L, lua_tostring(L, index)) != 0)
    lua_replace(L, index);
  if (!ldict_number(L, index, &number)) luaL_typeerror(L, index, "number");
  return number;
}

int ldict_incr(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  shmx_dict_number init = {0}, sum;
  bool forcible;
  int status;
  lua_settop(L, 5);
  shmx_dict_number by = check_number(L, 3);
  bool has_init = lua_toboolean(L, 4);
  if (has_init) init = check_number(L, 4);
  int64_t ttl = ldict_ttl(L, 5, 0);
  luaL_argcheck(L, has_init || lua_isnil(L, 5), 5,
                "must provide \"init\" when providing \"init_ttl\"");
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_incr(&self->dict, &key.key, &by, has_init ? &init : NULL, ttl, 0, &sum,
                              &forcible);
  } while (ldict_again(L, status));
  if (status != 0) return ldict_fail(L, self, status == -EPROTOTYPE ? -EDOM : status);
  if (sum.tag == SHMX_TAG_INTEGER)
    lua_pushinteger(L, sum.value.integer);
  else
    lua_pushnumber(L, sum.value.real);
  if (!has_init) return 1;
  lua_pushnil(L);
  lua_pushboolean(L, forcible);
  return 3;
}

/* ---- lists ---- */

static int push(lua_State *L, int end) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  struct ldict_value value;
  bool forcible;
  uint64_t count;
  int status;
  luaL_checkany(L, 3);
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  ldict_value(L, 3, self, &value);
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_push(&self->dict, &key.key, &value.item, end, 0, &count, &forcible);
  } while (ldict_again(L, status));
  if (status != 0) return ldict_fail_list(L, self, status);
  lua_pushinteger(L, (lua_Integer)count);
  lua_pushnil(L);
  lua_pushboolean(L, forcible);
  return 3;
}

/* Copies the element at an end, which stays. */
static int peek(lua_State *L, struct ldict *self, const shmx_dict_key *key, int end,
                struct lbuffer *buffer, shmx_dict_item *item) {
  int status;
  lbuffer_start(buffer);
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_peek(&self->dict, key, end, buffer->data, buffer->room, item);
    if (status == -EMSGSIZE) status = ldict_grow(L, self, buffer, item->length);
  } while (status == -EMSGSIZE || ldict_again(L, status));
  return status;
}

static int pop_same(lua_State *L, struct ldict *self, const shmx_dict_key *key, int end,
                    const shmx_dict_item *item) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_pop_same(&self->dict, key, end, item);
  } while (ldict_again(L, status));
  return status;
}

/* Pushes what is to be returned for an element that was copied. Returns how many. */
static int push_element(lua_State *L, struct ldict *self, const shmx_dict_item *item) {
  int status = ldict_push_value(L, item);
  return status == 0 ? 1 : ldict_fail_list(L, self, status);
}

/* Pops the element at an end once there is a value of it. -EAGAIN: another was first. */
static int try_pop(lua_State *L, struct ldict *self, const shmx_dict_key *key, int end,
                   int *results) {
  struct lbuffer buffer;
  shmx_dict_item item;
  int status = peek(L, self, key, end, &buffer, &item);
  if (status != 0) return status;
  *results = push_element(L, self, &item);
  return pop_same(L, self, key, end, &item);
}

/* How long an element may be another each time that we look, before memory is not believed. */
#define POP_TIMEOUT (10 * SHMX_SECOND)

static int pop(lua_State *L, int end) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  int64_t until = 0;
  int status, results, top = lua_gettop(L);
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  while ((status = try_pop(L, self, &key.key, end, &results)) == -EAGAIN) {
    lua_settop(L, top);
    lwait_run_hook(L);
    if (until == 0) until = shmx_clock_now() + POP_TIMEOUT;
    if (shmx_clock_now() >= until) return ldict_fail_list(L, self, -ETIMEDOUT);
  }
  if (status == 0) return results;
  if (status != -ENOENT) return ldict_fail_list(L, self, status);
  lua_pushnil(L);
  return 1;
}

int ldict_lpush(lua_State *L) {
  return push(L, SHMX_DICT_LEFT);
}

int ldict_rpush(lua_State *L) {
  return push(L, SHMX_DICT_RIGHT);
}

int ldict_lpop(lua_State *L) {
  return pop(L, SHMX_DICT_LEFT);
}

int ldict_rpop(lua_State *L) {
  return pop(L, SHMX_DICT_RIGHT);
}

int ldict_llen(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  uint64_t count = 0;
  int status;
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_count(&self->dict, &key.key, &count);
  } while (ldict_again(L, status));
  if (status != 0 && status != -ENOENT) return ldict_fail_list(L, self, status);
  lua_pushinteger(L, status == 0 ? (lua_Integer)count : 0);
  return 1;
}

/* Where no list is, the range is empty, as llen is 0. */
int ldict_lrange(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  size_t length;
  lua_Integer first = luaL_checkinteger(L, 3), last = luaL_checkinteger(L, 4);
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  int status = ldict_push_elements(L, self, &key.key, first, last, &length);
  if (status == -ENOENT)
    lua_newtable(L);
  else if (status != 0)
    return ldict_fail_list(L, self, status);
  return 1;
}
