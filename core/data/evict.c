/*
 * evict.c: what goes when room is needed: what has expired, then, by CLOCK, what was not used since
 * the hand last passed it (F. J. Corbato, "A Paging Experiment with the Multics System", 1968), so
 * that a use moves no links.
 */
#include "data/room.h"
#include "data/task.h"

enum { LOOK = 32 /* buckets for one that has expired, each time */ };

static void count_one(_Atomic uint64_t *counter) {
  shmx_store(counter, shmx_load(counter) + 1);
}

/* ---- what has expired ---- */

/* What has expired stays while a thread makes the new value. */
static bool is_kept(const struct shmx_hold *hold, uint32_t bucket, const struct shmx_entry *entry) {
  return entry->cell == hold->old || shmx_bucket_has_task(hold->dict, bucket);
}

int64_t shmx_evict_bucket(struct shmx_hold *hold, uint32_t bucket, int64_t now, uint64_t most) {
  struct shmx_place place = {.bucket = bucket};
  int64_t count = 0;
  int status = shmx_place_first(hold->dict, &place);
  for (hold->steps++; status == 1; hold->steps++) {
    int64_t expiry = shmx_entry_expiry(&place.entry);
    bool expired = expiry != 0 && expiry <= now;
    if (expired && (uint64_t)count < most && !is_kept(hold, bucket, &place.entry)) {
      status = shmx_place_remove(hold, &place);
      count_one(&hold->shard->expired);
      count++;
    } else {
      if (expiry != 0) shmx_expiry_lower(&hold->shard->lap, expiry);
      status = shmx_place_next(hold->dict, &place);
    }
  }
  return status < 0 ? status : count;
}

int64_t shmx_evict_expired(struct shmx_hold *hold, uint64_t count, uint32_t buckets) {
  struct shmx_shard *shard = hold->shard;
  int64_t soonest = (int64_t)shmx_load(&shard->soonest), removed = 0;
  if (soonest == 0) return 0;
  int64_t now = shmx_boottime();
  uint32_t all = shmx_shard_buckets(hold->dict);
  while (buckets-- > 0 && soonest != 0 && soonest <= now && shmx_free_cells(hold) < count) {
    uint64_t hand = shmx_load(&shard->hand);
    uint32_t sweep = shmx_high(hand) & (all - 1);
    int64_t here = shmx_evict_bucket(hold, hold->number * all + sweep, now, UINT64_MAX);
    if (here < 0) return here;
    removed += here;
    shmx_store(&shard->hand, shmx_pair(shmx_low(hand), (sweep + 1) & (all - 1)));
    if (sweep + 1 != all) continue;
    /* A lap is complete: what it has seen is all there is. */
    shmx_store(&shard->soonest, shmx_load(&shard->lap));
    shmx_store(&shard->lap, 0);
    soonest = (int64_t)shmx_load(&shard->soonest);
  }
  return removed;
}

/* ---- what was not used ---- */

/* Takes the mark away, if there is one. */
static bool was_used(const struct shmx_hold *hold, const struct shmx_entry *entry) {
  bool used = entry->words[0] & SHMX_REFERENCED;
  if (used)
    atomic_store_explicit(shmx_referenced(hold->dict, entry->cell), 0, memory_order_relaxed);
  return used;
}

/* May this entry go, which was not used? A living thread's task is marked, so that the kernel is
 * asked about it every second lap. */
static bool may_go(struct shmx_hold *hold, uint32_t bucket, const struct shmx_entry *entry) {
  if (shmx_entry_kind(entry) != SHMX_PENDING)
    return shmx_entry_lives(entry) || !is_kept(hold, bucket, entry);
  bool dead = shmx_task_is_dead(hold, entry);
  if (!dead) shmx_mark(hold->dict, entry->cell);
  return dead;
}

/* Removes the first entry of the bucket that was not used since the hand passed; 1, or 0. */
static int pass(struct shmx_hold *hold, uint32_t bucket) {
  struct shmx_place place = {.bucket = bucket};
  const struct shmx_entry *entry = &place.entry;
  int status = shmx_place_first(hold->dict, &place);
  for (hold->steps++; status == 1; status = shmx_place_next(hold->dict, &place), hold->steps++) {
    if (entry->cell == hold->spare || was_used(hold, entry) || !may_go(hold, bucket, entry))
      continue;
    bool is_task = shmx_entry_kind(entry) == SHMX_PENDING;
    shmx_entry_put(hold, &place, NULL);
    if (!is_task) count_one(&hold->shard->evictions);
    hold->forced |= !is_task;
    return 1;
  }
  return status;
}

/* 1, or 0 where two laps have found nothing, or -EBADMSG. */
static int evict_one(struct shmx_hold *hold) {
  uint32_t all = shmx_shard_buckets(hold->dict);
  if (shmx_low(shmx_load(&hold->shard->counts)) == 0) return 0;
  for (uint32_t buckets = 0; buckets < 2 * all; buckets++) {
    uint64_t hand = shmx_load(&hold->shard->hand);
    uint32_t at = shmx_low(hand) & (all - 1);
    int status = pass(hold, hold->number * all + at);
    /* On in any case: what was just passed over is to have a lap's time. */
    shmx_store(&hold->shard->hand, shmx_with_low(hand, (at + 1) & (all - 1)));
    if (status != 0) return status;
  }
  return 0;
}

/* Corrupt memory must not loop us: some laps over as many buckets and entries as the dict can have
 * are all. */
int shmx_evict(struct shmx_hold *hold, uint64_t count, bool safe, bool *forcible) {
  uint32_t look = safe ? 2 * shmx_shard_buckets(hold->dict) : LOOK;
  uint64_t most = hold->steps + UINT64_C(4) * hold->dict->cells;
  int status = 1;
  while (status > 0 && shmx_free_cells(hold) < count && hold->steps++ < most) {
    if (shmx_entry_reap(hold, LOOK) != 0) continue;
    int64_t expired = shmx_evict_expired(hold, count, look);
    if (expired == 0)
      status = safe ? 0 : evict_one(hold);
    else if (expired < 0)
      status = (int)expired;
  }
  if (forcible != NULL && hold->forced) *forcible = true;
  return status < 0 ? status : 0;
}
