/* idle_test.c shows that who waits for a second uses no processor while it waits. */
#include "together.h"

enum { WAIT = 1000 /* milliseconds */, MOST_USED = 10 };

static int64_t processor_ms(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

/* ---- one who holds each of them, and one who waits for it ---- */

static int mutex(int64_t deadline) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, ground->memory);
  return shmx_mutex_lock(&mutex, deadline);
}

static int rwlock_write(int64_t deadline) {
  shmx_rwlock rwlock;
  shmx_rwlock_open(&rwlock, ground->memory);
  return shmx_rwlock_write(&rwlock, deadline);
}

static int rwlock_read(int64_t deadline) {
  shmx_rwlock rwlock;
  shmx_rwlock_open(&rwlock, ground->memory);
  return shmx_rwlock_read(&rwlock, deadline);
}

static int semaphore(int64_t deadline) {
  shmx_semaphore semaphore;
  shmx_semaphore_open(&semaphore, ground->memory, 1);
  return shmx_semaphore_acquire(&semaphore, 1, deadline);
}

static int condition(int64_t deadline) {
  shmx_mutex mutex;
  shmx_condition condition;
  shmx_mutex_open(&mutex, ground->second);
  shmx_condition_open(&condition, ground->memory);
  int status = shmx_mutex_lock(&mutex, deadline);
  return status != 0 ? status : shmx_condition_wait(&condition, &mutex, deadline);
}

static int barrier(int64_t deadline) {
  shmx_barrier barrier;
  shmx_barrier_open(&barrier, ground->memory, 3);
  return shmx_barrier_wait(&barrier, deadline, NULL);
}

static int nothing(int64_t deadline) {
  (void)deadline;
  return 0;
}

static int arrive(int64_t deadline) {
  (void)deadline;
  barrier(SHMX_FOREVER);
  return 0;
}

static const struct {
  const char *name;
  int (*hold)(int64_t), (*wait)(int64_t);
} waits[] = {
    {"a mutex", mutex, mutex},
    {"to read while one writes", rwlock_write, rwlock_read},
    {"to write while one writes", rwlock_write, rwlock_write},
    {"to write while one reads", rwlock_read, rwlock_write},
    {"a permit", semaphore, semaphore},
    {"a notification", nothing, condition},
    {"another party", arrive, barrier},
};

static void hold_as_child(int number) {
  ground->stage = 1;
  if (waits[number].hold(in_ms(1000)) != 0) _exit(1);
  stay(2);
}

static void wait_as_child(int number) {
  int64_t before = processor_ms(), start = shmx_clock_now();
  EXPECT(waits[number].wait(in_ms(WAIT)) == -ETIMEDOUT);
  EXPECT(ms_since(start) >= WAIT);
  int64_t used = processor_ms() - before;
  if (used >= MOST_USED) dprintf(STDERR_FILENO, "%s: %d ms\n", waits[number].name, (int)used);
  EXPECT(used < MOST_USED);
}

/* Each in a ground of its own, and all at once. */
static void test_waiting_uses_no_processor(void **state) {
  (void)state;
  enum { COUNT = sizeof waits / sizeof *waits };
  struct ground *grounds[COUNT], *first = ground;
  pid_t holders[COUNT], waiters[COUNT];
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(begin_ground(NULL), 0);
    grounds[i] = ground;
    bool waiting = waits[i].hold == arrive;
    holders[i] = start_child(hold_as_child, i);
    assert_true(UNTIL(waiting ? ground->stage == 1 && is_asleep(holders[i]) : ground->stage == 2));
    waiters[i] = start_child(wait_as_child, i);
  }
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(wait_for(waiters[i]), 0);
    end_child(holders[i]);
    munmap(grounds[i], sizeof *ground);
  }
  ground = first;
}

int main(void) {
  const struct CMUnitTest tests[] = {TOGETHER(test_waiting_uses_no_processor)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
