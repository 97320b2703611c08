/* system.h: what the machine as a whole says of its shared memory. Touches base. */
#ifndef SHMX_OS_SYSTEM_H
#define SHMX_OS_SYSTEM_H

#include "os/object.h"

SHMX_BEGIN_DECLS

/*
 * The System V key of a file and a project number: ftok(3). Programs that use the same file
 * and number meet at the same key; another file of the same low inode bits collides.
 *
 * path     an existing file; it must not be replaced while the key is in use
 * project  1 to 255 (ftok uses the low 8 bits only)
 * key      receives the key
 * Returns 0; -EINVAL for another project; -ENOENT, -EACCES ... as stat(2) does.
 * May block on the file system; thread-safe; fork-safe.
 */
SHMX_API int shmx_ftok(const char *path, int project, int32_t *key);

/*
 * All System V segments, by place in the kernel's table, then all POSIX objects, by name.
 * shmctl(2) with SHM_STAT_ANY; readdir(3) and stat(2) on /dev/shm.
 *
 * list   receives at most `room` entries; may be NULL where room is 0
 * count  receives how many there are: with more than `room`, call again with more room
 * Returns 0, or a negative errno. Does not wait for others; thread-safe; fork-safe.
 */
SHMX_API int shmx_list(shmx_stat *list, size_t room, size_t *count);

/*
 * The machine's limits: sysconf(3), shmctl(2) with IPC_INFO, /proc/meminfo, statvfs(3); and those
 * of the control groups of this process, cgroups(7).
 * Returns 0, or a negative errno. Does not block; thread-safe; fork-safe.
 */
SHMX_API int shmx_limits_get(shmx_limits *limits);

/*
 * How many processors' work this process can do: those that it may run on (sched_getaffinity(2)),
 * or less where a control group has a quota of time (cpu.max, cpu.cfs_quota_us; of all levels). A
 * quota of 1.5 processors is 2: with one less a part of it would stay unused. At least 1.
 * Does not block; thread-safe; fork-safe.
 */
SHMX_API int shmx_cpus(void);

SHMX_END_DECLS

#endif
