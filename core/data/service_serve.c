/*
 * service_serve.c: the serving end of calls: requests are taken out of the channel, and replies put
 * into their callers' slots.
 */
#include "data/service_memory.h"

/* ---- the channel ---- */

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

/* ---- requests ---- */

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
