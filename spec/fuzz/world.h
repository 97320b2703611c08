/*
 * world.h: what the core sees of the system, made up: a clock that moves only when it is looked at
 * or slept by, and a peer who may write at each call. So hours pass in microseconds, and what two
 * processes do at once happens again whenever it is run again. The programs that have it are linked
 * with -Wl,--wrap for each function here; with `on` false all is as it is.
 */
#ifndef SPEC_FUZZ_WORLD_H
#define SPEC_FUZZ_WORLD_H

#include <stdbool.h>
#include <stdint.h>

/* What happens to who sleeps. */
enum peer { LETS_SLEEP, WAKES, SIGNALS };

struct world {
  bool on;
  int64_t now;             /* nanoseconds */
  int64_t limit;           /* of `now`: whoever is on after that would be so without end */
  uint64_t calls;          /* since it was set to 0 */
  enum peer (*peer)(void); /* is called at each call of the core's; or NULL */
};

extern struct world world;

/* Everything from the beginning, with this peer; whether a task lives is looked up anew. */
void world_begin(enum peer (*peer)(void));

#endif
