/* cgroup.c: /proc/self/cgroup, /proc/self/mountinfo, and the files of control groups. Touches base.
 */
#include "os/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The folder of the process's own group, and how much of the path is the folder of the top. */
struct group {
  char path[PATH_MAX];
  size_t top;
};

/* ---- finding the group ---- */

/* Is the word one of those that commas separate? */
static bool has_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
    bool begins = at == list || at[-1] == ',';
    if (begins && (at[length] == ',' || at[length] == '\0')) return true;
  }
  return false;
}

static FILE *open_below(const char *root, const char *path) {
  char whole[PATH_MAX];
  snprintf(whole, sizeof whole, "%s%s", root, path);
  return fopen(whole, "re");
}

/* A line of any length without its end; false at the end of the file. `line` is for free(3). */
static bool read_line(FILE *file, char **line, size_t *room) {
  if (getline(line, room, file) < 0) return false;
  (*line)[strcspn(*line, "\n")] = '\0';
  return true;
}

/*
 * The path of the process's group in the hierarchy of a controller; of version 2 for NULL. A line
 * is "4:cpu,cpuacct:/a/b", of version 2 "0::/a/b".
 */
static bool find_path(const char *root, const char *controller, char *path, size_t size) {
  FILE *file = open_below(root, "/proc/self/cgroup");
  char *line = NULL;
  size_t room = 0;
  bool found = false;
  while (file != NULL && !found && read_line(file, &line, &room)) {
    char *list = strchr(line, ':');
    char *end = list != NULL ? strchr(list + 1, ':') : NULL;
    if (end == NULL) continue;
    *end = '\0';
    found = controller == NULL ? strncmp(line, "0:", 2) == 0 && list[1] == '\0'
                               : has_word(list + 1, controller);
    if (found) snprintf(path, size, "%s", end + 1);
  }
  free(line);
  if (file != NULL) fclose(file);
  return found;
}

/* mountinfo has a space in a path as "\040". */
static void unescape(char *text) {
  char *to = text;
  for (const char *from = text; *from != '\0'; to++) {
    unsigned code;
    bool escaped = from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1;
    *to = escaped ? (char)code : *from;
    from += escaped ? 4 : 1;
  }
  *to = '\0';
}

/* What follows the folder `top` in a path: "/b" of "/a/b" for "/a"; NULL if it is not below. */
static const char *below(const char *path, const char *top) {
  size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
  if (strncmp(path, top, length) != 0 || strstr(path, "/..") != NULL) return NULL;
  if (path[length] != '/' && path[length] != '\0') return NULL;
  return strcmp(path + length, "/") == 0 ? "" : path + length;
}

/*
 * A line is "36 35 0:31 /a /sys/fs/cgroup rw shared:1 - cgroup2 cgroup rw": the fourth word is the
 * group that the fifth one shows, and behind the dash are the type and, last, the controllers.
 */
static bool parse_mount(char *line, const char *controller, char **top, char **point) {
  char *rest = strstr(line, " - "), *save;
  if (rest == NULL) return false;
  *rest = '\0';
  const char *type = strtok_r(rest + 3, " ", &save);
  strtok_r(NULL, " ", &save);
  const char *options = strtok_r(NULL, " ", &save);
  if (type == NULL || options == NULL) return false;
  if (strcmp(type, controller == NULL ? "cgroup2" : "cgroup") != 0) return false;
  if (controller != NULL && !has_word(options, controller)) return false;
  char *words[5];
  words[0] = strtok_r(line, " ", &save);
  for (int i = 1; i < 5; i++)
    if ((words[i] = strtok_r(NULL, " ", &save)) == NULL) return false;
  unescape(*top = words[3]);
  unescape(*point = words[4]);
  return true;
}

/*
 * A mount that does not show the process's group (as in a container without a namespace of groups
 * whose runtime mounts otherwise) shows at its top what the process is at least in.
 */
static bool find_group(const char *root, const char *controller, struct group *group) {
  char path[PATH_MAX], *line = NULL, *top, *point;
  size_t room = 0;
  bool found = false, exact = false;
  if (!find_path(root, controller, path, sizeof path)) return false;
  FILE *file = open_below(root, "/proc/self/mountinfo");
  while (file != NULL && !exact && read_line(file, &line, &room)) {
    if (!parse_mount(line, controller, &top, &point)) continue;
    const char *rest = below(path, top);
    exact = rest != NULL;
    if (found && !exact) continue;
    int length = snprintf(group->path, sizeof group->path, "%s%s", root, point);
    found = length > 0 && (size_t)length < sizeof group->path;
    if (!found) continue;
    group->top = (size_t)length;
    if (exact) snprintf(group->path + length, sizeof group->path - group->top, "%s", rest);
  }
  free(line);
  if (file != NULL) fclose(file);
  return found;
}

/* To the level above; false at the top. */
static bool ascend(struct group *group) {
  char *slash = strrchr(group->path, '/');
  if (slash == NULL || (size_t)(slash - group->path) < group->top) return false;
  *slash = '\0';
  return true;
}

/* ---- reading its files ---- */

static FILE *open_file(const struct group *group, const char *name) {
  char path[PATH_MAX + 64];
  snprintf(path, sizeof path, "%s/%s", group->path, name);
  return fopen(path, "re");
}

/* The number in a file; UINT64_MAX for "max", for more than any machine has, and without the file.
 */
static uint64_t read_number(const struct group *group, const char *name) {
  FILE *file = open_file(group, name);
  uint64_t number = UINT64_MAX;
  if (file == NULL) return number;
  if (fscanf(file, "%" SCNu64, &number) != 1 || number > INT64_MAX / 2) number = UINT64_MAX;
  fclose(file);
  return number;
}

/* Bytes of the page cache of files: in version 1, those of groups below have names of their own. */
static uint64_t read_cache(const struct group *group, const char *prefix) {
  FILE *file = open_file(group, "memory.stat");
  char name[64];
  uint64_t value, sum = 0;
  size_t length = strlen(prefix);
  while (file != NULL && fscanf(file, "%63s %" SCNu64, name, &value) == 2) {
    if (strncmp(name, prefix, length) != 0) continue;
    const char *rest = name + length;
    if (strcmp(rest, "inactive_file") == 0 || strcmp(rest, "active_file") == 0) sum += value;
  }
  if (file != NULL) fclose(file);
  return sum;
}

/* ---- memory ---- */

static uint64_t least(uint64_t one, uint64_t other) {
  return one < other ? one : other;
}

static uint64_t difference(uint64_t from, uint64_t what) {
  return from > what ? from - what : 0;
}

static uint64_t sum(uint64_t one, uint64_t other) {
  uint64_t total;
  return __builtin_add_overflow(one, other, &total) ? UINT64_MAX : total;
}

/* What a level has left of swap; version 1 limits memory and swap together. */
static uint64_t swap_left(const struct group *group, bool unified, uint64_t cache, uint64_t left) {
  const char *names[] = {unified ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
                         unified ? "memory.swap.current" : "memory.memsw.usage_in_bytes"};
  uint64_t limit = read_number(group, names[0]);
  if (limit == UINT64_MAX) return UINT64_MAX;
  uint64_t used = read_number(group, names[1]);
  if (unified) return difference(limit, used);
  return difference(difference(limit, difference(used, cache)), left);
}

static void look_at_memory(const struct group *group, bool unified, uint64_t swap,
                           struct shmx_cgroup_memory *memory) {
  uint64_t limit = read_number(group, unified ? "memory.max" : "memory.limit_in_bytes");
  if (limit == UINT64_MAX) return;
  uint64_t used = read_number(group, unified ? "memory.current" : "memory.usage_in_bytes");
  if (used == UINT64_MAX) return; /* not to be read: the kernel decides */
  uint64_t cache = read_cache(group, unified ? "" : "total_");
  uint64_t left = difference(limit, difference(used, cache));
  if (swap != 0) left = sum(left, least(swap, swap_left(group, unified, cache, left)));
  if (left < memory->left) *memory = (struct shmx_cgroup_memory){limit, left};
}

struct shmx_cgroup_memory shmx_cgroup_memory(const char *root, uint64_t swap) {
  struct shmx_cgroup_memory memory = {UINT64_MAX, UINT64_MAX};
  struct group group;
  for (int unified = 0; unified < 2; unified++) {
    if (!find_group(root, unified ? NULL : "memory", &group)) continue;
    do
      look_at_memory(&group, unified, swap, &memory);
    while (ascend(&group));
  }
  return memory;
}

/* ---- processors ---- */

/* "150000 100000", or "max 100000"; version 1 has them in two files, and -1 for none. */
static double read_quota(const struct group *group, bool unified) {
  FILE *file = open_file(group, unified ? "cpu.max" : "cpu.cfs_quota_us");
  double quota, period = 0;
  if (file == NULL) return 0;
  int count = fscanf(file, "%lf %lf", &quota, &period);
  fclose(file);
  if (count < 1 || quota <= 0) return 0;
  if (!unified) period = (double)read_number(group, "cpu.cfs_period_us");
  return period > 0 ? quota / period : 0;
}

double shmx_cgroup_processors(const char *root) {
  double found = 0;
  struct group group;
  for (int unified = 0; unified < 2; unified++) {
    if (!find_group(root, unified ? NULL : "cpu", &group)) continue;
    do {
      double quota = read_quota(&group, unified);
      if (quota > 0 && (found == 0 || quota < found)) found = quota;
    } while (ascend(&group));
  }
  return found;
}
