/*
 * processes.h: the processes of a benchmark: begun together, pinned to cores, measured, waited for.
 * What is passed in to be called is called in forked children, which end without closing anything.
 * Touches libc and Lua.
 */
#ifndef SCRIPTS_BENCH_PROCESSES_H
#define SCRIPTS_BENCH_PROCESSES_H

#include "cores.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

static inline void *new_shared(lua_State *L, size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) luaL_error(L, "mmap: %s", strerror(errno));
  return memory;
}

static inline double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline void pause_for(double seconds) {
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

enum { PROCESSES_MAX = 32 };

/* What they share. */
struct course {
  _Atomic int ready, done;
  _Atomic bool go, stop;
  double seconds;
  struct {
    _Alignas(64) lua_Integer operations;
    double begin, end, seconds;
  } results[PROCESSES_MAX];
};

static inline struct course *new_course(lua_State *L) {
  return new_shared(L, sizeof(struct course));
}

static inline void free_course(struct course *course) {
  munmap(course, sizeof *course);
}

/* Calls what is at `index`, with a number. An error ends the child. */
static inline void call(lua_State *L, int index, lua_Integer number) {
  lua_pushvalue(L, index);
  lua_pushinteger(L, number);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  _exit(1);
}

/* The child with this number has a core of its own, where there are enough: arrange_cores. */
static inline void pin(int number, int processes) {
  if (number < cores.count && processes <= cores.count) pin_to(cores.numbers[number]);
}

typedef void child(lua_State *L, struct course *course, int number);

/* A child does not outlive the benchmark. */
static inline pid_t start(lua_State *L, struct course *course, int number, child *run) {
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) luaL_error(L, "fork: %s", strerror(errno));
  if (pid > 0) return pid;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent) run(L, course, number);
  _exit(0);
}

static inline void finish(lua_State *L, pid_t pid) {
  int status;
  waitpid(pid, &status, 0);
  if (status != 0) luaL_error(L, "a child of the benchmark has failed");
}

static inline void await_ready(lua_State *L, struct course *course, int count) {
  for (int i = 0; atomic_load(&course->ready) < count; i++) {
    if (i == 1000000) luaL_error(L, "a child of the benchmark does not begin");
    pause_for(20e-6);
  }
}

#endif
