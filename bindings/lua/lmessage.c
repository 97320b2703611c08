/* lmessage.c: buffers, lists of messages, options. Touches core. */
#include "lua/lmessage.h"
#include "lua/lvalue.h"

#include <errno.h>
#include <string.h>

enum { SPARE_MAX = 1 << 22 }; /* bytes of a buffer that is worth keeping */

/* The registry keeps one that is not in use. */
static const char spare;

/* In the place of the one before: a peer that makes a message longer again and again must not fill
 * the stack. */
void lbuffer_grow(lua_State *L, struct lbuffer *buffer, size_t length) {
  if (buffer->data != buffer->small) lua_pop(L, 1);
  length = (length + 7) & ~(size_t)7; /* topics copy whole words */
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spare);
  if (lua_touserdata(L, -1) != NULL && lua_rawlen(L, -1) >= length) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
  } else {
    lua_pop(L, 1);
    lua_newuserdatauv(L, length, 0);
  }
  buffer->data = lua_touserdata(L, -1);
  buffer->room = lua_rawlen(L, -1);
  buffer->index = lua_gettop(L);
}

void lbuffer_end(lua_State *L, const struct lbuffer *buffer) {
  if (buffer->data == buffer->small || buffer->room > SPARE_MAX) return;
  lua_pushvalue(L, buffer->index);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare);
}

int lmessage_push(lua_State *L, struct lobject *object, const shmx_message *message) {
  int status = lvalue_push(L, message);
  return status == 0 ? 1 : lobject_return(L, object, status, 0);
}

/* At `found` is what the last one that is sound and has no value holds. */
int lmessage_push_all(lua_State *L, struct lobject *object, const void *data, size_t length) {
  shmx_message message;
  size_t at = 0;
  lua_Integer good = 0, others = 0;
  int failed = 0, found = lua_gettop(L) + 1;
  lua_pushnil(L);
  lua_newtable(L);
  while (shmx_channel_next(data, length, &at, &message)) {
    int status = lvalue_push(L, &message);
    if (status == 0) {
      lua_rawseti(L, -2, ++good);
      continue;
    }
    if (status == -EPROTO) lua_replace(L, found);
    failed = status;
    others++;
  }
  if (good == 0 && others != 0) {
    lua_settop(L, found);
    return lobject_return(L, object, failed, 0);
  }
  if (others == 0) return 1;
  lua_pushinteger(L, others);
  return 2;
}

int lmessage_option(lua_State *L, int index, const char *name) {
  if (lua_isnoneornil(L, index)) return lua_pushnil(L), LUA_TNIL;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

/* Pushes the words of a list that ends with NULL, quoted or not, with commas between them. */
static const char *push_list(lua_State *L, const char *const *words, const char *quote) {
  luaL_Buffer list;
  luaL_buffinit(L, &list);
  for (const char *const *word = words; *word != NULL; word++) {
    luaL_addstring(&list, word == words ? "" : ", ");
    luaL_addstring(&list, quote);
    luaL_addstring(&list, *word);
    luaL_addstring(&list, quote);
  }
  luaL_pushresult(&list);
  return lua_tostring(L, -1);
}

int lmessage_choice(lua_State *L, int index, const char *name, const char *const *values) {
  int choice = -1;
  if (lmessage_option(L, index, name) != LUA_TNIL) {
    bool is_string = lua_type(L, -1) == LUA_TSTRING;
    const char *given = luaL_tolstring(L, -1, NULL);
    for (choice = 0; values[choice] != NULL && (!is_string || strcmp(values[choice], given) != 0);)
      choice++;
    if (values[choice] == NULL) {
      const char *quote = is_string ? "\"" : "", *list = push_list(L, values, "\"");
      luaL_argerror(L, index,
                    lua_pushfstring(L, "option %s is one of %s, not %s%s%s", name, list, quote,
                                    given, quote));
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return choice;
}

void lmessage_check_options(lua_State *L, int index, const char *const *names) {
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    const char *const *known = names;
    while (*known != NULL && strcmp(*known, name) != 0)
      known++;
    if (*known != NULL) continue;
    const char *list = push_list(L, names, "");
    luaL_argerror(L, index, lua_pushfstring(L, "unknown option '%s'; there are %s", name, list));
  }
}

int lmessage_spin(lua_State *L, int index) {
  int spin = -1;
  if (lmessage_option(L, index, "spin") != LUA_TNIL) {
    int whole;
    lua_Integer times = lua_tointegerx(L, -1, &whole);
    luaL_argcheck(L, whole && times >= 0 && times <= 1000000, index,
                  "option spin is how often to look before sleeping, 0 to 1000000");
    spin = (int)times;
  }
  lua_pop(L, 1);
  return spin;
}
