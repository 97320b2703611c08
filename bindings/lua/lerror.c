/* lerror.c: the only file that turns a status into Lua values. Touches core. */
#include "lua/lerror.h"

#include <errno.h>
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

int lerror_return_locked(lua_State *L, const char *thing, uint32_t holder) {
  if (holder != 0)
    lua_pushfstring(L,
                    "%s is locked by process %d: that process is stopped, or the memory is "
                    "damaged; resume or end the process, or remove the memory and make it anew",
                    thing, (int)holder);
  else
    lua_pushfstring(L, "%s was locked by others all the time; try again", thing);
  return lerror_return_message(L, -ETIMEDOUT);
}

int lerror_return_memory(lua_State *L, int status, const char *thing, uint64_t bytes) {
  shmx_limits limits;
  if (status != -ENOMEM || shmx_limits_get(&limits) != 0 || bytes <= limits.memory_free)
    return lerror_return(L, status, thing);
  if (limits.memory_limit != UINT64_MAX)
    lua_pushfstring(
        L,
        "%s was refused memory: out of memory, for it needs %I bytes, and of the %I that "
        "its control group (a container) may have %I are left; make it smaller, or "
        "raise that limit",
        thing, (LUAI_UACINT)bytes, (LUAI_UACINT)limits.memory_limit,
        (LUAI_UACINT)limits.memory_free);
  else
    lua_pushfstring(L,
                    "%s was refused memory: out of memory, for it needs %I bytes, and the machine "
                    "has %I left; make it smaller",
                    thing, (LUAI_UACINT)bytes, (LUAI_UACINT)limits.memory_free);
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
