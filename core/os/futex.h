/* futex.h: sleeping on a 32-bit word of shared memory: futex(2). Touches base. */
#ifndef SHMX_OS_FUTEX_H
#define SHMX_OS_FUTEX_H

#include <stdint.h>

/*
 * Sleeps while the word is `expected`; `deadline` as in os/clock.h. Returns 0, -EAGAIN, -ETIMEDOUT,
 * -EINTR or -EFAULT.
 */
int shmx_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline);

/* Wakes at most `count` sleepers. Returns 0 or -EFAULT. */
int shmx_futex_wake(const uint32_t *word, int count, int *woken);

#endif
