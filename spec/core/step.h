/*
 * step.h: kills a process at every instruction of something that it does, or stops it there, and
 * lets others go on. ptrace(2) steps; so that the way to a late instruction is short, it begins at
 * the last one before it that ran for the first time, where a breakpoint can be.
 *
 * SHM_STEP=n in the environment: at each n-th instruction; 1 is each. Without it at a hundred, from
 * SHM_SEED on, and always on both sides of a change: an instruction that changes what a death
 * would leave behind (the shared memory, what is announced to the kernel, a system call).
 */
#ifndef SPEC_CORE_STEP_H
#define SPEC_CORE_STEP_H

#include "together.h"

#include <sys/ptrace.h>
#include <sys/user.h>

/* Something to die in. Each part runs anew for each point. */
struct deed {
  const char *name;
  void (*prepare)(void);   /* tester: what is there before; sets `watched` */
  void (*before)(void);    /* victim, unstepped */
  void (*deed)(void);      /* victim, stepped */
  void (*meanwhile)(void); /* tester, while the victim stands still: then it is not killed */
  void (*after)(void);     /* tester: all is as it must be, or CHECK fails */
  bool cold;               /* the victim is to look up who it is within the deed */
};

/* What the deed changes, for telling one point from the next. */
static struct {
  const unsigned char *data;
  size_t size;
} watched;

/* Where we are, for `after` and for messages. */
static struct {
  const char *name;
  pid_t victim;
  long at;
  bool done; /* the deed was done before the death */
} stepped;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      dprintf(STDERR_FILENO, "%s:%d: %s, %s after %ld instructions: not so: %s\n", __FILE__,       \
              __LINE__, stepped.name, stepped.done ? "done" : "ended", stepped.at, #condition);    \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

/* ---- a victim under our hands ---- */

static inline void be_victim(const struct deed *deed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(SKIP);
  if (deed->before != NULL) deed->before();
  if (!deed->cold) shmx_process_self();
  raise(SIGSTOP);
  deed->deed();
  raise(SIGSTOP);
  _exit(0);
}

/* Waits for its next stop: the signal, or 0 where it is at the end of the deed. */
static inline int next_stop(pid_t victim) {
  int status;
  CHECK(waitpid(victim, &status, __WALL) == victim);
  if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) exit(SKIP);
  CHECK(WIFSTOPPED(status));
  CHECK(WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTRAP);
  return WSTOPSIG(status) == SIGSTOP ? 0 : SIGTRAP;
}

static inline pid_t launch(const struct deed *deed) {
  fflush(stdout);
  pid_t victim = fork();
  if (victim == 0) be_victim(deed);
  stepped.victim = victim;
  next_stop(victim);
  CHECK(ptrace(PTRACE_SETOPTIONS, victim, NULL, (void *)PTRACE_O_EXITKILL) == 0);
  return victim;
}

/* One instruction; false where that was the last. */
static inline bool step(pid_t victim) {
  CHECK(ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL) == 0);
  return next_stop(victim) != 0;
}

#if defined(__x86_64__)
static inline uintptr_t where(pid_t victim) {
  struct user_regs_struct registers;
  CHECK(ptrace(PTRACE_GETREGS, victim, NULL, &registers) == 0);
  return registers.rip;
}

static inline bool is_system_call(pid_t victim, uintptr_t address) {
  errno = 0;
  return ((unsigned long)ptrace(PTRACE_PEEKTEXT, victim, (void *)address, NULL) & 0xffff) == 0x050f;
}

/* Runs to where this address comes for the first time; false where it has not come. */
static inline bool run_to(pid_t victim, uintptr_t address) {
  errno = 0;
  long text = ptrace(PTRACE_PEEKTEXT, victim, (void *)address, NULL);
  CHECK(errno == 0);
  CHECK(ptrace(PTRACE_POKETEXT, victim, (void *)address, (void *)((text & ~0xffL) | 0xcc)) == 0);
  CHECK(ptrace(PTRACE_CONT, victim, NULL, NULL) == 0);
  bool there = next_stop(victim) != 0;
  struct user_regs_struct registers;
  CHECK(ptrace(PTRACE_GETREGS, victim, NULL, &registers) == 0);
  registers.rip = address;
  CHECK(!there || ptrace(PTRACE_SETREGS, victim, NULL, &registers) == 0);
  CHECK(ptrace(PTRACE_POKETEXT, victim, (void *)address, (void *)text) == 0);
  return there;
}
#else
/* Elsewhere, all is stepped from the start. */
static inline uintptr_t where(pid_t victim) {
  (void)victim;
  return 0;
}

static inline bool is_system_call(pid_t victim, uintptr_t address) {
  (void)victim, (void)address;
  return false;
}

static inline bool run_to(pid_t victim, uintptr_t address) {
  (void)victim, (void)address;
  return true;
}
#endif

static inline void put_away(pid_t victim) {
  kill(victim, SIGKILL);
  int status;
  CHECK(waitpid(victim, &status, 0) == victim && WIFSIGNALED(status));
}

/* Lets it go on to the end of the deed. */
static inline void let_finish(pid_t victim) {
  CHECK(ptrace(PTRACE_CONT, victim, NULL, NULL) == 0);
  CHECK(next_stop(victim) == 0);
}

/* ---- the way of a deed ---- */

struct moment {
  uintptr_t address; /* of the instruction that is next */
  uint64_t left;     /* a hash of what a death here would leave */
  long base;         /* the last moment before, or this, whose address was new */
};

struct way_through {
  struct moment *moments; /* 0 to count, after so many instructions */
  long count, room;
  uintptr_t *seen; /* addresses: a hash table */
};

enum { SEEN = 1 << 16 };

static inline bool is_new(struct way_through *way, uintptr_t address) {
  size_t place = (address * 0x9e3779b97f4a7c15u) >> 48;
  while (way->seen[place] != 0 && way->seen[place] != address)
    place = (place + 1) % SEEN;
  bool found = way->seen[place] == address;
  way->seen[place] = address;
  return !found && address != 0;
}

static inline uint64_t what_is_left(pid_t victim, long calls) {
  const uint64_t *words = (const void *)watched.data;
  uint64_t hash = SHMX_HASH_START ^ (uint64_t)calls;
  for (size_t i = 0; i < watched.size / sizeof *words; i++)
    hash = (hash ^ words[i]) * UINT64_C(0x100000001b3), hash ^= hash >> 29;
  void *pending = &shmx_self()->robust->list_op_pending; /* fork has left it where it was */
  errno = 0;
  return hash ^ (uint64_t)ptrace(PTRACE_PEEKDATA, victim, pending, NULL) * 31;
}

static inline void note(struct way_through *way, pid_t victim, long calls) {
  if (way->count == way->room)
    way->moments = realloc(way->moments, (size_t)(way->room *= 2) * sizeof *way->moments);
  long number = way->count++;
  uintptr_t address = where(victim);
  long base = number > 0 ? way->moments[number - 1].base : 0;
  if (is_new(way, address)) base = number;
  way->moments[number] = (struct moment){address, what_is_left(victim, calls), base};
}

/* Goes through the deed once, instruction by instruction. */
static inline struct way_through explore(const struct deed *deed) {
  struct way_through way = {.room = 1024};
  way.moments = malloc((size_t)way.room * sizeof *way.moments);
  way.seen = calloc(SEEN, sizeof *way.seen);
  deed->prepare();
  pid_t victim = launch(deed);
  long calls = 0;
  note(&way, victim, calls);
  for (;;) {
    bool call = is_system_call(victim, way.moments[way.count - 1].address);
    if (!step(victim)) break;
    calls += call;
    note(&way, victim, calls);
  }
  stepped.at = way.count;
  stepped.done = true;
  put_away(victim);
  if (deed->meanwhile != NULL) deed->meanwhile();
  deed->after();
  free(way.seen);
  return way;
}

/* After `number` instructions. False where the deed was done before, since it took another way. */
static inline bool go_to(const struct deed *deed, const struct way_through *way, long number) {
  deed->prepare();
  pid_t victim = launch(deed);
  long base = way->moments[number].base;
  bool there = base == 0 || run_to(victim, way->moments[base].address);
  for (long i = base; there && i < number; i++)
    there = step(victim);
  stepped.at = number;
  stepped.done = !there;
  return there;
}

/* ---- which moments ---- */

enum { POINTS = 100, LOOP = 3000, FEWER = 199 };

static inline bool is_prime(long number) {
  for (long i = 2; i * i <= number; i++)
    if (number % i == 0) return false;
  return number > 1;
}

static inline long stride_of(const struct way_through *way) {
  const char *wish = getenv("SHM_STEP");
  long stride = wish != NULL ? atol(wish) : way->count / POINTS;
  while (wish == NULL && !is_prime(stride))
    stride++;
  return stride > 0 ? stride : 1;
}

static inline bool changes(const struct way_through *way, long number) {
  return number > 0 && number < way->count &&
         way->moments[number].left != way->moments[number - 1].left;
}

/* Deep in a loop that has left nothing for long, where each death is like the one before, every
 * instruction is too many: some of them. */
static inline bool is_dull(const struct way_through *way, long number, long last_change) {
  return number - way->moments[number].base > LOOP && number - last_change > LOOP &&
         number % FEWER != 0;
}

static inline unsigned seed(void) {
  const char *wish = getenv("SHM_SEED");
  static unsigned made;
  if (made == 0) made = wish != NULL ? (unsigned)atol(wish) : (unsigned)time(NULL);
  return made;
}

static inline int go_through(const struct deed *deed) {
  stepped.name = deed->name;
  int64_t start = shmx_clock_now();
  struct way_through way = explore(deed);
  long stride = stride_of(&way), phase = (long)(seed() % (unsigned long)stride), points = 0;
  long last_change = 0, changed = 0;
  for (long number = 0; number < way.count; number++) {
    bool wanted = changes(&way, number) || changes(&way, number + 1);
    if (changes(&way, number)) last_change = number, changed++;
    if (!wanted && (number % stride != phase || is_dull(&way, number, last_change))) continue;
    bool there = go_to(deed, &way, number);
    if (deed->meanwhile != NULL) {
      deed->meanwhile();
      if (there) let_finish(stepped.victim);
    }
    put_away(stepped.victim);
    deed->after();
    points++;
  }
  printf("  %-44s %6ld instructions, %3ld changes, %s at %ld points, %.1f s\n", deed->name,
         way.count - 1, changed, deed->meanwhile != NULL ? "stopped" : "killed", points,
         (double)ms_since(start) / 1000);
  fflush(stdout);
  free(way.moments);
  return 0;
}

/* ---- all deeds, as many at once as there are processors ---- */

/* Tester and victim take turns: they are fastest on one processor. */
static inline void settle_on(int number) {
  cpu_set_t all, one;
  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  number %= CPU_COUNT(&all);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &all) && number-- == 0) CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof one, &one);
}

static inline pid_t start_deed(const struct deed *deed, int place) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  static const int caught[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
    signal(caught[i], SIG_DFL);
  settle_on(place);
  if (begin_ground(NULL) != 0) _exit(1);
  shmx_process_self();
  _exit(go_through(deed));
}

enum { PLACES = 4 };

static inline void go_through_all(const struct deed *deeds, int count) {
  const char *wish = getenv("SHM_ONLY"); /* deeds whose name has this in it */
  pid_t running[PLACES] = {0};
  int failed = 0, skipped = 0, next = 0, busy = 0;
  print_message("  SHM_SEED=%u\n", seed());
  while (next < count || busy > 0) {
    int place = 0;
    while (place < PLACES && running[place] != 0)
      place++;
    if (next < count && place < PLACES) {
      const struct deed *deed = &deeds[next++];
      if (wish != NULL && strstr(deed->name, wish) == NULL) continue;
      running[place] = start_deed(deed, place);
      busy++;
      continue;
    }
    int status;
    pid_t child = waitpid(-1, &status, 0);
    for (place = 0; place < PLACES; place++)
      if (running[place] == child) running[place] = 0, busy--;
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP)
      skipped++;
    else
      failed += status != 0;
  }
  if (skipped > 0) {
    print_message("skipped: this user may not trace a child\n");
    skip();
  }
  assert_int_equal(failed, 0);
}

#endif
