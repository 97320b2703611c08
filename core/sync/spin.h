/*
 * spin.h: looking a while before sleeping, as long as that pays. Touches os.
 *
 * Waking a sleeper costs tens of microseconds, looking at a word that another core is about to
 * write a fraction of one. So a waiter looks first. How long, its record decides, as in the Linux
 * kernel's haltpoll (Documentation/virt/guest-halt-polling.rst): a spin that meets no event halves
 * the next one, down to none, and a spin that meets one late lengthens it. After some waits without
 * a spin a whole one is tried, more seldom each time that it meets nothing. So a waiter whose peer
 * is on the same core sleeps at once. How short a sleep was says nothing: on one core the peer
 * answers because the waiter sleeps.
 */
#ifndef SHMX_SYNC_SPIN_H
#define SHMX_SYNC_SPIN_H

#include "sync/waiting.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The most looks of one spin: a hundred microseconds at most. */
enum { SHMX_SPIN_MOST = 2000 };

/* `most` looks at most; on a machine of one core, none. */
void shmx_spin_open(shmx_spin *spin, uint32_t most);

/* Looks while the word is `value`, and remembers whether that paid. True if the word changed. */
bool shmx_spin_while(shmx_spin *spin, const _Atomic uint64_t *word, uint64_t value);

/* Lets the other threads of the core have it for some cycles. */
static inline void shmx_spin_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
