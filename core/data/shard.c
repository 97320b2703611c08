/* shard.c: waiting for a shard; committing, and applying what was. Touches sync, os, base. */
#include "data/shard.h"

/* Who died here has left the log, and the sequence that says whether it holds. */
int shmx_shard_wait(shmx_dict *dict, struct shmx_shard *shard, const struct shmx_self *self) {
  int status = shmx_lock_wait(&shard->lock, self, shmx_patience(dict));
  if (status == -EOWNERDEAD) return 0;
  if (status != 0) shmx_robust_end(self);
  return status;
}

/* May a log say that this is to be changed? The four words of the shard, the two of the pool,
 * buckets, cells: no locks, no sequences, and nothing outside. */
static bool is_changeable(const shmx_dict *dict, const struct shmx_shard *shard, uint64_t where) {
  if (where % sizeof(uint64_t) != 0 || where >= dict->size) return false;
  if (where >= dict->at_buckets * UINT64_C(64)) return true;
  if (where == offsetof(struct shmx_dict_memory, free) ||
      where == offsetof(struct shmx_dict_memory, fresh))
    return true;
  uint64_t own = (uint64_t)((const unsigned char *)shard - (const unsigned char *)dict->memory);
  return where >= own + offsetof(struct shmx_shard, free) &&
         where <= own + offsetof(struct shmx_shard, doomed);
}

static void apply(const shmx_dict *dict, struct shmx_shard *shard) {
  uint64_t changes = shmx_load(&shard->changes);
  for (uint64_t i = 0; i < changes && i < SHMX_LOG; i++) {
    uint64_t where = shmx_load(&shard->log[i].where), what = shmx_load(&shard->log[i].what);
    if (!is_changeable(dict, shard, where)) continue;
    shmx_store((_Atomic uint64_t *)(void *)((unsigned char *)dict->memory + where), what);
  }
}

/* `odd`: the log holds. Release pairs with the acquire in shmx_shard_sequence. */
static void finish(const shmx_dict *dict, struct shmx_shard *shard, uint64_t odd) {
  apply(dict, shard);
  atomic_store_explicit(&shard->sequence, odd + 1, memory_order_release);
}

void shmx_shard_settle(const shmx_dict *dict, struct shmx_shard *shard) {
  finish(dict, shard, shmx_load(&shard->sequence) | 1);
}

void shmx_shard_commit(struct shmx_hold *hold) {
  struct shmx_shard *shard = hold->shard;
  uint64_t odd = shmx_load(&shard->sequence) | 1;
  shmx_store(&shard->changes, hold->changes);
  hold->changes = 0;
  /* Release: the log before. This commits. */
  atomic_store_explicit(&shard->sequence, odd, memory_order_release);
  /* The odd sequence before the changes: pairs with the fence in shmx_shard_same. */
  atomic_thread_fence(memory_order_release);
  finish(hold->dict, shard, odd);
}
