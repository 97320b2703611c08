/*
 * facts.h: what a call that failed found where it failed: the numbers of a message, beside the
 * status. A handle keeps the facts of the last call on it that failed with some. Touches libc.
 */
#ifndef SHMX_BASE_FACTS_H
#define SHMX_BASE_FACTS_H

#include <stdint.h>

/* What was found, and which fields of shmx_facts say more. */
enum {
  SHMX_FACT_SIZE = 1, /* the name is taken by `found` bytes (or semaphores); not `wanted` */
  SHMX_FACT_NO_ARENA, /* the name is taken by a segment of `found` bytes that is no arena */
  SHMX_FACT_RESIZED,  /* the arena was made with `wanted` bytes, and has `found` */
  SHMX_FACT_FORMAT,   /* the arena has the format `found`; 0: its creator has not finished it */
  SHMX_FACT_HANDLES,  /* all `found` handles of the arena are open */
  SHMX_FACT_KIND,     /* the name is taken by an object: `kind`, `layout`, and `found`, its count */
  SHMX_FACT_EXTENT,   /* the arena's largest free extent has `found` bytes; `wanted` are needed */
  SHMX_FACT_OBJECTS,  /* objects fill all `limit` entries; `found` of them were removed and are open
                       */

  SHMX_FACT_NO_DIRECTORY,       /* there is no /dev/shm */
  SHMX_FACT_DANGLING_DIRECTORY, /* /dev/shm is a link that leads nowhere */
  SHMX_FACT_NOT_DIRECTORY,      /* /dev/shm is no directory */
  SHMX_FACT_READONLY_DIRECTORY, /* /dev/shm is mounted readonly */
  SHMX_FACT_CLOSED_DIRECTORY,   /* the mode of /dev/shm keeps this user out */
  SHMX_FACT_UNFIT_DIRECTORY,    /* the file system of /dev/shm has no files without a name */
  SHMX_FACT_NO_PROC,            /* without /proc, this kernel gives a file no name */
  SHMX_FACT_BYTES,              /* /dev/shm has `found` bytes left; `wanted` are needed */
  SHMX_FACT_INODES,             /* all `found` inodes of /dev/shm are used */

  SHMX_FACT_SHMMNI, /* the machine has all its `found` System V segments */
  SHMX_FACT_SHMALL, /* of `limit` pages of System V memory `found` are used; not `wanted` more */
  SHMX_FACT_SEMMNI, /* the machine has all its `found` sets of System V semaphores */
  SHMX_FACT_SEMMNS, /* of `limit` System V semaphores `found` are used */
  SHMX_FACT_SEMOPM  /* one operation takes `found` steps */
};

typedef struct shmx_facts {
  int32_t status; /* the status that they are of; for any other they say nothing */
  uint32_t fact;  /* SHMX_FACT_... */
  uint32_t kind;  /* SHMX_KIND_... */
  uint64_t found, wanted, limit, layout;
} shmx_facts;

/* Notes the facts of a failure, and returns its status. */
static inline int shmx_fail(shmx_facts *facts, int status, uint32_t fact, uint64_t found,
                            uint64_t wanted) {
  const shmx_facts made = {status, fact, 0, found, wanted, 0, 0};
  *facts = made;
  return status;
}

#endif
