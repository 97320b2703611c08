/*
 * room.h: changes of a dict's entries as attempts, and room for what they store: from the pool, by
 * eviction, or from other shards. Touches sync, os, base.
 */
#ifndef SHMX_DATA_ROOM_H
#define SHMX_DATA_ROOM_H

#include "data/entry.h"

/* A change of the entry of a key. What an operation needs beside it, follows it in a struct. */
struct shmx_attempt {
  const shmx_dict_key *key;
  uint32_t mode;
  uint64_t need;           /* cells */
  uint64_t steps;          /* as a hold's, in all shards */
  bool *forcible;          /* or NULL */
  bool keeps_old;          /* the entry stays also if it has expired */
  struct shmx_place place; /* where the key is, or would be */
};

/*
 * Does it, in the shard of the key, having found the place. -ENOBUFS and -ERESTART (from
 * shmx_attempt_put): leave, make room, begin anew. -EALREADY: there is room now, but the place may
 * be another: find it anew.
 */
typedef int shmx_attempt_function(struct shmx_hold *hold, struct shmx_attempt *attempt);

/* Makes an attempt as often as it takes. -EINVAL for a key that cannot be. */
int shmx_attempt_make(shmx_dict *dict, struct shmx_attempt *attempt,
                      shmx_attempt_function *function);

/* The same of an attempt whose place.bucket is known, and with it the shard, which is held: it is
 * left. */
int shmx_attempt_go_on(struct shmx_hold *hold, struct shmx_attempt *attempt,
                       shmx_attempt_function *function);

/* Begins to bring in, without waiting for it, what a change in this bucket comes to first. */
static inline void shmx_prefetch(const shmx_dict *dict, uint32_t bucket) {
  __builtin_prefetch(shmx_shard_at(dict, bucket >> dict->shard_shift), 1);
  uint32_t first = shmx_bucket_first(dict, bucket);
  if (shmx_is_cell(dict, first)) __builtin_prefetch(shmx_cell_at(dict, first), 1);
}

/* Does what is put in this place begin with CLOCK's mark? */
bool shmx_attempt_marks(const struct shmx_hold *hold, const struct shmx_place *place);

/* Puts what is new in the attempt's place. */
int shmx_attempt_put(struct shmx_hold *hold, struct shmx_attempt *attempt,
                     const struct shmx_new *new);

/* When what is stored now expires. */
int64_t shmx_expiry_of(int64_t ttl);

/* Gives the attempt's entry, or a new one, this value. */
int shmx_attempt_store(struct shmx_hold *hold, struct shmx_attempt *attempt,
                       const struct shmx_new *new);

/* Can there be such a value? 0; -EINVAL, -EMSGSIZE. */
int shmx_item_check(const shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item);

/* Cells for it in the shard. 0; -EALREADY, -ENOBUFS, -ERESTART ... */
int shmx_attempt_reserve(struct shmx_hold *hold, struct shmx_attempt *attempt, uint64_t cells);

/* ---- eviction: evict.c ---- */

/* Removes what has expired in a bucket, at most so many. How many it was; or -EBADMSG. */
int64_t shmx_evict_bucket(struct shmx_hold *hold, uint32_t bucket, int64_t now, uint64_t most);

/* Removes what has expired in so many buckets at most, until `count` cells are free. How many
 * entries it was; or -EBADMSG. */
int64_t shmx_evict_expired(struct shmx_hold *hold, uint64_t count, uint32_t buckets);

/* Removes entries of the shard until `count` cells are free, or nothing is left that may go: never
 * hold->spare. 0 or -EBADMSG. */
int shmx_evict(struct shmx_hold *hold, uint64_t count, bool safe, bool *forcible);

static inline uint64_t shmx_free_cells(const struct shmx_hold *hold) {
  return shmx_high(shmx_load(&hold->shard->free));
}

#endif
