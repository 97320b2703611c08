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
  bool marked; /* CLOCK's mark */
};

static inline int shmx_place_load(const shmx_dict *dict, struct shmx_place *place, uint32_t cell) {
  place->entry.cell = 0;
  if (cell == 0) return 0;
  if (!shmx_is_cell(dict, cell) || place->hops++ == SHMX_HOPS) return -EBADMSG;
  shmx_entry_load(dict, cell, &place->entry);
  return 1;
}

/* The first entry of place->bucket, and the next: 1; 0: there is none; -EBADMSG. */
static inline int shmx_place_first(const shmx_dict *dict, struct shmx_place *place) {
  place->link = shmx_bucket_word(dict, place->bucket);
  place->shift = place->bucket % 2 * 32;
  place->hops = 0;
  return shmx_place_load(dict, place, shmx_bucket_first(dict, place->bucket));
}

static inline int shmx_place_next(const shmx_dict *dict, struct shmx_place *place) {
  place->link = &shmx_cell_at(dict, place->entry.cell)->words[1];
  place->shift = 0;
  return shmx_place_load(dict, place, shmx_entry_next(&place->entry));
}

/* Is this the entry of the key? */
static inline bool shmx_entry_is(const shmx_dict *dict, const struct shmx_entry *entry,
                                 const shmx_dict_key *key) {
  if (shmx_entry_key(entry) != key->length) return false;
  if (!(entry->words[0] & SHMX_INTEGER_KEY) != !key->is_integer) return false;
  struct shmx_cursor cursor = shmx_payload(entry->cell);
  return shmx_payload_is(dict, &cursor, key->data, key->length);
}

/* Finds the entry of a key in its bucket, or the place behind the last: 0; -EBADMSG. */
static inline int shmx_entry_find(const shmx_dict *dict, const shmx_dict_key *key,
                                  struct shmx_place *place) {
  int status = shmx_place_first(dict, place);
  while (status == 1 && !shmx_entry_is(dict, &place->entry, key))
    status = shmx_place_next(dict, place);
  return status < 0 ? status : 0;
}

/* ---- the short way to an entry whose key is in its first cell ---- */

enum { SHMX_SHORT_KEY = (SHMX_CELL_WORDS - SHMX_CELL_HEAD) * 8 /* bytes, at most */ };

/* Is it one that is short? What cannot be a key is not. Without a branch of its own for integers.
 */
static inline bool shmx_key_is_short(const shmx_dict_key *key) {
  bool wrong = key->is_integer & (key->length != 8);
  return __builtin_expect(!((key->length > SHMX_SHORT_KEY) | wrong), 1);
}

/* As shmx_payload_is, of a key that is short. Most have more than 8 bytes, and up to 16. */
static inline bool shmx_cell_has(const struct shmx_cell *cell, const shmx_dict_key *key) {
  const unsigned char *bytes = key->data;
  const _Atomic uint64_t *word = cell->words + SHMX_CELL_HEAD;
  uint32_t left = key->length;
  if (left == 16)
    return shmx_load(&word[0]) == shmx_whole_word(bytes) &&
           shmx_load(&word[1]) == shmx_whole_word(bytes + 8);
  for (; left >= 8; left -= 8, bytes += 8)
    if (shmx_load(word++) != shmx_whole_word(bytes)) return false;
  return left == 0 || shmx_load(word) == shmx_part_of_word(bytes, left);
}

/* The number of the first cell of a key that is short, which `found` receives; 0: there is none.
 * Where that is not to be seen, for what lies there is spoiled, or changes, it is the number of no
 * cell, and found is NULL. */
static inline uint32_t shmx_short_find(const shmx_dict *dict, const shmx_dict_key *key,
                                       uint32_t bucket, struct shmx_cell **found) {
  uint64_t type =
      (uint64_t)key->length << 1 | key->is_integer; /* as the bits from INTEGER_KEY on */
  uint32_t number = shmx_bucket_first(dict, bucket);
  for (int hops = 0; shmx_is_cell(dict, number); hops++) {
    struct shmx_cell *cell = shmx_cell_at(dict, number);
    if (shmx_load(&cell->words[0]) >> 47 == type && shmx_cell_has(cell, key))
      return *found = cell, number;
    if (hops == SHMX_HOPS) break;
    number = shmx_low(shmx_load(&cell->words[1]));
  }
  *found = NULL;
  return shmx_is_cell(dict, number) ? UINT32_MAX : number;
}

/* Where the value begins. */
static inline struct shmx_cursor shmx_entry_value(const shmx_dict *dict,
                                                  const struct shmx_entry *entry) {
  struct shmx_cursor cursor = shmx_payload(entry->cell);
  if (!shmx_payload_skip(dict, &cursor, shmx_words_of(shmx_entry_key(entry))))
    cursor = (struct shmx_cursor){0, SHMX_CELL_WORDS};
  return cursor;
}

/* Is the value this one? Flags do not count. */
static inline bool shmx_entry_has(const shmx_dict *dict, const struct shmx_entry *entry,
                                  const shmx_dict_item *item) {
  if (shmx_entry_tag(entry) != item->tag || shmx_entry_length(entry) != item->length) return false;
  struct shmx_cursor cursor = shmx_entry_value(dict, entry);
  return cursor.cell != 0 && shmx_payload_is(dict, &cursor, item->data, item->length);
}

/* A value or a list that has not expired? */
static inline bool shmx_entry_lives(const struct shmx_entry *entry) {
  return entry->cell != 0 && !shmx_has_expired(shmx_entry_expiry(entry));
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

/* Takes the entry of this place out; the place is that of the next then, as by shmx_place_next: so
 * where links lie, too, nobody goes farther than SHMX_HOPS in all. */
static inline int shmx_place_remove(struct shmx_hold *hold, struct shmx_place *place) {
  uint32_t next = shmx_entry_next(&place->entry);
  shmx_entry_put(hold, place, NULL);
  return shmx_place_load(hold->dict, place, next);
}

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
