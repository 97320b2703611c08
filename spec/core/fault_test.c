/*
 * fault_test.c shows that memory which vanishes under a mapping, or cannot be had, is an error and
 * not a death.
 */
#include "support.h"

#include "os/fault.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGES = 8, SIZE = PAGES * PAGE, LAST = SIZE - 1, WATCHES = 5000, THREADS = 4 };

static void truncate_in_another_process(int size) {
  pid_t other = fork();
  if (other == 0) {
    _exit(truncate(path_of(posix_name(1)), size) == 0 ? 0 : 1);
  }
  int status;
  EXPECT(waitpid(other, &status, 0) == other && status == 0);
}

/* ---- an object is truncated ---- */

enum { READ, READ_ALL, WRITE, FILL, READ_READONLY, ACCESSES };

static int touch(shmx_segment *segment, int access) {
  static char data[SIZE];
  if (access == READ || access == READ_READONLY) return shmx_segment_read(segment, LAST, data, 1);
  if (access == READ_ALL) return shmx_segment_read(segment, 0, data, SIZE);
  if (access == WRITE) return shmx_segment_write(segment, LAST, "w", 1);
  return shmx_segment_fill(segment, 0, 'f', SIZE);
}

static void lose_memory(int access) {
  shmx_segment segment = {0}, other = {0}, *victim = &segment;
  char byte = 0;
  EXPECT(create_as_child(&segment, PAGE, 0) == 0);
  EXPECT(shmx_segment_resize(&segment, SIZE) == 0); /* maybe somewhere else */
  EXPECT(shmx_segment_fill(&segment, 0, 'x', SIZE) == 0);
  shmx_options options = {.flags = SHMX_READONLY};
  EXPECT(shmx_segment_attach(&other, posix_name(1), &options) == 0);
  if (access == READ_READONLY) victim = &other;
  EXPECT(touch(victim, access) == 0 && !shmx_segment_lost(victim));

  truncate_in_another_process(PAGE);
  EXPECT(shmx_segment_read(victim, PAGE - 1, &byte, 1) == 0); /* this page is there still */
  EXPECT(byte == (access == FILL ? 'f' : 'x') && !shmx_segment_lost(victim));
  EXPECT(touch(victim, access) == -EFAULT);
  EXPECT(shmx_segment_lost(victim));
  EXPECT(touch(victim, access) == -EFAULT);
  EXPECT(shmx_segment_read(victim, 0, &byte, 1) == -EFAULT); /* it stays lost as a whole */
  int expected = victim->object.readonly ? -EROFS : -EFAULT;
  EXPECT(shmx_segment_resize(victim, SIZE) == expected);

  shmx_segment_detach(victim);
  EXPECT(!shmx_segment_lost(victim));
  EXPECT(shmx_segment_attach(victim, posix_name(1), NULL) == 0);
  EXPECT(victim->object.size == PAGE && !shmx_segment_lost(victim));
  EXPECT(shmx_segment_read(victim, 0, &byte, 1) == 0 && byte == (access == FILL ? 'f' : 'x'));
  EXPECT(shmx_segment_write(victim, 0, "n", 1) == 0);
  shmx_segment_detach(&segment);
  shmx_segment_detach(&other);
  EXPECT(shmx_remove(posix_name(1)) == 0);
}

static void test_an_access_to_lost_memory_is_efault(void **state) {
  (void)state;
  for (int access = 0; access < ACCESSES; access++)
    assert_child_passes(lose_memory, access);
}

static atomic_int reading;

static void *read_until_error(void *name) {
  static _Thread_local char data[SIZE];
  shmx_segment segment = {0};
  intptr_t status = shmx_segment_attach(&segment, *(shmx_name *)name, NULL);
  atomic_fetch_add(&reading, 1);
  while (status == 0)
    status = shmx_segment_read(&segment, 0, data, SIZE);
  shmx_segment_detach(&segment);
  return (void *)status;
}

static void lose_memory_in_threads(int unused) {
  (void)unused;
  shmx_segment segment = {0};
  pthread_t threads[THREADS];
  shmx_name name = posix_name(1); /* its text is static: made once, before the threads */
  EXPECT(create_as_child(&segment, SIZE, 0) == 0);
  for (int i = 0; i < THREADS; i++)
    EXPECT(pthread_create(&threads[i], NULL, read_until_error, &name) == 0);
  while (atomic_load(&reading) < THREADS)
    sched_yield();
  truncate_in_another_process(0);
  for (int i = 0; i < THREADS; i++) {
    void *result;
    EXPECT(pthread_join(threads[i], &result) == 0);
    EXPECT((intptr_t)result == -EFAULT);
  }
  EXPECT(!shmx_segment_lost(&segment)); /* nobody has touched this one */
}

static void test_threads_that_read_meanwhile_all_see_it(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    assert_child_passes(lose_memory_in_threads, 0);
    assert_int_equal(shmx_remove(posix_name(1)), 0);
  }
}

/* ---- signals are blocked ---- */

static void block_all_signals(void) {
  sigset_t all;
  sigfillset(&all);
  EXPECT(sigprocmask(SIG_SETMASK, &all, NULL) == 0);
}

static void *read_last(void *segment) {
  char byte;
  return (void *)(intptr_t)shmx_segment_read(segment, LAST, &byte, 1);
}

/* With a mask as a parent leaves it: in this thread, or in one that is started after. */
static void lose_memory_with_signals_blocked(int in_thread) {
  shmx_segment segment = {0};
  block_all_signals();
  EXPECT(create_as_child(&segment, SIZE, 0) == 0);
  truncate_in_another_process(0);
  pthread_t thread;
  void *result = NULL;
  if (in_thread) {
    EXPECT(pthread_create(&thread, NULL, read_last, &segment) == 0);
    EXPECT(pthread_join(thread, &result) == 0);
  } else {
    result = read_last(&segment);
  }
  EXPECT((intptr_t)result == -EFAULT);
  sigset_t now;
  EXPECT(sigprocmask(SIG_BLOCK, NULL, &now) == 0);
  EXPECT(sigismember(&now, SIGBUS) == 0 && sigismember(&now, SIGSEGV) == 1 &&
         sigismember(&now, SIGTERM) == 1);
}

static void test_attaching_unblocks_sigbus(void **state) {
  (void)state;
  for (int in_thread = 0; in_thread <= 1; in_thread++) {
    assert_child_passes(lose_memory_with_signals_blocked, in_thread);
    assert_int_equal(shmx_remove(posix_name(1)), 0);
  }
}

static void *look_at_mask(void *mask) {
  pthread_sigmask(SIG_BLOCK, NULL, mask);
  return mask;
}

static void start_a_thread(int unused) {
  (void)unused;
  pthread_t thread;
  sigset_t mask, before, after;
  block_all_signals();
  pthread_sigmask(SIG_BLOCK, NULL, &before);
  EXPECT(shmx_thread_start(&thread, look_at_mask, &mask) == 0);
  EXPECT(pthread_join(thread, NULL) == 0);
  pthread_sigmask(SIG_BLOCK, NULL, &after);
  for (int number = 1; number < SIGSYS; number++) {
    bool fault = number == SIGBUS || number == SIGSEGV || number == SIGFPE || number == SIGILL;
    if (number != SIGKILL && number != SIGSTOP) EXPECT(sigismember(&mask, number) == !fault);
    EXPECT(sigismember(&after, number) == sigismember(&before, number));
  }
}

static void test_threads_of_ours_block_no_faults(void **state) {
  (void)state;
  assert_child_passes(start_a_thread, 0);
}

/* Nobody but the thread behind the descriptor touches the memory. */
static void lose_memory_behind_a_descriptor(int unused) {
  (void)unused;
  shmx_arena arena;
  shmx_arena_object object = {0};
  shmx_channel channel;
  shmx_options options = {.mode = 0600};
  shmx_kind kind = shmx_channel_kind(SHMX_CHANNEL_MIN);
  int fd;
  EXPECT(shmx_arena_open(&arena, posix_name(1), 64 * 1024, &options) == 0);
  EXPECT(shmx_arena_find(&arena, "channel", &kind, &object) == 0);
  shmx_channel_open(&channel, object.memory.object.data, SHMX_CHANNEL_MIN);
  EXPECT(shmx_channel_fd(&channel, &fd) == 0);
  truncate_in_another_process(0);
  for (int i = 0; i < 10000 && !shmx_segment_lost(&arena.segment); i++)
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  EXPECT(shmx_segment_lost(&arena.segment));
  shmx_channel_close(&channel);
  shmx_arena_close(&arena);
}

static void test_the_thread_behind_a_descriptor_outlives_lost_memory(void **state) {
  (void)state;
  assert_child_passes(lose_memory_behind_a_descriptor, 0);
  assert_int_equal(shmx_remove(posix_name(1)), 0);
}

/* ---- there is no room ---- */

static void fill_a_small_directory(int unused) {
  (void)unused;
  shmx_segment segment = {0};
  if (!private_directory("size=16k")) {
    dprintf(STDOUT_FILENO, "skipped: this user may not mount a small " DIRECTORY "\n");
    _exit(SKIP);
  }
  EXPECT(create_as_child(&segment, SIZE, 0) == -ENOSPC);
  EXPECT(count_files("", false) == 0);
  EXPECT(create_as_child(&segment, 2 * PAGE, 0) == 0);
  EXPECT(shmx_segment_fill(&segment, 0, 'x', 2 * PAGE) == 0);
  EXPECT(shmx_segment_resize(&segment, SIZE) == -ENOSPC);
  shmx_stat stat;
  EXPECT(shmx_segment_stat(&segment, &stat) == 0 && stat.size == 2 * PAGE);
  EXPECT(segment.object.size == 2 * PAGE && all_are(segment.object.data, 'x', 2 * PAGE));
  shmx_segment_detach(&segment);
  EXPECT(shmx_remove(posix_name(1)) == 0);

  EXPECT(create_as_child(&segment, SIZE, SHMX_NORESERVE) == 0);
  EXPECT(shmx_segment_write(&segment, LAST, "x", 1) == 0);
  EXPECT(shmx_segment_fill(&segment, 0, 'x', SIZE) == -EFAULT);
  EXPECT(shmx_segment_lost(&segment));
  shmx_segment_detach(&segment);
  EXPECT(shmx_remove(posix_name(1)) == 0);
  EXPECT(create_as_child(&segment, 4 * PAGE, 0) == 0); /* all of it is free again */
}

static void test_a_full_directory_is_an_error(void **state) {
  (void)state;
  assert_child_passes(fill_a_small_directory, 0);
}

static bool is_mapped(char *address) {
  unsigned char resident;
  return mincore(address, PAGE, &resident) == 0;
}

/* No part of the huge page, or of the zeroes in its place, may stay behind. */
static void write_and_detach(shmx_segment *segment) {
  int status = shmx_segment_write(segment, 0, "x", 1);
  EXPECT(status == 0 || status == -EFAULT); /* maybe the machine does have huge pages */
  shmx_limits limits;
  EXPECT(shmx_limits_get(&limits) == 0);
  char *last = (char *)segment->object.data + limits.huge_page_size - PAGE;
  EXPECT(is_mapped(last));
  shmx_segment_detach(segment);
  EXPECT(!is_mapped(last));
}

/* Huge pages that were not reserved, of which the machine has none: two handles find out. */
static void use_huge_pages(int backing) {
  shmx_segment segment = {0}, other = {0};
  shmx_options options = {.flags = SHMX_HUGE | SHMX_NORESERVE};
  if (shmx_segment_create(&segment, own_name(backing, 1), PAGE, &options) != 0) _exit(SKIP);
  if (backing == SHMX_SYSV) {
    EXPECT(shmx_segment_attach(&other, own_name(backing, 1), NULL) == 0);
    EXPECT(shmx_segment_remove(&segment) == 0);
    write_and_detach(&other);
  }
  write_and_detach(&segment);
}

static void test_missing_huge_pages_are_an_error(void **state) {
  assert_child_passes(use_huge_pages, *(int *)*state);
}

static void exceed_the_file_size(int backing) {
  struct rlimit limit = {PAGE, PAGE};
  shmx_segment segment = {0};
  EXPECT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  EXPECT(shmx_segment_create(&segment, own_name(backing, 1), 2 * PAGE, NULL) == -EFBIG);
  if (backing == SHMX_MEMFD) return;
  EXPECT(shmx_segment_create(&segment, own_name(backing, 1), PAGE, NULL) == 0);
  EXPECT(shmx_segment_resize(&segment, 2 * PAGE) == -EFBIG);
  EXPECT(shmx_segment_remove(&segment) == 0);
}

static void test_the_limit_of_file_sizes_is_an_error(void **state) {
  assert_child_passes(exceed_the_file_size, *(int *)*state);
}

/* ---- many mappings ---- */

static int compare(const void *left, const void *right) {
  uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;
  return (a > b) - (a < b);
}

static void watch_many(int unused) {
  (void)unused;
  static struct shmx_watch *watches[WATCHES], *before[WATCHES];
  for (int round = 0; round < 3; round++) {
    int fd = memfd_create("many", MFD_CLOEXEC);
    EXPECT(fd >= 0 && ftruncate(fd, (off_t)WATCHES * PAGE) == 0);
    char *data = mmap(NULL, (size_t)WATCHES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EXPECT(data != MAP_FAILED);
    for (int i = 0; i < WATCHES; i++) {
      watches[i] = shmx_watch_start(data + i * PAGE, PAGE, false);
      EXPECT(watches[i] != NULL && !shmx_watch_lost(watches[i]));
    }
    EXPECT(ftruncate(fd, 0) == 0 && close(fd) == 0);
    for (int i = 0; i < WATCHES; i += 2)
      *(volatile char *)(data + i * PAGE) = 1;
    for (int i = 0; i < WATCHES; i++) /* each knows of its own loss, and of no other */
      EXPECT(shmx_watch_lost(watches[i]) == (i % 2 == 0));
    for (int i = 0; i < WATCHES; i++)
      shmx_watch_stop(watches[i]);
    EXPECT(munmap(data, (size_t)WATCHES * PAGE) == 0);
    qsort(watches, WATCHES, sizeof *watches, compare);
    for (int i = 1; i < WATCHES; i++)
      EXPECT(watches[i] != watches[i - 1]);
    if (round == 2) EXPECT(memcmp(watches, before, sizeof watches) == 0); /* no new slots */
    memcpy(before, watches, sizeof watches);
  }
}

static void test_many_mappings_are_watched_and_their_slots_used_again(void **state) {
  (void)state;
  assert_child_passes(watch_many, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_an_access_to_lost_memory_is_efault, nothing_left),
      cmocka_unit_test_teardown(test_threads_that_read_meanwhile_all_see_it, nothing_left),
      cmocka_unit_test_teardown(test_attaching_unblocks_sigbus, nothing_left),
      cmocka_unit_test_teardown(test_threads_of_ours_block_no_faults, nothing_left),
      cmocka_unit_test_teardown(test_the_thread_behind_a_descriptor_outlives_lost_memory,
                                nothing_left),
      cmocka_unit_test_teardown(test_a_full_directory_is_an_error, nothing_left),
      OVER(SYSV, test_missing_huge_pages_are_an_error),
      OVER(MEMFD, test_missing_huge_pages_are_an_error),
      OVER(POSIX, test_the_limit_of_file_sizes_is_an_error),
      OVER(MEMFD, test_the_limit_of_file_sizes_is_an_error),
      cmocka_unit_test_teardown(test_many_mappings_are_watched_and_their_slots_used_again,
                                nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
