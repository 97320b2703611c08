/*
 * mutex.h: a mutex in shared memory that outlives a killed owner. Owns 64 bytes of memory; who
 * provides them knows no more than shmx_mutex_kind says. Touches os, base.
 *
 * The owner is a thread. A handle is used by one thread at a time; the memory by any number of
 * threads and processes. All functions return 0 or a negative errno and are safe after fork: the
 * child owns nothing that the parent owns. None may be called from a signal handler.
 */
#ifndef SHMX_SYNC_MUTEX_H
#define SHMX_SYNC_MUTEX_H

#include "base/api.h"
#include "base/kind.h"
#include "sync/holders.h"

#include <stdbool.h>

SHMX_BEGIN_DECLS

struct shmx_mutex_memory;

/* A handle: this process's way to the mutex. All zero is a closed one. */
typedef struct shmx_mutex {
  struct shmx_mutex_memory *memory;
  uint64_t owner, process; /* who locked it through this handle last, */
  uint64_t turn;           /* and the how manieth locking of the mutex that was */
} shmx_mutex;

/* What a mutex needs: memory of kind.size bytes, zero at first, at a multiple of 64. */
SHMX_API shmx_kind shmx_mutex_kind(void);

/* A handle for the mutex in this memory. Cannot fail; does not block. */
SHMX_API void shmx_mutex_open(shmx_mutex *mutex, void *memory);

/* Closes the handle. A mutex that was locked through it, and is so still, is abandoned: who locks
 * it next is told EOWNERDEAD. Cannot fail; does not block. */
SHMX_API void shmx_mutex_close(shmx_mutex *mutex);

/*
 * Locks. deadline: nanoseconds of CLOCK_MONOTONIC (shmx_clock_deadline), SHMX_FOREVER, or 0 to try.
 * Returns 0; -EOWNERDEAD: locked, too, but the owner before died with it (or abandoned it): repair
 * what it guards; -ETIMEDOUT; -EDEADLK: this thread has it; -EINTR after a signal; -EFAULT.
 * Blocks, after a spin of some microseconds, in futex(2). A death is seen after 100 ms at most. A
 * stopped owner (SIGSTOP) keeps it.
 */
SHMX_API int shmx_mutex_lock(shmx_mutex *mutex, int64_t deadline);

/* Locks if it is free, at the cost of one atomic operation. Returns 0; -EBUSY: it is held, or was
 * by one who died, which shmx_mutex_lock finds out; -EDEADLK: this thread has it. Does not block.
 */
SHMX_API int shmx_mutex_trylock(shmx_mutex *mutex);

/* Unlocks, and wakes one who waits. Errors: EPERM: this thread has not locked it. Does not block.
 */
SHMX_API int shmx_mutex_unlock(shmx_mutex *mutex);

/* Gives up what was locked through this handle, if it is so still, as if its owner had died. */
SHMX_API void shmx_mutex_abandon(shmx_mutex *mutex);

/* Has this thread locked it? */
SHMX_API bool shmx_mutex_is_mine(const shmx_mutex *mutex);

/* Has this thread locked it, and been told EOWNERDEAD? Until it unlocks. */
SHMX_API bool shmx_mutex_owner_died(const shmx_mutex *mutex);

/* Has it an owner who has died, or was it abandoned? Whoever locks it will be told. kill(2), /proc.
 */
SHMX_API bool shmx_mutex_is_orphan(const shmx_mutex *mutex);

/* The process of the owner, 0 where there is none: for messages; it may change at once. */
SHMX_API uint32_t shmx_mutex_holder(const shmx_mutex *mutex);

/* Who holds it, for who looks from outside. */
SHMX_API void shmx_mutex_holders(const shmx_mutex *mutex, shmx_holders *holders);

SHMX_END_DECLS

#endif
