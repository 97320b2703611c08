/*
 * arena.h: named objects in one segment: found or made, removed, listed. Owns the segment, its
 * header and its directory; what the objects are, is their own affair (base/kind.h). Touches sync,
 * os, base.
 *
 * All functions return 0 or a negative errno. A handle, with the objects that were opened through
 * it, is used by one thread at a time; other threads open the arena for themselves. After fork both
 * processes have the handle, and each closes its own. Whoever is killed, at whatever instruction,
 * leaves nothing that others wait for, and nothing half made. What lies in the memory is checked
 * before it is used, and geometry is never taken from it.
 *
 * Functions that change or search the directory take its lock for microseconds. If whoever has the
 * lock is stopped, they give up after ten seconds with ETIMEDOUT.
 */
#ifndef SHMX_MEM_ARENA_H
#define SHMX_MEM_ARENA_H

#include "base/kind.h"
#include "mem/element.h"
#include "mem/record.h"
#include "mem/segment.h"

SHMX_BEGIN_DECLS

enum {
  SHMX_ARENA_FORMAT = 2,         /* of its memory; raised whenever that changes */
  SHMX_ARENA_NAME_MAX = 63,      /* bytes of an object's name; none of them is a NUL */
  SHMX_ARENA_SIZE_MIN = 8192,    /* bytes */
  SHMX_ARENA_OBJECTS_MAX = 1024, /* of a large arena; it has an entry for each 2 KiB, at least 16 */
  SHMX_ARENA_HANDLES_MAX = 512   /* open at once, in all processes; small arenas have 128 */
};

/* A handle. All zero is a closed one; the fields are the functions'. */
typedef struct shmx_arena {
  shmx_segment segment;
  uint32_t entries, members; /* places in the directory, and for processes; from the size alone */
  uint64_t start;            /* bytes before the first object */
  uint32_t member;           /* our place */
  uint64_t process;          /* whose place that is: after fork, not the child's */
  uint32_t held_by; /* the process that had the arena's lock when a call timed out; 0: none */
  struct shmx_arena_object *objects; /* those that are open */
  struct shmx_arena *next, **link;   /* among this process's arenas */
} shmx_arena;

/* An object that is open: its memory, as a segment that begins and ends with the object. */
typedef struct shmx_arena_object {
  shmx_segment memory;
  shmx_arena *arena;
  uint64_t size, serial;
  uint32_t entry;
  void (*closing)(
      struct shmx_arena_object *); /* is called while the memory is still there; or NULL */
  void (*forked)(struct shmx_arena_object *); /* is called in a forked child, at once: it may store
                                               into what is private, and no more; or NULL */
  struct shmx_arena_object *next, **link;
} shmx_arena_object;

/*
 * Opens an arena, or creates it. Two processes that do so at once get the same. One that was not
 * completed, because its creator was killed, is completed.
 *
 * name     as of shmx_segment_open; shmx_id opens only what exists
 * size     bytes, at least SHMX_ARENA_SIZE_MIN; 0 opens only what exists, of whatever size
 * options  as of shmx_segment_open; SHMX_READONLY is EROFS
 * Errors: those of shmx_segment_open; ENOENT (size 0); EINVAL (too small); ERANGE (it has another
 *   size); EPROTOTYPE (the segment is no arena); EPROTONOSUPPORT (an arena of another format);
 *   EXDEV (processes of another PID or time namespace made it: numbers of processes would be
 *   mistaken); EUSERS (as many handles are open as it has places for); EBADMSG; ETIMEDOUT (the
 *   process arena->held_by has had the lock for SHMX_LOCK_TIMEOUT: it is stopped, or the memory is
 *   corrupt). Then arena->segment.object.facts may say what was found.
 */
SHMX_API int shmx_arena_open(shmx_arena *arena, shmx_name name, size_t size,
                             const shmx_options *options);

/* Closes the arena and all objects that are open through it. Closed handles are left as they are.
 */
SHMX_API void shmx_arena_close(shmx_arena *arena);

/*
 * Moves an open arena to another place: `from` is a closed handle then, and `to`, which was one,
 * has the arena and the objects that are open through it. Those stay where they are.
 */
SHMX_API void shmx_arena_move(shmx_arena *from, shmx_arena *to);

/*
 * Finds the object of this name, or makes one, all zero, and opens it. The handle is closed before;
 * it must stay where it is until it is closed or the arena is.
 * Errors: EINVAL (no name, or too long); EPROTOTYPE (there is one of another kind, layout or size);
 *   ENOSPC (no entry, or no extent that is long enough); ENOMEM (of an arena whose memory is not
 *   reserved: the system has no more, and keeps none of it); EBADMSG; EBADF; EFAULT; ETIMEDOUT;
 *   EUSERS. Then object->memory.object.facts may say what was found.
 */
SHMX_API int shmx_arena_find(shmx_arena *arena, const char *name, const shmx_kind *kind,
                             shmx_arena_object *object);

/* Closes an object: calls `closing`, and lets go of the memory. */
SHMX_API void shmx_arena_object_close(shmx_arena_object *object);

/*
 * Removes the object of this name, at once; the name may be used anew. Those who have it open get
 * EIDRM from then on, and its memory is used again when all of them have closed it or have died.
 * Errors: ENOENT, EBADF, EFAULT, ETIMEDOUT, EUSERS.
 */
SHMX_API int shmx_arena_remove(shmx_arena *arena, const char *name);

/* What the directory says of an object. */
typedef struct shmx_arena_entry {
  char name[SHMX_ARENA_NAME_MAX + 1];
  uint32_t kind; /* SHMX_KIND_... */
  uint64_t size, count;
} shmx_arena_entry;

/*
 * All objects, in the order of their places. `count` receives how many there are; at most `room` of
 * them are filled in. Errors: EBADF, EFAULT, ETIMEDOUT, EUSERS.
 */
SHMX_API int shmx_arena_list(shmx_arena *arena, shmx_arena_entry *list, size_t room, size_t *count);

typedef struct shmx_arena_status {
  uint64_t size;                 /* bytes in all */
  uint64_t used;                 /* bytes of the header and of objects, also removed ones in use */
  uint64_t largest;              /* bytes that the largest new object may have */
  uint32_t objects, entries;     /* how many there are, and may be */
  uint32_t handles, handles_max; /* open, in all processes, and may be */
} shmx_arena_status;

/* Errors: EBADF, EFAULT, ETIMEDOUT, EUSERS. */
SHMX_API int shmx_arena_stat(shmx_arena *arena, shmx_arena_status *status);

/* The kinds of plain memory: elements of one type; records of one layout. */
SHMX_API shmx_kind shmx_array_kind(shmx_type type, uint64_t count);
SHMX_API shmx_kind shmx_record_kind(const shmx_layout *layout, uint64_t count);

/* The type of the elements of an array of this layout hash and count; SHMX_TYPES for another's. */
SHMX_API shmx_type shmx_array_type(uint64_t layout, uint64_t count);

/* "array" ... "barrier"; NULL for what is no kind. The string is static. */
SHMX_API const char *shmx_kind_name(uint32_t kind);

/* Why an object's memory is not to be touched, or 0. After fork it makes the object the child's. */
SHMX_API int shmx_arena_object_look(shmx_arena_object *object);

/*
 * May the object be used? 0; EBADF (closed), EIDRM (removed), EFAULT (lost); in a forked child also
 * what shmx_arena_open returns. Who looked, and got 0, may use the memory until it looks again: it
 * is not given to another object meanwhile.
 */
static inline int shmx_arena_object_check(shmx_arena_object *object) {
  const shmx_object *memory = &object->memory.object;
  if (memory->size != 0 && shmx_object_is_live(memory)) return 0;
  return shmx_arena_object_look(object);
}

SHMX_END_DECLS

#endif
