/* world.c: stand-ins for the functions of core/os that take time. */
#include "world.h"

#include "os/clock.h"
#include "os/futex.h"
#include "os/process.h"
#include "os/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CALLS = 5000000 };

/* A look at the clock takes as long: far too long, so that a loop soon comes to its deadline. */
#define LOOK INT64_C(500000)

struct world world = {.limit = INT64_MAX};

int64_t __real_shmx_clock_now(void);
int64_t __real_shmx_boottime(void);
uint64_t __real_shmx_random(void);
int __real_shmx_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline);
int __real_shmx_futex_wake(const uint32_t *word, int count, int *woken);
bool __real_shmx_task_lives(shmx_task task);
bool __real_shmx_process_lives(shmx_task process);

int64_t __wrap_shmx_clock_now(void);
int64_t __wrap_shmx_boottime(void);
uint64_t __wrap_shmx_random(void);
int __wrap_shmx_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline);
int __wrap_shmx_futex_wake(const uint32_t *word, int count, int *woken);
bool __wrap_shmx_task_lives(shmx_task task);
bool __wrap_shmx_process_lives(shmx_task process);

static enum peer call(void) {
  world.calls++;
  if (world.now > world.limit || world.calls > MOST_CALLS) {
    fprintf(stderr, "no end after %llu calls\n", (unsigned long long)world.calls);
    abort();
  }
  return world.peer != NULL ? world.peer() : LETS_SLEEP;
}

int64_t __wrap_shmx_clock_now(void) {
  if (!world.on) return __real_shmx_clock_now();
  call();
  return world.now += LOOK;
}

/* Looked at for each entry that may have expired: it moves with the other. */
int64_t __wrap_shmx_boottime(void) {
  if (!world.on) return __real_shmx_boottime();
  call();
  return world.now;
}

uint64_t __wrap_shmx_random(void) {
  return world.on ? 4 : __real_shmx_random();
}

/* Nobody comes while it sleeps but the peer. */
int __wrap_shmx_futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline) {
  if (!world.on) return __real_shmx_futex_wait(word, expected, deadline);
  call();
  if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != expected) return -EAGAIN;
  enum peer peer = call();
  if (peer == SIGNALS) return -EINTR;
  if (peer == WAKES) return 0;
  if (deadline > world.now) world.now = deadline;
  return -ETIMEDOUT;
}

int __wrap_shmx_futex_wake(const uint32_t *word, int count, int *woken) {
  if (!world.on) return __real_shmx_futex_wake(word, count, woken);
  *woken = call() == WAKES && count > 0;
  return 0;
}

/* ---- who lives: asked of the system once ---- */

enum { ANSWERS = 64 };

static struct answer {
  shmx_task task;
  bool lives;
} answers[2][ANSWERS];

void world_begin(enum peer (*peer)(void)) {
  memset(answers, 0, sizeof answers);
  world = (struct world){.on = true, .now = SHMX_SECOND, .limit = INT64_MAX, .peer = peer};
}

static bool ask(shmx_task task, bool whole) {
  struct answer *answer = &answers[whole][task % ANSWERS];
  call();
  if (answer->task == task) return answer->lives;
  answer->lives = whole ? __real_shmx_process_lives(task) : __real_shmx_task_lives(task);
  answer->task = task;
  return answer->lives;
}

bool __wrap_shmx_task_lives(shmx_task task) {
  return world.on ? ask(task, false) : __real_shmx_task_lives(task);
}

bool __wrap_shmx_process_lives(shmx_task process) {
  return world.on ? ask(process, true) : __real_shmx_process_lives(process);
}
