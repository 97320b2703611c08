/* process.c: identities from /proc, kept for each thread and forgotten by fork. Touches base. */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

_Thread_local struct shmx_self shmx_this_thread;

/* For a thread whose libc has given the kernel no list: writing there does nothing. */
static _Thread_local struct robust_list_head no_list;

static _Atomic shmx_task this_process; /* 0 until it was asked for, and in a child after fork */

/* ---- /proc/N/stat: proc(5) ---- */

struct status {
  char state;
  long threads;   /* of its process */
  uint32_t start; /* clock ticks since boot: the low 32 bits, which are those of 497 days */
};

/* The name, in parentheses, may have anything in it: fields are counted from the last ")". */
static bool parse_status(const char *text, struct status *status) {
  const char *field = strrchr(text, ')');
  if (field == NULL || field[1] != ' ') return false;
  field += 2; /* the third */
  status->state = *field;
  for (int number = 3; number <= 22; number++) {
    if (number == 20) status->threads = strtol(field, NULL, 10);
    if (number == 22) status->start = (uint32_t)strtoull(field, NULL, 10);
    field = strchr(field, ' ');
    if (field == NULL) return false;
    field++;
  }
  return true;
}

/* Reads a file of /proc whole: they are short. Returns whether there is something. */
static bool read_file(const char *path, char *text, size_t room) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, room - 1);
  close(fd);
  if (length <= 0) return false;
  text[length] = '\0';
  return true;
}

/* Any thread has a folder there, also those that the listing of /proc leaves out. */
static bool read_status(uint32_t number, struct status *status) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%u/stat", number);
  return read_file(path, text, sizeof text) && parse_status(text, status);
}

static shmx_task identify(uint32_t number) {
  struct status status = {0};
  read_status(number, &status); /* without /proc, the number has to do */
  return (shmx_task)status.start << 32 | number;
}

/* ---- ourselves ---- */

static void forget(void) {
  shmx_this_thread.task = 0;
  atomic_store_explicit(&this_process, 0, memory_order_relaxed);
}

static void install(void) {
  pthread_atfork(NULL, NULL, forget);
}

const struct shmx_self *shmx_self_look_up(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  size_t length;
  struct robust_list_head *head = NULL;
  if (syscall(SYS_get_robust_list, 0, &head, &length) != 0 || head == NULL) head = &no_list;
  shmx_this_thread.robust = head;
  shmx_this_thread.task = identify((uint32_t)syscall(SYS_gettid));
  return &shmx_this_thread;
}

shmx_task shmx_process_self(void) {
  shmx_task process = atomic_load_explicit(&this_process, memory_order_relaxed);
  if (process != 0) return process;
  shmx_self(); /* who asks is to be told after fork, too */
  process = identify((uint32_t)getpid());
  atomic_store_explicit(&this_process, process, memory_order_relaxed);
  return process;
}

/* ---- others ---- */

/* Is the number in use? By a zombie, too. */
static bool in_use(uint32_t number) {
  return syscall(SYS_tkill, number, 0) == 0 || errno != ESRCH;
}

/* `whole`: a process whose first thread has ended lives on in its other threads. */
static bool lives(shmx_task task, bool whole) {
  uint32_t number = shmx_task_number(task), start = (uint32_t)(task >> 32);
  struct status status;
  if (number == 0 || !in_use(number)) return false;
  if (!read_status(number, &status)) return in_use(number);
  bool ended = status.state == 'Z' || status.state == 'X';
  if (ended && !(whole && status.threads > 1)) return false;
  return start == 0 || start == status.start;
}

bool shmx_task_lives(shmx_task task) {
  return lives(task, false);
}

bool shmx_process_lives(shmx_task process) {
  return lives(process, true);
}

/* The /proc of another PID namespace numbers processes in its own way. */
static bool proc_is_ours(void) {
  char text[16], own[16];
  ssize_t length = readlink("/proc/self", text, sizeof text);
  int expected = snprintf(own, sizeof own, "%d", (int)getpid());
  return length == expected && memcmp(text, own, (size_t)expected) == 0;
}

bool shmx_process_number_lives(int64_t number) {
  struct status status;
  if (!in_use((uint32_t)number)) return false;
  if (!read_status((uint32_t)number, &status)) return true;
  bool ended = (status.state == 'Z' || status.state == 'X') && status.threads <= 1;
  return !ended || !proc_is_ours();
}

uint32_t shmx_task_process(shmx_task task) {
  uint32_t number = shmx_task_number(task);
  char path[32], text[2048];
  snprintf(path, sizeof path, "/proc/%u/status", number);
  if (!read_file(path, text, sizeof text)) return number;
  const char *line = strstr(text, "\nTgid:");
  return line != NULL ? (uint32_t)strtoul(line + 6, NULL, 10) : number;
}

unsigned shmx_machine_cores(void) {
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (unsigned)count : 1;
}

static uint64_t inode_of(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 ? found.st_ino : 0;
}

void shmx_process_namespaces(uint64_t *processes, uint64_t *time) {
  *processes = inode_of("/proc/self/ns/pid");
  *time = inode_of("/proc/self/ns/time");
}
