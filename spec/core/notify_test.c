/*
 * notify_test.c shows that a notification of one is not lost where it is made after the mutex was
 * unlocked, so that others may come to wait in the middle of it. The model spec/model/event.pml has
 * found how it could be.
 */
#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WAITERS = 2, NOTIFIERS = 2, EACH = 20000 };

static _Alignas(64) unsigned char mutex_memory[64], condition_memory[64];
static int there; /* guarded by the mutex, as is used */
static atomic_int given, used;
static atomic_bool late;

static void *wait_for_all(void *unused) {
  shmx_mutex mutex;
  shmx_condition condition;
  shmx_mutex_open(&mutex, mutex_memory);
  shmx_condition_open(&condition, condition_memory);
  for (int i = 0; i < EACH && !late; i++) {
    if (shmx_mutex_lock(&mutex, SHMX_FOREVER) != 0) abort();
    int64_t deadline = shmx_clock_deadline(10);
    while (there == 0 && !late)
      late = shmx_condition_wait(&condition, &mutex, deadline) == -ETIMEDOUT;
    there--;
    used++;
    if (shmx_mutex_unlock(&mutex) != 0) abort();
  }
  return unused;
}

/* Few at once, so that waiters have to wait. */
static void *give(void *unused) {
  shmx_mutex mutex;
  shmx_condition condition;
  shmx_mutex_open(&mutex, mutex_memory);
  shmx_condition_open(&condition, condition_memory);
  for (int i = 0; i < EACH; i++) {
    while (given - used > 1 && !late)
      sched_yield();
    if (shmx_mutex_lock(&mutex, SHMX_FOREVER) != 0) abort();
    there++;
    given++;
    if (shmx_mutex_unlock(&mutex) != 0) abort();
    shmx_condition_notify(&condition);
  }
  return unused;
}

static void test_none_is_lost_between_waiters_that_come_and_go(void **state) {
  (void)state;
  pthread_t threads[WAITERS + NOTIFIERS];
  alarm(DEADLINE); /* a waiter may never see its deadline */
  for (int i = 0; i < WAITERS + NOTIFIERS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, i < WAITERS ? wait_for_all : give, NULL), 0);
  for (int i = 0; i < WAITERS + NOTIFIERS; i++)
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_false(late);
  assert_int_equal(used, WAITERS * EACH);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_none_is_lost_between_waiters_that_come_and_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
