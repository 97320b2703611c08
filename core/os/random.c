/* random.c: getrandom(2). Touches libc. */
#include "os/random.h"
#include "os/clock.h"

#include <sys/random.h>

uint64_t shmx_random(void) {
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number || number == 0)
    number = (uint64_t)shmx_clock_now() | 1;
  return number;
}
