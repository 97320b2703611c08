/*
 * messages.h: messages that say what they are: from its number follow a message's length, its tag
 * and each of its bytes; so one that is torn, or another's, is seen.
 */
#ifndef SPEC_CORE_MESSAGES_H
#define SPEC_CORE_MESSAGES_H

#include "together.h"

enum { LONGEST_TOLD = 48 };

static inline uint32_t length_of(uint64_t number) {
  return 8 + (uint32_t)(number * 11 % (LONGEST_TOLD - 7));
}

/* Writes the bytes of a message. */
static inline void tell(unsigned char *bytes, uint64_t number) {
  memcpy(bytes, &number, sizeof number);
  for (uint32_t i = 8; i < length_of(number); i++)
    bytes[i] = (unsigned char)(number * 31 + i);
}

static inline shmx_message message_of(unsigned char *bytes, uint64_t number) {
  tell(bytes, number);
  return (shmx_message){bytes, length_of(number), (uint32_t)(number % 128)};
}

/* The number of a message; UINT64_MAX where it is not whole. */
static inline uint64_t number_of(const shmx_message *message) {
  unsigned char whole[LONGEST_TOLD];
  uint64_t number;
  if (message->length < sizeof number) return UINT64_MAX;
  memcpy(&number, message->data, sizeof number);
  if (message->length != length_of(number) || message->tag != number % 128) return UINT64_MAX;
  tell(whole, number);
  return memcmp(whole, message->data, message->length) == 0 ? number : UINT64_MAX;
}

static inline int send_number(shmx_channel *channel, uint64_t number, int64_t deadline) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_channel_send(channel, &message, deadline);
}

/* The number of the message that is received, or a negative errno. */
static inline int64_t receive_number(shmx_channel *channel, int64_t deadline) {
  _Alignas(8) unsigned char buffer[LONGEST_TOLD];
  shmx_message message;
  int status = shmx_channel_receive(channel, buffer, sizeof buffer, &message, deadline);
  return status != 0 ? status : (int64_t)number_of(&message);
}

static inline int publish_number(shmx_topic *topic, uint64_t number, int64_t deadline) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_topic_publish(topic, &message, deadline);
}

static inline int64_t next_number(shmx_subscription *subscription, uint64_t *lost,
                                  int64_t deadline) {
  _Alignas(8) unsigned char buffer[LONGEST_TOLD];
  shmx_message message;
  int status =
      shmx_subscription_receive(subscription, buffer, sizeof buffer, &message, lost, deadline);
  return status != 0 ? status : (int64_t)number_of(&message);
}

#endif
