/*
 * threads_test.c has four threads change plain data under each kind of lock, and have arenas of one
 * process. Built for the thread sanitizer (make asan), it shows that the locks order memory.
 */
#include "together.h"

enum { THREADS = 4, TIMES = 2000, PERMITS = 2 };

/* Plain memory: whoever is wrongly in is seen. */
static struct {
  _Alignas(64) unsigned char lock[64 + 8 * SHMX_READERS], condition[64];
  long one, other, steps[THREADS];
  _Atomic int number;
} place;

static void run(void *(*body)(void *)) {
  pthread_t threads[THREADS];
  memset(&place, 0, sizeof place);
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(body, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void change(void) {
  place.one++;
  place.other++;
}

static void *use_mutex(void *unused) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, place.lock);
  for (int i = 0; i < TIMES; i++) {
    EXPECT(shmx_mutex_lock(&mutex, SHMX_FOREVER) == 0);
    change();
    EXPECT(shmx_mutex_unlock(&mutex) == 0);
  }
  return unused;
}

static void test_mutex(void **state) {
  (void)state;
  run(use_mutex);
  assert_int_equal(place.one, THREADS * TIMES);
  assert_int_equal(place.other, THREADS * TIMES);
}

/* The owner ends, or closes its handle, and the next goes on with what it has left. */
static void *leave_mutex_locked(void *unused) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, place.lock);
  bool closing = place.number++ % 2 == 0;
  int status = shmx_mutex_lock(&mutex, SHMX_FOREVER);
  EXPECT(status == 0 || status == -EOWNERDEAD);
  if (closing) {
    change();
    shmx_mutex_close(&mutex);
  } else {
    change();
    EXPECT(shmx_mutex_unlock(&mutex) == 0);
  }
  return unused;
}

static void test_abandoned_mutex(void **state) {
  (void)state;
  run(leave_mutex_locked);
  assert_int_equal(place.one, THREADS);
}

static void *use_rwlock(void *unused) {
  shmx_rwlock rwlock;
  shmx_rwlock_open(&rwlock, place.lock);
  for (int i = 0; i < TIMES; i++) {
    if (i % 4 == 0) {
      EXPECT(shmx_rwlock_write(&rwlock, SHMX_FOREVER) == 0);
      change();
    } else {
      EXPECT(shmx_rwlock_read(&rwlock, SHMX_FOREVER) == 0);
      EXPECT(place.one == place.other);
    }
    EXPECT(shmx_rwlock_unlock(&rwlock) == 0);
  }
  return unused;
}

static void test_rwlock(void **state) {
  (void)state;
  run(use_rwlock);
  assert_int_equal(place.one, THREADS * TIMES / 4);
}

/* All permits are a lock. */
static void *use_all_permits(void *unused) {
  shmx_semaphore semaphore;
  shmx_semaphore_open(&semaphore, place.lock, PERMITS);
  for (int i = 0; i < TIMES; i++) {
    EXPECT(shmx_semaphore_acquire(&semaphore, PERMITS, SHMX_FOREVER) == 0);
    change();
    EXPECT(shmx_semaphore_release(&semaphore, PERMITS) == 0);
  }
  return unused;
}

static void test_semaphore(void **state) {
  (void)state;
  run(use_all_permits);
  assert_int_equal(place.one, THREADS * TIMES);
}

/* One puts, the others take, and one tells the other by the condition. */
static void *put_and_take(void *unused) {
  shmx_mutex mutex;
  shmx_condition condition;
  shmx_mutex_open(&mutex, place.lock);
  shmx_condition_open(&condition, place.condition);
  bool putting = place.number++ == 0;
  for (int i = 0; i < (putting ? (THREADS - 1) * TIMES : TIMES); i++) {
    EXPECT(shmx_mutex_lock(&mutex, SHMX_FOREVER) == 0);
    while (!putting && place.one == 0)
      EXPECT(shmx_condition_wait(&condition, &mutex, SHMX_FOREVER) == 0);
    place.one += putting ? 1 : -1;
    place.other += putting;
    if (putting && i % 2 == 0) shmx_condition_notify(&condition);
    EXPECT(shmx_mutex_unlock(&mutex) == 0);
    if (putting && i % 2 == 1) shmx_condition_notify_all(&condition);
  }
  return unused;
}

static void test_condition(void **state) {
  (void)state;
  run(put_and_take);
  assert_int_equal(place.one, 0);
  assert_int_equal(place.other, (THREADS - 1) * TIMES);
}

/* Each writes its own, all meet, each reads all, all meet. */
static void *meet(void *unused) {
  shmx_barrier barrier;
  shmx_barrier_open(&barrier, place.lock, THREADS);
  int number = place.number++;
  for (int i = 1; i <= TIMES / 2; i++) {
    bool last;
    place.steps[number] = i;
    EXPECT(shmx_barrier_wait(&barrier, SHMX_FOREVER, &last) == 0);
    for (int j = 0; j < THREADS; j++)
      EXPECT(place.steps[j] == i);
    if (last) place.one++;
    EXPECT(shmx_barrier_wait(&barrier, SHMX_FOREVER, NULL) == 0);
  }
  return unused;
}

static void test_barrier(void **state) {
  (void)state;
  run(meet);
  assert_int_equal(place.one, TIMES / 2);
}

/* Arenas of all threads are on one list of the process: neighbours come, move and go. */
static void *move_arenas(void *unused) {
  shmx_arena one, other;
  shmx_arena_object object;
  shmx_kind kind = shmx_array_kind(SHMX_I32, 1);
  for (int i = 0; i < TIMES / 10; i++) {
    EXPECT(shmx_arena_open(&one, shmx_anonymous(), SHMX_ARENA_SIZE_MIN, NULL) == 0);
    EXPECT(shmx_arena_find(&one, "n", &kind, &object) == 0);
    for (int j = 0; j < 10; j++) {
      shmx_arena_move(&one, &other);
      shmx_arena_move(&other, &one);
    }
    EXPECT(object.arena == &one);
    shmx_arena_close(&one);
    EXPECT(object.arena == NULL);
  }
  return unused;
}

static void test_moving_arenas(void **state) {
  (void)state;
  run(move_arenas);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mutex),         cmocka_unit_test(test_abandoned_mutex),
      cmocka_unit_test(test_rwlock),        cmocka_unit_test(test_semaphore),
      cmocka_unit_test(test_condition),     cmocka_unit_test(test_barrier),
      cmocka_unit_test(test_moving_arenas),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
