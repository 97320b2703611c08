/* ldict_item.c: what methods of dicts take and return: keys, values, times, words. Touches core. */
#include "lua/ldict.h"
#include "lua/lerror.h"

#include <math.h>

/* ---- keys ---- */

const char *ldict_other_key(lua_State *L, int index, struct ldict_key *key) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
  case LUA_TNONE:
    return "nil key";
  case LUA_TSTRING:
    return lua_rawlen(L, index) == 0 ? "empty key" : "key too long";
  case LUA_TNUMBER: {
    int whole;
    key->integer = lua_tointegerx(L, index, &whole); /* 2.0 is 2, as in tables */
    key->key = (shmx_dict_key){&key->integer, 8, true};
    if (whole) return NULL;
    break;
  }
  default:
    break;
  }
  luaL_typeerror(L, index, "key (a string or an integer)");
  return NULL;
}

void ldict_push_key(lua_State *L, const shmx_dict_key *key) {
  int64_t integer;
  if (!key->is_integer || key->length != sizeof integer) {
    lua_pushlstring(L, key->data, key->length);
    return;
  }
  memcpy(&integer, key->data, sizeof integer);
  lua_pushinteger(L, integer);
}

/* ---- values ---- */

static const unsigned char mp_false = 0xc2, mp_true = 0xc3; /* what MessagePack has for them */

void ldict_other_value(lua_State *L, int index, uint64_t limit, struct ldict_value *value) {
  if (lua_type(L, index) == LUA_TBOOLEAN) {
    value->item = (shmx_dict_item){
        .data = lua_toboolean(L, index) ? &mp_true : &mp_false, .length = 1, .tag = LVALUE_MSGPACK};
    return;
  }
  shmx_message message = lvalue_encode(L, index, limit);
  value->item =
      (shmx_dict_item){.data = message.data, .length = message.length, .tag = message.tag};
}

int ldict_push_other_value(lua_State *L, const shmx_dict_item *item) {
  if (item->tag == LVALUE_MSGPACK && item->length == 1) {
    unsigned char byte = *(const unsigned char *)item->data;
    if (byte == mp_true || byte == mp_false) return lua_pushboolean(L, byte == mp_true), 0;
  }
  shmx_message message = {item->data, item->length, item->tag};
  return lvalue_push(L, &message);
}

int ldict_grow(lua_State *L, const struct ldict *self, struct lbuffer *buffer, uint64_t length) {
  if (length > 2 * shmx_dict_capacity(&self->dict)) return -EBADMSG;
  lbuffer_grow(L, buffer, length);
  return -EMSGSIZE;
}

int ldict_read(lua_State *L, struct ldict *self, const shmx_dict_key *key, struct lbuffer *buffer,
               shmx_dict_item *item, bool *stale) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0)
      status = stale == NULL
                   ? shmx_dict_get(&self->dict, key, buffer->data, buffer->room, item)
                   : shmx_dict_get_stale(&self->dict, key, buffer->data, buffer->room, item, stale);
    if (status == -EMSGSIZE) status = ldict_grow(L, self, buffer, item->length);
  } while (status == -EMSGSIZE || ldict_again(L, status));
  return status;
}

int ldict_elements(lua_State *L, struct ldict *self, const shmx_dict_key *key, int64_t first,
                   int64_t last, struct lbuffer *buffer, size_t *length) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0)
      status =
          shmx_dict_elements(&self->dict, key, first, last, buffer->data, buffer->room, length);
    if (status == -EMSGSIZE) status = ldict_grow(L, self, buffer, *length);
  } while (status == -EMSGSIZE || ldict_again(L, status));
  return status;
}

int ldict_push_elements(lua_State *L, struct ldict *self, const shmx_dict_key *key, int64_t first,
                        int64_t last, size_t *length) {
  struct lbuffer buffer;
  shmx_dict_key none;
  shmx_dict_item item;
  size_t at = 0;
  int top = lua_gettop(L);
  lbuffer_start(&buffer);
  int status = ldict_elements(L, self, key, first, last, &buffer, length);
  if (status == 0) lua_newtable(L);
  for (lua_Integer i = 1; status == 0 && shmx_dict_next(buffer.data, *length, &at, &none, &item);
       i++) {
    status = ldict_push_value(L, &item);
    if (status == 0) lua_rawseti(L, -2, i);
  }
  bool pushed = status == 0 || status == -EPROTO;
  if (pushed) lua_insert(L, top + 1);
  lua_settop(L, top + pushed);
  return status;
}

/* ---- arguments ---- */

int64_t ldict_ttl(lua_State *L, int index, int64_t without) {
  if (lua_isnoneornil(L, index)) return without;
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0, index, "a time to live is a number of seconds, not negative");
  lua_Number nanoseconds = ceil(seconds * (lua_Number)SHMX_SECOND); /* some is not none */
  return nanoseconds < 0x1p62 ? (int64_t)nanoseconds : 0;
}

uint32_t ldict_flags(lua_State *L, int index) {
  lua_Integer flags = luaL_optinteger(L, index, 0);
  luaL_argcheck(L, flags >= 0 && flags <= UINT32_MAX, index, "flags are 0 to 4294967295");
  return (uint32_t)flags;
}

uint64_t ldict_count(lua_State *L, int index, uint64_t without) {
  lua_Integer count = luaL_optinteger(L, index, (lua_Integer)without);
  luaL_argcheck(L, count >= 0, index, "a count is not negative");
  return (uint64_t)count;
}

/* ---- what methods return ---- */

int ldict_return_words(lua_State *L, const char *words) {
  luaL_pushfail(L);
  lua_pushstring(L, words);
  return 2;
}

/* What ngx.shared.DICT says; NULL where it is no matter of the dict's. */
static const char *words_of(int status) {
  switch (status) {
  case -EEXIST:
    return "exists";
  case -ENOENT:
    return "not found";
  case -ENOSPC:
  case -EMSGSIZE:
    return "no memory";
  case -EDOM:
    return "not a number";
  case -EPROTOTYPE:
    return "value is a list";
  case -EAGAIN:
    return "changed";
  default:
    return NULL;
  }
}

int ldict_fail(lua_State *L, struct ldict *self, int status) {
  const char *words = words_of(status);
  return words != NULL ? ldict_return_words(L, words) : lobject_return(L, &self->base, status, 0);
}

int ldict_fail_list(lua_State *L, struct ldict *self, int status) {
  return status == -EPROTOTYPE ? ldict_return_words(L, "value not a list")
                               : ldict_fail(L, self, status);
}

int ldict_return_stored(lua_State *L, struct ldict *self, int status, bool forcible) {
  const char *words = status != 0 ? words_of(status) : NULL;
  if (status != 0 && words == NULL) return lobject_return(L, &self->base, status, 0);
  lua_pushboolean(L, status == 0);
  if (words != NULL)
    lua_pushstring(L, words);
  else
    lua_pushnil(L);
  lua_pushboolean(L, forcible);
  return 3;
}
