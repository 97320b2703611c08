/* await.c: looking, then sleeping. Touches sync, os. */
#include "data/await.h"

#include <errno.h>

static bool has_moved(const struct shmx_awaited *awaited, uint64_t seen) {
  return atomic_load_explicit(awaited->index, memory_order_relaxed) != seen ||
         atomic_load_explicit(awaited->finished, memory_order_relaxed) != 0;
}

/* Sleeps until it has moved, a slice has passed, or the deadline. */
static int sleep_until(const struct shmx_awaited *awaited, uint64_t seen, int64_t deadline) {
  uint32_t ticket = shmx_event_prepare(awaited->event);
  return has_moved(awaited, seen) ? 0 : shmx_event_wait(awaited->event, ticket, deadline);
}

int shmx_await(const struct shmx_awaited *awaited, uint64_t seen, shmx_spin *spin,
               int64_t deadline) {
  if (deadline <= 0) return -ETIMEDOUT; /* 0 only tries */
  if (shmx_spin_while(spin, awaited->index, seen)) return 0;
  int64_t start = shmx_clock_now(), first = start + SHMX_FIRST_LOOK;
  if (start >= deadline) return -ETIMEDOUT;
  int status = sleep_until(awaited, seen, first < deadline ? first : deadline);
  if (status == -ETIMEDOUT && first < deadline) status = sleep_until(awaited, seen, deadline);
  shmx_spin_slept(spin, shmx_clock_now() - start);
  return status;
}
