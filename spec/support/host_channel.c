/*
 * host_channel.c NAME send|receive|publish|subscribe N: a C host of libshmx in an arena that Lua
 * has, too. Sends or publishes N messages, "1" to "N", through the channel "c" or the topic "t", or
 * receives until it is finished; then says how many there were, and how many were lost.
 */
#include "shmx.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 4096 };

static shmx_arena arena;
static shmx_arena_object object;
static _Alignas(8) char buffer[RING];

static int must(int status, const char *what) {
  if (status == 0 || status == -EPIPE) return status;
  fprintf(stderr, "%s %s\n", what, shmx_error_text(status));
  exit(1);
}

/* Looks again after a signal, as who has timeouts of his own would. */
static int64_t soon(void) {
  return shmx_clock_deadline(20);
}

static shmx_message number(int i) {
  snprintf(buffer, sizeof buffer, "%d", i);
  return (shmx_message){buffer, (uint32_t)strlen(buffer), 0};
}

static int is_number(const shmx_message *message, int i) {
  char expected[16];
  snprintf(expected, sizeof expected, "%d", i);
  return message->length == strlen(expected) &&
         memcmp(message->data, expected, message->length) == 0;
}

static void use_channel(int sends, int count) {
  shmx_channel channel;
  shmx_message message;
  shmx_kind kind = shmx_channel_kind(RING);
  must(shmx_arena_find(&arena, "c", &kind, &object), "c");
  shmx_channel_open(&channel, object.memory.object.data, RING);
  int i = 0;
  while (sends && i < count) {
    message = number(++i);
    must(shmx_channel_send(&channel, &message, soon()), "send");
  }
  while (!sends && must(shmx_channel_receive(&channel, buffer, sizeof buffer, &message, soon()),
                        "receive") == 0)
    if (!is_number(&message, ++i)) exit(2);
  if (sends) must(shmx_channel_finish(&channel, soon()), "finish");
  printf("%d 0\n", i);
  shmx_channel_close(&channel);
}

static void use_topic(int sends, int count) {
  shmx_topic topic;
  shmx_subscription subscription;
  shmx_message message;
  shmx_kind kind = shmx_topic_kind(RING);
  uint64_t lost, all_lost = 0;
  must(shmx_arena_find(&arena, "t", &kind, &object), "t");
  shmx_topic_open(&topic, object.memory.object.data, RING);
  must(shmx_topic_subscribe(&topic, true, -1, soon(), &subscription), "subscribe");
  if (!sends) printf("subscribed\n");
  fflush(stdout);
  int i = 0;
  while (sends && i < count) {
    message = number(++i);
    must(shmx_topic_publish(&topic, &message, soon()), "publish");
  }
  while (!sends && must(shmx_subscription_receive(&subscription, buffer, sizeof buffer, &message,
                                                  &lost, soon()),
                        "receive") == 0) {
    all_lost += lost;
    if (!is_number(&message, ++i + (int)all_lost)) exit(2);
  }
  if (sends) must(shmx_topic_finish(&topic, soon()), "finish");
  printf("%d %llu\n", i, (unsigned long long)all_lost);
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  int sends = strcmp(argv[2], "send") == 0 || strcmp(argv[2], "publish") == 0;
  must(shmx_arena_open(&arena, shmx_posix(argv[1]), 0, NULL), argv[1]);
  if (strcmp(argv[2], "send") == 0 || strcmp(argv[2], "receive") == 0)
    use_channel(sends, atoi(argv[3]));
  else
    use_topic(sends, atoi(argv[3]));
  shmx_arena_close(&arena);
  return 0;
}
