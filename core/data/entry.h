/*
 * entry.h: entries of a shard that is ours: found, built, put in the place of others, taken out,
 * freed. Each of these is one change, by the log. Touches sync, os, base.
 */
#ifndef SHMX_DATA_ENTRY_H
#define SHMX_DATA_ENTRY_H

#include "data/shard.h"

/* Where an entry is, or would be. */
struct shmx_place {
  uint32_t bucket;
  struct shmx_entry entry; /* its cell is 0 where there is none */
  _Atomic uint64_t *link;  /* half of it names the entry: the bucket's, or the one's before */
  uint32_t shift;          /* which half */
  uint32_t hops;
};

/* What is to be stored. */
struct shmx_new {
  const shmx_dict_key *key;
  const void *data;
  uint32_t length, tag, flags, kind;
  int64_t expiry;
};

/* The first entry of place->bucket, and the next: 1; 0: there is none; -EBADMSG. */
int shmx_place_first(const shmx_dict *dict, struct shmx_place *place);
int shmx_place_next(const shmx_dict *dict, struct shmx_place *place);

/* Is this the entry of the key? */
bool shmx_entry_is(const shmx_dict *dict, const struct shmx_entry *entry, const shmx_dict_key *key);

/* Finds the entry of a key in its bucket, or the place behind the last: 0; -EBADMSG. */
int shmx_entry_find(const shmx_dict *dict, const shmx_dict_key *key, struct shmx_place *place);

/* Where the value begins. */
struct shmx_cursor shmx_entry_value(const shmx_dict *dict, const struct shmx_entry *entry);

/* A live value or list: neither pending nor expired? */
static inline bool shmx_entry_lives(const struct shmx_entry *entry) {
  return entry->cell != 0 && shmx_entry_kind(entry) != SHMX_PENDING &&
         !shmx_has_expired(shmx_entry_expiry(entry));
}

/* An entry that was built of the first free cells, which nobody sees yet. */
struct shmx_built {
  uint32_t first, last; /* cells */
  uint32_t rest;        /* the first cell that is still free */
  uint64_t cells, payload;
};

/* Builds an entry in the shard's free cells from `first` on: there are enough. -EBADMSG. */
int shmx_entry_build(struct shmx_hold *hold, uint32_t first, const struct shmx_new *new,
                     uint32_t next, struct shmx_built *built);

/* Puts what was built, or nothing (NULL), in the place of what is there, or nothing. */
void shmx_entry_put(struct shmx_hold *hold, const struct shmx_place *place,
                    const struct shmx_built *built);

/*
 * Gives the entry of this place the value that is new, without cells: where its length is the same
 * and few words differ. False where that cannot be.
 */
bool shmx_entry_rewrite(struct shmx_hold *hold, const struct shmx_place *place,
                        const struct shmx_new *new);

/* ---- lists: their value is {first:32 last:32} and a count; elements are entries without keys ----
 */

struct shmx_ends {
  _Atomic uint64_t *ends, *count; /* NULL: the memory is spoiled */
};

struct shmx_ends shmx_list_ends(const shmx_dict *dict, const struct shmx_entry *list);

/* The chain of an entry goes before the shard's free cells; changes for shmx_shard_commit: four,
 * with the counts. */
void shmx_entry_free(struct shmx_hold *hold, const struct shmx_entry *entry);

/* What was built is no longer free; changes for shmx_shard_commit: three, with the counts. */
void shmx_entry_taken(struct shmx_hold *hold, const struct shmx_built *built);

/* Frees up to so many elements of lists that were removed. How many it was. */
uint32_t shmx_entry_reap(struct shmx_hold *hold, uint32_t most);

#endif
