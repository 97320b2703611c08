/* futex.c: futex(2), which glibc does not wrap. Touches base. */
#include "os/futex.h"
#include "os/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* FUTEX_WAIT_BITSET takes an absolute time, so that a wait that is resumed does not last longer;
 * SHMX_FOREVER is in 292 years. */
int shmx_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline) {
  struct timespec until = {deadline / SHMX_SECOND, deadline % SHMX_SECOND};
  long result =
      syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, &until, NULL, FUTEX_BITSET_MATCH_ANY);
  return result == 0 ? 0 : -errno;
}

int shmx_futex_wake(const uint32_t *word, int count, int *woken) {
  long result = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
  if (result < 0) return -errno;
  *woken = (int)result;
  return 0;
}
