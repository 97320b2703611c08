/*
 * cgroup.h: what the control groups of this process (a container, a service of systemd) leave it:
 * cgroups(7), versions 1 and 2, also both at once. Every level up to the top of what is mounted
 * counts. Nothing is kept: limits change, and processes are moved. Touches base.
 *
 * `root` is put before every path: "" for the machine, a folder of files for tests.
 */
#ifndef SHMX_OS_CGROUP_H
#define SHMX_OS_CGROUP_H

#include <stdint.h>

/* Of the level that leaves least; UINT64_MAX, both, where none has a limit. */
struct shmx_cgroup_memory {
  uint64_t limit; /* bytes that its processes may have together */
  uint64_t left;  /* of these, bytes still to be had, with swap: more, and the kernel kills */
};

/* The page cache of files counts as memory to be had. `swap` is what the machine has free of it. */
struct shmx_cgroup_memory shmx_cgroup_memory(const char *root, uint64_t swap);

/* How many processors' time the process may use: 1.5; 0 where no level has a quota. */
double shmx_cgroup_processors(const char *root);

#endif
