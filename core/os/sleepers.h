/*
 * sleepers.h: which threads of a process sleep in futex(2) on memory that we have mapped, too:
 * /proc/PID/task/TID/syscall and /proc/PID/maps, which who may trace the process may read: proc(5).
 * Touches base.
 */
#ifndef SHMX_OS_SLEEPERS_H
#define SHMX_OS_SLEEPERS_H

#include "base/api.h"

#include <stddef.h>
#include <stdint.h>

SHMX_BEGIN_DECLS

typedef struct shmx_sleeper {
  uint32_t thread;
  uint64_t offset; /* of the futex, in bytes from the start of the memory */
} shmx_sleeper;

/* Fills in those of a process that sleep on the memory mapped at `data`, of `size` bytes: at most
 * `room`. Returns how many: 0, too, where we may not look. */
SHMX_API size_t shmx_sleepers_find(uint32_t process, const void *data, size_t size,
                                   shmx_sleeper *list, size_t room);

SHMX_END_DECLS

#endif
