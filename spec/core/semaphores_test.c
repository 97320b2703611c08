/*
 * semaphores_test.c shows what only C reaches of sets of semaphores: who is killed or held at any
 * system call of creation costs others a second at most, and never the values; a signal ends a
 * wait; what is senseless is refused.
 */
#include "trace.h"

#include <limits.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

enum { COUNT = 3, LEAST_POINTS = 6, MOST_POINTS = 200 };

static const uint16_t first_values[COUNT] = {1, 5, 9};

static int open_set(shmx_semaphores *set, int count) {
  shmx_semaphores_options options = {.values = count == COUNT ? first_values : NULL, .value = 1};
  return shmx_semaphores_open(set, sysv_name(1), count, &options);
}

static int operate(const shmx_semaphores *set, int index, int delta, int64_t deadline) {
  shmx_semaphores_step step = {(uint16_t)index, (int16_t)delta, 0};
  return shmx_semaphores_operate(set, &step, 1, deadline);
}

static void create_bare(int count) {
  assert_true(semget(sysv_name(1).key, count, IPC_CREAT | IPC_EXCL | 0600) >= 0);
}

static int value_of(const shmx_semaphores *set, int index) {
  int value = -1;
  assert_int_equal(shmx_semaphores_value(set, index, &value), 0);
  return value;
}

/* Until the condition holds, or the deadline is missed. */
#define AWAIT(condition)                                                                           \
  do {                                                                                             \
    int64_t late = shmx_clock_now() + DEADLINE * SHMX_SECOND;                                      \
    while (!(condition) && shmx_clock_now() < late)                                                \
      usleep(500);                                                                                 \
    assert_true(condition);                                                                        \
  } while (0)

/* ---- killed, or held, on the way ---- */

static void open_three(int argument) {
  (void)argument;
  shmx_semaphores set;
  EXPECT(open_set(&set, COUNT) == 0);
}

/* Has the set been created, and not been given values? */
static bool is_bare(void) {
  int id = semget(sysv_name(1).key, 0, 0);
  return id >= 0 && semctl(id, 0, GETPID) == 0;
}

/* Opens after a death, and removes the set; returns how long it took to open. */
static int64_t open_after(void) {
  shmx_semaphores set;
  uint16_t values[COUNT];
  int64_t started = shmx_clock_now();
  assert_int_equal(open_set(&set, COUNT), 0);
  int64_t lasted = shmx_clock_now() - started;
  assert_int_equal(set.count, COUNT);
  assert_int_equal(shmx_semaphores_values(&set, values), 0);
  assert_memory_equal(values, first_values, sizeof values);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
  return lasted;
}

static void keep_least(int64_t *least, int64_t value) {
  if (value < *least) *least = value;
}

/* Of the times the least counts: the machine may have been busy with something else. */
static void test_a_killed_creator_costs_a_second_and_no_values(void **state) {
  (void)state;
  int points = 0, bare = 0;
  int64_t quickest = INT64_MAX, quickest_bare = INT64_MAX;
  for (bool killed = true; killed && points < MOST_POINTS;) {
    killed = kill_at(open_three, 0, ++points);
    bool was_bare = is_bare();
    assert_true(killed || !was_bare); /* who has done it has done it */
    keep_least(was_bare ? &quickest_bare : &quickest, open_after());
    bare += was_bare;
  }
  print_message("  killed at %d points, at %d of them without values\n", points, bare);
  assert_in_range(points, LEAST_POINTS, MOST_POINTS);
  assert_in_range(bare, 1, 4);
  assert_true(quickest < SHMX_SECOND / 2);
  assert_true(quickest_bare >= SHMX_SECOND && quickest_bare < 2 * SHMX_SECOND);
}

/* Steps to where the child is about to make this call, with this in an argument. */
static void step_to(pid_t child, uint64_t number, int argument, uint64_t bits) {
  struct __ptrace_syscall_info info = {0};
  do {
    assert_true(step(child));
    assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, child, (void *)sizeof info, &info) > 0);
  } while (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != number ||
           (info.entry.args[argument] & bits) != bits);
}

static void finish(pid_t child) {
  while (step(child)) {
  }
  kill_traced(child);
}

static void open_one(int argument) {
  (void)argument;
  shmx_semaphores set;
  EXPECT(open_set(&set, 1) == 0);
}

static void test_a_creator_who_was_taken_for_dead_gives_no_values_any_more(void **state) {
  (void)state;
  shmx_semaphores set;
  pid_t creator = start_traced(open_one, 0);
  step_to(creator, SYS_semget, 2, IPC_CREAT);
  assert_true(step(creator)); /* now the set is there */
  assert_int_equal(open_set(&set, 1), 0);
  assert_int_equal(operate(&set, 0, -1, 0), 0);
  finish(creator);
  assert_int_equal(value_of(&set, 0), 0);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

static atomic_int *winners; /* shared with children */

static void open_and_acquire(int argument) {
  (void)argument;
  shmx_semaphores set;
  EXPECT(open_set(&set, 1) == 0);
  int status = operate(&set, 0, -1, 0);
  EXPECT(status == 0 || status == -ETIMEDOUT);
  if (status == 0) atomic_fetch_add(winners, 1);
}

static bool has_open(pid_t child, const char *wanted) {
  char folder[64], path[320], target[64];
  snprintf(folder, sizeof folder, "/proc/%d/fd", (int)child);
  DIR *directory = opendir(folder);
  bool found = false;
  for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) continue;
    target[length] = '\0';
    found |= strcmp(target, wanted) == 0;
  }
  if (directory != NULL) closedir(directory);
  return found;
}

static bool has_ended(pid_t child) {
  siginfo_t info = {0};
  assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
  return info.si_pid == child;
}

/* One is held when it is about to give values, for as long as the other needs to come as far. */
static void test_two_who_find_no_values_do_not_both_give_them(void **state) {
  (void)state;
  shmx_semaphores set;
  atomic_store(winners, 0);
  create_bare(1);
  pid_t one = start_traced(open_and_acquire, 0);
  step_to(one, SYS_semctl, 2, SETALL);
  pid_t other = start_child(open_and_acquire, 0);
  AWAIT(has_ended(other) || has_open(other, DIRECTORY));
  finish(one);
  assert_int_equal(wait_for(other), 0);
  assert_int_equal(atomic_load(winners), 1);
  assert_int_equal(open_set(&set, 1), 0);
  assert_int_equal(value_of(&set, 0), 0);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

static void test_who_is_killed_giving_the_missing_values_leaves_that_to_others(void **state) {
  (void)state;
  create_bare(COUNT);
  pid_t taker = start_traced(open_three, 0);
  step_to(taker, SYS_semctl, 2, SETALL);
  kill_traced(taker);
  assert_true(is_bare());
  assert_true(open_after() >= SHMX_SECOND);
}

/* Nobody waits for ever for one that is stopped. */
static void test_who_is_stopped_giving_the_missing_values_is_not_waited_for(void **state) {
  (void)state;
  shmx_semaphores set;
  create_bare(1);
  pid_t taker = start_traced(open_one, 0);
  step_to(taker, SYS_semctl, 2, SETALL);
  assert_int_equal(open_set(&set, 1), 0);
  assert_int_equal(value_of(&set, 0), 1);
  kill_traced(taker);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

static void test_what_is_removed_while_it_is_opened_is_created_anew(void **state) {
  (void)state;
  shmx_semaphores set;
  create_bare(1);
  pid_t opener = start_traced(open_one, 0);
  step_to(opener, SYS_semctl, 2, GETPID);
  assert_int_equal(remove_semaphores(), 1);
  finish(opener);
  assert_int_equal(shmx_semaphores_open(&set, sysv_name(1), 0, NULL), 0);
  assert_int_equal(value_of(&set, 0), 1);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

static void test_what_is_created_while_it_is_created_is_opened(void **state) {
  (void)state;
  shmx_semaphores set;
  pid_t opener = start_traced(open_one, 0);
  step_to(opener, SYS_semget, 2, IPC_CREAT);
  assert_int_equal(open_set(&set, 1), 0);
  assert_int_equal(operate(&set, 0, 6, 0), 0);
  finish(opener);
  assert_int_equal(value_of(&set, 0), 7);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

/* ---- operations ---- */

static void handle(int number) {
  (void)number;
}

static void wait_for_a_signal(int argument) {
  (void)argument;
  shmx_semaphores set;
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
  EXPECT(open_set(&set, 1) == 0);
  sigaction(SIGUSR1, &action, NULL);
  EXPECT(operate(&set, 0, -2, SHMX_FOREVER) == -EINTR);
  EXPECT(operate(&set, 0, 0, shmx_clock_deadline(DEADLINE)) == -EINTR);
  EXPECT(operate(&set, 0, -1, 0) == 0); /* nothing was done by those */
}

static shmx_semaphores_users users_of(const shmx_semaphores *set) {
  shmx_semaphores_users users = {0};
  assert_int_equal(shmx_semaphores_get_users(set, 0, &users), 0);
  return users;
}

static void test_a_signal_ends_a_wait(void **state) {
  (void)state;
  shmx_semaphores set;
  assert_int_equal(open_set(&set, 1), 0);
  pid_t child = start_child(wait_for_a_signal, 0);
  AWAIT(users_of(&set).ncnt == 1 || has_ended(child));
  kill(child, SIGUSR1);
  AWAIT(users_of(&set).zcnt == 1 || has_ended(child));
  kill(child, SIGUSR1);
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(users_of(&set).pid, child);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

static void test_a_deadline_that_has_passed_tries_once(void **state) {
  (void)state;
  shmx_semaphores set;
  assert_int_equal(open_set(&set, 1), 0);
  assert_int_equal(operate(&set, 0, -1, INT64_MIN + 1), 0);
  assert_int_equal(operate(&set, 0, -1, INT64_MIN + 1), -ETIMEDOUT);
  assert_int_equal(operate(&set, 0, -1, shmx_clock_deadline(0.01)), -ETIMEDOUT);
  assert_int_equal(operate(&set, 0, 0, SHMX_FOREVER), 0);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

static void test_a_handle_may_be_copied(void **state) {
  (void)state;
  shmx_semaphores set, copy;
  shmx_semaphores_stat stat;
  assert_int_equal(open_set(&set, COUNT), 0);
  copy = set;
  assert_int_equal(shmx_semaphores_set(&copy, 2, 32767), 0);
  assert_int_equal(value_of(&set, 2), 32767);
  assert_int_equal(shmx_semaphores_get_stat(&set, &stat), 0);
  assert_int_equal(stat.count, COUNT);
  assert_int_equal(stat.key, sysv_name(1).key);
  assert_true(stat.otime != 0); /* what C programs wait for */
  assert_int_equal(shmx_semaphores_remove(&copy), 0);
  assert_int_equal(shmx_semaphores_remove(&set), -EIDRM);
}

/* Identifiers are used again at last: the handle is then of another set, of another size. */
static void test_a_set_of_another_size_is_another_set(void **state) {
  (void)state;
  shmx_semaphores set, smaller, larger;
  uint16_t values[COUNT + 1] = {7, 7, 7, 7};
  assert_int_equal(open_set(&set, COUNT), 0);
  smaller = larger = set;
  smaller.count = 1;
  larger.count = COUNT + 1;
  assert_int_equal(shmx_semaphores_values(&smaller, values), -EIDRM);
  assert_int_equal(shmx_semaphores_values(&larger, values), -EIDRM);
  assert_int_equal(values[1], 7);
  assert_int_equal(operate(&larger, COUNT, 1, 0), -EIDRM);
  assert_int_equal(shmx_semaphores_value(&larger, COUNT, &(int){0}), -EIDRM);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

/* ---- refused ---- */

static void test_a_closed_handle_is_refused(void **state) {
  (void)state;
  shmx_semaphores closed = {0};
  shmx_semaphores_stat stat;
  shmx_semaphores_users users;
  uint16_t values[1];
  int value;
  assert_int_equal(operate(&closed, 0, 1, 0), -EBADF);
  assert_int_equal(shmx_semaphores_value(&closed, 0, &value), -EBADF);
  assert_int_equal(shmx_semaphores_values(&closed, values), -EBADF);
  assert_int_equal(shmx_semaphores_set(&closed, 0, 1), -EBADF);
  assert_int_equal(shmx_semaphores_get_stat(&closed, &stat), -EBADF);
  assert_int_equal(shmx_semaphores_get_users(&closed, 0, &users), -EBADF);
  assert_int_equal(shmx_semaphores_remove(&closed), -EBADF);
}

static int open_with(shmx_name name, int count, shmx_semaphores_options options) {
  shmx_semaphores set;
  return shmx_semaphores_open(&set, name, count, &options);
}

static void test_senseless_requests_are_refused(void **state) {
  (void)state;
  static const uint16_t too_high[COUNT] = {1, 2, 32768};
  shmx_semaphores_options none = {0}, high = {.value = 32768}, one_high = {.values = too_high},
                          mode = {.mode = 01000};
  assert_int_equal(open_with(shmx_posix("/x"), 1, none), -EINVAL);
  assert_int_equal(open_with(shmx_anonymous(), 1, none), -EINVAL);
  assert_int_equal(open_with(shmx_key(SHMX_PRIVATE), 0, none), -EINVAL);
  assert_int_equal(open_with(shmx_id(-2), 1, none), -EINVAL);
  assert_int_equal(open_with(shmx_id(INT_MAX), 0, none), -ENOENT);
  assert_int_equal(open_with(sysv_name(1), 0, none), -ENOENT);
  assert_int_equal(open_with(sysv_name(1), -1, none), -EINVAL);
  assert_int_equal(open_with(sysv_name(1), SHMX_SEMAPHORES_MOST + 1, none), -EINVAL);
  assert_int_equal(open_with(sysv_name(1), 1, high), -EINVAL);
  assert_int_equal(open_with(sysv_name(1), COUNT, one_high), -EINVAL);
  assert_int_equal(open_with(sysv_name(1), 1, mode), -EINVAL);
}

static void test_what_is_not_in_the_set_is_refused(void **state) {
  (void)state;
  shmx_semaphores set;
  shmx_semaphores_users users;
  shmx_semaphores_step steps[501] = {{0, 1, 0}, {COUNT, 1, 0}};
  int value;
  assert_int_equal(open_set(&set, COUNT), 0);
  for (int i = 0; i < 2; i++) {
    int index = i == 0 ? COUNT : -1;
    assert_int_equal(shmx_semaphores_value(&set, index, &value), -EINVAL);
    assert_int_equal(shmx_semaphores_set(&set, index, 1), -EINVAL);
    assert_int_equal(shmx_semaphores_get_users(&set, index, &users), -EINVAL);
  }
  assert_int_equal(shmx_semaphores_set(&set, 0, -1), -ERANGE);
  assert_int_equal(shmx_semaphores_set(&set, 0, 32768), -ERANGE);
  assert_int_equal(shmx_semaphores_operate(&set, steps, 2, 0), -EINVAL);
  assert_int_equal(shmx_semaphores_operate(&set, steps, 0, 0), -EINVAL);
  assert_int_equal(shmx_semaphores_operate(&set, steps, (size_t)1 << 32 | 1, 0), -E2BIG);
  steps[1].index = 0;
  assert_int_equal(shmx_semaphores_operate(&set, steps, 501, 0), -E2BIG);
  assert_int_equal(value_of(&set, 0), 1);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

/* Those who are held here hold a lock that is one for all sets: such tests run one at a time. */
static int begin_shared(void **state) {
  int folder = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 || flock(folder, LOCK_EX) != 0) return -1;
  winners = mmap(NULL, sizeof *winners, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return winners != MAP_FAILED ? begin(state) : -1;
}

#define TEST(test) cmocka_unit_test_teardown(test, nothing_left)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_a_killed_creator_costs_a_second_and_no_values),
      TEST(test_a_creator_who_was_taken_for_dead_gives_no_values_any_more),
      TEST(test_two_who_find_no_values_do_not_both_give_them),
      TEST(test_who_is_killed_giving_the_missing_values_leaves_that_to_others),
      TEST(test_who_is_stopped_giving_the_missing_values_is_not_waited_for),
      TEST(test_what_is_removed_while_it_is_opened_is_created_anew),
      TEST(test_what_is_created_while_it_is_created_is_opened),
      TEST(test_a_signal_ends_a_wait),
      TEST(test_a_deadline_that_has_passed_tries_once),
      TEST(test_a_handle_may_be_copied),
      TEST(test_a_set_of_another_size_is_another_set),
      TEST(test_a_closed_handle_is_refused),
      TEST(test_senseless_requests_are_refused),
      TEST(test_what_is_not_in_the_set_is_refused),
  };
  return cmocka_run_group_tests(tests, begin_shared, nothing_left);
}
