/*
 * directory_memory.h: what lies in the memory of an arena before its objects, for the files of the
 * directory: header.c, directory.c.
 */
#ifndef SHMX_MEM_DIRECTORY_MEMORY_H
#define SHMX_MEM_DIRECTORY_MEMORY_H

#include "mem/directory.h"
#include "os/process.h"
#include "sync/lock.h"

enum { HEADER = 256, WORD_BITS = 64 };

struct header {
  _Atomic uint64_t magic;
  _Atomic uint32_t version, ready; /* ready is stored last */
  _Atomic uint64_t size;
  _Atomic uint64_t processes, time; /* namespaces: shmx_process_namespaces */
  _Atomic uint64_t serial;          /* of the entry that was made last */
  _Atomic shmx_task creator;        /* of the arena: a process */
  unsigned char unused[8];
  struct shmx_lock lock;
};
_Static_assert(offsetof(struct header, lock) == 64, "the layout in memory");

enum { FREE = 0, LIVE = SHMX_LIVE, REMOVED = 2 };

struct entry {
  _Atomic uint32_t state; /* stored last */
  _Atomic uint32_t kind;
  _Atomic uint64_t layout, offset, size, count, serial;
  char name[SHMX_ARENA_NAME_MAX + 1];
  unsigned char unused[16];
};
_Static_assert(sizeof(struct entry) == 128, "the layout in memory");

struct member {
  _Atomic shmx_task process; /* 0: nobody's */
  _Atomic uint64_t bits[];   /* one for each entry, changed by the member only */
};

/* ---- where everything is ---- */

static inline uint64_t words(const shmx_arena *arena) {
  return (arena->entries + WORD_BITS - 1) / WORD_BITS;
}

static inline uint64_t member_size(const shmx_arena *arena) {
  return sizeof(struct member) + words(arena) * sizeof(uint64_t);
}

static inline unsigned char *memory_of(const shmx_arena *arena) {
  return arena->segment.object.data;
}

static inline struct header *header_of(const shmx_arena *arena) {
  return (struct header *)(void *)memory_of(arena);
}

static inline struct entry *entry_at(const shmx_arena *arena, uint32_t entry) {
  return (struct entry *)(void *)(memory_of(arena) + HEADER) + entry;
}

static inline struct member *member_at(const shmx_arena *arena, uint32_t member) {
  return (struct member *)(void *)(memory_of(arena) + HEADER +
                                   arena->entries * sizeof(struct entry) +
                                   member * member_size(arena));
}

#define load(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define store(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

#endif
