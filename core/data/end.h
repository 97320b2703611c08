/*
 * end.h: one end of a channel: whose turn it is there, and how far it has come. Touches sync, os,
 * base.
 */
#ifndef SHMX_DATA_END_H
#define SHMX_DATA_END_H

#include "data/channel.h"
#include "sync/event.h"
#include "sync/lock.h"

/* What one end has in shared memory: a cache line for those who are at it, and one that the other
 * end looks at. */
struct shmx_end {
  struct shmx_lock turn;
  _Atomic shmx_task claimed; /* by this owner of the turn, who keeps it: do not wait for it */
  _Atomic uint64_t messages; /* that have passed */
  unsigned char unused[40];
  _Atomic uint64_t index; /* the tail, or the head */
  unsigned char unused_too[56];
};
_Static_assert(sizeof(struct shmx_end) == 128, "the layout in memory");

static inline uint64_t shmx_end_index(const struct shmx_end *end) {
  /* Acquire pairs with the release in shmx_end_pass. */
  return atomic_load_explicit(&end->index, memory_order_acquire);
}

/* A turn that was not free: -EBUSY where it is claimed by another who lives, or is; -EDEADLK where
 * another handle of this thread has it. */
int shmx_end_wait(struct shmx_end *end, const struct shmx_self *self, int64_t deadline);

/* Our turn at an end, until shmx_end_leave. What this thread has claimed, it need not take; what it
 * has reserved or peeked at is -EDEADLK. */
static inline int shmx_end_enter(struct shmx_channel_end *mine, struct shmx_end *end,
                                 int64_t deadline) {
  const struct shmx_self *self = shmx_self();
  if (mine->owner == self->task) return mine->busy ? -EDEADLK : 0;
  shmx_robust_begin(self, &end->turn.word);
  if (!shmx_lock_try(&end->turn, self->task)) {
    int status = shmx_end_wait(end, self, deadline);
    mine->missed = status == -ETIMEDOUT || status == -EINTR;
    if (status != 0) return status;
  }
  mine->owner = 0; /* another thread had it, which has died, or the parent */
  mine->claimed = mine->busy = false;
  return 0;
}

/* Claimed by this thread, and free to be used. */
static inline bool shmx_end_is_claimed(const struct shmx_channel_end *mine) {
  return mine->claimed && !mine->busy && mine->owner == shmx_self_task();
}

static inline void shmx_end_leave(const struct shmx_channel_end *mine, struct shmx_end *end) {
  if (mine->owner == 0) shmx_lock_leave(&end->turn);
}

/* Our turn for as long as we like, until shmx_end_give_up: the kernel is told nothing of it. */
void shmx_end_keep(struct shmx_channel_end *mine);

void shmx_end_give_up(struct shmx_channel_end *mine, struct shmx_end *end);

/* By whatever thread of the process whose thread has kept it, also after that has ended. */
void shmx_end_close(struct shmx_channel_end *mine, struct shmx_end *end);

/* What was reserved or peeked at is done with; a claim stays. */
void shmx_end_done(struct shmx_channel_end *mine, struct shmx_end *end);

/* One store commits what was written, or takes out what was read. Who waits for it is to be told.
 */
static inline void shmx_end_pass(struct shmx_end *end, uint64_t index, uint64_t messages) {
  uint64_t before = atomic_load_explicit(&end->messages, memory_order_relaxed);
  atomic_store_explicit(&end->messages, before + messages, memory_order_relaxed);
  /* Release pairs with the acquire in shmx_end_index. */
  atomic_store_explicit(&end->index, index, memory_order_release);
}

/* After shmx_end_pass, and having left. Who takes turns has paid for a fence by leaving; who has
 * claimed the end goes on at once. */
static inline void shmx_end_tell(const struct shmx_channel_end *mine, struct shmx_event *event) {
  if (mine->claimed)
    shmx_event_notify_lightly(event);
  else
    shmx_event_notify(event);
}

#endif
