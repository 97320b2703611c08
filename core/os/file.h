/*
 * file.h: regular files as wholes: read, and replaced. Touches base.
 *
 * A file that is written is PATH.tmp until it is whole, and then renamed, so that PATH always names
 * a whole file. A process that is killed leaves PATH.tmp, which the next one removes. Functions
 * return 0 or a negative errno.
 */
#ifndef SHMX_OS_FILE_H
#define SHMX_OS_FILE_H

#include "base/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

SHMX_BEGIN_DECLS

enum { SHMX_PATH_MAX = 4096 /* bytes of a path, with its NUL */ };

/* A file that is being written. The fields are the functions'. */
typedef struct shmx_file {
  char target[SHMX_PATH_MAX];        /* where the symbolic links at the path lead */
  char temporary[SHMX_PATH_MAX + 4]; /* its name until it is whole */
  int fd, status;                    /* status: what the first write that failed returned */
  bool in_the_way;                   /* what shmx_file_begin returned is said of `temporary` */
  uint64_t written;                  /* bytes */
  size_t used;                       /* bytes of the buffer */
  unsigned char buffer[16384];
} shmx_file;

/*
 * Begins to replace a file, or to make one. Symbolic links are followed, and stay. Errors: EISDIR,
 * ENODEV (what is there is no regular file); EBUSY (another writes a file of this name); ELOOP;
 * ENAMETOOLONG; those of open(2).
 */
SHMX_API int shmx_file_begin(shmx_file *file, const char *path);

/* Adds bytes. After an error it does nothing: shmx_file_end returns it. */
SHMX_API void shmx_file_write(shmx_file *file, const void *data, size_t length);

/*
 * Puts a whole file in the place of the old one, which leaves its mode, and its owner if that is
 * permitted; a new one has mode 0600. A file that is not whole, or was not written without an
 * error, is removed. Errors: EFBIG (RLIMIT_FSIZE), ENOSPC, and others of write(2) and rename(2).
 */
SHMX_API int shmx_file_end(shmx_file *file, bool is_whole);

/* Bytes of a regular file. Errors: EISDIR, ENODEV (what is there is none), those of open(2). */
SHMX_API int shmx_file_measure(const char *path, uint64_t *size);

/* Reads so many bytes from the beginning. Errors: as above; EAGAIN (it has another size by now). */
SHMX_API int shmx_file_read(const char *path, void *data, uint64_t size);

/* What is at the path: "a regular file", "a FIFO" ...; static. NULL: nothing is, or an error. */
SHMX_API const char *shmx_file_kind(const char *path);

SHMX_END_DECLS

#endif
