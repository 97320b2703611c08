/*
 * scribble_test.c shows that a peer who writes into an arena whatever and wherever he likes, as
 * fast as he can, may spoil what is in it, and nothing else: who works with it meanwhile gets
 * errors in time. SHM_SEED=n repeats a run, as far as schedulers do; SHM_SCRIBBLE=seconds makes it
 * longer.
 */
#include "support.h"

#include "arena_scene.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

enum { WORKERS = 3, SIZE = 70000, TIMEOUT = 50 * 1000 * 1000 };

/* What all processes of a run share. */
static struct control {
  _Atomic bool done;
  _Atomic uint64_t operations, successes, writes;
  _Atomic uint64_t tasks[WORKERS];
} * control;

static struct scene scene;
static struct toys all;
static uint64_t seed;

/* ---- chance: Marsaglia's xorshift64* ---- */

static uint64_t chance(void) {
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned below(unsigned limit) {
  return (unsigned)(chance() >> 33) % limit;
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

/* ---- the peer ---- */

static uint64_t lie(void) {
  static uint64_t values[WORKERS][VALUES];
  unsigned worker = below(WORKERS), which = below(VALUES + 4);
  if (which >= VALUES) return chance();
  if (values[worker][which] == 0)
    values[worker][which] = hostile_value(scene.sizes, control->tasks[worker], which);
  return values[worker][which];
}

/* A word that changes all the time, for some microseconds. */
static void hammer(unsigned char *at) {
  uint32_t *word = (uint32_t *)(void *)at;
  for (unsigned i = below(20000); i > 0; i--)
    __atomic_fetch_add(word, 1, __ATOMIC_RELAXED);
}

static void scribble_once(void) {
  size_t place = hostile_place(&scene, below(8), below(65536)), width = (size_t)1 << below(4);
  size_t room = scene.size - place;
  uint64_t value = lie();
  unsigned char *at = scene.memory + place;
  memcpy(at, &value, width < room ? width : room);
  unsigned rare = below(2000);
  at = scene.memory + place % (scene.size - 8) / 8 * 8;
  if (rare == 0) hammer(at);
  if (rare == 1) syscall(SYS_futex, at, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Between times all is well again, or nobody would come far. */
static void scribble(int unused) {
  (void)unused;
  while (!control->done) {
    unsigned count = below(1U << below(16));
    scene_reset(&scene);
    for (unsigned i = 0; i < count; i++)
      scribble_once();
    control->writes += count;
    pid_t worker = (pid_t)(control->tasks[below(WORKERS)] & UINT32_MAX);
    if (worker != 0 && below(8) == 0) kill(worker, SIGUSR1);
  }
  scene_reset(&scene);
}

/* ---- who works meanwhile ---- */

static void ignore(int signal) {
  (void)signal;
}

static int work_once(void) {
  unsigned which = below(OPERATIONS);
  if (which == CLOSE && below(4) != 0) which = OPEN; /* it is closed seldom */
  return toys_run(&all, which, below(2) ? TIMEOUT : 0, below(256));
}

/* The child has its parent's handles, and makes them its own. */
static void work_in_child(void) {
  pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    alarm(DEADLINE);
    for (int i = 0; i < 8 && !control->done; i++)
      work_once();
    toys_run(&all, CLOSE, 0, 0);
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) < 0)
    EXPECT(errno == EINTR);
  EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void work(int number) {
  struct sigaction interrupted = {.sa_handler = ignore};
  sigaction(SIGUSR1, &interrupted, NULL);
  seed += (uint64_t)number * 0x9e3779b97f4a7c15;
  toys_begin(&all, posix_name(0), guarded_address((unsigned)number, scene.length));
  control->tasks[number] = shmx_self()->task;
  while (!control->done) {
    int status = work_once();
    control->operations++;
    control->successes += status == 0;
    if (below(100) == 0) work_in_child();
  }
  toys_run(&all, CLOSE, 0, 0);
}

static void expect_end(pid_t child, const char *who) {
  int status = wait_for(child);
  if (WIFSIGNALED(status)) fail_msg("%s died of %s", who, strsignal(WTERMSIG(status)));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void sleep_for(double seconds) {
  int64_t deadline = shmx_clock_deadline(seconds);
  uint32_t never = 0;
  while (shmx_atomic_wait(&never, 0, deadline) != -ETIMEDOUT) {
  }
}

static void test_a_scribbling_peer_harms_nobody(void **state) {
  (void)state;
  pid_t workers[WORKERS];
  seed = number_from("SHM_SEED", (uint64_t)shmx_clock_now() | 1);
  print_message("  SHM_SEED=%llu\n", (unsigned long long)seed);
  scene_begin(&scene, posix_name(0).posix, SIZE);
  for (int number = 0; number < WORKERS; number++)
    workers[number] = start_child(work, number);
  pid_t peer = start_child(scribble, 0);
  sleep_for(getenv("SHM_SCRIBBLE") != NULL ? strtod(getenv("SHM_SCRIBBLE"), NULL) : 1.5);
  control->done = true;
  expect_end(peer, "the peer");
  for (int number = 0; number < WORKERS; number++)
    expect_end(workers[number], "a worker");
  print_message("  %llu writes, %llu operations, %llu of them well\n",
                (unsigned long long)control->writes, (unsigned long long)control->operations,
                (unsigned long long)control->successes);
  assert_true(control->successes > 0 && control->successes < control->operations);
  expect_nothing_behind(&scene);
  scene_end(&scene);
}

/* ---- one word that never stands still ---- */

static _Atomic bool resting;

static void *count_on(void *word) {
  while (!resting)
    __atomic_fetch_add((uint32_t *)word, 1, __ATOMIC_RELAXED);
  return NULL;
}

/* With all places taken by one who lives, and is no sleeper of ours. */
static void take_all_places(int toy) {
  for (size_t at = 64; at < scene.toy_sizes[toy]; at += 8)
    memcpy(scene.memory + scene.toys[toy] + at, &(uint64_t){1}, 8);
}

static void work_with_counting_word(int toy, size_t offset) {
  pthread_t thread;
  for (unsigned which = ARRAY_USE; which < LIST; which++) { /* those with a timeout */
    scene_reset(&scene);
    EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
    EXPECT(toys_run(&all, FIND, 0, (unsigned)toy) == 0);
    take_all_places(toy);
    resting = false;
    EXPECT(pthread_create(&thread, NULL, count_on, scene.memory + scene.toys[toy] + offset) == 0);
    toys_run(&all, which, TIMEOUT / 5, 2);
    resting = true;
    EXPECT(pthread_join(thread, NULL) == 0);
    toys_run(&all, CLOSE, 0, 0);
  }
}

static void work_with_counting_words(int toy) {
  scene_begin(&scene, posix_name(toy).posix, SIZE);
  toys_begin(&all, posix_name(toy), guarded_address(0, scene.length));
  for (size_t offset = 0; offset < 72 && offset < scene.toy_sizes[toy]; offset += 4)
    if (offset < 32 || offset >= 64) work_with_counting_word(toy, offset);
  scene_end(&scene);
}

static void test_a_word_that_never_stands_still_keeps_nobody(void **state) {
  (void)state;
  pid_t children[TOYS];
  for (int toy = MUTEX; toy <= BARRIER; toy++)
    children[toy] = start_child(work_with_counting_words, toy);
  for (int toy = MUTEX; toy <= BARRIER; toy++)
    expect_end(children[toy], "who worked with it");
}

/* ---- one field that is now this, now that ---- */

static struct {
  size_t place;
  uint64_t values[2];
} flip;

static void *flip_on(void *unused) {
  (void)unused;
  while (!resting)
    for (int i = 0; i < 2; i++)
      __atomic_store_n((uint64_t *)(void *)(scene.memory + flip.place), flip.values[i],
                       __ATOMIC_RELAXED);
  return NULL;
}

/* What is checked and what is used must have been read at once: else some round shows it. */
static void work_with_flipping_word(unsigned first, unsigned last) {
  pthread_t thread;
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  resting = false;
  EXPECT(pthread_create(&thread, NULL, flip_on, NULL) == 0);
  int64_t deadline = shmx_clock_deadline(0.1);
  while (shmx_clock_now() < deadline) {
    toys_run(&all, FIND, 0, SEMAPHORE);
    for (unsigned which = first; which <= last; which++)
      toys_run(&all, which, 0, LISTED);
    toys_run(&all, CLOSE_OBJECT, 0, SEMAPHORE);
  }
  resting = true;
  EXPECT(pthread_join(thread, NULL) == 0);
  toys_run(&all, CLOSE, 0, 0);
}

/* What no object can have, and what it has. */
static void flip_entry(size_t field) {
  const uint64_t values[] = {0, UINT64_MAX - 63, scene.size / 64 * 64};
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
    scene_reset(&scene);
    flip.place = AT_ENTRIES + SEMAPHORE * ENTRY_SIZE + field;
    memcpy(&flip.values[0], scene.memory + flip.place, 8);
    flip.values[1] = values[i];
    work_with_flipping_word(LIST, STAT);
  }
}

/* One permit that is free and taken at once, the others are taken; behind the last is nothing. */
static void flip_permit(void) {
  size_t at = scene.toys[SEMAPHORE] + 64, end = at + PERMITS * 8;
  scene_reset(&scene);
  for (size_t place = at; place < end; place += 8)
    memcpy(scene.memory + place, &(uint64_t){1}, 8);
  flip.place = end - 8;
  flip.values[1] = 1;
  work_with_flipping_word(ACQUIRE, RELEASE);
  EXPECT(all_are(scene.memory + end, 0, scene.toys[CONDITION] - end));
}

enum { PERMIT, STATE, OFFSET, LENGTH, FLIPS };

static void work_with_flipping_words(int which) {
  static const size_t fields[FLIPS] = {[STATE] = 0, [OFFSET] = 16, [LENGTH] = 24};
  scene_begin(&scene, posix_name(which).posix, SIZE);
  toys_begin(&all, posix_name(which), guarded_address(0, scene.length));
  if (which == PERMIT)
    flip_permit();
  else
    flip_entry(fields[which]);
  scene_end(&scene);
}

static void test_a_field_that_is_now_this_now_that_is_read_once(void **state) {
  (void)state;
  pid_t children[FLIPS];
  for (int which = 0; which < FLIPS; which++)
    children[which] = start_child(work_with_flipping_words, which);
  for (int which = 0; which < FLIPS; which++)
    expect_end(children[which], "who worked with it");
}

static int begin_run(void **state) {
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return control != MAP_FAILED ? begin(state) : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_nobody, nothing_left),
      cmocka_unit_test_teardown(test_a_word_that_never_stands_still_keeps_nobody, nothing_left),
      cmocka_unit_test_teardown(test_a_field_that_is_now_this_now_that_is_read_once, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin_run, nothing_left);
}
