/*
 * calls.h: what tests of services share: a service in memory that all processes see, the parts of a
 * call with numbers for messages, and the fields of a slot.
 */
#ifndef SPEC_CORE_CALLS_H
#define SPEC_CORE_CALLS_H

#include "messages.h"

enum { LIMIT = 64 };

static shmx_service service;

static inline int begin_service(void **state) {
  if (begin_ground(state) != 0) return -1;
  shmx_service_open(&service, ground->memory, LIMIT);
  return 0;
}

#define SERVICE(test)                                                                              \
  { #test, test, begin_service, end_ground, NULL }

static inline int begin_call(uint64_t number, shmx_request *call, int64_t deadline) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_service_begin(&service, &message, deadline, call);
}

static inline int64_t await_reply(const shmx_request *call, int64_t deadline) {
  unsigned char buffer[LIMIT];
  shmx_message reply;
  int status = shmx_service_await(&service, call, buffer, &reply, deadline);
  return status != 0 ? status : (int64_t)number_of(&reply);
}

static inline int64_t take(shmx_request *request) {
  static unsigned char buffer[LIMIT];
  int status = shmx_service_take(&service, buffer, request, 0);
  return status != 0 ? status : (int64_t)number_of(&request->message);
}

static inline int reply(const shmx_request *request, uint64_t number) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_service_reply(&service, request, &message);
}

/* A slot's fields: 64 bytes, as service.c has them; the first slot is behind 64 bytes. */
struct fields {
  uint64_t caller;
  struct shmx_lock lock;
  uint64_t number, state, server;
  uint32_t changed, length, tag, unused;
  int64_t began;
};

enum { TAKEN = 2, DONE = 3 };

static inline struct fields *slot(uint32_t number) {
  return (struct fields *)(void *)(ground->memory + 64 + number * (64 + LIMIT));
}

#endif
