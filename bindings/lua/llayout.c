/*
 * llayout.c: shm.record and what it returns; values of Lua as the bytes of a record and back. A
 * layout is never freed before the state is closed if a record may still use it: it has no __gc,
 * its memory is the userdata itself. Touches core.
 */
#include "lua/llayout.h"
#include "lua/larg.h"
#include "lua/lelement.h"
#include "lua/lrecord.h"
#include "lua/luser.h"

#include <lauxlib.h>
#include <limits.h>

#define TYPE_NAME "shm.layout"
#define REGISTRY  "shm.layouts" /* in Lua's registry: name -> layout */

struct llayout {
  const void *tag; /* ours */
  shmx_layout layout;
  shmx_field fields[];
};

static const char tag;

const shmx_layout *llayout_test(lua_State *L, int index) {
  const struct llayout *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) >= sizeof *self && self->tag == &tag;
  return ours ? &self->layout : NULL;
}

static const shmx_layout *check(lua_State *L) {
  const shmx_layout *layout = llayout_test(L, 1);
  if (layout == NULL) luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
  return layout;
}

void llayout_push_nested(lua_State *L, int index, const shmx_field *field) {
  const shmx_layout *layout = llayout_test(L, index);
  luser_push_table(L, index, LLAYOUT_NESTED);
  lua_rawgeti(L, -1, field - layout->fields + 1);
  lua_remove(L, -2);
  luser_check(L, llayout_test(L, -1) == field->layout);
}

/* ---- what does not fit ---- */

static const char *push_path(lua_State *L, const struct llayout_path *path) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (path->up == NULL) return lua_pushstring(L, path->name);
  const char *up = push_path(L, path->up);
  if (path->name != NULL) return lua_pushfstring(L, "%s.%s", up, path->name);
  return lua_pushfstring(L, "%s[%I]", up, (LUAI_UACINT)path->index);
}

/* The value at the top is not `what`. */
static void raise_value(lua_State *L, const struct llayout_path *path, const char *what) {
  const char *text = luaL_tolstring(L, -1, NULL);
  luaL_error(L, "%s: %s is not %s", push_path(L, path), text, what);
}

static int raise_number(lua_State *L) {
  lelement_raise(L, 1, (shmx_type)lua_tointeger(L, 2));
  return 0;
}

int llayout_raise_unknown(lua_State *L, const shmx_layout *layout, const struct llayout_path *path,
                          int index) {
  const char *key = luaL_tolstring(L, index, NULL);
  const char *where = push_path(L, path);
  luaL_Buffer names;
  luaL_buffinit(L, &names);
  for (size_t i = 0; i < layout->field_count; i++) {
    luaL_addstring(&names, i == 0 ? "" : ", ");
    luaL_addstring(&names, layout->fields[i].name);
  }
  luaL_pushresult(&names);
  return luaL_error(L, "%s has no field '%s'; there are %s", where, key, lua_tostring(L, -1));
}

/* ---- values: check, then store ---- */

static void check_number(lua_State *L, shmx_type type, const struct llayout_path *path) {
  shmx_number number;
  if (lelement_to_number(L, -1, &number) && shmx_element_check(type, number) == SHMX_NUMBER_FITS)
    return;
  lua_pushcfunction(L, raise_number); /* the sentence is lelement.c's */
  lua_pushvalue(L, -2);
  lua_pushinteger(L, type);
  lua_pcall(L, 2, 0, 0);
  const char *sentence = lua_tostring(L, -1);
  luaL_error(L, "%s: %s", push_path(L, path), sentence);
}

static void check_text(lua_State *L, size_t room, const struct llayout_path *path) {
  if (lua_type(L, -1) != LUA_TSTRING) raise_value(L, path, "a string, as char has them");
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  if (length > room)
    luaL_error(L, "%s: a string of %I bytes does not fit char[%I]", push_path(L, path),
               (LUAI_UACINT)length, (LUAI_UACINT)room);
  if (memchr(text, '\0', length) != NULL)
    luaL_error(L, "%s: a string with a NUL inside is longer than the text of C",
               push_path(L, path));
}

static void store_text(lua_State *L, size_t room, unsigned char *data) {
  size_t length;
  const char *text = lua_tolstring(L, -1, &length);
  memcpy(data, text, length);
  memset(data + length, 0, room - length);
}

static void check_element(lua_State *L, int index, const shmx_field *field,
                          const struct llayout_path *path) {
  if (field->kind == SHMX_FIELD_NUMBER) {
    check_number(L, field->type, path);
  } else if (field->kind == SHMX_FIELD_CHAR) {
    if (lua_type(L, -1) != LUA_TSTRING)
      raise_value(L, path, "a string of one byte, as char has them");
    if (lua_rawlen(L, -1) != 1)
      luaL_error(L, "%s: a string of %I bytes is not one char", push_path(L, path),
                 (LUAI_UACINT)lua_rawlen(L, -1));
  } else {
    llayout_push_nested(L, index, field);
    lua_insert(L, -2);
    llayout_check_record(L, lua_gettop(L) - 1, path);
    lua_remove(L, -2);
  }
}

static void store_element(lua_State *L, int index, const shmx_field *field, unsigned char *data) {
  shmx_number number;
  if (field->kind == SHMX_FIELD_NUMBER) {
    lelement_to_number(L, -1, &number);
    shmx_element_store(field->type, data, number);
  } else if (field->kind == SHMX_FIELD_CHAR) {
    *data = (unsigned char)*lua_tostring(L, -1);
  } else {
    llayout_push_nested(L, index, field);
    lua_insert(L, -2);
    llayout_store_record(L, lua_gettop(L) - 1, data);
    lua_remove(L, -2);
  }
}

/* A table that is not a list up to the array's length is a mistake; holes stay as they are. */
static void check_array(lua_State *L, int index, const shmx_field *field,
                        const struct llayout_path *path) {
  if (!lua_istable(L, -1)) raise_value(L, path, "a table, as arrays are stored from");
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lua_Integer at = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if ((uint64_t)at - 1 >= field->count) {
      const char *key = luaL_tolstring(L, -2, NULL);
      luaL_error(L, "%s: index %s is not within 1 and %I", push_path(L, path), key,
                 (LUAI_UACINT)field->count);
    }
    check_element(L, index, field, &(struct llayout_path){path, NULL, at});
  }
}

void llayout_check_field(lua_State *L, int index, const shmx_field *field,
                         const struct llayout_path *path) {
  if (field->count == 0)
    check_element(L, index, field, path);
  else if (field->kind == SHMX_FIELD_CHAR)
    check_text(L, field->count, path);
  else
    check_array(L, index, field, path);
}

void llayout_store_field(lua_State *L, int index, const shmx_field *field, unsigned char *data) {
  if (field->count == 0) {
    store_element(L, index, field, data);
  } else if (field->kind == SHMX_FIELD_CHAR) {
    store_text(L, field->count, data);
  } else {
    int table = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
      store_element(L, index, field, data + (size_t)(lua_tointeger(L, -2) - 1) * field->size);
  }
}

/* The field of a key that is below the value at the top; the names are at `names`. */
static const shmx_field *field_of_key(lua_State *L, int names) {
  lua_pushvalue(L, -2);
  lua_rawget(L, names);
  const shmx_field *field = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return field;
}

/* The stack that this needs is there in the second walk, too: it shrinks in collections only. */
void llayout_check_record(lua_State *L, int index, const struct llayout_path *path) {
  const shmx_layout *layout = llayout_test(L, index);
  int table = lua_gettop(L);
  if (!lua_istable(L, table)) raise_value(L, path, "a table of fields");
  luaL_checkstack(L, LUA_MINSTACK, "too many records within records");
  luser_push_table(L, index, LLAYOUT_NAMES);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    const shmx_field *field = field_of_key(L, table + 1);
    if (field == NULL) llayout_raise_unknown(L, layout, path, -2);
    luser_check(L, field >= layout->fields && field < layout->fields + layout->field_count);
    llayout_check_field(L, index, field, &(struct llayout_path){path, field->name, 0});
  }
  lua_settop(L, table);
}

void llayout_store_record(lua_State *L, int index, unsigned char *data) {
  int table = lua_gettop(L);
  lua_getiuservalue(L, index, LLAYOUT_NAMES);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    const shmx_field *field = field_of_key(L, table + 1);
    llayout_store_field(L, index, field, data + field->offset);
  }
  lua_settop(L, table);
}

/* ---- bytes as values ---- */

/* Lua hashes short strings before it copies them: from memory that stays as it is. */
void llayout_push_text(lua_State *L, const unsigned char *data, size_t room) {
  char text[64];
  size_t length = strnlen((const char *)data, room);
  if (length <= sizeof text) {
    memcpy(text, data, length);
    lua_pushlstring(L, text, strnlen(text, length));
  } else {
    lua_pushlstring(L, (const char *)data, length);
  }
}

static void push_element(lua_State *L, const shmx_field *field, const unsigned char *data) {
  if (field->kind == SHMX_FIELD_NUMBER)
    lelement_push(L, field->type, data);
  else if (field->kind == SHMX_FIELD_CHAR)
    lua_pushlstring(L, (const char *)data, 1);
  else
    llayout_push_record(L, field->layout, data);
}

void llayout_push_record(lua_State *L, const shmx_layout *layout, const unsigned char *data) {
  luaL_checkstack(L, LUA_MINSTACK, "too many records within records");
  lua_createtable(L, 0, (int)layout->field_count);
  for (size_t i = 0; i < layout->field_count; i++) {
    const shmx_field *field = &layout->fields[i];
    const unsigned char *at = data + field->offset;
    if (field->count == 0) {
      push_element(L, field, at);
    } else if (field->kind == SHMX_FIELD_CHAR) {
      llayout_push_text(L, at, field->count);
    } else {
      lua_createtable(L, field->count <= INT_MAX ? (int)field->count : 0, 0);
      for (size_t n = 0; n < field->count; n++, at += field->size) {
        push_element(L, field, at);
        lua_rawseti(L, -2, (lua_Integer)n + 1);
      }
    }
    lua_setfield(L, -2, field->name);
  }
}

/* ---- defining a layout: name and list at 1 and 2, the registry at 3, the layout at 4 ---- */

static const shmx_layout *find(void *context, const char *name) {
  lua_State *L = context;
  lua_getfield(L, 3, name);
  const shmx_layout *layout = llayout_test(L, -1);
  lua_pop(L, 1);
  return layout;
}

static size_t check_list(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    lua_Integer at = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (at < 1 || at > count)
      luaL_argerror(L, 2, "a list of fields, as {\"u32 id\", \"f64 price[8]\"}, is expected");
  }
  return (size_t)count;
}

static void add_field(lua_State *L, shmx_layout *layout, lua_Integer at) {
  if (lua_rawgeti(L, 2, at) != LUA_TSTRING)
    luaL_argerror(L, 2,
                  lua_pushfstring(L, "field %I is a %s, not a string as \"u32 id\"",
                                  (LUAI_UACINT)at, luaL_typename(L, -1)));
  size_t length;
  const char *definition = lua_tolstring(L, -1, &length);
  if (strlen(definition) != length) luaL_argerror(L, 2, "a field with a NUL inside");
  if (shmx_layout_add(layout, definition, find, L) != 0)
    luaL_argerror(L, 2, lua_pushfstring(L, "field \"%s\" %s", definition, layout->fault));
  lua_pop(L, 1);
}

/* What Quote.size, Quote.offset ... are. */
static void push_properties(lua_State *L, const shmx_layout *layout) {
  lua_createtable(L, 0, 4);
  lua_pushinteger(L, (lua_Integer)layout->size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)layout->align);
  lua_setfield(L, -2, "align");
  lua_pushstring(L, layout->name);
  lua_setfield(L, -2, "name");
  lua_createtable(L, 0, (int)layout->field_count);
  for (size_t i = 0; i < layout->field_count; i++) {
    lua_pushinteger(L, (lua_Integer)layout->fields[i].offset);
    lua_setfield(L, -2, layout->fields[i].name);
  }
  lua_setfield(L, -2, "offset");
}

/* Pushes the names and the nested layouts; the fields are where they stay. */
static void push_fields(lua_State *L, shmx_layout *layout) {
  lua_createtable(L, 0, (int)layout->field_count);
  lua_newtable(L);
  for (size_t i = 0; i < layout->field_count; i++) {
    shmx_field *field = &layout->fields[i];
    lua_pushlightuserdata(L, field);
    lua_setfield(L, -3, field->name);
    if (field->kind != SHMX_FIELD_RECORD) continue;
    lua_getfield(L, 3, field->layout->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

int llayout_define(lua_State *L) {
  const char *name = larg_cstring(L, 1, "name");
  size_t count = check_list(L);
  lua_settop(L, 2);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, REGISTRY);
  size_t room = count < SHMX_FIELDS_MAX ? count : SHMX_FIELDS_MAX;
  size_t size = sizeof(struct llayout) + room * sizeof(shmx_field);
  struct llayout *self = lua_newuserdatauv(L, size, LLAYOUT_VALUES);
  shmx_layout *layout = &self->layout;
  self->tag = NULL;
  if (shmx_layout_start(layout, name, self->fields, room) != 0)
    luaL_argerror(L, 1, lua_pushfstring(L, "layout \"%s\" %s", name, layout->fault));
  for (size_t i = 1; i <= count; i++)
    add_field(L, layout, (lua_Integer)i);
  if (shmx_layout_finish(layout) != 0)
    luaL_argerror(L, 2, lua_pushfstring(L, "layout \"%s\" %s", name, layout->fault));
  push_fields(L, layout);
  lua_setiuservalue(L, 4, LLAYOUT_NESTED);
  lrecord_push_metatable(L, -1);
  lua_setiuservalue(L, 4, LLAYOUT_META);
  lua_setiuservalue(L, 4, LLAYOUT_NAMES);
  push_properties(L, layout);
  lua_setiuservalue(L, 4, LLAYOUT_PROPERTIES);
  luaL_setmetatable(L, TYPE_NAME);
  self->tag = &tag;
  lua_pushvalue(L, 4);
  lua_setfield(L, 3, name);
  return 1;
}

/* ---- methods and metamethods ---- */

static int layout_cdef(lua_State *L) {
  const shmx_layout *layout = check(L);
  size_t length;
  shmx_layout_cdef(layout, NULL, 0, &length);
  luaL_Buffer buffer;
  char *text = luaL_buffinitsize(L, &buffer, length + 1);
  shmx_layout_cdef(layout, text, length + 1, &length);
  luaL_pushresultsize(&buffer, length);
  return 1;
}

/* What there is of this layout, then methods (the table in upvalue 1). */
static int layout_index(lua_State *L) {
  check(L);
  lua_settop(L, 2);
  luser_push_table(L, 1, LLAYOUT_PROPERTIES);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  luser_get(L, 1);
  return 1;
}

static int layout_tostring(lua_State *L) {
  const shmx_layout *layout = check(L);
  lua_pushfstring(L, "layout %s (%I fields, %I bytes)", layout->name,
                  (LUAI_UACINT)layout->field_count, (LUAI_UACINT)layout->size);
  return 1;
}

static const luaL_Reg methods[] = {
    {"cdef", layout_cdef},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__tostring", layout_tostring},
    {NULL, NULL},
};

/* Records' methods are here, too, where no field can hide them: Quote.totable(q). */
void llayout_register(lua_State *L) {
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  luaL_setfuncs(L, lrecord_methods, 0);
  lua_pushcclosure(L, layout_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
