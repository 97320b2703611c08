/*
 * take_test.c: what is taken in two halves: messages of a channel and a topic, requests, elements
 * of a list. The first half takes nothing, and the second nothing but what the first has copied.
 */
#include "cells.h"
#include "messages.h"

enum { RING = 1024, LIMIT = 64, SIZE = 1 << 14 };

static shmx_channel channel, other;
static shmx_message message;
static shmx_copied copied;
static _Alignas(64) unsigned char buffer[RING];

static int begin_channel(void **state) {
  if (begin_ground(state) != 0) return -1;
  shmx_channel_open(&channel, ground->memory, RING);
  shmx_channel_open(&other, ground->memory, RING);
  return 0;
}

static int end_channel(void **state) {
  shmx_channel_close(&channel);
  shmx_channel_close(&other);
  return end_ground(state);
}

#define ON_A_CHANNEL(test)                                                                         \
  { #test, test, begin_channel, end_channel, NULL }

static void send_numbers(uint64_t first, uint64_t last) {
  for (uint64_t number = first; number <= last; number++)
    assert_int_equal(send_number(&channel, number, 0), 0);
}

static int copy(size_t room) {
  return shmx_channel_copy(&channel, buffer, room, &message, &copied, 0);
}

static int consume(void) {
  return shmx_channel_consume(&channel, &copied, 0);
}

static void test_a_copied_message_stays_until_it_is_consumed(void **state) {
  (void)state;
  assert_int_equal(copy(RING), -ETIMEDOUT);
  send_numbers(1, 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(copy(RING), 0);
    assert_int_equal(number_of(&message), 1);
  }
  assert_int_equal(consume(), 0);
  assert_int_equal(consume(), -EAGAIN); /* once */
  assert_int_equal(receive_number(&other, 0), 2);
  assert_int_equal(copy(RING), 0);
  assert_int_equal(receive_number(&other, 0), 3);
  assert_int_equal(consume(), -EAGAIN); /* another has it */
  send_numbers(4, 4);
  assert_int_equal(consume(), -EAGAIN);
  assert_int_equal(receive_number(&channel, 0), 4);
  assert_int_equal(shmx_channel_finish(&channel, 0), 0);
  assert_int_equal(copy(RING), -EPIPE);
}

static void test_a_message_that_is_too_long_can_be_consumed(void **state) {
  (void)state;
  send_numbers(1, 2);
  assert_int_equal(copy(3), -EMSGSIZE);
  assert_int_equal(message.length, length_of(1));
  assert_int_equal(number_of(&message), 1); /* where it lies */
  assert_int_equal(consume(), 0);
  assert_int_equal(receive_number(&channel, 0), 2);
}

/* Ring after ring: also behind paddings. */
static void test_an_index_never_comes_again(void **state) {
  (void)state;
  shmx_copied first;
  send_numbers(1, 1);
  assert_int_equal(copy(RING), 0);
  first = copied;
  for (uint64_t number = 1; number < 500; number++) {
    assert_int_equal(copy(RING), 0);
    assert_int_equal(number_of(&message), number);
    assert_int_equal(consume(), 0);
    assert_int_equal(shmx_channel_consume(&channel, &first, 0), -EAGAIN);
    send_numbers(number + 1, number + 1);
  }
}

static void test_several_are_consumed_together_or_not_at_all(void **state) {
  (void)state;
  size_t length, at = 0;
  assert_int_equal(shmx_channel_copy_all(&channel, buffer, RING, 9, &length, &copied, 0),
                   -ETIMEDOUT);
  send_numbers(1, 5);
  assert_int_equal(shmx_channel_copy_all(&channel, buffer, 9, 9, &length, &copied, 0), -EMSGSIZE);
  assert_int_equal(shmx_channel_copy_all(&channel, buffer, RING, 3, &length, &copied, 0), 0);
  assert_int_equal(copied.messages, 3);
  for (uint64_t number = 1; number <= 3; number++) {
    assert_true(shmx_channel_next(buffer, length, &at, &message));
    assert_int_equal(number_of(&message), number);
  }
  assert_int_equal(receive_number(&other, 0), 1);
  assert_int_equal(consume(), -EAGAIN);
  assert_int_equal(shmx_channel_copy_all(&channel, buffer, RING, 3, &length, &copied, 0), 0);
  assert_int_equal(consume(), 0);
  assert_int_equal(receive_number(&other, 0), 5);
  shmx_channel_status status;
  shmx_channel_stat(&channel, &status);
  assert_int_equal(status.received, 5);
}

static void test_an_end_that_is_anothers_is_told_by_the_second_half(void **state) {
  (void)state;
  shmx_message peeked;
  send_numbers(1, 2);
  assert_int_equal(copy(RING), 0);
  assert_int_equal(shmx_channel_peek(&channel, &peeked, 0), 0);
  assert_int_equal(consume(), -EDEADLK);
  assert_int_equal(copy(RING), -EDEADLK);
  assert_int_equal(shmx_channel_release(&channel), 0);
  assert_int_equal(consume(), -EAGAIN);
  assert_int_equal(copy(RING), 0);
  if (fork() == 0) { /* claims, and lives until the test is over */
    _exit(shmx_channel_claim(&other, SHMX_CONSUMER) == 0 && pause());
  }
  assert_true(UNTIL(shmx_channel_holder(&channel, SHMX_CONSUMER) != 0));
  pid_t child = (pid_t)shmx_channel_holder(&channel, SHMX_CONSUMER);
  assert_true(UNTIL(consume() == -EBUSY));
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_int_equal(shmx_channel_consume(&channel, &copied, in_ms(2000)), 0);
}

static void test_a_subscription_goes_on_when_it_consumes(void **state) {
  (void)state;
  shmx_topic topic;
  shmx_subscription subscription;
  uint64_t lost;
  shmx_topic_open(&topic, ground->memory, RING);
  assert_int_equal(shmx_topic_subscribe(&topic, false, 0, 0, &subscription), 0);
  for (uint64_t number = 1; number <= 100; number++)
    assert_int_equal(publish_number(&topic, number, 0), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(
        shmx_subscription_copy(&subscription, buffer, RING, &message, &lost, &copied, 0), 0);
    assert_int_equal(number_of(&message), lost + 1);
  }
  assert_true(lost > 0);
  assert_int_equal(shmx_subscription_consume(&subscription, &copied), 0);
  assert_int_equal(shmx_subscription_consume(&subscription, &copied), -EAGAIN);
  for (uint64_t number = lost + 2, more; number <= 100; number++) {
    assert_int_equal(next_number(&subscription, &more, 0), number);
    assert_int_equal(more, 0);
  }
}

static void test_a_request_is_one_servers(void **state) {
  (void)state;
  shmx_service service, second;
  shmx_request call, late, first, same;
  shmx_copied first_copied;
  assert_true(shmx_service_kind(LIMIT).size <= sizeof ground->memory);
  shmx_service_open(&service, ground->memory, LIMIT);
  shmx_service_open(&second, ground->memory, LIMIT);
  shmx_message request = {"request", 7, 0}, reply;
  assert_int_equal(shmx_service_copy(&service, buffer, RING, &first, &copied, 0), -ETIMEDOUT);
  assert_int_equal(shmx_service_begin(&service, &request, in_ms(1000), &late), 0);
  assert_int_equal(shmx_service_begin(&service, &request, in_ms(1000), &call), 0);
  assert_int_equal(shmx_service_copy(&service, buffer, RING, &first, &copied, 0), 0);
  assert_int_equal(first.number, late.number);
  shmx_service_end(&service, &late); /* given up between the halves, */
  assert_int_equal(shmx_service_accept(&service, &first, &copied, 0), -ECANCELED);
  assert_int_equal(shmx_service_copy(&service, buffer, 3, &first, &copied, 0), -EMSGSIZE);
  assert_int_equal(first.message.length, 7 + SHMX_REQUEST_HEAD);
  assert_int_equal(shmx_service_copy(&service, buffer, 23, &first, &first_copied, 0), 0);
  assert_memory_equal(first.message.data, "request", 7);
  assert_int_equal(shmx_service_copy(&second, buffer, 23, &same, &copied, 0), 0);
  assert_int_equal(shmx_service_accept(&service, &first, &first_copied, 0), 0);
  assert_int_equal(shmx_service_accept(&second, &same, &copied, 0), -ECANCELED); /* or another's */
  assert_int_equal(shmx_service_copy(&second, buffer, 23, &same, &copied, 0), -ETIMEDOUT);
  assert_int_equal(shmx_service_reply(&service, &first, &request), 0);
  assert_int_equal(shmx_service_await(&service, &call, buffer, &reply, 0), 0);
  shmx_service_end(&service, &call);
  /* What is no request is taken out. */
  unsigned char none[LIMIT + SHMX_REQUEST_HEAD + 1] = {0};
  for (uint32_t length = 0; length <= sizeof none; length += sizeof none) {
    message = (shmx_message){none, length, 0};
    assert_int_equal(shmx_channel_send(&service.requests, &message, 0), 0);
    assert_int_equal(shmx_service_copy(&service, buffer, RING, &first, &copied, 0), -EBADMSG);
    assert_int_equal(shmx_service_copy(&service, buffer, RING, &first, &copied, 0), -ETIMEDOUT);
  }
  shmx_service_close(&second);
  shmx_service_close(&service);
}

static void test_an_element_is_popped_where_it_is_the_same(void **state) {
  (void)state;
  static _Alignas(64) unsigned char memory[SIZE];
  shmx_dict dict;
  shmx_dict_key key = text_key("l");
  shmx_dict_item item;
  char text[4096];
  memset(memory, 0, SIZE);
  shmx_dict_open(&dict, memory, SIZE);
  assert_int_equal(shmx_dict_peek(&dict, &key, 0, buffer, RING, &item), -ENOENT);
  for (int end = 0; end < 2; end++) {
    const char *names[] = {"an element that takes two cells, since it is as long as this is",
                           "another", "another", "last"};
    for (int i = 0; i < 4; i++)
      assert_int_equal(push_text(&dict, "l", names[i], 1 - end, NULL), 0);
    assert_int_equal(shmx_dict_peek(&dict, &key, end, buffer, 9, &item), -EMSGSIZE);
    assert_int_equal(item.length, strlen(names[0]));
    for (int i = 0; i < 2; i++)
      assert_int_equal(shmx_dict_peek(&dict, &key, end, buffer, RING, &item), 0);
    assert_memory_equal(buffer, names[0], item.length);
    assert_int_equal(shmx_dict_pop_same(&dict, &key, end, &item), 0);
    assert_int_equal(shmx_dict_pop_same(&dict, &key, end, &item), -EAGAIN);
    assert_int_equal(shmx_dict_peek(&dict, &key, end, buffer, RING, &item), 0);
    assert_int_equal(pop_text(&dict, "l", end, text), 7);
    item.tag = 9;
    assert_int_equal(shmx_dict_pop_same(&dict, &key, end, &item), -EAGAIN);
    item.tag = 0;
    item.flags = 9;
    assert_int_equal(shmx_dict_pop_same(&dict, &key, end, &item), -EAGAIN);
    item.flags = 0;
    assert_int_equal(shmx_dict_pop_same(&dict, &key, end, &item), 0); /* as good as the first */
    assert_int_equal(pop_text(&dict, "l", end, text), 4);
    assert_int_equal(shmx_dict_pop_same(&dict, &key, end, &item), -ENOENT);
  }
  assert_int_equal(set_text(&dict, "l", "text", 0, 0), 0);
  assert_int_equal(shmx_dict_peek(&dict, &key, 0, buffer, RING, &item), -EPROTOTYPE);
  shmx_dict_close(&dict);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      ON_A_CHANNEL(test_a_copied_message_stays_until_it_is_consumed),
      ON_A_CHANNEL(test_a_message_that_is_too_long_can_be_consumed),
      ON_A_CHANNEL(test_an_index_never_comes_again),
      ON_A_CHANNEL(test_several_are_consumed_together_or_not_at_all),
      ON_A_CHANNEL(test_an_end_that_is_anothers_is_told_by_the_second_half),
      TOGETHER(test_a_subscription_goes_on_when_it_consumes),
      TOGETHER(test_a_request_is_one_servers),
      TOGETHER(test_an_element_is_popped_where_it_is_the_same),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
