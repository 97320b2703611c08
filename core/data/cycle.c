/* cycle.c: labels, and the tasks that carry them. */
#include "data/cycle.h"

static _Thread_local shmx_dict_fetch *held; /* what this thread makes, the last first */
static _Thread_local uint64_t told;         /* the largest label that its tasks have had */

void shmx_cycle_begin(shmx_dict_fetch *fetch) {
  fetch->outer = held;
  held = fetch;
}

void shmx_cycle_end(shmx_dict_fetch *fetch) {
  shmx_dict_fetch **at = &held;
  while (*at != NULL && *at != fetch)
    at = &(*at)->outer;
  if (*at == fetch) *at = fetch->outer;
}

/* A copy of the handle: its own may be in the midst of another call. After fork, the child has its
 * parent's list, and the tasks have another owner. */
static int tell_one(const shmx_dict_fetch *fetch, uint64_t label) {
  shmx_dict dict = *fetch->dict;
  struct shmx_hold hold;
  if (dict.memory == NULL) return 0; /* closed */
  dict.patience = 0;
  struct shmx_place place = {.bucket = shmx_bucket_of(&dict, &fetch->key)};
  int status = shmx_shard_enter(&hold, &dict, place.bucket >> dict.shard_shift);
  if (status != 0) return status;
  struct shmx_task_words words = {NULL, NULL};
  if (shmx_task_find(&dict, &fetch->key, &place) == 0 && place.entry.cell != 0)
    words = shmx_task_words(&dict, &place.entry);
  if (words.label != NULL && shmx_load(words.owner) == shmx_self()->task) {
    shmx_store(words.label, label);
    hold.made = true; /* so that waiters look at the label at once */
  }
  shmx_shard_leave(&hold);
  return 0;
}

static int tell(uint64_t label) {
  int status = 0;
  for (const shmx_dict_fetch *fetch = held; fetch != NULL && status == 0; fetch = fetch->outer)
    status = tell_one(fetch, label);
  if (status == 0) told = label;
  return status;
}

int shmx_cycle_check(shmx_dict_fetch *fetch, shmx_task owner, uint64_t label) {
  if (held == NULL) return 0; /* nobody waits for this thread */
  uint64_t larger = label > told ? label : told;
  if (fetch->label != 0 && fetch->owner == owner) {
    if (label == fetch->label) return -EDEADLK;
    return larger > told ? tell(larger) : 0;
  }
  uint64_t own = shmx_pair(shmx_task_number(shmx_self()->task), shmx_high(larger) + 1);
  int status = tell(own);
  if (status != 0) return status;
  fetch->owner = owner;
  fetch->label = own;
  return 0;
}
