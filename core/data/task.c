/* task.c: tasks in their buckets: found, asked whether their owners live, removed. */
#include "data/task.h"
#include "data/hash.h"

enum { TASK_LENGTH = 16 };

shmx_dict_key shmx_task_key(const shmx_dict *dict, const shmx_dict_key *key, uint64_t words[2]) {
  XXH128_hash_t hash = XXH3_128bits_withSeed(key->data, key->length, dict->seed + key->is_integer);
  words[0] = hash.low64;
  words[1] = hash.high64;
  return (shmx_dict_key){words, 2 * sizeof words[0], true};
}

int shmx_task_find(const shmx_dict *dict, const shmx_dict_key *key, struct shmx_place *place) {
  uint64_t words[2];
  shmx_dict_key own = shmx_task_key(dict, key, words);
  return shmx_entry_find(dict, &own, place);
}

struct shmx_task_words shmx_task_words(const shmx_dict *dict, const struct shmx_entry *task) {
  struct shmx_task_words words = {NULL, NULL};
  struct shmx_cursor cursor = shmx_entry_value(dict, task);
  if (cursor.cell == 0 || shmx_entry_length(task) != TASK_LENGTH) return words;
  words.owner = shmx_next_word(dict, &cursor);
  if (words.owner != NULL) words.label = shmx_next_word(dict, &cursor);
  return words;
}

shmx_task shmx_task_owner(const shmx_dict *dict, const struct shmx_entry *task) {
  struct shmx_task_words words = shmx_task_words(dict, task);
  return words.label != NULL ? shmx_load(words.owner) : 0;
}

bool shmx_task_is_dead(struct shmx_hold *hold, const struct shmx_entry *task) {
  shmx_task owner = shmx_task_owner(hold->dict, task);
  if (owner != 0 && owner == hold->living) return false;
  if (!shmx_task_lives(owner)) return true;
  hold->living = owner;
  return false;
}

bool shmx_bucket_has_task(const shmx_dict *dict, uint32_t bucket) {
  struct shmx_place place = {.bucket = bucket};
  int status = shmx_place_first(dict, &place);
  while (status == 1 && shmx_entry_kind(&place.entry) != SHMX_PENDING)
    status = shmx_place_next(dict, &place);
  return status == 1;
}

int64_t shmx_task_bury(struct shmx_hold *hold, uint32_t bucket) {
  struct shmx_place place = {.bucket = bucket};
  int64_t count = 0;
  int status = shmx_place_first(hold->dict, &place);
  while (status == 1) {
    bool dead =
        shmx_entry_kind(&place.entry) == SHMX_PENDING && shmx_task_is_dead(hold, &place.entry);
    count += dead;
    status = dead ? shmx_place_remove(hold, &place) : shmx_place_next(hold->dict, &place);
  }
  return status < 0 ? status : count;
}
