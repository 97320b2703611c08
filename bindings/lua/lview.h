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

/* As above, but returns 0 or a negative errno; then nothing is pushed. */
int lview_open(lua_State *L, int index, shmx_type type, uint64_t offset, uint64_t count);

/* A view as the methods in other files see it. */
struct lview {
  const void *tag; /* ours */
  shmx_view view;
  shmx_type type;
};

extern const char lview_tag;

/* Raise what is wrong: with the receiver; with an index; with the memory. They do not return. */
void lview_raise_receiver(lua_State *L);
void lview_raise_index(lua_State *L, const struct lview *self, int argument);
void lview_raise(lua_State *L, const shmx_view *view, int status);

/* ---- inline, because this is what each access does ---- */

/* The view at `index`, or NULL where there is none. */
static inline struct lview *lview_test(lua_State *L, int index) {
  struct lview *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == sizeof *self && self->tag == &lview_tag;
  return ours ? self : NULL;
}

/* The receiver of a method; raises where it is no view. */
static inline struct lview *lview_check(lua_State *L) {
  struct lview *self = lview_test(L, 1);
  if (self == NULL) lview_raise_receiver(L);
  return self;
}

/* The view's memory, for reading or for writing; raises if it may not be touched. */
static inline unsigned char *lview_data(lua_State *L, const shmx_view *view, bool writing) {
  int status = shmx_view_check(view);
  if (status == 0 && writing && view->segment->object.readonly) status = -EROFS;
  if (status != 0) lview_raise(L, view, status);
  return shmx_view_data(view);
}

/* The memory of an element by its index at `argument`; or raises. */
static inline unsigned char *lview_element(lua_State *L, const struct lview *self, int argument,
                                           bool writing) {
  int whole;
  uint64_t at = (uint64_t)lua_tointegerx(L, argument, &whole) - 1;
  if (!whole || at >= self->view.count) lview_raise_index(L, self, argument);
  return lview_data(L, &self->view, writing) + at * shmx_type_size(self->type);
}

/* After an access: raises if it was not to shared memory any more. */
static inline void lview_check_lost(lua_State *L, const struct lview *self) {
  if (shmx_segment_lost(self->view.segment)) lview_raise(L, &self->view, -EFAULT);
}

/* What pairs returns for the value at 1, whose elements are at 1, 2, ... up to the first nil. */
int lview_push_pairs(lua_State *L);

/* seg:view(type [, offset [, count]]) */
int lview_of_segment(lua_State *L);

#endif
