/*
 * tables.c: tables of keys and values side by side, as Lua objects for dict.lua: the least that a
 * shared table can be, and the core's dict in C. Touches core, xxhash, libc and Lua.
 */
#include "data/dict.h"
#include "sync/spin.h"
#include "table.h"

#include <stdatomic.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- the limit: a seqlock in each entry ---- */

/*
 * Open addressing, half full, two entries a cache line. A get takes no lock; a set takes that of
 * the entry. Nothing expires or is evicted or deleted, nothing but keys of 16 bytes and values of
 * 8 has room, whoever is killed leaves his entry locked, and what is in the memory is believed.
 */
struct entry {
  _Atomic uint32_t sequence; /* odd: locked */
  _Atomic uint32_t length;   /* of the key; 0: free */
  uint64_t key[KEY / 8];
  _Atomic uint64_t value;
};

enum { TAKEN = 1 /* the length while a new key is written */ };

struct bare {
  struct table base;
  struct entry *entries;
  uint64_t mask;
};

static inline struct entry *bare_find(const struct bare *self, const char *key, size_t length) {
  uint64_t words[KEY / 8], at = XXH3_64bits_withSeed(key, length, 0x5eed);
  believe(length == KEY);
  memcpy(words, key, KEY);
  for (;; at++) {
    struct entry *entry = &self->entries[at & self->mask];
    uint32_t found = atomic_load_explicit(&entry->length, memory_order_acquire);
    if (found == KEY && entry->key[0] == words[0] && entry->key[1] == words[1]) return entry;
    if (found == KEY) continue;
    if (found == 0 && atomic_compare_exchange_strong(&entry->length, &found, TAKEN)) {
      memcpy(entry->key, words, KEY);
      atomic_store_explicit(&entry->length, KEY, memory_order_release);
      return entry;
    }
    at--;
  }
}

static inline void bare_get(struct bare *self, const char *key, char *value) {
  const struct entry *entry = bare_find(self, key, self->base.key_length);
  for (;;) {
    uint32_t before = atomic_load_explicit(&entry->sequence, memory_order_acquire);
    uint64_t word = atomic_load_explicit(&entry->value, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    uint32_t after = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
    memcpy(value, &word, sizeof word);
    if (before == after && !(before & 1)) return;
    shmx_spin_pause();
  }
}

static inline void bare_set(struct bare *self, const char *key, const char *value) {
  struct entry *entry = bare_find(self, key, self->base.key_length);
  uint32_t sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
  uint64_t word;
  memcpy(&word, value, sizeof word);
  while (sequence & 1 ||
         !atomic_compare_exchange_weak_explicit(&entry->sequence, &sequence, sequence + 1,
                                                memory_order_acquire, memory_order_relaxed)) {
    shmx_spin_pause();
    sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
  }
  atomic_store_explicit(&entry->value, word, memory_order_relaxed);
  atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
}

TABLE_LOOPS(bare, struct bare)

/* ---- the same behind calls from Lua ---- */

static const luaL_Reg bare_methods[];

static inline struct bare *check_bare(lua_State *L) {
  struct bare *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->base.tag == bare_methods;
  if (!ours) luaL_typeerror(L, 1, "bare table");
  return self;
}

/* t:get(key) */
static int called_get(lua_State *L) {
  struct bare *self = check_bare(L);
  size_t length;
  const char *key = luaL_checklstring(L, 2, &length);
  luaL_argcheck(L, length == KEY, 2, "16 bytes");
  char value[VALUE];
  bare_get(self, key, value);
  lua_pushlstring(L, value, self->base.value_length);
  return 1;
}

/* t:set(key, value) */
static int called_set(lua_State *L) {
  struct bare *self = check_bare(L);
  size_t length, value_length;
  const char *key = luaL_checklstring(L, 2, &length);
  const char *value = luaL_checklstring(L, 3, &value_length);
  luaL_argcheck(L, length == KEY, 2, "16 bytes");
  luaL_argcheck(L, value_length == VALUE, 3, "8 bytes");
  bare_set(self, key, value);
  return 0;
}

static const luaL_Reg bare_methods[] = {{"gets", bare_gets},
                                        {"sets", bare_sets},
                                        {"get", called_get},
                                        {"set", called_set},
                                        {NULL, NULL}};

/* bare(count) */
static int new_bare(lua_State *L) {
  struct bare *self = push_table(L, sizeof *self, bare_methods);
  uint64_t capacity = 1;
  while (capacity < 2 * self->base.count)
    capacity *= 2;
  self->mask = capacity - 1;
  self->entries = new_memory(L, capacity * sizeof *self->entries);
  return 1;
}

/* ---- the core's dict, in C ---- */

struct dict {
  struct table base;
  shmx_dict dict;
};

static inline void dict_get(struct dict *self, const char *data, char *value) {
  shmx_dict_key key = {data, (uint32_t)self->base.key_length, false};
  shmx_dict_item item;
  believe(shmx_dict_get(&self->dict, &key, value, VALUE, &item) == 0);
}

static inline void dict_set(struct dict *self, const char *data, const char *value) {
  shmx_dict_key key = {data, (uint32_t)self->base.key_length, false};
  shmx_dict_item item = {.data = value, .length = (uint32_t)self->base.value_length};
  believe(shmx_dict_set(&self->dict, &key, &item, 0, SHMX_DICT_SET, NULL) == 0);
}

TABLE_LOOPS(dict, struct dict)

static const luaL_Reg dict_methods[] = {{"gets", dict_gets}, {"sets", dict_sets}, {NULL, NULL}};

/* dict(count, size) */
static int new_dict(lua_State *L) {
  uint64_t size = (uint64_t)luaL_checkinteger(L, 2);
  struct dict *self = push_table(L, sizeof *self, dict_methods);
  shmx_dict_open(&self->dict, new_memory(L, shmx_dict_kind(size).size), size);
  return 1;
}

/* ---- the keys ---- */

/* keys(count) --> their list, and that of values */
static int list_keys(lua_State *L) {
  struct table *self = push_table(L, sizeof *self, dict_methods);
  lua_createtable(L, (int)self->count, 0);
  for (size_t i = 0; i < self->count; i++) {
    lua_pushlstring(L, self->keys[i], KEY);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_createtable(L, VALUES, 0);
  for (int i = 0; i < VALUES; i++) {
    lua_pushlstring(L, self->values[i], VALUE);
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

static const luaL_Reg functions[] = {
    {"bare", new_bare}, {"dict", new_dict}, {"keys", list_keys}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_tables(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
