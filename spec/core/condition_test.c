/* condition_test.c shows conditions, of whose waiters some die, and a wait that uses no time. */
#include "together.h"

static struct shmx_mutex mutex_of(void) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, ground->second);
  return mutex;
}

static struct shmx_condition opened(void) {
  shmx_condition condition;
  shmx_condition_open(&condition, ground->memory);
  return condition;
}

/* Waits, as one should, until there is something; takes one of it. Returns the last result. */
static int take_one(int64_t deadline) {
  shmx_mutex mutex = mutex_of();
  shmx_condition condition = opened();
  int status = shmx_mutex_lock(&mutex, in_ms(5000));
  ground->inside = gettid();
  atomic_fetch_add(&ground->stage, 1);
  while ((status == 0 || status == -EOWNERDEAD) && ground->one == 0)
    status = shmx_condition_wait(&condition, &mutex, deadline);
  if (status == 0 || status == -EOWNERDEAD) ground->one--;
  EXPECT(shmx_mutex_is_mine(&mutex));
  EXPECT(shmx_mutex_unlock(&mutex) == 0);
  return status;
}

static void wait_as_child(int unused) {
  (void)unused;
  int status = take_one(in_ms(20000));
  EXPECT(status == 0 || status == -EOWNERDEAD);
}

static pid_t start_waiter(void) {
  int stage = ground->stage;
  pid_t child = start_child(wait_as_child, 0);
  assert_true(UNTIL(ground->stage == stage + 1 && is_asleep(child)));
  return child;
}

static void put(long count, bool all) {
  shmx_mutex mutex = mutex_of();
  shmx_condition condition = opened();
  assert_in_range(-shmx_mutex_lock(&mutex, in_ms(1000)), 0, 0);
  ground->one += count;
  assert_int_equal(shmx_mutex_unlock(&mutex), 0);
  for (long i = 0; i < count && !all; i++)
    shmx_condition_notify(&condition);
  if (all) shmx_condition_notify_all(&condition);
}

static void test_needs_the_mutex(void **state) {
  (void)state;
  shmx_mutex mutex = mutex_of();
  shmx_condition condition = opened();
  assert_int_equal(shmx_condition_kind().id, SHMX_KIND_CONDITION);
  assert_int_equal(shmx_condition_kind().size, 64);
  shmx_condition_notify(&condition); /* nobody waits */
  shmx_condition_notify_all(&condition);
  assert_int_equal(shmx_condition_wait(&condition, &mutex, SHMX_FOREVER), -EPERM);
}

static void test_a_wait_ends_in_time_with_the_mutex_locked(void **state) {
  (void)state;
  shmx_mutex mutex = mutex_of();
  shmx_condition condition = opened();
  assert_int_equal(shmx_mutex_lock(&mutex, 0), 0);
  for (int ms = 0; ms <= 230; ms += 230) {
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_condition_wait(&condition, &mutex, in_ms(ms)), -ETIMEDOUT);
    assert_in_range(ms_since(start), ms, ms + 300);
    assert_true(shmx_mutex_is_mine(&mutex));
  }
  interrupt_every(20);
  assert_int_equal(shmx_condition_wait(&condition, &mutex, SHMX_FOREVER), -EINTR);
  interrupt_every(0);
  assert_true(shmx_mutex_is_mine(&mutex));
  assert_int_equal(shmx_mutex_unlock(&mutex), 0);
}

static void test_in_parts(void **state) {
  (void)state;
  shmx_condition condition = opened();
  uint32_t ticket = shmx_condition_ticket(&condition);
  assert_int_equal(shmx_condition_sleep(&condition, ticket, in_ms(20)), -ETIMEDOUT);
  assert_int_equal(shmx_condition_sleep(&condition, ticket, 0), -ETIMEDOUT);
  int64_t start = shmx_clock_now();
  assert_int_equal(shmx_condition_sleep(&condition, ticket, SHMX_FOREVER), -EAGAIN);
  assert_in_range(ms_since(start), 99, 400);
  interrupt_every(20);
  assert_int_equal(shmx_condition_sleep(&condition, ticket, SHMX_FOREVER), -EINTR);
  interrupt_every(0);
  shmx_condition_notify(&condition);
  assert_int_equal(shmx_condition_sleep(&condition, ticket, SHMX_FOREVER), 0);
  assert_int_equal(shmx_condition_sleep(&condition, ticket, 0), 0);
  ticket = shmx_condition_ticket(&condition);
  shmx_condition_notify_all(&condition);
  assert_int_equal(shmx_condition_sleep(&condition, ticket, SHMX_FOREVER), 0);
}

static int slept[2];

static void *sleep_once(void *result) {
  shmx_condition condition = opened();
  uint32_t ticket = shmx_condition_ticket(&condition);
  int64_t deadline = result == &slept[0] ? SHMX_FOREVER : in_ms(60);
  ground->inside = gettid();
  *(int *)result = shmx_condition_sleep(&condition, ticket, deadline);
  return NULL;
}

/* The wake goes to the other, who slept first; this one is told, too, when its time is over. */
static void test_who_was_notified_is_told_so_at_its_deadline(void **state) {
  (void)state;
  shmx_condition condition = opened();
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) {
    ground->inside = 0;
    threads[i] = start_thread(sleep_once, &slept[i]);
    assert_true(UNTIL(ground->inside != 0 && is_asleep(ground->inside)));
  }
  shmx_condition_notify(&condition);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(slept[i], 0);
  }
}

/* What is not used is not asked of the system again: the bit goes when nobody sleeps. */
static void test_notifying_nobody_is_free(void **state) {
  (void)state;
  shmx_condition condition = opened();
  uint32_t *word = (uint32_t *)(void *)ground->memory;
  for (int all = 0; all <= 1; all++) {
    shmx_condition_ticket(&condition);
    assert_int_equal(*word % 2, 1);
    all ? shmx_condition_notify_all(&condition) : shmx_condition_notify(&condition);
    assert_int_equal(*word % 2, 0);
    uint32_t before = *word;
    all ? shmx_condition_notify_all(&condition) : shmx_condition_notify(&condition);
    assert_int_equal(*word, before);
  }
}

static void test_one_is_woken_or_all(void **state) {
  (void)state;
  enum { WAITERS = 3 };
  for (int all = 0; all <= 1; all++) {
    pid_t children[WAITERS];
    ground->stage = 0;
    for (int i = 0; i < WAITERS; i++)
      children[i] = start_waiter();
    int64_t start = shmx_clock_now();
    put(WAITERS, all);
    for (int i = 0; i < WAITERS; i++)
      assert_int_equal(wait_for(children[i]), 0);
    assert_in_range(ms_since(start), 0, 500);
    assert_int_equal(ground->one, 0);
  }
}

static void *wait_and_note(void *noted) {
  EXPECT(take_one(in_ms(5000)) == 0);
  *(int64_t *)noted = shmx_clock_now();
  return NULL;
}

static void test_who_waits_is_woken_at_once(void **state) {
  (void)state;
  for (int all = 0; all <= 1; all++) {
    int64_t waits[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
      int64_t noted;
      ground->stage = 0;
      pthread_t thread = start_thread(wait_and_note, &noted);
      assert_true(UNTIL(ground->stage == 1 && is_asleep(ground->inside)));
      int64_t start = shmx_clock_now();
      put(1, all);
      pthread_join(thread, NULL);
      waits[i] = (noted - start) / MS;
    }
    assert_in_range(median(waits), 0, PROMPT);
  }
}

/* ---- the dead ---- */

static void test_killed_waiters_are_in_nobodys_way(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++)
    end_child(start_waiter());
  pid_t child = start_waiter();
  int64_t start = shmx_clock_now();
  put(1, false);
  assert_int_equal(wait_for(child), 0);
  assert_in_range(ms_since(start), 0, 500);
}

/* The notification goes to the one who slept first; it is stopped, and dies with it. */
static void test_a_notification_that_died_with_its_waiter_is_recovered(void **state) {
  (void)state;
  pid_t first = start_waiter(), second = start_waiter();
  int status;
  kill(first, SIGSTOP);
  assert_int_equal(waitpid(first, &status, WUNTRACED), first);
  int64_t start = shmx_clock_now();
  put(1, false);
  end_child(first);
  assert_int_equal(wait_for(second), 0);
  assert_in_range(ms_since(start), 0, 500);
  assert_int_equal(ground->one, 0);
}

static void lock_and_stay(int stage) {
  shmx_mutex mutex = mutex_of();
  EXPECT(shmx_mutex_lock(&mutex, in_ms(1000)) == 0);
  ground->one = 1;
  stay(stage);
}

static void expect_owner_dead(int unused) {
  (void)unused;
  EXPECT(take_one(in_ms(5000)) == -EOWNERDEAD);
}

/* Whoever changes what is waited for may die before it notifies, with the mutex locked. */
static void test_the_mutex_of_a_dead_owner_is_told_of(void **state) {
  (void)state;
  pid_t waiting = start_child(expect_owner_dead, 0);
  assert_true(UNTIL(ground->stage == 1 && is_asleep(waiting)));
  pid_t child = start_child(lock_and_stay, 10);
  assert_true(UNTIL(ground->stage == 10));
  shmx_condition condition = opened();
  shmx_condition_notify(&condition);
  end_child(child);
  assert_int_equal(wait_for(waiting), 0);
}

static void expect_to_be_told(int unused) {
  (void)unused;
  shmx_mutex mutex = mutex_of();
  shmx_condition condition = opened();
  EXPECT(shmx_mutex_lock(&mutex, in_ms(5000)) == 0);
  ground->stage = 1;
  EXPECT(shmx_condition_wait(&condition, &mutex, in_ms(20000)) == -EOWNERDEAD);
  EXPECT(shmx_mutex_is_mine(&mutex));
}

/* Nobody is left who would notify. */
static void test_who_waits_wakes_when_the_owner_of_the_mutex_dies(void **state) {
  (void)state;
  pid_t waiting = start_child(expect_to_be_told, 0);
  assert_true(UNTIL(ground->stage == 1 && is_asleep(waiting)));
  pid_t child = start_child(lock_and_stay, 10);
  assert_true(UNTIL(ground->stage == 10));
  end_child(child);
  int64_t start = shmx_clock_now();
  assert_int_equal(wait_for(waiting), 0);
  assert_in_range(ms_since(start), 0, 1000);
}

/* ---- many ---- */

enum { ITEMS = 5000 };

static void take_many_as_child(int count) {
  for (int i = 0; i < count; i++)
    EXPECT(take_one(in_ms(20000)) == 0);
}

static void test_nothing_is_lost_between_processes(void **state) {
  (void)state;
  pid_t children[3];
  for (int i = 0; i < 3; i++)
    children[i] = start_child(take_many_as_child, ITEMS);
  for (int i = 0; i < 3 * ITEMS; i++)
    put(1, i % 7 == 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(wait_for(children[i]), 0);
  assert_int_equal(ground->one, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TOGETHER(test_needs_the_mutex),
      TOGETHER(test_a_wait_ends_in_time_with_the_mutex_locked),
      TOGETHER(test_in_parts),
      TOGETHER(test_who_was_notified_is_told_so_at_its_deadline),
      TOGETHER(test_notifying_nobody_is_free),
      TOGETHER(test_one_is_woken_or_all),
      TOGETHER(test_who_waits_is_woken_at_once),
      TOGETHER(test_killed_waiters_are_in_nobodys_way),
      TOGETHER(test_a_notification_that_died_with_its_waiter_is_recovered),
      TOGETHER(test_the_mutex_of_a_dead_owner_is_told_of),
      TOGETHER(test_who_waits_wakes_when_the_owner_of_the_mutex_dies),
      TOGETHER(test_nothing_is_lost_between_processes),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
