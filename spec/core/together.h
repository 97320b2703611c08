/*
 * together.h: what tests of several threads and processes share: memory that all of them see, the
 * stage they have reached, ways to end, and watching how long a call takes.
 */
#ifndef SPEC_CORE_TOGETHER_H
#define SPEC_CORE_TOGETHER_H

#include "support.h"

#include "sync/lock.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

/* What all processes of a test see, all zero at its start. */
struct ground {
  _Atomic int stage;        /* how far they have come */
  _Atomic int inside;       /* who is in a critical section */
  volatile long one, other; /* plain, and equal outside of critical sections */
  _Alignas(64) unsigned char memory[8192], second[64];
};

static struct ground *ground;

static inline int begin_ground(void **state) {
  (void)state;
  ground = mmap(NULL, sizeof *ground, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return ground == MAP_FAILED ? -1 : 0;
}

static inline int end_ground(void **state) {
  munmap(ground, sizeof *ground);
  return nothing_left(state);
}

/* For arenas on the stack: one whose test has failed stays listed, and fork may then loop. */
static inline int begin_bounded(void **state) {
  struct rlimit seconds = {30, 30};
  setrlimit(RLIMIT_CPU, &seconds);
  alarm(DEADLINE);
  return begin(state);
}

#define TOGETHER(test)                                                                             \
  { #test, test, begin_ground, end_ground, NULL }

/* ---- time ---- */

#define MS (SHMX_SECOND / 1000)

/* The deadline that lies so many milliseconds ahead. */
static inline int64_t in_ms(int64_t milliseconds) {
  return shmx_clock_now() + milliseconds * MS;
}

/* Looks once a millisecond until it is so; false after ten seconds. */
#define UNTIL(condition)                                                                           \
  __extension__({                                                                                  \
    int64_t until_ = in_ms(10000);                                                                 \
    bool so_;                                                                                      \
    while (!(so_ = (condition)) && shmx_clock_now() < until_)                                      \
      nanosleep(&(struct timespec){0, MS}, NULL);                                                  \
    so_;                                                                                           \
  })

/* How many milliseconds since. */
static inline int64_t ms_since(int64_t start) {
  return (shmx_clock_now() - start) / MS;
}

/* Milliseconds that anybody may wait for the dead: a second; among all the tests, on a machine that
 * is busy with others, more. */
static inline int64_t longest_wait(void) {
  return getenv("SHM_STEP") != NULL || getenv("SHM_KILLS") != NULL ? 1000 : 10000;
}

static inline bool in_time(int64_t start) {
  return ms_since(start) < longest_wait();
}

static inline int by_value(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

/* What a busy machine delays once, it does not delay most of the times. */
enum { ROUNDS = 5, PROMPT = 40 /* milliseconds; nobody looks again before 100 */ };

static inline int64_t median(int64_t values[ROUNDS]) {
  qsort(values, ROUNDS, sizeof *values, by_value);
  return values[ROUNDS / 2];
}

/* ---- threads and processes ---- */

static inline void *call_it(void *call) {
  return (void *)(intptr_t)((int (*)(void)) * (void **)call)();
}

/* What this returns in another thread, which has ended. */
static inline int in_thread(int (*call)(void)) {
  pthread_t thread;
  void *result, *pointer = (void *)call;
  assert_int_equal(pthread_create(&thread, NULL, call_it, &pointer), 0);
  assert_int_equal(pthread_join(thread, &result), 0);
  return (int)(intptr_t)result;
}

static inline pthread_t start_thread(void *(*body)(void *), void *argument) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, body, argument) != 0) abort();
  return thread;
}

static inline void stay(int stage) {
  ground->stage = stage;
  for (;;)
    pause();
}

static inline void end_child(pid_t child) {
  kill(child, SIGKILL);
  wait_for(child);
}

/* Does this thread or process sleep in the kernel? */
static inline bool is_asleep(pid_t number) {
  char path[32], text[512] = "";
  snprintf(path, sizeof path, "/proc/%d/stat", (int)number);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t length = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
  if (fd >= 0) close(fd);
  const char *name_end = length > 0 ? strrchr(text, ')') : NULL;
  return name_end != NULL && name_end[2] == 'S';
}

static inline bool is_zombie(pid_t number) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)number, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

/* ---- ways to end while one holds something ---- */

enum way { KILLED, EXITED, ZOMBIE, THREAD, WAYS };

static const char *const way_names[] = {"killed", "exited", "a zombie", "a thread that ended"};

static inline void *call_body(void *body) {
  (*(void (**)(int))body)(0);
  return NULL;
}

/* Runs `body` in a thread or process that then ends in this way. What is still to be reaped, or 0.
 */
static void (*ending_body)(int);

static inline void run_then_stay(int stage) {
  ending_body(0);
  stay(stage);
}

static inline pid_t end_holding(enum way way, void (*body)(int)) {
  void *pointer = (void *)body;
  if (way == THREAD) {
    pthread_join(start_thread(call_body, &pointer), NULL);
    return 0;
  }
  int stage = ground->stage + 1;
  ending_body = body;
  pid_t child = way == EXITED ? start_child(body, 0) : start_child(run_then_stay, stage);
  if (way != EXITED) assert_true(UNTIL(ground->stage == stage));
  if (way != EXITED) kill(child, SIGKILL);
  if (way == ZOMBIE) {
    assert_true(UNTIL(is_zombie(child)));
    return child;
  }
  int status = wait_for(child);
  assert_true(way == KILLED ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return 0;
}

static inline void reap(pid_t child) {
  if (child != 0) wait_for(child);
}

/* ---- signals ---- */

static inline void on_alarm(int number) {
  (void)number;
}

/* From now on a signal comes every so many milliseconds, and interrupts; 0 ends that. */
static inline void interrupt_every(int milliseconds) {
  struct sigaction action = {.sa_handler = milliseconds != 0 ? on_alarm : SIG_DFL};
  struct itimerval timer = {{0, milliseconds * 1000}, {0, milliseconds * 1000}};
  if (milliseconds != 0) sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &timer, NULL);
  if (milliseconds == 0) sigaction(SIGALRM, &action, NULL);
}

/* ---- names in the memory ---- */

/* The name of a living thread, as it stands in a lock. */
static inline shmx_task own_task(void) {
  return shmx_self()->task;
}

/* The same number, of a thread that started at another time. */
static inline shmx_task namesake(shmx_task task) {
  return task ^ UINT64_C(1) << 40;
}

#endif
