/* await.c: looking, then sleeping. Touches sync, os. */
#include "data/await.h"

#include <errno.h>
#include <stddef.h>

static bool has_moved(const struct shmx_awaited *awaited, uint64_t seen) {
  return atomic_load_explicit(awaited->index, memory_order_relaxed) != seen ||
         atomic_load_explicit(awaited->finished, memory_order_relaxed) != 0;
}

/* How long the first sleep may last. After shmx_event_prepare: its fence pairs with that of who
 * claims, so that either this is seen or the bit is. */
static int64_t first_look(const struct shmx_awaited *awaited, int64_t start) {
  bool lightly =
      awaited->claimed != NULL && atomic_load_explicit(awaited->claimed, memory_order_relaxed) != 0;
  return lightly ? start + SHMX_FIRST_LOOK : SHMX_FOREVER;
}

/* Sleeps until it has moved, a slice has passed, the deadline, or a first look. */
static int sleep_on(const struct shmx_awaited *awaited, uint64_t seen, int64_t start,
                    int64_t deadline) {
  uint32_t ticket = shmx_event_prepare(awaited->event);
  if (has_moved(awaited, seen)) return 0;
  int64_t first = first_look(awaited, start);
  int status = shmx_event_wait(awaited->event, ticket, first < deadline ? first : deadline);
  if (status != -ETIMEDOUT || first >= deadline) return status;
  ticket = shmx_event_prepare(awaited->event);
  return has_moved(awaited, seen) ? 0 : shmx_event_wait(awaited->event, ticket, deadline);
}

int shmx_await(const struct shmx_awaited *awaited, uint64_t seen, shmx_spin *spin,
               int64_t deadline) {
  if (deadline <= 0) return -ETIMEDOUT; /* 0 only tries */
  int64_t start = shmx_clock_now();     /* each time: a peer may move it for ever */
  if (start >= deadline) return -ETIMEDOUT;
  if (shmx_spin_while(spin, awaited->index, seen)) return 0;
  return sleep_on(awaited, seen, start, deadline);
}
