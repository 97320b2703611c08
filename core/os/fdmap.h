/* fdmap.h: what POSIX objects and memfds share: they are descriptors. Touches base. */
#ifndef SHMX_OS_FDMAP_H
#define SHMX_OS_FDMAP_H

#include "os/object.h"

/* Gives a new, empty descriptor its size, and its memory unless SHMX_NORESERVE. */
int shmx_fdmap_size(int fd, size_t size, const shmx_options *options);

/* Maps the object's descriptor; `size` and `length` are set. */
int shmx_fdmap_map(shmx_object *object, size_t size, const shmx_options *options);

/* From here on, a look at what is there and what is free costs nothing beside the zeroing. */
enum { SHMX_FDMAP_LARGE = 16 << 20 };

/*
 * Extends an object from its former size, with memory behind it. -ENOMEM if the machine has not as
 * much, -ENOSPC if the file system has not; the object is then as it was.
 */
int shmx_fdmap_reserve(int fd, size_t former, size_t size);

/* Extends an object without memory behind it. */
int shmx_fdmap_extend(int fd, size_t size);

/* Undoes an extension, unless another process has changed the size again meanwhile. */
void shmx_fdmap_take_back(int fd, size_t former, size_t size);

/* The backing's functions that are the same for both. */
void shmx_fdmap_detach(shmx_object *object);
int shmx_fdmap_stat(const shmx_object *object, shmx_stat *stat);
int shmx_fdmap_set(const shmx_object *object, const shmx_change *change);
int shmx_fdmap_lock(const shmx_object *object, bool locked);

struct stat;

/* The part of a status that stat(2) knows. */
void shmx_fdmap_fill_in(shmx_stat *stat, int backing, const struct stat *found);

#endif
