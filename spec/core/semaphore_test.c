/* semaphore_test.c shows that permits are never more and never fewer, whoever dies with them. */
#include "together.h"

enum { PERMITS = 5 };

static shmx_semaphore inherited;

/* As it lies in the memory. */
static _Atomic shmx_task *holders(void) {
  return (_Atomic shmx_task *)(void *)(ground->memory + 64);
}

static shmx_semaphore opened(void) {
  shmx_semaphore semaphore;
  shmx_semaphore_open(&semaphore, ground->memory, PERMITS);
  return semaphore;
}

static uint32_t value(void) {
  shmx_semaphore semaphore = opened();
  return shmx_semaphore_value(&semaphore);
}

static int take_and_return(uint32_t count, int64_t deadline) {
  shmx_semaphore semaphore = opened();
  int status = shmx_semaphore_acquire(&semaphore, count, deadline);
  if (status == 0 || status == -EOWNERDEAD) shmx_semaphore_release(&semaphore, count);
  shmx_semaphore_close(&semaphore);
  return status;
}

static int try_all(void) {
  return take_and_return(PERMITS, 0);
}

static int try_one(void) {
  return take_and_return(1, 0);
}

static int all_for_60_ms(void) {
  return take_and_return(PERMITS, in_ms(60));
}

static int all_for_20_ms(void) {
  return take_and_return(PERMITS, in_ms(20));
}

static int take_two_inherited(void) {
  return shmx_semaphore_acquire(&inherited, 2, in_ms(1000));
}

static int release_inherited(void) {
  return shmx_semaphore_release(&inherited, 1);
}

static int close_inherited(void) {
  shmx_semaphore_close(&inherited);
  return 0;
}

static void hold_as_child(int unused) {
  (void)unused;
  shmx_semaphore semaphore = opened();
  int status = shmx_semaphore_acquire(&semaphore, 3, in_ms(1000));
  EXPECT(status == 0 || status == -EOWNERDEAD);
}

static void hold_and_stay(int stage) {
  hold_as_child(0);
  stay(stage);
}

static void test_counts_what_is_taken_and_given_back(void **state) {
  (void)state;
  shmx_semaphore semaphore = opened();
  assert_int_equal(shmx_semaphore_kind(PERMITS).id, SHMX_KIND_SEMAPHORE);
  assert_int_equal(shmx_semaphore_kind(PERMITS).size, 64 + 8 * PERMITS);
  assert_int_equal(shmx_semaphore_kind(PERMITS).count, PERMITS);
  assert_true(shmx_semaphore_kind(1).layout != shmx_semaphore_kind(2).layout);
  assert_int_equal(value(), PERMITS);
  assert_int_equal(shmx_semaphore_holder(&semaphore), 0);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 0, 0), -EINVAL);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, PERMITS + 1, 0), -EINVAL);
  assert_int_equal(shmx_semaphore_release(&semaphore, 1), -EPERM);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 2, 0), 0);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 1, 0), 0);
  assert_int_equal(value(), PERMITS - 3);
  assert_int_equal(shmx_semaphore_holder(&semaphore), getpid());
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 3, SHMX_FOREVER), -EDEADLK);
  assert_int_equal(shmx_semaphore_release(&semaphore, 0), -EINVAL);
  assert_int_equal(shmx_semaphore_release(&semaphore, 4), -EPERM);
  assert_int_equal(value(), PERMITS - 3);
  assert_int_equal(shmx_semaphore_release(&semaphore, 2), 0);
  assert_int_equal(value(), PERMITS - 1);
  assert_int_equal(shmx_semaphore_release(&semaphore, 2), -EPERM);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 4, 0), 0);
  assert_int_equal(value(), 0);
  assert_int_equal(in_thread(try_one), -ETIMEDOUT);
  assert_int_equal(shmx_semaphore_release(&semaphore, 5), 0);
  assert_int_equal(in_thread(try_all), 0);
  assert_int_equal(value(), PERMITS);
}

static void test_all_are_taken_or_none(void **state) {
  (void)state;
  shmx_semaphore semaphore = opened();
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 1, 0), 0);
  int64_t start = shmx_clock_now();
  assert_int_equal(in_thread(all_for_60_ms), -ETIMEDOUT);
  assert_in_range(ms_since(start), 60, 400);
  assert_int_equal(value(), PERMITS - 1);
  assert_int_equal(shmx_semaphore_release(&semaphore, 1), 0);
}

static void test_a_permit_is_a_threads(void **state) {
  (void)state;
  shmx_semaphore other = opened();
  inherited = opened();
  assert_int_equal(take_two_inherited(), 0);
  assert_int_equal(in_thread(release_inherited), -EPERM);
  assert_int_equal(shmx_semaphore_release(&other, 1), -EPERM); /* not through this handle */
  assert_int_equal(value(), PERMITS - 2);
  assert_int_equal(release_inherited(), 0);
  assert_int_equal(shmx_semaphore_acquire(&other, 2, 0), 0);
  close_inherited();
  assert_int_equal(value(), PERMITS - 2);
  shmx_semaphore_close(&other);
  assert_int_equal(value(), PERMITS);
}

static void test_a_signal_ends_the_wait(void **state) {
  (void)state;
  shmx_semaphore semaphore = opened();
  pid_t child = start_child(hold_and_stay, 1);
  assert_true(UNTIL(ground->stage == 1));
  interrupt_every(20);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, PERMITS, SHMX_FOREVER), -EINTR);
  interrupt_every(0);
  assert_int_equal(value(), PERMITS - 3);
  end_child(child);
}

/* ---- the dead ---- */

static void test_permits_of_the_dead_come_back(void **state) {
  (void)state;
  for (enum way way = 0; way < WAYS; way++) {
    shmx_semaphore semaphore = opened();
    pid_t body = end_holding(way, hold_as_child);
    assert_true(UNTIL(value() == PERMITS));
    assert_int_equal(take_and_return(2, 0), 0); /* there are as many without the dead's */
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_semaphore_acquire(&semaphore, 4, in_ms(5000)), -EOWNERDEAD);
    if (ms_since(start) > 300) fail_msg("waited too long for %s", way_names[way]);
    assert_int_equal(value(), PERMITS - 4);
    assert_int_equal(in_thread(try_one), 0);
    assert_int_equal(shmx_semaphore_release(&semaphore, 4), 0);
    assert_int_equal(try_all(), 0);
    reap(body);
  }
}

static void test_trying_is_enough_to_get_them_back(void **state) {
  (void)state;
  end_holding(KILLED, hold_as_child);
  assert_int_equal(try_all(), -EOWNERDEAD);
  assert_int_equal(try_all(), 0);
}

/* They are buried by one who then has too few of them, and taken by another. */
static void test_whoever_takes_a_deads_permit_is_told(void **state) {
  (void)state;
  shmx_semaphore semaphore = opened();
  end_holding(KILLED, hold_as_child);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 1, 0), 0);
  assert_int_equal(in_thread(all_for_60_ms), -ETIMEDOUT);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 1, 0), -EOWNERDEAD);
  assert_int_equal(in_thread(try_one), -EOWNERDEAD);
  assert_int_equal(in_thread(try_one), 0); /* that one's last holder has given it back */
  assert_int_equal(value(), PERMITS - 2);
  assert_int_equal(shmx_semaphore_release(&semaphore, 2), 0);
}

static void test_only_the_deads_come_back(void **state) {
  (void)state;
  shmx_semaphore semaphore = opened();
  int status;
  pid_t child = start_child(hold_and_stay, 1);
  assert_true(UNTIL(ground->stage == 1));
  holders()[PERMITS - 1] = namesake(own_task());
  kill(child, SIGSTOP);
  assert_int_equal(waitpid(child, &status, WUNTRACED), child);
  assert_int_equal(value(), 2);
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 3, in_ms(150)), -ETIMEDOUT);
  holders()[PERMITS - 1] = namesake(own_task());
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 2, in_ms(1000)), -EOWNERDEAD);
  assert_int_equal(value(), 0);
  end_child(child);
  assert_true(UNTIL(value() == 3));
  assert_int_equal(shmx_semaphore_acquire(&semaphore, 3, in_ms(1000)), -EOWNERDEAD);
  assert_int_equal(shmx_semaphore_release(&semaphore, PERMITS), 0);
}

static void enter_and_stay(int stage) {
  EXPECT(shmx_lock_enter((struct shmx_lock *)(void *)ground->memory, in_ms(1000)) == 0);
  stay(stage);
}

static void test_who_dies_looking_for_permits_is_in_nobodys_way(void **state) {
  (void)state;
  pid_t child = start_child(enter_and_stay, 1);
  assert_true(UNTIL(ground->stage == 1));
  assert_int_equal(try_one(), -ETIMEDOUT);
  end_child(child);
  assert_int_equal(try_one(), 0);
}

/* ---- fork, closing ---- */

static void use_inherited(int unused) {
  (void)unused;
  EXPECT(shmx_semaphore_release(&inherited, 1) == -EPERM);
  EXPECT(value() == PERMITS - 2);
  EXPECT(shmx_semaphore_acquire(&inherited, PERMITS, 0) == -ETIMEDOUT);
  EXPECT(shmx_semaphore_acquire(&inherited, 1, 0) == 0);
  ground->stage = 1;
  EXPECT(shmx_semaphore_acquire(&inherited, PERMITS - 1, in_ms(5000)) == 0);
  EXPECT(shmx_semaphore_release(&inherited, PERMITS) == 0);
}

static void close_as_child(int unused) {
  (void)unused;
  shmx_semaphore_close(&inherited);
}

static void test_a_child_owns_nothing_of_its_parents(void **state) {
  (void)state;
  inherited = opened();
  assert_int_equal(take_two_inherited(), 0);
  assert_child_passes(close_as_child, 0);
  assert_int_equal(value(), PERMITS - 2);
  pid_t child = start_child(use_inherited, 0);
  assert_true(UNTIL(ground->stage == 1 && is_asleep(child)));
  assert_int_equal(shmx_semaphore_release(&inherited, 2), 0);
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(value(), PERMITS);
}

static void test_closing_gives_back_as_death_does(void **state) {
  (void)state;
  for (int by_thread = 0; by_thread <= 1; by_thread++) {
    inherited = opened();
    assert_int_equal(take_two_inherited(), 0);
    by_thread ? in_thread(close_inherited) : close_inherited();
    assert_int_equal(value(), PERMITS);
    close_inherited();
    assert_int_equal(in_thread(try_all), -EOWNERDEAD);
    assert_int_equal(in_thread(try_all), 0);
  }
  inherited = opened(); /* of a thread that ended, whose permits others have by now */
  assert_int_equal(in_thread(take_two_inherited), 0);
  shmx_semaphore semaphore = opened();
  assert_int_equal(shmx_semaphore_acquire(&semaphore, PERMITS, in_ms(1000)), -EOWNERDEAD);
  close_inherited();
  assert_int_equal(value(), 0);
}

/* ---- many, and promptly ---- */

enum { TIMES = 5000 };

static void *use_some(void *count) {
  shmx_semaphore semaphore = opened();
  uint32_t some = (uint32_t)(intptr_t)count;
  for (int i = 0; i < TIMES; i++) {
    EXPECT(shmx_semaphore_acquire(&semaphore, some, in_ms(20000)) == 0);
    EXPECT(atomic_fetch_add(&ground->inside, (int)some) + (int)some <= PERMITS);
    if (some == PERMITS) ground->one = ground->one + 1;
    atomic_fetch_sub(&ground->inside, (int)some);
    EXPECT(shmx_semaphore_release(&semaphore, some) == 0);
  }
  return NULL;
}

static void use_as_child(int unused) {
  (void)unused;
  pthread_t thread = start_thread(use_some, (void *)2);
  use_some((void *)PERMITS);
  pthread_join(thread, NULL);
}

static void test_two_processes_of_two_threads_share_them(void **state) {
  (void)state;
  pid_t child = start_child(use_as_child, 0);
  use_as_child(0);
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(ground->one, 2 * TIMES);
  assert_int_equal(value(), PERMITS);
}

static void *wait_and_note(void *noted) {
  shmx_semaphore semaphore = opened();
  EXPECT(shmx_semaphore_acquire(&semaphore, 2, in_ms(5000)) == 0);
  *(int64_t *)noted = shmx_clock_now();
  EXPECT(shmx_semaphore_release(&semaphore, 2) == 0);
  return NULL;
}

static void test_giving_back_wakes_who_waits(void **state) {
  (void)state;
  int64_t waits[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    int64_t noted;
    shmx_semaphore semaphore = opened();
    assert_int_equal(shmx_semaphore_acquire(&semaphore, PERMITS, 0), 0);
    pthread_t thread = start_thread(wait_and_note, &noted);
    assert_int_equal(in_thread(all_for_20_ms), -ETIMEDOUT);
    assert_int_equal(shmx_semaphore_release(&semaphore, 1), 0); /* too few for it */
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_semaphore_release(&semaphore, 1), 0);
    pthread_join(thread, NULL);
    waits[i] = (noted - start) / MS;
    assert_int_equal(shmx_semaphore_release(&semaphore, PERMITS - 2), 0);
  }
  assert_in_range(median(waits), 0, PROMPT);
  assert_int_equal(value(), PERMITS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TOGETHER(test_counts_what_is_taken_and_given_back),
      TOGETHER(test_all_are_taken_or_none),
      TOGETHER(test_a_permit_is_a_threads),
      TOGETHER(test_a_signal_ends_the_wait),
      TOGETHER(test_permits_of_the_dead_come_back),
      TOGETHER(test_trying_is_enough_to_get_them_back),
      TOGETHER(test_whoever_takes_a_deads_permit_is_told),
      TOGETHER(test_only_the_deads_come_back),
      TOGETHER(test_who_dies_looking_for_permits_is_in_nobodys_way),
      TOGETHER(test_a_child_owns_nothing_of_its_parents),
      TOGETHER(test_closing_gives_back_as_death_does),
      TOGETHER(test_two_processes_of_two_threads_share_them),
      TOGETHER(test_giving_back_wakes_who_waits),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
