/* event.c: the parts of an event that call the system. Touches os. */
#include "sync/event.h"
#include "os/futex.h"
#include "sync/lock.h"

#include <limits.h>

static uint32_t *futex_of(struct shmx_event *event) {
  return (uint32_t *)(void *)&event->word;
}

int shmx_event_wait(struct shmx_event *event, uint32_t ticket, int64_t deadline) {
  int64_t slice = shmx_clock_now() + SHMX_SLICE;
  int status = shmx_futex_wait(futex_of(event), ticket, slice < deadline ? slice : deadline);
  if (status == -EAGAIN || (status == -ETIMEDOUT && slice < deadline)) return 0;
  return status;
}

/* The bit goes with the bump, so those who set it later are not meant and not lost: 1 more than a
 * word with the bit is the next of the sequence without it. Where another has just done the same,
 * that sets the bit for nobody, which costs the next notification a system call. No loop: a word
 * that a peer changes all the time would keep us in it. */
void shmx_event_wake_all(struct shmx_event *event) {
  uint32_t word =
      atomic_fetch_add_explicit(&event->word, SHMX_EVENT_SLEEPERS, memory_order_relaxed);
  int woken;
  if (word & SHMX_EVENT_SLEEPERS) shmx_futex_wake(futex_of(event), INT_MAX, &woken);
}

/* The bit stays for the others, until there are none. It goes with a bump, too: who took a ticket
 * meanwhile did not change the word, and is to see that its bit is gone; who sleeps already is to
 * come and set it again. */
void shmx_event_wake_one(struct shmx_event *event) {
  uint32_t word = atomic_fetch_add_explicit(&event->word, SHMX_EVENT_STEP, memory_order_relaxed);
  int woken = 0;
  if (shmx_futex_wake(futex_of(event), 1, &woken) != 0 || woken != 0) return;
  word += SHMX_EVENT_STEP;
  uint32_t next = (word & ~(uint32_t)SHMX_EVENT_SLEEPERS) + SHMX_EVENT_STEP;
  if (atomic_compare_exchange_strong_explicit(&event->word, &word, next, memory_order_relaxed,
                                              memory_order_relaxed))
    shmx_futex_wake(futex_of(event), INT_MAX, &woken);
}
