/*
 * kind.h: what a thing that lives in shared memory says of itself to whoever finds or makes the
 * memory for it: an arena, or a C host with memory of its own. Touches libc.
 */
#ifndef SHMX_BASE_KIND_H
#define SHMX_BASE_KIND_H

#include <stddef.h>
#include <stdint.h>

/* The kinds. Their numbers are in the memory of arenas: none ever changes. */
enum {
  SHMX_KIND_ARRAY = 1,
  SHMX_KIND_RECORD,
  SHMX_KIND_MUTEX,
  SHMX_KIND_RWLOCK,
  SHMX_KIND_SEMAPHORE,
  SHMX_KIND_CONDITION,
  SHMX_KIND_BARRIER,
  SHMX_KIND_CHANNEL,
  SHMX_KIND_TOPIC,
  SHMX_KIND_SERVICE,
  SHMX_KIND_DICT,
  SHMX_KINDS /* above all of them */
};

enum { SHMX_KIND_ALIGN = 64 }; /* bytes; the memory of any kind begins at a multiple of it */

/*
 * One thing that is to be found or made. Two processes mean the same thing if kind, layout and size
 * are equal. Made by shmx_mutex_kind, shmx_semaphore_kind, shmx_array_kind ...
 */
typedef struct shmx_kind {
  uint32_t id;     /* SHMX_KIND_MUTEX ... */
  uint64_t layout; /* a hash of all that must be equal: types, counts, the version of the layout */
  uint64_t size;   /* bytes of memory; zero bytes, all of them, are one that is new and unused */
  uint64_t count;  /* what there are many of: permits, parties, elements; else 1 */
} shmx_kind;

/*
 * 64-bit FNV-1a (Fowler, Noll, Vo: draft-eastlake-fnv) of some bytes, following what was hashed
 * before; SHMX_HASH_START where nothing was.
 */
#define SHMX_HASH_START UINT64_C(0xcbf29ce484222325)
static inline uint64_t shmx_hash(uint64_t hash, const void *data, size_t length) {
  const unsigned char *bytes = (const unsigned char *)data;
  for (size_t i = 0; i < length; i++)
    hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* The kind of so many things of so many bytes, behind a head. Sizes that overflow are the largest,
 * for which there is never room. */
static inline shmx_kind shmx_kind_of(uint32_t id, uint64_t head, uint64_t item, uint64_t count) {
  const uint64_t geometry[] = {id, head, item, count};
  shmx_kind kind = {id, shmx_hash(SHMX_HASH_START, geometry, sizeof geometry), 0, count};
  if (__builtin_mul_overflow(item, count, &kind.size) ||
      __builtin_add_overflow(kind.size, head, &kind.size))
    kind.size = UINT64_MAX;
  return kind;
}

#endif
