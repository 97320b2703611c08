/*
 * step_take_test.c kills who copies messages or an element, and then takes them out, at every
 * instruction: what was copied is taken or is there still, all of it, and others go on within a
 * second.
 */
#include "step.h"

#include "cells.h"
#include "messages.h"

enum { RING = 256, SIZE = 1 << 14, COUNT = 4 };

/* The tester's; the victim inherits a copy. */
static shmx_channel channel;
static shmx_dict dict;
static unsigned char *dict_memory;

/* How many messages the deed takes. */
static uint64_t takes;

/* ---- a channel ---- */

/* Its messages lie on both sides of the ring's end. */
static void prepare_messages(uint64_t count) {
  memset(ground, 0, sizeof *ground);
  watched.data = ground->memory;
  watched.size = shmx_channel_kind(RING).size;
  shmx_channel_open(&channel, ground->memory, RING);
  shmx_channel_spin(&channel, 0);
  shmx_message nothing = {NULL, 0, 0};
  for (uint64_t at = 0; at < RING - 80; at += 8) {
    CHECK(shmx_channel_send(&channel, &nothing, 0) == 0);
    CHECK(shmx_channel_receive(&channel, ground->second, 8, &nothing, 0) == 0);
    nothing.data = NULL;
  }
  for (uint64_t number = 1; number <= COUNT; number++)
    CHECK(send_number(&channel, number, 0) == 0);
  takes = count;
}

static void prepare_one(void) {
  prepare_messages(1);
}

static void prepare_all(void) {
  prepare_messages(COUNT);
}

static void claim(void) {
  EXPECT(shmx_channel_claim(&channel, SHMX_CONSUMER) == 0);
}

static void take_one(void) {
  _Alignas(8) unsigned char buffer[LONGEST_TOLD];
  shmx_message message;
  shmx_copied copied;
  EXPECT(shmx_channel_copy(&channel, buffer, sizeof buffer, &message, &copied, in_ms(3000)) == 0);
  EXPECT(number_of(&message) == 1 && copied.messages == 1);
  EXPECT(shmx_channel_consume(&channel, &copied, in_ms(3000)) == 0);
}

/* What is too long for the short way. */
static void take_one_that_is_long(void) {
  shmx_message message;
  shmx_copied copied;
  EXPECT(shmx_channel_copy(&channel, NULL, 0, &message, &copied, in_ms(3000)) == -EMSGSIZE);
  EXPECT(number_of(&message) == 1);
  EXPECT(shmx_channel_consume(&channel, &copied, in_ms(3000)) == 0);
}

static void take_all(void) {
  _Alignas(8) unsigned char buffer[RING];
  size_t length;
  shmx_copied copied;
  EXPECT(shmx_channel_copy_all(&channel, buffer, RING, SIZE_MAX, &length, &copied, in_ms(3000)) ==
         0);
  EXPECT(copied.messages == COUNT);
  EXPECT(shmx_channel_consume(&channel, &copied, in_ms(3000)) == 0);
}

static void channel_goes_on(void) {
  int64_t start = shmx_clock_now(), number = receive_number(&channel, 0);
  bool taken = number != 1;
  CHECK(taken || !stepped.done);
  CHECK(!taken || number == (takes == COUNT ? -ETIMEDOUT : (int64_t)takes + 1));
  for (int64_t next = number + 1; number > 0 && next <= COUNT; next++)
    CHECK(receive_number(&channel, 0) == next);
  CHECK(receive_number(&channel, 0) == -ETIMEDOUT);
  for (uint64_t i = 1; i < 20; i++) {
    CHECK(send_number(&channel, i, 0) == 0);
    CHECK(receive_number(&channel, 0) == (int64_t)i);
  }
  CHECK(in_time(start));
  shmx_channel_close(&channel);
}

/* ---- a list ---- */

static void prepare_list(int count) {
  if (dict_memory == NULL)
    dict_memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(dict_memory != MAP_FAILED);
  memset(dict_memory, 0, SIZE);
  watched.data = dict_memory;
  watched.size = SIZE;
  dict_memory[0] = 1; /* the seed: the same way each time */
  shmx_dict_open(&dict, dict_memory, SIZE);
  for (int i = 0; i < count; i++)
    CHECK(push_text(&dict, "l",
                    i == 0 ? "first, longer than a cell has room for, and so in two" : "last",
                    SHMX_DICT_RIGHT, NULL) == 0);
}

static void prepare_two(void) {
  prepare_list(2);
}

static void prepare_last(void) {
  prepare_list(1);
}

static void pop_same(void) {
  char buffer[256];
  shmx_dict_key key = text_key("l");
  shmx_dict_item item;
  EXPECT(shmx_dict_peek(&dict, &key, SHMX_DICT_LEFT, buffer, sizeof buffer, &item) == 0);
  EXPECT(memcmp(buffer, "first", 5) == 0);
  EXPECT(shmx_dict_pop_same(&dict, &key, SHMX_DICT_LEFT, &item) == 0);
}

static void list_goes_on(void) {
  char text[4096];
  int64_t start = shmx_clock_now(), length = pop_text(&dict, "l", SHMX_DICT_LEFT, text);
  bool stayed = length > 5;
  CHECK(!stayed || !stepped.done);
  if (stayed) length = pop_text(&dict, "l", SHMX_DICT_LEFT, text);
  if (length != -ENOENT) CHECK(length == 4 && memcmp(text, "last", 4) == 0);
  CHECK(pop_text(&dict, "l", SHMX_DICT_LEFT, text) == -ENOENT);
  CHECK(push_text(&dict, "l", "again", 0, NULL) == 0);
  CHECK(in_time(start));
}

#define KILLED(name, prepare, before, deed, after)                                                 \
  { name, prepare, before, deed, NULL, after, false }

static const struct deed deeds[] = {
    KILLED("channel: copy and consume", prepare_one, NULL, take_one, channel_goes_on),
    KILLED("channel: copy and consume, claimed", prepare_one, claim, take_one, channel_goes_on),
    KILLED("channel: copy and consume, long", prepare_one, NULL, take_one_that_is_long,
           channel_goes_on),
    KILLED("channel: copy all and consume", prepare_all, NULL, take_all, channel_goes_on),
    KILLED("dict: peek and pop", prepare_two, NULL, pop_same, list_goes_on),
    KILLED("dict: peek and pop the last", prepare_last, NULL, pop_same, list_goes_on),
};

static void test_whoever_is_killed_takes_all_or_nothing(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_takes_all_or_nothing, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
