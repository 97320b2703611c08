/*
 * object.h: what the operating system knows of a piece of shared memory: its name, the options it
 * is made or mapped with, its mapping in this process, its status. Types only. Touches base.
 */
#ifndef SHMX_OS_OBJECT_H
#define SHMX_OS_OBJECT_H

#include "base/api.h"
#include "base/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The three backings of shared memory. */
enum {
  SHMX_SYSV = 1, /* System V: shmget(2), named by a key or an identifier */
  SHMX_POSIX,    /* POSIX: shm_open(3), named "/name" */
  SHMX_MEMFD,    /* anonymous: memfd_create(2); children inherit it by fork */
  SHMX_PART      /* no backing of its own: an object in an arena, named by the arena */
};

enum {
  SHMX_NAME_MAX = 255, /* bytes of a POSIX name after its "/" */
  SHMX_PRIVATE = 0,    /* the key IPC_PRIVATE: a new segment each time, found by its id only */
  SHMX_NO_ID = -1      /* no System V identifier */
};

/* How a piece of shared memory is called. Made by shmx_key, shmx_id, shmx_posix, shmx_anonymous. */
typedef struct shmx_name {
  int backing;
  int32_t key;       /* SHMX_SYSV */
  int id;            /* SHMX_SYSV; SHMX_NO_ID where the key names it */
  const char *posix; /* SHMX_POSIX; "/name" */
} shmx_name;

static inline shmx_name shmx_key(int32_t key) {
  shmx_name name = {SHMX_SYSV, key, SHMX_NO_ID, NULL};
  return name;
}

static inline shmx_name shmx_id(int id) {
  shmx_name name = {SHMX_SYSV, 0, id, NULL};
  return name;
}

static inline shmx_name shmx_posix(const char *path) {
  shmx_name name = {SHMX_POSIX, 0, SHMX_NO_ID, path};
  return name;
}

static inline shmx_name shmx_anonymous(void) {
  shmx_name name = {SHMX_MEMFD, 0, SHMX_NO_ID, NULL};
  return name;
}

/* Can this name be attached to? IPC_PRIVATE and anonymous memory are new each time. */
static inline bool shmx_name_is_findable(const shmx_name *name) {
  if (name->backing == SHMX_SYSV) return name->key != SHMX_PRIVATE || name->id != SHMX_NO_ID;
  return name->backing == SHMX_POSIX;
}

/* Flags of shmx_options. */
enum {
  SHMX_READONLY = 1 << 0,  /* map without the right to write: SHM_RDONLY, PROT_READ */
  SHMX_ROUND = 1 << 1,     /* round the address down to a page: SHM_RND */
  SHMX_HUGE = 1 << 2,      /* huge pages: SHM_HUGETLB, MFD_HUGETLB (create; not POSIX) */
  SHMX_MLOCK = 1 << 3,     /* keep in memory, never swap: SHM_LOCK, mlock(2) */
  SHMX_POPULATE = 1 << 4,  /* fault every page in now: MADV_POPULATE_READ or _WRITE */
  SHMX_NORESERVE = 1 << 5, /* take memory at first touch, not at creation: SHM_NORESERVE */
  SHMX_OWNED = 1 << 6      /* the creating process removes the name when it detaches */
};

typedef struct shmx_options {
  uint32_t mode;  /* permission bits of what is created, whatever the umask; 0 means 0600 */
  uint32_t flags; /* SHMX_READONLY ... */
  void *address;  /* where to map; NULL leaves it to the system */
} shmx_options;

/*
 * A piece of shared memory, mapped into this process. The backings fill it in; `data` is NULL
 * while it is detached.
 */
typedef struct shmx_object {
  unsigned char *data;
  size_t size;   /* the bytes that may be used: every access is checked against this */
  size_t length; /* the bytes that are mapped: `size` in whole pages */
  int backing;
  int32_t key;
  int id;
  int fd;
  bool readonly;
  bool huge;
  bool sparse;              /* SHMX_NORESERVE: what it grows by is taken at first touch, too */
  const uint32_t *live;     /* what stops being SHMX_LIVE when others remove it: SHMX_PART */
  struct shmx_watch *watch; /* knows whether the mapping has lost memory: os/fault.h */
  char posix[SHMX_NAME_MAX + 2];
  shmx_facts facts; /* of the last call that failed, also while it is detached */
} shmx_object;

enum { SHMX_LIVE = 1 };

/* Is it still what it was? Only the objects of an arena stop being so. */
static inline bool shmx_object_is_live(const shmx_object *object) {
  return __atomic_load_n(object->live, __ATOMIC_RELAXED) == SHMX_LIVE;
}

/* Status of a piece of shared memory. -1 stands for what its backing does not know. */
typedef struct shmx_stat {
  int backing;
  int32_t key;                   /* System V */
  int id;                        /* System V */
  char posix[SHMX_NAME_MAX + 2]; /* POSIX */
  uint64_t size;                 /* bytes */
  int64_t allocated;             /* bytes of memory it holds now (POSIX, memfd) */
  int64_t nattch;                /* attached mappings, machine-wide (System V) */
  int64_t cpid, lpid;            /* who created it; who attached or detached last (System V) */
  int creator_lives;           /* 0 or 1: does a process have cpid (System V, own PID namespace) */
  int64_t atime, dtime, ctime; /* seconds since 1970, 0 for never; System V: last attach, last */
  int64_t mtime;               /* detach, last change by IPC_SET; others: as in stat(2) */
  int64_t uid, gid;            /* owner */
  int64_t cuid, cgid;          /* creator (System V) */
  int64_t seq;                 /* sequence number in its slot of the kernel's table (System V) */
  int64_t ino;                 /* inode (POSIX, memfd) */
  uint32_t mode;               /* permission bits */
  bool removed;                /* its name is gone; it lives until the last detach */
  bool locked;                 /* SHM_LOCK is in force (System V) */
} shmx_stat;

/* What shmx_segment_set changes; -1 leaves a field as it is. */
typedef struct shmx_change {
  int64_t mode, uid, gid;
} shmx_change;

/* The machine's limits. */
typedef struct shmx_limits {
  uint64_t page_size;              /* bytes */
  uint64_t huge_page_size;         /* bytes; 0 where the kernel has none */
  uint64_t shmmax, shmmin;         /* bytes of one System V segment */
  uint64_t shmmni;                 /* System V segments in all */
  uint64_t shmall;                 /* pages of all System V segments together */
  uint64_t msgmax;                 /* bytes of one message of a System V queue */
  uint64_t msgmnb;                 /* bytes of all messages in one queue */
  uint64_t msgmni;                 /* System V queues in all */
  uint64_t posix_size, posix_free; /* bytes of /dev/shm: in all, and still to be had */
  uint64_t memory_free;            /* bytes of memory that this process can still have */
  uint64_t memory_limit; /* of the control group that leaves so few; UINT64_MAX for none */
} shmx_limits;

#endif
