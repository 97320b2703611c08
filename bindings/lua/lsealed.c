/* lsealed.c: a misspelt method, or a field that was meant as a key, raises. Touches lua.h. */
#include "lua/lsealed.h"
#include "lua/luser.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* What may have been meant, as a format of the key; for reading and for assigning. */
static const struct hint {
  const char *noun, *reading, *assigning;
} hints[] = {
    {"dict", "d:get(%s) reads a key", "d:set(%s, value) stores under a key"},
    {"arena", "a:objects() lists what is in it", "a:record and a:array make memory to store to"},
    {"segment", "segment:view and segment:record read its memory",
     "segment:view and segment:record write its memory"},
};

static const struct hint *hint_of(const char *noun) {
  for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
    if (strcmp(hints[i].noun, noun) == 0) return &hints[i];
  return NULL;
}

int lsealed_raise(lua_State *L, const char *noun, bool assigning) {
  const char *article = strchr("aeio", noun[0]) != NULL || strcmp(noun, "rwlock") == 0 ? "an" : "a";
  const char *quote = lua_type(L, 2) == LUA_TSTRING ? "\"" : "";
  const char *key = lua_pushfstring(L, "%s%s%s", quote, luaL_tolstring(L, 2, NULL), quote);
  const struct hint *hint = hint_of(noun);
  if (hint == NULL) return luaL_error(L, "%s %s has no field %s", article, noun, key);
  const char *advice = luaL_gsub(L, assigning ? hint->assigning : hint->reading, "%s", key);
  return luaL_error(L, "%s %s has no field %s; %s", article, noun, key, advice);
}

/* The noun is in upvalue 1. */
static int raise_of(lua_State *L, bool assigning) {
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1)); /* which the library debug may replace meanwhile */
  const char *noun = lua_tostring(L, -1);
  luser_check(L, noun != NULL);
  return lsealed_raise(L, noun, assigning);
}

static int raise_reading(lua_State *L) {
  return raise_of(L, false);
}

static int raise_assigning(lua_State *L) {
  return raise_of(L, true);
}

void lsealed_set(lua_State *L, const char *noun) {
  lua_pushstring(L, noun);
  lua_pushcclosure(L, raise_assigning, 1);
  lua_setfield(L, -2, "__newindex");
  lua_getfield(L, -1, "__index");
  lua_createtable(L, 0, 1);
  lua_pushstring(L, noun);
  lua_pushcclosure(L, raise_reading, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}
