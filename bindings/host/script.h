/* script.h: a Lua state that does what the command line says. Touches lua.h, core. */
#ifndef SHMX_HOST_SCRIPT_H
#define SHMX_HOST_SCRIPT_H

#include "host/chunk.h"
#include "host/options.h"
#include "shmx.h"

#include <signal.h>

/* Which worker this is, and what it shares with the others. */
struct worker {
  int index, count;          /* from 1 */
  shmx_arena *arena;         /* taken over */
  const struct chunk *chunk; /* the script, where there is one */
  const sigset_t *mask;      /* is set when signals can be heard */
};

/*
 * Makes a state, does the steps, runs the script or the terminal, and closes the state. `worker` is
 * NULL for a process that is none. Returns the exit code, 0 or 1.
 */
int script_run(const struct options *options, const struct worker *worker);

#endif
