/* await.h: waiting for an index in shared memory to move on. Touches sync, os. */
#ifndef SHMX_DATA_AWAIT_H
#define SHMX_DATA_AWAIT_H

#include "sync/event.h"
#include "sync/spin.h"

/* What is waited for, and who tells of it. */
struct shmx_awaited {
  const _Atomic uint64_t *index;
  const _Atomic uint32_t *finished; /* not 0: the index will not move any more */
  struct shmx_event *event;
};

/*
 * Who moves it tells by shmx_event_notify_lightly. Waits for an index to be other than `seen`, or
 * to be final: looks for a while, then sleeps. Returns 0, also for nothing; -ETIMEDOUT, -EINTR,
 * -EFAULT.
 */
int shmx_await(const struct shmx_awaited *awaited, uint64_t seen, shmx_spin *spin,
               int64_t deadline);

#endif
