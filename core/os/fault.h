/*
 * fault.h: keeps a process alive when memory vanishes under a mapping. Touches base.
 *
 * A POSIX object may be truncated while others map it, and unreserved memory may find no page:
 * the next access is then a SIGBUS. Every mapping is therefore watched: one handler for SIGBUS
 * puts zero pages where the memory was and marks the watch, and whoever reads the mark after an
 * access knows that what it read or wrote is not shared. An access costs that one load. A SIGBUS
 * anywhere else goes to the handler that was there before.
 *
 * The kernel ends a process whose thread blocks the signal of its own fault, whatever handler there
 * is. So a thread that begins a watch stops blocking SIGBUS, also where its mask was inherited, and
 * the threads that it starts later inherit that. A thread that was started before with SIGBUS
 * blocked, or that blocks SIGBUS later (as daemons with sigwait(3) do), must unblock it before it
 * touches the memory. A program that installs a handler of its own later does without all this.
 */
#ifndef SHMX_OS_FAULT_H
#define SHMX_OS_FAULT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One watched mapping. Slots are never freed, only used again, because the handler may look at one
 * at any time, in any thread. `start` is written last and cleared first (release), and the handler
 * reads it first (acquire): with a start, a slot's other fields are the mapping's.
 */
struct shmx_watch {
  _Atomic uintptr_t start; /* the mapping's address, or that the slot is free or being filled */
  atomic_size_t length;
  atomic_int protection;
  atomic_bool lost;
};

/* Watches a mapping, and unblocks SIGBUS in this thread. NULL if there is no memory for it. Safe in
 * any thread; takes no lock. */
struct shmx_watch *shmx_watch_start(void *data, size_t length, bool readonly);

/* The mapping is about to move; until shmx_watch_move nothing is watched. */
void shmx_watch_pause(struct shmx_watch *watch);

/* The mapping is there now, and so long. */
void shmx_watch_move(struct shmx_watch *watch, void *data, size_t length);

/*
 * Ends the watch, before the mapping does: what is mapped there next is not ours. Returns how many
 * bytes are to be unmapped; zero pages may have needed more than the mapping had.
 */
size_t shmx_watch_stop(struct shmx_watch *watch);

/*
 * Has the mapping lost memory since it was watched? The fences keep the access that went before in
 * its place; they pair with the release in the handler: who has read zeroes sees the mark.
 */
static inline bool shmx_watch_lost(const struct shmx_watch *watch) {
  atomic_signal_fence(memory_order_seq_cst); /* the handler runs in this thread */
  atomic_thread_fence(memory_order_acquire); /* or has run in another */
  return atomic_load_explicit(&watch->lost, memory_order_relaxed);
}

/* pthread_create(3) for a thread of ours: it leaves signals to the threads of the program, but
 * blocks none of the four that are of its own faults. Returns 0 or a negative errno. */
int shmx_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);

#endif
