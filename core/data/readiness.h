/*
 * readiness.h: a descriptor for event loops that polls readable while there is something to
 * receive. A thread of this process sleeps on the event in shared memory in its stead. So nothing
 * of it is shared, and the death of others does not touch it. Touches sync, os, base.
 */
#ifndef SHMX_DATA_READINESS_H
#define SHMX_DATA_READINESS_H

#include "os/process.h"
#include "sync/event.h"

struct shmx_readiness;

enum shmx_ready {
  SHMX_NOT_READY, /* until the event is notified */
  SHMX_HELD,      /* there is something, but another consumer holds the end */
  SHMX_READY
};

/* Is there something to receive? Runs in the thread. `context` is memory that others write to; an
 * end that `own` holds is free for this handle. */
typedef enum shmx_ready shmx_is_ready(const void *context, shmx_task own);

/* Starts to watch. */
int shmx_readiness_start(struct shmx_readiness **readiness, struct shmx_event *event,
                         shmx_is_ready *is_ready, const void *context, shmx_task own);

/* The descriptor, unless this is a forked child, which has no such thread: -1. */
int shmx_readiness_fd(const struct shmx_readiness *readiness);

/* The handle has nothing to receive for now: the descriptor is not readable until the thread finds
 * something. The caller has just looked, and need not look again. */
void shmx_readiness_rearm(struct shmx_readiness *readiness, shmx_task own);

/* Ends the thread and closes the descriptor. NULL is allowed. */
void shmx_readiness_stop(struct shmx_readiness *readiness);

#endif
