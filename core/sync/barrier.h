/*
 * barrier.h: a place in time where so many meet before any goes on, in shared memory. Owns its
 * memory. Touches os, base. Threads, fork and signals: as mutex.h.
 */
#ifndef SHMX_SYNC_BARRIER_H
#define SHMX_SYNC_BARRIER_H

#include "base/api.h"
#include "base/kind.h"
#include "sync/holders.h"

#include <stdbool.h>

SHMX_BEGIN_DECLS

enum { SHMX_PARTIES_MAX = 32767, SHMX_BARRIER_FAILURES = 12 };

struct shmx_barrier_memory;

typedef struct shmx_barrier {
  struct shmx_barrier_memory *memory;
  uint32_t parties;
  uint32_t held_by; /* the process that had the lock when the last call could not come; 0: none */
} shmx_barrier;

/* `parties` from 1 to SHMX_PARTIES_MAX. */
SHMX_API shmx_kind shmx_barrier_kind(uint32_t parties);
SHMX_API void shmx_barrier_open(shmx_barrier *barrier, void *memory, uint32_t parties);

/*
 * Waits until all parties wait. `last` (or NULL) receives whether this one was the last to come:
 * one of them is told so. Then the barrier is as new. Returns 0; -EOWNERDEAD: one of those who
 * waited has died, all others are told so, and the barrier is as new; -ETIMEDOUT and -EINTR (after
 * a signal): this one does not wait any more, the others still do; -EFAULT. Blocks in futex(2).
 *
 * The result is that of the caller's own round, also if the caller was stopped while others met any
 * number of times. If in the meantime more than SHMX_BARRIER_FAILURES rounds have failed, the
 * result may be lost, and is then -EOWNERDEAD.
 */
SHMX_API int shmx_barrier_wait(shmx_barrier *barrier, int64_t deadline, bool *last);

/*
 * The parts of shmx_barrier_wait, for who has more to look after meanwhile: come; wait, perhaps
 * several times; and, if the round is not over, go.
 *
 * come: 0: all have come, and this one was the last; -EAGAIN: wait for the end of `round`, or go;
 *   -EOWNERDEAD; -ETIMEDOUT, -EINTR, -EFAULT: not there, since the process barrier->held_by has
 *   the lock: it is stopped, or the memory is corrupt. It waits for SHMX_LOCK_TIMEOUT at most if
 *   the deadline is SHMX_FOREVER.
 * await: 0 or -EOWNERDEAD: the round is over; -ETIMEDOUT, -EINTR, -EFAULT: it was not.
 * go: `status`; or 0 or -EOWNERDEAD, should the round have ended before.
 */
SHMX_API int shmx_barrier_come(shmx_barrier *barrier, int64_t deadline, uint64_t *round);
SHMX_API int shmx_barrier_await(shmx_barrier *barrier, uint64_t round, int64_t deadline);
SHMX_API int shmx_barrier_go(shmx_barrier *barrier, uint64_t round, int status);

/* How many wait now. It may change at once. */
SHMX_API uint32_t shmx_barrier_waiting(const shmx_barrier *barrier);

/* Who waits, for who looks from outside. */
SHMX_API void shmx_barrier_holders(const shmx_barrier *barrier, shmx_holders *holders);

SHMX_END_DECLS

#endif
