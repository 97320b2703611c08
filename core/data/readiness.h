/*
 * readiness.h: a descriptor for event loops that polls readable while there is something to
 * receive. A thread of this process sleeps on the event in shared memory in its stead. So nothing
 * of it is shared, and the death of others does not touch it. Touches sync, os, base.
 */
#ifndef SHMX_DATA_READINESS_H
#define SHMX_DATA_READINESS_H

#include "sync/event.h"

#include <stdbool.h>

struct shmx_readiness;

/* Is there something to receive? Runs in the thread; `context` is memory that others write to. */
typedef bool shmx_is_ready(const void *context, uint64_t seen);

/* Starts to watch. `seen` is what `is_ready` is given until the next rearm. */
int shmx_readiness_start(struct shmx_readiness **readiness, struct shmx_event *event,
                         shmx_is_ready *is_ready, const void *context, uint64_t seen);

/* The descriptor, unless this is a forked child, which has no such thread: -1. */
int shmx_readiness_fd(const struct shmx_readiness *readiness);

/* Something was received, or nothing was there: readable from now on only if more comes. */
void shmx_readiness_rearm(struct shmx_readiness *readiness, uint64_t seen);

/* Ends the thread and closes the descriptor. NULL is allowed. */
void shmx_readiness_stop(struct shmx_readiness *readiness);

#endif
