/* lelement.h: one element of memory as a Lua value, and back. Touches core. */
#ifndef SHMX_LUA_LELEMENT_H
#define SHMX_LUA_LELEMENT_H

#include "shmx.h"

#include <lua.h>
#include <string.h>

/* The type of the name at `index`; raises where there is no such name. */
shmx_type lelement_check_type(lua_State *L, int index);

/* The number at `index`, if it is one and fits; raises a sentence about it if not. */
shmx_number lelement_check(lua_State *L, int index, shmx_type type);

/* Raises why the number at `index` is no element of this type. Does not return. */
void lelement_raise(lua_State *L, int index, shmx_type type);

/* The number at `index`; false where there is no number (a string is none). */
static inline bool lelement_to_number(lua_State *L, int index, shmx_number *number) {
  number->is_float = !lua_isinteger(L, index);
  if (!number->is_float) {
    number->integer = lua_tointeger(L, index);
    return true;
  }
  number->number = lua_tonumber(L, index);
  return lua_type(L, index) == LUA_TNUMBER;
}

/* As lelement_put, which is faster. */
bool lelement_put_any(lua_State *L, int index, shmx_type type, void *element);

/* Pushes an element. Inline, because this is what `v[i]` does. */
static inline void lelement_push(lua_State *L, shmx_type type, const void *element) {
  switch (type) {
#define PUSH_AS(TYPE, ctype, push)                                                                 \
  case TYPE: {                                                                                     \
    ctype value;                                                                                   \
    memcpy(&value, element, sizeof value);                                                         \
    push(L, value);                                                                                \
    return;                                                                                        \
  }
#define PUSH_U64(L, value) lua_pushinteger(L, (lua_Integer)(value)) /* its bits */
    PUSH_AS(SHMX_I8, int8_t, lua_pushinteger)
    PUSH_AS(SHMX_U8, uint8_t, lua_pushinteger)
    PUSH_AS(SHMX_I16, int16_t, lua_pushinteger)
    PUSH_AS(SHMX_U16, uint16_t, lua_pushinteger)
    PUSH_AS(SHMX_I32, int32_t, lua_pushinteger)
    PUSH_AS(SHMX_U32, uint32_t, lua_pushinteger)
    PUSH_AS(SHMX_I64, int64_t, lua_pushinteger)
    PUSH_AS(SHMX_U64, uint64_t, PUSH_U64)
    PUSH_AS(SHMX_F32, float, lua_pushnumber)
    PUSH_AS(SHMX_F64, double, lua_pushnumber)
#undef PUSH_AS
#undef PUSH_U64
  default:
    lua_pushnil(L);
  }
}

/*
 * Stores the number at `index` into an element; false where there is no number, or one that does
 * not fit. Inline, because this is what `v[i] = x` does; what is rare is left to lelement_put_any.
 */
static inline bool lelement_put(lua_State *L, int index, shmx_type type, void *element) {
  switch (type) {
#define PUT_INTEGER(TYPE, ctype)                                                                   \
  case TYPE: {                                                                                     \
    if (!lua_isinteger(L, index)) break;                                                           \
    lua_Integer integer = lua_tointeger(L, index);                                                 \
    ctype value = (ctype)integer;                                                                  \
    if ((lua_Integer)value != integer) break;                                                      \
    memcpy(element, &value, sizeof value);                                                         \
    return true;                                                                                   \
  }
    PUT_INTEGER(SHMX_I8, int8_t)
    PUT_INTEGER(SHMX_U8, uint8_t)
    PUT_INTEGER(SHMX_I16, int16_t)
    PUT_INTEGER(SHMX_U16, uint16_t)
    PUT_INTEGER(SHMX_I32, int32_t)
    PUT_INTEGER(SHMX_U32, uint32_t)
    PUT_INTEGER(SHMX_I64, int64_t)
    PUT_INTEGER(SHMX_U64, uint64_t)
#undef PUT_INTEGER
  case SHMX_F64: {
    if (lua_type(L, index) != LUA_TNUMBER) break;
    double value = lua_tonumber(L, index);
    memcpy(element, &value, sizeof value);
    return true;
  }
  default:
    break;
  }
  return lelement_put_any(L, index, type, element);
}

#endif
