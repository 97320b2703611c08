/*
 * table.h: what finds values by keys, as a Lua object: table:gets(first, n) and table:sets(first,
 * n), whose loops are in C. A contestant is a struct that begins with a table, and two functions.
 * Keys have 16 bytes and lie in random order, so that who takes them in turn jumps in the table;
 * values have 8. They end the process where they fail. Touches libc and Lua.
 */
#ifndef SCRIPTS_BENCH_TABLE_H
#define SCRIPTS_BENCH_TABLE_H

#include "methods.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { KEY = 16, VALUE = 8, VALUES = 256 };

struct table {
  const void *tag; /* of whose methods it has */
  const char (*keys)[KEY];
  size_t count;
  size_t key_length, value_length; /* not known to the compiler, as to nobody who has tables */
  char values[VALUES][VALUE];
};

static inline void believe(bool right) {
  if (!right) abort();
}

/* Memory that forked children share; it stays until the process ends. */
static inline void *new_memory(lua_State *L, size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) luaL_error(L, "mmap: %s", strerror(errno));
  return memory;
}

/* The same for each count: "key:000000000017" and its like, shuffled. */
static inline void make_keys(lua_State *L, struct table *self, size_t count) {
  char(*keys)[KEY] = new_memory(L, count * KEY);
  uint64_t random = 1;
  for (size_t i = 0; i < count; i++) {
    char key[KEY + 8];
    snprintf(key, sizeof key, "key:%012u", (unsigned)i);
    random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
    size_t place = (size_t)((random >> 33) % (i + 1));
    memcpy(keys[i], keys[place], KEY);
    memcpy(keys[place], key, KEY);
  }
  self->keys = (const char(*)[KEY])keys;
  self->count = count;
}

/* Defines the methods `name`_gets and `name`_sets from name_get(self, key, value) and
 * name_set(self, key, value), which work on a `type`. */
#define TABLE_LOOPS(name, type)                                                                    \
  static int name##_gets(lua_State *L) {                                                           \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    size_t at = (size_t)lua_tointeger(L, 2);                                                       \
    char value[VALUE];                                                                             \
    for (lua_Integer n = lua_tointeger(L, 3); n > 0; n--) {                                        \
      if (at >= self->base.count) at = 0;                                                          \
      name##_get(self, self->base.keys[at++], value);                                              \
      __asm__ volatile("" : : "r"(value) : "memory");                                              \
    }                                                                                              \
    return 0;                                                                                      \
  }                                                                                                \
  static int name##_sets(lua_State *L) {                                                           \
    type *self = (type *)lua_touserdata(L, 1);                                                     \
    size_t at = (size_t)lua_tointeger(L, 2);                                                       \
    for (lua_Integer n = lua_tointeger(L, 3); n > 0; n--) {                                        \
      if (at >= self->base.count) at = 0;                                                          \
      name##_set(self, self->base.keys[at], self->base.values[n % VALUES]);                        \
      at++;                                                                                        \
    }                                                                                              \
    return 0;                                                                                      \
  }

/* Pushes a contestant of `size` bytes; argument 1 is how many keys it is to have. */
static inline void *push_table(lua_State *L, size_t size, const luaL_Reg *methods) {
  lua_Integer count = luaL_checkinteger(L, 1);
  struct table *self = (struct table *)lua_newuserdatauv(L, size, 0);
  memset(self, 0, size);
  self->tag = methods;
  self->key_length = KEY;
  self->value_length = VALUE;
  for (int i = 0; i < VALUES; i++) {
    char value[VALUE + 8];
    snprintf(value, sizeof value, "value%03d", i);
    memcpy(self->values[i], value, VALUE);
  }
  make_keys(L, self, (size_t)count);
  set_methods(L, methods);
  return self;
}

#endif
