/*
 * scribble.h: a peer who writes into memory whatever and wherever he likes, as fast as he can, and
 * those who work with it meanwhile. SHM_SEED=n repeats a run, as far as schedulers do;
 * SHM_SCRIBBLE=seconds makes it longer. Who includes this has a scene and toys, and defines the
 * functions that come first here.
 */
#ifndef SPEC_CORE_SCRIBBLE_H
#define SPEC_CORE_SCRIBBLE_H

#include "support.h"

#include "hostile.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>

enum { WORKERS = 3, TIMEOUT = 50 * 1000 * 1000 };

static struct scene scene;
static struct toys all;

/* The toys of a worker, closed. */
static void begin_toys(unsigned number);

/* Does one thing, whatever. */
static int work_once(void);

/* What all processes of a run share. */
static struct control {
  _Atomic bool done;
  _Atomic uint64_t operations, successes, writes;
  _Atomic uint64_t tasks[WORKERS];
} * control;

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

/* The child has its parent's handles, and makes them its own. */
static void work_in_child(void) {
  pid_t child = fork();
  EXPECT(child >= 0);
  if (child == 0) {
    alarm(DEADLINE);
    for (int i = 0; i < 8 && !control->done; i++)
      work_once();
    toys_end(&all);
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
  begin_toys((unsigned)number);
  control->tasks[number] = shmx_self()->task;
  while (!control->done) {
    int status = work_once();
    control->operations++;
    control->successes += status == 0;
    if (below(100) == 0) work_in_child();
  }
  toys_end(&all);
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

/* For so many seconds, in a scene that was begun. */
static void scribble_under_workers(double seconds) {
  pid_t workers[WORKERS];
  const char *longer = getenv("SHM_SCRIBBLE");
  memset(control, 0, sizeof *control);
  toy_slack = DEADLINE / 2 * SHMX_SECOND;
  seed = number_from("SHM_SEED", (uint64_t)shmx_clock_now() | 1);
  print_message("  SHM_SEED=%llu\n", (unsigned long long)seed);
  for (int number = 0; number < WORKERS; number++)
    workers[number] = start_child(work, number);
  pid_t peer = start_child(scribble, 0);
  sleep_for(longer != NULL ? strtod(longer, NULL) : seconds);
  control->done = true;
  expect_end(peer, "the peer");
  for (int number = 0; number < WORKERS; number++)
    expect_end(workers[number], "a worker");
  print_message("  %llu writes, %llu operations, %llu of them well\n",
                (unsigned long long)control->writes, (unsigned long long)control->operations,
                (unsigned long long)control->successes);
  assert_true(control->successes > 0 && control->successes < control->operations);
  expect_nothing_behind(&scene);
}

static int begin_run(void **state) {
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return control != MAP_FAILED ? begin(state) : -1;
}

#endif
