/*
 * locks.c: locks side by side, the core's, libc's and the system's, as Lua functions for lock.lua;
 * and processes that race for them, are killed with them, or wait for them. Most believe their
 * arguments. Touches the core's inner headers and libc.
 */
#include "methods.h"
#include "processes.h"
#include "sync/lock.h"
#include "sync/mutex.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/sem.h>

/* ---- locks ---- */

/* In shared memory. */
struct place {
  _Alignas(64) union {
    struct shmx_lock lock;
    unsigned char mutex[64];
    pthread_mutex_t pthread;
    pthread_rwlock_t rwlock;
    sem_t semaphore;
  };
};

struct contestant {
  const void *tag;
  struct place *place;
  shmx_mutex mutex; /* the handle */
  int id;           /* of a System V semaphore, or a file */
  pid_t pid;        /* whose file it is: a forked child opens its own */
};

typedef void action(struct contestant *self);

static void believe(bool right) {
  if (!right) abort();
}

static inline void enter(struct contestant *self) {
  int status = shmx_lock_enter(&self->place->lock, SHMX_FOREVER);
  believe(status == 0 || status == -EOWNERDEAD);
}

static inline void leave(struct contestant *self) {
  shmx_lock_leave(&self->place->lock);
}

static inline void lock_mutex(struct contestant *self) {
  int status = shmx_mutex_lock(&self->mutex, SHMX_FOREVER);
  believe(status == 0 || status == -EOWNERDEAD);
}

static inline void unlock_mutex(struct contestant *self) {
  believe(shmx_mutex_unlock(&self->mutex) == 0);
}

static inline void lock_pthread(struct contestant *self) {
  int status = pthread_mutex_lock(&self->place->pthread);
  if (status == EOWNERDEAD) status = pthread_mutex_consistent(&self->place->pthread);
  believe(status == 0);
}

static inline void unlock_pthread(struct contestant *self) {
  believe(pthread_mutex_unlock(&self->place->pthread) == 0);
}

static inline void read_lock(struct contestant *self) {
  believe(pthread_rwlock_rdlock(&self->place->rwlock) == 0);
}

static inline void write_lock(struct contestant *self) {
  believe(pthread_rwlock_wrlock(&self->place->rwlock) == 0);
}

static inline void unlock_rwlock(struct contestant *self) {
  believe(pthread_rwlock_unlock(&self->place->rwlock) == 0);
}

static inline void await_semaphore(struct contestant *self) {
  believe(sem_wait(&self->place->semaphore) == 0);
}

static inline void post_semaphore(struct contestant *self) {
  believe(sem_post(&self->place->semaphore) == 0);
}

/* What the system undoes when its owner dies. */
static inline void lock_sysv(struct contestant *self) {
  believe(semop(self->id, &(struct sembuf){.sem_op = -1, .sem_flg = SEM_UNDO}, 1) == 0);
}

static inline void unlock_sysv(struct contestant *self) {
  believe(semop(self->id, &(struct sembuf){.sem_op = 1, .sem_flg = SEM_UNDO}, 1) == 0);
}

static void open_again(struct contestant *self) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", self->id);
  self->id = open(path, O_RDWR | O_CLOEXEC);
  self->pid = getpid();
  believe(self->id >= 0);
}

static inline void lock_file(struct contestant *self) {
  believe(flock(self->id, LOCK_EX) == 0);
}

static inline void unlock_file(struct contestant *self) {
  believe(flock(self->id, LOCK_UN) == 0);
}

/* ---- locks as userdata ---- */

static const char tag;

static struct contestant *check(lua_State *L) {
  struct contestant *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &tag;
  if (!ours) luaL_typeerror(L, 1, "lock");
  if (self->pid != 0 && self->pid != getpid()) open_again(self);
  return self;
}

/* A loop for each lock and no call between: the compiler knows what `take` and `give` are. */
static inline __attribute__((always_inline)) int repeat(lua_State *L, action *take, action *give) {
  struct contestant *self = check(L);
  lua_Integer count = lua_tointeger(L, 2);
  for (lua_Integer i = 0; i < count; i++) {
    take(self);
    give(self);
  }
  return 0;
}

/*
 * lock:pairs(n): takes and gives it n times. lock:lock(), lock:unlock(): as little as a binding may
 * do, which is to check what it is given and to return true.
 */
#define METHODS(name, take, give)                                                                  \
  static int name##_pairs(lua_State *L) {                                                          \
    return repeat(L, take, give);                                                                  \
  }                                                                                                \
  static int name##_lock(lua_State *L) {                                                           \
    take(check(L));                                                                                \
    lua_pushboolean(L, 1);                                                                         \
    return 1;                                                                                      \
  }                                                                                                \
  static int name##_unlock(lua_State *L) {                                                         \
    give(check(L));                                                                                \
    lua_pushboolean(L, 1);                                                                         \
    return 1;                                                                                      \
  }                                                                                                \
  static const luaL_Reg name##_methods[] = {                                                       \
      {"pairs", name##_pairs}, {"lock", name##_lock}, {"unlock", name##_unlock}, {NULL, NULL}};

METHODS(internal, enter, leave)
METHODS(mutex, lock_mutex, unlock_mutex)
METHODS(pthread, lock_pthread, unlock_pthread)
METHODS(reading, read_lock, unlock_rwlock)
METHODS(writing, write_lock, unlock_rwlock)
METHODS(semaphore, await_semaphore, post_semaphore)
METHODS(sysv, lock_sysv, unlock_sysv)
METHODS(file, lock_file, unlock_file)

static struct contestant *push_contestant(lua_State *L, const luaL_Reg *methods) {
  struct contestant *self = lua_newuserdatauv(L, sizeof *self, 0);
  *self = (struct contestant){.tag = &tag};
  self->place = new_shared(L, sizeof *self->place);
  shmx_mutex_open(&self->mutex, &self->place->mutex);
  set_methods(L, methods);
  return self;
}

/* internal() --> a lock of sync/lock.h, for nanoseconds */
static int new_internal(lua_State *L) {
  push_contestant(L, internal_methods);
  return 1;
}

/* mutex() --> a mutex of sync/mutex.h */
static int new_mutex(lua_State *L) {
  push_contestant(L, mutex_methods);
  return 1;
}

/* pthread(robust) --> libc's mutex between processes */
static int new_pthread(lua_State *L) {
  bool robust = lua_toboolean(L, 1);
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  if (robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&push_contestant(L, pthread_methods)->place->pthread, &attributes);
  pthread_mutexattr_destroy(&attributes);
  return 1;
}

/* rwlock(writing) --> libc's, taken to read, or to write */
static int new_rwlock(lua_State *L) {
  pthread_rwlockattr_t attributes;
  struct contestant *self =
      push_contestant(L, lua_toboolean(L, 1) ? writing_methods : reading_methods);
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_rwlock_init(&self->place->rwlock, &attributes);
  pthread_rwlockattr_destroy(&attributes);
  return 1;
}

/* semaphore(n) --> libc's */
static int new_semaphore(lua_State *L) {
  unsigned value = (unsigned)lua_tointeger(L, 1);
  sem_init(&push_contestant(L, semaphore_methods)->place->semaphore, 1, value);
  return 1;
}

/* closing it */
static int remove_sysv(lua_State *L) {
  semctl(check(L)->id, 0, IPC_RMID);
  return 0;
}

/* sysv() --> a System V semaphore, which stays until it is closed */
static int new_sysv(lua_State *L) {
  struct contestant *self = push_contestant(L, sysv_methods);
  self->id = semget(IPC_PRIVATE, 1, 0600);
  if (self->id < 0) return luaL_error(L, "semget: %s", strerror(errno));
  semctl(self->id, 0, SETVAL, 1);
  lua_getmetatable(L, -1);
  lua_pushcfunction(L, remove_sysv);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  return 1;
}

/* file() --> a file without a name, for flock */
static int new_file(lua_State *L) {
  struct contestant *self = push_contestant(L, file_methods);
  self->id = memfd_create("lock", MFD_CLOEXEC);
  self->pid = getpid();
  if (self->id < 0) return luaL_error(L, "memfd_create: %s", strerror(errno));
  return 1;
}

/* ---- a race ---- */

static void run_race(lua_State *L, struct course *course, int number) {
  enum { BATCH = 100 };
  lua_Integer operations = 0;
  pin(number, (int)lua_tointeger(L, 2));
  call(L, 1, 1); /* so that the first time is behind it */
  atomic_fetch_add(&course->ready, 1);
  while (!atomic_load(&course->go))
    sched_yield();
  while (!atomic_load_explicit(&course->stop, memory_order_relaxed)) {
    call(L, 1, BATCH);
    operations += BATCH;
  }
  course->results[number].end = seconds_of(CLOCK_MONOTONIC);
  course->results[number].operations = operations;
}

/* race(run, processes, seconds) --> seconds that an operation takes while so many processes call
 * run(n), which does n of them */
static int locks_race(lua_State *L) {
  int processes = (int)lua_tointeger(L, 2);
  pid_t pids[PROCESSES_MAX];
  luaL_argcheck(L, processes >= 1 && processes <= PROCESSES_MAX, 2, "too many");
  arrange_cores();
  struct course *course = new_course(L);
  for (int i = 0; i < processes; i++)
    pids[i] = start(L, course, i, run_race);
  await_ready(L, course, processes);
  double begin = seconds_of(CLOCK_MONOTONIC);
  atomic_store(&course->go, true);
  pause_for(lua_tonumber(L, 3));
  atomic_store(&course->stop, true);
  double end = begin; /* of the last: what they have begun they end, which for some is long */
  lua_Integer total = 0;
  for (int i = 0; i < processes; i++) {
    finish(L, pids[i]);
    total += course->results[i].operations;
    if (course->results[i].end > end) end = course->results[i].end;
  }
  free_course(course);
  lua_pushnumber(L, (end - begin) / (lua_Number)total);
  return 1;
}

/* ---- a killed owner ---- */

static void run_owner(lua_State *L, struct course *course, int number) {
  (void)number;
  call(L, 1, 1);
  atomic_fetch_add(&course->ready, 1);
  for (;;)
    pause();
}

static void run_heir(lua_State *L, struct course *course, int number) {
  (void)number;
  atomic_fetch_add(&course->ready, 1);
  call(L, 1, 1);
  course->seconds = seconds_of(CLOCK_MONOTONIC);
  call(L, 2, 1);
}

/* inherit(take, give, delay) --> seconds from the kill of a process that has called take(1) to the
 * return of take(1) in one that has waited for it for `delay` seconds then */
static int locks_inherit(lua_State *L) {
  struct course *course = new_course(L);
  pid_t owner = start(L, course, 0, run_owner);
  await_ready(L, course, 1);
  pid_t heir = start(L, course, 1, run_heir);
  await_ready(L, course, 2);
  pause_for(lua_tonumber(L, 3));
  double begin = seconds_of(CLOCK_MONOTONIC);
  kill(owner, SIGKILL);
  waitpid(owner, NULL, 0);
  finish(L, heir);
  lua_pushnumber(L, course->seconds - begin);
  free_course(course);
  return 1;
}

/* ---- the processor's time ---- */

static void run_measured(lua_State *L, struct course *course, int number) {
  lua_rawgeti(L, 1, number + 1);
  double begin = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  call(L, lua_gettop(L), 1);
  course->results[number].seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - begin;
}

/* cpu(functions) --> the processor's seconds that each takes; all run at once, in processes */
static int locks_cpu(lua_State *L) {
  int count = (int)lua_rawlen(L, 1);
  pid_t pids[PROCESSES_MAX];
  luaL_argcheck(L, count <= PROCESSES_MAX, 1, "too many");
  struct course *course = new_course(L);
  for (int i = 0; i < count; i++)
    pids[i] = start(L, course, i, run_measured);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    finish(L, pids[i]);
    lua_pushnumber(L, course->results[i].seconds);
    lua_rawseti(L, -2, i + 1);
  }
  free_course(course);
  return 1;
}

static const luaL_Reg functions[] = {
    {"internal", new_internal},
    {"mutex", new_mutex},
    {"pthread", new_pthread},
    {"rwlock", new_rwlock},
    {"semaphore", new_semaphore},
    {"sysv", new_sysv},
    {"file", new_file},
    {"race", locks_race},
    {"cpu", locks_cpu},
    {"inherit", locks_inherit},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_locks(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
