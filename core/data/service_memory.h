/* service_memory.h: what callers and servers of a service share: its layout, slots and turns. */
#ifndef SHMX_DATA_SERVICE_MEMORY_H
#define SHMX_DATA_SERVICE_MEMORY_H

#include "data/service.h"
#include "os/clock.h"
#include "sync/event.h"
#include "sync/lock.h"

#include <stddef.h>
#include <string.h>

/* What stands before a request in the channel. */
struct prefix {
  uint64_t number;
  uint32_t slot, unused;
};
_Static_assert(sizeof(struct prefix) == SHMX_REQUEST_HEAD, "the layout in memory");

enum { IDLE, WAITING, TAKEN, DONE };

/* A caller's place. All but `caller` and `number` changes within the lock, and `number` by nobody
 * but the caller. */
struct slot {
  _Atomic shmx_task caller; /* whose it is; 0: nobody's */
  struct shmx_lock lock;
  _Atomic uint64_t number; /* of its call: a request or reply with another is too late */
  _Atomic uint64_t state;
  _Atomic shmx_task server; /* who has taken the request */
  struct shmx_event changed;
  _Atomic uint32_t length, tag;
  unsigned char unused[4];
  _Atomic uint64_t began; /* when the call did */
  unsigned char reply[];
};
_Static_assert(offsetof(struct slot, reply) == 64, "the layout in memory");

struct shmx_service_memory {
  struct shmx_event freed; /* a slot was */
  unsigned char unused[60];
  unsigned char slots[]; /* SHMX_CALLERS of them, then the channel */
};

static inline uint64_t slot_size(uint64_t limit) {
  return sizeof(struct slot) + limit;
}

static inline struct slot *slot_at(const shmx_service *service, uint32_t slot) {
  return (struct slot *)(void *)(service->memory->slots + slot * slot_size(service->limit));
}

#define load(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define store(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

/* Within, each state of a slot is whole: who died in it has left an older one. */
static inline int enter(shmx_service *service, struct slot *slot, int64_t deadline) {
  int status = shmx_lock_enter(&slot->lock, deadline);
  if (status == 0 || status == -EOWNERDEAD) return 0;
  service->held_by = shmx_lock_holder(&slot->lock);
  return status;
}

static inline void set_state(struct slot *slot, uint64_t state) {
  /* Release pairs with the acquire in state_of. */
  atomic_store_explicit(&slot->state, state, memory_order_release);
  shmx_event_notify(&slot->changed);
}

static inline uint64_t state_of(const struct slot *slot) {
  return atomic_load_explicit(&slot->state, memory_order_acquire);
}

/* ---- turns at the channel ---- */

/* Until when to wait there, if a turn of another is in the way. */
static inline int64_t turn_deadline(int64_t deadline) {
  return deadline != SHMX_FOREVER ? deadline : shmx_clock_now() + SHMX_LOCK_TIMEOUT;
}

/* Has this attempt failed because another had the turn at the end? Notes who that was. */
static inline bool has_missed(shmx_service *service, int end, int status) {
  const shmx_channel *requests = &service->requests;
  if (status != -ETIMEDOUT && status != -EINTR) return false;
  bool missed = end == SHMX_PRODUCER ? requests->producer.missed : requests->consumer.missed;
  service->held_by = missed ? shmx_channel_holder(requests, end) : 0;
  return missed;
}

/* Is it to be made again? Without a deadline, nobody waits too long for room or for a request. */
static inline bool goes_on(shmx_service *service, int end, int status, int64_t deadline) {
  return !has_missed(service, end, status) && status == -ETIMEDOUT && deadline == SHMX_FOREVER;
}

#endif
