/*
 * support.h: what the C tests share: names of their own, children that may die, proof that nothing
 * is left behind. cmocka puts a handler of its own over SIGBUS in every test: what depends on ours
 * runs in a child.
 */
#ifndef SPEC_CORE_SUPPORT_H
#define SPEC_CORE_SUPPORT_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shmx.h"

enum {
  PAGE = 4096 /* as on x86-64 and nearly all aarch64 */,
  KEYS = 16,
  DEADLINE = 60 /* seconds a child may take */,
  SKIP = 77
};

#define DIRECTORY "/dev/shm"

/* ---- make one FILTER="some words" ---- */

/* Runs only the tests whose names have the words of CMOCKA_FILTER in this order, side by side. */
static __attribute__((constructor)) void choose_tests(void) {
  static char pattern[200];
  const char *words = getenv("CMOCKA_FILTER");
  if (words == NULL || words[0] == '\0') return;
  snprintf(pattern, sizeof pattern, "*%s*", words);
  for (char *c = pattern; *c != '\0'; c++)
    if (*c == ' ') *c = '_';
  cmocka_set_test_filter(pattern);
}

/* ---- names that no other run has ---- */

static struct {
  pid_t pid; /* the test program's; its children use its names */
  int descriptors, mappings;
} program;

/* The file name of every POSIX object of this program begins with this. */
static inline const char *tag(void) {
  static char text[32];
  snprintf(text, sizeof text, "shmx-test-%d-", (int)program.pid);
  return text;
}

static inline shmx_name posix_name(int number) {
  static char names[KEYS][48];
  snprintf(names[number], sizeof *names, "/%s%d", tag(), number);
  return shmx_posix(names[number]);
}

/* A process number has at most 22 bits. */
static inline shmx_name sysv_name(int number) {
  return shmx_key(0x40000000 | (int32_t)program.pid << 8 | number);
}

static inline shmx_name own_name(int backing, int number) {
  return backing == SHMX_SYSV    ? sysv_name(number)
         : backing == SHMX_POSIX ? posix_name(number)
                                 : shmx_anonymous();
}

static inline const char *path_of(shmx_name name) {
  static char path[sizeof DIRECTORY + SHMX_NAME_MAX + 1];
  snprintf(path, sizeof path, DIRECTORY "%.*s", SHMX_NAME_MAX, name.posix);
  return path;
}

/* ---- nothing left behind ---- */

/* Entries of /dev/shm whose names begin so; each is removed on the way if asked. */
static inline int count_files(const char *beginning, bool removing) {
  int count = 0;
  DIR *directory = opendir(DIRECTORY);
  for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (strncmp(entry->d_name, beginning, strlen(beginning)) != 0) continue;
    count++;
    if (removing && unlinkat(dirfd(directory), entry->d_name, 0) != 0)
      unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
  }
  if (directory != NULL) closedir(directory);
  return count;
}

/* Sets of System V semaphores with a key of ours. */
static inline int remove_semaphores(void) {
  int count = 0;
  for (int number = 0; number < KEYS; number++) {
    int id = semget(sysv_name(number).key, 0, 0);
    if (id >= 0) count += semctl(id, 0, IPC_RMID) == 0;
  }
  return count;
}

/* System V message queues with a key of ours. */
static inline int remove_queues(void) {
  int count = 0;
  for (int number = 0; number < KEYS; number++) {
    int id = msgget(sysv_name(number).key, 0);
    if (id >= 0) count += msgctl(id, IPC_RMID, NULL) == 0;
  }
  return count;
}

/* System V segments with a key of ours, or made by this process. */
static inline int remove_keys(void) {
  int count = 0;
  struct shm_info info;
  int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
  for (int slot = 0; slot <= last; slot++) {
    struct shmid_ds ds;
    int id = shmctl(slot, SHM_STAT, &ds);
    if (id < 0) continue;
    if (ds.shm_perm.mode & SHM_DEST) continue; /* has no name any more */
    bool ours = ds.shm_cpid == program.pid;
    for (int number = 0; number < KEYS; number++)
      ours |= ds.shm_perm.__key == sysv_name(number).key;
    if (ours) count += shmctl(id, IPC_RMID, NULL) == 0;
  }
  return count;
}

static inline int count_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 1024; fd++)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

static inline int count_mappings(void) {
  int count = 0;
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "re");
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
    count += strstr(line, "/SYSV") != NULL || strstr(line, "/memfd:") != NULL ||
             strstr(line, DIRECTORY "/") != NULL;
  if (maps != NULL) fclose(maps);
  return count;
}

static inline int begin(void **state) {
  (void)state;
  program.pid = getpid();
  program.descriptors = count_descriptors();
  program.mappings = count_mappings();
  return 0;
}

/* Takes away what a test has left, and fails the test for it. */
static inline int nothing_left(void **state) {
  (void)state;
  int files = count_files(tag(), true),
      keys = remove_keys() + remove_semaphores() + remove_queues();
  int descriptors = count_descriptors(), mappings = count_mappings();
  bool clean =
      files == 0 && keys == 0 && descriptors <= program.descriptors && mappings <= program.mappings;
  if (!clean)
    print_error("left: %d in " DIRECTORY ", %d System V, %d descriptors, %d mappings\n", files,
                keys, descriptors - program.descriptors, mappings - program.mappings);
  program.descriptors = descriptors;
  program.mappings = mappings;
  return clean ? 0 : -1;
}

/* ---- one test over several backings ---- */

/* For the state of a test: points to the backing. */
static inline int *state_of(int backing) {
  static int backings[] = {0, SHMX_SYSV, SHMX_POSIX, SHMX_MEMFD};
  return &backings[backing];
}

static inline shmx_name name_of(void **state) {
  return own_name(*(int *)*state, 1);
}

#define OVER(backing, test)                                                                        \
  { #test " over " #backing, test, NULL, nothing_left, state_of(SHMX_##backing) }
#define OVER_NAMED(test) OVER(SYSV, test), OVER(POSIX, test)
#define OVER_ALL(test)   OVER_NAMED(test), OVER(MEMFD, test)

static inline void create(shmx_segment *segment, shmx_name name, size_t size, uint32_t flags) {
  shmx_options options = {.flags = flags};
  assert_int_equal(shmx_segment_create(segment, name, size, &options), 0);
}

/* Removes what has a name; memory without one goes with its last mapping. */
static inline void close_and_remove(shmx_segment *segment) {
  shmx_object *object = &segment->object;
  bool named = object->backing != SHMX_MEMFD && object->data != NULL;
  if (named) assert_int_equal(shmx_segment_remove(segment), 0);
  shmx_segment_detach(segment);
}

/* ---- children ---- */

/* In a child, where cmocka's assertions must not be used. */
#define EXPECT(condition)                                                                          \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      dprintf(STDERR_FILENO, "%s:%d: errno %d: not so in a child: %s\n", __FILE__, __LINE__,       \
              errno, #condition);                                                                  \
      _exit(1);                                                                                    \
    }                                                                                              \
  } while (0)

static inline pid_t start_child(void (*body)(int), int argument) {
  pid_t child = fork();
  assert_true(child >= 0);
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  static const int caught[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
  for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
    signal(caught[i], SIG_DFL); /* cmocka's handlers would go on with the next test */
  alarm(DEADLINE);
  body(argument);
  _exit(0);
}

static inline int wait_for(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) < 0)
    assert_int_equal(errno, EINTR);
  return status;
}

/* The wait status of a child that does this; SIGALRM is the deadline's. */
static inline int child_status(void (*body)(int), int argument) {
  return wait_for(start_child(body, argument));
}

static inline void assert_child_passes(void (*body)(int), int argument) {
  int status = child_status(body, argument);
  if (WIFEXITED(status) && WEXITSTATUS(status) == SKIP) skip();
  if (WIFSIGNALED(status)) fail_msg("the child died of %s", strsignal(WTERMSIG(status)));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static inline int create_as_child(shmx_segment *segment, size_t size, uint32_t flags) {
  shmx_options options = {.flags = flags};
  return shmx_segment_create(segment, posix_name(1), size, &options);
}

/* A /dev/shm that only this process and its children see; false where that is not permitted. */
static inline bool private_directory(const char *options) {
  return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("tmpfs", DIRECTORY, "tmpfs", 0, options) == 0;
}

/* Are these bytes all of one value? */
static inline bool all_are(const void *data, int byte, size_t length) {
  const unsigned char *bytes = data;
  return length == 0 || (bytes[0] == byte && memcmp(bytes, bytes + 1, length - 1) == 0);
}

#endif
