/* corrupt_queue_test.c shows that no single lie in the memory of a channel, a topic or a service
 * does harm: lies.h tells them. */
#include "queue_scene.h"

#include "lies.h"

enum { PARTS = 2 };

static const uint64_t parameters[KINDS] = {SHMX_CHANNEL_MIN, SHMX_CHANNEL_MIN, 64};

/* A handle that remembers how far others were. */
static void begin_toys(bool used) {
  static const unsigned char uses[KINDS][3] = {
      {SEND, RECEIVE, SEND}, {SUBSCRIBE, NEXT, PUBLISH}, {TAKE, REPLY, BEGIN}};
  toys_begin(&all, scene.kind, scene.parameter, scene.memory);
  for (unsigned i = 0; used && i < 3; i++)
    toys_run(&all, uses[scene.kind][i], 0, 8);
}

static void expect_ends(void) {
  expect_nothing_behind(&scene);
}

/* ---- all lies ---- */

/* A channel's and a topic's memory, all of it; of a service, the slots that are used, the last one,
 * the channel and the requests that come first. */
static unsigned ranges_of(struct range *ranges) {
  size_t slot = SLOT_HEAD + scene.parameter, last = AT_SLOTS + (SHMX_CALLERS - 1) * slot;
  unsigned count = 0;
  if (scene.kind != SERVICE) {
    ranges[count++] = (struct range){0, scene.size};
    return count;
  }
  ranges[count++] = (struct range){0, 8};
  for (size_t i = 0; i < 4; i++)
    ranges[count++] = (struct range){AT_SLOTS + i * slot, SLOT_HEAD + 8};
  ranges[count++] = (struct range){last, SLOT_HEAD};
  ranges[count++] = (struct range){scene.at_channel, CHANNEL_RING + 192};
  return count;
}

static void tell_lies(int number) {
  struct range ranges[8];
  int kind = number / PARTS;
  scene_begin(&scene, 0, kind, parameters[kind]);
  tell_lies_in(ranges, ranges_of(ranges), (unsigned)(number % PARTS), PARTS);
  scene_end(&scene);
  dprintf(STDOUT_FILENO, "  kind %d, part %d: %lu lies\n", kind, number % PARTS, told);
}

static void test_no_field_does_harm_whatever_it_says(void **state) {
  (void)state;
  tell_all_lies(tell_lies, KINDS * PARTS);
}

/* ---- some that were found ---- */

static void begin_scene(int kind) {
  scene_begin(&scene, 0, kind, parameters[kind]);
  world_begin(keep_silent);
  toys_begin(&all, kind, parameters[kind], scene.memory);
}

static void end_scene(void) {
  world.on = false;
  toys_end(&all);
  expect_ends();
  scene_end(&scene);
}

/* The handle knows of messages that are there no more, says the tail. */
static void move_tail_back(int unused) {
  (void)unused;
  uint64_t head;
  begin_scene(CHANNEL);
  EXPECT(toys_run(&all, RECEIVE, 0, 0) == 0);
  memcpy(&head, scene.memory + 128 + 64, sizeof head);
  write_at(64, head, 8);
  EXPECT(toys_run(&all, RECEIVE_ALL, 0, 8) == -EBADMSG);
  end_scene();
}

static void test_a_tail_that_goes_back_is_a_lie(void **state) {
  (void)state;
  assert_child_passes(move_tail_back, 0);
}

/* What a living one has, who is at it for ever, says the word; and signals come all the time. */
static void take_slots_lock(enum peer (*peer)(void)) {
  write_at(AT_SLOTS + 8, (uint64_t)getppid(), 8);
  world.peer = peer;
}

/* The first request, of the caller in the first slot, lies in the channel again. */
static void unread_a_request(void) {
  write_at(scene.at_channel + 128 + 64, 0, 8);
}

static void serve_with_the_lock_taken(int unused) {
  (void)unused;
  static enum peer (*const peers[])(void) = {keep_silent, signal_always};
  static const int statuses[] = {-ETIMEDOUT, -EINTR};
  for (int i = 0; i < 2; i++) {
    begin_scene(SERVICE);
    EXPECT(toys_run(&all, BEGIN, 0, 0) == 0 && all.call.slot == 2);
    EXPECT(toys_run(&all, TAKE, 0, 0) == 0 && all.taken.slot == 1);
    all.call.slot = all.taken.slot = 0;
    take_slots_lock(peers[i]);
    EXPECT(toys_run(&all, REPLY, 0, 0) == statuses[i]);
    EXPECT(toys_run(&all, END, 0, 0) == 0);
    EXPECT(toys_run(&all, BEGIN, TIMEOUT, 0) == 0 && all.call.slot != 0); /* in another slot */
    scene_reset(&scene);
    unread_a_request();
    take_slots_lock(peers[i]);
    EXPECT(toys_run(&all, TAKE, 0, 0) == statuses[i]);
    end_scene();
  }
}

static void test_a_slots_lock_is_waited_for_with_patience(void **state) {
  (void)state;
  assert_child_passes(serve_with_the_lock_taken, 0);
}

/* The words that say who has a lock for nanoseconds. */
enum word { TURN_OF_TOPIC, PRODUCERS_TURN, SLOTS_LOCK, CALLERS_TURN, SERVERS_TURN };

static const struct {
  int kind;
  enum word word;
  unsigned operation;
} held_up[] = {
    {TOPIC, TURN_OF_TOPIC, PUBLISH},      {TOPIC, TURN_OF_TOPIC, SUBSCRIBE},
    {TOPIC, TURN_OF_TOPIC, TOPIC_FINISH}, {CHANNEL, PRODUCERS_TURN, FINISH},
    {SERVICE, CALLERS_TURN, BEGIN},       {SERVICE, CALLERS_TURN, SERVICE_FINISH},
    {SERVICE, SERVERS_TURN, TAKE},        {SERVICE, SLOTS_LOCK, TAKE},
};

static size_t place_of(enum word word) {
  if (word == CALLERS_TURN) return scene.at_channel;
  if (word == SERVERS_TURN) return scene.at_channel + 128;
  return word == SLOTS_LOCK ? AT_SLOTS + 8 : 0;
}

static void wait_for_a_lock(int number) {
  begin_scene(held_up[number].kind);
  unsigned operation = held_up[number].operation;
  if (held_up[number].word == SLOTS_LOCK) unread_a_request();
  write_at(place_of(held_up[number].word), (uint64_t)getppid(), 8);
  EXPECT(toys_run(&all, operation, SHMX_FOREVER, 0) == -ETIMEDOUT);
  uint32_t holder = (uint32_t)getppid();
  if (held_up[number].kind == TOPIC) EXPECT(all.topic.held_by == holder);
  if (held_up[number].kind == CHANNEL)
    EXPECT(shmx_channel_holder(&all.channel, SHMX_PRODUCER) == holder);
  if (held_up[number].kind == SERVICE) EXPECT(all.service.held_by == holder);
  end_scene();
}

static void test_a_lock_is_given_up_in_time_without_a_deadline(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof held_up / sizeof *held_up; i++)
    assert_child_passes(wait_for_a_lock, (int)i);
}

/* No lock is in the way, but there is no request for longer than a lock is waited for. */
static enum peer finish_late(void) {
  if (world.now > 3 * SHMX_LOCK_TIMEOUT) shmx_channel_finish(&all.service.requests, 0);
  return LETS_SLEEP;
}

static void wait_for_a_request(int unused) {
  (void)unused;
  begin_scene(SERVICE);
  while (toys_run(&all, TAKE, 0, 0) == 0) {
  }
  world.now = 0;
  world.peer = finish_late;
  world.limit = INT64_MAX;
  shmx_request request;
  unsigned char buffer[64];
  EXPECT(shmx_service_take(&all.service, buffer, &request, SHMX_FOREVER) == -EPIPE);
  EXPECT(world.now > 3 * SHMX_LOCK_TIMEOUT);
  end_scene();
}

static void test_a_server_waits_longer_for_a_request_than_for_a_lock(void **state) {
  (void)state;
  assert_child_passes(wait_for_a_request, 0);
}

/* All slots are a living one's, and whoever waits for one is woken all the time. */
static void wake_in_vain(int unused) {
  (void)unused;
  begin_scene(SERVICE);
  for (size_t slot = 0; slot < SHMX_CALLERS; slot++)
    write_at(AT_SLOTS + slot * (SLOT_HEAD + scene.parameter), (uint64_t)getppid(), 8);
  write_at(0, 0, 4);
  world.peer = count_on;
  EXPECT(toys_run(&all, BEGIN, TIMEOUT, 0) == -ETIMEDOUT);
  EXPECT(toys_run(&all, BEGIN, 0, 0) == -ETIMEDOUT);
  end_scene();
}

static void test_who_waits_for_a_slot_is_woken_in_vain(void **state) {
  (void)state;
  assert_child_passes(wake_in_vain, 0);
}

/* A state that never stands still, and is never a reply. */
static void change_state(int unused) {
  (void)unused;
  begin_scene(SERVICE);
  EXPECT(toys_run(&all, BEGIN, 0, 0) == 0);
  write_at(AT_SLOTS + all.call.slot * (SLOT_HEAD + scene.parameter) + 24, 100, 8);
  world.peer = count_on;
  EXPECT(toys_run(&all, AWAIT, TIMEOUT, 0) == -ETIMEDOUT);
  EXPECT(toys_run(&all, AWAIT, 0, 0) == -ETIMEDOUT);
  end_scene();
}

static void test_a_state_that_never_stands_still_keeps_nobody(void **state) {
  (void)state;
  assert_child_passes(change_state, 0);
}

/* The first request, of a call that was given up, is there again and again. */
static enum peer commit_again(void) {
  write_at(scene.at_channel + 128 + 64, 0, 8);
  return keep_silent();
}

static void flood(int unused) {
  (void)unused;
  begin_scene(SERVICE);
  world.peer = commit_again;
  EXPECT(toys_run(&all, TAKE, TIMEOUT, 0) == -ETIMEDOUT);
  EXPECT(toys_run(&all, TAKE, 0, 0) == -ETIMEDOUT);
  end_scene();
}

static void test_requests_that_were_given_up_keep_no_server(void **state) {
  (void)state;
  assert_child_passes(flood, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_no_field_does_harm_whatever_it_says, nothing_left),
      cmocka_unit_test_teardown(test_a_tail_that_goes_back_is_a_lie, nothing_left),
      cmocka_unit_test_teardown(test_a_slots_lock_is_waited_for_with_patience, nothing_left),
      cmocka_unit_test_teardown(test_a_lock_is_given_up_in_time_without_a_deadline, nothing_left),
      cmocka_unit_test_teardown(test_a_server_waits_longer_for_a_request_than_for_a_lock,
                                nothing_left),
      cmocka_unit_test_teardown(test_who_waits_for_a_slot_is_woken_in_vain, nothing_left),
      cmocka_unit_test_teardown(test_a_state_that_never_stands_still_keeps_nobody, nothing_left),
      cmocka_unit_test_teardown(test_requests_that_were_given_up_keep_no_server, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
