/* mutex_test.c shows a mutex, and the lock it is made of, among threads, processes and the dead. */
#include "together.h"

static shmx_mutex inherited;

static struct shmx_lock *word(void) {
  return (struct shmx_lock *)(void *)ground->memory;
}

static shmx_mutex opened(void) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, ground->memory);
  return mutex;
}

/* Locks and unlocks with a handle of its own. */
static int try_it(void) {
  shmx_mutex mutex = opened();
  int status = shmx_mutex_lock(&mutex, 0);
  if (status == 0 || status == -EOWNERDEAD) shmx_mutex_unlock(&mutex);
  shmx_mutex_close(&mutex);
  return status;
}

static void lock_as_child(int unused) {
  (void)unused;
  shmx_mutex mutex = opened();
  int status = shmx_mutex_lock(&mutex, in_ms(1000));
  EXPECT(status == 0 || status == -EOWNERDEAD);
}

static void hold_as_child(int stage) {
  lock_as_child(0);
  stay(stage);
}

static pid_t start_holder(int stage) {
  pid_t child = start_child(hold_as_child, stage);
  assert_true(UNTIL(ground->stage == stage));
  return child;
}

/* ---- one thread, two ---- */

static void test_is_locked_once_and_unlocked_by_who_has_it(void **state) {
  (void)state;
  shmx_mutex mutex = opened(), other = opened();
  shmx_kind kind = shmx_mutex_kind();
  assert_int_equal(kind.id, SHMX_KIND_MUTEX);
  assert_int_equal(kind.size, 64);
  assert_int_equal(shmx_mutex_unlock(&mutex), -EPERM);
  assert_int_equal(shmx_mutex_holder(&mutex), 0);
  assert_false(shmx_mutex_is_mine(&mutex));
  assert_int_equal(shmx_mutex_lock(&mutex, 0), 0);
  assert_true(shmx_mutex_is_mine(&mutex) && shmx_mutex_is_mine(&other));
  assert_false(shmx_mutex_owner_died(&mutex));
  assert_int_equal(shmx_mutex_holder(&other), getpid());
  assert_int_equal(shmx_mutex_lock(&mutex, SHMX_FOREVER), -EDEADLK);
  assert_int_equal(shmx_mutex_lock(&other, SHMX_FOREVER), -EDEADLK);
  assert_int_equal(in_thread(try_it), -ETIMEDOUT);
  assert_int_equal(shmx_mutex_unlock(&mutex), 0);
  assert_int_equal(shmx_mutex_unlock(&mutex), -EPERM);
  assert_int_equal(in_thread(try_it), 0);
  assert_int_equal(word()->word, 0);
}

static int unlock_anothers(void) {
  shmx_mutex mutex = opened();
  return shmx_mutex_is_mine(&mutex) ? 1 : shmx_mutex_unlock(&mutex);
}

static int lock_for_20_ms(void) {
  shmx_mutex mutex = opened();
  return shmx_mutex_lock(&mutex, in_ms(20));
}

static void test_another_thread_waits_as_long_as_it_says(void **state) {
  (void)state;
  shmx_mutex mutex = opened();
  assert_int_equal(shmx_mutex_lock(&mutex, 0), 0);
  assert_int_equal(in_thread(unlock_anothers), -EPERM);
  int64_t start = shmx_clock_now();
  assert_int_equal(in_thread(lock_for_20_ms), -ETIMEDOUT);
  assert_in_range(ms_since(start), 20, 400);
  assert_true(shmx_mutex_is_mine(&mutex));
  assert_int_equal(shmx_mutex_unlock(&mutex), 0);
}

static void test_a_signal_ends_the_wait(void **state) {
  (void)state;
  shmx_mutex mutex = opened();
  pid_t child = start_holder(1);
  interrupt_every(20);
  int64_t start = shmx_clock_now();
  assert_int_equal(shmx_mutex_lock(&mutex, SHMX_FOREVER), -EINTR);
  interrupt_every(0);
  assert_in_range(ms_since(start), 0, 500);
  assert_false(shmx_mutex_is_mine(&mutex));
  assert_int_equal(shmx_mutex_holder(&mutex), child);
  end_child(child);
}

/* ---- the dead ---- */

static void test_the_next_is_told_that_the_owner_died(void **state) {
  (void)state;
  for (enum way way = 0; way < WAYS; way++) {
    shmx_mutex mutex = opened();
    pid_t body = end_holding(way, lock_as_child);
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_mutex_lock(&mutex, in_ms(5000)), -EOWNERDEAD);
    if (ms_since(start) > 300) fail_msg("waited too long for %s", way_names[way]);
    assert_true(shmx_mutex_is_mine(&mutex) && shmx_mutex_owner_died(&mutex));
    assert_int_equal(in_thread(try_it), -ETIMEDOUT);
    assert_int_equal(shmx_mutex_unlock(&mutex), 0);
    assert_int_equal(in_thread(try_it), 0);
    reap(body);
  }
}

static void test_trying_is_enough_to_take_over(void **state) {
  (void)state;
  end_holding(KILLED, lock_as_child);
  assert_int_equal(try_it(), -EOWNERDEAD);
  assert_int_equal(try_it(), 0);
}

static void test_who_dies_repairing_is_told_of_too(void **state) {
  (void)state;
  shmx_mutex mutex = opened();
  for (int i = 0; i < 3; i++)
    end_holding(KILLED, lock_as_child);
  assert_int_equal(shmx_mutex_lock(&mutex, in_ms(1000)), -EOWNERDEAD);
  shmx_mutex_unlock(&mutex);
}

/* What is free, but marked by the kernel, tells as well: also the one who has to wait for it. */
static void test_the_mark_stays_until_somebody_has_repaired(void **state) {
  (void)state;
  word()->word = SHMX_LOCK_DIED;
  assert_int_equal(try_it(), -EOWNERDEAD);
  word()->word = SHMX_LOCK_DIED | SHMX_LOCK_WAITERS;
  end_holding(KILLED, lock_as_child);
  assert_true(word()->word & SHMX_LOCK_DIED);
  assert_int_equal(try_it(), -EOWNERDEAD);
  assert_int_equal(word()->word, 0);
}

static void lock_forever_as_child(int stage) {
  shmx_mutex mutex = opened();
  EXPECT(shmx_mutex_lock(&mutex, in_ms(5000)) == -EOWNERDEAD);
  ground->stage += stage;
  if (stage == 100) stay(100);
  shmx_mutex_unlock(&mutex);
}

static void test_who_sleeps_wakes_to_the_death_of_the_owner(void **state) {
  (void)state;
  pid_t owner = start_holder(1), waiting = start_child(lock_forever_as_child, 100);
  assert_true(UNTIL(is_asleep(waiting) && word()->word & SHMX_LOCK_WAITERS));
  int64_t start = shmx_clock_now();
  end_child(owner);
  assert_true(UNTIL(ground->stage == 100));
  assert_in_range(ms_since(start), 0, 300);
  shmx_mutex mutex = opened(); /* and who got it dies, too, while we sleep */
  kill(waiting, SIGKILL);
  assert_int_equal(shmx_mutex_lock(&mutex, in_ms(1000)), -EOWNERDEAD);
  assert_in_range(ms_since(start), 0, 600);
  shmx_mutex_unlock(&mutex);
  wait_for(waiting);
}

static void test_a_stopped_owner_keeps_it(void **state) {
  (void)state;
  shmx_mutex mutex = opened();
  pid_t child = start_holder(1);
  kill(child, SIGSTOP);
  int status;
  assert_int_equal(waitpid(child, &status, WUNTRACED), child);
  assert_true(WIFSTOPPED(status));
  assert_int_equal(shmx_mutex_lock(&mutex, in_ms(350)), -ETIMEDOUT);
  assert_int_equal(shmx_mutex_holder(&mutex), child);
  kill(child, SIGCONT);
  assert_int_equal(shmx_mutex_lock(&mutex, in_ms(50)), -ETIMEDOUT);
  end_child(child);
}

/* ---- names ---- */

static void test_a_number_that_is_used_again_is_anothers(void **state) {
  (void)state;
  shmx_mutex mutex = opened();
  pid_t child = start_holder(1);
  shmx_task task = word()->word & ~SHMX_LOCK_FLAGS;
  assert_int_equal(shmx_task_number(task), child);
  assert_true(task >> 32 != 0);
  assert_int_equal(try_it(), -ETIMEDOUT);
  word()->word = namesake(task); /* the number lives, but not who had it */
  assert_int_equal(shmx_mutex_lock(&mutex, 0), -EOWNERDEAD);
  shmx_mutex_unlock(&mutex);
  word()->word = namesake(own_task()); /* our own number, of one who had it before us */
  assert_false(shmx_mutex_is_mine(&mutex));
  assert_int_equal(shmx_mutex_unlock(&mutex), -EPERM);
  assert_int_equal(shmx_mutex_lock(&mutex, 0), -EOWNERDEAD);
  shmx_mutex_unlock(&mutex);
  end_child(child);
}

static void test_threads_that_end_are_not_mistaken_for_their_process(void **state) {
  (void)state;
  end_holding(THREAD, lock_as_child);
  shmx_task task = shmx_lock_owner(word());
  assert_true(shmx_task_number(task) != (uint32_t)getpid());
  assert_true(UNTIL(!shmx_task_lives(task))); /* its joining may be a bit earlier than its end */
  assert_true(shmx_task_lives(own_task()));
  assert_true(shmx_process_lives(shmx_process_self()));
  assert_false(shmx_task_lives(namesake(own_task())));
  assert_false(shmx_process_lives(namesake(shmx_process_self())));
  assert_false(shmx_task_lives(0));
  assert_int_equal(shmx_task_process(own_task()), getpid());
}

/* ---- fork ---- */

static void use_inherited(int unused) {
  (void)unused;
  EXPECT(!shmx_mutex_is_mine(&inherited));
  EXPECT(!shmx_mutex_owner_died(&inherited));
  EXPECT(shmx_mutex_holder(&inherited) == (uint32_t)getppid());
  EXPECT(shmx_mutex_unlock(&inherited) == -EPERM);
  EXPECT(shmx_mutex_lock(&inherited, 0) == -ETIMEDOUT);
  ground->stage = 1;
  EXPECT(shmx_mutex_lock(&inherited, in_ms(5000)) == 0);
  EXPECT(shmx_mutex_holder(&inherited) == (uint32_t)getpid());
  EXPECT(shmx_mutex_unlock(&inherited) == 0);
}

static void close_inherited(int unused) {
  (void)unused;
  shmx_mutex_close(&inherited);
}

static void test_a_child_owns_nothing_of_its_parents(void **state) {
  (void)state;
  inherited = opened();
  assert_int_equal(shmx_mutex_lock(&inherited, 0), 0);
  assert_child_passes(close_inherited, 0);
  assert_true(shmx_mutex_is_mine(&inherited));
  assert_int_equal(in_thread(try_it), -ETIMEDOUT);
  pid_t child = start_child(use_inherited, 0);
  assert_true(UNTIL(ground->stage == 1 && is_asleep(child)));
  assert_int_equal(shmx_mutex_unlock(&inherited), 0);
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(try_it(), 0);
}

/* ---- closing ---- */

static int close_it(void) {
  shmx_mutex_close(&inherited);
  return 0;
}

static int lock_inherited(void) {
  return shmx_mutex_lock(&inherited, in_ms(1000));
}

static void test_closing_abandons_what_is_locked(void **state) {
  (void)state;
  for (int by_thread = 0; by_thread <= 1; by_thread++) {
    inherited = opened();
    assert_int_equal(shmx_mutex_lock(&inherited, 0), 0);
    by_thread ? in_thread(close_it) : close_it();
    assert_int_equal(in_thread(try_it), -EOWNERDEAD);
    close_it(); /* what is closed is left as it is */
    assert_int_equal(try_it(), 0);
  }
}

static void test_closing_abandons_no_other_locking(void **state) {
  (void)state;
  shmx_mutex mutex = opened();
  inherited = opened();
  assert_int_equal(shmx_mutex_lock(&inherited, 0), 0);
  assert_int_equal(shmx_mutex_unlock(&mutex), 0); /* by the same thread: it is its */
  assert_int_equal(shmx_mutex_lock(&mutex, 0), 0);
  close_it();
  assert_true(shmx_mutex_is_mine(&mutex));
  assert_int_equal(shmx_mutex_unlock(&mutex), 0);
  inherited = opened(); /* by a thread that has ended; taken over before it is closed */
  assert_int_equal(in_thread(lock_inherited), 0);
  assert_int_equal(shmx_mutex_lock(&mutex, in_ms(1000)), -EOWNERDEAD);
  close_it();
  assert_true(shmx_mutex_is_mine(&mutex));
  shmx_mutex_close(&mutex);
  mutex = opened();
  assert_int_equal(shmx_mutex_lock(&mutex, 0), -EOWNERDEAD);
  assert_int_equal(shmx_mutex_unlock(&mutex), 0);
}

/* ---- many ---- */

enum { TIMES = 20000 };

static void *count_as_thread(void *unused) {
  shmx_mutex mutex = opened();
  for (int i = 0; i < TIMES; i++) {
    EXPECT(shmx_mutex_lock(&mutex, in_ms(10000)) == 0);
    ground->one = ground->one + 1;
    EXPECT(ground->other + 1 == ground->one);
    ground->other = ground->one;
    EXPECT(shmx_mutex_unlock(&mutex) == 0);
  }
  return unused;
}

static void count_as_child(int unused) {
  (void)unused;
  pthread_t thread = start_thread(count_as_thread, NULL);
  count_as_thread(NULL);
  pthread_join(thread, NULL);
}

static void test_two_processes_of_two_threads_take_turns(void **state) {
  (void)state;
  pid_t child = start_child(count_as_child, 0);
  count_as_child(0);
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(ground->one, 4 * TIMES);
  assert_int_equal(ground->other, 4 * TIMES);
  assert_int_equal(word()->word, 0);
}

/* ---- promptly ---- */

struct waiter {
  _Atomic pid_t number;
  int64_t noted;
};

static void *wait_and_note(void *argument) {
  struct waiter *waiter = argument;
  shmx_mutex mutex = opened();
  shmx_self();
  waiter->number = gettid();
  EXPECT(shmx_mutex_lock(&mutex, in_ms(5000)) == 0);
  waiter->noted = shmx_clock_now();
  shmx_mutex_unlock(&mutex);
  return NULL;
}

/* Who sleeps for long is woken, and need not look; and so is who sleeps behind it. */
static void test_unlocking_wakes_who_waits(void **state) {
  (void)state;
  int64_t waits[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    struct waiter waiters[2] = {0};
    pthread_t threads[2];
    shmx_mutex mutex = opened();
    assert_int_equal(shmx_mutex_lock(&mutex, 0), 0);
    for (int j = 0; j < 2; j++) {
      threads[j] = start_thread(wait_and_note, &waiters[j]);
      assert_true(UNTIL(waiters[j].number != 0 && is_asleep(waiters[j].number)));
    }
    assert_int_equal(in_thread(lock_for_20_ms), -ETIMEDOUT);
    int64_t start = shmx_clock_now();
    shmx_mutex_unlock(&mutex);
    for (int j = 0; j < 2; j++)
      pthread_join(threads[j], NULL);
    int64_t last = waiters[0].noted > waiters[1].noted ? waiters[0].noted : waiters[1].noted;
    waits[i] = (last - start) / MS;
  }
  assert_in_range(median(waits), 0, PROMPT);
}

static void enter_as_child(int stage) {
  EXPECT(shmx_lock_enter(word(), in_ms(1000)) == 0);
  stay(stage);
}

static void *enter_and_note(void *noted) {
  EXPECT(shmx_lock_enter(word(), in_ms(5000)) == -EOWNERDEAD);
  *(int64_t *)noted = shmx_clock_now();
  shmx_lock_leave(word());
  return NULL;
}

/* The kernel itself wakes who waits for a short section. */
static void test_a_death_within_a_short_section_is_told_at_once(void **state) {
  (void)state;
  int64_t waits[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    int64_t noted;
    pid_t child = start_child(enter_as_child, i + 1);
    assert_true(UNTIL(ground->stage == i + 1));
    pthread_t thread = start_thread(enter_and_note, &noted);
    assert_true(UNTIL(word()->word & SHMX_LOCK_WAITERS));
    assert_int_equal(in_thread(lock_for_20_ms), -ETIMEDOUT); /* its first look is over */
    int64_t start = shmx_clock_now();
    end_child(child);
    pthread_join(thread, NULL);
    waits[i] = (noted - start) / MS;
    assert_int_equal(word()->word, 0);
  }
  assert_in_range(median(waits), 0, PROMPT);
}

/* What is announced to the kernel outlives no section: the memory may soon be another's. */
static void test_nothing_stays_announced(void **state) {
  (void)state;
  const struct robust_list *volatile *pending = (void *)&shmx_self()->robust->list_op_pending;
  assert_null(*pending);
  assert_int_equal(shmx_lock_enter(word(), 0), 0);
  assert_ptr_equal((uintptr_t)*pending + (uintptr_t)shmx_self()->robust->futex_offset, word());
  shmx_lock_leave(word());
  assert_null(*pending);
  pid_t child = start_child(enter_as_child, 1);
  assert_true(UNTIL(ground->stage == 1));
  assert_int_equal(shmx_lock_enter(word(), 0), -ETIMEDOUT);
  assert_null(*pending);
  end_child(child);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TOGETHER(test_is_locked_once_and_unlocked_by_who_has_it),
      TOGETHER(test_another_thread_waits_as_long_as_it_says),
      TOGETHER(test_a_signal_ends_the_wait),
      TOGETHER(test_the_next_is_told_that_the_owner_died),
      TOGETHER(test_trying_is_enough_to_take_over),
      TOGETHER(test_who_dies_repairing_is_told_of_too),
      TOGETHER(test_the_mark_stays_until_somebody_has_repaired),
      TOGETHER(test_who_sleeps_wakes_to_the_death_of_the_owner),
      TOGETHER(test_a_stopped_owner_keeps_it),
      TOGETHER(test_a_number_that_is_used_again_is_anothers),
      TOGETHER(test_threads_that_end_are_not_mistaken_for_their_process),
      TOGETHER(test_a_child_owns_nothing_of_its_parents),
      TOGETHER(test_closing_abandons_what_is_locked),
      TOGETHER(test_closing_abandons_no_other_locking),
      TOGETHER(test_two_processes_of_two_threads_take_turns),
      TOGETHER(test_unlocking_wakes_who_waits),
      TOGETHER(test_a_death_within_a_short_section_is_told_at_once),
      TOGETHER(test_nothing_stays_announced),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
