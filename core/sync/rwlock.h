/*
 * rwlock.h: many readers or one writer, in shared memory, of whom any may be killed. Owns its
 * memory. Touches os, base. Threads, fork and signals: as mutex.h; a thread holds it once.
 *
 * A writer that waits keeps new readers out, and so is never starved. At most SHMX_READERS read at
 * once; more of them wait.
 */
#ifndef SHMX_SYNC_RWLOCK_H
#define SHMX_SYNC_RWLOCK_H

#include "base/api.h"
#include "base/kind.h"
#include "sync/holders.h"

#include <stdbool.h>

SHMX_BEGIN_DECLS

enum { SHMX_READERS = 128 };

struct shmx_rwlock_memory;

/* A handle. All zero is a closed one. */
typedef struct shmx_rwlock {
  struct shmx_rwlock_memory *memory;
  uint64_t owner, process; /* who holds it through this handle; owner is 0 where nobody does */
  uint32_t slot;           /* a reader's; SHMX_READERS for the writer */
} shmx_rwlock;

SHMX_API shmx_kind shmx_rwlock_kind(void);
SHMX_API void shmx_rwlock_open(shmx_rwlock *rwlock, void *memory);

/* Closes the handle; what is held through it is given up, and the next told as if we had died. */
SHMX_API void shmx_rwlock_close(shmx_rwlock *rwlock);

/*
 * Locks for reading, or for writing; deadline as in shmx_mutex_lock. A handle holds one at a time.
 * Returns 0; -EOWNERDEAD: locked, too, but a writer has died since the last writer that did not, so
 * that what is guarded may be half written (a writer is told of readers that died, too);
 * -ETIMEDOUT; -EDEADLK: this thread holds it; -EINTR after a signal; -EFAULT.
 */
SHMX_API int shmx_rwlock_read(shmx_rwlock *rwlock, int64_t deadline);
SHMX_API int shmx_rwlock_write(shmx_rwlock *rwlock, int64_t deadline);

/* Gives up what this handle holds. Errors: EPERM: nothing, or it is another thread's. */
SHMX_API int shmx_rwlock_unlock(shmx_rwlock *rwlock);

/* Gives up what is held through this handle, as if its holder had died. */
SHMX_API void shmx_rwlock_abandon(shmx_rwlock *rwlock);

/* A process that holds it now, a writer first; 0 where there is none: for messages. */
SHMX_API uint32_t shmx_rwlock_holder(const shmx_rwlock *rwlock);

/* Who holds it, for who looks from outside. */
SHMX_API void shmx_rwlock_holders(const shmx_rwlock *rwlock, shmx_holders *holders);

SHMX_END_DECLS

#endif
