/* lelement.c: element types by name, and why a value does not fit one. Touches core. */
#include "lua/lelement.h"

#include <lauxlib.h>

shmx_type lelement_check_type(lua_State *L, int index) {
  const char *name = luaL_checkstring(L, index);
  shmx_type type = shmx_type_find(name);
  if (type == SHMX_TYPES)
    luaL_argerror(
        L, index,
        lua_pushfstring(L, "no type '%s'; there are i8 u8 i16 u16 i32 u32 i64 u64 f32 f64", name));
  return type;
}

void lelement_raise(lua_State *L, int index, shmx_type type) {
  const char *name = shmx_type_name(type);
  shmx_number number;
  if (lua_type(L, index) == LUA_TSTRING)
    luaL_error(L, "\"%s\" is a string, and %s has numbers; tonumber makes one of digits",
               lua_tostring(L, index), name);
  if (!lelement_to_number(L, index, &number))
    luaL_error(L, "%s is not a number, as %s has them", luaL_tolstring(L, index, NULL), name);
  const char *text = luaL_tolstring(L, index, NULL);
  if (shmx_element_check(type, number) == SHMX_NUMBER_NOT_WHOLE)
    luaL_error(L, "%s is not a whole number, as %s has them", text, name);
  luaL_error(L, "%s does not fit %s", text, name);
}

static bool to_fitting(lua_State *L, int index, shmx_type type, shmx_number *number) {
  return lelement_to_number(L, index, number) &&
         shmx_element_check(type, *number) == SHMX_NUMBER_FITS;
}

shmx_number lelement_check(lua_State *L, int index, shmx_type type) {
  shmx_number number;
  if (!to_fitting(L, index, type, &number)) lelement_raise(L, index, type);
  return number;
}

bool lelement_put_any(lua_State *L, int index, shmx_type type, void *element) {
  shmx_number number;
  if (!to_fitting(L, index, type, &number)) return false;
  shmx_element_store(type, element, number);
  return true;
}
