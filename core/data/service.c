/*
 * service.c: calls. A request in the channel names the slot of its caller and the number of the
 * call; whatever does not fit the slot any more is passed over. Touches sync, os, base.
 */
#include "data/service.h"
#include "os/clock.h"
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

void shmx_service_spin(shmx_service *service, uint32_t most) {
  shmx_spin_open(&service->spin, most);
  shmx_channel_spin(&service->requests, most);
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

/* Within, each state of a slot is whole: who died in it has left an older one. */
static int enter(shmx_service *service, struct slot *slot, int64_t deadline) {
  int status = shmx_lock_enter(&slot->lock, deadline);
  if (status == 0 || status == -EOWNERDEAD) return 0;
  service->held_by = shmx_lock_holder(&slot->lock);
  return status;
}

/* ---- turns at the channel ---- */

/* Until when to wait there, if a turn of another is in the way. */
static int64_t turn_deadline(int64_t deadline) {
  return deadline != SHMX_FOREVER ? deadline : shmx_clock_now() + SHMX_LOCK_TIMEOUT;
}

/* Has this attempt failed because another had the turn at the end? Notes who that was. */
static bool has_missed(shmx_service *service, int end, int status) {
  const shmx_channel *requests = &service->requests;
  if (status != -ETIMEDOUT && status != -EINTR) return false;
  bool missed = end == SHMX_PRODUCER ? requests->producer.missed : requests->consumer.missed;
  service->held_by = missed ? shmx_channel_holder(requests, end) : 0;
  return missed;
}

/* Is it to be made again? Without a deadline, nobody waits too long for room or for a request. */
static bool goes_on(shmx_service *service, int end, int status, int64_t deadline) {
  return !has_missed(service, end, status) && status == -ETIMEDOUT && deadline == SHMX_FOREVER;
}

static int reserve(shmx_service *service, uint32_t length, void **data, int64_t deadline) {
  int status;
  do
    status = shmx_channel_reserve(&service->requests, length, data, turn_deadline(deadline));
  while (goes_on(service, SHMX_PRODUCER, status, deadline));
  return status;
}

static int peek(shmx_service *service, shmx_message *message, int64_t deadline) {
  int status;
  do
    status = shmx_channel_peek(&service->requests, message, turn_deadline(deadline));
  while (goes_on(service, SHMX_CONSUMER, status, deadline));
  return status;
}

static int copy(shmx_service *service, void *buffer, size_t room, shmx_message *message,
                shmx_copied *copied, int64_t deadline) {
  int status;
  do
    status = shmx_channel_copy(&service->requests, buffer, room, message, copied,
                               turn_deadline(deadline));
  while (goes_on(service, SHMX_CONSUMER, status, deadline));
  return status;
}

static int consume(shmx_service *service, const shmx_copied *copied, int64_t deadline) {
  int status = shmx_channel_consume(&service->requests, copied, turn_deadline(deadline));
  has_missed(service, SHMX_CONSUMER, status);
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

static void set_state(struct slot *slot, uint64_t state) {
  /* Release pairs with the acquire in state_of. */
  atomic_store_explicit(&slot->state, state, memory_order_release);
  shmx_event_notify(&slot->changed);
}

static uint64_t state_of(const struct slot *slot) {
  return atomic_load_explicit(&slot->state, memory_order_acquire);
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

/* ---- serving ---- */

/* Is this the call that the slot has? Also without the lock: the number of a call that was given up
 * never comes again. */
static bool is_wanted(const struct slot *slot, uint64_t number) {
  return load(slot->number) == number && load(slot->caller) != 0;
}

/* Puts our name on the call, unless it was given up, or another has it. */
static int put_name(shmx_service *service, const shmx_request *request, int64_t deadline) {
  struct slot *slot = slot_at(service, request->slot);
  uint64_t number = request->number;
  if (!is_wanted(slot, number)) return -ECANCELED;
  int status = enter(service, slot, deadline);
  if (status != 0) return status;
  uint64_t state = state_of(slot);
  bool orphan = state == TAKEN && !shmx_task_lives(load(slot->server));
  if (is_wanted(slot, number) && (state == WAITING || orphan)) {
    store(slot->server, shmx_self()->task);
    set_state(slot, TAKEN);
  } else {
    status = -ECANCELED;
  }
  shmx_lock_leave(&slot->lock);
  return status;
}

/* A message of the channel as a request, whose bytes are in the message. -EBADMSG: it is none. */
static int read_request(const shmx_service *service, const shmx_message *message,
                        shmx_request *request) {
  struct prefix prefix;
  uint32_t length = message->length - (uint32_t)sizeof prefix;
  if (message->length < sizeof prefix || length > service->limit) return -EBADMSG;
  memcpy(&prefix, message->data, sizeof prefix);
  if (prefix.slot >= SHMX_CALLERS) return -EBADMSG;
  const unsigned char *bytes = (const unsigned char *)message->data + sizeof prefix;
  *request = (shmx_request){
      .message = {bytes, length, message->tag}, .number = prefix.number, .slot = prefix.slot};
  return 0;
}

/* The request that lies in the channel: copied, and then taken with our name on it. Killed between,
 * it lies there still, with a dead server's name. */
static int accept(shmx_service *service, const shmx_message *message, void *buffer,
                  shmx_request *request, int64_t deadline) {
  int status = read_request(service, message, request);
  if (status != 0) return status;
  memcpy(buffer, request->message.data, request->message.length);
  request->message.data = buffer;
  return put_name(service, request, deadline);
}

/* Of the request that is next: what is taken, given up or damaged leaves the channel; what we could
 * not look into stays. */
static int take_next(shmx_service *service, void *buffer, shmx_request *request, int64_t deadline) {
  shmx_message message;
  int status = peek(service, &message, deadline);
  if (status != 0) return status;
  status = accept(service, &message, buffer, request, deadline);
  if (status == 0 || status == -ECANCELED || status == -EBADMSG)
    shmx_channel_release(&service->requests);
  else
    shmx_channel_unpeek(&service->requests);
  return status;
}

/* Passes over what was given up; but not for ever, should others send more of it all the time. */
int shmx_service_take(shmx_service *service, void *buffer, shmx_request *request,
                      int64_t deadline) {
  int64_t last = 0;
  service->held_by = 0;
  for (;;) {
    int status = take_next(service, buffer, request, deadline);
    if (status != -ECANCELED) return status;
    int64_t now = shmx_clock_now();
    if (last == 0) last = now + SHMX_SLICE;
    if (now >= last && now >= deadline) return -ETIMEDOUT;
  }
}

/* The next request, also one that nobody waits for. What is damaged, or too long for any buffer, is
 * taken out: -EBADMSG. */
static int copy_next(shmx_service *service, void *buffer, size_t room, shmx_request *request,
                     shmx_copied *copied, int64_t deadline) {
  shmx_message message;
  int status = copy(service, buffer, room, &message, copied, deadline);
  if (status != 0 && status != -EMSGSIZE) return status;
  bool too_long = message.length > service->limit + sizeof(struct prefix);
  if (status == -EMSGSIZE && !too_long) return request->message.length = message.length, status;
  status = too_long ? -EBADMSG : read_request(service, &message, request);
  if (status == 0) return 0;
  int consumed = consume(service, copied, deadline);
  return consumed == 0 ? status : consumed;
}

int shmx_service_copy(shmx_service *service, void *buffer, size_t room, shmx_request *request,
                      shmx_copied *copied, int64_t deadline) {
  int64_t last = 0;
  service->held_by = 0;
  for (;;) {
    int status = copy_next(service, buffer, room, request, copied, deadline);
    if (status == 0 && !is_wanted(slot_at(service, request->slot), request->number))
      status = consume(service, copied, deadline);
    else if (status != -EAGAIN)
      return status;
    if (status != 0 && status != -EAGAIN) return status;
    int64_t now = shmx_clock_now();
    if (last == 0) last = now + SHMX_SLICE;
    if (now >= last && now >= deadline) return -ETIMEDOUT;
  }
}

/* Once our name is on the request, it is ours, whoever takes it out of the channel: another server
 * that comes to it there passes over it, unless we have died. */
int shmx_service_accept(shmx_service *service, const shmx_request *request,
                        const shmx_copied *copied, int64_t deadline) {
  int status = put_name(service, request, deadline);
  if (status != 0 && status != -ECANCELED) return status;
  shmx_channel_consume(&service->requests, copied, 0);
  return status;
}

/* Seeing whether a caller lives costs more than a call that is answered at once. */
#define CERTAINLY_ALIVE ((uint64_t)SHMX_SECOND / 10000)

static bool is_awaited(const struct slot *slot, uint64_t number) {
  if (!is_wanted(slot, number)) return false;
  uint64_t age = (uint64_t)shmx_clock_now() - load(slot->began);
  return age < CERTAINLY_ALIVE || shmx_task_lives(load(slot->caller));
}

/* In the slot. While we copied, or were stopped, the caller may have given up. */
static int put_reply(struct slot *slot, uint64_t number, const shmx_message *reply) {
  bool ours =
      is_wanted(slot, number) && state_of(slot) == TAKEN && load(slot->server) == shmx_self()->task;
  if (!ours) return -ECANCELED;
  if (reply->length != 0) memcpy(slot->reply, reply->data, reply->length);
  store(slot->length, reply->length);
  store(slot->tag, reply->tag);
  if (!is_wanted(slot, number)) return -ECANCELED;
  set_state(slot, DONE);
  return 0;
}

int shmx_service_reply(shmx_service *service, const shmx_request *request,
                       const shmx_message *reply) {
  struct slot *slot = slot_at(service, request->slot);
  if (reply->length > service->limit) return -EMSGSIZE;
  if (!is_awaited(slot, request->number)) return -ECANCELED;
  int status = enter(service, slot, 0);
  if (status != 0) return status;
  status = put_reply(slot, request->number, reply);
  shmx_lock_leave(&slot->lock);
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
