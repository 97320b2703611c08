/*
 * lock.h: the one crash-safe lock: a 64-bit word in shared memory that names its owner. Touches os.
 *
 * The low half is the kernel's robust futex (Documentation/locking/robust-futexes.rst): the number
 * of the owning thread, FUTEX_WAITERS, FUTEX_OWNER_DIED. The high half is when that thread started,
 * so that a number that is used again is seen to be another's. Both are stored at once. A word of
 * zero is a free lock; nothing in the memory is a pointer, and nothing in it has to be repaired.
 *
 * It is held in two ways.
 *   enter, leave       for nanoseconds, inside one function of the core. Should the thread die, the
 *                      kernel itself marks the word and wakes a waiter, within microseconds. One in
 *                      a thread at a time.
 *   acquire, release   for as long as one likes. Who waits looks now and then whether the owner
 *                      still lives, and finds the death after at most SHMX_SLICE.
 */
#ifndef SHMX_SYNC_LOCK_H
#define SHMX_SYNC_LOCK_H

#include "os/clock.h"
#include "os/process.h"
#include "sync/holders.h"

#include <errno.h>

struct shmx_lock {
  _Atomic uint64_t word;
};

#define SHMX_LOCK_WAITERS ((uint64_t)FUTEX_WAITERS)
#define SHMX_LOCK_DIED    ((uint64_t)FUTEX_OWNER_DIED)
#define SHMX_LOCK_FLAGS   (SHMX_LOCK_WAITERS | SHMX_LOCK_DIED)

/* Nobody sleeps longer without looking: a thread that was woken may have been killed before it
 * could act, and then nobody would wake the next. */
#define SHMX_SLICE (SHMX_SECOND / 10)

/* Who holds what was just missed may be dead already: the first look comes soon. */
#define SHMX_FIRST_SLICE (SHMX_SECOND / 200)

/* The way to a lock that is not simply free. */
int shmx_lock_wait(struct shmx_lock *lock, const struct shmx_self *self, int64_t deadline);

/* Wakes one who waits. */
void shmx_lock_wake(struct shmx_lock *lock);

/* Takes the lock if it is free. */
static inline bool shmx_lock_try(struct shmx_lock *lock, shmx_task self) {
  uint64_t free = 0;
  /* Acquire pairs with the release in shmx_lock_release. */
  return atomic_compare_exchange_strong_explicit(&lock->word, &free, self, memory_order_acquire,
                                                 memory_order_relaxed);
}

/*
 * Waits for the lock until the deadline. Returns 0; -EOWNERDEAD: it is ours, and its owner before
 * died with it, so that what it guards may be half done; -ETIMEDOUT; -EINTR after a signal; -EFAULT
 * if the memory is gone. A lock that this thread has already is taken anew, as from the dead.
 */
static inline int shmx_lock_acquire(struct shmx_lock *lock, int64_t deadline) {
  const struct shmx_self *self = shmx_self();
  return shmx_lock_try(lock, self->task) ? 0 : shmx_lock_wait(lock, self, deadline);
}

/* Whoever holds it: gives it up. */
static inline void shmx_lock_release(struct shmx_lock *lock) {
  /* Release pairs with the acquires of this file and of shmx_lock_wait. */
  uint64_t word = atomic_exchange_explicit(&lock->word, 0, memory_order_release);
  if (word & SHMX_LOCK_WAITERS) shmx_lock_wake(lock);
}

/* Gives it up for `owner`, a thread of ours that may have ended, as if that had died: who has it
 * next is told. Others may have taken it over at any instant, and then it is theirs. */
static inline void shmx_lock_abandon(struct shmx_lock *lock, shmx_task owner) {
  uint64_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
  while (owner != 0 && (word & ~SHMX_LOCK_FLAGS) == owner)
    /* Release, as above. */
    if (atomic_compare_exchange_weak_explicit(&lock->word, &word, SHMX_LOCK_DIED,
                                              memory_order_release, memory_order_relaxed)) {
      if (word & SHMX_LOCK_WAITERS) shmx_lock_wake(lock);
      return;
    }
}

/* The owner: 0 where there is none. It may change at once, unless it is this thread. */
static inline shmx_task shmx_lock_owner(const struct shmx_lock *lock) {
  uint64_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
  return word & FUTEX_TID_MASK ? word & ~SHMX_LOCK_FLAGS : 0;
}

/* The process of the owner, for messages; 0 where there is no owner. */
static inline uint32_t shmx_lock_holder(const struct shmx_lock *lock) {
  shmx_task owner = shmx_lock_owner(lock);
  return owner != 0 ? shmx_task_process(owner) : 0;
}

/* Adds the owner to the holders, who has this part; and says whether others wait. Only looks. */
void shmx_lock_look(const struct shmx_lock *lock, uint32_t part, shmx_holders *holders);

/* The slow way in: waits for at least a slice, since the owner will leave at once; and for
 * SHMX_LOCK_TIMEOUT, if the deadline is SHMX_FOREVER. */
int shmx_lock_enter_wait(struct shmx_lock *lock, const struct shmx_self *self, int64_t deadline);

/* As shmx_lock_acquire, for nanoseconds: nothing of Lua's runs, and nothing is waited for, until
 * shmx_lock_leave. */
static inline int shmx_lock_enter(struct shmx_lock *lock, int64_t deadline) {
  const struct shmx_self *self = shmx_self();
  shmx_robust_begin(self, &lock->word);
  return shmx_lock_try(lock, self->task) ? 0 : shmx_lock_enter_wait(lock, self, deadline);
}

static inline void shmx_lock_leave(struct shmx_lock *lock) {
  shmx_lock_release(lock);
  shmx_robust_end(shmx_self());
}

#endif
