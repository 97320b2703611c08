/* spin.c: how long to look. Touches os. */
#include "sync/spin.h"
#include "os/clock.h"
#include "os/process.h"

/* A sleep of less would have been spared by looking, for about what the waking cost. */
#define SHORT_SLEEP (SHMX_SECOND / 10000)

enum { LEAST = 64 };

void shmx_spin_open(shmx_spin *spin, uint32_t most) {
  if (shmx_machine_cores() < 2) most = 0;
  *spin = (shmx_spin){most, most};
}

static void grow(shmx_spin *spin) {
  uint32_t times = spin->times * 2 + LEAST;
  spin->times = times < spin->most ? times : spin->most;
}

bool shmx_spin_while(shmx_spin *spin, const _Atomic uint64_t *word, uint64_t value) {
  for (uint32_t i = 0; i < spin->times; i++) {
    if (atomic_load_explicit(word, memory_order_relaxed) != value) {
      if (i > spin->times / 2) grow(spin);
      return true;
    }
    shmx_spin_pause();
  }
  return false;
}

void shmx_spin_slept(shmx_spin *spin, int64_t nanoseconds) {
  if (nanoseconds < SHORT_SLEEP)
    grow(spin);
  else
    spin->times /= 2;
}
