/* cells.c: dividing the memory; keys' hashes; copying out of chains and into them. Touches base. */
#include "data/cells.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- the memory as a whole ---- */

enum { LINE = 64, SHARDS_MAX = 64, SHARD_CELLS = 256 };

static uint32_t power_of_two_from(uint64_t number) {
  uint32_t power = 1;
  while (power < number)
    power *= 2;
  return power;
}

void shmx_dict_divide(shmx_dict *dict, uint64_t size) {
  if (size < SHMX_DICT_SIZE_MIN) size = SHMX_DICT_SIZE_MIN;
  if (size > SHMX_DICT_SIZE_MAX) size = SHMX_DICT_SIZE_MAX;
  size &= ~(uint64_t)(LINE - 1);
  uint64_t cells = size / (LINE + 2 * sizeof(uint32_t)); /* about */
  dict->size = size;
  dict->shards = 1;
  while (dict->shards < SHARDS_MAX && cells / (2 * dict->shards) >= SHARD_CELLS)
    dict->shards *= 2;
  dict->buckets = power_of_two_from(cells / 2);
  dict->shard_shift =
      (uint32_t)__builtin_ctz(dict->buckets) - (uint32_t)__builtin_ctz(dict->shards);
  uint64_t at_buckets = sizeof(struct shmx_dict_memory) + dict->shards * sizeof(struct shmx_shard);
  uint64_t at_cells = at_buckets + dict->buckets * sizeof(uint32_t);
  dict->at_buckets = (uint32_t)(at_buckets / LINE);
  dict->at_cells = (uint32_t)(at_cells / LINE - 1);
  dict->cells = (uint32_t)((size - at_cells) / LINE);
}

uint32_t shmx_bucket_of(const shmx_dict *dict, const shmx_dict_key *key) {
  uint64_t hash = XXH3_64bits_withSeed(key->data, key->length, dict->seed + key->is_integer);
  return (uint32_t)hash & (dict->buckets - 1);
}

/* ---- words of bytes ---- */

/* 1 to 7 bytes as a word, filled with zeros; without a call of memcpy, which costs more than all of
 * it. */
static uint64_t part_of_word(const unsigned char *data, uint64_t length) {
  uint32_t first, last;
  if (length >= 4) {
    memcpy(&first, data, 4);
    memcpy(&last, data + length - 4, 4);
    return first | (uint64_t)last << (8 * (length - 4));
  }
  return data[0] | (uint64_t)data[length / 2] << (8 * (length / 2)) |
         (uint64_t)data[length - 1] << (8 * (length - 1));
}

static void put_part(unsigned char *buffer, uint64_t word, uint64_t length) {
  for (uint64_t i = 0; i < length; i++)
    buffer[i] = (unsigned char)(word >> (8 * i));
}

static uint64_t whole_word(const unsigned char *data) {
  uint64_t word;
  memcpy(&word, data, sizeof word);
  return word;
}

/* ---- the payload ---- */

/* Words that are left in the cell at the cursor, or in the next one; 0 where the chain is broken.
 */
static uint32_t stretch(const shmx_dict *dict, struct shmx_cursor *cursor) {
  if (cursor->word == SHMX_CELL_WORDS) {
    cursor->cell = shmx_more(dict, cursor->cell);
    cursor->word = 1;
    if (cursor->cell == 0) return 0;
  }
  return SHMX_CELL_WORDS - cursor->word;
}

bool shmx_payload_skip(const shmx_dict *dict, struct shmx_cursor *cursor, uint64_t words) {
  while (words > 0) {
    uint32_t here = stretch(dict, cursor);
    if (here == 0) return false;
    if (here > words) here = (uint32_t)words;
    cursor->word += here;
    words -= here;
  }
  return true;
}

bool shmx_payload_read(const shmx_dict *dict, struct shmx_cursor *cursor, void *buffer,
                       uint64_t length) {
  unsigned char *bytes = buffer;
  for (; length >= 8; length -= 8, bytes += 8) {
    const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
    if (place == NULL) return false;
    uint64_t word = shmx_load(place);
    memcpy(bytes, &word, sizeof word);
  }
  if (length == 0) return true;
  const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
  if (place == NULL) return false;
  put_part(bytes, shmx_load(place), length);
  return true;
}

bool shmx_payload_write(const shmx_dict *dict, struct shmx_cursor *cursor, const void *data,
                        uint64_t length) {
  const unsigned char *bytes = data;
  for (; length >= 8; length -= 8, bytes += 8) {
    _Atomic uint64_t *place = shmx_next_word(dict, cursor);
    if (place == NULL) return false;
    shmx_store(place, whole_word(bytes));
  }
  if (length == 0) return true;
  _Atomic uint64_t *place = shmx_next_word(dict, cursor);
  if (place == NULL) return false;
  shmx_store(place, part_of_word(bytes, length));
  return true;
}

bool shmx_payload_is(const shmx_dict *dict, struct shmx_cursor *cursor, const void *data,
                     uint64_t length) {
  const unsigned char *bytes = data;
  for (; length >= 8; length -= 8, bytes += 8) {
    const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
    if (place == NULL || shmx_load(place) != whole_word(bytes)) return false;
  }
  if (length == 0) return true;
  const _Atomic uint64_t *place = shmx_next_word(dict, cursor);
  return place != NULL && shmx_load(place) == part_of_word(bytes, length);
}
