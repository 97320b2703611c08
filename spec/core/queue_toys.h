/*
 * queue_toys.h: a channel, a topic or a service, and every operation on it by number: toys.h checks
 * each, and here, that what it gives out is within the queue's memory or the caller's.
 */
#ifndef SPEC_CORE_QUEUE_TOYS_H
#define SPEC_CORE_QUEUE_TOYS_H

#include "buffer.h"

#include "sync/spin.h"

enum { CHANNEL, TOPIC, SERVICE, KINDS };

enum { LOOKS = 4 };

/* A handle of one of them; and what it has begun. */
struct toys {
  int kind;
  uint64_t parameter; /* capacity of the ring; of a service, limit of a message */
  unsigned char *memory;
  size_t size;
  shmx_channel channel;
  shmx_topic topic;
  shmx_subscription subscription;
  shmx_service service;
  shmx_request call, taken;
  bool subscribed, calling, serving;
};

static inline shmx_kind queue_kind(int kind, uint64_t parameter) {
  if (kind == CHANNEL) return shmx_channel_kind(parameter);
  return kind == TOPIC ? shmx_topic_kind(parameter) : shmx_service_kind(parameter);
}

static inline void open_queue(struct toys *all) {
  all->subscribed = all->calling = all->serving = false;
  shmx_topic_open(&all->topic, all->memory, all->parameter);
  if (all->kind == CHANNEL) shmx_channel_open(&all->channel, all->memory, all->parameter);
  if (all->kind == SERVICE) shmx_service_open(&all->service, all->memory, all->parameter);
  shmx_channel_spin(&all->channel, LOOKS);
  shmx_channel_spin(&all->service.requests, LOOKS);
  shmx_spin_open(&all->service.spin, LOOKS);
}

static inline void close_queue(struct toys *all) {
  shmx_channel_close(&all->channel);
  if (all->kind == SERVICE) shmx_service_close(&all->service);
}

static inline void toys_begin(struct toys *all, int kind, uint64_t parameter, void *memory) {
  memset(all, 0, sizeof *all);
  all->kind = kind;
  all->parameter = parameter;
  all->memory = memory;
  all->size = queue_kind(kind, parameter).size;
  open_queue(all);
}

static inline void toys_end(struct toys *all) {
  close_queue(all);
}

/* ---- messages ---- */

/* Each byte can be read, and is in this memory. */
static inline void expect_within(const shmx_message *message, const unsigned char *memory,
                                 size_t size) {
  expect_bytes_within(message->data, message->length, memory, size);
}

static inline shmx_message message_for(uint64_t limit, unsigned argument) {
  static unsigned char bytes[LONGEST];
  const uint64_t lengths[] = {1, 0, 8, 13, 24, limit / 2, limit, limit + 1};
  uint64_t length = lengths[argument % 8];
  return (shmx_message){bytes, (uint32_t)(length < LONGEST ? length : LONGEST), argument / 8};
}

/* ---- a channel ---- */

static inline int op_send(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message = message_for(shmx_channel_limit(&all->channel), argument);
  return shmx_channel_send(&all->channel, &message, deadline);
}

static inline int op_send_all(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message messages[8];
  size_t sent, count = argument / 8 % 8;
  for (size_t i = 0; i < count; i++)
    messages[i] = message_for(shmx_channel_limit(&all->channel), argument + (unsigned)i);
  int status = shmx_channel_send_all(&all->channel, messages, count, deadline, &sent);
  TOY_EXPECT(sent <= count && (status != 0 || sent == count));
  return status;
}

/* At once, or in two halves. */
static inline int receive_somehow(shmx_channel *channel, unsigned char *buffer, size_t room,
                                  shmx_message *message, int64_t deadline, bool halves) {
  shmx_copied copied;
  if (!halves) return shmx_channel_receive(channel, buffer, room, message, deadline);
  int status = shmx_channel_copy(channel, buffer, room, message, &copied, deadline);
  return status == 0 ? shmx_channel_consume(channel, &copied, deadline) : status;
}

static inline int op_receive(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message;
  size_t room = room_for(argument);
  unsigned char *buffer = buffer_of(room);
  int status =
      receive_somehow(&all->channel, buffer, room, &message, deadline, argument / 8 % 2 == 1);
  if (status == 0) expect_within(&message, buffer, room);
  if (status == -EMSGSIZE) TOY_EXPECT(message.length > room);
  if (status == -EMSGSIZE) TOY_EXPECT(message.length <= all->parameter);
  expect_untouched(room);
  return status;
}

static inline int op_receive_all(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message;
  size_t length, at = 0, count = 0, room = room_for(argument), most = argument / 8 % 8;
  unsigned char *buffer = buffer_of(room);
  shmx_copied copied;
  bool halves = argument / 64 % 2 == 1;
  int status =
      halves ? shmx_channel_copy_all(&all->channel, buffer, room, most, &length, &copied, deadline)
             : shmx_channel_receive_all(&all->channel, buffer, room, most, &length, deadline);
  if (status == 0 && halves) status = shmx_channel_consume(&all->channel, &copied, deadline);
  expect_untouched(room);
  if (status == -EMSGSIZE)
    TOY_EXPECT(length > room && length <= all->parameter + SHMX_MESSAGE_HEAD);
  if (status != 0) return status;
  TOY_EXPECT(length <= room);
  for (; shmx_channel_next(buffer, length, &at, &message); count++)
    expect_within(&message, buffer, length);
  TOY_EXPECT(at == length && count <= most && (count > 0 || most == 0));
  return 0;
}

/* What is reserved is written to, all of it. */
static inline int op_reserve(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message = message_for(shmx_channel_limit(&all->channel), argument);
  void *data;
  int status = shmx_channel_reserve(&all->channel, message.length, &data, deadline);
  if (status != 0) return status;
  message.data = data;
  expect_within(&message, all->memory, all->size);
  memset(data, (int)argument, message.length);
  return 0;
}

static inline int op_commit(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  uint64_t most = all->channel.producer.size, less = argument % 4;
  return shmx_channel_commit(&all->channel, (uint32_t)(most - (less < most ? less : 0)), argument);
}

static inline int op_peek(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  shmx_message message;
  int status = shmx_channel_peek(&all->channel, &message, deadline);
  if (status == 0) expect_within(&message, all->memory, all->size);
  return status;
}

static inline int op_release(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  return shmx_channel_release(&all->channel);
}

static inline int op_claim(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  return shmx_channel_claim(&all->channel, (int)(argument % 4));
}

static inline int op_finish(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  return shmx_channel_finish(&all->channel, deadline);
}

static inline int op_stat(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  const shmx_channel *channel = all->kind == CHANNEL ? &all->channel : &all->service.requests;
  shmx_channel_status found;
  shmx_channel_stat(channel, &found);
  TOY_EXPECT(found.capacity == channel->capacity && found.used <= found.capacity);
  shmx_channel_holder(channel, SHMX_PRODUCER);
  shmx_channel_holder(channel, SHMX_CONSUMER);
  return 0;
}

/* ---- a topic ---- */

static inline int op_publish(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message = message_for(shmx_topic_limit(&all->topic), argument);
  return shmx_topic_publish(&all->topic, &message, deadline);
}

static inline int op_subscribe(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_subscription found;
  int status = shmx_topic_subscribe(&all->topic, argument & 1, LOOKS, deadline, &found);
  if (status != 0) return status;
  all->subscription = found;
  all->subscribed = true;
  return 0;
}

static inline int op_next(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message;
  uint64_t lost;
  size_t room = room_for(argument);
  unsigned char *buffer = buffer_of(room);
  if (!all->subscribed) return -ENOENT;
  int status =
      shmx_subscription_receive(&all->subscription, buffer, room, &message, &lost, deadline);
  if (status == 0) expect_within(&message, buffer, room);
  if (status == -EMSGSIZE)
    TOY_EXPECT(message.length + 7 > room && message.length <= all->parameter);
  expect_untouched(room);
  return status;
}

static inline int op_topic_stat(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  shmx_topic_status found;
  shmx_topic_stat(&all->topic, &found);
  TOY_EXPECT(found.capacity == all->topic.capacity && found.used <= found.capacity);
  return 0;
}

static inline int op_topic_finish(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  return shmx_topic_finish(&all->topic, deadline);
}

/* ---- a service ---- */

static inline int op_begin(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message = message_for(all->parameter, argument);
  shmx_request call;
  int status = shmx_service_begin(&all->service, &message, deadline, &call);
  if (status != 0) return status;
  TOY_EXPECT(call.slot < SHMX_CALLERS);
  all->call = call;
  all->calling = true;
  return 0;
}

static inline int op_call(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_message message = message_for(all->parameter, argument), reply;
  unsigned char *buffer = buffer_of(all->parameter);
  int status = shmx_service_call(&all->service, &message, buffer, &reply, deadline);
  if (status == 0) expect_within(&reply, buffer, all->parameter);
  expect_untouched(all->parameter);
  return status;
}

static inline int op_await(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  shmx_message reply;
  unsigned char *buffer = buffer_of(all->parameter);
  if (!all->calling) return -ENOENT;
  int status = shmx_service_await(&all->service, &all->call, buffer, &reply, deadline);
  if (status == 0) expect_within(&reply, buffer, all->parameter);
  expect_untouched(all->parameter);
  return status;
}

static inline int op_end(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  if (!all->calling) return -ENOENT;
  shmx_service_end(&all->service, &all->call);
  all->calling = false;
  return 0;
}

/* At once, or in two halves. */
static inline int op_take(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_request taken;
  shmx_copied copied;
  bool halves = argument % 2 == 1;
  size_t room = halves ? room_for(argument / 2) : all->parameter;
  unsigned char *buffer = buffer_of(room);
  int status = halves ? shmx_service_copy(&all->service, buffer, room, &taken, &copied, deadline)
                      : shmx_service_take(&all->service, buffer, &taken, deadline);
  expect_untouched(room);
  if (status == -EMSGSIZE)
    TOY_EXPECT(taken.message.length > room &&
               taken.message.length <= all->parameter + SHMX_REQUEST_HEAD);
  if (status == 0 && halves) status = shmx_service_accept(&all->service, &taken, &copied, deadline);
  if (status != 0) return status;
  expect_within(&taken.message, buffer, room);
  TOY_EXPECT(taken.slot < SHMX_CALLERS);
  all->taken = taken;
  all->serving = true;
  return 0;
}

static inline int op_reply(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  shmx_message message = message_for(all->parameter, argument);
  if (!all->serving) return -ENOENT;
  return shmx_service_reply(&all->service, &all->taken, &message);
}

static inline int op_service_finish(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  return shmx_service_finish(&all->service, deadline);
}

static inline int op_reopen(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  close_queue(all);
  open_queue(all);
  return 0;
}

/* ---- all of them ---- */

/* In the order of the table: each kind's together. */
enum {
  SEND,
  SEND_ALL,
  RECEIVE,
  RECEIVE_ALL,
  RESERVE,
  COMMIT,
  PEEK,
  RELEASE,
  CLAIM,
  STAT,
  FINISH,
  REOPEN,
  PUBLISH,
  SUBSCRIBE,
  NEXT,
  TOPIC_STAT,
  TOPIC_FINISH,
  CALL,
  BEGIN,
  AWAIT,
  END,
  TAKE,
  REPLY,
  REQUESTS_STAT,
  SERVICE_FINISH,
  SERVICE_REOPEN,
  OPERATIONS
};

static const struct operation operations[OPERATIONS] = {
    [SEND] = {"send", op_send, 0},
    [SEND_ALL] = {"send_all", op_send_all, 0},
    [RECEIVE] = {"receive", op_receive, 0},
    [RECEIVE_ALL] = {"receive_all", op_receive_all, 0},
    [RESERVE] = {"reserve", op_reserve, 0},
    [COMMIT] = {"commit", op_commit, 0},
    [PEEK] = {"peek", op_peek, 0},
    [RELEASE] = {"release", op_release, 0},
    [CLAIM] = {"claim", op_claim, 0},
    [STAT] = {"stat", op_stat, 0},
    [FINISH] = {"finish", op_finish, 0},
    [REOPEN] = {"reopen", op_reopen, 0},
    [PUBLISH] = {"publish", op_publish, 0},
    [SUBSCRIBE] = {"subscribe", op_subscribe, 0},
    [NEXT] = {"next", op_next, 0},
    [TOPIC_STAT] = {"topic stat", op_topic_stat, 0},
    [TOPIC_FINISH] = {"topic finish", op_topic_finish, 0},
    [CALL] = {"call", op_call, 0},
    [BEGIN] = {"begin", op_begin, 0},
    [AWAIT] = {"await", op_await, 0},
    [END] = {"end", op_end, 0},
    [TAKE] = {"take", op_take, 1},
    [REPLY] = {"reply", op_reply, 1},
    [REQUESTS_STAT] = {"requests stat", op_stat, 0},
    [SERVICE_FINISH] = {"service finish", op_service_finish, 0},
    [SERVICE_REOPEN] = {"reopen", op_reopen, 0},
};

static const struct operation *operation_of(unsigned which) {
  return &operations[which];
}

/* -EAGAIN: memory that changes has another message first than what was copied. */
static bool is_known_status(int status) {
  static const int known[] = {0,           -EBADMSG,   -ETIMEDOUT, -EMSGSIZE, -EPIPE,
                              -EBUSY,      -EDEADLK,   -EPERM,     -EINVAL,   -EINTR,
                              -EOWNERDEAD, -ECANCELED, -ENOENT,    -EAGAIN};
  return is_among(status, known, sizeof known / sizeof *known);
}

/* One of the kind's. */
static inline unsigned operation_for(int kind, unsigned number) {
  static const unsigned first[KINDS + 1] = {SEND, PUBLISH, CALL, OPERATIONS};
  return first[kind] + number % (first[kind + 1] - first[kind]);
}

/* Every operation of its kind, in an order that makes sense: first with many lengths, then with
 * short messages, and to the end. */
static inline void toys_run_all(struct toys *all, int64_t timeout) {
  static const unsigned char channel[] = {
      SEND,        SEND_ALL,    STAT,   RECEIVE, PEEK,    RELEASE, RESERVE, COMMIT,
      RECEIVE_ALL, SEND,        CLAIM,  SEND,    PEEK,    RELEASE, RESERVE, REOPEN,
      RECEIVE_ALL, RECEIVE_ALL, PEEK,   RELEASE, RECEIVE, RECEIVE, RECEIVE, RECEIVE,
      RECEIVE_ALL, SEND,        FINISH, RECEIVE, SEND,    PEEK,    RECEIVE, REOPEN};
  static const unsigned char topic[] = {
      SUBSCRIBE, PUBLISH, PUBLISH,   NEXT,         TOPIC_STAT, PUBLISH, PUBLISH,
      NEXT,      PUBLISH, SUBSCRIBE, NEXT,         SUBSCRIBE,  NEXT,    NEXT,
      NEXT,      NEXT,    NEXT,      TOPIC_FINISH, NEXT,       PUBLISH, SUBSCRIBE};
  static const unsigned char service[] = {
      BEGIN, TAKE,  REQUESTS_STAT, REPLY, AWAIT,          END,  CALL, BEGIN, END,   BEGIN,
      TAKE,  AWAIT, REPLY,         AWAIT, SERVICE_FINISH, CALL, END,  TAKE,  REPLY, SERVICE_REOPEN};
  static const unsigned char *const orders[] = {channel, topic, service};
  static const size_t lengths[] = {sizeof channel, sizeof topic, sizeof service};
  for (unsigned factor = 9; factor >= 8; factor--)
    for (unsigned i = 0; i < lengths[all->kind]; i++) {
      unsigned which = orders[all->kind][i];
      bool finishes = which == FINISH || which == TOPIC_FINISH || which == SERVICE_FINISH;
      if (factor == 8 || !finishes) toys_run(all, which, timeout, i * factor);
    }
}

#endif
