/* room.c: attempts, and where the cells come from. Touches sync, os, base. */
#include "data/room.h"

enum { TRIES = 1000, REAPED = 8 /* elements of removed lists, on the way out of a change */ };

/* Most steps of one operation that makes room. Two laps in every shard, and the way to the pool,
 * take fewer; so does losing what was freed to others some times. */
#define STEPS_MAX(dict) (UINT64_C(4) * (dict)->cells + (1 << 20))

/* ---- in the shard ---- */

/* A value that is much of what the shard has, is made room for by all shards. */
int shmx_attempt_reserve(struct shmx_hold *hold, struct shmx_attempt *attempt, uint64_t cells) {
  attempt->need = cells;
  if (shmx_free_cells(hold) >= cells) return 0;
  int status = shmx_pool_take(hold, cells);
  if (status != -ENOBUFS) return status == 0 ? -EALREADY : status;
  if (cells > shmx_high(shmx_load(&hold->shard->counts)) / 4) return -ENOBUFS;
  status = shmx_evict(hold, cells, attempt->mode & SHMX_DICT_SAFE, attempt->forcible);
  if (status != 0) return status;
  return shmx_free_cells(hold) >= cells ? -EALREADY : -ENOBUFS;
}

/*
 * Is an entry at this place marked from the start? One that is put in the place of another keeps
 * the mark that the operation has set. A new one lies where its key's hash says: where the hand
 * comes soon, the mark gives it a lap to be used in; where the hand has just passed, it has nearly
 * that.
 */
bool shmx_attempt_marks(const struct shmx_hold *hold, const struct shmx_place *place) {
  if (place->entry.cell != 0) return true;
  uint32_t all = shmx_shard_buckets(hold->dict), hand = shmx_low(shmx_load(&hold->shard->hand));
  return ((place->bucket - hand) & (all - 1)) < all - all / 4;
}

int shmx_attempt_put(struct shmx_hold *hold, struct shmx_attempt *attempt,
                     const struct shmx_new *draft) {
  struct shmx_place *place = &attempt->place;
  struct shmx_new new = *draft;
  struct shmx_built built;
  uint32_t next = place->entry.cell != 0 ? shmx_entry_next(&place->entry) : 0;
  int status = shmx_attempt_reserve(hold, attempt, shmx_cells_of(new.key->length, new.length));
  if (status != 0) return status;
  new.marked = shmx_attempt_marks(hold, place);
  status = shmx_entry_build(hold, shmx_low(shmx_load(&hold->shard->free)), &new, next, &built);
  if (status != 0) return status;
  shmx_expiry_note(hold, new.expiry);
  shmx_entry_put(hold, place, &built);
  return 0;
}

int shmx_attempt_store(struct shmx_hold *hold, struct shmx_attempt *attempt,
                       const struct shmx_new *new) {
  const struct shmx_place *place = &attempt->place;
  if (place->entry.cell != 0 && shmx_entry_rewrite(hold, place, new)) return 0;
  return shmx_attempt_put(hold, attempt, new);
}

int shmx_item_check(const shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item) {
  if (item->tag > 127) return -EINVAL;
  uint64_t bytes = 8 * (shmx_words_of(key->length) + shmx_words_of(item->length));
  return bytes <= shmx_dict_limit(dict) ? 0 : -EMSGSIZE;
}

/* Late enough is never. */
int64_t shmx_expiry_of(int64_t ttl) {
  int64_t expiry;
  if (ttl == 0) return 0;
  return __builtin_add_overflow(shmx_boottime(), ttl, &expiry) ? 0 : expiry;
}

/* ---- in all shards ---- */

/* The entry of the attempt's key, if this is its shard: it stays, and stays marked for others who
 * make room. */
static int spare_own(struct shmx_hold *hold, const struct shmx_attempt *attempt) {
  struct shmx_place place = {.bucket = attempt->place.bucket};
  if (place.bucket >> hold->dict->shard_shift != hold->number) return 0;
  int status = shmx_entry_find(hold->dict, attempt->key, &place);
  hold->spare = place.entry.cell;
  hold->old = attempt->keeps_old ? hold->spare : 0;
  if (hold->spare != 0) shmx_mark(hold->dict, hold->spare);
  return status;
}

/* Cells of one shard go to the pool; says whether there were any. */
static int give_some(shmx_dict *dict, uint32_t number, uint64_t share, struct shmx_attempt *attempt,
                     bool *gave) {
  struct shmx_hold hold;
  int status = shmx_shard_enter(&hold, dict, number);
  if (status != 0) return status;
  status = spare_own(&hold, attempt);
  if (status == 0)
    status = shmx_evict(&hold, share, attempt->mode & SHMX_DICT_SAFE, attempt->forcible);
  if (status == 0 && shmx_free_cells(&hold) != 0) {
    status = shmx_pool_give(&hold, dict->cells, true);
    *gave = status == 0;
  }
  attempt->steps += hold.steps;
  shmx_shard_leave(&hold);
  return status == -ERESTART ? shmx_pool_thaw(dict, hold.frozen) : status;
}

/* Shards in turn, one lock at a time, until the pool has enough. -ENOSPC: all of them have nothing
 * that may go; or others, or corrupt memory, took again and again what was freed. */
static int make_room(shmx_dict *dict, struct shmx_attempt *attempt) {
  uint64_t share = attempt->need / dict->shards + 1, batch = shmx_batch(dict);
  uint32_t idle = 0;
  if (share < batch) share = batch;
  while (idle <= dict->shards && attempt->steps < STEPS_MAX(dict)) {
    bool gave = false;
    uint64_t turn =
        atomic_fetch_add_explicit(&dict->memory->turn, 1, memory_order_relaxed) % dict->shards;
    int status = give_some(dict, (uint32_t)turn, share, attempt, &gave);
    if (status != 0) return status;
    if (shmx_pool_count(dict) >= attempt->need) return 0;
    if (shmx_clock_now() >= shmx_patience(dict)) return -ETIMEDOUT;
    idle = gave ? 0 : idle + 1;
  }
  return -ENOSPC;
}

/* ---- attempts ---- */

/* Whatever the operation does, it has used the entry. */
static int find_marking(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct shmx_entry *entry = &attempt->place.entry;
  int status = shmx_entry_find(hold->dict, attempt->key, &attempt->place);
  hold->spare = entry->cell;
  hold->old = attempt->keeps_old ? hold->spare : 0;
  if (entry->cell == 0 || entry->words[0] & SHMX_REFERENCED) return status;
  shmx_mark(hold->dict, entry->cell);
  entry->words[0] |= SHMX_MARK;
  return status;
}

static int attempt_here(struct shmx_hold *hold, struct shmx_attempt *attempt,
                        shmx_attempt_function *function) {
  int status = -EALREADY;
  for (int i = 0; i < 3 && status == -EALREADY; i++) {
    status = find_marking(hold, attempt);
    if (status == 0) status = function(hold, attempt);
  }
  if (shmx_load(&hold->shard->doomed) != 0) shmx_entry_reap(hold, REAPED);
  shmx_pool_level(hold);
  return status == -EALREADY ? -EBADMSG : status;
}

int shmx_attempt_go_on(struct shmx_hold *hold, struct shmx_attempt *attempt,
                       shmx_attempt_function *function) {
  shmx_dict *dict = hold->dict;
  uint32_t number = hold->number;
  for (int tries = 0; tries < TRIES; tries++) {
    int status = tries != 0 ? shmx_shard_enter(hold, dict, number) : 0;
    if (status != 0) return status;
    status = attempt_here(hold, attempt, function);
    shmx_shard_leave(hold);
    if (status == -ERESTART)
      status = shmx_pool_thaw(dict, hold->frozen);
    else if (status == -ENOBUFS)
      status = make_room(dict, attempt);
    else
      return status;
    if (status != 0) return status;
  }
  return -ENOSPC;
}

int shmx_attempt_make(shmx_dict *dict, struct shmx_attempt *attempt,
                      shmx_attempt_function *function) {
  const shmx_dict_key *key = attempt->key;
  struct shmx_hold hold;
  if (key->length > SHMX_DICT_KEY_MAX || (key->is_integer && key->length != 8)) return -EINVAL;
  if (attempt->forcible != NULL) *attempt->forcible = false;
  dict->patience = 0;
  attempt->place.bucket = shmx_bucket_of(dict, key);
  shmx_prefetch(dict, attempt->place.bucket);
  int status = shmx_shard_enter(&hold, dict, attempt->place.bucket >> dict->shard_shift);
  return status != 0 ? status : shmx_attempt_go_on(&hold, attempt, function);
}
