/* corrupt_test.c shows that no single lie in an arena's memory does harm: lies.h tells them. */
#include "arena_scene.h"

#include "lies.h"

enum { PARTS = 4, SIZE = 12345 };

static void open_all(void) {
  toys_run(&all, OPEN, TIMEOUT, 0);
  for (unsigned which = 0; which < TOYS; which++)
    toys_run(&all, FIND, TIMEOUT, which);
}

static void begin_toys(bool used) {
  if (used) open_all();
}

/* Behind the last permit and the last party their memory goes on to the end of a unit: whoever
 * counts wrong writes there. (Where objects lie is believed, though, within the arena.) */
static void expect_ends(void) {
  static const int toys[] = {SEMAPHORE, BARRIER};
  if (lie.place < scene.start) return;
  for (unsigned i = 0; i < 2; i++) {
    size_t end = scene.toys[toys[i]] + scene.toy_sizes[toys[i]], next = (end + 63) / 64 * 64;
    bool lied = lie.place + 8 > end && lie.place < next;
    TOY_EXPECT(lied || all_are(scene.memory + end, 0, next - end));
  }
}

static void begin_scene(int number) {
  scene_begin(&scene, posix_name(number).posix, SIZE);
  toys_begin(&all, posix_name(number), guarded_address(0, scene.length));
}

static void end_scene(void) {
  expect_nothing_behind(&scene);
  drop_guards(0, scene.length);
  scene_end(&scene);
}

/* ---- all lies ---- */

/* The header, some entries (one that is removed, and the next free), some members, all objects. */
static unsigned ranges_of(struct range *ranges) {
  static const int entries[] = {ARRAY, RWLOCK, SPARE, GONE, TOYS};
  unsigned count = 0;
  ranges[count++] = (struct range){0, AT_ENTRIES};
  for (unsigned i = 0; i < 5; i++)
    ranges[count++] = (struct range){AT_ENTRIES + (size_t)entries[i] * ENTRY_SIZE, ENTRY_SIZE};
  ranges[count++] = (struct range){scene.at_members, 3 * scene.member_size};
  for (int toy = 0; toy < TOYS; toy++) {
    size_t length = scene.toy_sizes[toy];
    ranges[count++] = (struct range){scene.toys[toy], length < 96 ? length : 96};
  }
  return count;
}

static void tell_lies(int part) {
  struct range ranges[TOYS + 8];
  begin_scene(part);
  unsigned count = ranges_of(ranges);
  tell_lies_in(ranges, count, (unsigned)part, PARTS);
  end_scene();
  dprintf(STDOUT_FILENO, "  part %d: %lu lies\n", part, told);
}

static void test_no_field_does_harm_whatever_it_says(void **state) {
  (void)state;
  tell_all_lies(tell_lies, PARTS);
}

/* ---- some that were found ---- */

/* What another thread of process 1 has, says the word, and it lives as long. */
static void take_the_lock(void) {
  write_at(AT_LOCK, 1, 8);
}

static void close_with_the_lock_taken(int unused) {
  (void)unused;
  begin_scene(0);
  world_begin(keep_silent);
  open_all();
  for (unsigned which = 0; which < TOYS; which++)
    toys_run(&all, REMOVE, 0, which);
  take_the_lock();
  int64_t start = world.now;
  shmx_arena_close(&all.arena);
  EXPECT(world.now - start < SHMX_SECOND);
  world.on = false;
  end_scene();
}

static void test_closing_an_arena_waits_for_nobody(void **state) {
  (void)state;
  assert_child_passes(close_with_the_lock_taken, 0);
}

/* Removed, their memory is free as soon as nobody has them open: who makes the next one sees to it.
 */
static void close_objects_with_the_lock_taken(int unused) {
  (void)unused;
  begin_scene(0);
  world_begin(keep_silent);
  open_all();
  for (unsigned which = 0; which < TOYS; which++)
    toys_run(&all, REMOVE, 0, which);
  take_the_lock();
  for (unsigned which = 0; which < TOYS; which++)
    EXPECT(toys_run(&all, CLOSE_OBJECT, 0, which) == 0);
  toys_run(&all, CLOSE, 0, 0);
  world.on = false;
  end_scene();
}

static void test_closing_objects_does_not_wait_long(void **state) {
  (void)state;
  assert_child_passes(close_objects_with_the_lock_taken, 0);
}

/* Without a deadline, a lock that others have for nanoseconds is given up. */
static void wait_for_locks(int unused) {
  (void)unused;
  begin_scene(0);
  world_begin(keep_silent);
  open_all();
  write_at(scene.toys[SEMAPHORE], (uint64_t)getppid(), 8);
  EXPECT(toys_run(&all, ACQUIRE, SHMX_FOREVER, 0) == -ETIMEDOUT);
  EXPECT(all.toys[SEMAPHORE].semaphore.held_by == (uint32_t)getppid());
  write_at(scene.toys[BARRIER], (uint64_t)getppid(), 8);
  EXPECT(toys_run(&all, BARRIER_USE, SHMX_FOREVER, 0) == -ETIMEDOUT);
  EXPECT(all.toys[BARRIER].barrier.held_by == (uint32_t)getppid());
  write_at(AT_LOCK, (uint64_t)getppid(), 8);
  EXPECT(toys_run(&all, LIST, SHMX_FOREVER, 0) == -ETIMEDOUT);
  EXPECT(all.arena.held_by == (uint32_t)getppid());
  toys_run(&all, CLOSE, 0, 0);
  world.on = false;
  end_scene();
}

static void test_a_lock_is_given_up_in_time_without_a_deadline(void **state) {
  (void)state;
  assert_child_passes(wait_for_locks, 0);
}

static void be_signalled(int unused) {
  (void)unused;
  begin_scene(0);
  world_begin(keep_silent);
  open_all();
  take_the_lock();
  world.peer = signal_always;
  EXPECT(toys_run(&all, LIST, 0, 1) == -ETIMEDOUT);
  world.peer = keep_silent;
  toys_run(&all, CLOSE, 0, 0);
  world.on = false;
  end_scene();
}

/* From when it sleeps: the clock was looked at twice. */
static enum peer take_and_signal(void) {
  keep_silent();
  if (world.calls < 3) return LETS_SLEEP;
  tell();
  return SIGNALS;
}

static void be_signalled_at_barrier(int unused) {
  (void)unused;
  begin_scene(0);
  world_begin(keep_silent);
  open_all();
  lie.place = scene.toys[BARRIER];
  lie.value = 1 | FUTEX_WAITERS;
  lie.width = 8;
  world.peer = take_and_signal;
  world.calls = 0;
  EXPECT(toys_run(&all, BARRIER_USE, TIMEOUT, 0) == -EINTR);
  world.peer = keep_silent;
  toys_run(&all, CLOSE, 0, 0);
  world.on = false;
  end_scene();
}

static void test_signals_do_not_add_to_patience(void **state) {
  (void)state;
  assert_child_passes(be_signalled, 0);
  assert_child_passes(be_signalled_at_barrier, 0);
}

/* Every member is somebody who is dead but for his number, and has every entry, all removed. */
static void ask_who_lives(int unused) {
  (void)unused;
  shmx_arena_status status;
  scene_begin(&scene, posix_name(0).posix, 4 * MIB);
  toys_begin(&all, posix_name(0), NULL);
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  for (uint32_t entry = 0; entry < scene.entries; entry++) {
    memcpy(scene.memory + AT_ENTRIES + entry * ENTRY_SIZE,
           scene.pristine + AT_ENTRIES + GONE * ENTRY_SIZE, ENTRY_SIZE);
  }
  for (uint32_t member = 1; member < scene.members; member++) {
    memset(scene.memory + scene.at_members + member * scene.member_size, 0xff, scene.member_size);
    write_at(scene.at_members + member * scene.member_size, UINT64_C(5) << 32 | 1, 8);
  }
  world_begin(keep_silent);
  EXPECT(shmx_arena_stat(&all.arena, &status) == 0);
  EXPECT(world.calls < 3 * scene.members);
  world.on = false;
  toys_run(&all, CLOSE, 0, 0);
  scene_end(&scene);
}

static void test_a_sweep_asks_once_of_each_member(void **state) {
  (void)state;
  assert_child_passes(ask_who_lives, 0);
}

/* An entry that ends within a unit: what is made next is not behind it. */
static void end_within_a_unit(int unused) {
  (void)unused;
  begin_scene(0);
  write_at(AT_ENTRIES + GONE * ENTRY_SIZE, SHMX_LIVE, 4);
  write_at(AT_ENTRIES + GONE * ENTRY_SIZE + 24, 1, 8);
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  for (unsigned name = 1; name < 4; name++) {
    EXPECT(toys_run(&all, FIND, 0, SPARE + TOYS * (name + 8)) == 0);
    EXPECT(toys_run(&all, CLOSE_OBJECT, 0, SPARE) == 0);
  }
  toys_run(&all, CLOSE, 0, 0);
  end_scene();
}

static void test_what_ends_within_a_unit_is_a_lie(void **state) {
  (void)state;
  assert_child_passes(end_within_a_unit, 0);
}

/* An object that ends behind the arena, if its entry is as long as it must be; it is shorter. */
static void end_behind_the_arena(int unused) {
  (void)unused;
  begin_scene(0);
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  write_at(AT_ENTRIES + ARRAY * ENTRY_SIZE + 16, scene.size / 64 * 64 - 64, 8);
  write_at(AT_ENTRIES + ARRAY * ENTRY_SIZE + 24, 64, 8);
  EXPECT(toys_run(&all, FIND, 0, ARRAY) == -EBADMSG);
  toys_run(&all, CLOSE, 0, 0);
  end_scene();
}

static void test_an_object_is_no_longer_than_its_entry(void **state) {
  (void)state;
  assert_child_passes(end_behind_the_arena, 0);
}

/* All places of this round are others', who live: there is none for us, and none behind them. */
static void come_to_a_full_barrier(int unused) {
  (void)unused;
  begin_scene(0);
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0 && toys_run(&all, FIND, 0, BARRIER) == 0);
  for (size_t place = 0; place < PARTIES; place++)
    write_at(scene.toys[BARRIER] + 128 + place * 16, 1, 8);
  world_begin(keep_silent);
  EXPECT(toys_run(&all, BARRIER_USE, TIMEOUT, 0) == 0);
  world.on = false;
  expect_ends();
  toys_run(&all, CLOSE, 0, 0);
  end_scene();
}

static void test_a_full_barrier_has_no_more_places(void **state) {
  (void)state;
  assert_child_passes(come_to_a_full_barrier, 0);
}

/* Who lives is waited for; whoever is nobody, or dead, or ourselves has no lock of ours. */
static void forge_owners(int unused) {
  (void)unused;
  uint64_t self = shmx_self()->task, number = self & UINT32_MAX, other = UINT64_C(1) << 32;
  const struct {
    uint64_t word;
    int status;
  } cases[] = {
      {self, 0},
      {self | FUTEX_WAITERS, 0},
      {self + other, 0},
      {number, number == self ? 0 : -ETIMEDOUT},
      {(uint64_t)getppid(), -ETIMEDOUT},
      {(uint64_t)getppid() | UINT64_C(5) << 32, 0},
      {1, -ETIMEDOUT},
      {other | 1, 0},
      {0x3ffffffe, 0},
      {UINT64_C(77) << 32, 0},
      {FUTEX_OWNER_DIED, 0},
      {FUTEX_OWNER_DIED | FUTEX_WAITERS, 0},
      {UINT64_MAX, 0},
  };
  begin_scene(0);
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  world_begin(keep_silent);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_at(AT_LOCK, cases[i].word, 8);
    EXPECT(toys_run(&all, LIST, 0, 1) == cases[i].status);
  }
  write_at(AT_LOCK, 0, 8);
  world.on = false;
  toys_run(&all, CLOSE, 0, 0);
  end_scene();
}

static void test_forged_owners_are_found_out_or_waited_for(void **state) {
  (void)state;
  assert_child_passes(forge_owners, 0);
}

/* ---- a race between friends ---- */

static shmx_condition *waiter;
static uint32_t ticket;

/* While it is notified, and nobody sleeps, somebody comes. */
static enum peer come(void) {
  if (ticket == 0) ticket = shmx_condition_ticket(waiter);
  return LETS_SLEEP;
}

static void notify_who_comes(int unused) {
  (void)unused;
  static _Alignas(64) unsigned char memory[64];
  shmx_condition condition;
  shmx_condition_open(&condition, memory);
  shmx_condition_ticket(&condition); /* of one who was killed before it slept */
  waiter = &condition;
  world_begin(come);
  shmx_condition_notify(&condition); /* for those who came before */
  world.peer = NULL;
  EXPECT(ticket != 0);
  shmx_condition_notify(&condition); /* for the one who came */
  EXPECT(shmx_condition_sleep(&condition, ticket, SHMX_FOREVER) == 0);
  world.on = false;
}

static void test_who_comes_while_one_is_notified_is_notified_next(void **state) {
  (void)state;
  assert_child_passes(notify_who_comes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_no_field_does_harm_whatever_it_says, nothing_left),
      cmocka_unit_test_teardown(test_closing_an_arena_waits_for_nobody, nothing_left),
      cmocka_unit_test_teardown(test_closing_objects_does_not_wait_long, nothing_left),
      cmocka_unit_test_teardown(test_a_lock_is_given_up_in_time_without_a_deadline, nothing_left),
      cmocka_unit_test_teardown(test_signals_do_not_add_to_patience, nothing_left),
      cmocka_unit_test_teardown(test_a_sweep_asks_once_of_each_member, nothing_left),
      cmocka_unit_test_teardown(test_what_ends_within_a_unit_is_a_lie, nothing_left),
      cmocka_unit_test_teardown(test_an_object_is_no_longer_than_its_entry, nothing_left),
      cmocka_unit_test_teardown(test_a_full_barrier_has_no_more_places, nothing_left),
      cmocka_unit_test_teardown(test_forged_owners_are_found_out_or_waited_for, nothing_left),
      cmocka_unit_test_teardown(test_who_comes_while_one_is_notified_is_notified_next,
                                nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
