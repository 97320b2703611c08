/*
 * lwindow.h: memory that is ours for a while, as what views are of: a reservation in a ring, or a
 * message that is peeked at. Touches core.
 */
#ifndef SHMX_LUA_LWINDOW_H
#define SHMX_LUA_LWINDOW_H

#include "lua/lobject.h"

/* Makes the metatable "shm.window". Pushes nothing. */
void lwindow_register(lua_State *L);

/* Pushes a window onto nothing, of the object at 1. */
void lwindow_push(lua_State *L);

struct lwindow;

/* The window at `index` opens onto memory of the object; or closes: views of it raise. NULL is
 * allowed. */
struct lwindow *lwindow_open(lua_State *L, int index, const struct lobject *object, void *data,
                             uint64_t length);
void lwindow_close(struct lwindow *self);

/* Is this a window's memory, and closed, while the object that it was of is still open? */
bool lwindow_is_closed(const shmx_segment *memory);

/* The memory of the window at `index`, or NULL where there is none. */
shmx_segment *lwindow_test(lua_State *L, int index);

#endif
