/* sleepers.c: who sleeps in futex(2) on which memory, from /proc. Touches base. */
#include "os/sleepers.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* ---- mappings: a line of /proc/PID/maps ---- */

struct mapping {
  uint64_t start, end, offset, inode;
  unsigned major, minor;
};

static bool next_mapping(FILE *maps, struct mapping *found) {
  char line[512];
  while (fgets(line, sizeof line, maps) != NULL) {
    int fields =
        sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4s %" SCNx64 " %x:%x %" SCNu64, &found->start,
               &found->end, &found->offset, &found->major, &found->minor, &found->inode);
    if (fields == 6) return true; /* else it is the rest of a long line */
  }
  return false;
}

static FILE *open_maps(const char *process) {
  char path[48];
  snprintf(path, sizeof path, "/proc/%s/maps", process);
  return fopen(path, "re");
}

/* Our own mapping at this address. */
static bool find_ours(const void *data, struct mapping *ours) {
  FILE *maps = open_maps("self");
  bool found = false;
  while (maps != NULL && !found && next_mapping(maps, ours))
    found = ours->start <= (uintptr_t)data && (uintptr_t)data < ours->end;
  if (maps != NULL) fclose(maps);
  return found && ours->inode + ours->major + ours->minor != 0;
}

static bool is_same_memory(const struct mapping *one, const struct mapping *other) {
  return one->inode == other->inode && one->major == other->major && one->minor == other->minor;
}

/* ---- threads ---- */

/* The futex that a thread sleeps on; 0 where it does not, or we may not look. */
static uint64_t futex_of(uint32_t process, uint32_t thread) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%" PRIu32 "/task/%" PRIu32 "/syscall", process, thread);
  FILE *file = fopen(path, "re");
  if (file == NULL) return 0;
  bool is_read = fgets(line, sizeof line, file) != NULL;
  fclose(file);
  char *rest;
  if (!is_read || strtol(line, &rest, 10) != SYS_futex || rest == line) return 0;
  return strtoull(rest, NULL, 16);
}

/* Addresses first, in the place of offsets. */
static size_t find_futexes(uint32_t process, shmx_sleeper *list, size_t room) {
  char path[32];
  size_t count = 0;
  snprintf(path, sizeof path, "/proc/%" PRIu32 "/task", process);
  DIR *tasks = opendir(path);
  if (tasks == NULL) return 0;
  for (struct dirent *task; count < room && (task = readdir(tasks)) != NULL;) {
    uint32_t thread = (uint32_t)strtoul(task->d_name, NULL, 10);
    uint64_t futex = thread != 0 ? futex_of(process, thread) : 0;
    if (futex != 0) list[count++] = (shmx_sleeper){thread, futex};
  }
  closedir(tasks);
  return count;
}

/* Where in the memory the address of another process is: false where it is elsewhere. */
static bool translate(FILE *maps, const struct mapping *ours, size_t size, uint64_t *address) {
  struct mapping found;
  rewind(maps);
  while (next_mapping(maps, &found)) {
    if (*address < found.start || *address >= found.end) continue;
    *address = *address - found.start + found.offset - ours->offset;
    return is_same_memory(&found, ours) && *address < size;
  }
  return false;
}

size_t shmx_sleepers_find(uint32_t process, const void *data, size_t size, shmx_sleeper *list,
                          size_t room) {
  struct mapping ours;
  char number[16];
  size_t kept = 0, count = find_futexes(process, list, room);
  if (count == 0 || !find_ours(data, &ours)) return 0;
  snprintf(number, sizeof number, "%" PRIu32, process);
  FILE *maps = open_maps(number);
  if (maps == NULL) return 0;
  for (size_t i = 0; i < count; i++)
    if (translate(maps, &ours, size, &list[i].offset)) list[kept++] = list[i];
  fclose(maps);
  return kept;
}
