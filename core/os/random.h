/* random.h: numbers that nobody can guess. Touches libc. */
#ifndef SHMX_OS_RANDOM_H
#define SHMX_OS_RANDOM_H

#include <stdint.h>

/* Not zero. getrandom(2); early at boot, where that would block, the clock. */
uint64_t shmx_random(void);

#endif
