/*
 * waiting.h: how long who waits looks before it sleeps, as a handle remembers it. Touches libc.
 */
#ifndef SHMX_SYNC_WAITING_H
#define SHMX_SYNC_WAITING_H

#include <stdint.h>

/* What experience says: sync/spin.h. */
typedef struct shmx_spin {
  uint32_t most;  /* how often to look, at most; 0: never */
  uint32_t times; /* how often to look next time */
} shmx_spin;

#endif
