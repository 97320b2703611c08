/*
 * cells.h: how a dict lies in its memory: shards, buckets, and cells of 64 bytes that are chained
 * to entries. Knows no locks' turns and no keys' meaning. Touches sync, os, base.
 *
 * A head of 192 bytes, the shards, the buckets (the number of their first entry's cell), the cells.
 * Cells are named by numbers from 1; 0 is none. All cells are alike, so that any that are free make
 * a value of any size. An entry is a chain of them:
 *
 *   its first, the head     word 0  more:32 (the next cell of the chain) referenced:8 type:8 key:16
 *                           word 1  next:32 (the next entry of the bucket) last:32 (of the chain)
 *                           word 2  expiry
 *                           word 3  length:30 (bytes of the value) kind:2 flags:32
 *                           words 4 to 7, payload
 *   the others              word 0  more:32, words 1 to 7 payload
 *
 * The payload is the key, filled with zeros to 8 bytes, and then the value, likewise. How long a
 * chain is, follows from the lengths; so the last cell's `more` is free to be a link of a list of
 * free cells. `referenced` is a byte that a reader may store late, when the cell is another's by
 * then: where it is, nothing else ever is.
 */
#ifndef SHMX_DATA_CELLS_H
#define SHMX_DATA_CELLS_H

#include "data/dict.h"
#include "sync/event.h"
#include "sync/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum {
  SHMX_CELL_WORDS = 8,
  SHMX_CELL_HEAD = 4, /* words before the payload of an entry's first cell */
  SHMX_LOG = 9,       /* words that one change may change */
  SHMX_HOPS = 256     /* entries of a bucket, at most: with a hash that is keyed, never as many */
};

/* What an entry is; a pending one is a task: data/task.h. */
enum { SHMX_VALUE = 0, SHMX_LIST = 1, SHMX_PENDING = 2 };

/* The expiry of what flush_all has made expire. */
enum { SHMX_FLUSHED = 1 };

struct shmx_cell {
  _Atomic uint64_t words[SHMX_CELL_WORDS];
};

struct shmx_shard {
  struct shmx_lock lock;
  _Atomic uint64_t sequence; /* odd: the log holds, and is to be applied */
  /* These four are changed through the log. */
  _Atomic uint64_t free;    /* first:32 count:32 of a list of cells, linked by `more` */
  _Atomic uint64_t counts;  /* entries:32 used:32 (cells of entries, and of what is doomed) */
  _Atomic uint64_t payload; /* bytes of keys and values */
  _Atomic uint64_t doomed;  /* lists that were removed, and are still to be freed */
  _Atomic uint64_t hand;    /* hand:32 sweep:32: where to look for what to evict */
  _Atomic uint64_t soonest; /* nothing expires before; 0: nothing does */
  /* The second line. */
  _Atomic uint64_t changes; /* in the log */
  struct shmx_event made;   /* a task to make a value is done, or given up */
  uint32_t unused;
  _Atomic uint64_t evictions, expired;
  _Atomic uint64_t lap; /* as soonest: of what the sweep has passed on this lap */
  struct {
    _Atomic uint64_t where, what; /* a word of the memory, and its value */
  } log[SHMX_LOG];
  uint64_t unused_too;
};
_Static_assert(sizeof(struct shmx_shard) == 256, "the layout in memory");

struct shmx_dict_memory {
  _Atomic uint64_t seed;
  uint64_t unused[7];
  _Atomic uint64_t hits, misses;
  uint64_t unused_too[6];
  /* The pool: cells that no shard has. Its lock is taken within that of a shard. */
  struct shmx_lock lock;
  _Atomic uint64_t free;   /* as a shard's */
  _Atomic uint64_t fresh;  /* so many cells, the first ones, have been given out at all */
  _Atomic uint64_t frozen; /* the shard, from 1, whose log may have words of the pool; 0: none */
  _Atomic uint64_t turn;   /* the shard that is to give cells next */
  uint64_t unused_at_last[3];
};
_Static_assert(sizeof(struct shmx_dict_memory) == 192, "the layout in memory");

/* ---- words ---- */

static inline uint64_t shmx_load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void shmx_store(_Atomic uint64_t *word, uint64_t value) {
  atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline uint32_t shmx_low(uint64_t word) {
  return (uint32_t)word;
}

static inline uint32_t shmx_high(uint64_t word) {
  return (uint32_t)(word >> 32);
}

static inline uint64_t shmx_pair(uint32_t low, uint32_t high) {
  return (uint64_t)high << 32 | low;
}

static inline uint64_t shmx_with_low(uint64_t word, uint32_t low) {
  return shmx_pair(low, shmx_high(word));
}

/* ---- places ---- */

static inline struct shmx_shard *shmx_shard_at(const shmx_dict *dict, uint32_t number) {
  return (struct shmx_shard *)(void *)(dict->memory + 1) + number;
}

/* Two buckets are in a word. */
static inline _Atomic uint64_t *shmx_bucket_word(const shmx_dict *dict, uint32_t bucket) {
  unsigned char *buckets = (unsigned char *)dict->memory + dict->at_buckets * UINT64_C(64);
  return (_Atomic uint64_t *)(void *)buckets + bucket / 2;
}

static inline uint32_t shmx_bucket_first(const shmx_dict *dict, uint32_t bucket) {
  return (uint32_t)(shmx_load(shmx_bucket_word(dict, bucket)) >> (bucket % 2 * 32));
}

static inline bool shmx_is_cell(const shmx_dict *dict, uint32_t number) {
  return number - 1 < dict->cells;
}

/* at_cells is where a cell of number 0 would be. */
static inline struct shmx_cell *shmx_cell_at(const shmx_dict *dict, uint32_t number) {
  unsigned char *cells = (unsigned char *)dict->memory + dict->at_cells * UINT64_C(64);
  return (struct shmx_cell *)(void *)cells + number;
}

/* The cell behind this one; 0 where that cannot be. */
static inline uint32_t shmx_more(const shmx_dict *dict, uint32_t number) {
  uint32_t more = shmx_low(shmx_load(&shmx_cell_at(dict, number)->words[0]));
  return shmx_is_cell(dict, more) ? more : 0;
}

static inline uint32_t shmx_shard_buckets(const shmx_dict *dict) {
  return UINT32_C(1) << dict->shard_shift;
}

/* ---- sizes ---- */

static inline uint64_t shmx_words_of(uint64_t bytes) {
  return (bytes + 7) / 8;
}

/* Cells of an entry. */
static inline uint64_t shmx_cells_of(uint64_t key_length, uint64_t length) {
  uint64_t words = shmx_words_of(key_length) + shmx_words_of(length);
  enum { FIRST = SHMX_CELL_WORDS - SHMX_CELL_HEAD, OTHER = SHMX_CELL_WORDS - 1 };
  return words <= FIRST ? 1 : 1 + (words - FIRST + OTHER - 1) / OTHER;
}

/* Cells that are moved between a shard and the pool at once. */
static inline uint32_t shmx_batch(const shmx_dict *dict) {
  uint32_t batch = dict->cells >> (__builtin_ctz(dict->shards) + 3); /* an eighth of its share */
  return batch < 4 ? 4 : batch > 64 ? 64 : batch;
}

/* ---- an entry ---- */

#define SHMX_REFERENCED  (UINT64_C(0xff) << 32) /* CLOCK's mark: any value but 0 */
#define SHMX_MARK        (UINT64_C(1) << 32)
#define SHMX_INTEGER_KEY (UINT64_C(0x80) << 40)

/* An entry's head, each word read once. */
struct shmx_entry {
  uint64_t words[SHMX_CELL_HEAD];
  uint32_t cell; /* 0: there is none */
};

static inline void shmx_entry_load(const shmx_dict *dict, uint32_t cell, struct shmx_entry *entry) {
  const struct shmx_cell *head = shmx_cell_at(dict, cell);
  for (int i = 0; i < SHMX_CELL_HEAD; i++)
    entry->words[i] = shmx_load(&head->words[i]);
  entry->cell = cell;
}

static inline uint32_t shmx_entry_key(const struct shmx_entry *entry) {
  return (uint32_t)(entry->words[0] >> 48);
}

static inline uint32_t shmx_entry_tag(const struct shmx_entry *entry) {
  return (uint32_t)(entry->words[0] >> 40) & 0x7f;
}

static inline uint32_t shmx_entry_next(const struct shmx_entry *entry) {
  return shmx_low(entry->words[1]);
}

static inline uint32_t shmx_entry_last(const struct shmx_entry *entry) {
  return shmx_high(entry->words[1]);
}

static inline int64_t shmx_entry_expiry(const struct shmx_entry *entry) {
  return (int64_t)entry->words[2];
}

static inline uint32_t shmx_entry_length(const struct shmx_entry *entry) {
  return shmx_low(entry->words[3]) & 0x3fffffff;
}

static inline uint32_t shmx_entry_kind(const struct shmx_entry *entry) {
  return shmx_low(entry->words[3]) >> 30;
}

static inline uint32_t shmx_entry_flags(const struct shmx_entry *entry) {
  return shmx_high(entry->words[3]);
}

static inline uint64_t shmx_entry_cells(const struct shmx_entry *entry) {
  return shmx_cells_of(shmx_entry_key(entry), shmx_entry_length(entry));
}

static inline uint64_t shmx_entry_payload(const struct shmx_entry *entry) {
  return shmx_entry_key(entry) + shmx_entry_length(entry);
}

/* Reads the clock only where something expires. */
static inline bool shmx_has_expired(int64_t expiry) {
  return expiry != 0 && shmx_boottime() >= expiry;
}

/* The referenced byte of a cell, and the half word that it begins, as bytes lie in memory. */
static inline _Atomic uint8_t *shmx_referenced(const shmx_dict *dict, uint32_t cell) {
  return (_Atomic uint8_t *)(void *)&shmx_cell_at(dict, cell)->words[0] + 4;
}

/* CLOCK's mark: the entry was used since the hand passed it. The cell may be another entry's by
 * now, or free: a mark does no harm there. */
static inline void shmx_mark(const shmx_dict *dict, uint32_t cell) {
  atomic_store_explicit(shmx_referenced(dict, cell), 1, memory_order_relaxed);
}

/* ---- words of bytes ---- */

/* 1 to 7 bytes as a word, filled with zeros; without a call of memcpy, which costs more than all of
 * it. */
static inline uint64_t shmx_part_of_word(const unsigned char *data, uint64_t length) {
  uint32_t first, last;
  if (length >= 4) {
    memcpy(&first, data, 4);
    memcpy(&last, data + length - 4, 4);
    return first | (uint64_t)last << (8 * (length - 4));
  }
  return data[0] | (uint64_t)data[length / 2] << (8 * (length / 2)) |
         (uint64_t)data[length - 1] << (8 * (length - 1));
}

static inline void shmx_put_part(unsigned char *buffer, uint64_t word, uint64_t length) {
  for (uint64_t i = 0; i < length; i++)
    buffer[i] = (unsigned char)(word >> (8 * i));
}

static inline uint64_t shmx_whole_word(const unsigned char *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

/* ---- the payload ---- */

/* Where in a chain to read or write the next word. */
struct shmx_cursor {
  uint32_t cell, word; /* cell 0: the chain is broken */
};

static inline struct shmx_cursor shmx_payload(uint32_t cell) {
  return (struct shmx_cursor){cell, SHMX_CELL_HEAD};
}

/* The word at the cursor, which moves on; NULL where the chain is broken. */
static inline _Atomic uint64_t *shmx_next_word(const shmx_dict *dict, struct shmx_cursor *cursor) {
  if (cursor->word == SHMX_CELL_WORDS) {
    cursor->cell = shmx_more(dict, cursor->cell);
    cursor->word = 1;
    if (cursor->cell == 0) return NULL;
  }
  return &shmx_cell_at(dict, cursor->cell)->words[cursor->word++];
}

/* Words that are left in the cell at the cursor, or in the next one; 0 where the chain is broken.
 */
static inline uint32_t shmx_stretch(const shmx_dict *dict, struct shmx_cursor *cursor) {
  if (cursor->word == SHMX_CELL_WORDS) {
    cursor->cell = shmx_more(dict, cursor->cell);
    cursor->word = 1;
    if (cursor->cell == 0) return 0;
  }
  return SHMX_CELL_WORDS - cursor->word;
}

/* Up to `most` words side by side at the cursor, which moves on behind them; NULL where the chain
 * is broken. */
static inline _Atomic uint64_t *shmx_next_words(const shmx_dict *dict, struct shmx_cursor *cursor,
                                                uint64_t most, uint32_t *count) {
  uint32_t here = shmx_stretch(dict, cursor), first = cursor->word;
  if (here == 0) return NULL;
  *count = here < most ? here : (uint32_t)most;
  cursor->word += *count;
  return &shmx_cell_at(dict, cursor->cell)->words[first];
}

/* Moves on by so many words; false where the chain is broken. */
static inline bool shmx_payload_skip(const shmx_dict *dict, struct shmx_cursor *cursor,
                                     uint64_t words) {
  while (words > 0) {
    uint32_t here = shmx_stretch(dict, cursor);
    if (here == 0) return false;
    if (here > words) here = (uint32_t)words;
    cursor->word += here;
    words -= here;
  }
  return true;
}

/* Copies bytes out of the chain at the cursor; false where it is broken. */
static inline bool shmx_payload_read(const shmx_dict *dict, struct shmx_cursor *cursor,
                                     void *buffer, uint64_t length) {
  unsigned char *bytes = buffer;
  uint32_t count;
  for (uint64_t left = length / 8; left > 0; left -= count) {
    const _Atomic uint64_t *words = shmx_next_words(dict, cursor, left, &count);
    if (words == NULL) return false;
    for (uint32_t i = 0; i < count; i++, bytes += 8) {
      uint64_t word = shmx_load(&words[i]);
      memcpy(bytes, &word, sizeof word);
    }
  }
  if (length % 8 == 0) return true;
  const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
  if (place == NULL) return false;
  shmx_put_part(bytes, shmx_load(place), length % 8);
  return true;
}

/* Are these the bytes at the cursor? Where so, it moves on behind them. */
static inline bool shmx_payload_is(const shmx_dict *dict, struct shmx_cursor *cursor,
                                   const void *data, uint64_t length) {
  const unsigned char *bytes = data;
  for (; length >= 8; length -= 8, bytes += 8) {
    const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
    if (place == NULL || shmx_load(place) != shmx_whole_word(bytes)) return false;
  }
  if (length == 0) return true;
  const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
  return place != NULL && shmx_load(place) == shmx_part_of_word(bytes, length);
}

/* Copies bytes into the chain; false where it is broken. */
bool shmx_payload_write(const shmx_dict *dict, struct shmx_cursor *cursor, const void *data,
                        uint64_t length);

/* ---- the memory as a whole ---- */

/* Shards, buckets and cells of a dict of so many bytes. */
void shmx_dict_divide(shmx_dict *dict, uint64_t size);

/* The number of a key's bucket. */
uint32_t shmx_bucket_of(const shmx_dict *dict, const shmx_dict_key *key);

#endif
