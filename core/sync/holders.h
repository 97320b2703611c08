/*
 * holders.h: who has a part in an object: for those who look at it from outside. Nothing here is
 * written to shared memory, and what stands there is not believed: the list is of bounded length.
 * Touches os, base.
 */
#ifndef SHMX_SYNC_HOLDERS_H
#define SHMX_SYNC_HOLDERS_H

#include "base/api.h"

#include <stdbool.h>
#include <stdint.h>

SHMX_BEGIN_DECLS

/* What somebody does with an object. */
enum {
  SHMX_HOLDS = 1, /* a mutex, permits of a semaphore */
  SHMX_READS,     /* holds a reader-writer lock for reading */
  SHMX_WRITES,    /* holds it for writing */
  SHMX_WAITS,     /* at a barrier; or sleeps until it can have it: os/sleepers.h */
  SHMX_SENDS,    /* has a channel's or topic's turn to send: has claimed or reserved, or is at it */
  SHMX_RECEIVES, /* has its turn to receive */
  SHMX_CALLS,    /* waits for the reply to a call */
  SHMX_SERVES    /* has taken a call, and not replied yet */
};

enum { SHMX_HOLDERS_MAX = 64 };

typedef struct shmx_holder {
  uint64_t task;    /* a thread: its number, and when it started */
  uint32_t process; /* which that thread is of */
  uint32_t part;    /* SHMX_HOLDS ... */
  uint32_t count;   /* how often: permits */
  bool lives;
} shmx_holder;

/* All zero is an empty list. */
typedef struct shmx_holders {
  shmx_holder list[SHMX_HOLDERS_MAX];
  uint32_t count, more; /* in the list; and of those that have no place there */
  bool waited;          /* others may sleep until they can have it */
} shmx_holders;

/* Adds a thread: 0, and what is none, is left out. kill(2), /proc. */
SHMX_API void shmx_holders_add(shmx_holders *holders, uint64_t task, uint32_t part);

/* "holds" ... "serves". The string is static. */
SHMX_API const char *shmx_part_name(uint32_t part);

SHMX_END_DECLS

#endif
