/* rwlock_test.c shows readers and writers, of whom some die, are stopped, fork, or are too many. */
#include "together.h"

static shmx_rwlock inherited;

/* As it lies in the memory. */
static _Atomic uint64_t *gate(void) {
  return (_Atomic uint64_t *)(void *)ground->memory;
}

static _Atomic shmx_task *slots(void) {
  return (_Atomic shmx_task *)(void *)(ground->memory + 64);
}

static int readers(void) {
  int count = 0;
  for (int slot = 0; slot < SHMX_READERS; slot++)
    count += slots()[slot] != 0;
  return count;
}

static shmx_rwlock opened(void) {
  shmx_rwlock rwlock;
  shmx_rwlock_open(&rwlock, ground->memory);
  return rwlock;
}

static int lock_once(bool writing, int64_t deadline) {
  shmx_rwlock rwlock = opened();
  int status = writing ? shmx_rwlock_write(&rwlock, deadline) : shmx_rwlock_read(&rwlock, deadline);
  if (status == 0 || status == -EOWNERDEAD) shmx_rwlock_unlock(&rwlock);
  shmx_rwlock_close(&rwlock);
  return status;
}

static int try_reading(void) {
  return lock_once(false, 0);
}

static int try_writing(void) {
  return lock_once(true, 0);
}

static int write_for_60_ms(void) {
  return lock_once(true, in_ms(60));
}

static int write_for_20_ms(void) {
  return lock_once(true, in_ms(20));
}

static int unlock_inherited(void) {
  return shmx_rwlock_unlock(&inherited);
}

static int close_inherited(void) {
  shmx_rwlock_close(&inherited);
  return 0;
}

static int read_inherited(void) {
  return shmx_rwlock_read(&inherited, in_ms(1000));
}

static int write_inherited(void) {
  return shmx_rwlock_write(&inherited, in_ms(1000));
}

static void read_as_child(int unused) {
  (void)unused;
  shmx_rwlock rwlock = opened();
  EXPECT(shmx_rwlock_read(&rwlock, in_ms(1000)) == 0);
}

static void write_as_child(int unused) {
  (void)unused;
  shmx_rwlock rwlock = opened();
  int status = shmx_rwlock_write(&rwlock, in_ms(1000));
  EXPECT(status == 0 || status == -EOWNERDEAD);
}

static void read_and_stay(int stage) {
  read_as_child(0);
  stay(stage);
}

static void write_and_stay(int stage) {
  write_as_child(0);
  stay(stage);
}

static pid_t start_holder(void (*body)(int)) {
  int stage = ground->stage + 1;
  pid_t child = start_child(body, stage);
  assert_true(UNTIL(ground->stage == stage));
  return child;
}

/* ---- who may be in ---- */

static void test_many_read_or_one_writes(void **state) {
  (void)state;
  shmx_rwlock one = opened(), other = opened();
  assert_int_equal(shmx_rwlock_kind().id, SHMX_KIND_RWLOCK);
  assert_int_equal(shmx_rwlock_kind().size, 64 + 8 * SHMX_READERS);
  assert_int_equal(shmx_rwlock_unlock(&one), -EPERM);
  assert_int_equal(shmx_rwlock_holder(&one), 0);
  assert_int_equal(shmx_rwlock_read(&one, 0), 0);
  assert_int_equal(shmx_rwlock_holder(&other), getpid());
  assert_int_equal(in_thread(try_reading), 0);
  int64_t start = shmx_clock_now();
  assert_int_equal(in_thread(write_for_60_ms), -ETIMEDOUT);
  assert_in_range(ms_since(start), 60, 400);
  assert_int_equal(*gate(), 0);
  assert_int_equal(shmx_rwlock_unlock(&one), 0);
  assert_int_equal(shmx_rwlock_unlock(&one), -EPERM);
  assert_int_equal(shmx_rwlock_write(&one, 0), 0);
  assert_int_equal(shmx_rwlock_holder(&other), getpid());
  assert_int_equal(in_thread(try_reading), -ETIMEDOUT);
  assert_int_equal(in_thread(try_writing), -ETIMEDOUT);
  assert_int_equal(readers(), 0);
  assert_int_equal(shmx_rwlock_unlock(&one), 0);
  assert_int_equal(shmx_rwlock_unlock(&one), -EPERM);
  assert_int_equal(in_thread(try_writing), 0);
}

static void test_a_thread_has_it_once(void **state) {
  (void)state;
  shmx_rwlock one = opened(), other = opened();
  for (int writing = 0; writing <= 1; writing++) {
    assert_int_equal(writing ? shmx_rwlock_write(&one, 0) : shmx_rwlock_read(&one, 0), 0);
    for (int second = 0; second <= 1; second++) {
      shmx_rwlock *handle = second ? &other : &one;
      assert_int_equal(shmx_rwlock_read(handle, SHMX_FOREVER), -EDEADLK);
      assert_int_equal(shmx_rwlock_write(handle, SHMX_FOREVER), -EDEADLK);
    }
    assert_int_equal(shmx_rwlock_unlock(&other), -EPERM);
    inherited = one;
    assert_int_equal(in_thread(unlock_inherited), -EPERM);
    assert_int_equal(shmx_rwlock_unlock(&one), 0);
    assert_int_equal(*gate(), 0);
    assert_int_equal(readers(), 0);
  }
}

static void test_a_signal_ends_the_wait(void **state) {
  (void)state;
  shmx_rwlock rwlock = opened();
  pid_t child = start_holder(read_and_stay);
  interrupt_every(20);
  assert_int_equal(shmx_rwlock_write(&rwlock, SHMX_FOREVER), -EINTR);
  interrupt_every(0);
  assert_int_equal(*gate(), 0);
  assert_int_equal(try_reading(), 0);
  end_child(child);
  child = start_holder(write_and_stay);
  interrupt_every(20);
  assert_int_equal(shmx_rwlock_read(&rwlock, SHMX_FOREVER), -EINTR);
  assert_int_equal(shmx_rwlock_write(&rwlock, SHMX_FOREVER), -EINTR);
  interrupt_every(0);
  assert_int_equal(readers(), 0);
  end_child(child);
}

static void *read_on_and_on(void *unused) {
  shmx_rwlock rwlock = opened();
  while (ground->stage == 0) {
    EXPECT(shmx_rwlock_read(&rwlock, in_ms(5000)) == 0);
    EXPECT(ground->one == ground->other);
    sched_yield();
    EXPECT(ground->one == ground->other);
    EXPECT(shmx_rwlock_unlock(&rwlock) == 0);
  }
  return unused;
}

static void test_writers_are_not_starved(void **state) {
  (void)state;
  enum { THREADS = 4, WRITES = 200 };
  pthread_t threads[THREADS];
  shmx_rwlock rwlock = opened();
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(read_on_and_on, NULL);
  int64_t start = shmx_clock_now();
  for (int i = 0; i < WRITES; i++) {
    assert_int_equal(shmx_rwlock_write(&rwlock, in_ms(5000)), 0);
    ground->one++;
    sched_yield();
    ground->other++;
    assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
  }
  int64_t took = ms_since(start);
  ground->stage = 1;
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_in_range(took, 0, 4000);
  assert_int_equal(readers(), 0);
}

/* While a writer waits, who comes to read waits behind it. */
static void *write_once(void *noted) {
  shmx_rwlock rwlock = opened();
  EXPECT(shmx_rwlock_write(&rwlock, in_ms(5000)) == 0);
  *(int64_t *)noted = shmx_clock_now();
  shmx_rwlock_unlock(&rwlock);
  return NULL;
}

static void test_readers_wait_behind_a_waiting_writer_who_is_woken(void **state) {
  (void)state;
  int64_t waits[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    int64_t noted;
    shmx_rwlock rwlock = opened();
    assert_int_equal(shmx_rwlock_read(&rwlock, 0), 0);
    pthread_t thread = start_thread(write_once, &noted);
    assert_true(UNTIL(*gate() != 0));
    assert_int_equal(in_thread(try_reading), -ETIMEDOUT);
    assert_int_equal(in_thread(write_for_20_ms), -ETIMEDOUT);
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
    pthread_join(thread, NULL);
    waits[i] = (noted - start) / MS;
    assert_int_equal(in_thread(try_reading), 0);
  }
  assert_in_range(median(waits), 0, PROMPT);
}

/* ---- the dead ---- */

static void test_a_dead_writer_leaves_damage_until_another_has_written(void **state) {
  (void)state;
  for (enum way way = 0; way < WAYS; way++) {
    shmx_rwlock rwlock = opened();
    pid_t body = end_holding(way, write_as_child);
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_rwlock_read(&rwlock, in_ms(5000)), -EOWNERDEAD);
    if (ms_since(start) > 300) fail_msg("waited too long for %s", way_names[way]);
    assert_int_equal(in_thread(try_reading), -EOWNERDEAD);
    assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
    assert_int_equal(shmx_rwlock_read(&rwlock, 0), -EOWNERDEAD); /* a reader repairs nothing */
    assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
    assert_int_equal(shmx_rwlock_write(&rwlock, 0), -EOWNERDEAD);
    assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
    assert_int_equal(try_reading(), 0);
    assert_int_equal(try_writing(), 0);
    reap(body);
  }
}

static void test_who_dies_repairing_leaves_damage_too(void **state) {
  (void)state;
  end_holding(KILLED, write_as_child);
  end_holding(KILLED, write_as_child);
  assert_int_equal(try_reading(), -EOWNERDEAD);
  end_holding(KILLED, write_as_child);
  assert_int_equal(try_writing(), -EOWNERDEAD);
  assert_int_equal(try_writing(), 0);
}

static void test_who_gave_up_repairing_leaves_damage(void **state) {
  (void)state;
  shmx_rwlock rwlock = opened();
  end_holding(KILLED, write_as_child);
  assert_int_equal(shmx_rwlock_read(&rwlock, in_ms(1000)), -EOWNERDEAD);
  assert_int_equal(in_thread(try_writing), -ETIMEDOUT); /* we read on */
  assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
  assert_int_equal(lock_once(true, in_ms(1000)), -EOWNERDEAD);
}

static void test_a_dead_reader_is_in_nobodys_way(void **state) {
  (void)state;
  for (enum way way = 0; way < WAYS; way++) {
    shmx_rwlock rwlock = opened();
    pid_t body = end_holding(way, read_as_child);
    assert_int_equal(readers(), 1);
    assert_int_equal(try_reading(), 0);
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_rwlock_write(&rwlock, in_ms(5000)), -EOWNERDEAD);
    if (ms_since(start) > 300) fail_msg("waited too long for %s", way_names[way]);
    assert_int_equal(readers(), 0);
    assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
    assert_int_equal(try_writing(), 0); /* readers spoil nothing */
    reap(body);
  }
}

static void test_a_namesake_of_a_reader_is_not_it(void **state) {
  (void)state;
  shmx_rwlock rwlock = opened();
  pid_t child = start_holder(read_and_stay);
  int empty = 0;
  while (slots()[empty] != 0)
    empty++;
  slots()[empty] = namesake(own_task());
  assert_int_equal(shmx_rwlock_write(&rwlock, in_ms(250)), -ETIMEDOUT); /* the child reads */
  assert_int_equal(readers(), 1);
  end_child(child);
  assert_int_equal(shmx_rwlock_write(&rwlock, in_ms(1000)), -EOWNERDEAD);
  assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
}

static void test_who_is_stopped_keeps_it(void **state) {
  (void)state;
  int status;
  for (int writing = 0; writing <= 1; writing++) {
    pid_t child = start_holder(writing ? write_and_stay : read_and_stay);
    kill(child, SIGSTOP);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_int_equal(lock_once(true, in_ms(250)), -ETIMEDOUT);
    assert_int_equal(lock_once(false, in_ms(150)), writing ? -ETIMEDOUT : 0);
    end_child(child);
    assert_int_equal(lock_once(true, in_ms(1000)), -EOWNERDEAD);
  }
}

/* ---- all places taken ---- */

static int read_for_60_ms(void) {
  return lock_once(false, in_ms(60));
}

static int read_for_a_second(void) {
  return lock_once(false, in_ms(1000));
}

static void test_readers_without_a_place_wait_for_one(void **state) {
  (void)state;
  pid_t child = start_holder(read_and_stay);
  shmx_task task = own_task();
  shmx_rwlock rwlock = opened();
  for (int slot = 0; slot < SHMX_READERS; slot++)
    if (slots()[slot] == 0) slots()[slot] = task;
  assert_int_equal(in_thread(read_for_60_ms), -ETIMEDOUT);
  assert_int_equal(shmx_rwlock_write(&rwlock, 0), -EDEADLK);
  end_child(child); /* its place is found to be free */
  assert_int_equal(in_thread(read_for_a_second), 0);
  assert_int_equal(readers(), SHMX_READERS - 1);
}

/* ---- fork ---- */

static void use_inherited(int writing) {
  EXPECT(shmx_rwlock_unlock(&inherited) == -EPERM);
  EXPECT(shmx_rwlock_holder(&inherited) == (uint32_t)getppid());
  EXPECT(shmx_rwlock_write(&inherited, 0) == -ETIMEDOUT);
  EXPECT(writing || try_reading() == 0);
  ground->stage = 1;
  EXPECT(shmx_rwlock_write(&inherited, in_ms(5000)) == 0);
  EXPECT(shmx_rwlock_unlock(&inherited) == 0);
}

static void close_as_child(int unused) {
  (void)unused;
  shmx_rwlock_close(&inherited);
}

static void test_a_child_owns_nothing_of_its_parents(void **state) {
  (void)state;
  for (int writing = 0; writing <= 1; writing++) {
    inherited = opened();
    ground->stage = 0;
    assert_int_equal(writing ? write_inherited() : read_inherited(), 0);
    assert_child_passes(close_as_child, 0);
    assert_int_equal(in_thread(try_writing), -ETIMEDOUT);
    pid_t child = start_child(use_inherited, writing);
    assert_true(UNTIL(ground->stage == 1 && is_asleep(child)));
    assert_int_equal(shmx_rwlock_unlock(&inherited), 0);
    assert_int_equal(wait_for(child), 0);
    assert_int_equal(try_writing(), 0);
  }
}

/* ---- closing ---- */

static void test_closing_gives_up_what_is_held(void **state) {
  (void)state;
  for (int by_thread = 0; by_thread <= 1; by_thread++) {
    inherited = opened();
    assert_int_equal(read_inherited(), 0);
    by_thread ? in_thread(close_inherited) : close_inherited();
    assert_int_equal(in_thread(try_reading), 0);
    assert_int_equal(try_writing(), -EOWNERDEAD);
    assert_int_equal(readers(), 0);
    assert_int_equal(try_writing(), 0);
    inherited = opened();
    assert_int_equal(write_inherited(), 0);
    by_thread ? in_thread(close_inherited) : close_inherited();
    assert_int_equal(in_thread(try_reading), -EOWNERDEAD);
    close_inherited();
    assert_int_equal(try_writing(), -EOWNERDEAD);
    assert_int_equal(try_writing(), 0);
  }
}

/* Who has taken it over from a thread that ended keeps it when that one's handle is closed. */
static void test_closing_gives_up_nothing_of_others(void **state) {
  (void)state;
  shmx_rwlock rwlock = opened();
  inherited = opened();
  assert_int_equal(in_thread(write_inherited), 0);
  assert_int_equal(shmx_rwlock_write(&rwlock, in_ms(1000)), -EOWNERDEAD);
  close_inherited();
  assert_int_equal(in_thread(try_reading), -ETIMEDOUT);
  assert_int_equal(shmx_rwlock_unlock(&rwlock), 0);
  inherited = opened();
  assert_int_equal(in_thread(read_inherited), 0);
  uint32_t slot = inherited.slot;
  assert_int_equal(lock_once(true, in_ms(1000)), -EOWNERDEAD);
  slots()[slot] = own_task(); /* as if we had come to read */
  close_inherited();
  assert_true(slots()[slot] == own_task());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TOGETHER(test_many_read_or_one_writes),
      TOGETHER(test_a_thread_has_it_once),
      TOGETHER(test_a_signal_ends_the_wait),
      TOGETHER(test_writers_are_not_starved),
      TOGETHER(test_readers_wait_behind_a_waiting_writer_who_is_woken),
      TOGETHER(test_a_dead_writer_leaves_damage_until_another_has_written),
      TOGETHER(test_who_dies_repairing_leaves_damage_too),
      TOGETHER(test_who_gave_up_repairing_leaves_damage),
      TOGETHER(test_a_dead_reader_is_in_nobodys_way),
      TOGETHER(test_a_namesake_of_a_reader_is_not_it),
      TOGETHER(test_who_is_stopped_keeps_it),
      TOGETHER(test_readers_without_a_place_wait_for_one),
      TOGETHER(test_a_child_owns_nothing_of_its_parents),
      TOGETHER(test_closing_gives_up_what_is_held),
      TOGETHER(test_closing_gives_up_nothing_of_others),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
