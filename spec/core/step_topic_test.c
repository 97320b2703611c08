/*
 * step_topic_test.c kills who publishes and who subscribes, who calls and who serves, at every
 * instruction, or stops him there: readers see whole messages only, calls go on within a second,
 * and no slot is lost.
 */
#include "step.h"

#include "messages.h"

#include "sync/event.h"

enum { RING = 256, LIMIT = 64, MOST = 64, MARK = 1000 };

static struct {
  shmx_topic topic;
  shmx_subscription oldest, next; /* from the oldest message; from the deed's */
  shmx_service service;
  shmx_request call, request;
} mine; /* the tester's; the victim inherits a copy */

#define told (*(_Atomic uint64_t *)(void *)ground->second)

static uint64_t first, published; /* what the topic had before: from, to */
static bool publishes;            /* the deed: one more */

/* ---- topics ---- */

static void prepare_topic(uint64_t from, uint64_t count) {
  memset(ground, 0, sizeof *ground);
  watched.data = ground->memory;
  watched.size = shmx_topic_kind(RING).size;
  shmx_topic_open(&mine.topic, ground->memory, RING);
  publishes = true;
  published = from + count;
  for (uint64_t i = from; i < published; i++)
    CHECK(publish_number(&mine.topic, i, 0) == 0);
  CHECK(shmx_topic_subscribe(&mine.topic, true, 0, 0, &mine.oldest) == 0);
  first = from + mine.oldest.serial; /* those before it are overrun already */
  CHECK(shmx_topic_subscribe(&mine.topic, false, 0, 0, &mine.next) == 0);
}

static void prepare_few(void) {
  prepare_topic(1, 2);
}

/* The ring is full: the next overruns, and does not fit before the end. */
static void prepare_full(void) {
  prepare_topic(1, 14);
}

static void prepare_reading(void) {
  prepare_full();
  publishes = false;
}

static void publish(void) {
  EXPECT(publish_number(&mine.topic, published, in_ms(3000)) == 0);
}

/* From here to `last`, each message whole, in order; those it lacks are told. */
static void read_to(shmx_subscription *subscription, uint64_t expected, uint64_t last) {
  uint64_t lost;
  int64_t number, start = shmx_clock_now();
  do {
    number = next_number(subscription, &lost, 0);
    CHECK(number >= (int64_t)expected);
    /* The last, sent in the dead one's stead, has a number of the topic that follows. */
    if ((uint64_t)number < last) CHECK(lost == (uint64_t)number - expected);
    expected = (uint64_t)number + 1;
  } while ((uint64_t)number != last);
  CHECK(next_number(subscription, &lost, 0) == -ETIMEDOUT);
  CHECK(in_time(start));
}

/* What was published, whole; then the topic is as good as new. */
static void topic_goes_on(void) {
  int64_t start = shmx_clock_now();
  uint64_t lost;
  CHECK(publish_number(&mine.topic, MARK, in_ms(longest_wait())) == 0);
  CHECK(in_time(start));
  shmx_subscription late;
  CHECK(shmx_topic_subscribe(&mine.topic, true, 0, 0, &late) == 0);
  int64_t number = next_number(&mine.next, &lost, 0);
  CHECK(number == MARK || number == (int64_t)published);
  CHECK(!stepped.done || !publishes || number == (int64_t)published);
  CHECK(number == MARK ? lost <= 1 : lost == 0); /* 1: its number was given, but not it */
  if (number != MARK) CHECK(next_number(&mine.next, &lost, 0) == MARK && lost == 0);
  read_to(&mine.oldest, first, MARK);
  number = next_number(&late, &lost, 0);
  CHECK(number >= 0 && lost == 0);
  if (number != MARK) read_to(&late, (uint64_t)number + 1, MARK);
  for (uint64_t i = 2; i < 40; i++) {
    CHECK(publish_number(&mine.topic, i, 0) == 0);
    CHECK(next_number(&mine.next, &lost, 0) == (int64_t)i && lost == 0);
  }
  shmx_topic_status status;
  shmx_topic_stat(&mine.topic, &status);
  CHECK(status.used <= RING && status.used > RING / 2);
}

static void subscribe(void) {
  EXPECT(shmx_topic_subscribe(&mine.topic, true, 0, in_ms(3000), &mine.oldest) == 0);
}

static void receive_oldest(void) {
  uint64_t lost;
  EXPECT(next_number(&mine.oldest, &lost, in_ms(3000)) >= 0);
}

/* The victim stands still, and what it copies is overrun. It tells what it got. */
static void receive_and_tell(void) {
  uint64_t lost;
  int64_t number = next_number(&mine.oldest, &lost, in_ms(3000));
  EXPECT(number >= 0);
  told = (uint64_t)number << 8 | lost;
}

static void overrun(void) {
  for (uint64_t i = 0; i < 20; i++)
    CHECK(publish_number(&mine.topic, published++, 0) == 0);
}

static void check_told(void) {
  uint64_t number = told >> 8, lost = told & 255;
  CHECK(number >= first && number < published);
  CHECK(lost == number - first);
}

/* Readers do not notice that a publisher stands still. */
static void read_beside(void) {
  uint64_t lost;
  int64_t number, expected = 0, start = shmx_clock_now();
  shmx_subscription other = mine.oldest;
  while ((number = next_number(&other, &lost, 0)) >= 0) {
    CHECK(expected == 0 || (number == expected && lost == 0));
    expected = number + 1;
  }
  CHECK(number == -ETIMEDOUT && in_time(start));
  CHECK(expected == 0 || expected == (int64_t)published || expected == (int64_t)published + 1);
}

static void published_beside(void) {
  stepped.done = true;
  topic_goes_on();
}

static pthread_t bystander;
static _Atomic int64_t outcome;

static void *read_next(void *unused) {
  uint64_t lost;
  shmx_subscription own = mine.next;
  outcome = next_number(&own, &lost, in_ms(5000));
  return unused;
}

static void prepare_reader(void) {
  prepare_few();
  bystander = start_thread(read_next, NULL);
  struct shmx_event *event = (struct shmx_event *)(void *)(ground->memory + 192);
  CHECK(UNTIL(event->word & SHMX_EVENT_SLEEPERS));
}

static void bystander_goes_on(void) {
  int64_t start = shmx_clock_now();
  CHECK(publish_number(&mine.topic, MARK, in_ms(longest_wait())) == 0);
  pthread_join(bystander, NULL);
  CHECK(in_time(start));
  CHECK(!stepped.done || outcome == (int64_t)published);
  CHECK(outcome == MARK || outcome == (int64_t)published);
}

static void finish_topic(void) {
  EXPECT(shmx_topic_finish(&mine.topic, in_ms(3000)) == 0);
}

static void topic_is_finished(void) {
  uint64_t lost, number = first;
  int64_t start = shmx_clock_now();
  CHECK(shmx_topic_finish(&mine.topic, in_ms(longest_wait())) == 0);
  CHECK(publish_number(&mine.topic, 1, 0) == -EPIPE);
  for (; number < published; number++)
    CHECK(next_number(&mine.oldest, &lost, 0) == (int64_t)number);
  CHECK(next_number(&mine.oldest, &lost, 0) == -EPIPE);
  CHECK(in_time(start));
}

/* ---- services ---- */

enum { CALL = 7, ANSWER = 8, LAST_ANSWER = 10 };

static int begin_call(uint64_t number, shmx_request *call) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_service_begin(&mine.service, &message, in_ms(longest_wait()), call);
}

static int64_t await_answer(const shmx_request *call, int64_t deadline) {
  _Alignas(8) unsigned char buffer[LIMIT];
  shmx_message reply;
  int status = shmx_service_await(&mine.service, call, buffer, &reply, deadline);
  return status != 0 ? status : (int64_t)number_of(&reply);
}

static int64_t take_request(shmx_request *request, int64_t deadline) {
  _Alignas(8) static unsigned char buffer[LIMIT];
  int status = shmx_service_take(&mine.service, buffer, request, deadline);
  return status != 0 ? status : (int64_t)number_of(&request->message);
}

static int answer(const shmx_request *request, uint64_t number) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_message message = message_of(bytes, number);
  return shmx_service_reply(&mine.service, request, &message);
}

static void prepare_service(void) {
  memset(ground, 0, sizeof *ground);
  watched.data = ground->memory;
  watched.size = shmx_service_kind(LIMIT).size;
  CHECK(watched.size <= sizeof ground->memory);
  shmx_service_open(&mine.service, ground->memory, LIMIT);
  mine.service.spin = mine.service.requests.spin = (shmx_spin){.most = 0};
}

static void prepare_call(void) {
  prepare_service();
  CHECK(begin_call(CALL, &mine.call) == 0);
}

static void begin_as_victim(void) {
  EXPECT(begin_call(CALL, &mine.call) == 0);
}

/* The victim's call, answered by itself: there is nobody else yet. */
static void be_answered(void) {
  begin_as_victim();
  EXPECT(take_request(&mine.request, 0) == CALL);
  EXPECT(answer(&mine.request, ANSWER) == 0);
}

static void await_as_victim(void) {
  EXPECT(await_answer(&mine.call, in_ms(3000)) == ANSWER);
}

static void end_as_victim(void) {
  shmx_service_end(&mine.service, &mine.call);
}

static void take_as_victim(void) {
  EXPECT(take_request(&mine.request, in_ms(3000)) == CALL);
}

/* As take_as_victim, in two halves. */
static void accept_as_victim(void) {
  _Alignas(8) static unsigned char buffer[LIMIT + SHMX_REQUEST_HEAD];
  shmx_copied copied;
  EXPECT(shmx_service_copy(&mine.service, buffer, sizeof buffer, &mine.request, &copied,
                           in_ms(3000)) == 0);
  EXPECT(number_of(&mine.request.message) == CALL);
  EXPECT(shmx_service_accept(&mine.service, &mine.request, &copied, in_ms(3000)) == 0);
}

static void answer_as_victim(void) {
  EXPECT(answer(&mine.request, ANSWER) == 0);
}

static void serve_as_victim(void) {
  take_as_victim();
  answer_as_victim();
}

/* All slots are free or a dead caller's, and all requests are to be had. */
static void check_slots(void) {
  shmx_request calls[SHMX_CALLERS], request;
  int64_t start = shmx_clock_now(), number;
  while ((number = take_request(&request, 0)) >= 0) {
    CHECK(number == CALL);
    int status = answer(&request, ANSWER); /* the victim died only just now, perhaps */
    CHECK(status == 0 || status == -ECANCELED);
  }
  CHECK(number == -ETIMEDOUT);
  for (uint64_t i = 0; i < SHMX_CALLERS; i++) {
    CHECK(begin_call(MARK + i, &calls[i]) == 0);
    CHECK(take_request(&request, 0) == (int64_t)(MARK + i));
    CHECK(request.slot == calls[i].slot && request.number == calls[i].number);
    CHECK(answer(&request, i) == 0);
  }
  for (uint64_t i = 0; i < SHMX_CALLERS; i++) {
    CHECK(await_answer(&calls[i], 0) == (int64_t)i);
    shmx_service_end(&mine.service, &calls[i]);
  }
  CHECK(in_time(start));
  shmx_channel_status status;
  shmx_channel_stat(&mine.service.requests, &status);
  CHECK(status.used == 0);
}

static void service_goes_on(void) {
  check_slots();
  check_slots();
}

/* The server died: the tester's call is answered, by it or by another, or it is told. */
static void call_goes_on(void) {
  shmx_request request;
  int64_t start = shmx_clock_now(), number = take_request(&request, 0), reply;
  CHECK(number == -ETIMEDOUT || number == CALL);
  CHECK(!stepped.done || number == -ETIMEDOUT);
  if (number == CALL) CHECK(answer(&request, LAST_ANSWER) == 0);
  reply = await_answer(&mine.call, in_ms(longest_wait()));
  CHECK(in_time(start));
  CHECK(number == CALL ? reply == LAST_ANSWER : reply == ANSWER || reply == -EOWNERDEAD);
  shmx_service_end(&mine.service, &mine.call);
  check_slots();
}

static void answer_goes_on(void) {
  int64_t start = shmx_clock_now(), reply = await_answer(&mine.call, in_ms(longest_wait()));
  CHECK(in_time(start));
  CHECK(reply == ANSWER || (!stepped.done && reply == -EOWNERDEAD));
  shmx_service_end(&mine.service, &mine.call);
  check_slots();
}

#define KILLED(name, prepare, before, deed, after)                                                 \
  { name, prepare, before, deed, NULL, after, false }

static const struct deed deeds[] = {
    KILLED("topic: publish", prepare_few, NULL, publish, topic_goes_on),
    KILLED("topic: publish, overrunning, padding", prepare_full, NULL, publish, topic_goes_on),
    KILLED("topic: publish to one who waits", prepare_reader, NULL, publish, bystander_goes_on),
    KILLED("topic: subscribe", prepare_reading, NULL, subscribe, topic_goes_on),
    KILLED("topic: receive", prepare_reading, NULL, receive_oldest, topic_goes_on),
    KILLED("topic: finish", prepare_few, NULL, finish_topic, topic_is_finished),
    {"topic: stopped in publish", prepare_full, NULL, publish, read_beside, published_beside,
     false},
    {"topic: stopped in receive, and overrun", prepare_full, NULL, receive_and_tell, overrun,
     check_told, false},
    KILLED("service: begin", prepare_service, NULL, begin_as_victim, service_goes_on),
    KILLED("service: await", prepare_service, be_answered, await_as_victim, service_goes_on),
    KILLED("service: end", prepare_service, be_answered, end_as_victim, service_goes_on),
    KILLED("service: take", prepare_call, NULL, take_as_victim, call_goes_on),
    KILLED("service: copy and accept", prepare_call, NULL, accept_as_victim, call_goes_on),
    KILLED("service: reply", prepare_call, take_as_victim, answer_as_victim, answer_goes_on),
    KILLED("service: take and reply", prepare_call, NULL, serve_as_victim, call_goes_on),
};

static void test_whoever_is_killed_holds_up_nobody(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_holds_up_nobody, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
