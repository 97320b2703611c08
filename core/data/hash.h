/*
 * hash.h: keys' hashes, with the short way of short keys in the caller's code. Touches xxhash,
 * base.
 */
#ifndef SHMX_DATA_HASH_H
#define SHMX_DATA_HASH_H

#include "data/cells.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint32_t shmx_hash_bucket(const shmx_dict *dict, const shmx_dict_key *key) {
  uint64_t hash = XXH3_64bits_withSeed(key->data, key->length, dict->seed + key->is_integer);
  return (uint32_t)hash & (dict->buckets - 1);
}

/* As shmx_bucket_of. */
static inline uint32_t shmx_short_bucket(const shmx_dict *dict, const shmx_dict_key *key) {
  return key->length <= 16 ? shmx_hash_bucket(dict, key) : shmx_bucket_of(dict, key);
}

#endif
