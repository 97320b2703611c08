/* page.c: sysconf(3), /proc/meminfo, madvise(2), fstat(2). Touches base. */
#include "os/page.h"
#include "os/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t page_size, huge_page_size;

/* A figure of /proc/meminfo in bytes; `otherwise` where it is not there. */
static uint64_t meminfo(const char *field, uint64_t otherwise) {
  FILE *file = fopen("/proc/meminfo", "re");
  if (file == NULL) return otherwise;
  char line[128], name[64];
  uint64_t kilobytes, found = otherwise;
  while (fgets(line, sizeof line, file) != NULL)
    if (sscanf(line, "%63[^:]: %" SCNu64 " kB", name, &kilobytes) == 2 && strcmp(name, field) == 0)
      found = kilobytes * 1024;
  fclose(file);
  return found;
}

static void read_sizes(void) {
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  huge_page_size = meminfo("Hugepagesize", 0);
}

/* ---- how much is left ---- */

/* The group pays for what the kernel needs beside: to know where the pages are, and in lots for
 * each processor. */
static uint64_t without_overhead(uint64_t left) {
  uint64_t overhead = left / 64 + (1 << 20);
  return left > overhead ? left - overhead : 0;
}

struct shmx_page_room shmx_page_room(void) {
  uint64_t available = meminfo("MemAvailable", UINT64_MAX), swap = meminfo("SwapFree", 0);
  if (available != UINT64_MAX) available += swap;
  struct shmx_cgroup_memory group = shmx_cgroup_memory("", swap);
  if (group.limit != UINT64_MAX) group.left = without_overhead(group.left);
  if (available < group.left) return (struct shmx_page_room){available, UINT64_MAX};
  return (struct shmx_page_room){group.left, group.limit};
}

/* A look costs a tenth of a millisecond, which is little beside the zeroing of so many bytes. */
enum { LOOK = 4 << 20 };

int shmx_page_check(uint64_t more) {
  static _Atomic int64_t credit = LOOK / 4; /* bytes that may be taken without a look */
  if (more < LOOK) {
    int64_t small = (int64_t)more;
    if (atomic_fetch_sub_explicit(&credit, small, memory_order_relaxed) >= small) return 0;
  }
  uint64_t left = shmx_page_room().left;
  uint64_t next = more < left ? (left - more) / 4 : 0; /* others take from it, too */
  atomic_store_explicit(&credit, next < LOOK ? (int64_t)next : LOOK, memory_order_relaxed);
  return more > left ? -ENOMEM : 0;
}

/* ---- pages ---- */

size_t shmx_page_size(bool huge) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, read_sizes);
  return huge ? huge_page_size : page_size;
}

/* -EFAULT: an access would be a SIGBUS. */
static int populate(void *data, size_t length, int advice) {
  while (madvise(data, length, advice) != 0)
    if (errno != EINTR) return -errno;
  return 0;
}

int shmx_page_populate(const shmx_object *object) {
  return populate(object->data, object->length,
                  object->readonly ? MADV_POPULATE_READ : MADV_POPULATE_WRITE);
}

/* Only files can be: System V memory has no descriptor. */
static bool is_truncated(const shmx_object *object, uint64_t end) {
  struct stat found;
  return object->fd >= 0 && fstat(object->fd, &found) == 0 && (uint64_t)found.st_size < end;
}

int shmx_page_take(const shmx_object *object, uint64_t offset, uint64_t length) {
  uint64_t excess = offset % shmx_page_size(object->huge);
  int status = populate(object->data + offset - excess, length + excess, MADV_POPULATE_WRITE);
  if (status == -EINVAL) return 0; /* before Linux 5.14 */
  if (status != -EFAULT) return status;
  return is_truncated(object, offset + length) ? -EFAULT : -ENOMEM;
}

void shmx_page_free(const shmx_object *object, uint64_t offset, uint64_t length) {
  uint64_t page = shmx_page_size(object->huge), excess = offset % page;
  uint64_t first = excess != 0 ? offset + page - excess : offset, end = offset + length;
  end -= end % page;
  if (first < end) madvise(object->data + first, end - first, MADV_REMOVE);
}
