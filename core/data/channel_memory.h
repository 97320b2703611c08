/*
 * channel_memory.h: what a channel has in shared memory, and what both its ends do with it: wait
 * for the other. Touches sync, os, base.
 */
#ifndef SHMX_DATA_CHANNEL_MEMORY_H
#define SHMX_DATA_CHANNEL_MEMORY_H

#include "data/await.h"
#include "data/channel.h"
#include "data/end.h"
#include "data/ring.h"

struct shmx_channel_memory {
  struct shmx_end producer, consumer;
  struct shmx_event readable, writable; /* written only by who sleeps or wakes */
  _Atomic uint32_t finished;
  unsigned char unused[52];
  unsigned char ring[];
};
_Static_assert(offsetof(struct shmx_channel_memory, ring) == 320, "the layout in memory");

static inline bool shmx_channel_is_finished(const struct shmx_channel_memory *memory) {
  return atomic_load_explicit(&memory->finished, memory_order_acquire) != 0;
}

/* Is there something to receive, or never again? */
static inline bool shmx_channel_is_readable(const struct shmx_channel_memory *memory) {
  return shmx_end_index(&memory->producer) != shmx_end_index(&memory->consumer) ||
         shmx_channel_is_finished(memory);
}

/* Waits for an end to pass `seen`, or for the channel to be finished, also for nothing. */
static inline int shmx_channel_wait(shmx_channel *channel, struct shmx_event *event,
                                    const struct shmx_end *end, uint64_t seen, int64_t deadline) {
  const struct shmx_awaited awaited = {&end->index, &channel->memory->finished, event,
                                       &end->claimed};
  channel->producer.missed = channel->consumer.missed = false;
  return shmx_await(&awaited, seen, &channel->spin, deadline);
}

/* There is nothing for this handle to receive now: its descriptor, if there is one, says so. */
void shmx_channel_rearm(const shmx_channel *channel);

#endif
