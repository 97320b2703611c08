/*
 * event.h: waiting for a condition over shared memory: an eventcount (Dmitry Vyukov's name for Reed
 * and Kanodia's "Synchronization with Eventcounts and Sequencers", 1979). Touches os.
 *
 *   who waits                                  who changes the condition
 *     ticket = shmx_event_prepare(event)         store the change
 *     if the condition holds: done               shmx_event_notify(event)
 *     shmx_event_wait(event, ticket, deadline)
 *     look again, from the top
 *
 * One 32-bit word: a sequence, and in bit 0 that somebody may sleep. It is a bit and not a count:
 * counts would leak with those who are killed. Notifying costs a system call only if the bit is
 * set.
 */
#ifndef SHMX_SYNC_EVENT_H
#define SHMX_SYNC_EVENT_H

#include "os/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct shmx_event {
  _Atomic uint32_t word;
};

enum { SHMX_EVENT_SLEEPERS = 1, SHMX_EVENT_STEP = 2 };

/* The first sleep of who is notified lightly lasts no longer. */
#define SHMX_FIRST_LOOK (SHMX_SECOND / 2000)

/* The fence pairs with that in shmx_event_notify: either the condition is seen, or the bit is. */
static inline uint32_t shmx_event_prepare(struct shmx_event *event) {
  uint32_t word = atomic_fetch_or_explicit(&event->word, SHMX_EVENT_SLEEPERS, memory_order_relaxed);
  atomic_thread_fence(memory_order_seq_cst);
  return word | SHMX_EVENT_SLEEPERS;
}

/*
 * Sleeps until a notification since the ticket, a slice of SHMX_SLICE has passed, or the deadline.
 * Returns 0 in the first two cases; -ETIMEDOUT; -EINTR after a signal; -EFAULT.
 */
int shmx_event_wait(struct shmx_event *event, uint32_t ticket, int64_t deadline);

/* Does somebody sleep? It may be one who was killed. */
static inline bool shmx_event_has_sleepers(const struct shmx_event *event) {
  return atomic_load_explicit(&event->word, memory_order_relaxed) & SHMX_EVENT_SLEEPERS;
}

/* Wakes all sleepers, or some: at most `count`. */
void shmx_event_wake_all(struct shmx_event *event);
void shmx_event_wake_one(struct shmx_event *event);

/* Whoever sleeps looks again. */
static inline void shmx_event_notify(struct shmx_event *event) {
  /* Orders the change before the load; pairs with the fence in shmx_event_prepare. */
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&event->word, memory_order_relaxed) & SHMX_EVENT_SLEEPERS)
    shmx_event_wake_all(event);
}

/*
 * As shmx_event_notify, but without its fence, which lets no thread go on before its change has
 * come to the other core. Who is about to sleep at that very instant may be missed: so who waits
 * for what is notified lightly looks once more after SHMX_FIRST_LOOK, by when any store has
 * arrived.
 */
static inline void shmx_event_notify_lightly(struct shmx_event *event) {
  atomic_signal_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&event->word, memory_order_relaxed) & SHMX_EVENT_SLEEPERS)
    shmx_event_wake_all(event);
}

/* As shmx_event_notify, for one of them: for changes that one can use. */
static inline void shmx_event_notify_one(struct shmx_event *event) {
  atomic_thread_fence(memory_order_seq_cst);
  if (atomic_load_explicit(&event->word, memory_order_relaxed) & SHMX_EVENT_SLEEPERS)
    shmx_event_wake_one(event);
}

#endif
