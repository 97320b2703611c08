/* end.c: waiting for a turn, keeping it, giving it up. Touches sync, os, base. */
#include "data/end.h"

/* Does the turn belong to somebody who keeps it, and lives? Who has just taken it over from one
 * who kept it does not. */
static bool is_claimed(struct shmx_end *end) {
  shmx_task claimed = atomic_load_explicit(&end->claimed, memory_order_relaxed);
  return claimed != 0 && claimed == shmx_lock_owner(&end->turn) && shmx_task_lives(claimed);
}

/* For a slice at least, since most who are at it leave at once. It may be claimed meanwhile. */
static int wait_for_turn(struct shmx_end *end, const struct shmx_self *self, int64_t deadline) {
  int64_t until = shmx_clock_now() + SHMX_SLICE;
  for (;;) {
    if (is_claimed(end)) return -EBUSY;
    if (shmx_lock_owner(&end->turn) == self->task) return -EDEADLK;
    int status = shmx_lock_wait(&end->turn, self, until);
    if (status != -ETIMEDOUT || until >= deadline) return status;
    until = shmx_clock_now() + SHMX_SLICE;
    if (until > deadline) until = deadline;
  }
}

/* Who died with the turn has left nothing but perhaps a claim. */
int shmx_end_wait(struct shmx_end *end, const struct shmx_self *self, int64_t deadline) {
  int status = wait_for_turn(end, self, deadline);
  if (status == -EOWNERDEAD) {
    atomic_store_explicit(&end->claimed, 0, memory_order_relaxed);
    return 0;
  }
  if (status != 0) shmx_robust_end(self);
  return status;
}

void shmx_end_keep(struct shmx_channel_end *mine) {
  const struct shmx_self *self = shmx_self();
  mine->owner = self->task;
  mine->process = shmx_process_self();
  shmx_robust_end(self);
}

/* If the thread has ended, it may be another's already. */
void shmx_end_close(struct shmx_channel_end *mine, struct shmx_end *end) {
  if (mine->owner != 0 && mine->process == shmx_process_self()) {
    shmx_task owner = mine->owner;
    atomic_compare_exchange_strong_explicit(&end->claimed, &owner, 0, memory_order_relaxed,
                                            memory_order_relaxed);
    shmx_lock_abandon(&end->turn, mine->owner);
  }
  mine->owner = 0;
  mine->claimed = mine->busy = false;
}

void shmx_end_give_up(struct shmx_channel_end *mine, struct shmx_end *end) {
  mine->owner = 0;
  mine->claimed = mine->busy = false;
  atomic_store_explicit(&end->claimed, 0, memory_order_relaxed);
  shmx_lock_release(&end->turn);
}

void shmx_end_done(struct shmx_channel_end *mine, struct shmx_end *end) {
  mine->busy = false;
  if (!mine->claimed) shmx_end_give_up(mine, end);
}
