/*
 * service_test.c calls and serves: the errors of each part, calls that are given up, servers and
 * callers that die, and more callers than slots.
 */
#include "messages.h"

enum { LIMIT = 64 };

static shmx_service service;

static int begin_service(void **state) {
  if (begin_ground(state) != 0) return -1;
  shmx_service_open(&service, ground->memory, LIMIT);
  return 0;
}

#define SERVICE(test)                                                                              \
  { #test, test, begin_service, end_ground, NULL }

static int begin_call(uint64_t number, shmx_request *call, int64_t deadline) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_service_begin(&service, &message, deadline, call);
}

static int64_t await_reply(const shmx_request *call, int64_t deadline) {
  unsigned char buffer[LIMIT];
  shmx_message reply;
  int status = shmx_service_await(&service, call, buffer, &reply, deadline);
  return status != 0 ? status : (int64_t)number_of(&reply);
}

static int64_t take(shmx_request *request) {
  static unsigned char buffer[LIMIT];
  int status = shmx_service_take(&service, buffer, request, 0);
  return status != 0 ? status : (int64_t)number_of(&request->message);
}

static int reply(const shmx_request *request, uint64_t number) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_service_reply(&service, request, &message);
}

static void test_errors(void **state) {
  (void)state;
  static unsigned char data[LIMIT + 1];
  shmx_message large = {data, LIMIT + 1, 0};
  shmx_request call, request;
  assert_int_equal(shmx_service_begin(&service, &large, 0, &call), -EMSGSIZE);
  assert_int_equal(take(&request), -ETIMEDOUT);
  assert_int_equal(begin_call(1, &call, 0), 0);
  assert_int_equal(await_reply(&call, in_ms(20)), -ETIMEDOUT);
  assert_int_equal(take(&request), 1);
  assert_int_equal(shmx_service_reply(&service, &request, &large), -EMSGSIZE);
  assert_int_equal(reply(&request, 2), 0);
  assert_int_equal(reply(&request, 3), -ECANCELED);
  assert_int_equal(await_reply(&call, 0), 2);
  shmx_service_end(&service, &call);
  assert_int_equal(begin_call(4, &call, 0), 0);
  shmx_service_end(&service, &call);
  assert_int_equal(take(&request), -ETIMEDOUT); /* given up: passed over */
  assert_int_equal(shmx_service_finish(&service, 0), 0);
  assert_int_equal(begin_call(5, &call, 0), -EPIPE);
  assert_int_equal(take(&request), -EPIPE);
}

static void test_a_late_reply_is_dropped(void **state) {
  (void)state;
  shmx_request call, next, request;
  assert_int_equal(begin_call(1, &call, 0), 0);
  assert_int_equal(take(&request), 1);
  shmx_service_end(&service, &call);
  assert_int_equal(begin_call(2, &next, 0), 0);
  assert_int_equal(next.slot, call.slot);
  assert_int_equal(reply(&request, 9), -ECANCELED);
  assert_int_equal(await_reply(&next, 0), -ETIMEDOUT);
  shmx_service_end(&service, &next);
}

static void test_more_callers_than_slots(void **state) {
  (void)state;
  shmx_request calls[SHMX_CALLERS], call, request;
  for (uint64_t i = 0; i < SHMX_CALLERS; i++) {
    assert_int_equal(begin_call(i, &calls[i], 0), 0);
    assert_int_equal(take(&request), (int64_t)i);
  }
  assert_int_equal(begin_call(99, &call, in_ms(20)), -ETIMEDOUT);
  shmx_service_end(&service, &calls[7]);
  assert_int_equal(begin_call(99, &call, 0), 0);
  assert_int_equal(call.slot, calls[7].slot);
}

static void take_and_die(int unused) {
  (void)unused;
  shmx_request request;
  EXPECT(take(&request) == 1);
}

static void call_and_die(int unused) {
  (void)unused;
  shmx_request calls[SHMX_CALLERS], request;
  for (uint64_t i = 0; i < SHMX_CALLERS; i++)
    EXPECT(begin_call(i, &calls[i], 0) == 0 && take(&request) == (int64_t)i);
}

static void test_servers_and_callers_die(void **state) {
  (void)state;
  shmx_request call;
  assert_int_equal(begin_call(1, &call, 0), 0);
  assert_int_equal(child_status(take_and_die, 0), 0);
  int64_t start = shmx_clock_now();
  assert_int_equal(await_reply(&call, in_ms(3000)), -EOWNERDEAD);
  assert_in_range(ms_since(start), 0, 999);
  shmx_service_end(&service, &call);
  assert_int_equal(child_status(call_and_die, 0), 0);
  assert_int_equal(begin_call(2, &call, in_ms(1000)), 0); /* a dead caller's slot */
  assert_in_range(ms_since(start), 0, 1999);
}

int main(void) {
  const struct CMUnitTest tests[] = {SERVICE(test_errors), SERVICE(test_a_late_reply_is_dropped),
                                     SERVICE(test_more_callers_than_slots),
                                     SERVICE(test_servers_and_callers_die)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
