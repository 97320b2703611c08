/* lview.h: the userdata that Lua has for a view. Touches core. */
#ifndef SHMX_LUA_LVIEW_H
#define SHMX_LUA_LVIEW_H

#include "shmx.h"

#include <lua.h>

/* Makes the metatable "shm.view". Pushes nothing. */
void lview_register(lua_State *L);

/* Pushes a view of `count` elements at `offset` of the segment at `index`; raises if they leave it.
 */
void lview_push(lua_State *L, int index, shmx_type type, uint64_t offset, uint64_t count);

/* A view as the methods in other files see it. */
struct lview {
  const void *tag; /* ours */
  shmx_view view;
  shmx_type type;
};

/* The receiver of a method; raises where it is no view. */
struct lview *lview_check(lua_State *L);

/* Raises why the view's memory may not be touched now: detached, too short. Does not return. */
void lview_raise(lua_State *L, const struct lview *self, int status);

/* The memory of an element by its index at `argument`, for reading or for writing; or raises. */
unsigned char *lview_element(lua_State *L, const struct lview *self, int argument, bool writing);

/* seg:view(type [, offset [, count]]) */
int lview_of_segment(lua_State *L);

#endif
