/*
 * condition.h: waiting, with a mutex unlocked meanwhile, until another says that something has
 * changed. Owns 64 bytes of memory. Touches os, base. Threads, fork and signals: as mutex.h.
 */
#ifndef SHMX_SYNC_CONDITION_H
#define SHMX_SYNC_CONDITION_H

#include "sync/mutex.h"

SHMX_BEGIN_DECLS

struct shmx_condition_memory;

typedef struct shmx_condition {
  struct shmx_condition_memory *memory;
} shmx_condition;

SHMX_API shmx_kind shmx_condition_kind(void);
SHMX_API void shmx_condition_open(shmx_condition *condition, void *memory);

/*
 * Unlocks the mutex, sleeps until a notification or the deadline, and locks the mutex again. It may
 * wake for no reason: look at what you wait for in a loop. Those who are killed while they wait
 * leave nothing behind; should a notification of one have gone to them, the others wake within
 * 100 ms. So do all, should the owner of the mutex die, who can notify nobody any more: notify
 * while the mutex is locked. Returns 0; -EOWNERDEAD: as 0, and the mutex came from a dead owner;
 * -ETIMEDOUT; -EINTR after a signal: in these the mutex is locked again, however long that takes.
 * -EPERM: this thread has not locked the mutex; -EFAULT. Blocks in futex(2).
 */
SHMX_API int shmx_condition_wait(shmx_condition *condition, shmx_mutex *mutex, int64_t deadline);

/*
 * The parts of shmx_condition_wait, for who must look after signals while the mutex is locked
 * again: take a ticket, unlock the mutex, sleep, lock the mutex. Sleeps for 100 ms at most. Returns
 * 0 when notified since the ticket; -EAGAIN when not, and there is time; -ETIMEDOUT; -EINTR;
 * -EFAULT.
 */
SHMX_API uint32_t shmx_condition_ticket(shmx_condition *condition);
SHMX_API int shmx_condition_sleep(shmx_condition *condition, uint32_t ticket, int64_t deadline);

/* Wakes one who waits, or all. Cannot fail; does not block; a system call only if somebody waits.
 */
SHMX_API void shmx_condition_notify(shmx_condition *condition);
SHMX_API void shmx_condition_notify_all(shmx_condition *condition);

/* Whether somebody may sleep, for who looks from outside. */
SHMX_API void shmx_condition_holders(const shmx_condition *condition, shmx_holders *holders);

SHMX_END_DECLS

#endif
