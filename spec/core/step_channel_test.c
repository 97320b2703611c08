/*
 * step_channel_test.c kills who sends, receives, reserves, peeks, claims and finishes at every
 * instruction, or stops him there: others go on within a second, and each message that was
 * committed is received once.
 */
#include "step.h"

#include "messages.h"

#include "data/end.h"

enum { RING = 256, HEADS = 320, MOST = 64 };

/* The tester's; the victim inherits a copy. */
static shmx_channel channel;

/* What the victim tells, in memory that all see: the number that it has received last. */
#define told (*(_Atomic uint64_t *)(void *)ground->second)

static struct {
  uint64_t first, sent; /* messages that were in the ring before: from, to */
  uint64_t adds;        /* how many the deed commits, all at once */
  uint64_t takes;       /* how many the deed receives, all at once */
} plan;

static struct shmx_event *event_at(size_t offset) {
  return (struct shmx_event *)(void *)(ground->memory + offset);
}

#define ends     ((struct shmx_end *)(void *)ground->memory)
#define readable (event_at(2 * sizeof(struct shmx_end)))
#define writable (event_at(2 * sizeof(struct shmx_end) + sizeof(struct shmx_event)))

static void open_mine(void) {
  shmx_channel_open(&channel, ground->memory, RING);
  shmx_channel_spin(&channel, 0);
}

/* A channel whose first message lies `at` bytes behind the ring's start, and `count` of them. */
static void prepare_at(uint64_t at, uint64_t count) {
  memset(ground, 0, sizeof *ground);
  watched.data = ground->memory;
  watched.size = HEADS + RING;
  open_mine();
  shmx_message nothing = {NULL, 0, 0};
  for (uint64_t i = 0; i < at; i += 8) {
    CHECK(shmx_channel_send(&channel, &nothing, 0) == 0);
    CHECK(shmx_channel_receive(&channel, ground->second, 8, &nothing, 0) == 0);
    nothing.data = NULL;
  }
  plan.first = plan.sent = 1;
  for (uint64_t i = 0; i < count; i++)
    CHECK(send_number(&channel, plan.sent++, 0) == 0);
  plan.adds = plan.takes = 0;
}

/* ---- what others find then ---- */

/* Nothing of the ring is lost: so many messages of a head each fit. */
static void check_room(shmx_channel *other) {
  shmx_message nothing = {NULL, 0, 0};
  for (int i = 0; i < RING / 8; i++)
    CHECK(shmx_channel_send(other, &nothing, 0) == 0);
  CHECK(shmx_channel_send(other, &nothing, 0) == -ETIMEDOUT);
  size_t length;
  _Alignas(8) unsigned char buffer[RING];
  CHECK(shmx_channel_receive_all(other, buffer, RING, SIZE_MAX, &length, 0) == 0);
  CHECK(length == RING);
  shmx_channel_status status;
  shmx_channel_stat(other, &status);
  CHECK(status.used == 0);
}

/* What the deed has done is all or nothing; what was committed is received once, in order. */
static void drain(shmx_channel *other, int end) {
  uint64_t numbers[MOST], count = 0, begin, behind;
  int64_t start = shmx_clock_now(), number;
  while ((number = receive_number(other, 0)) >= 0)
    numbers[count++] = (uint64_t)number;
  CHECK(number == end);
  CHECK(in_time(start));
  begin = count > 0 ? numbers[0] : plan.first + plan.takes;
  behind = begin + count;
  for (uint64_t i = 0; i < count; i++)
    CHECK(numbers[i] == begin + i);
  CHECK(begin == plan.first || begin == plan.first + plan.takes);
  CHECK(behind == plan.sent || behind == plan.sent + plan.adds);
  CHECK(!stepped.done || behind == plan.sent + plan.adds);
  CHECK((!stepped.done && told == 0) || begin == plan.first + plan.takes);
}

/* All that can be done is done by others, at once. */
static void others_go_on(void) {
  int64_t start = shmx_clock_now();
  void *data;
  shmx_message message;
  CHECK(send_number(&channel, 77, in_ms(longest_wait())) == 0);
  CHECK(receive_number(&channel, in_ms(longest_wait())) == 77);
  CHECK(shmx_channel_claim(&channel, SHMX_PRODUCER | SHMX_CONSUMER) == 0);
  CHECK(shmx_channel_reserve(&channel, LONGEST_TOLD, &data, in_ms(longest_wait())) == 0);
  tell(data, 78);
  CHECK(shmx_channel_commit(&channel, length_of(78), 78) == 0);
  CHECK(shmx_channel_peek(&channel, &message, in_ms(longest_wait())) == 0);
  CHECK(number_of(&message) == 78);
  CHECK(shmx_channel_release(&channel) == 0);
  check_room(&channel);
  shmx_channel_close(&channel);
  CHECK(in_time(start));
  for (int i = 0; i < 2; i++)
    CHECK(shmx_lock_owner(&ends[i].turn) == 0 && ends[i].claimed == 0);
}

static void goes_on(void) {
  drain(&channel, -ETIMEDOUT);
  others_go_on();
}

/* ---- sending ---- */

static void prepare_sending(void) {
  prepare_at(64, 3);
  plan.adds = 1;
}

static void prepare_first(void) {
  prepare_at(64, 0);
  plan.adds = 1;
}

/* The next does not fit before the end of the ring. */
static void prepare_padding(void) {
  prepare_at(RING - 24, 0);
  plan.adds = 1;
}

static void prepare_lot(void) {
  prepare_at(RING - 80, 1);
  plan.adds = 3;
}

static void send_one(void) {
  EXPECT(send_number(&channel, plan.sent, in_ms(3000)) == 0);
}

static void send_lot(void) {
  unsigned char bytes[3][LONGEST_TOLD];
  shmx_message messages[3];
  size_t sent;
  for (int i = 0; i < 3; i++)
    messages[i] = message_of(bytes[i], plan.sent + (uint64_t)i);
  EXPECT(shmx_channel_send_all(&channel, messages, 3, in_ms(3000), &sent) == 0 && sent == 3);
}

static void reserve_and_commit(void) {
  void *data;
  EXPECT(shmx_channel_reserve(&channel, LONGEST_TOLD, &data, in_ms(3000)) == 0);
  tell(data, plan.sent);
  EXPECT(shmx_channel_commit(&channel, length_of(plan.sent), (uint32_t)plan.sent % 128) == 0);
}

/* ---- receiving ---- */

static void prepare_receiving(void) {
  prepare_at(64, 3);
  plan.takes = 1;
}

static void prepare_behind_padding(void) {
  prepare_at(RING - 24, 2);
  plan.takes = 1;
}

static void prepare_receiving_lot(void) {
  prepare_at(RING - 80, 4);
  plan.takes = 4;
}

static void receive_one(void) {
  EXPECT(receive_number(&channel, in_ms(3000)) == (int64_t)plan.first);
  told = 1;
}

static void receive_lot(void) {
  _Alignas(8) unsigned char buffer[RING];
  size_t length, at = 0;
  shmx_message message;
  EXPECT(shmx_channel_receive_all(&channel, buffer, RING, MOST, &length, in_ms(3000)) == 0);
  told = 1;
  for (uint64_t i = 0; i < plan.takes; i++) {
    EXPECT(shmx_channel_next(buffer, length, &at, &message));
    EXPECT(number_of(&message) == plan.first + i);
  }
  EXPECT(!shmx_channel_next(buffer, length, &at, &message));
}

static void peek_and_release(void) {
  shmx_message message;
  EXPECT(shmx_channel_peek(&channel, &message, in_ms(3000)) == 0);
  EXPECT(number_of(&message) == plan.first);
  EXPECT(shmx_channel_release(&channel) == 0);
  told = 1;
}

/* ---- claims ---- */

static void prepare_some(void) {
  prepare_at(64, 2);
}

static void claim_both(void) {
  EXPECT(shmx_channel_claim(&channel, SHMX_PRODUCER | SHMX_CONSUMER) == 0);
}

static void claim_and_close(void) {
  claim_both();
  shmx_channel_close(&channel);
}

/* Who claims, and is killed: the victim takes that over. */
static void prepare_dead_claimer(void) {
  prepare_sending();
  pid_t child = fork();
  if (child == 0) {
    claim_both();
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void prepare_dead_consumer(void) {
  prepare_dead_claimer();
  plan.adds = 0;
  plan.takes = 1;
}

/* ---- the end ---- */

static void finish(void) {
  EXPECT(shmx_channel_finish(&channel, in_ms(3000)) == 0);
}

static void finishes(void) {
  int64_t start = shmx_clock_now();
  bool done = stepped.done;
  int status = send_number(&channel, plan.sent, in_ms(longest_wait()));
  CHECK(status == -EPIPE || (!done && status == 0));
  plan.adds = status == 0;
  CHECK(shmx_channel_finish(&channel, in_ms(longest_wait())) == 0);
  stepped.done = true;
  CHECK(in_time(start));
  drain(&channel, -EPIPE);
  CHECK(send_number(&channel, 1, 0) == -EPIPE);
}

/* ---- with one who waits meanwhile, and does his part when the victim sleeps ---- */

static pthread_t bystander;
static _Atomic bool over;
static _Atomic int64_t outcome;

#define sleeps(event) ((event)->word & SHMX_EVENT_SLEEPERS)

static void *receive_when_asked(void *unused) {
  shmx_channel own = channel;
  while (!over && !sleeps(writable))
    nanosleep(&(struct timespec){0, MS / 10}, NULL);
  outcome = receive_number(&own, in_ms(3000));
  return unused;
}

static void *send_when_asked(void *unused) {
  shmx_channel own = channel;
  while (!over && !sleeps(readable))
    nanosleep(&(struct timespec){0, MS / 10}, NULL);
  outcome = send_number(&own, plan.first, in_ms(3000));
  return unused;
}

static void *wait_for_message(void *unused) {
  shmx_channel own = channel;
  outcome = receive_number(&own, in_ms(5000));
  return unused;
}

static void *wait_for_room(void *unused) {
  shmx_channel own = channel;
  outcome = send_number(&own, plan.sent, in_ms(5000));
  return unused;
}

static void begin_bystander(void *(*body)(void *), struct shmx_event *until) {
  over = false;
  outcome = -1;
  bystander = start_thread(body, NULL);
  CHECK(until == NULL || UNTIL(sleeps(until)));
}

/* The first is the longest: where it was, any other has room. */
static void prepare_full(void) {
  prepare_at(64, 0);
  plan.first = plan.sent = 26;
  while (send_number(&channel, plan.sent, 0) == 0)
    plan.sent++;
}

static void prepare_full_then_room(void) {
  prepare_full();
  plan.adds = 1;
  begin_bystander(receive_when_asked, NULL);
}

static void full_goes_on(void) {
  over = true;
  pthread_join(bystander, NULL);
  CHECK(outcome == (int64_t)plan.first);
  plan.first++;
  goes_on();
}

static void prepare_empty(void) {
  prepare_at(64, 0);
  plan.takes = 1;
  begin_bystander(send_when_asked, NULL);
}

static void empty_goes_on(void) {
  over = true;
  pthread_join(bystander, NULL);
  CHECK(outcome == 0);
  plan.sent++;
  goes_on();
}

static void prepare_receiver(void) {
  prepare_first();
  begin_bystander(wait_for_message, readable);
}

/* It gets the victim's message, or the one that the tester sends in its stead. */
static void receiver_goes_on(void) {
  int64_t start = shmx_clock_now();
  bool committed = ends[0].index != 64;
  CHECK(committed || !stepped.done);
  if (!committed) CHECK(send_number(&channel, 1, in_ms(longest_wait())) == 0);
  pthread_join(bystander, NULL);
  CHECK(in_time(start) && outcome == 1);
  plan.first = plan.sent = 2;
  plan.adds = 0;
  goes_on();
}

static void prepare_sender(void) {
  prepare_full();
  plan.takes = 1;
  begin_bystander(wait_for_room, writable);
}

static void sender_goes_on(void) {
  int64_t start = shmx_clock_now();
  bool taken = ends[1].index != 64;
  CHECK(taken || (!stepped.done && told == 0));
  if (!taken) CHECK(receive_number(&channel, in_ms(longest_wait())) == 26);
  pthread_join(bystander, NULL);
  CHECK(in_time(start) && outcome == 0);
  plan.first++;
  plan.sent++;
  plan.takes = 0;
  goes_on();
}

static void prepare_finished_receiver(void) {
  prepare_at(64, 0);
  begin_bystander(wait_for_message, readable);
}

static void finish_goes_on(void) {
  int64_t start = shmx_clock_now();
  CHECK(shmx_channel_finish(&channel, in_ms(longest_wait())) == 0);
  pthread_join(bystander, NULL);
  CHECK(in_time(start) && outcome == -EPIPE);
  CHECK(send_number(&channel, 1, 0) == -EPIPE);
}

/* ---- stopped, not killed: the other end does not notice ---- */

static void receive_beside(void) {
  shmx_channel other = channel;
  int64_t start = shmx_clock_now();
  for (; plan.first < plan.sent; plan.first++)
    CHECK(receive_number(&other, 0) == (int64_t)plan.first);
  CHECK(in_time(start));
}

static void send_beside(void) {
  shmx_channel other = channel;
  int64_t start = shmx_clock_now();
  CHECK(send_number(&other, plan.sent++, 0) == 0);
  CHECK(send_number(&other, plan.sent++, 0) == 0);
  CHECK(in_time(start));
}

static void drain_and_go_on(void) {
  stepped.done = true;
  goes_on();
}

#define KILLED(name, prepare, before, deed, after)                                                 \
  { "channel: " name, prepare, before, deed, NULL, after, false }

static const struct deed deeds[] = {
    KILLED("send", prepare_sending, NULL, send_one, goes_on),
    {"channel: send into an empty one, cold", prepare_first, NULL, send_one, NULL, goes_on, true},
    KILLED("send behind a padding", prepare_padding, NULL, send_one, goes_on),
    KILLED("send when full, then room", prepare_full_then_room, NULL, send_one, full_goes_on),
    KILLED("send to one who waits", prepare_receiver, NULL, send_one, receiver_goes_on),
    KILLED("send_all with a padding", prepare_lot, NULL, send_lot, goes_on),
    KILLED("send in a dead claimer's place", prepare_dead_claimer, NULL, send_one, goes_on),
    KILLED("reserve and commit", prepare_sending, NULL, reserve_and_commit, goes_on),
    KILLED("reserve and commit, padding", prepare_padding, NULL, reserve_and_commit, goes_on),
    KILLED("receive", prepare_receiving, NULL, receive_one, goes_on),
    KILLED("receive behind a padding", prepare_behind_padding, NULL, receive_one, goes_on),
    KILLED("receive when empty, then one", prepare_empty, NULL, receive_one, empty_goes_on),
    KILLED("receive while one waits for room", prepare_sender, NULL, receive_one, sender_goes_on),
    KILLED("receive_all with a padding", prepare_receiving_lot, NULL, receive_lot, goes_on),
    KILLED("receive in a dead claimer's place", prepare_dead_consumer, NULL, receive_one, goes_on),
    KILLED("peek and release", prepare_receiving, NULL, peek_and_release, goes_on),
    KILLED("claim", prepare_some, NULL, claim_both, goes_on),
    KILLED("claim and close", prepare_some, NULL, claim_and_close, goes_on),
    KILLED("send, claimed", prepare_sending, claim_both, send_one, goes_on),
    KILLED("finish", prepare_some, NULL, finish, finishes),
    KILLED("finish while one waits", prepare_finished_receiver, NULL, finish, finish_goes_on),
    {"channel: stopped in send", prepare_sending, NULL, send_one, receive_beside, drain_and_go_on,
     false},
    {"channel: stopped in receive", prepare_receiving, NULL, receive_one, send_beside,
     drain_and_go_on, false},
};

static void test_whoever_is_killed_sends_all_or_nothing(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_sends_all_or_nothing, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
