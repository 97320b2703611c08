/*
 * service.c: calls. A request in the channel names the slot of its caller and the number of the
 * call; whatever does not fit the slot any more is passed over. Touches sync, os, base.
 */
#include "data/service_memory.h"
#include "sync/spin.h"

/* ---- geometry ---- */

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

void shmx_service_spin(shmx_service *service, uint32_t most) {
  shmx_spin_open(&service->spin, most);
  shmx_channel_spin(&service->requests, most);
}

void shmx_service_close(shmx_service *service) {
  shmx_channel_close(&service->requests);
  service->memory = NULL;
}

static int reserve(shmx_service *service, uint32_t length, void **data, int64_t deadline) {
  int status;
  do
    status = shmx_channel_reserve(&service->requests, length, data, turn_deadline(deadline));
  while (goes_on(service, SHMX_PRODUCER, status, deadline));
  return status;
}

/* ---- calling ---- */

/* A slot that is nobody's and in which nobody is; in need, also a dead caller's, or one in which a
 * server is late, and perhaps stopped. */
static bool find_slot(const shmx_service *service, bool in_need, uint32_t *found) {
  shmx_task self = shmx_self()->task;
  for (*found = 0; *found < SHMX_CALLERS; ++*found) {
    struct slot *slot = slot_at(service, *found);
    shmx_task caller = load(slot->caller);
    if (caller != 0 && !(in_need && !shmx_task_lives(caller))) continue;
    if (!in_need && shmx_lock_owner(&slot->lock) != 0) continue;
    if (atomic_compare_exchange_strong_explicit(&slot->caller, &caller, self, memory_order_acquire,
                                                memory_order_relaxed))
      return true;
  }
  return false;
}

static int take_slot(const shmx_service *service, int64_t deadline, uint32_t *slot) {
  struct shmx_event *freed = &service->memory->freed;
  if (find_slot(service, false, slot)) return 0;
  for (;;) {
    bool late = shmx_clock_now() >= deadline;
    uint32_t ticket = shmx_event_prepare(freed);
    if (find_slot(service, true, slot)) return 0;
    if (late) return -ETIMEDOUT;
    int status = shmx_event_wait(freed, ticket, deadline);
    if (status != 0 && status != -ETIMEDOUT) return status;
  }
}

/* A new number makes what belongs to the old one come too late, even where a server is stopped in
 * the slot; the state is for who comes after that. */
static int renew(shmx_service *service, uint64_t state, int64_t deadline, shmx_request *call) {
  struct slot *slot = slot_at(service, call->slot);
  call->number = load(slot->number) + 1;
  store(slot->number, call->number);
  int status = enter(service, slot, deadline);
  if (status != 0) return status;
  store(slot->server, 0);
  store(slot->began, (uint64_t)call->began);
  set_state(slot, state);
  shmx_lock_leave(&slot->lock);
  return 0;
}

/* From now on another may call from it. */
static void leave_slot(const shmx_service *service, uint32_t slot) {
  atomic_store_explicit(&slot_at(service, slot)->caller, 0, memory_order_release);
  shmx_event_notify(&service->memory->freed);
}

/* Should the state not be had: the next caller renews it. */
static void free_slot(shmx_service *service, uint32_t slot) {
  shmx_request nothing = {.slot = slot};
  renew(service, IDLE, 0, &nothing);
  leave_slot(service, slot);
}

/* Is this call still in its slot, and this thread's? */
static bool is_ours(const shmx_service *service, const shmx_request *call) {
  const struct slot *slot = slot_at(service, call->slot);
  return load(slot->number) == call->number && load(slot->caller) == shmx_self()->task;
}

static int send(shmx_service *service, const shmx_request *call, int64_t deadline) {
  struct prefix prefix = {call->number, call->slot, 0};
  const shmx_message *message = &call->message;
  uint32_t length = (uint32_t)sizeof prefix + message->length;
  void *data;
  int status = reserve(service, length, &data, deadline);
  if (status != 0) return status;
  memcpy(data, &prefix, sizeof prefix);
  if (message->length != 0)
    memcpy((unsigned char *)data + sizeof prefix, message->data, message->length);
  return shmx_channel_commit(&service->requests, length, message->tag);
}

int shmx_service_begin(shmx_service *service, const shmx_message *message, int64_t deadline,
                       shmx_request *call) {
  if (message->length > service->limit) return -EMSGSIZE;
  *call = (shmx_request){.message = *message, .began = shmx_clock_now()};
  service->held_by = 0;
  int status = take_slot(service, deadline, &call->slot);
  if (status != 0) return status;
  status = renew(service, WAITING, deadline, call);
  if (status != 0) {
    leave_slot(service, call->slot);
    return status;
  }
  status = send(service, call, deadline);
  if (status != 0) free_slot(service, call->slot);
  return status;
}

void shmx_service_end(shmx_service *service, const shmx_request *call) {
  if (is_ours(service, call)) free_slot(service, call->slot);
}

/* Has the server that took the request died, and no other taken it since? */
static bool is_orphan(const struct slot *slot) {
  shmx_task server = load(slot->server);
  return state_of(slot) == TAKEN && !shmx_task_lives(server) && state_of(slot) == TAKEN &&
         load(slot->server) == server;
}

static int copy_reply(const shmx_service *service, struct slot *slot, void *buffer,
                      shmx_message *reply) {
  uint32_t length = load(slot->length);
  if (length > service->limit) return -EBADMSG;
  memcpy(buffer, slot->reply, length);
  *reply = (shmx_message){buffer, length, load(slot->tag)};
  return 0;
}

/* Until the state is another, or it is time to look around; returns 0 also for nothing. */
static int wait_for(shmx_service *service, struct slot *slot, uint64_t state, int64_t until) {
  if (shmx_spin_while(&service->spin, &slot->state, state)) return 0;
  uint32_t ticket = shmx_event_prepare(&slot->changed);
  if (state_of(slot) != state) return 0;
  int status = shmx_event_wait(&slot->changed, ticket, until);
  return status == -ETIMEDOUT ? 0 : status;
}

int shmx_service_await(shmx_service *service, const shmx_request *call, void *buffer,
                       shmx_message *reply, int64_t deadline) {
  struct slot *slot = slot_at(service, call->slot);
  int64_t look = call->began + SHMX_FIRST_SLICE;
  for (;;) {
    uint64_t state = state_of(slot);
    if (!is_ours(service, call)) return -ECANCELED;
    if (state == DONE) return copy_reply(service, slot, buffer, reply);
    int64_t now = shmx_clock_now();
    if (now >= look) {
      if (is_orphan(slot)) return -EOWNERDEAD;
      look = now + SHMX_SLICE;
    }
    if (now >= deadline) return -ETIMEDOUT;
    int status = wait_for(service, slot, state, look < deadline ? look : deadline);
    if (status != 0) return status;
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

int shmx_service_finish(shmx_service *service, int64_t deadline) {
  int status = shmx_channel_finish(&service->requests, deadline);
  has_missed(service, SHMX_PRODUCER, status);
  return status;
}

void shmx_service_holders(const shmx_service *service, shmx_holders *holders) {
  for (uint32_t number = 0; number < SHMX_CALLERS; number++) {
    const struct slot *slot = slot_at(service, number);
    uint64_t state = load(slot->state);
    if (state == WAITING || state == TAKEN)
      shmx_holders_add(holders, load(slot->caller), SHMX_CALLS);
    if (state == TAKEN) shmx_holders_add(holders, load(slot->server), SHMX_SERVES);
  }
  shmx_channel_holders(&service->requests, holders);
}
