/*
 * semaphores.h: sets of System V semaphores: made, found, counted down and up, removed. A semaphore
 * is a number from 0 to 32767 that the kernel keeps: processes subtract from it, and sleep while it
 * is too small. Touches base.
 *
 * All functions return 0 or a negative errno (base/error.h); results go to out-parameters, last. A
 * handle holds nothing of the system: it needs no closing, may be copied, may be used by several
 * threads at once, and works in a forked child. A set lives until somebody removes it.
 */
#ifndef SHMX_OS_SEMAPHORES_H
#define SHMX_OS_SEMAPHORES_H

#include "base/api.h"
#include "os/object.h"

SHMX_BEGIN_DECLS

enum {
  SHMX_SEMAPHORES_MOST = 32000,     /* semaphores of one set: SEMMSL, unless it was changed */
  SHMX_SEMAPHORE_VALUE_MOST = 32767 /* of one semaphore: SEMVMX */
};

/* A handle. All zero is a closed one; the fields are the functions' below. */
typedef struct shmx_semaphores {
  int count;   /* semaphores in the set */
  int id;      /* the System V identifier */
  int32_t key; /* SHMX_PRIVATE where it has none */
  bool undo;   /* what this process has changed by operations is undone when it ends: SEM_UNDO */
} shmx_semaphores;

typedef struct shmx_semaphores_options {
  uint32_t mode;          /* permission bits of what is created, whatever the umask; 0 means 0600 */
  uint16_t value;         /* of each semaphore of what is created */
  const uint16_t *values; /* or of each by itself, as many as `count` says; NULL for `value` */
  bool undo;              /* for the handle */
} shmx_semaphores_options;

/*
 * Opens a set of at least `count` semaphores, or creates it; if several processes call it at once,
 * one creates. All of them find the set with its first values: System V makes a set and gives it
 * values by two calls, so one that was never given any is waited for. If that lasts a second, its
 * creator has died in between, or is a program that gives none, and the set is given the values of
 * the options (who has no right to do so takes it as it is). A process that is stopped for half a
 * second within the few instructions before it gives values may give them once more than it should;
 * zeroes that a process of another PID namespace has given, and nobody has used, are not seen.
 *
 * set      receives the handle; not touched after an error
 * name     shmx_key or shmx_id
 * count    1 to SHMX_SEMAPHORES_MOST; 0: the set must exist, and may have any size
 * options  or NULL: mode 0600, all values 0, no undo
 * Errors: ENOENT (no such id; or no such key, and count is 0), ERANGE (it exists and has fewer),
 *   EACCES (the right to read is needed), EINVAL (name, count, mode, a value), EFBIG (SEMMSL),
 *   ENOSPC (SEMMNI, SEMMNS), ENOMEM; EIDRM where the set was removed again and again meanwhile.
 * Sleeps for a second at most, for two where another opener is stopped; signals do not end that.
 * Thread-safe; fork-safe. semget(2); semctl(2) with IPC_STAT, GETVAL, GETPID, SETALL; semop(2);
 * flock(2) on /dev/shm, where a set is without values for a second.
 */
SHMX_API int shmx_semaphores_open(shmx_semaphores *set, shmx_name name, int count,
                                  const shmx_semaphores_options *options);

/*
 * What explains a status of shmx_semaphores_open or shmx_semaphores_operate, as the kernel says it
 * now: ERANGE of open (SHMX_FACT_SIZE: so many semaphores; `wanted` is `count`), ENOSPC, E2BIG; no
 * facts (status 0) for others. semget(2); semctl(2) with IPC_STAT, IPC_INFO, SEM_INFO. Does not
 * block; thread-safe; fork-safe.
 */
SHMX_API void shmx_semaphores_explain(shmx_name name, uint64_t count, int status,
                                      shmx_facts *facts);

/* One step of an operation. */
typedef struct shmx_semaphores_step {
  uint16_t index; /* from 0 */
  int16_t delta;  /* is added; below 0, waits until the value is large enough; 0 waits for 0 */
  int16_t flags;  /* filled in by shmx_semaphores_operate */
} shmx_semaphores_step;

/*
 * Takes all steps at once, in their order, or waits until that is possible; never a part of them.
 *
 * steps     `count` of them, at least 1; the kernel takes 500 (SEMOPM), unless that was changed
 * deadline  as in os/clock.h; one that has passed tries once
 * Errors: ETIMEDOUT, EIDRM (removed, before or while waiting), EINTR (a signal handler has run and
 *   nothing was done: call it again), ERANGE (a value, or what is to be undone of it, would pass
 *   32767), E2BIG, EACCES (changing needs the right to write, waiting for 0 that to read), EINVAL
 *   (no steps, or an index that is not in the set), ENOMEM, EBADF (closed).
 * Blocks until the deadline. Thread-safe; after fork what is undone is each process's own.
 * semtimedop(2).
 */
SHMX_API int shmx_semaphores_operate(const shmx_semaphores *set, shmx_semaphores_step *steps,
                                     size_t count, int64_t deadline);

/*
 * The value of one semaphore, by its index from 0; those of all of them at one moment, `set->count`
 * of them. Errors: EIDRM, EACCES, EINVAL (index), EBADF; of all, ENOMEM. They do not block;
 * thread-safe; fork-safe. semctl(2) with GETVAL; with IPC_STAT and GETALL.
 */
SHMX_API int shmx_semaphores_value(const shmx_semaphores *set, int index, int *value);
SHMX_API int shmx_semaphores_values(const shmx_semaphores *set, uint16_t *values);

/*
 * Gives a semaphore a value, 0 to 32767, wakes who may go on now, and forgets what processes were
 * to undo of it. Errors: EIDRM, EACCES, ERANGE, EINVAL (index), EBADF. Does not block; thread-safe;
 * fork-safe. semctl(2) with SETVAL.
 */
SHMX_API int shmx_semaphores_set(const shmx_semaphores *set, int index, int value);

/* Status of a set. */
typedef struct shmx_semaphores_stat {
  int32_t key;
  int id, count;
  uint32_t mode;      /* permission bits */
  int64_t uid, gid;   /* owner */
  int64_t cuid, cgid; /* creator */
  int64_t otime;      /* seconds since 1970: the last operation */
  int64_t ctime;      /* creation, or the last change by semctl */
} shmx_semaphores_stat;

/* Who is at a semaphore. */
typedef struct shmx_semaphores_users {
  int pid;  /* the process that changed it last; 0 for none, and for one of another PID namespace */
  int ncnt; /* waiters for a larger value */
  int zcnt; /* waiters for 0 */
} shmx_semaphores_users;

/*
 * The status of the set, and who is at one of its semaphores, by the index from 0. Errors: EIDRM,
 * EACCES, EINVAL (index), EBADF. They do not block; thread-safe; fork-safe.
 * semctl(2) with IPC_STAT; with GETPID, GETNCNT, GETZCNT.
 */
SHMX_API int shmx_semaphores_get_stat(const shmx_semaphores *set, shmx_semaphores_stat *stat);
SHMX_API int shmx_semaphores_get_users(const shmx_semaphores *set, int index,
                                       shmx_semaphores_users *users);

/*
 * Removes the set, at once: who waits gets EIDRM. Errors: EIDRM, EPERM, EBADF. Does not block;
 * thread-safe; fork-safe. semctl(2) with IPC_RMID.
 */
SHMX_API int shmx_semaphores_remove(const shmx_semaphores *set);

SHMX_END_DECLS

#endif
