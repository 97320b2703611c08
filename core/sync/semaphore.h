/*
 * semaphore.h: so many permits in shared memory, of which each process takes some for a while. Owns
 * its memory. Touches os, base. Threads, fork and signals: as mutex.h.
 *
 * A permit is held by a thread, and comes back when that dies. So there are never more or fewer
 * than at first: only what was taken can be given back. (For signals, use a condition.)
 */
#ifndef SHMX_SYNC_SEMAPHORE_H
#define SHMX_SYNC_SEMAPHORE_H

#include "base/api.h"
#include "base/kind.h"
#include "sync/holders.h"

SHMX_BEGIN_DECLS

enum { SHMX_PERMITS_MAX = 32767 };

struct shmx_semaphore_memory;

/* A handle. All zero is a closed one. */
typedef struct shmx_semaphore {
  struct shmx_semaphore_memory *memory;
  uint32_t permits; /* in all */
  uint32_t held;    /* taken through this handle, by `owner` of `process` */
  uint64_t owner, process;
  uint32_t held_by; /* the process that had the lock of those who take, when the last call to fail
                       waited for that; 0: permits were missing */
} shmx_semaphore;

/* `permits` from 1 to SHMX_PERMITS_MAX. */
SHMX_API shmx_kind shmx_semaphore_kind(uint32_t permits);
SHMX_API void shmx_semaphore_open(shmx_semaphore *semaphore, void *memory, uint32_t permits);

/* Closes the handle, and gives back what was taken through it, as if its holder had died. */
SHMX_API void shmx_semaphore_close(shmx_semaphore *semaphore);

/*
 * Takes so many permits, all at once or none; deadline as in shmx_mutex_lock.
 * Returns 0; -EOWNERDEAD: taken, and who held some of them before died with them;
 * -ETIMEDOUT (without a deadline only if semaphore->held_by has had the lock for SHMX_LOCK_TIMEOUT:
 * that process is stopped, or the memory is corrupt); -EINVAL: none, or more than there are;
 * -EDEADLK: with what this thread holds, more than there are; -EINTR after a signal; -EFAULT.
 * Blocks in futex(2).
 */
SHMX_API int shmx_semaphore_acquire(shmx_semaphore *semaphore, uint32_t count, int64_t deadline);

/* Gives back so many. Errors: EINVAL: none; EPERM: this thread has not taken so many through this
 * handle. Does not block. */
SHMX_API int shmx_semaphore_release(shmx_semaphore *semaphore, uint32_t count);

/* How many this thread has taken through this handle. */
SHMX_API uint32_t shmx_semaphore_held(const shmx_semaphore *semaphore);

/* How many can be had now, those of the dead included. It may change at once. */
SHMX_API uint32_t shmx_semaphore_value(const shmx_semaphore *semaphore);

/* A process that holds some, 0 where there is none: for messages. */
SHMX_API uint32_t shmx_semaphore_holder(const shmx_semaphore *semaphore);

/* Who has how many of the permits, for who looks from outside. */
SHMX_API void shmx_semaphore_holders(const shmx_semaphore *semaphore, shmx_holders *holders);

SHMX_END_DECLS

#endif
