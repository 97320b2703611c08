/*
 * llayout.h: the userdata that Lua has for a layout, and values of Lua as the bytes of a record and
 * back. Touches core.
 */
#ifndef SHMX_LUA_LLAYOUT_H
#define SHMX_LUA_LLAYOUT_H

#include "shmx.h"

#include <lua.h>

/* User values of a layout. */
enum {
  LLAYOUT_NAMES = 1,  /* a table: name of a field -> its shmx_field, light */
  LLAYOUT_NESTED,     /* a table: index of a field, from 1 -> the layout that is its type */
  LLAYOUT_META,       /* the metatable of its records: lrecord.c */
  LLAYOUT_PROPERTIES, /* a table: what Quote.size etc. are */
  LLAYOUT_VALUES = LLAYOUT_PROPERTIES
};

/* Makes the metatable "shm.layout". Pushes nothing. */
void llayout_register(lua_State *L);

/* shm.record(name, fields) */
int llayout_define(lua_State *L);

/* The layout at `index`, or NULL where there is none. */
const shmx_layout *llayout_test(lua_State *L, int index);

/* Pushes the layout that is the type of a field of the one at `index`. Allocates nothing. */
void llayout_push_nested(lua_State *L, int index, const shmx_field *field);

/* Where a value belongs, for messages: a field's name, or (name NULL) an index, in what is above.
 */
struct llayout_path {
  const struct llayout_path *up;
  const char *name;
  lua_Integer index;
};

/* Raises that a layout has no field as the key at `index`. Does not return. */
int llayout_raise_unknown(lua_State *L, const shmx_layout *layout, const struct llayout_path *path,
                          int index);

/*
 * The value at the top is to be a record's, or a field's; its layout is at `index`, counted from
 * the bottom. Check raises a sentence if the value does not fit. After it, store stores, and calls
 * nothing that allocates, collects garbage or raises. No metamethod of the value runs.
 */
void llayout_check_record(lua_State *L, int index, const struct llayout_path *path);
void llayout_store_record(lua_State *L, int index, unsigned char *data);
void llayout_check_field(lua_State *L, int index, const shmx_field *field,
                         const struct llayout_path *path);
void llayout_store_field(lua_State *L, int index, const shmx_field *field, unsigned char *data);

/* Pushes a table of a record; its bytes are private. */
void llayout_push_record(lua_State *L, const shmx_layout *layout, const unsigned char *data);

/* Pushes text that ends at a NUL or fills its room; its bytes may be shared. */
void llayout_push_text(lua_State *L, const unsigned char *data, size_t room);

#endif
