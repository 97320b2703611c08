/*
 * service_slots_test.c looks at the slots of calls: whom replies reach, slots in which somebody is
 * stopped, and slots and requests in which a peer writes lies.
 */
#include "calls.h"

/* ---- whom replies reach ---- */

static void call_once_and_die(int unused) {
  (void)unused;
  shmx_request call;
  EXPECT(begin_call(1, &call, 0) == 0);
}

static void test_a_reply_to_the_dead_is_refused(void **state) {
  (void)state;
  shmx_request request, call;
  assert_int_equal(child_status(call_once_and_die, 0), 0);
  assert_int_equal(take(&request), 1);
  usleep(1000);
  assert_int_equal(reply(&request, 2), -ECANCELED);
  assert_int_equal(begin_call(3, &call, 0), 0);
  assert_int_equal(take(&request), 3);
  usleep(1000);
  assert_int_equal(reply(&request, 4), 0); /* but not one to the living */
  assert_int_equal(await_reply(&call, 0), 4);
  shmx_service_end(&service, &call);
}

/* What is left of a call that has ended reaches no other call. */
static void test_a_stale_call_is_nobodys(void **state) {
  (void)state;
  shmx_request stale, call, request;
  assert_int_equal(begin_call(1, &stale, 0), 0);
  shmx_service_end(&service, &stale);
  assert_int_equal(await_reply(&stale, 0), -ECANCELED);
  assert_int_equal(begin_call(2, &call, 0), 0);
  assert_int_equal(call.slot, stale.slot);
  assert_int_equal(await_reply(&stale, SHMX_FOREVER), -ECANCELED);
  assert_int_equal(take(&request), 2);
  shmx_service_end(&service, &stale);
  assert_int_equal(reply(&request, 3), 0);
  assert_int_equal(await_reply(&stale, 0), -ECANCELED);
  shmx_service_end(&service, &stale);
  assert_int_equal(await_reply(&call, 0), 3);
  assert_int_equal(await_reply(&call, 0), 3); /* until the end */
  shmx_service_end(&service, &call);
}

static shmx_request begun;

static void await_and_end(int unused) {
  (void)unused;
  EXPECT(await_reply(&begun, SHMX_FOREVER) == -ECANCELED);
  shmx_service_end(&service, &begun);
}

static void test_a_call_is_not_the_childs(void **state) {
  (void)state;
  shmx_request request;
  assert_int_equal(begin_call(1, &begun, 0), 0);
  assert_int_equal(child_status(await_and_end, 0), 0);
  assert_int_equal(take(&request), 1);
  assert_int_equal(reply(&request, 2), 0);
  assert_int_equal(await_reply(&begun, 0), 2);
  shmx_service_end(&service, &begun);
}

static void hold_slot(int unused) {
  (void)unused;
  EXPECT(shmx_lock_acquire(&slot(0)->lock, 0) == 0);
  stay(1);
}

static pid_t start_holder(void) {
  ground->stage = 0;
  pid_t child = start_child(hold_slot, 0);
  assert_true(UNTIL(ground->stage == 1));
  kill(child, SIGSTOP);
  return child;
}

/* Whoever is stopped in a slot costs a server a slice, and no request. */
static void test_a_slot_that_is_held_up(void **state) {
  (void)state;
  shmx_request call, request;
  assert_int_equal(begin_call(1, &call, 0), 0);
  pid_t child = start_holder();
  int64_t start = shmx_clock_now();
  assert_int_equal(take(&request), -ETIMEDOUT);
  assert_in_range(ms_since(start), 0, 900);
  interrupt_every(20);
  assert_int_equal(shmx_service_take(&service, (unsigned char[LIMIT]){0}, &request, in_ms(5000)),
                   -EINTR);
  interrupt_every(0);
  end_child(child);
  assert_int_equal(take(&request), 1);
  child = start_holder();
  start = shmx_clock_now();
  assert_int_equal(reply(&request, 2), -ETIMEDOUT);
  assert_in_range(ms_since(start), 0, 900);
  end_child(child);
  assert_int_equal(reply(&request, 2), 0);
  assert_int_equal(await_reply(&call, 0), 2);
  shmx_service_end(&service, &call);
}

/* A caller can give up, and others call, whoever is stopped in the slot. */
static void test_giving_up_a_slot_that_is_held_up(void **state) {
  (void)state;
  shmx_request call, next, request;
  assert_int_equal(begin_call(1, &call, 0), 0);
  assert_int_equal(take(&request), 1);
  pid_t child = start_holder();
  shmx_service_end(&service, &call);
  int64_t start = shmx_clock_now();
  assert_int_equal(reply(&request, 2), -ECANCELED); /* without a look into the slot */
  assert_int_equal(begin_call(3, &next, 0), 0);
  assert_in_range(ms_since(start), 0, PROMPT);
  assert_int_not_equal(next.slot, call.slot);
  end_child(child);
  shmx_service_end(&service, &next);
}

/* ---- lies ---- */

static int send_raw(uint64_t number, uint64_t slot_number, uint32_t length) {
  unsigned char bytes[4 * LIMIT] = {0};
  memcpy(bytes, &number, sizeof number);
  memcpy(bytes + 8, &slot_number, sizeof slot_number);
  shmx_message message = {bytes, length, 1};
  return shmx_channel_send(&service.requests, &message, 0);
}

/* Requests that no caller has sent are told of, or passed over, and the next one is served. */
static void test_forged_requests(void **state) {
  (void)state;
  enum { PREFIX = 16 };
  shmx_request call, request;
  for (uint32_t length = 0; length < PREFIX; length++) {
    assert_int_equal(send_raw(1, 0, length), 0);
    assert_int_equal(take(&request), -EBADMSG);
  }
  assert_int_equal(send_raw(1, 0, PREFIX + LIMIT + 1), 0);
  assert_int_equal(take(&request), -EBADMSG);
  static const uint64_t slots[] = {SHMX_CALLERS, 255, INT32_MAX, UINT32_MAX};
  for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
    assert_int_equal(send_raw(1, slots[i], PREFIX), 0);
    assert_int_equal(take(&request), -EBADMSG);
  }
  for (uint64_t number = 0; number < 3; number++) /* calls that nobody makes */
    assert_int_equal(send_raw(number, number, PREFIX + LIMIT), 0);
  assert_int_equal(begin_call(1, &call, 0), 0);
  assert_int_equal(send_raw(call.number, call.slot, PREFIX), 0);
  assert_int_equal(take(&request), 1);
  assert_int_equal(take(&request), -ETIMEDOUT); /* taken already */
  assert_int_equal(reply(&request, 2), 0);
  assert_int_equal(await_reply(&call, 0), 2);
  shmx_service_end(&service, &call);
}

static uint64_t *word_of(struct fields *fields, int which) {
  uint64_t *words[] = {&fields->caller,
                       &fields->number,
                       &fields->state,
                       &fields->server,
                       (uint64_t *)(void *)&fields->changed,
                       (uint64_t *)(void *)&fields->tag,
                       (uint64_t *)&fields->began};
  return words[which];
}

enum { WORDS = 7 };

/* In memory that ends with the service: behind it is nothing. */
static void lie(int unused) {
  (void)unused;
  enum { ALL = 1 << 16 };
  size_t size = shmx_service_kind(LIMIT).size;
  unsigned char *all = mmap(NULL, ALL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(mprotect(all + ALL - PAGE, PAGE, PROT_NONE) == 0);
  unsigned char *memory = all + ALL - PAGE - size;
  struct fields *first = (struct fields *)(void *)(memory + 64);
  const uint64_t values[] = {0,
                             1,
                             TAKEN,
                             DONE,
                             4,
                             LIMIT,
                             LIMIT + 1,
                             INT32_MAX,
                             UINT32_MAX,
                             (uint64_t)INT64_MAX,
                             UINT64_C(1) << 63,
                             UINT64_MAX,
                             own_task(),
                             namesake(own_task())};
  for (int which = 0; which < WORDS; which++)
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
      for (int when = 0; when < 4; when++) {
        shmx_request call, request;
        memset(memory, 0, size);
        shmx_service_open(&service, memory, LIMIT);
        if (when == 0) *word_of(first, which) = values[i];
        if (begin_call(1, &call, 0) != 0) continue;
        if (when == 1) *word_of(first, which) = values[i];
        int64_t number = take(&request);
        EXPECT(number == 1 || number == -ETIMEDOUT);
        if (when == 2) *word_of(first, which) = values[i];
        if (number == 1) reply(&request, 2);
        if (when == 3) *word_of(first, which) = values[i];
        await_reply(&call, in_ms(1));
        shmx_service_end(&service, &call);
        shmx_service_close(&service);
      }
}

static void test_lies_harm_nobody(void **state) {
  (void)state;
  int64_t start = shmx_clock_now();
  assert_child_passes(lie, 0);
  assert_in_range(ms_since(start), 0, 5000);
}

int main(void) {
  const struct CMUnitTest tests[] = {SERVICE(test_a_reply_to_the_dead_is_refused),
                                     SERVICE(test_a_stale_call_is_nobodys),
                                     SERVICE(test_a_call_is_not_the_childs),
                                     SERVICE(test_a_slot_that_is_held_up),
                                     SERVICE(test_giving_up_a_slot_that_is_held_up),
                                     SERVICE(test_forged_requests),
                                     SERVICE(test_lies_harm_nobody)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
