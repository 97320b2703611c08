/*
 * fetch.c: a value that one makes while others wait for it. Touches sync, os, base.
 *
 * The task is an entry of its own kind, in the place of the value, that names the thread that has
 * it. Whatever takes that entry away wakes those who wait; they look for themselves whether the
 * thread still lives.
 */
#include "data/read.h"
#include "data/room.h"

struct fetching {
  struct shmx_attempt attempt;
  shmx_task owner; /* who has the task */
  shmx_task dead;  /* who had it, and has died */
  uint32_t ticket;
};

static shmx_task owner_of(const shmx_dict *dict, const struct shmx_entry *entry) {
  struct shmx_cursor cursor = shmx_entry_value(dict, entry);
  shmx_task owner = 0;
  if (cursor.cell == 0 || shmx_entry_length(entry) != sizeof owner) return 0;
  return shmx_payload_read(dict, &cursor, &owner, sizeof owner) ? owner : 0;
}

/* The task is ours: 0. -EEXIST: there is a value. -EINPROGRESS: another has it. */
static int try_begin(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct fetching *fetching = (struct fetching *)attempt;
  const struct shmx_entry *entry = &attempt->place.entry;
  shmx_task self = shmx_self()->task;
  if (shmx_entry_lives(entry)) return -EEXIST;
  if (entry->cell != 0 && shmx_entry_kind(entry) == SHMX_PENDING) {
    fetching->owner = owner_of(hold->dict, entry);
    if (fetching->owner == self) return -EDEADLK;
    if (fetching->owner != 0 && fetching->owner != fetching->dead) {
      fetching->ticket = shmx_event_prepare(&hold->shard->made);
      /* Who waits wants it: it is not to be evicted. */
      atomic_store_explicit(shmx_referenced(hold->dict, entry->cell), 1, memory_order_relaxed);
      return -EINPROGRESS;
    }
  }
  struct shmx_new task = {
      .key = attempt->key, .data = &self, .length = sizeof self, .kind = SHMX_PENDING};
  return shmx_attempt_put(hold, attempt, &task);
}

/* After the deadline there is one look more, for what is to be had at once: a word that changes all
 * the time keeps nobody. */
int shmx_dict_fetch_begin(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                          shmx_dict_item *item, bool *ours, int64_t deadline) {
  struct fetching fetching = {.attempt = {.key = key}};
  bool late = false;
  *ours = false;
  for (;;) {
    int status = shmx_dict_get(dict, key, buffer, room, item);
    if (status != -ENOENT) return status;
    status = shmx_attempt_make(dict, &fetching.attempt, try_begin);
    *ours = status == 0;
    if (status != -EINPROGRESS && status != -EEXIST) return status;
    bool dead = status == -EINPROGRESS && !shmx_task_lives(fetching.owner);
    if (dead) fetching.dead = fetching.owner;
    bool at_once = dead || status == -EEXIST, over = shmx_clock_now() >= deadline;
    if (over && (late || !at_once)) return -ETIMEDOUT;
    late = over;
    if (at_once) continue;
    struct shmx_shard *shard =
        shmx_shard_at(dict, fetching.attempt.place.bucket >> dict->shard_shift);
    status = shmx_event_wait(&shard->made, fetching.ticket, deadline);
    if (status != 0) return status;
  }
}

/* ---- the end ---- */

struct ending {
  struct shmx_attempt attempt;
  struct shmx_new new;
  bool gives_up;
};

static int try_end(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct ending *ending = (struct ending *)attempt;
  const struct shmx_entry *entry = &attempt->place.entry;
  bool is_ours = entry->cell != 0 && shmx_entry_kind(entry) == SHMX_PENDING &&
                 owner_of(hold->dict, entry) == shmx_self()->task;
  if (ending->gives_up) {
    if (is_ours) shmx_entry_put(hold, &attempt->place, NULL);
    return 0;
  }
  if (shmx_entry_lives(entry)) return -EEXIST;
  return shmx_attempt_put(hold, attempt, &ending->new);
}

int shmx_dict_fetch_end(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item,
                        int64_t ttl, uint32_t mode, bool *forcible) {
  struct ending ending = {.attempt = {.key = key, .mode = mode, .forcible = forcible},
                          .gives_up = item == NULL};
  if (item != NULL) {
    int status = ttl < 0 ? -EINVAL : shmx_item_check(dict, key, item);
    if (status != 0) return status;
    ending.new = (struct shmx_new){.key = key,
                                   .data = item->data,
                                   .length = item->length,
                                   .tag = item->tag,
                                   .flags = item->flags,
                                   .expiry = shmx_expiry_of(ttl)};
  }
  return shmx_attempt_make(dict, &ending.attempt, try_end);
}

/* ---- tasks of the dead ---- */

int64_t shmx_fetch_bury(struct shmx_hold *hold, uint32_t bucket) {
  struct shmx_place place = {.bucket = bucket};
  int64_t count = 0;
  int status = shmx_place_first(hold->dict, &place);
  while (status == 1) {
    bool dead = shmx_entry_kind(&place.entry) == SHMX_PENDING &&
                !shmx_task_lives(owner_of(hold->dict, &place.entry));
    count += dead;
    status = dead ? shmx_place_remove(hold, &place) : shmx_place_next(hold->dict, &place);
  }
  return status < 0 ? status : count;
}
