/*
 * supervise.c: the parent of the workers. It sleeps in sigtimedwait(2), with all signals that
 * concern it blocked: so there are no handlers, and no moment in which one is missed. The only file
 * that starts and ends processes. Touches processes, signals; core.
 */
#include "host/supervise.h"
#include "host/call.h"
#include "host/script.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker that crashes again and again is not started more often than this: in nanoseconds. */
#define PACE (SHMX_SECOND / 10)

/* A place for a worker. */
struct place {
  pid_t pid;       /* 0: nobody is there */
  int64_t started; /* when */
  int64_t due;     /* when it is to be started again; SHMX_FOREVER: never */
};

struct group {
  const struct options *options;
  const struct chunk *chunk;
  shmx_arena *arena;
  sigset_t awaited, before; /* signals that we wait for; the mask that workers have */
  struct place *places;     /* options->workers of them */
  long restarts;            /* that are left */
  int code;                 /* of the first that failed */
  int stopped_by;           /* the signal that ended the group; or 0 */
  bool stopping;            /* nobody is started any more */
  int64_t kill_at;          /* stopping: then by force */
};

/* ---- in a worker ---- */

/* The kernel kills us when the parent dies; it may have died before we said so. */
static void die_with(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) raise(SIGKILL);
}

static pid_t forking; /* whose child is being born */

static void remember_parent(void) {
  forking = getpid();
}

/* What a worker forks dies with it, too. */
static void in_forked_child(void) {
  die_with(forking);
}

/* A line is one write(2), also if the script makes it of parts: so lines of workers do not mix. */
static void buffer_lines(void) {
  static char buffer[64 << 10];
  setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
}

static _Noreturn void be_worker(const struct group *group, int index) {
  pthread_atfork(remember_parent, NULL, in_forked_child);
  struct worker worker = {index, group->options->workers, group->arena, group->chunk,
                          &group->before};
  pid_t self = getpid();
  signal(SIGCHLD, SIG_DFL);
  buffer_lines();
  int code = script_run(group->options, &worker);
  int signal_number = call_stopped_by();
  if (signal_number != 0 && getpid() == self) code = call_die_of(signal_number);
  exit(code);
}

/* ---- ending ---- */

static void send(const struct group *group, int signal_number) {
  for (int i = 0; i < group->options->workers; i++)
    if (group->places[i].pid != 0) {
      kill(group->places[i].pid, signal_number);
      kill(group->places[i].pid, SIGCONT); /* one that is stopped would not hear it */
    }
}

/*
 * Nobody is started any more; who is there is told to end, and has the grace time for it. Not by
 * SIGINT, which os.execute ignores: those whom Ctrl-C concerns have heard it from the terminal.
 */
static void stop(struct group *group) {
  if (group->stopping) return;
  group->stopping = true;
  group->kill_at = shmx_clock_deadline(group->options->grace);
  for (int i = 0; i < group->options->workers; i++)
    group->places[i].due = SHMX_FOREVER;
  send(group, SIGTERM);
}

static void kill_late(struct group *group) {
  if (shmx_clock_now() < group->kill_at) return;
  for (int i = 0; i < group->options->workers; i++)
    if (group->places[i].pid != 0)
      say(group->options, "worker %d (pid %d) has not ended in %g seconds, and is killed", i + 1,
          (int)group->places[i].pid, group->options->grace);
  send(group, SIGKILL);
  group->kill_at = SHMX_FOREVER; /* once is enough */
}

static void fail(struct group *group, int code) {
  if (group->code == 0) group->code = code;
  stop(group);
}

/* ---- starting ---- */

static void start(struct group *group, int i) {
  struct place *place = &group->places[i];
  pid_t self = getpid();
  place->due = SHMX_FOREVER;
  place->started = shmx_clock_now();
  pid_t pid = fork();
  if (pid == 0) {
    die_with(self);
    be_worker(group, i + 1);
  }
  if (pid > 0) {
    place->pid = pid;
    return;
  }
  say(group->options, "worker %d cannot be started: %s; try fewer, or see ulimit -u", i + 1,
      strerror(errno));
  fail(group, EXIT_FAILURE);
}

static void start_due(struct group *group) {
  for (int i = 0; i < group->options->workers; i++)
    if (group->places[i].due <= shmx_clock_now()) start(group, i);
}

/* ---- what becomes of them ---- */

/* How a worker ended, for people. */
static void describe(int status, char *text, size_t size) {
  int number = WTERMSIG(status);
  const char *name = sigabbrev_np(number);
  if (WIFSIGNALED(status))
    snprintf(text, size, "was killed by SIG%s (%s)", name != NULL ? name : "RT", strsignal(number));
  else
    snprintf(text, size, "failed with exit code %d", WEXITSTATUS(status));
}

static bool may_restart(const struct group *group, int status) {
  if (group->restarts == 0) return false;
  if (WIFSIGNALED(status)) return WTERMSIG(status) != SIGPIPE; /* a pipe stays broken */
  return group->options->restart_failed;
}

/* A worker that crashed or failed is reported in a line, and restarted, or ends the group. */
static void ended(struct group *group, int i, int status) {
  struct place *place = &group->places[i];
  pid_t pid = place->pid;
  place->pid = 0;
  bool succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (group->stopping || succeeded) return;
  bool restarting = may_restart(group, status);
  char text[128];
  describe(status, text, sizeof text);
  say(group->options, "worker %d (pid %d) %s%s", i + 1, (int)pid, text,
      restarting ? "; it is restarted" : "");
  if (restarting) {
    place->due = place->started + PACE;
    group->restarts--;
  } else {
    fail(group, WIFSIGNALED(status) ? SIGNAL_EXIT + WTERMSIG(status) : WEXITSTATUS(status));
  }
}

/* Takes note of all who have ended: workers, and what workers have left to us. */
static void reap(struct group *group) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    for (int i = 0; i < group->options->workers; i++)
      if (group->places[i].pid == pid) {
        ended(group, i, status);
        break;
      }
}

/* Orphans of workers are our children: see adopt. Those of theirs become so when they die. */
static void kill_orphans(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  while (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD) {
    FILE *children = fopen(path, "r");
    int pid, killed = 0;
    while (children != NULL && fscanf(children, "%d", &pid) == 1)
      killed += kill(pid, SIGKILL) == 0;
    if (children != NULL) fclose(children);
    if (killed == 0) return; /* a kernel without that file */
    waitpid(-1, NULL, 0);
  }
}

/* ---- the group ---- */

/* When something is to be done next, whatever happens. */
static int64_t next_deadline(const struct group *group, bool *anybody) {
  int64_t next = group->kill_at;
  *anybody = false;
  for (int i = 0; i < group->options->workers; i++) {
    const struct place *place = &group->places[i];
    *anybody |= place->pid != 0 || place->due != SHMX_FOREVER;
    if (place->due < next) next = place->due;
  }
  return next;
}

/* Sleeps until a signal comes, or the deadline. The signal, or 0. */
static int await(const struct group *group, int64_t deadline) {
  int64_t left = deadline - shmx_clock_now(), most = 3600 * SHMX_SECOND;
  if (left < 0) left = 0;
  if (left > most) left = most;
  struct timespec timeout = {left / SHMX_SECOND, left % SHMX_SECOND};
  int number = sigtimedwait(&group->awaited, NULL, &timeout);
  return number > 0 ? number : 0;
}

static void watch(struct group *group) {
  bool anybody;
  for (;;) {
    start_due(group);
    int64_t deadline = next_deadline(group, &anybody);
    if (!anybody) return;
    int number = await(group, deadline);
    if (number != 0 && number != SIGCHLD) {
      if (!group->stopping) group->stopped_by = number;
      stop(group);
    }
    reap(group);
    if (group->stopping) kill_late(group);
  }
}

/*
 * Signals that end the group; but those that were ignored (nohup, a job of a script) stay so.
 * SIGPIPE is our own, of a report that nobody reads.
 */
static void block_signals(struct group *group) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE};
  sigemptyset(&group->awaited);
  sigaddset(&group->awaited, SIGCHLD);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    struct sigaction action;
    sigaction(signals[i], NULL, &action);
    if (action.sa_handler != SIG_IGN) sigaddset(&group->awaited, signals[i]);
  }
  signal(SIGCHLD, SIG_DFL); /* ignored, it would take the children's ends away */
  sigprocmask(SIG_BLOCK, &group->awaited, &group->before);
}

/*
 * What workers start and leave behind becomes ours, so that it can be ended; unless we have
 * children already, of whoever became us by exec: theirs are not to be mistaken for the workers'.
 */
static bool adopt(void) {
  bool alone = waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
  return alone && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

int supervise(const struct options *options, const struct chunk *chunk, shmx_arena *arena) {
  struct group group = {.options = options,
                        .chunk = chunk,
                        .arena = arena,
                        .restarts = options->restarts,
                        .kill_at = SHMX_FOREVER};
  group.places = calloc((size_t)options->workers, sizeof *group.places); /* all are due */
  if (group.places == NULL) return say(options, "not enough memory"), EXIT_FAILURE;
  fflush(NULL); /* or each worker would print it again */
  bool adopts = adopt();
  block_signals(&group);
  watch(&group);
  if (adopts) kill_orphans();
  free(group.places);
  return group.stopped_by != 0 ? call_die_of(group.stopped_by) : group.code;
}
