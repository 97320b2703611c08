/* page.c: sysconf(3), /proc/meminfo, madvise(2). Touches base. */
#include "os/page.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
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

uint64_t shmx_page_available(void) {
  uint64_t available = meminfo("MemAvailable", UINT64_MAX);
  return available == UINT64_MAX ? available : available + meminfo("SwapFree", 0);
}

size_t shmx_page_size(bool huge) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, read_sizes);
  return huge ? huge_page_size : page_size;
}

int shmx_page_populate(const shmx_object *object) {
  int advice = object->readonly ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
  while (madvise(object->data, object->length, advice) != 0) {
    if (errno == EFAULT) return -EFAULT; /* an access would be a SIGBUS */
    if (errno != EINTR) return -errno;
  }
  return 0;
}
