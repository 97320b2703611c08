/*
 * service_test.c calls and serves: the errors of each part, calls that are given up, servers and
 * callers that die, and more callers than slots.
 */
#include "calls.h"

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

/* ---- servers of other processes ---- */

static void take_name_and_die(int unused) {
  (void)unused;
  slot(0)->server = own_task();
  slot(0)->state = TAKEN;
}

/* A server that died before it took the request out of the channel: another has it. */
static void test_an_orphan_is_adopted(void **state) {
  (void)state;
  shmx_request call, request;
  assert_int_equal(begin_call(1, &call, 0), 0);
  assert_int_equal(child_status(take_name_and_die, 0), 0);
  assert_int_equal(take(&request), 1);
  assert_int_equal(await_reply(&call, in_ms(200)), -ETIMEDOUT);
  assert_int_equal(reply(&request, 2), 0);
  assert_int_equal(await_reply(&call, 0), 2);
  shmx_service_end(&service, &call);
}

/* Serves so many calls, answers each with the next number, and dies in one with the number 0. */
static void serve(int calls) {
  unsigned char buffer[LIMIT];
  shmx_request request;
  ground->stage++;
  for (int i = 0; i < calls; i++) {
    int status = shmx_service_take(&service, buffer, &request, in_ms(10000));
    if (status == -EPIPE) return;
    EXPECT(status == 0);
    uint64_t number = number_of(&request.message);
    if (number == 0) kill(getpid(), SIGKILL);
    EXPECT(reply(&request, number + 1) == 0);
  }
}

static int64_t call(uint64_t number, int64_t deadline) {
  unsigned char bytes[LONGEST_TOLD], buffer[LIMIT];
  shmx_message message = message_of(bytes, number), answer;
  int status = shmx_service_call(&service, &message, buffer, &answer, deadline);
  return status != 0 ? status : (int64_t)number_of(&answer);
}

static void test_calling(void **state) {
  (void)state;
  static unsigned char data[LIMIT + 1];
  shmx_message large = {data, LIMIT + 1, 0}, answer;
  assert_int_equal(call(1, in_ms(20)), -ETIMEDOUT);
  assert_int_equal(shmx_service_call(&service, &large, data, &answer, 0), -EMSGSIZE);
  pid_t servers[2];
  for (int i = 0; i < 2; i++)
    servers[i] = start_child(serve, 1 << 20);
  for (uint64_t i = 1; i < 500; i++)
    assert_int_equal(call(i, in_ms(5000)), (int64_t)i + 1);
  for (int i = 0; i < 2; i++) { /* as who retries does it */
    int64_t start = shmx_clock_now();
    assert_int_equal(call(0, in_ms(5000)), -EOWNERDEAD);
    assert_in_range(ms_since(start), 0, 999);
    if (i == 0) assert_int_equal(call(7, in_ms(5000)), 8);
  }
  for (int i = 0; i < 2; i++)
    assert_true(WIFSIGNALED(wait_for(servers[i])));
  assert_int_equal(call(9, in_ms(20)), -ETIMEDOUT);
  interrupt_every(20);
  assert_int_equal(call(9, in_ms(5000)), -EINTR);
  interrupt_every(0);
  assert_int_equal(shmx_service_finish(&service, 0), 0);
  assert_int_equal(call(9, in_ms(20)), -EPIPE);
}

/* A poller, who never waits, is told of the death of a server, too. */
static void test_polling_for_a_reply(void **state) {
  (void)state;
  shmx_request polled;
  int64_t status, start = shmx_clock_now();
  assert_int_equal(begin_call(1, &polled, 0), 0);
  assert_int_equal(child_status(take_and_die, 0), 0);
  while ((status = await_reply(&polled, 0)) == -ETIMEDOUT && ms_since(start) < 3000)
    usleep(1000);
  assert_int_equal(status, -EOWNERDEAD);
  assert_in_range(ms_since(start), 0, 999);
  shmx_service_end(&service, &polled);
}

int main(void) {
  const struct CMUnitTest tests[] = {SERVICE(test_errors),
                                     SERVICE(test_a_late_reply_is_dropped),
                                     SERVICE(test_more_callers_than_slots),
                                     SERVICE(test_servers_and_callers_die),
                                     SERVICE(test_an_orphan_is_adopted),
                                     SERVICE(test_calling),
                                     SERVICE(test_polling_for_a_reply)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
