/*
 * step_test.c kills who locks, unlocks and takes over a mutex or a read-write lock, and who takes
 * and gives back permits, at every instruction; the others go on within a second, and are told if
 * something may be half done.
 */
#include "step.h"

static struct {
  shmx_mutex mutex;
  shmx_rwlock rwlock;
  shmx_semaphore semaphore;
} mine; /* the victim's, and before that the tester's: each opens its own */

enum { PERMITS = 3 };

static _Atomic uint64_t *words(void) {
  return (_Atomic uint64_t *)(void *)ground->memory;
}

static void open_all(void) {
  shmx_mutex_open(&mine.mutex, ground->memory);
  shmx_rwlock_open(&mine.rwlock, ground->memory);
  shmx_semaphore_open(&mine.semaphore, ground->memory, PERMITS);
}

static void prepare(void) {
  memset(ground, 0, sizeof *ground);
  watched.data = ground->memory;
  watched.size = 64 + 8 * SHMX_READERS;
  open_all();
}

/* Does the first word, or any, name the victim? */
static bool has_victim(int count) {
  for (int i = 0; i < count; i++)
    if (shmx_task_number(words()[i]) == (uint32_t)stepped.victim) return true;
  return false;
}

/* Runs this in a child that dies at its end. */
static void let_die(void (*body)(void)) {
  pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* In a thread: is it free for another? */
static bool is_refused(int (*call)(void)) {
  return in_thread(call) == -ETIMEDOUT;
}

static bool got(int status) {
  return status == 0 || status == -EOWNERDEAD;
}

/* ---- a mutex, which guards a pair that is equal whenever it is free ---- */

static void lock_mutex(void) {
  EXPECT(got(shmx_mutex_lock(&mine.mutex, in_ms(2000))));
}

static void lock_as_owner(void) {
  open_all();
  lock_mutex();
}

static void change_and_unlock_mutex(void) {
  ground->one++;
  ground->other++;
  EXPECT(shmx_mutex_unlock(&mine.mutex) == 0);
}

static void use_mutex(void) {
  lock_mutex();
  change_and_unlock_mutex();
}

static void close_mutex(void) {
  shmx_mutex_close(&mine.mutex);
}

static int try_mutex(void) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, ground->memory);
  return shmx_mutex_lock(&mutex, 0);
}

static void prepare_dead_owner(void) {
  prepare();
  let_die(lock_as_owner);
}

/* Whoever has it next is told if and only if the last owner has not unlocked it. */
static void mutex_goes_on(void) {
  bool held = shmx_task_number(words()[0]) != 0 || words()[0] & SHMX_LOCK_DIED;
  int64_t start = shmx_clock_now();
  int status = shmx_mutex_lock(&mine.mutex, in_ms(longest_wait()));
  CHECK(in_time(start));
  CHECK(status == (held ? -EOWNERDEAD : 0));
  CHECK(status != 0 || ground->one == ground->other);
  CHECK(shmx_mutex_owner_died(&mine.mutex) == held);
  CHECK(is_refused(try_mutex));
  CHECK(shmx_mutex_unlock(&mine.mutex) == 0);
  CHECK(shmx_mutex_lock(&mine.mutex, 0) == 0);
  CHECK(shmx_mutex_unlock(&mine.mutex) == 0);
  CHECK(words()[0] == 0);
}

static void mutex_goes_on_told(void) {
  CHECK(!stepped.done || has_victim(1));
  CHECK(words()[0] != 0);
  mutex_goes_on();
}

/* ---- with one who waits meanwhile ---- */

static pthread_t bystander;
static _Atomic int waited;

/* Told that it may be half done, it repairs. */
static void *wait_for_mutex(void *unused) {
  shmx_mutex mutex;
  shmx_mutex_open(&mutex, ground->memory);
  waited = shmx_mutex_lock(&mutex, in_ms(3000));
  CHECK(waited == -EOWNERDEAD || ground->one == ground->other);
  ground->other = ground->one;
  CHECK(shmx_mutex_unlock(&mutex) == 0);
  return unused;
}

/* The bystander waits for a lock that is the tester's, */
static void prepare_crowd(void) {
  prepare();
  words()[0] = own_task();
  bystander = start_thread(wait_for_mutex, NULL);
  CHECK(UNTIL(words()[0] & SHMX_LOCK_WAITERS));
}

/* ... and then the victim's, with all who wait. */
static void inherit_lock(void) {
  words()[0] = own_task() | SHMX_LOCK_WAITERS;
}

static void bystander_goes_on(void) {
  int64_t start = shmx_clock_now();
  pthread_join(bystander, NULL);
  CHECK(in_time(start));
  CHECK(got(waited));
  mutex_goes_on();
}

/* ---- who closes for a thread that has ended, while another takes over ---- */

static int lock_mine(void) {
  return shmx_mutex_lock(&mine.mutex, in_ms(longest_wait()));
}

static int write_mine(void) {
  return shmx_rwlock_write(&mine.rwlock, in_ms(longest_wait()));
}

static int read_mine(void) {
  return shmx_rwlock_read(&mine.rwlock, in_ms(longest_wait()));
}

static int acquire_mine(void) {
  return shmx_semaphore_acquire(&mine.semaphore, 2, in_ms(longest_wait()));
}

static void lock_by_thread(void) {
  EXPECT(in_thread(lock_mine) == 0);
}

static void write_by_thread(void) {
  EXPECT(in_thread(write_mine) == 0);
}

static void read_by_thread(void) {
  EXPECT(in_thread(read_mine) == 0);
}

static void acquire_by_thread(void) {
  EXPECT(in_thread(acquire_mine) == 0);
}

static void take_mutex(void) {
  CHECK(got(lock_mine()));
}

static void still_have_mutex(void) {
  CHECK(shmx_mutex_is_mine(&mine.mutex));
  CHECK(shmx_mutex_unlock(&mine.mutex) == 0);
}

/* ---- a read-write lock, which guards a pair as well ---- */

static void change_pair(void) {
  ground->one++;
  ground->other++;
}

static void write_rwlock(void) {
  EXPECT(got(shmx_rwlock_write(&mine.rwlock, in_ms(2000))));
  change_pair();
  EXPECT(shmx_rwlock_unlock(&mine.rwlock) == 0);
}

static void read_rwlock(void) {
  EXPECT(got(shmx_rwlock_read(&mine.rwlock, in_ms(2000))));
  EXPECT(shmx_rwlock_unlock(&mine.rwlock) == 0);
}

static void die_writing(void) {
  open_all();
  EXPECT(got(write_mine()));
}

static void die_reading(void) {
  open_all();
  EXPECT(read_mine() == 0);
}

static void prepare_dead_writer(void) {
  prepare();
  let_die(die_writing);
}

static void prepare_dead_reader(void) {
  prepare();
  let_die(die_reading);
}

static void close_rwlock(void) {
  shmx_rwlock_close(&mine.rwlock);
}

static int try_reading(void) {
  shmx_rwlock rwlock;
  shmx_rwlock_open(&rwlock, ground->memory);
  int status = shmx_rwlock_read(&rwlock, 0);
  if (got(status)) shmx_rwlock_unlock(&rwlock);
  return status;
}

static int try_writing(void) {
  shmx_rwlock rwlock;
  shmx_rwlock_open(&rwlock, ground->memory);
  return shmx_rwlock_write(&rwlock, 0);
}

static bool gate_is_open(void) {
  return words()[0] == 0 && words()[1] % (UINT64_C(1) << 32) == 0;
}

/* First one reads: it is told if and only if a writer died inside. Then one writes. */
static void rwlock_goes_on(void) {
  bool damaged = !gate_is_open(), read_at_death = false;
  for (int slot = 0; slot < SHMX_READERS; slot++)
    read_at_death |= words()[8 + slot] != 0;
  int64_t start = shmx_clock_now();
  int status = shmx_rwlock_read(&mine.rwlock, in_ms(longest_wait()));
  CHECK(in_time(start));
  CHECK(status == (damaged ? -EOWNERDEAD : 0));
  CHECK(damaged || ground->one == ground->other);
  CHECK(is_refused(try_writing));
  CHECK(shmx_rwlock_unlock(&mine.rwlock) == 0);
  start = shmx_clock_now();
  status = shmx_rwlock_write(&mine.rwlock, in_ms(longest_wait()));
  CHECK(in_time(start));
  CHECK(got(status) && (status == -EOWNERDEAD || !damaged));
  CHECK(damaged || (status != 0) <= read_at_death);
  CHECK(is_refused(try_writing) && is_refused(try_reading));
  CHECK(shmx_rwlock_unlock(&mine.rwlock) == 0);
  CHECK(gate_is_open());
  for (int slot = 0; slot < SHMX_READERS; slot++)
    CHECK(words()[8 + slot] == 0);
  CHECK(shmx_rwlock_read(&mine.rwlock, 0) == 0);
  CHECK(shmx_rwlock_unlock(&mine.rwlock) == 0);
}

/* A damage that was there stays until one who writes unlocks, and goes before the gate opens: later
 * it might be another's. */
static void rwlock_goes_on_told(void) {
  if (ground->one == 0) CHECK(!gate_is_open());
  if (ground->other == 1 && words()[0] == 0) CHECK(gate_is_open());
  rwlock_goes_on();
}

static void take_rwlock(void) {
  CHECK(got(write_mine()));
}

static void still_have_rwlock(void) {
  CHECK(is_refused(try_reading));
  CHECK(shmx_rwlock_unlock(&mine.rwlock) == 0);
}

/* Buried, its slot is another's: as if that had come to read just there. */
static void take_slot(void) {
  CHECK(got(write_mine()));
  CHECK(shmx_rwlock_unlock(&mine.rwlock) == 0);
  for (int slot = 0; slot < SHMX_READERS; slot++)
    words()[8 + slot] = own_task();
}

static void still_have_slot(void) {
  for (int slot = 0; slot < SHMX_READERS; slot++)
    CHECK(words()[8 + slot] == own_task());
}

/* ---- a semaphore ---- */

static void acquire_one(void) {
  EXPECT(got(shmx_semaphore_acquire(&mine.semaphore, 1, in_ms(2000))));
}

static void acquire_two(void) {
  EXPECT(got(shmx_semaphore_acquire(&mine.semaphore, 2, in_ms(2000))));
}

static void release_one(void) {
  EXPECT(shmx_semaphore_release(&mine.semaphore, 1) == 0);
}

static void release_two(void) {
  EXPECT(shmx_semaphore_release(&mine.semaphore, 2) == 0);
}

static void close_semaphore(void) {
  shmx_semaphore_close(&mine.semaphore);
}

static void die_with_two(void) {
  open_all();
  acquire_two();
}

static void prepare_dead_holder(void) {
  prepare();
  let_die(die_with_two);
}

static int try_permit(void) {
  shmx_semaphore semaphore;
  shmx_semaphore_open(&semaphore, ground->memory, PERMITS);
  return shmx_semaphore_acquire(&semaphore, 1, 0);
}

/* As many permits as there were, and told of if and only if some were the victim's. */
static void semaphore_goes_on(void) {
  bool died = words()[8] != 0 || words()[9] != 0 || words()[10] != 0;
  CHECK(shmx_semaphore_value(&mine.semaphore) == PERMITS);
  int64_t start = shmx_clock_now();
  int status = shmx_semaphore_acquire(&mine.semaphore, PERMITS, in_ms(longest_wait()));
  CHECK(in_time(start));
  CHECK(status == (died ? -EOWNERDEAD : 0));
  CHECK(shmx_semaphore_value(&mine.semaphore) == 0);
  CHECK(is_refused(try_permit));
  CHECK(shmx_semaphore_release(&mine.semaphore, PERMITS) == 0);
  CHECK(shmx_semaphore_value(&mine.semaphore) == PERMITS);
}

static void take_permits(void) {
  CHECK(got(shmx_semaphore_acquire(&mine.semaphore, PERMITS, in_ms(longest_wait()))));
}

static void still_have_permits(void) {
  CHECK(shmx_semaphore_value(&mine.semaphore) == 0);
  CHECK(shmx_semaphore_release(&mine.semaphore, PERMITS) == 0);
}

/* ---- all of them ---- */

static const struct deed deeds[] = {
    {"mutex: lock", prepare, NULL, lock_mutex, NULL, mutex_goes_on, false},
    {"mutex: lock, first looking up who we are", prepare, NULL, lock_mutex, NULL, mutex_goes_on,
     true},
    {"mutex: unlock", prepare, lock_mutex, change_and_unlock_mutex, NULL, mutex_goes_on, false},
    {"mutex: lock, change, unlock", prepare, NULL, use_mutex, NULL, mutex_goes_on, false},
    {"mutex: take over from the dead", prepare_dead_owner, NULL, lock_mutex, NULL,
     mutex_goes_on_told, false},
    {"mutex: take over, change, unlock", prepare_dead_owner, NULL, use_mutex, NULL, mutex_goes_on,
     false},
    {"mutex: close what is locked", prepare, lock_mutex, close_mutex, NULL, mutex_goes_on, false},
    {"mutex: unlock while another waits", prepare_crowd, inherit_lock, change_and_unlock_mutex,
     NULL, bystander_goes_on, false},
    {"mutex: close, while another takes over", prepare, lock_by_thread, close_mutex, take_mutex,
     still_have_mutex, false},
    {"rwlock: read", prepare, NULL, read_rwlock, NULL, rwlock_goes_on, false},
    {"rwlock: write", prepare, NULL, write_rwlock, NULL, rwlock_goes_on, false},
    {"rwlock: read after a dead writer", prepare_dead_writer, NULL, read_rwlock, NULL,
     rwlock_goes_on_told, false},
    {"rwlock: write after a dead writer", prepare_dead_writer, NULL, write_rwlock, NULL,
     rwlock_goes_on_told, false},
    {"rwlock: write after a dead reader", prepare_dead_reader, NULL, write_rwlock, NULL,
     rwlock_goes_on, false},
    {"rwlock: close, while another takes over", prepare, write_by_thread, close_rwlock, take_rwlock,
     still_have_rwlock, false},
    {"rwlock: close, while another buries", prepare, read_by_thread, close_rwlock, take_slot,
     still_have_slot, false},
    {"semaphore: acquire", prepare, NULL, acquire_one, NULL, semaphore_goes_on, false},
    {"semaphore: acquire two", prepare, NULL, acquire_two, NULL, semaphore_goes_on, false},
    {"semaphore: release", prepare, acquire_one, release_one, NULL, semaphore_goes_on, false},
    {"semaphore: release two", prepare, acquire_two, release_two, NULL, semaphore_goes_on, false},
    {"semaphore: bury the dead", prepare_dead_holder, NULL, acquire_two, NULL, semaphore_goes_on,
     false},
    {"semaphore: close, while another buries", prepare, acquire_by_thread, close_semaphore,
     take_permits, still_have_permits, false},
};

static void test_whoever_is_killed_is_in_nobodys_way(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_is_in_nobodys_way, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
