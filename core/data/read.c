/*
 * read.c: getting values, without a lock: what was copied holds if the shard's sequence was even
 * and the same before and after (Boehm, "Can seqlocks get along with programming language memory
 * models?", 2012). Touches sync, os, base.
 */
#include "data/read.h"
#include "data/hash.h"
#include "sync/spin.h"

/* What an entry of that head says of its value. */
static void describe(const shmx_dict *dict, const struct shmx_entry *entry, void *buffer,
                     shmx_dict_item *item) {
  *item = (shmx_dict_item){.data = buffer,
                           .length = shmx_entry_length(entry),
                           .tag = shmx_entry_tag(entry),
                           .flags = shmx_entry_flags(entry),
                           .expiry = shmx_entry_expiry(entry)};
  if (shmx_entry_kind(entry) != SHMX_LIST) return;
  struct shmx_ends at = shmx_list_ends(dict, entry);
  item->count = at.count != NULL ? shmx_load(at.count) : 0;
  item->length = 0;
}

/* Once: what it says holds only if nobody has changed it meanwhile. */
static int look(const shmx_dict *dict, const shmx_dict_key *key, struct shmx_place *place,
                void *buffer, size_t room, shmx_dict_item *item) {
  const struct shmx_entry *entry = &place->entry;
  int status = shmx_entry_find(dict, key, place);
  if (status != 0) return status;
  if (entry->cell == 0) return -ENOENT;
  describe(dict, entry, buffer, item);
  if (shmx_entry_kind(entry) == SHMX_LIST) return -EPROTOTYPE;
  if (item->length > room) return -EMSGSIZE;
  if (item->length > dict->size) return -EBADMSG;
  struct shmx_cursor cursor = shmx_entry_value(dict, entry);
  bool whole = cursor.cell != 0 && shmx_payload_read(dict, &cursor, buffer, item->length);
  return whole ? 0 : -EBADMSG;
}

static int look_locked(shmx_dict *dict, const shmx_dict_key *key, struct shmx_place *place,
                       void *buffer, size_t room, shmx_dict_item *item) {
  struct shmx_hold hold;
  dict->patience = 0;
  int status = shmx_shard_enter(&hold, dict, place->bucket >> dict->shard_shift);
  if (status != 0) return status;
  status = look(dict, key, place, buffer, room, item);
  shmx_shard_leave(&hold);
  return status;
}

/* An odd sequence may be that of a dead: who has the lock applies what that has committed. */
int shmx_dict_read(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                   shmx_dict_item *item, struct shmx_entry *entry) {
  if (key->length > SHMX_DICT_KEY_MAX || (key->is_integer && key->length != 8)) return -EINVAL;
  struct shmx_place place = {.bucket = shmx_bucket_of(dict, key)};
  const struct shmx_shard *shard = shmx_shard_at(dict, place.bucket >> dict->shard_shift);
  int status = 0;
  for (int tries = 0;; tries++) {
    if (tries == SHMX_READ_TRIES) {
      status = look_locked(dict, key, &place, buffer, room, item);
      break;
    }
    uint64_t sequence = shmx_shard_sequence(shard);
    if (!(sequence & 1)) {
      status = look(dict, key, &place, buffer, room, item);
      if (shmx_shard_same(shard, sequence)) break;
    }
    shmx_spin_pause();
  }
  *entry = place.entry;
  return status;
}

/* ---- getting ---- */

enum { READS = 1024 /* before they are added to those of all */ };

void shmx_dict_add_reads(shmx_dict *dict) {
  if (dict->hits == 0 && dict->misses == 0) return; /* who only looks, writes nothing */
  atomic_fetch_add_explicit(&dict->memory->hits, dict->hits, memory_order_relaxed);
  atomic_fetch_add_explicit(&dict->memory->misses, dict->misses, memory_order_relaxed);
  dict->hits = dict->misses = 0;
}

static __attribute__((noinline)) int missed(shmx_dict *dict) {
  if (++dict->misses == READS) shmx_dict_add_reads(dict);
  return -ENOENT;
}

static inline void hit(shmx_dict *dict, uint32_t cell, uint64_t head) {
  if (!(head & SHMX_REFERENCED)) shmx_mark(dict, cell);
  if (++dict->hits == READS) shmx_dict_add_reads(dict);
}

/* A key and a value that are in one cell: as look, at most of the calls, in a fraction of its time.
 * `number` receives that of the cell, `head` its first word. 1: look at length. */
static inline int look_short(const shmx_dict *dict, const shmx_dict_key *key, uint32_t bucket,
                             unsigned char *buffer, size_t room, shmx_dict_item *item,
                             uint32_t *number, uint64_t *head) {
  struct shmx_cell *cell;
  *number = shmx_short_find(dict, key, bucket, &cell);
  if (cell == NULL) return *number == 0 ? -ENOENT : 1;
  const _Atomic uint64_t *words = cell->words;
  *head = shmx_load(&words[0]);
  struct shmx_entry entry = {{*head, 0, shmx_load(&words[2]), shmx_load(&words[3])}, *number};
  uint32_t length = shmx_entry_length(&entry), at = SHMX_CELL_HEAD + (key->length + 7) / 8;
  uint32_t end = at + (length + 7) / 8;
  /* What fills the last word up is copied, too. */
  if (shmx_entry_kind(&entry) != SHMX_VALUE || end > SHMX_CELL_WORDS || (end - at) * 8 > room)
    return 1;
  item->data = buffer;
  item->length = length;
  item->tag = shmx_entry_tag(&entry);
  item->flags = shmx_entry_flags(&entry);
  item->expiry = shmx_entry_expiry(&entry);
  item->count = 0;
  for (; at < end; at++, buffer += 8) {
    uint64_t word = shmx_load(&words[at]);
    memcpy(buffer, &word, sizeof word);
  }
  return 0;
}

/* 1: somebody changes the shard, or look_short says so. */
static inline int get_short(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                            shmx_dict_item *item) {
  uint32_t cell, bucket = shmx_short_bucket(dict, key);
  uint64_t head;
  const struct shmx_shard *shard = shmx_shard_at(dict, bucket >> dict->shard_shift);
  uint64_t sequence = shmx_shard_sequence(shard);
  if (__builtin_expect(sequence & 1, 0)) return 1;
  int status = look_short(dict, key, bucket, buffer, room, item, &cell, &head);
  if (status == 1 || !shmx_shard_same(shard, sequence)) return 1;
  if (__builtin_expect(status != 0 || shmx_has_expired(item->expiry), 0)) return missed(dict);
  hit(dict, cell, head);
  return 0;
}

int shmx_dict_get_stale(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                        shmx_dict_item *item, bool *stale) {
  struct shmx_entry entry;
  int status = shmx_dict_read(dict, key, buffer, room, item, &entry);
  if (status == -ENOENT) return missed(dict);
  if (status == -EMSGSIZE || status == -EPROTOTYPE) shmx_mark(dict, entry.cell);
  if (status != 0) return status;
  *stale = shmx_has_expired(item->expiry);
  hit(dict, entry.cell, entry.words[0]);
  return 0;
}

static __attribute__((noinline)) int get_at_length(shmx_dict *dict, const shmx_dict_key *key,
                                                   void *buffer, size_t room,
                                                   shmx_dict_item *item) {
  struct shmx_entry entry;
  int status = shmx_dict_read(dict, key, buffer, room, item, &entry);
  bool is_there = status == 0 || status == -EMSGSIZE || status == -EPROTOTYPE;
  if (status == -ENOENT || (is_there && shmx_has_expired(item->expiry))) return missed(dict);
  if (status == 0)
    hit(dict, entry.cell, entry.words[0]);
  else if (is_there)
    shmx_mark(dict, entry.cell);
  return status;
}

int shmx_dict_get(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                  shmx_dict_item *item) {
  int status = shmx_key_is_short(key) ? get_short(dict, key, buffer, room, item) : 1;
  return __builtin_expect(status != 1, 1) ? status : get_at_length(dict, key, buffer, room, item);
}
