/*
 * threads_data_test.c has threads send plain data through a channel, a topic and a service. Built
 * for the thread sanitizer (make asan), it shows that they order memory as they should.
 */
#include "messages.h"

enum { THREADS = 4, TIMES = 2000, RING = 512, LIMIT = 64 };

/* What a message hands over: plain memory, which only its sender writes, and then its receiver. */
static struct {
  _Alignas(64) unsigned char memory[8192];
  long plain[THREADS * TIMES];
  _Atomic uint64_t next, received;
} place;

static void run(void *(*one)(void *), void *(*other)(void *)) {
  pthread_t threads[THREADS];
  memset(&place, 0, sizeof place);
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(i % 2 == 0 ? one : other, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void *send_many(void *unused) {
  shmx_channel channel;
  shmx_channel_open(&channel, place.memory, RING);
  for (uint64_t i = 0; i < TIMES; i++) {
    uint64_t number = place.next++;
    place.plain[number] = 1;
    if (i % 2 == 0) {
      EXPECT(send_number(&channel, number, SHMX_FOREVER) == 0);
      continue;
    }
    void *data;
    EXPECT(shmx_channel_reserve(&channel, LONGEST_TOLD, &data, SHMX_FOREVER) == 0);
    tell(data, number);
    EXPECT(shmx_channel_commit(&channel, length_of(number), (uint32_t)(number % 128)) == 0);
  }
  return unused;
}

static void *receive_many(void *unused) {
  shmx_channel channel;
  shmx_channel_open(&channel, place.memory, RING);
  for (uint64_t i = 0; i < TIMES; i++) {
    int64_t number;
    if (i % 2 == 0) {
      number = receive_number(&channel, SHMX_FOREVER);
    } else {
      shmx_message message;
      EXPECT(shmx_channel_peek(&channel, &message, SHMX_FOREVER) == 0);
      number = (int64_t)number_of(&message);
      EXPECT(shmx_channel_release(&channel) == 0);
    }
    EXPECT(number >= 0 && place.plain[number]++ == 1);
  }
  return unused;
}

static void test_channel(void **state) {
  (void)state;
  run(send_many, receive_many);
  for (int i = 0; i < THREADS / 2 * TIMES; i++)
    assert_int_equal(place.plain[i], 2);
}

static void *publish_many(void *unused) {
  shmx_topic topic;
  shmx_topic_open(&topic, place.memory, RING);
  for (uint64_t i = 0; i < TIMES; i++) {
    uint64_t number = place.next++;
    place.plain[number] = 1;
    EXPECT(publish_number(&topic, number, SHMX_FOREVER) == 0);
  }
  if (++place.received == THREADS / 2) EXPECT(shmx_topic_finish(&topic, SHMX_FOREVER) == 0);
  return unused;
}

static void *read_many(void *unused) {
  shmx_topic topic;
  shmx_subscription reader;
  uint64_t lost, all = 0;
  int64_t number;
  shmx_topic_open(&topic, place.memory, RING);
  EXPECT(shmx_topic_subscribe(&topic, true, -1, SHMX_FOREVER, &reader) == 0);
  uint64_t missed = reader.serial;
  while ((number = next_number(&reader, &lost, SHMX_FOREVER)) >= 0) {
    EXPECT(place.plain[number] == 1);
    all += lost + 1;
  }
  EXPECT(number == -EPIPE && missed + all == THREADS / 2 * TIMES);
  return unused;
}

static void test_topic(void **state) {
  (void)state;
  run(publish_many, read_many);
}

static void *call_many(void *unused) {
  shmx_service service;
  shmx_service_open(&service, place.memory, LIMIT);
  for (uint64_t i = 0; i < TIMES / 2; i++) {
    unsigned char bytes[LONGEST_TOLD];
    _Alignas(8) unsigned char buffer[LIMIT];
    uint64_t number = place.next++;
    shmx_message request = message_of(bytes, number), reply;
    place.plain[number] = 1;
    EXPECT(shmx_service_call(&service, &request, buffer, &reply, SHMX_FOREVER) == 0);
    EXPECT(number_of(&reply) == number && place.plain[number] == 2);
  }
  if (++place.received == THREADS / 2) EXPECT(shmx_service_finish(&service, SHMX_FOREVER) == 0);
  shmx_service_close(&service);
  return unused;
}

static void *serve_many(void *unused) {
  shmx_service service;
  shmx_service_open(&service, place.memory, LIMIT);
  _Alignas(8) unsigned char buffer[LIMIT];
  shmx_request request;
  int status;
  while ((status = shmx_service_take(&service, buffer, &request, SHMX_FOREVER)) == 0) {
    uint64_t number = number_of(&request.message);
    EXPECT(number < THREADS * TIMES && place.plain[number]++ == 1);
    EXPECT(shmx_service_reply(&service, &request, &request.message) == 0);
  }
  EXPECT(status == -EPIPE);
  shmx_service_close(&service);
  return unused;
}

static void test_service(void **state) {
  (void)state;
  run(call_many, serve_many);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_channel), cmocka_unit_test(test_topic),
                                     cmocka_unit_test(test_service)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
