/* lfield.h: fields of the table at the top of the stack. Touches lua.h. */
#ifndef SHMX_LUA_LFIELD_H
#define SHMX_LUA_LFIELD_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

static inline void set_integer(lua_State *L, const char *field, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, field);
}

static inline void set_boolean(lua_State *L, const char *field, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, field);
}

static inline void set_string(lua_State *L, const char *field, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, field);
}

#endif
