/*
 * shard.h: one shard of a dict while it is ours: its lock, and the log that makes a change of
 * several words one. Touches sync, os, base.
 *
 * What is out of sight, free cells, is written first. Then the words that are to change, at most
 * SHMX_LOG, and their values are written into the log; one store makes the sequence odd, and the
 * change is committed: whoever finds it odd applies the log, as often as it takes. When all is
 * stored, the sequence is even again. So there is nothing that a death leaves half done, and a
 * reader who found the same even sequence before and after has read what belonged together.
 */
#ifndef SHMX_DATA_SHARD_H
#define SHMX_DATA_SHARD_H

#include "data/cells.h"

/* A shard that this thread has locked. */
struct shmx_hold {
  shmx_dict *dict;
  struct shmx_shard *shard;
  uint32_t number;
  uint32_t changes; /* in the log, not committed yet */
  uint32_t frozen;  /* with -ERESTART: the shard that has to be settled first */
  bool made;        /* whoever waits for a value that is made is to look again */
  bool forced;      /* an entry was evicted that had not expired */
  uint32_t spare;   /* the cell of the entry that the operation works on: CLOCK never evicts it */
  uint32_t old;     /* the cell of an expired value that the operation keeps; or 0 */
  shmx_task living; /* an owner of tasks that was found alive */
  uint64_t steps;   /* entries, buckets and free cells that were visited to make room */
};

/* Applies the log of a shard that is ours. */
void shmx_shard_settle(const shmx_dict *dict, struct shmx_shard *shard);

/* Until when this call waits for others: for all it does, since the first for whom it had to. A
 * call begins with a patience of 0. */
static inline int64_t shmx_patience(shmx_dict *dict) {
  if (dict->patience == 0) dict->patience = shmx_clock_now() + SHMX_LOCK_TIMEOUT;
  return dict->patience;
}

int shmx_shard_wait(shmx_dict *dict, struct shmx_shard *shard, const struct shmx_self *self);

/* The shard is ours, and all changes of it are done. -ETIMEDOUT, -EINTR, -EFAULT. */
static inline int shmx_shard_enter(struct shmx_hold *hold, shmx_dict *dict, uint32_t number) {
  const struct shmx_self *self = shmx_self();
  struct shmx_shard *shard = shmx_shard_at(dict, number);
  *hold = (struct shmx_hold){.dict = dict, .shard = shard, .number = number};
  shmx_robust_begin(self, &shard->lock.word);
  if (!shmx_lock_try(&shard->lock, self->task)) {
    int status = shmx_shard_wait(dict, shard, self);
    if (status != 0) return status;
  }
  if (shmx_load(&shard->sequence) & 1) shmx_shard_settle(dict, shard);
  /* What was freed, before what is now written there: pairs with the fence in shmx_shard_same. */
  atomic_thread_fence(memory_order_release);
  return 0;
}

static inline void shmx_shard_leave(struct shmx_hold *hold) {
  shmx_lock_leave(&hold->shard->lock);
  if (hold->made) shmx_event_notify(&hold->shard->made);
}

/* Writes into the log that this word is to have this value. One word at most once in a change. */
static inline void shmx_shard_change(struct shmx_hold *hold, _Atomic uint64_t *word,
                                     uint64_t value) {
  struct shmx_shard *shard = hold->shard;
  uint64_t where = (uint64_t)((unsigned char *)word - (unsigned char *)hold->dict->memory);
  shmx_store(&shard->log[hold->changes].where, where);
  shmx_store(&shard->log[hold->changes].what, value);
  hold->changes++;
}

/* All that is in the log is done, at once. */
void shmx_shard_commit(struct shmx_hold *hold);

/* A bound on when the first of some entries expires. */
static inline void shmx_expiry_lower(_Atomic uint64_t *bound, int64_t expiry) {
  uint64_t before = shmx_load(bound);
  if (before == 0 || (int64_t)before > expiry) shmx_store(bound, (uint64_t)expiry);
}

/* Something with this expiry is about to be stored: before it is. */
static inline void shmx_expiry_note(struct shmx_hold *hold, int64_t expiry) {
  if (expiry == 0) return;
  shmx_expiry_lower(&hold->shard->soonest, expiry);
  shmx_expiry_lower(&hold->shard->lap, expiry);
}

/* ---- for who has no lock ---- */

/* Acquire pairs with the release in shmx_shard_commit: what was changed is seen. */
static inline uint64_t shmx_shard_sequence(const struct shmx_shard *shard) {
  return atomic_load_explicit(&shard->sequence, memory_order_acquire);
}

/* Did what was read since belong together? */
static inline bool shmx_shard_same(const struct shmx_shard *shard, uint64_t sequence) {
  /* After what was read: pairs with the fences in shmx_shard_enter and shmx_shard_commit. */
  atomic_thread_fence(memory_order_acquire);
  return shmx_load(&shard->sequence) == sequence;
}

/* ---- the cells that are free ---- */

/*
 * Has the shard so many? Where not, takes them from the pool, and then others with them. -ENOBUFS:
 * the pool has too few. -ERESTART: somebody died while he moved cells: leave the shard, call
 * shmx_pool_thaw and begin anew. -ETIMEDOUT, -EINTR, -EFAULT, -EBADMSG.
 */
int shmx_pool_take(struct shmx_hold *hold, uint64_t count);

/* Gives the first cells of the shard's list back, at most so many. As above; -EAGAIN: somebody has
 * the pool, and we do not wait. */
int shmx_pool_give(struct shmx_hold *hold, uint64_t count, bool waits);

/* Cells that the pool has. */
uint64_t shmx_pool_count(const shmx_dict *dict);

int shmx_pool_thaw(shmx_dict *dict, uint32_t frozen);

/* Gives back what the shard has beyond a stock, if it is much; if not now, the next one does. Who
 * frees much levels often, and would wait as often for who is stopped and has the pool. */
static inline int shmx_pool_level(struct shmx_hold *hold) {
  uint64_t count = shmx_high(shmx_load(&hold->shard->free)), batch = shmx_batch(hold->dict);
  return count > 6 * batch ? shmx_pool_give(hold, count - 2 * batch, false) : 0;
}

#endif
