/* waiting.h: how long a waiter looks before it sleeps, as its handle remembers it. */
#ifndef SHMX_SYNC_WAITING_H
#define SHMX_SYNC_WAITING_H

#include <stdint.h>

/* What experience says: sync/spin.h. */
typedef struct shmx_spin {
  uint32_t most;  /* looks of one spin, at most; 0: none */
  uint32_t times; /* looks of the next spin; 0: the next waits have none */
  uint32_t wait;  /* how many waits are still without one */
  uint32_t pause; /* how many will be, if the trial after them meets nothing */
} shmx_spin;

#endif
