/*
 * pool.c: cells that no shard has, and moving them. Touches sync, os, base.
 *
 * Cells are moved within a change of the shard, so words of the pool stand in the shard's log. Who
 * dies then leaves the pool `frozen`: nobody else touches it before that log was applied, which is
 * when that shard was entered and left. `frozen` is cleared after the sequence is even; so where
 * the shard is ours, and settled, it means nothing any more.
 */
#include "data/shard.h"

static int enter(struct shmx_hold *hold, bool waits) {
  struct shmx_dict_memory *memory = hold->dict->memory;
  int status = 0;
  if (!shmx_lock_try(&memory->lock, shmx_self()->task)) {
    if (!waits) return -EAGAIN;
    status = shmx_lock_acquire(&memory->lock, shmx_patience(hold->dict));
  }
  if (status != 0 && status != -EOWNERDEAD) return status;
  uint64_t frozen = shmx_load(&memory->frozen);
  if (frozen != 0 && frozen != hold->number + UINT64_C(1) && frozen <= hold->dict->shards) {
    shmx_lock_release(&memory->lock);
    hold->frozen = (uint32_t)frozen - 1;
    return -ERESTART;
  }
  shmx_store(&memory->frozen, 0);
  return 0;
}

static void leave(const struct shmx_hold *hold) {
  shmx_lock_release(&hold->dict->memory->lock);
}

int shmx_pool_thaw(shmx_dict *dict, uint32_t frozen) {
  struct shmx_hold hold;
  int status = shmx_shard_enter(&hold, dict, frozen);
  if (status != 0) return status;
  status = enter(&hold, true);
  if (status == 0) leave(&hold);
  shmx_shard_leave(&hold);
  return status == -ERESTART ? 0 : status;
}

/* A change that has words of the pool in it. */
static void commit(struct shmx_hold *hold) {
  struct shmx_dict_memory *memory = hold->dict->memory;
  shmx_store(&memory->frozen, hold->number + UINT64_C(1));
  shmx_shard_commit(hold);
  /* Release: the even sequence before. */
  atomic_store_explicit(&memory->frozen, 0, memory_order_release);
}

static uint32_t less(uint32_t count, uint64_t by) {
  return by < count ? count - (uint32_t)by : 0;
}

/* The first cells of a list, at most so many, and never more than there are: a list that lies may
 * be a ring. The last of them, and which cell is next. */
static uint64_t walk(const shmx_dict *dict, uint32_t first, uint64_t most, uint32_t *last,
                     uint32_t *rest) {
  uint64_t count = 0;
  *last = 0;
  *rest = shmx_is_cell(dict, first) ? first : 0;
  if (most > dict->cells) most = dict->cells;
  while (count < most && *rest != 0) {
    *last = *rest;
    *rest = shmx_more(dict, *rest);
    count++;
  }
  return count;
}

/* Moves the first cells of one list before another. */
static void move(struct shmx_hold *hold, _Atomic uint64_t *from, _Atomic uint64_t *to,
                 uint64_t count, uint32_t last, uint32_t rest) {
  uint64_t source = shmx_load(from), target = shmx_load(to);
  _Atomic uint64_t *link = &shmx_cell_at(hold->dict, last)->words[0];
  shmx_shard_change(hold, link, shmx_with_low(shmx_load(link), shmx_low(target)));
  shmx_shard_change(hold, to, shmx_pair(shmx_low(source), shmx_high(target) + (uint32_t)count));
  shmx_shard_change(hold, from, shmx_pair(rest, less(shmx_high(source), count)));
  commit(hold);
}

/* Cells that were never used are linked first, out of sight. */
static uint64_t take_fresh(struct shmx_hold *hold, uint64_t wanted) {
  const shmx_dict *dict = hold->dict;
  uint64_t fresh = shmx_load(&dict->memory->fresh), free = shmx_load(&hold->shard->free);
  uint64_t left = fresh < dict->cells ? dict->cells - fresh : 0;
  uint32_t count = (uint32_t)(wanted < left ? wanted : left), first = (uint32_t)fresh + 1;
  if (count == 0) return 0;
  for (uint32_t i = 0; i < count; i++)
    shmx_store(&shmx_cell_at(dict, first + i)->words[0],
               i + 1 < count ? first + i + 1 : shmx_low(free));
  shmx_shard_change(hold, &hold->shard->free, shmx_pair(first, shmx_high(free) + count));
  shmx_shard_change(hold, &dict->memory->fresh, fresh + count);
  commit(hold);
  return count;
}

static uint64_t take_used(struct shmx_hold *hold, uint64_t wanted) {
  struct shmx_dict_memory *memory = hold->dict->memory;
  uint32_t last, rest;
  uint64_t count = walk(hold->dict, shmx_low(shmx_load(&memory->free)), wanted, &last, &rest);
  if (count != 0) move(hold, &memory->free, &hold->shard->free, count, last, rest);
  return count;
}

int shmx_pool_take(struct shmx_hold *hold, uint64_t count) {
  uint64_t have = shmx_high(shmx_load(&hold->shard->free));
  if (have >= count) return 0;
  uint64_t needed = count - have, batch = shmx_batch(hold->dict), taken = 0;
  int status = enter(hold, true);
  if (status != 0) return status;
  uint64_t wanted = needed > batch ? needed : batch;
  if (shmx_pool_count(hold->dict) >= needed) {
    taken = take_used(hold, wanted);
    if (taken < needed) taken += take_fresh(hold, wanted - taken);
  }
  leave(hold);
  return taken >= needed ? 0 : -ENOBUFS;
}

int shmx_pool_give(struct shmx_hold *hold, uint64_t count, bool waits) {
  uint32_t last, rest;
  count = walk(hold->dict, shmx_low(shmx_load(&hold->shard->free)), count, &last, &rest);
  hold->steps += count;
  int status = count != 0 ? enter(hold, waits) : 0;
  if (count == 0 || status != 0) return status;
  move(hold, &hold->shard->free, &hold->dict->memory->free, count, last, rest);
  leave(hold);
  return 0;
}

uint64_t shmx_pool_count(const shmx_dict *dict) {
  uint64_t fresh = shmx_load(&dict->memory->fresh);
  return shmx_high(shmx_load(&dict->memory->free)) +
         (fresh < dict->cells ? dict->cells - fresh : 0);
}
