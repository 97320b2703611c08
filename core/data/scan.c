/* scan.c: all entries of a dict: seen, flushed, counted. Touches sync, os, base. */
#include "data/batch.h"
#include "data/read.h"
#include "data/room.h"
#include "data/task.h"
#include "sync/spin.h"

enum { CHUNK = 64 /* buckets, with the lock of their shard */ };

/* ---- walks end ---- */

enum { MET_MAX = 4 /* times the cells that there are */ };

int shmx_dict_meet(const shmx_dict *dict, shmx_dict_walk *walk, uint64_t cells) {
  walk->met += cells;
  return walk->met <= (uint64_t)MET_MAX * dict->cells ? 0 : -EBADMSG;
}

/* ---- scanning ---- */

struct scanning {
  struct shmx_batch_buffer batch;
  uint64_t count; /* entries */
  uint64_t cells; /* of all entries, also of those that are left out */
  int64_t now;
};

/* Once: a bucket's entries, which hold if nobody has changed it meanwhile. */
static int copy_bucket(const shmx_dict *dict, uint32_t bucket, struct scanning *scanning) {
  struct shmx_place place = {.bucket = bucket};
  int status = shmx_place_first(dict, &place);
  for (; status == 1; status = shmx_place_next(dict, &place)) {
    const struct shmx_entry *entry = &place.entry;
    int64_t expiry = shmx_entry_expiry(entry);
    scanning->cells += shmx_entry_cells(entry);
    if (shmx_entry_kind(entry) == SHMX_PENDING || (expiry != 0 && expiry <= scanning->now))
      continue;
    if (!shmx_batch_add(dict, entry, &scanning->batch)) return -EBADMSG;
    scanning->count++;
  }
  return status;
}

static int snapshot(shmx_dict *dict, uint32_t bucket, struct scanning *scanning) {
  const struct shmx_shard *shard = shmx_shard_at(dict, bucket >> dict->shard_shift);
  const struct scanning before = *scanning;
  struct shmx_hold hold;
  int status;
  for (int tries = 0; tries < SHMX_READ_TRIES; tries++) {
    uint64_t sequence = shmx_shard_sequence(shard);
    if (!(sequence & 1)) {
      status = copy_bucket(dict, bucket, scanning);
      if (shmx_shard_same(shard, sequence)) return status;
      *scanning = before;
    }
    shmx_spin_pause();
  }
  status = shmx_shard_enter(&hold, dict, bucket >> dict->shard_shift);
  if (status != 0) return status;
  status = copy_bucket(dict, bucket, scanning);
  shmx_shard_leave(&hold);
  return status;
}

int shmx_dict_scan(shmx_dict *dict, shmx_dict_walk *walk, bool keys_only, uint64_t most,
                   void *buffer, size_t room, size_t *length) {
  struct scanning scanning = {.batch = {.data = buffer, .room = room, .keys_only = keys_only},
                              .now = shmx_boottime()};
  *length = 0;
  dict->patience = 0;
  if (walk->cursor >= dict->buckets) return -EINVAL;
  if (walk->cursor == 0) walk->met = 0;
  do {
    scanning.cells = 0;
    int status = snapshot(dict, (uint32_t)walk->cursor, &scanning);
    if (status != 0) return status;
    if (scanning.batch.length > room && *length != 0) return 0; /* the bucket is the next one's */
    bool fits = scanning.batch.length <= room;
    *length = scanning.batch.length;
    if (!fits) return -EMSGSIZE;
    status = shmx_dict_meet(dict, walk, scanning.cells);
    if (status != 0) return status;
    walk->cursor = (walk->cursor + 1) % dict->buckets;
  } while (walk->cursor != 0 && (most == 0 || scanning.count < most));
  return 0;
}

/* ---- flushing ---- */

static int expire_bucket(struct shmx_hold *hold, uint32_t bucket, shmx_dict_walk *walk) {
  struct shmx_place place = {.bucket = bucket};
  int status = shmx_place_first(hold->dict, &place);
  for (; status == 1; status = shmx_place_next(hold->dict, &place))
    if (shmx_entry_kind(&place.entry) != SHMX_PENDING)
      shmx_store(&shmx_cell_at(hold->dict, place.entry.cell)->words[2], SHMX_FLUSHED);
  return status == 0 ? shmx_dict_meet(hold->dict, walk, place.hops) : status;
}

/* One store each: so the log is not needed. */
int shmx_dict_flush_all(shmx_dict *dict) {
  struct shmx_hold hold;
  shmx_dict_walk walk = {0};
  dict->patience = 0;
  for (uint32_t bucket = 0; bucket < dict->buckets;) {
    uint32_t number = bucket >> dict->shard_shift;
    int status = shmx_shard_enter(&hold, dict, number);
    if (status != 0) return status;
    shmx_expiry_note(&hold, SHMX_FLUSHED);
    for (int i = 0; i < CHUNK && bucket >> dict->shard_shift == number && status == 0; i++)
      status = expire_bucket(&hold, bucket++, &walk);
    shmx_shard_leave(&hold);
    if (status != 0) return status;
  }
  return 0;
}

struct flushing {
  uint64_t most, count; /* entries that are, and were, freed */
  uint64_t reaps;       /* elements of removed lists that may still be freed: no more than cells */
  uint32_t tasks;       /* to make a value, that were met: no more of them are asked about */
  shmx_dict_walk walk;
};

enum { TASKS_MAX = 1 << 16 /* the system is asked whether their threads live */ };

/* The entries of a bucket, before any is freed. */
static int meet_bucket(const shmx_dict *dict, uint32_t bucket, struct flushing *flushing) {
  struct shmx_place place = {.bucket = bucket};
  int status = shmx_place_first(dict, &place);
  for (; status == 1; status = shmx_place_next(dict, &place))
    flushing->tasks += shmx_entry_kind(&place.entry) == SHMX_PENDING;
  return status == 0 ? shmx_dict_meet(dict, &flushing->walk, place.hops) : status;
}

static int flush_bucket(struct shmx_hold *hold, uint32_t bucket, int64_t now,
                        struct flushing *flushing) {
  int status = meet_bucket(hold->dict, bucket, flushing);
  if (status != 0) return status;
  int64_t freed = flushing->tasks <= TASKS_MAX ? shmx_task_bury(hold, bucket) : 0;
  if (freed >= 0) freed = shmx_evict_bucket(hold, bucket, now, flushing->most - flushing->count);
  if (freed > 0) flushing->count += (uint64_t)freed;
  return freed < 0 ? (int)freed : 0;
}

static uint32_t reap_some(struct shmx_hold *hold, struct flushing *flushing) {
  uint32_t reaped =
      shmx_entry_reap(hold, flushing->reaps < CHUNK ? (uint32_t)flushing->reaps : CHUNK);
  flushing->reaps -= reaped;
  return reaped;
}

/* Frees in some buckets of a shard, and some of the lists that were removed. */
static int flush_chunk(shmx_dict *dict, uint32_t *bucket, struct flushing *flushing) {
  struct shmx_hold hold;
  uint32_t number = *bucket >> dict->shard_shift;
  int64_t now = shmx_boottime();
  int status = shmx_shard_enter(&hold, dict, number);
  if (status != 0) return status;
  for (int i = 0; i < CHUNK && *bucket >> dict->shard_shift == number; i++) {
    status = flush_bucket(&hold, *bucket, now, flushing);
    if (status != 0 || flushing->count == flushing->most) break;
    ++*bucket;
  }
  if (shmx_load(&hold.shard->doomed) != 0) reap_some(&hold, flushing);
  shmx_pool_level(&hold);
  shmx_shard_leave(&hold);
  return status;
}

/* What is left of lists that were removed. */
static int reap_all(shmx_dict *dict, struct flushing *flushing) {
  struct shmx_hold hold;
  for (uint32_t number = 0; number < dict->shards; number++)
    for (uint32_t reaped = CHUNK; reaped == CHUNK;) {
      int status = shmx_shard_enter(&hold, dict, number);
      if (status != 0) return status;
      reaped = reap_some(&hold, flushing);
      shmx_pool_level(&hold);
      shmx_shard_leave(&hold);
    }
  return 0;
}

int shmx_dict_flush_expired(shmx_dict *dict, uint64_t most, uint64_t *count) {
  struct flushing flushing = {.most = most != 0 ? most : UINT64_MAX, .reaps = dict->cells};
  int status = 0;
  dict->patience = 0;
  for (uint32_t bucket = 0;
       bucket < dict->buckets && flushing.count < flushing.most && status == 0;)
    status = flush_chunk(dict, &bucket, &flushing);
  if (status == 0) status = reap_all(dict, &flushing);
  if (count != NULL) *count = flushing.count;
  return status;
}

/* ---- counting ---- */

static void add_shard(const struct shmx_shard *shard, shmx_dict_status *status) {
  uint64_t counts = shmx_load(&shard->counts), entries = shmx_low(counts);
  status->entries += entries;
  status->used += UINT64_C(64) * shmx_high(counts);
  status->free += UINT64_C(64) * shmx_high(shmx_load(&shard->free));
  status->payload += shmx_load(&shard->payload);
  status->evictions += shmx_load(&shard->evictions);
  status->expired += shmx_load(&shard->expired);
  if (entries > status->fullest) status->fullest = entries;
  if (entries < status->emptiest) status->emptiest = entries;
}

int shmx_dict_stat(shmx_dict *dict, shmx_dict_status *status) {
  shmx_dict_add_reads(dict);
  *status = (shmx_dict_status){.capacity = dict->size,
                               .room = UINT64_C(64) * dict->cells,
                               .free = UINT64_C(64) * shmx_pool_count(dict),
                               .hits = shmx_load(&dict->memory->hits),
                               .misses = shmx_load(&dict->memory->misses),
                               .shards = dict->shards,
                               .emptiest = UINT64_MAX};
  for (uint32_t number = 0; number < dict->shards; number++)
    add_shard(shmx_shard_at(dict, number), status);
  return 0;
}

int shmx_dict_free_space(shmx_dict *dict, uint64_t *free) {
  shmx_dict_status status;
  int result = shmx_dict_stat(dict, &status);
  *free = status.free;
  return result;
}
