/*
 * topic_test.c publishes and subscribes: messages of all sizes at all places of the ring, readers
 * that are overrun, publishers that are stopped or dead, and memory in which a peer writes lies.
 */
#include "messages.h"

enum { RING = 256, MEMORY = 256 + RING, SERIAL = 1, TAIL = 8, FLOOR = 16 };

static shmx_topic topic;
static unsigned char *memory;

static int begin_topic(void **state) {
  if (begin_ground(state) != 0) return -1;
  memory = ground->memory;
  shmx_topic_open(&topic, memory, RING);
  return 0;
}

#define TOPIC(test)                                                                                \
  { #test, test, begin_topic, end_ground, NULL }

static shmx_subscription subscribe(bool oldest) {
  shmx_subscription subscription;
  assert_int_equal(shmx_topic_subscribe(&topic, oldest, 0, 0, &subscription), 0);
  return subscription;
}

static void expect_next(shmx_subscription *subscription, uint64_t number, uint64_t expected) {
  uint64_t lost = 0;
  assert_int_equal(next_number(subscription, &lost, 0), (int64_t)number);
  assert_int_equal(lost, expected);
}

static void expect_none(shmx_subscription *subscription) {
  uint64_t lost;
  assert_int_equal(next_number(subscription, &lost, 0), -ETIMEDOUT);
}

static void test_all_readers_get_all(void **state) {
  (void)state;
  shmx_subscription one = subscribe(false), other = subscribe(true);
  expect_none(&one);
  for (uint64_t i = 0; i < 500; i++) {
    assert_int_equal(publish_number(&topic, i, 0), 0);
    expect_next(&one, i, 0);
    expect_next(&other, i, 0);
    expect_none(&one);
  }
  shmx_topic_status status;
  shmx_topic_stat(&topic, &status);
  assert_int_equal(status.published, 500);
  assert_int_equal(status.capacity, RING);
  assert_false(status.finished);
  assert_in_range(status.used, RING / 2, RING);
}

/* Each size at each place, up to the limit, whose message has half the ring. */
static void test_all_sizes_at_all_places(void **state) {
  (void)state;
  static unsigned char data[RING];
  _Alignas(8) unsigned char buffer[RING];
  for (uint32_t at = 0; at < RING; at += 16)
    for (uint32_t length = 0; length <= shmx_topic_limit(&topic); length++) {
      memset(memory, 0, MEMORY);
      ((uint64_t *)(void *)memory)[TAIL] = ((uint64_t *)(void *)memory)[FLOOR] = at;
      shmx_subscription reader = subscribe(false);
      for (uint32_t i = 0; i < 5; i++) {
        memset(data, (int)(length + i + 1), length);
        shmx_message message = {data, length, i};
        uint64_t lost;
        assert_int_equal(shmx_topic_publish(&topic, &message, 0), 0);
        assert_int_equal(shmx_subscription_receive(&reader, buffer, RING, &message, &lost, 0), 0);
        assert_int_equal(message.length, length);
        assert_int_equal(message.tag, i);
        assert_int_equal(lost, 0);
        assert_memory_equal(buffer, data, length);
      }
      assert_true(all_are(memory + MEMORY, 0, 64));
    }
}

static void test_errors(void **state) {
  (void)state;
  static unsigned char data[RING];
  _Alignas(8) unsigned char buffer[RING];
  shmx_message message = {data, RING / 2 - 15, 0};
  uint64_t lost = 0;
  shmx_subscription reader = subscribe(true);
  assert_int_equal(shmx_topic_publish(&topic, &message, 0), -EMSGSIZE);
  message.length = 9;
  assert_int_equal(shmx_topic_publish(&topic, &message, 0), 0);
  assert_int_equal(shmx_subscription_receive(&reader, buffer, 15, &message, &lost, 0), -EMSGSIZE);
  assert_int_equal(message.length, 9);
  assert_int_equal(shmx_subscription_receive(&reader, buffer, 16, &message, &lost, 0), 0);
  int64_t start = shmx_clock_now();
  assert_int_equal(next_number(&reader, &lost, in_ms(30)), -ETIMEDOUT);
  assert_in_range(ms_since(start), 30, 1000);
  interrupt_every(20);
  assert_int_equal(next_number(&reader, &lost, in_ms(5000)), -EINTR);
  interrupt_every(0);
  assert_int_equal(publish_number(&topic, 1, 0), 0);
  assert_int_equal(shmx_topic_finish(&topic, 0), 0);
  assert_int_equal(publish_number(&topic, 2, 0), -EPIPE);
  expect_next(&reader, 1, 0);
  assert_int_equal(next_number(&reader, &lost, SHMX_FOREVER), -EPIPE);
}

/* Who reads now and then: those received and those lost are those published. */
static void test_lost_and_received_are_published(void **state) {
  (void)state;
  for (uint64_t pause = 1; pause < 30; pause++) {
    shmx_subscription reader = subscribe(false);
    uint64_t lost, received = 0, all_lost = 0, published = 0;
    for (int round = 0; round < 20; round++) {
      for (uint64_t i = 0; i < pause; i++)
        assert_int_equal(publish_number(&topic, published++, 0), 0);
      for (int i = 0; i < 3; i++) {
        int64_t number = next_number(&reader, &lost, 0);
        if (number == -ETIMEDOUT) break;
        assert_int_equal(number, (int64_t)(received + all_lost + lost));
        received++, all_lost += lost;
      }
    }
    while (next_number(&reader, &lost, 0) >= 0)
      received++, all_lost += lost;
    assert_int_equal(received + all_lost, published);
    assert_true(pause < 4 || all_lost > 0);
  }
}

/* Who was overrun, again and again, until the topic was finished is told at its end. */
static void test_losses_at_the_end_are_told(void **state) {
  (void)state;
  uint64_t lost = 9, *words = (uint64_t *)(void *)memory;
  shmx_subscription reader = subscribe(true), late = subscribe(true);
  for (uint64_t i = 0; i < 3; i++)
    assert_int_equal(publish_number(&topic, i, 0), 0);
  expect_next(&late, 0, 0);
  words[FLOOR] = words[TAIL]; /* as one that is killed within publishing may leave it */
  expect_none(&reader);
  assert_int_equal(shmx_topic_finish(&topic, 0), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(next_number(&reader, &lost, 0), -EPIPE);
    assert_int_equal(lost, 3);
    assert_int_equal(next_number(&late, &lost, 0), -EPIPE);
    assert_int_equal(lost, 2);
  }
  shmx_subscription latest = subscribe(false);
  assert_int_equal(next_number(&latest, &lost, 0), -EPIPE);
  assert_int_equal(lost, 0);
}

/* ---- several processes ---- */

enum { MESSAGES = 20000 };

static void read_all(int slow) {
  shmx_subscription reader;
  EXPECT(shmx_topic_subscribe(&topic, true, -1, in_ms(1000), &reader) == 0);
  uint64_t lost, next = 0;
  ground->stage++;
  for (;;) {
    int64_t number = next_number(&reader, &lost, in_ms(10000));
    if (number == -EPIPE) break;
    EXPECT(number >= 0 && (uint64_t)number == next + lost);
    next = (uint64_t)number + 1;
    if (slow && next % 8 == 0) usleep(50);
  }
  EXPECT(next == MESSAGES);
}

static void test_readers_of_other_processes(void **state) {
  (void)state;
  pid_t children[4];
  for (int i = 0; i < 4; i++)
    children[i] = start_child(read_all, i % 2);
  assert_true(UNTIL(ground->stage == 4));
  for (uint64_t i = 0; i < MESSAGES; i++)
    assert_int_equal(publish_number(&topic, i, in_ms(1000)), 0);
  assert_int_equal(shmx_topic_finish(&topic, in_ms(1000)), 0);
  for (int i = 0; i < 4; i++)
    assert_int_equal(wait_for(children[i]), 0);
}

static void hold_turn(int unused) {
  (void)unused;
  struct shmx_lock *turn = (struct shmx_lock *)(void *)memory;
  EXPECT(shmx_lock_acquire(turn, 0) == 0);
  stay(1);
}

static void test_a_stopped_publisher_stops_no_reader(void **state) {
  (void)state;
  shmx_subscription reader = subscribe(true);
  uint64_t lost;
  assert_int_equal(publish_number(&topic, 1, 0), 0);
  pid_t child = start_child(hold_turn, 0);
  assert_true(UNTIL(ground->stage == 1));
  kill(child, SIGSTOP);
  expect_next(&reader, 1, 0);
  assert_int_equal(publish_number(&topic, 2, in_ms(10)), -ETIMEDOUT);
  assert_int_equal(shmx_topic_finish(&topic, in_ms(10)), -ETIMEDOUT);
  assert_int_equal(shmx_topic_subscribe(&topic, true, 0, 0, &reader), -ETIMEDOUT);
  end_child(child);
  int64_t start = shmx_clock_now();
  assert_int_equal(publish_number(&topic, 3, in_ms(1000)), 0);
  assert_in_range(ms_since(start), 0, 900);
  assert_int_equal(next_number(&reader, &lost, 0), 3);
}

/* ---- lies ---- */

enum { GUARDED = 1 << 16 };

/* Memory that ends with the ring: behind it is nothing. */
static void lie(int unused) {
  (void)unused;
  unsigned char *all =
      mmap(NULL, GUARDED, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(all != MAP_FAILED);
  EXPECT(mprotect(all, PAGE, PROT_NONE) == 0);
  EXPECT(mprotect(all + GUARDED - PAGE, PAGE, PROT_NONE) == 0);
  memory = all + GUARDED - PAGE - MEMORY;
  static const uint64_t values[] = {0,
                                    1,
                                    3,
                                    8,
                                    15,
                                    16,
                                    17,
                                    100,
                                    127,
                                    128,
                                    240,
                                    248,
                                    249,
                                    255,
                                    256,
                                    264,
                                    512,
                                    UINT32_MAX,
                                    UINT64_MAX,
                                    (uint64_t)-16,
                                    (uint64_t)1 << 63,
                                    (uint64_t)1 << 31,
                                    ((uint64_t)1 << 63) - 8,
                                    (uint64_t)INT64_MAX};
  enum { VALUES = sizeof values / sizeof *values };
  shmx_topic_open(&topic, memory, RING);
  for (size_t tail = 0; tail < VALUES; tail++)
    for (size_t floor = 0; floor < VALUES; floor++)
      for (size_t head = 0; head < VALUES; head++) {
        uint64_t *words = (uint64_t *)(void *)memory;
        memset(memory, 0, MEMORY);
        for (int i = 0; i < RING / 8; i++)
          words[16 + i] = values[head];
        words[TAIL] = values[tail];
        words[FLOOR] = values[floor];
        shmx_subscription readers[2];
        uint64_t lost;
        for (int i = 0; i < 2; i++)
          EXPECT(shmx_topic_subscribe(&topic, i == 0, 0, 0, &readers[i]) == 0);
        shmx_topic_status status;
        shmx_topic_stat(&topic, &status);
        EXPECT(status.used <= RING);
        for (int i = 0; i < 6; i++) {
          next_number(&readers[i % 2], &lost, 0);
          EXPECT(publish_number(&topic, (uint64_t)i, 0) == 0);
          words[TAIL] += values[head] & 8; /* and while they read */
          next_number(&readers[i % 2], &lost, 0);
          words[FLOOR] = values[floor];
        }
      }
}

static void test_lies_harm_nobody(void **state) {
  (void)state;
  assert_child_passes(lie, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TOPIC(test_all_readers_get_all),
      TOPIC(test_all_sizes_at_all_places),
      TOPIC(test_errors),
      TOPIC(test_lost_and_received_are_published),
      TOPIC(test_losses_at_the_end_are_told),
      TOPIC(test_readers_of_other_processes),
      TOPIC(test_a_stopped_publisher_stops_no_reader),
      TOPIC(test_lies_harm_nobody),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
