/*
 * spin.h: looking a while before sleeping, as long as that pays. Touches os.
 *
 * Waking a sleeper costs tens of microseconds, looking at a word that another core is about to
 * write a fraction of one. So who waits looks first; how long, experience tells: it grows where
 * what was waited for came while looking, or soon after, and shrinks to nothing where it did not:
 * messages are rare, or the other has no core to run on.
 */
#ifndef SHMX_SYNC_SPIN_H
#define SHMX_SYNC_SPIN_H

#include "sync/waiting.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The most times to look: a hundred microseconds at most. */
enum { SHMX_SPIN_MOST = 2000 };

/* `most` times at most; on a machine of one core, never. */
void shmx_spin_open(shmx_spin *spin, uint32_t most);

/* Looks while the word is `value`; says whether it changed. */
bool shmx_spin_while(shmx_spin *spin, const _Atomic uint64_t *word, uint64_t value);

/* After a sleep, so many nanoseconds long, that looking longer might have spared. */
void shmx_spin_slept(shmx_spin *spin, int64_t nanoseconds);

/* Lets the other threads of the core have it for some cycles. */
static inline void shmx_spin_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#endif
