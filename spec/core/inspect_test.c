/*
 * inspect_test.c: looking at an arena from outside, in a real system: who holds what, alive and
 * dead; memory that is truncated, or changes meanwhile. spec/core/corrupt_inspect_test.c lies.
 */
#include "looking.h"

#include "os/futex.h"
#include "os/process.h"
#include "os/sleepers.h"

#include <sys/mman.h>

enum { SIZE = 60000, LOOKS = 3000 };

static void begin_arena(shmx_arena *arena) {
  *arena = (shmx_arena){0};
  EXPECT(shmx_arena_open(arena, posix_name(1), SIZE, NULL) == 0);
  make_all(arena);
}

static void end_arena(shmx_arena *arena) {
  EXPECT(shmx_segment_remove(&arena->segment) == 0);
  shmx_arena_close(arena);
}

/* Who looks needs no right to write. */
static void attach(shmx_segment *segment) {
  shmx_options options = {.flags = SHMX_READONLY};
  *segment = (shmx_segment){0};
  EXPECT(shmx_segment_attach(segment, posix_name(1), &options) == 0);
}

/* ---- the list ---- */

static void test_a_list_is_bounded(void **state) {
  (void)state;
  static shmx_holders holders;
  shmx_holders_add(&holders, 0, SHMX_HOLDS);
  shmx_holders_add(&holders, UINT64_C(7) << 32, SHMX_HOLDS); /* a start, and nobody's */
  assert_int_equal(holders.count, 0);
  for (uint64_t turn = 0; turn < 2; turn++)
    for (uint64_t task = 1; task <= 100; task++)
      shmx_holders_add(&holders, 0x3ffff000 + task, SHMX_HOLDS);
  assert_int_equal(holders.count, SHMX_HOLDERS_MAX);
  assert_int_equal(holders.more, 2 * (100 - SHMX_HOLDERS_MAX));
  assert_int_equal(holders.list[5].count, 2);
  assert_false(holders.list[5].lives);
}

static void test_one_may_have_several_parts(void **state) {
  (void)state;
  shmx_holders holders = {0};
  shmx_holders_add(&holders, shmx_self()->task, SHMX_READS);
  shmx_holders_add(&holders, shmx_self()->task, SHMX_WAITS);
  assert_int_equal(holders.count, 2);
  assert_int_equal(holders.list[1].process, getpid());
  assert_true(holders.list[1].lives);
  assert_string_equal(shmx_part_name(holders.list[1].part), "waits");
  assert_string_equal(shmx_part_name(SHMX_SERVES), "serves");
  assert_string_equal(shmx_part_name(SHMX_SERVES + 1), "nothing");
}

/* ---- who holds what ---- */

static void find(shmx_arena *arena, const char *name, shmx_kind kind, void **memory) {
  static shmx_arena_object objects[8];
  static unsigned count;
  make(arena, name, kind, &objects[count]);
  *memory = objects[count++].memory.object.data;
}

/* Holds everything, says so, and stays. */
static void hold(int out) {
  shmx_arena arena = {0};
  shmx_mutex mutex;
  shmx_rwlock rwlock;
  shmx_semaphore semaphore;
  void *memory[3];
  EXPECT(shmx_arena_open(&arena, posix_name(1), 0, NULL) == 0);
  find(&arena, "mutex", shmx_mutex_kind(), &memory[0]);
  find(&arena, "rwlock", shmx_rwlock_kind(), &memory[1]);
  find(&arena, "semaphore", shmx_semaphore_kind(PERMITS), &memory[2]);
  shmx_mutex_open(&mutex, memory[0]);
  shmx_rwlock_open(&rwlock, memory[1]);
  shmx_semaphore_open(&semaphore, memory[2], PERMITS);
  EXPECT(shmx_mutex_lock(&mutex, SHMX_FOREVER) == 0);
  EXPECT(shmx_rwlock_read(&rwlock, SHMX_FOREVER) == 0);
  EXPECT(shmx_semaphore_acquire(&semaphore, 3, SHMX_FOREVER) == 0);
  EXPECT(write(out, "x", 1) == 1);
  pause();
}

/* Waits to write where another reads. */
static void want_to_write(int unused) {
  (void)unused;
  shmx_arena arena = {0};
  shmx_rwlock rwlock;
  void *memory;
  EXPECT(shmx_arena_open(&arena, posix_name(1), 0, NULL) == 0);
  find(&arena, "rwlock", shmx_rwlock_kind(), &memory);
  shmx_rwlock_open(&rwlock, memory);
  shmx_rwlock_write(&rwlock, SHMX_FOREVER);
}

/* The holders of the object of this name. */
static shmx_holders holders_of(const char *name) {
  shmx_segment segment;
  shmx_inspection inspection;
  shmx_holders holders = {0};
  attach(&segment);
  EXPECT(shmx_inspect(&inspection, &segment) == 0);
  for (uint32_t number = 0; number < inspection.status.entries; number++) {
    shmx_arena_entry entry;
    uint64_t layout;
    void *data;
    if (!shmx_inspect_object(&inspection, number, &entry, &layout, &data)) continue;
    if (strcmp(entry.name, name) == 0) EXPECT(look_at(&entry, layout, data, &holders));
  }
  shmx_segment_detach(&segment);
  return holders;
}

static void expect_holder(const char *name, pid_t process, uint32_t part, uint32_t count,
                          bool lives) {
  shmx_holders holders = holders_of(name);
  EXPECT(holders.count == 1 && holders.list[0].process == (uint32_t)process);
  EXPECT(holders.list[0].part == part && holders.list[0].count == count);
  EXPECT(holders.list[0].lives == lives);
}

static void expect_held(pid_t holder, bool lives) {
  expect_holder("mutex", holder, SHMX_HOLDS, 1, lives);
  expect_holder("rwlock", holder, SHMX_READS, 1, lives);
  expect_holder("semaphore", holder, SHMX_HOLDS, 3, lives);
}

static void kill_child(pid_t child) {
  int status;
  EXPECT(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
}

static void see_holders(int unused) {
  (void)unused;
  shmx_arena arena;
  int ready[2];
  char byte;
  begin_arena(&arena);
  EXPECT(pipe(ready) == 0);
  pid_t holder = start_child(hold, ready[1]);
  EXPECT(read(ready[0], &byte, 1) == 1);
  expect_held(holder, true);
  /* Who has the gate does not write as long as there is a reader; the test has a deadline. */
  pid_t writer = start_child(want_to_write, 0);
  shmx_holders holders;
  do
    holders = holders_of("rwlock");
  while (holders.count < 2);
  EXPECT(holders.list[0].part == SHMX_READS && holders.list[0].process == (uint32_t)holder);
  EXPECT(holders.list[1].part == SHMX_WAITS && holders.list[1].process == (uint32_t)writer);
  kill_child(writer);
  kill_child(holder);
  holders = holders_of("mutex");
  EXPECT(holders.count == 1 && !holders.list[0].lives);
  expect_holder("semaphore", holder, SHMX_HOLDS, 3, false);
  end_arena(&arena);
}

static void test_holders_are_seen_alive_and_dead(void **state) {
  (void)state;
  assert_child_passes(see_holders, 0);
}

/* ---- who sleeps ---- */

enum { SLEEPS_AT = PAGE + 8 };

static unsigned char *map_pages(int fd) {
  unsigned char *data = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  EXPECT(data != MAP_FAILED);
  return data;
}

/* On the second page, which is a mapping of its own since the first one may not be written. */
static void sleep_there(int fd) {
  unsigned char *data = map_pages(fd);
  EXPECT(mprotect(data, PAGE, PROT_READ) == 0);
  for (;;)
    shmx_futex_wait((uint32_t *)(void *)(data + SLEEPS_AT), 0, SHMX_FOREVER);
}

static bool may_look(pid_t process) {
  char path[32], line[16];
  snprintf(path, sizeof path, "/proc/%d/syscall", (int)process);
  FILE *file = fopen(path, "re");
  bool may = file != NULL && fgets(line, sizeof line, file) != NULL;
  if (file != NULL) fclose(file);
  return may;
}

static void see_sleeper(int unused) {
  (void)unused;
  shmx_sleeper found[4];
  int fd = memfd_create("shm-spec", MFD_CLOEXEC), other = memfd_create("shm-spec", MFD_CLOEXEC);
  EXPECT(fd >= 0 && other >= 0 && ftruncate(fd, 2 * PAGE) == 0 && ftruncate(other, 2 * PAGE) == 0);
  unsigned char *data = map_pages(fd), *elsewhere = map_pages(other);
  pid_t child = start_child(sleep_there, fd);
  if (!may_look(child)) _exit(SKIP);
  while (shmx_sleepers_find((uint32_t)child, data, 2 * PAGE, found, 4) == 0) {
  }
  EXPECT(found[0].thread == (uint32_t)child && found[0].offset == SLEEPS_AT);
  EXPECT(shmx_sleepers_find((uint32_t)child, data, PAGE, found, 4) == 0);
  EXPECT(shmx_sleepers_find((uint32_t)child, data, 2 * PAGE, found, 0) == 0);
  EXPECT(shmx_sleepers_find((uint32_t)child, elsewhere, 2 * PAGE, found, 4) == 0);
  kill_child(child);
  EXPECT(shmx_sleepers_find((uint32_t)child, data, 2 * PAGE, found, 4) == 0);
}

static void test_who_sleeps_is_seen_by_where(void **state) {
  (void)state;
  assert_child_passes(see_sleeper, 0);
}

/* ---- memory that goes ---- */

/* What is there is looked at; behind it there is nothing, which is no SIGBUS. Where only objects
 * are gone, a look may not come there. */
static void look_at_truncated(int length) {
  shmx_arena arena;
  shmx_segment segment;
  unsigned sound;
  begin_arena(&arena);
  attach(&segment);
  EXPECT(look_at_all(&segment, &sound) == 0 && sound == 9);
  EXPECT(truncate(path_of(posix_name(1)), length) == 0);
  int status = look_at_all(&segment, &sound);
  EXPECT(status == -EFAULT ? shmx_segment_lost(&segment) : status == 0 && length > PAGE);
  shmx_segment_detach(&segment);
  EXPECT(shmx_inspect(&(shmx_inspection){0}, &segment) == -EBADF);
  end_arena(&arena);
}

static void test_truncated_memory_is_an_error(void **state) {
  (void)state;
  for (int length = 0; length < SIZE - PAGE; length += PAGE)
    assert_child_passes(look_at_truncated, length);
}

/* ---- memory that changes ---- */

/* Makes and removes objects, and writes what it likes in between. */
static void change(int unused) {
  (void)unused;
  shmx_segment raw;
  EXPECT(shmx_segment_attach(&raw, posix_name(1), NULL) == 0);
  uint64_t *words = (uint64_t *)(void *)raw.object.data, chance = 1;
  for (;;) {
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
    size_t at = 8 + (chance >> 33) % (SIZE / 8 - 8); /* not the header */
    uint64_t before = __atomic_load_n(&words[at], __ATOMIC_RELAXED);
    __atomic_store_n(&words[at], chance >> (chance >> 58), __ATOMIC_RELAXED);
    if (chance >> 32 & 15) __atomic_store_n(&words[at], before, __ATOMIC_RELAXED);
  }
}

static void look_at_changes(int unused) {
  (void)unused;
  shmx_arena arena;
  shmx_segment segment;
  unsigned sound;
  begin_arena(&arena);
  attach(&segment);
  EXPECT(look_at_all(&segment, &sound) == 0 && sound == 9);
  pid_t other = start_child(change, 0);
  for (int i = 0; i < LOOKS; i++)
    EXPECT(look_at_all(&segment, &sound) == 0);
  kill_child(other);
  shmx_segment_detach(&segment);
  EXPECT(shmx_segment_remove(&arena.segment) == 0); /* whose directory is no more to be closed */
}

static void test_changing_memory_is_looked_at(void **state) {
  (void)state;
  assert_child_passes(look_at_changes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_list_is_bounded),
      cmocka_unit_test(test_one_may_have_several_parts),
      cmocka_unit_test_teardown(test_holders_are_seen_alive_and_dead, nothing_left),
      cmocka_unit_test_teardown(test_who_sleeps_is_seen_by_where, nothing_left),
      cmocka_unit_test_teardown(test_truncated_memory_is_an_error, nothing_left),
      cmocka_unit_test_teardown(test_changing_memory_is_looked_at, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
