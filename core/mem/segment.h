/*
 * segment.h: a piece of shared memory, whatever its backing: made, found, mapped, read, written,
 * removed. Owns the bounds that every access is checked against. Touches os, base.
 *
 * All functions return 0 or a negative errno (base/error.h); results go to out-parameters, last.
 * A handle may be used by one thread at a time; different handles are independent. After fork
 * both processes have the handle and the mapping, and each detaches its own.
 *
 * After a call that failed, segment->object.facts may say what was found (base/facts.h).
 *
 * What lies in the memory is shared with processes that need not be friends: it is data, never
 * believed. Reads and writes are plain memory copies, not atomic.
 */
#ifndef SHMX_MEM_SEGMENT_H
#define SHMX_MEM_SEGMENT_H

#include "base/api.h"
#include "base/checked.h"
#include "os/object.h"

#include <errno.h>

SHMX_BEGIN_DECLS

/* A handle. All zero is a closed one; the fields are the functions' below. */
typedef struct shmx_segment {
  shmx_object object;
  struct shmx_owned *owned;       /* the name goes with this process: mem/owned.h; or NULL */
  struct shmx_arena_object *part; /* the object of an arena that this is; or NULL */
} shmx_segment;

/*
 * Creates a segment that does not exist yet, filled with zeroes, and attaches to it. Whoever finds
 * the name finds a segment of full size. Killed on the way, the caller leaves nothing, or, as
 * System V has no other way, a whole segment.
 *
 * segment  a closed handle; still closed after an error
 * name     shmx_key, shmx_posix or shmx_anonymous
 * size     bytes, at least 1; the kernel gives whole pages, accesses are bounded by size
 * options  or NULL: mode 0600, no flags
 * Errors: EEXIST, EACCES, EINVAL (name, size, mode), EFBIG, ENOSPC, ENOMEM, EPERM, EADDRNOTAVAIL
 *   (not at the start of a page), EADDRINUSE, ENOTSUP (huge pages for POSIX), EMFILE, ENFILE.
 * Blocks only while memory is zeroed. shmget(2) and shmat(2); open(2) with O_TMPFILE,
 * posix_fallocate(3), mmap(2) and linkat(2); memfd_create(2).
 */
SHMX_API int shmx_segment_create(shmx_segment *segment, shmx_name name, size_t size,
                                 const shmx_options *options);

/*
 * Attaches to a segment that exists. Its size is what the kernel says now.
 *
 * name     shmx_key, shmx_id or shmx_posix
 * options  or NULL; mode, SHMX_HUGE, SHMX_NORESERVE and SHMX_OWNED mean nothing here
 * Errors: ENOENT, EACCES, EINVAL, ENODATA (an object of size 0), ENODEV, ENOMEM, EADDRINUSE ...
 * Does not block. shmget(2) and shmat(2); shm_open(3) and mmap(2).
 */
SHMX_API int shmx_segment_attach(shmx_segment *segment, shmx_name name,
                                 const shmx_options *options);

/*
 * Attaches to a segment of at least this size, or creates it; if two processes call it at once,
 * one creates and both are attached. Errors: as create and attach; ERANGE if it exists and is
 * smaller. Does not block.
 */
SHMX_API int shmx_segment_open(shmx_segment *segment, shmx_name name, size_t size,
                               const shmx_options *options);

/*
 * Detaches; with SHMX_OWNED, and in the process that created it, removes the name first (exit(3)
 * removes the names of handles that are still attached; _exit and signals do not). Closed handles
 * are left as they are: calling it twice is harmless. Cannot fail; does not block.
 * shmdt(2), munmap(2).
 */
SHMX_API void shmx_segment_detach(shmx_segment *segment);

/*
 * Removes the name of this segment: nobody can attach by it any more, and it may be used anew.
 * The memory goes with the last detach. Errors: ENOENT (the name is gone, or is another's),
 * EPERM, EACCES, ENOTSUP (anonymous), EBADF. Does not block.
 * shmctl(2) with IPC_RMID, shm_unlink(3).
 */
SHMX_API int shmx_segment_remove(shmx_segment *segment);

/* The same for whatever has this name now; no handle is needed. */
SHMX_API int shmx_remove(shmx_name name);

/*
 * Copies `length` bytes from `data` to `offset`, or from `offset` to `data`; fills `length` bytes
 * from `offset` with one value. Errors: EBADF (closed), ERANGE (the range leaves the segment;
 * nothing was touched), EROFS, EFAULT (memory was truncated away: a part may have
 * been copied). They do not block.
 */
SHMX_API int shmx_segment_write(shmx_segment *segment, uint64_t offset, const void *data,
                                uint64_t length);
SHMX_API int shmx_segment_read(const shmx_segment *segment, uint64_t offset, void *data,
                               uint64_t length);
SHMX_API int shmx_segment_fill(shmx_segment *segment, uint64_t offset, uint8_t byte,
                               uint64_t length);

/*
 * The status of the segment: shmctl(2) with IPC_STAT, fstat(2). Errors: EBADF, EACCES.
 * Does not block.
 */
SHMX_API int shmx_segment_stat(const shmx_segment *segment, shmx_stat *stat);

/*
 * Changes mode and owner: shmctl(2) with IPC_SET, fchmod(2), fchown(2). Errors: EBADF, EPERM.
 * Does not block.
 */
SHMX_API int shmx_segment_set(shmx_segment *segment, const shmx_change *change);

/*
 * Gives a POSIX object another size and maps it anew, maybe elsewhere; what is added is zero.
 * Others keep the size that they attached with, and get EFAULT where the memory is gone.
 * Errors: EBADF, EROFS, EINVAL (0), EFBIG, ENOSPC, ENOMEM, EFAULT, ENOTSUP (System V, anonymous).
 * Blocks only while memory is zeroed. posix_fallocate(3), ftruncate(2), mremap(2).
 */
SHMX_API int shmx_segment_resize(shmx_segment *segment, size_t size);

/*
 * Keeps the segment in memory, or lets it be swapped again: shmctl(2) with SHM_LOCK and
 * SHM_UNLOCK, mlock(2), munlock(2). Errors: EBADF, EPERM, ENOMEM (RLIMIT_MEMLOCK).
 */
SHMX_API int shmx_segment_mlock(shmx_segment *segment);
SHMX_API int shmx_segment_munlock(shmx_segment *segment);

/*
 * Has the segment lost memory that was mapped (truncated by another process, or no memory left for
 * a page that was not reserved)? Zero pages stand there since. For code that uses
 * segment->object.data directly: ask after an access. Does not block.
 */
SHMX_API bool shmx_segment_lost(const shmx_segment *segment);

/* May these bytes be touched? 0, -EBADF or -ERANGE. Does not block. */
static inline int shmx_segment_range(const shmx_segment *segment, uint64_t offset,
                                     uint64_t length) {
  if (segment->object.data == NULL) return -EBADF;
  return shmx_fits(offset, length, segment->object.size) ? 0 : -ERANGE;
}

SHMX_END_DECLS

#endif
