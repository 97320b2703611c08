/*
 * creator_test.c: whether the creator of a System V segment lives: a wall clock that is stepped, as
 * NTP does on a board without a battery, says nothing about that.
 */
#include "support.h"

#include <sys/syscall.h>
#include <time.h>

static time_t step; /* seconds that the wall clock has been stepped by */

/* The library asks this one instead of libc's. */
int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += step;
  return result;
}

static int creator_lives(int id) {
  shmx_segment segment = {0};
  shmx_stat stat;
  assert_int_equal(shmx_segment_attach(&segment, shmx_id(id), NULL), 0);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  shmx_segment_detach(&segment);
  return stat.creator_lives;
}

static void assert_creator(int id, int lives) {
  static const time_t steps[] = {0, 10, 3600, 86400 * 365 * 50, -10, -3600};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    step = steps[i];
    assert_int_equal(creator_lives(id), lives);
  }
  step = 0;
}

static int create_one(void) {
  shmx_segment segment = {0};
  assert_int_equal(shmx_segment_create(&segment, sysv_name(0), PAGE, NULL), 0);
  int id = segment.object.id;
  shmx_segment_detach(&segment);
  return id;
}

static void test_a_living_creator_lives_whatever_the_wall_clock_says(void **state) {
  (void)state;
  assert_creator(create_one(), 1);
  assert_int_equal(shmx_remove(sysv_name(0)), 0);
}

/* Until it is reaped, a child that has ended is a zombie. */
static pid_t end_as_zombie(bool creating) {
  pid_t child = fork();
  if (child == 0) _exit(creating && shmget(sysv_name(0).key, PAGE, IPC_CREAT | 0600) < 0);
  siginfo_t info;
  EXPECT(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0 && info.si_status == 0);
  return child;
}

static void test_a_dead_creator_is_dead_also_as_a_zombie(void **state) {
  (void)state;
  pid_t child = end_as_zombie(true);
  int id = shmget(sysv_name(0).key, 0, 0);
  assert_true(id >= 0);
  assert_creator(id, 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  assert_creator(id, 0);
  assert_int_equal(shmx_remove(sysv_name(0)), 0);
}

/* ---- /proc of another PID namespace ---- */

static void create_and_look(int unused) {
  (void)unused;
  int id = create_one();
  EXPECT(creator_lives(id) == 1);
  EXPECT(shmx_remove(sysv_name(0)) == 0);
}

/* The next process here gets a number that /proc, which is the outer namespace's, has a zombie at.
 */
static void fork_as(int number) {
  FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
  bool written = last != NULL && fprintf(last, "%d", number - 1) > 0;
  if (last == NULL || fclose(last) != 0 || !written) _exit(SKIP);
  pid_t child = start_child(create_and_look, 0);
  EXPECT(child == number);
  _exit(WEXITSTATUS(wait_for(child)));
}

static void create_beside_a_zombie(int unused) {
  (void)unused;
  pid_t zombie = end_as_zombie(false);
  if (unshare(CLONE_NEWPID) != 0) _exit(SKIP);
  _exit(WEXITSTATUS(wait_for(start_child(fork_as, (int)zombie))));
}

static void test_a_zombie_in_a_foreign_proc_is_not_the_creator(void **state) {
  (void)state;
  assert_child_passes(create_beside_a_zombie, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_living_creator_lives_whatever_the_wall_clock_says,
                                nothing_left),
      cmocka_unit_test_teardown(test_a_dead_creator_is_dead_also_as_a_zombie, nothing_left),
      cmocka_unit_test_teardown(test_a_zombie_in_a_foreign_proc_is_not_the_creator, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
