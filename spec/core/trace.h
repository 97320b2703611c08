/*
 * trace.h: children that are stepped from system call to system call, held there, and killed.
 */
#ifndef SPEC_CORE_TRACE_H
#define SPEC_CORE_TRACE_H

#include "support.h"

#include <sys/ptrace.h>

typedef void (*deed)(int);

static deed done_by_victim;

static inline void be_traced(int argument) {
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(SKIP);
  raise(SIGSTOP);
  done_by_victim(argument);
  raise(SIGSTOP);
}

/* A child that is stopped before its deed. */
static inline pid_t start_traced(deed victim, int argument) {
  done_by_victim = victim;
  pid_t child = start_child(be_traced, argument);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) {
    print_message("skipped: this user may not trace a child\n");
    skip();
  }
  assert_true(WIFSTOPPED(status));
  void *options = (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, options), 0);
  return child;
}

/* Goes on to the next stop, before or after a system call; false if the deed was done. */
static inline bool step(pid_t child) {
  int status;
  assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSTOPPED(status));
  bool done = WSTOPSIG(status) == SIGSTOP;
  assert_true(done || WSTOPSIG(status) == (SIGTRAP | 0x80));
  return !done;
}

static inline void kill_traced(pid_t child) {
  kill(child, SIGKILL);
  int status = wait_for(child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* Kills a child at its `point`-th stop; false if it was done. */
static inline bool kill_at(deed victim, int argument, int point) {
  pid_t child = start_traced(victim, argument);
  bool doing = true;
  for (int i = 0; i < point && doing; i++)
    doing = step(child);
  kill_traced(child);
  return doing;
}

#endif
