/*
 * service.c: calls. A request in the channel names the slot of its caller and the number of the
 * call; whatever does not fit the slot any more is passed over. Touches sync, os, base.
 */
#include "data/service.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/spin.h"

#include <stddef.h>
#include <string.h>

/* What stands before a request in the channel. */
struct prefix {
  uint64_t number;
  uint32_t slot, unused;
};

enum { IDLE, WAITING, TAKEN, DONE };

/* A caller's place. All but `caller` changes within the lock. */
struct slot {
  _Atomic shmx_task caller; /* whose it is; 0: nobody's */
  struct shmx_lock lock;
  _Atomic uint64_t number; /* of its call: a request or reply with another is too late */
  _Atomic uint64_t state;
  _Atomic shmx_task server; /* who has taken the request */
  struct shmx_event changed;
  _Atomic uint32_t length, tag;
  unsigned char unused[12];
  unsigned char reply[];
};
_Static_assert(offsetof(struct slot, reply) == 64, "the layout in memory");

struct shmx_service_memory {
  struct shmx_event freed; /* a slot was */
  unsigned char unused[60];
  unsigned char slots[]; /* SHMX_CALLERS of them, then the channel */
};

/* ---- geometry ---- */

static uint64_t slot_size(uint64_t limit) {
  return sizeof(struct slot) + limit;
}

static uint64_t channel_offset(uint64_t limit) {
  return sizeof(struct shmx_service_memory) + SHMX_CALLERS * slot_size(limit);
}

/* Requests of the largest size for several callers. */
static uint64_t ring_capacity(uint64_t limit) {
  return shmx_channel_capacity(8 * (limit + sizeof(struct prefix)));
}

shmx_kind shmx_service_kind(uint64_t limit) {
  uint64_t ring = shmx_channel_kind(ring_capacity(limit)).size;
  shmx_kind kind = shmx_kind_of(SHMX_KIND_SERVICE, channel_offset(limit) + ring, 1, limit);
  kind.size -= limit; /* it is in the head, already */
  return kind;
}

void shmx_service_open(shmx_service *service, void *memory, uint64_t limit) {
  *service = (shmx_service){.memory = memory, .limit = limit};
  unsigned char *channel = (unsigned char *)memory + channel_offset(limit);
  shmx_channel_open(&service->requests, channel, ring_capacity(limit));
  shmx_spin_open(&service->spin, SHMX_SPIN_MOST);
}

void shmx_service_close(shmx_service *service) {
  shmx_channel_close(&service->requests);
  service->memory = NULL;
}

static struct slot *slot_at(const shmx_service *service, uint32_t slot) {
  return (struct slot *)(void *)(service->memory->slots + slot * slot_size(service->limit));
}

#define load(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define store(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

/* Signals, however often they come, do not add to the patience. */
static int enter_patiently(struct slot *slot, int64_t deadline) {
  int64_t last = shmx_clock_now() + SHMX_PATIENCE;
  if (deadline < last) last = deadline;
  while (shmx_clock_now() < last) {
    int status = shmx_lock_enter(&slot->lock, last);
    if (status != -EINTR) return status;
  }
  return -ETIMEDOUT;
}

/* Within, each state of a slot is whole: who died in it has left an older one. */
static int enter(struct slot *slot, int64_t deadline) {
  int status = shmx_lock_enter(&slot->lock, 0); /* for a slice */
  if (status == -EINTR || status == -ETIMEDOUT) status = enter_patiently(slot, deadline);
  return status == -EOWNERDEAD ? 0 : status;
}

/* ---- calling ---- */

/* A slot that is nobody's, or a dead caller's. */
static bool find_slot(const shmx_service *service, bool of_the_dead, uint32_t *found) {
  shmx_task self = shmx_self()->task;
  for (*found = 0; *found < SHMX_CALLERS; ++*found) {
    struct slot *slot = slot_at(service, *found);
    shmx_task caller = load(slot->caller);
    if (caller != 0 && !(of_the_dead && !shmx_task_lives(caller))) continue;
    if (atomic_compare_exchange_strong_explicit(&slot->caller, &caller, self, memory_order_acquire,
                                                memory_order_relaxed))
      return true;
  }
  return false;
}

static int take_slot(const shmx_service *service, int64_t deadline, uint32_t *slot) {
  struct shmx_event *freed = &service->memory->freed;
  for (bool of_the_dead = false;; of_the_dead = true) {
    uint32_t ticket = shmx_event_prepare(freed);
    if (find_slot(service, of_the_dead, slot)) return 0;
    if (!of_the_dead) continue;
    if (shmx_clock_now() >= deadline) return -ETIMEDOUT;
    int status = shmx_event_wait(freed, ticket, deadline);
    if (status != 0) return status;
  }
}

static void set_state(struct slot *slot, uint64_t state) {
  /* Release pairs with the acquire in state_of. */
  atomic_store_explicit(&slot->state, state, memory_order_release);
  shmx_event_notify(&slot->changed);
}

static uint64_t state_of(const struct slot *slot) {
  return atomic_load_explicit(&slot->state, memory_order_acquire);
}

/* A new number makes what belongs to the old one come too late. */
static int renew(struct slot *slot, uint64_t state, int64_t deadline, uint64_t *number) {
  int status = enter(slot, deadline);
  if (status != 0) return status;
  *number = load(slot->number) + 1;
  store(slot->number, *number);
  store(slot->server, 0);
  set_state(slot, state);
  shmx_lock_leave(&slot->lock);
  return 0;
}

static int send(shmx_service *service, const shmx_request *call, int64_t deadline) {
  struct prefix prefix = {call->number, call->slot, 0};
  const shmx_message *message = &call->message;
  uint32_t length = (uint32_t)sizeof prefix + message->length;
  void *data;
  int status = shmx_channel_reserve(&service->requests, length, &data, deadline);
  if (status != 0) return status;
  memcpy(data, &prefix, sizeof prefix);
  if (message->length != 0)
    memcpy((unsigned char *)data + sizeof prefix, message->data, message->length);
  return shmx_channel_commit(&service->requests, length, message->tag);
}

int shmx_service_begin(shmx_service *service, const shmx_message *message, int64_t deadline,
                       shmx_request *call) {
  if (message->length > service->limit) return -EMSGSIZE;
  *call = (shmx_request){.message = *message};
  int status = take_slot(service, deadline, &call->slot);
  if (status != 0) return status;
  status = renew(slot_at(service, call->slot), WAITING, deadline, &call->number);
  if (status == 0) status = send(service, call, deadline);
  if (status != 0) shmx_service_end(service, call);
  return status;
}

void shmx_service_end(shmx_service *service, const shmx_request *call) {
  struct slot *slot = slot_at(service, call->slot);
  uint64_t number;
  renew(slot, IDLE, 0, &number); /* if it cannot be: the next caller does it */
  atomic_store_explicit(&slot->caller, 0, memory_order_release);
  shmx_event_notify(&service->memory->freed);
}

/* Has the server that took the request died? Nobody else changes a slot that is taken. */
static bool is_orphan(struct slot *slot) {
  return state_of(slot) == TAKEN && !shmx_task_lives(load(slot->server)) && state_of(slot) == TAKEN;
}

static int copy_reply(const shmx_service *service, struct slot *slot, void *buffer,
                      shmx_message *reply) {
  uint32_t length = load(slot->length);
  if (length > service->limit) return -EBADMSG;
  memcpy(buffer, slot->reply, length);
  *reply = (shmx_message){buffer, length, load(slot->tag)};
  return 0;
}

int shmx_service_await(shmx_service *service, const shmx_request *call, void *buffer,
                       shmx_message *reply, int64_t deadline) {
  struct slot *slot = slot_at(service, call->slot);
  int64_t look = 0;
  for (;;) {
    uint64_t state = state_of(slot);
    if (state == DONE) return copy_reply(service, slot, buffer, reply);
    int64_t start = shmx_clock_now();
    if (look == 0) look = start + SHMX_FIRST_SLICE;
    if (start < deadline && shmx_spin_while(&service->spin, &slot->state, state)) continue;
    uint32_t ticket = shmx_event_prepare(&slot->changed);
    if (state_of(slot) != state && start < deadline) continue;
    int status = shmx_event_wait(&slot->changed, ticket, look < deadline ? look : deadline);
    int64_t now = shmx_clock_now();
    shmx_spin_slept(&service->spin, now - start);
    if (status != 0 && status != -ETIMEDOUT) return status;
    if (now >= look && is_orphan(slot)) return -EOWNERDEAD;
    if (now >= look) look = now + SHMX_SLICE;
    if (now < deadline) continue;
    return state_of(slot) == DONE ? copy_reply(service, slot, buffer, reply) : -ETIMEDOUT;
  }
}

int shmx_service_call(shmx_service *service, const shmx_message *request, void *buffer,
                      shmx_message *reply, int64_t deadline) {
  shmx_request call;
  int status = shmx_service_begin(service, request, deadline, &call);
  if (status != 0) return status;
  status = shmx_service_await(service, &call, buffer, reply, deadline);
  shmx_service_end(service, &call);
  return status;
}

/* ---- serving ---- */

/* Puts our name on the call, unless it was given up, or another has it. */
static int put_name(struct slot *slot, uint64_t number, int64_t deadline) {
  int status = enter(slot, deadline);
  if (status != 0) return status;
  uint64_t state = state_of(slot);
  bool orphan = state == TAKEN && !shmx_task_lives(load(slot->server));
  if (load(slot->number) == number && (state == WAITING || orphan)) {
    store(slot->server, shmx_self()->task);
    set_state(slot, TAKEN);
  } else {
    status = -ECANCELED;
  }
  shmx_lock_leave(&slot->lock);
  return status;
}

/* The request that lies in the channel: copied, and then taken with our name on it. Killed between,
 * it lies there still, with a dead server's name. */
static int accept(shmx_service *service, const shmx_message *message, void *buffer,
                  shmx_request *request, int64_t deadline) {
  struct prefix prefix;
  uint32_t length = message->length - (uint32_t)sizeof prefix;
  if (message->length < sizeof prefix || length > service->limit) return -EBADMSG;
  memcpy(&prefix, message->data, sizeof prefix);
  if (prefix.slot >= SHMX_CALLERS) return -EBADMSG;
  memcpy(buffer, (const unsigned char *)message->data + sizeof prefix, length);
  *request = (shmx_request){{buffer, length, message->tag}, prefix.number, prefix.slot};
  return put_name(slot_at(service, prefix.slot), prefix.number, deadline);
}

int shmx_service_take(shmx_service *service, void *buffer, shmx_request *request,
                      int64_t deadline) {
  shmx_message message;
  int64_t last = 0; /* for passing over, however many others commit meanwhile */
  for (;;) {
    int status = shmx_channel_peek(&service->requests, &message, deadline);
    if (status != 0) return status;
    /* Patiently: a request that is released and not taken would be lost. */
    status = accept(service, &message, buffer, request, SHMX_FOREVER);
    shmx_channel_release(&service->requests);
    if (status != -ECANCELED) return status;
    int64_t now = shmx_clock_now();
    if (last == 0) last = now + SHMX_SLICE;
    if (now >= last && now >= deadline) return -ETIMEDOUT;
  }
}

int shmx_service_reply(shmx_service *service, const shmx_request *request,
                       const shmx_message *reply) {
  struct slot *slot = slot_at(service, request->slot);
  if (reply->length > service->limit) return -EMSGSIZE;
  int status = enter(slot, SHMX_FOREVER);
  if (status != 0) return status;
  bool wanted = load(slot->number) == request->number && state_of(slot) == TAKEN &&
                load(slot->server) == shmx_self()->task;
  if (wanted) {
    if (reply->length != 0) memcpy(slot->reply, reply->data, reply->length);
    store(slot->length, reply->length);
    store(slot->tag, reply->tag);
    set_state(slot, DONE);
  }
  shmx_lock_leave(&slot->lock);
  return wanted ? 0 : -ECANCELED;
}

int shmx_service_finish(shmx_service *service, int64_t deadline) {
  return shmx_channel_finish(&service->requests, deadline);
}
