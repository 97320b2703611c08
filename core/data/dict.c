/* dict.c: handles; values: got, stored, deleted, given time. Touches sync, os, base. */
#include "data/dict.h"
#include "data/hash.h"
#include "data/read.h"
#include "data/room.h"
#include "os/random.h"

/* ---- handles ---- */

shmx_kind shmx_dict_kind(uint64_t size) {
  shmx_dict dict = {0};
  shmx_dict_divide(&dict, size);
  return shmx_kind_of(SHMX_KIND_DICT, 0, 1, dict.size);
}

/* The first who comes makes the seed: others find it, or have made it at the same time. */
void shmx_dict_open(shmx_dict *dict, void *memory, uint64_t size) {
  *dict = (shmx_dict){.memory = memory};
  shmx_dict_divide(dict, size);
  uint64_t seed = 0, made = shmx_random();
  bool first = atomic_compare_exchange_strong_explicit(&dict->memory->seed, &seed, made,
                                                       memory_order_relaxed, memory_order_relaxed);
  dict->seed = first ? made : seed;
}

void shmx_dict_look(shmx_dict *dict, void *memory, uint64_t size) {
  *dict = (shmx_dict){.memory = memory};
  shmx_dict_divide(dict, size);
}

void shmx_dict_close(shmx_dict *dict) {
  if (dict->memory != NULL) shmx_dict_add_reads(dict);
  *dict = (shmx_dict){0};
}

uint64_t shmx_dict_capacity(const shmx_dict *dict) {
  return dict->size;
}

/* ---- storing ---- */

struct storing {
  struct shmx_attempt attempt;
  struct shmx_new new;
  int64_t ttl;
  const shmx_dict_item *expected; /* of cas */
  bool deletes;
};

static int store(struct shmx_hold *hold, struct storing *storing, bool lives) {
  if (storing->ttl == SHMX_DICT_KEEP)
    storing->new.expiry = lives ? shmx_entry_expiry(&storing->attempt.place.entry) : 0;
  return shmx_attempt_store(hold, &storing->attempt, &storing->new);
}

static int try_set(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct storing *storing = (struct storing *)attempt;
  uint32_t mode = attempt->mode;
  bool asks = mode & (SHMX_DICT_ADD | SHMX_DICT_REPLACE) || storing->ttl == SHMX_DICT_KEEP;
  bool lives = asks && shmx_entry_lives(&attempt->place.entry);
  if (mode & SHMX_DICT_ADD && lives) return -EEXIST;
  if (mode & SHMX_DICT_REPLACE && !lives) return -ENOENT;
  return store(hold, storing, lives);
}

static int prepare(const shmx_dict *dict, struct storing *storing, const shmx_dict_item *item,
                   int64_t ttl) {
  if (ttl < 0 && ttl != SHMX_DICT_KEEP) return -EINVAL;
  storing->ttl = ttl;
  storing->new = (struct shmx_new){.key = storing->attempt.key,
                                   .data = item->data,
                                   .length = item->length,
                                   .tag = item->tag,
                                   .flags = item->flags,
                                   .expiry = ttl > 0 ? shmx_expiry_of(ttl) : 0};
  return shmx_item_check(dict, storing->attempt.key, item);
}

static int set(shmx_dict *dict, struct shmx_hold *hold, uint32_t bucket, const shmx_dict_key *key,
               const shmx_dict_item *item, int64_t ttl, uint32_t mode, bool *forcible) {
  struct storing storing = {
      .attempt = {.key = key, .mode = mode, .forcible = forcible, .place = {.bucket = bucket}}};
  int status = prepare(dict, &storing, item, ttl);
  if (hold != NULL) return shmx_attempt_go_on(hold, &storing.attempt, try_set);
  return status != 0 ? status : shmx_attempt_make(dict, &storing.attempt, try_set);
}

/* Is there a value that differs in one word at most, and never expires? Then it is the new one, by
 * one store, as in shmx_entry_rewrite. */
static inline bool rewrite_word(struct shmx_hold *hold, uint32_t bucket, const shmx_dict_key *key,
                                const shmx_dict_item *item, uint64_t word) {
  struct shmx_cell *cell;
  uint32_t number = shmx_short_find(hold->dict, key, bucket, &cell);
  if (cell == NULL) return false;
  _Atomic uint64_t *words = cell->words;
  uint64_t at = SHMX_CELL_HEAD + shmx_words_of(key->length), head = shmx_load(&words[0]);
  if (at == SHMX_CELL_WORDS || ((head >> 40) & 0x7f) != item->tag || shmx_load(&words[2]) != 0 ||
      shmx_load(&words[3]) != shmx_pair(item->length, item->flags))
    return false;
  if (!(head & SHMX_REFERENCED)) shmx_mark(hold->dict, number);
  atomic_store_explicit(&words[at], word, memory_order_release);
  return true;
}

/* A key and a value that are short are looked for without more ado. */
int shmx_dict_set(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item,
                  int64_t ttl, uint32_t mode, bool *forcible) {
  bool is_short = shmx_key_is_short(key) && item->length - 1 < 8 && item->tag <= 127;
  if (!is_short || ttl != 0 || (mode & ~(uint32_t)SHMX_DICT_SAFE) != SHMX_DICT_SET)
    return set(dict, NULL, 0, key, item, ttl, mode, forcible);
  struct shmx_hold hold;
  uint64_t word =
      item->length == 8 ? shmx_whole_word(item->data) : shmx_part_of_word(item->data, item->length);
  uint32_t bucket = shmx_short_bucket(dict, key);
  shmx_prefetch(dict, bucket);
  if (forcible != NULL) *forcible = false;
  dict->patience = 0;
  int status = shmx_shard_enter(&hold, dict, bucket >> dict->shard_shift);
  if (status != 0) return status;
  if (!rewrite_word(&hold, bucket, key, item, word))
    return set(dict, &hold, bucket, key, item, ttl, mode, forcible);
  shmx_shard_leave(&hold);
  return 0;
}

/* ---- comparing and storing ---- */

static int try_cas(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct storing *storing = (struct storing *)attempt;
  const struct shmx_entry *entry = &attempt->place.entry;
  bool lives = shmx_entry_lives(entry);
  if (lives && shmx_entry_kind(entry) == SHMX_LIST) return -EPROTOTYPE;
  if (lives != (storing->expected != NULL)) return -EAGAIN;
  if (lives && !shmx_entry_has(hold->dict, entry, storing->expected)) return -EAGAIN;
  if (!storing->deletes) return store(hold, storing, lives);
  if (lives) shmx_entry_put(hold, &attempt->place, NULL);
  return 0;
}

int shmx_dict_cas(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *expected,
                  const shmx_dict_item *desired, int64_t ttl, uint32_t mode, bool *forcible) {
  struct storing storing = {.attempt = {.key = key, .mode = mode, .forcible = forcible},
                            .expected = expected,
                            .deletes = desired == NULL};
  int status = desired != NULL ? prepare(dict, &storing, desired, ttl) : 0;
  return status != 0 ? status : shmx_attempt_make(dict, &storing.attempt, try_cas);
}

/* ---- deleting ---- */

static int try_delete(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  const struct shmx_entry *entry = &attempt->place.entry;
  if (entry->cell == 0) return -ENOENT;
  bool lives = shmx_entry_lives(entry);
  shmx_entry_put(hold, &attempt->place, NULL);
  return lives ? 0 : -ENOENT;
}

int shmx_dict_delete(shmx_dict *dict, const shmx_dict_key *key) {
  struct shmx_attempt attempt = {.key = key};
  return shmx_attempt_make(dict, &attempt, try_delete);
}

/* ---- time ---- */

struct expiring {
  struct shmx_attempt attempt;
  int64_t expiry;
};

static int try_expire(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  const struct shmx_entry *entry = &attempt->place.entry;
  int64_t expiry = ((struct expiring *)attempt)->expiry;
  if (!shmx_entry_lives(entry)) return -ENOENT;
  shmx_expiry_note(hold, expiry);
  shmx_shard_change(hold, &shmx_cell_at(hold->dict, entry->cell)->words[2], (uint64_t)expiry);
  shmx_shard_commit(hold);
  return 0;
}

int shmx_dict_expire(shmx_dict *dict, const shmx_dict_key *key, int64_t ttl) {
  struct expiring expiring = {.attempt = {.key = key}};
  if (ttl < 0) return -EINVAL;
  expiring.expiry = shmx_expiry_of(ttl);
  return shmx_attempt_make(dict, &expiring.attempt, try_expire);
}

int shmx_dict_ttl(shmx_dict *dict, const shmx_dict_key *key, int64_t *ttl) {
  struct shmx_entry entry;
  shmx_dict_item item;
  int status = shmx_dict_read(dict, key, NULL, 0, &item, &entry);
  if (status != 0 && status != -EMSGSIZE && status != -EPROTOTYPE) return status;
  *ttl = 0;
  if (item.expiry == 0) return 0;
  int64_t now = shmx_boottime();
  if (item.expiry <= now) return -ENOENT; /* whatever a peer has written there */
  *ttl = item.expiry - now;
  return 0;
}
