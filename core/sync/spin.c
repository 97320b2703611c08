/* spin.c: how long to look. Touches os. */
#include "sync/spin.h"
#include "os/process.h"

enum {
  LEAST = 64,          /* looks: a spin that would be shorter is none */
  PAUSE_FIRST = 8,     /* waits without a spin before the first trial */
  PAUSE_LONGEST = 1024 /* and before the later ones, at most */
};

void shmx_spin_open(shmx_spin *spin, uint32_t most) {
  if (shmx_machine_cores() < 2) most = 0;
  *spin = (shmx_spin){.most = most, .times = most, .pause = PAUSE_FIRST};
}

/* The event came after so many looks. */
static void met(shmx_spin *spin, uint32_t looks, uint32_t times) {
  spin->pause = PAUSE_FIRST;
  if (looks > times / 2) times = times * 2 + LEAST;
  spin->times = times < spin->most ? times : spin->most;
}

static void met_nothing(shmx_spin *spin, bool trial) {
  spin->times = trial || spin->times / 2 < LEAST ? 0 : spin->times / 2;
  if (spin->times != 0) return;
  spin->wait = spin->pause;
  if (spin->pause < PAUSE_LONGEST) spin->pause *= 2;
}

/* One more wait without a spin? */
static bool is_resting(shmx_spin *spin) {
  if (spin->times != 0) return false;
  if (spin->most == 0) return true;
  return spin->wait != 0 && spin->wait-- != 0;
}

bool shmx_spin_while(shmx_spin *spin, const _Atomic uint64_t *word, uint64_t value) {
  if (is_resting(spin)) return false;
  bool trial = spin->times == 0;
  uint32_t times = trial ? spin->most : spin->times;
  for (uint32_t looks = 0; looks < times; looks++) {
    if (atomic_load_explicit(word, memory_order_relaxed) != value) {
      met(spin, looks, times);
      return true;
    }
    shmx_spin_pause();
  }
  met_nothing(spin, trial);
  return false;
}
