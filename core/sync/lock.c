/* lock.c: waiting for a lock, and taking it over from the dead. Touches os. */
#include "sync/lock.h"
#include "os/futex.h"
#include "sync/spin.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the futex is the low half of the word");
_Static_assert(sizeof(struct shmx_lock) == 8, "the layout in memory");

enum { LOOKS = 10, SELDOM = 7 }; /* before sleeping: 511 pauses in all, some microseconds */

static uint32_t *futex_of(struct shmx_lock *lock) {
  return (uint32_t *)(void *)&lock->word;
}

void shmx_lock_wake(struct shmx_lock *lock) {
  int woken;
  shmx_futex_wake(futex_of(lock), 1, &woken); /* memory that is gone has no sleepers */
}

/*
 * Puts this thread in the place of `*word`, whose owner is nobody or dead. While DIED stands in the
 * word, it tells the next one, should this thread die before all is repaired.
 */
static bool take(struct shmx_lock *lock, const struct shmx_self *self, uint64_t *word,
                 uint64_t flags) {
  uint64_t desired = self->task | flags | (*word & SHMX_LOCK_FLAGS);
  /* Acquire pairs with the release in shmx_lock_release and with the death of the owner. */
  return atomic_compare_exchange_strong_explicit(&lock->word, word, desired, memory_order_acquire,
                                                 memory_order_relaxed);
}

static bool is_free(uint64_t word) {
  return (word & FUTEX_TID_MASK) == 0;
}

static int outcome(uint64_t word) {
  return word & SHMX_LOCK_DIED ? -EOWNERDEAD : 0;
}

/* Only a lie can have our name on a lock that we come for, since nobody comes for his own. */
static bool is_dead(uint64_t word, const struct shmx_self *self) {
  shmx_task owner = word & ~SHMX_LOCK_FLAGS;
  return owner == self->task || !shmx_task_lives(owner);
}

/* Sleeps while the word stays, with WAITERS in it so that whoever leaves knows. */
static int sleep_on(struct shmx_lock *lock, uint64_t word, int64_t until) {
  if (!(word & SHMX_LOCK_WAITERS) &&
      !atomic_compare_exchange_strong_explicit(&lock->word, &word, word | SHMX_LOCK_WAITERS,
                                               memory_order_relaxed, memory_order_relaxed))
    return 0;
  int status = shmx_futex_wait(futex_of(lock), (uint32_t)(word | SHMX_LOCK_WAITERS), until);
  return status == -EAGAIN ? 0 : status;
}

/* Each look takes the word's cache line from its owner, who needs it to leave: so looks are ever
 * more seldom, after 1, 2, 4 ... 128 pauses. */
static bool spin(struct shmx_lock *lock, const struct shmx_self *self, uint64_t *word) {
  for (int look = 0; look < LOOKS; look++) {
    for (int pauses = 1 << (look < SELDOM ? look : SELDOM); pauses > 0; pauses--)
      shmx_spin_pause();
    *word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    if (is_free(*word) && take(lock, self, word, 0)) return true;
  }
  return false;
}

/* After a slice: the lock, if its owner is dead. The word is compared whole: no other can be meant.
 */
static bool take_over(struct shmx_lock *lock, const struct shmx_self *self) {
  uint64_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
  return !is_free(word) && is_dead(word, self) &&
         take(lock, self, &word, SHMX_LOCK_WAITERS | SHMX_LOCK_DIED);
}

/*
 * A thread that has slept takes the lock with WAITERS in it, as others may sleep on. Ulrich
 * Drepper, "Futexes Are Tricky", section 5, has the algorithm; deaths and slices are added. A word
 * that changes all the time keeps nobody past the deadline: after it, there is one look more.
 */
int shmx_lock_wait(struct shmx_lock *lock, const struct shmx_self *self, int64_t deadline) {
  uint64_t word;
  bool late = false;
  if (deadline > 0 && spin(lock, self, &word)) return outcome(word); /* 0 only tries */
  int64_t slice = shmx_clock_now() + SHMX_FIRST_SLICE;
  for (;;) {
    int status = 0;
    word = atomic_load_explicit(&lock->word, memory_order_relaxed);
    if (!is_free(word))
      status = sleep_on(lock, word, slice < deadline ? slice : deadline);
    else if (take(lock, self, &word, SHMX_LOCK_WAITERS))
      return outcome(word);
    if (status != 0 && status != -ETIMEDOUT) return status;
    if (status == -ETIMEDOUT && take_over(lock, self)) return -EOWNERDEAD;
    int64_t now = shmx_clock_now();
    if (now >= deadline && (late || status != 0)) return -ETIMEDOUT;
    late = now >= deadline;
    if (status != 0) slice = now + SHMX_SLICE;
  }
}

int shmx_lock_enter_wait(struct shmx_lock *lock, const struct shmx_self *self, int64_t deadline) {
  int64_t now = shmx_clock_now(), slice = now + SHMX_SLICE;
  if (deadline == SHMX_FOREVER) deadline = now + SHMX_LOCK_TIMEOUT;
  int status = shmx_lock_wait(lock, self, slice > deadline ? slice : deadline);
  if (status != 0 && status != -EOWNERDEAD) shmx_robust_end(self);
  return status;
}

void shmx_lock_look(const struct shmx_lock *lock, uint32_t part, shmx_holders *holders) {
  uint64_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
  shmx_holders_add(holders, shmx_lock_owner(lock), part);
  holders->waited |= (word & SHMX_LOCK_WAITERS) != 0;
}
