/* cells.c: dividing the memory; keys' hashes; copying out of chains and into them. Touches base. */
#include "data/cells.h"
#include "data/hash.h"

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
  return shmx_hash_bucket(dict, key);
}

/* ---- the payload ---- */

bool shmx_payload_write(const shmx_dict *dict, struct shmx_cursor *cursor, const void *data,
                        uint64_t length) {
  const unsigned char *bytes = data;
  uint32_t count;
  for (uint64_t left = length / 8; left > 0; left -= count) {
    _Atomic uint64_t *words = shmx_next_words(dict, cursor, left, &count);
    if (words == NULL) return false;
    for (uint32_t i = 0; i < count; i++, bytes += 8)
      shmx_store(&words[i], shmx_whole_word(bytes));
  }
  if (length % 8 == 0) return true;
  _Atomic uint64_t *place = shmx_next_word(dict, cursor);
  if (place == NULL) return false;
  shmx_store(place, shmx_part_of_word(bytes, length % 8));
  return true;
}
