/*
 * circle.h: what carries messages from one process to a crowd of others, as a Lua object:
 * circle:publishes(n) in the one, circle:watches(n) in each of the others, which never return. The
 * loops are in C. A contestant is a struct that begins with a circle, and three functions:
 * name_publish, name_subscribe, which gets the number of the subscriber, and name_receive. They end
 * the process where they fail. Touches libc and Lua.
 */
#ifndef SCRIPTS_BENCH_CIRCLE_H
#define SCRIPTS_BENCH_CIRCLE_H

#include "methods.h"
#include "processes.h"

struct circle {
  size_t length; /* bytes of a message; not known to the compiler */
  char *message;
  int crowd;
  _Atomic int *subscribed; /* so many have: all of a crowd have different numbers */
};

/* Defines the methods `name`_methods of a `type`. */
#define CIRCLE_METHODS(name, type)                                                                 \
  static int name##_publishes(lua_State *L) {                                                      \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--)                                          \
      name##_publish(self);                                                                        \
    return 0;                                                                                      \
  }                                                                                                \
  static int name##_watches(lua_State *L) {                                                        \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    name##_subscribe(self, atomic_fetch_add(self->base.subscribed, 1) % self->base.crowd);         \
    for (;;)                                                                                       \
      name##_receive(self);                                                                        \
    return 0;                                                                                      \
  }                                                                                                \
  static const luaL_Reg name##_methods[] = {                                                       \
      {"publishes", name##_publishes}, {"watches", name##_watches}, {NULL, NULL}};

/* Pushes a contestant of `size` bytes; arguments: the length of messages, how many subscribe. */
static inline void *push_circle(lua_State *L, size_t size, const luaL_Reg *methods) {
  size_t length = (size_t)luaL_checkinteger(L, 1);
  int crowd = (int)luaL_checkinteger(L, 2);
  struct circle *self = (struct circle *)lua_newuserdatauv(L, size, 1);
  self->length = length;
  self->crowd = crowd;
  self->subscribed = new_shared(L, sizeof *self->subscribed);
  self->message = (char *)lua_newuserdatauv(L, length, 0);
  memset(self->message, 'x', length);
  lua_setiuservalue(L, -2, 1);
  set_methods(L, methods);
  return self;
}

#endif
