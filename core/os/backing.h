/*
 * backing.h: the contract that System V, POSIX and memfd memory keep. Touches base.
 *
 * Every function returns 0 or a negative errno. `create` and `attach` fill in a zeroed object and
 * leave nothing behind when they fail, but facts. `publish` makes the name of what was created
 * visible, when all else is done, so that whoever finds the name finds all of the memory; System V
 * memory has its key from the start, and anonymous memory never has a name.
 */
#ifndef SHMX_OS_BACKING_H
#define SHMX_OS_BACKING_H

#include "os/object.h"

struct shmx_backing {
  int (*create)(shmx_object *, const shmx_name *, size_t size, const shmx_options *);
  int (*publish)(shmx_object *);
  int (*attach)(shmx_object *, const shmx_name *, const shmx_options *);
  void (*detach)(shmx_object *);
  int (*remove)(const shmx_object *);    /* the name of this very object */
  int (*remove_name)(const shmx_name *); /* whatever has this name now */
  int (*stat)(const shmx_object *, shmx_stat *);
  int (*set)(const shmx_object *, const shmx_change *);
  int (*resize)(shmx_object *, size_t size);
  int (*lock)(const shmx_object *, bool locked);
};

extern const struct shmx_backing shmx_backing_sysv;  /* os/sysv.c */
extern const struct shmx_backing shmx_backing_posix; /* os/posix.c */
extern const struct shmx_backing shmx_backing_memfd; /* os/memfd.c */

/* The backing of this kind, or NULL where there is none. */
const struct shmx_backing *shmx_backing_of(int backing);

/* The backings' parts of shmx_list: fill in at most `room` entries, count all of them. */
int shmx_sysv_list(shmx_stat *list, size_t room, size_t *count);
int shmx_posix_list(shmx_stat *list, size_t room, size_t *count);

#endif
