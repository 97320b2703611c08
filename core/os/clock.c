/* clock.c: clock_gettime(2). Touches libc. */
#include "os/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * SHMX_SECOND + now.tv_nsec;
}

int64_t shmx_clock_now(void) {
  return read_clock(CLOCK_MONOTONIC);
}

int64_t shmx_boottime(void) {
  return read_clock(CLOCK_BOOTTIME);
}

int64_t shmx_clock_deadline(double seconds) {
  int64_t now = shmx_clock_now();
  if (!(seconds > 0)) return now;
  double ahead = seconds * (double)SHMX_SECOND;
  return ahead < (double)(SHMX_FOREVER - now) ? now + (int64_t)ahead : SHMX_FOREVER;
}
