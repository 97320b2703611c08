/*
 * inspect.h: an arena seen from outside, by who takes no part: no lock is taken, no place, and
 * nothing is written, so that a readonly segment is enough. What is seen may change at once, and
 * what lies in the memory is checked before it is used. Touches sync, os, base.
 */
#ifndef SHMX_MEM_INSPECT_H
#define SHMX_MEM_INSPECT_H

#include "mem/arena.h"

SHMX_BEGIN_DECLS

typedef struct shmx_inspection {
  shmx_arena arena;
  shmx_arena_status status;
  uint32_t creator; /* the process that made the arena; 0: not known */
  bool creator_lives;
} shmx_inspection;

/*
 * Looks whether there is an arena in a segment, which stays attached as long as it is looked at.
 * Errors: EPROTOTYPE (no arena), EPROTONOSUPPORT, EBADMSG (its size is not the segment's), EXDEV,
 * EBADF, EFAULT.
 */
SHMX_API int shmx_inspect(shmx_inspection *inspection, const shmx_segment *segment);

/*
 * The object in the place `number` of the directory, from 0 to status.entries - 1: false where
 * there is none. `data` receives where its memory is, of entry->size bytes, and `layout` its hash.
 */
SHMX_API bool shmx_inspect_object(const shmx_inspection *inspection, uint32_t number,
                                  shmx_arena_entry *entry, uint64_t *layout, void **data);

/*
 * The process that has the handle `number` of the arena, from 0 to status.handles_max - 1: 0 where
 * there is none, or it has died. kill(2), /proc.
 */
SHMX_API uint32_t shmx_inspect_handle(const shmx_inspection *inspection, uint32_t number);

/* Has the handle `number` this object open? */
SHMX_API bool shmx_inspect_uses(const shmx_inspection *inspection, uint32_t number,
                                uint32_t object);

SHMX_END_DECLS

#endif
