/*
 * carrier.h: what carries messages between two processes, as a Lua object: carrier:sends(n) and
 * carrier:receives(n) in one process each, or carrier:pings(n) and carrier:pongs(n). The loops are
 * in C. A contestant is a struct that begins with a carrier, and two functions, which move its
 * message one of two ways. They end the process where they fail. Touches Lua.
 */
#ifndef SCRIPTS_BENCH_CARRIER_H
#define SCRIPTS_BENCH_CARRIER_H

#include "methods.h"

enum { THERE, BACK, WAYS };

struct carrier {
  size_t length; /* bytes of a message; not known to the compiler, as to nobody who carries any */
  char *message;
};

/* Defines the methods `name`_methods from name_send and name_receive, which work on a `type`. */
#define CARRIER_METHODS(name, type)                                                                \
  static int name##_sends(lua_State *L) {                                                          \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--)                                          \
      name##_send(self, THERE);                                                                    \
    return 0;                                                                                      \
  }                                                                                                \
  static int name##_receives(lua_State *L) {                                                       \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--)                                          \
      name##_receive(self, THERE);                                                                 \
    return 0;                                                                                      \
  }                                                                                                \
  static int name##_pings(lua_State *L) {                                                          \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--) {                                        \
      name##_send(self, THERE);                                                                    \
      name##_receive(self, BACK);                                                                  \
    }                                                                                              \
    return 0;                                                                                      \
  }                                                                                                \
  static int name##_pongs(lua_State *L) {                                                          \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--) {                                        \
      name##_receive(self, THERE);                                                                 \
      name##_send(self, BACK);                                                                     \
    }                                                                                              \
    return 0;                                                                                      \
  }                                                                                                \
  static const luaL_Reg name##_methods[] = {{"sends", name##_sends},                               \
                                            {"receives", name##_receives},                         \
                                            {"pings", name##_pings},                               \
                                            {"pongs", name##_pongs},                               \
                                            {NULL, NULL}};

/* Pushes a contestant of `size` bytes; argument 1 is the length of its messages. */
static inline void *push_carrier(lua_State *L, size_t size, const luaL_Reg *methods) {
  size_t length = (size_t)luaL_checkinteger(L, 1);
  struct carrier *self = (struct carrier *)lua_newuserdatauv(L, size, 2);
  self->length = length;
  self->message = (char *)lua_newuserdatauv(L, length, 0);
  for (size_t i = 0; i < length; i++)
    self->message[i] = 'x';
  lua_setiuservalue(L, -2, 1);
  set_methods(L, methods);
  return self;
}

/* The contestant on top leaves something behind, which `end` takes away: by who made it, for a
 * forked child ends without it. */
static inline int when_collected(lua_State *L, lua_CFunction end) {
  lua_getmetatable(L, -1);
  lua_pushcfunction(L, end);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  return 1;
}

#endif
