/* lerror.c: the only file that turns a status into Lua values. Touches core. */
#include "lua/lerror.h"

#include <lauxlib.h>
#include <stdio.h>

int lerror_return_message(lua_State *L, int status) {
  luaL_pushfail(L);
  lua_insert(L, -2);
  lua_pushstring(L, shmx_error_name(status));
  return 3;
}

int lerror_return(lua_State *L, int status, const char *thing) {
  lua_pushfstring(L, "%s %s", thing, shmx_error_text(status));
  return lerror_return_message(L, status);
}

int lerror_raise(lua_State *L, int status, const char *thing) {
  return luaL_error(L, "%s %s", thing, shmx_error_text(status));
}

int lerror_result(lua_State *L, int status, const char *thing) {
  if (status != 0) return lerror_return(L, status, thing);
  lua_pushboolean(L, 1);
  return 1;
}

const char *lerror_push_sysv_name(lua_State *L, const char *noun, const shmx_name *name) {
  char hex[16];
  if (name->key != SHMX_PRIVATE) { /* in hexadecimal, as ipcs(1) prints it */
    snprintf(hex, sizeof hex, "0x%08x", (unsigned)name->key);
    return lua_pushfstring(L, "%s %s", noun, hex);
  }
  if (name->id != SHMX_NO_ID) return lua_pushfstring(L, "%s id %d", noun, name->id);
  return lua_pushfstring(L, "private %s", noun);
}

const char *lerror_push_noun(lua_State *L, const char *noun, const shmx_name *name) {
  if (name->backing == SHMX_POSIX) return lua_pushfstring(L, "%s \"%s\"", noun, name->posix);
  if (name->backing == SHMX_PART) return lua_pushfstring(L, "object \"%s\"", name->posix);
  if (name->backing == SHMX_MEMFD) return lua_pushfstring(L, "anonymous %s", noun);
  return lerror_push_sysv_name(L, noun, name);
}

const char *lerror_push_name(lua_State *L, const shmx_name *name) {
  return lerror_push_noun(L, "segment", name);
}
