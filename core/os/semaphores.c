/* semaphores.c: System V semaphores: semget(2), semctl(2), semtimedop(2). Touches base. */
#include "os/semaphores.h"
#include "os/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>
#include <unistd.h>

/* The kernel gets our steps as they are. */
_Static_assert(sizeof(shmx_semaphores_step) == sizeof(struct sembuf), "size of a step");
_Static_assert(offsetof(shmx_semaphores_step, delta) == offsetof(struct sembuf, sem_op), "delta");
_Static_assert(offsetof(shmx_semaphores_step, flags) == offsetof(struct sembuf, sem_flg), "flags");

enum { OPEN_TRIES = 100 };

#define PATIENCE     SHMX_SECOND           /* with a set that nobody gives values */
#define SHORTEST_NAP (SHMX_SECOND / 20000) /* most creators need less */
#define LONGEST_NAP  (SHMX_SECOND / 100)

union semun { /* semctl(2): the caller has to define it */
  int val;
  struct semid_ds *buf;
  unsigned short *array;
};

/* Indexes and commands are valid by then, so EINVAL says that the identifier names nothing. */
static int control(int id, int index, int command, union semun argument) {
  int result = semctl(id, index, command, argument);
  if (result >= 0) return result;
  return errno == EINVAL ? -EIDRM : -errno;
}

static int get(int id, int index, int command) {
  return control(id, index, command, (union semun){0});
}

static int get_status(int id, struct semid_ds *ds) {
  return control(id, 0, IPC_STAT, (union semun){.buf = ds});
}

/* ---- first values ---- */

/*
 * A set is made without values (on Linux they are 0) and given them afterwards. Between the two it
 * has never been operated on (otime), no semaphore has been set by anybody (GETPID), and all are
 * 0. The last is for those who set some in another PID namespace: their numbers are 0 for us.
 */
static int is_without_values(int id, const struct semid_ds *ds) {
  if (ds->sem_otime != 0) return 0;
  for (int i = 0; i < (int)ds->sem_nsems; i++) {
    int pid = get(id, i, GETPID), value = pid == 0 ? get(id, i, GETVAL) : pid;
    if (value != 0) return value < 0 ? value : 0;
  }
  return 1;
}

/* All at once: SETALL changes values and GETPID under one lock of the kernel. */
static int give_values(int id, int size, int count, const shmx_semaphores_options *options) {
  unsigned short *all = calloc((size_t)size, sizeof *all);
  if (all == NULL) return -ENOMEM;
  for (int i = 0; i < size; i++)
    all[i] = options->values == NULL ? options->value : i < count ? options->values[i] : 0;
  int status = control(id, 0, SETALL, (union semun){.array = all});
  short down = all[0] > 0 ? -1 : 0;
  free(all);
  if (status < 0) return status;
  /*
   * An operation that changes nothing: C programs that wait for the first operation before they
   * use a set (otime, as textbooks have it) go on. If it fails somebody has been faster.
   */
  struct sembuf touch[] = {{0, down, IPC_NOWAIT}, {0, (short)-down, IPC_NOWAIT}};
  semop(id, touch, 2);
  return 0;
}

/* Sleeps for a while, twice as long the next time. */
static void nap(int64_t *length) {
  struct timespec time = {0, *length};
  nanosleep(&time, NULL);
  *length = *length < LONGEST_NAP / 2 ? *length * 2 : LONGEST_NAP;
}

/*
 * Those who find a set without values for too long take turns, so that no second one overwrites
 * what the first has given and then used. The turn is a lock on the folder of shared memory, one
 * for all sets: it is there, leaves no name, and ends with its process. It is held for a few system
 * calls; who is kept waiting for a second, by one that is stopped in them, goes on without.
 */
static int take_turn(void) {
  int folder = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int64_t late = shmx_clock_now() + PATIENCE, length = SHORTEST_NAP;
  while (folder >= 0 && flock(folder, LOCK_EX | LOCK_NB) != 0 && shmx_clock_now() < late)
    nap(&length);
  return folder;
}

static void end_turn(int folder) {
  if (folder >= 0) close(folder);
}

/* Gives values to a set, unless somebody else has done so by now. */
static int give_missing_values(int id, int count, const shmx_semaphores_options *options) {
  struct semid_ds ds;
  int turn = take_turn();
  int status = get_status(id, &ds);
  if (status == 0) status = is_without_values(id, &ds);
  if (status == 1) status = give_values(id, (int)ds.sem_nsems, count, options);
  end_turn(turn);
  return status;
}

/* Returns 1 as soon as the set has values, 0 if it has none for too long. */
static int await_values(int id, struct semid_ds *ds) {
  int64_t late = shmx_clock_now() + PATIENCE, length = SHORTEST_NAP;
  for (;;) {
    int status = get_status(id, ds);
    if (status == 0) status = is_without_values(id, ds);
    if (status <= 0) return status < 0 ? status : 1;
    if (shmx_clock_now() >= late) return 0;
    nap(&length);
  }
}

/* ---- open ---- */

/* What follows returns -EIDRM for what is to be begun anew: the set has gone, or has appeared. */

/* Whoever was away for long between the two calls has perhaps been taken for dead. */
static int create(const shmx_name *name, int count, const shmx_semaphores_options *options,
                  int *id) {
  int64_t started = shmx_clock_now();
  *id = semget(name->key, count, IPC_CREAT | IPC_EXCL | (int)options->mode);
  if (*id < 0) return errno == EEXIST ? -EIDRM : errno == EINVAL ? -EFBIG : -errno;
  bool late = name->key != SHMX_PRIVATE && shmx_clock_now() - started > PATIENCE / 2;
  int status =
      late ? give_missing_values(*id, count, options) : give_values(*id, count, count, options);
  if (status < 0 && !late) semctl(*id, 0, IPC_RMID);
  return status;
}

/* Who may not give the missing values takes the set as it is. */
static int adopt(int id, int count, const shmx_semaphores_options *options, struct semid_ds *ds) {
  int status = get_status(id, ds);
  if (status != 0) return status;
  if ((int)ds->sem_nsems < count) return -ERANGE;
  status = await_values(id, ds);
  if (status == 0) status = give_missing_values(id, count, options);
  return status > 0 || status == -EACCES ? 0 : status;
}

static int open_once(shmx_semaphores *set, const shmx_name *name, int count,
                     const shmx_semaphores_options *options) {
  bool by_id = name->id != SHMX_NO_ID, findable = shmx_name_is_findable(name);
  struct semid_ds ds = {.sem_nsems = (unsigned long)count, .sem_perm.__key = name->key};
  int id = name->id, status;
  if (!by_id && findable) id = semget(name->key, 0, 0); /* of any size; asks for no rights yet */
  if (id >= 0) {
    status = adopt(id, count, options, &ds);
    if (status == -EIDRM && by_id) status = -ENOENT;
  } else if (findable && errno != ENOENT) {
    status = -errno;
  } else {
    status = count > 0 ? create(name, count, options, &id) : -ENOENT;
  }
  if (status != 0) return status;
  *set = (shmx_semaphores){(int)ds.sem_nsems, id, ds.sem_perm.__key, options->undo};
  return 0;
}

static bool is_sensible(const shmx_name *name, int count, const shmx_semaphores_options *options) {
  if (name->backing != SHMX_SYSV || name->id < SHMX_NO_ID) return false;
  if (count == 0 && !shmx_name_is_findable(name)) return false;
  if (count < 0 || count > SHMX_SEMAPHORES_MOST || options->mode > 0777) return false;
  if (options->value > SHMX_SEMAPHORE_VALUE_MOST) return false;
  for (int i = 0; options->values != NULL && i < count; i++)
    if (options->values[i] > SHMX_SEMAPHORE_VALUE_MOST) return false;
  return true;
}

int shmx_semaphores_open(shmx_semaphores *set, shmx_name name, int count,
                         const shmx_semaphores_options *options) {
  shmx_semaphores_options chosen = {0};
  if (options != NULL) chosen = *options;
  if (chosen.mode == 0) chosen.mode = 0600;
  if (!is_sensible(&name, count, &chosen)) return -EINVAL;
  int status = -EIDRM;
  for (int i = 0; i < OPEN_TRIES && status == -EIDRM; i++)
    status = open_once(set, &name, count, &chosen);
  return status;
}

/* ---- why not ---- */

static int found_count(const shmx_name *name) {
  struct semid_ds ds;
  int id = name->id != SHMX_NO_ID ? name->id : semget(name->key, 0, 0);
  return id >= 0 && get_status(id, &ds) == 0 ? (int)ds.sem_nsems : 0;
}

/* SEM_INFO has the number of sets in the field semusz, and of semaphores in semaem. */
static void explain_space(shmx_facts *facts) {
  struct seminfo info;
  if (semctl(0, 0, SEM_INFO, (union semun){.buf = (struct semid_ds *)(void *)&info}) < 0) return;
  if (info.semusz >= info.semmni) {
    shmx_fail(facts, -ENOSPC, SHMX_FACT_SEMMNI, (uint64_t)info.semmni, 0);
  } else {
    shmx_fail(facts, -ENOSPC, SHMX_FACT_SEMMNS, (uint64_t)info.semaem, 0);
    facts->limit = (uint64_t)info.semmns;
  }
}

void shmx_semaphores_explain(shmx_name name, uint64_t count, int status, shmx_facts *facts) {
  struct seminfo info;
  *facts = (shmx_facts){0};
  if (status == -ERANGE)
    shmx_fail(facts, status, SHMX_FACT_SIZE, (uint64_t)found_count(&name), count);
  else if (status == -ENOSPC)
    explain_space(facts);
  else if (status == -E2BIG &&
           semctl(0, 0, IPC_INFO, (union semun){.buf = (struct semid_ds *)(void *)&info}) >= 0)
    shmx_fail(facts, status, SHMX_FACT_SEMOPM, (uint64_t)info.semopm, count);
}

/* ---- operations ---- */

int shmx_semaphores_operate(const shmx_semaphores *set, shmx_semaphores_step *steps, size_t count,
                            int64_t deadline) {
  if (set->count == 0) return -EBADF;
  if (count == 0) return -EINVAL;
  if (count > UINT16_MAX) return -E2BIG; /* the kernel would look at the low 32 bits only */
  int64_t now = shmx_clock_now();
  bool trying = deadline <= now, limited = !trying && deadline != SHMX_FOREVER;
  for (size_t i = 0; i < count; i++) {
    if (steps[i].index >= set->count) return -EINVAL;
    steps[i].flags =
        (int16_t)((trying ? IPC_NOWAIT : 0) | (set->undo && steps[i].delta != 0 ? SEM_UNDO : 0));
  }
  int64_t left = limited ? deadline - now : 0;
  struct timespec time = {left / SHMX_SECOND, left % SHMX_SECOND};
  if (semtimedop(set->id, (struct sembuf *)(void *)steps, count, limited ? &time : NULL) == 0)
    return 0;
  if (errno == EAGAIN) return -ETIMEDOUT;
  /* All is valid, so the identifier names nothing any more, or a smaller set by now. */
  return errno == EINVAL || errno == EFBIG ? -EIDRM : -errno;
}

/* ---- one call each ---- */

static int check(const shmx_semaphores *set, int index) {
  if (set->count == 0) return -EBADF;
  return index >= 0 && index < set->count ? 0 : -EINVAL;
}

int shmx_semaphores_value(const shmx_semaphores *set, int index, int *value) {
  int status = check(set, index);
  if (status == 0) status = get(set->id, index, GETVAL);
  if (status < 0) return status;
  *value = status;
  return 0;
}

/* GETALL asks for no size: identifiers are used again at last, and the set may be another by now.
 */
int shmx_semaphores_values(const shmx_semaphores *set, uint16_t *values) {
  struct semid_ds ds;
  if (set->count == 0) return -EBADF;
  int status = get_status(set->id, &ds);
  if (status == 0 && (int)ds.sem_nsems != set->count) status = -EIDRM;
  return status == 0 ? control(set->id, 0, GETALL, (union semun){.array = values}) : status;
}

int shmx_semaphores_set(const shmx_semaphores *set, int index, int value) {
  int status = check(set, index);
  return status == 0 ? control(set->id, index, SETVAL, (union semun){.val = value}) : status;
}

int shmx_semaphores_get_stat(const shmx_semaphores *set, shmx_semaphores_stat *stat) {
  struct semid_ds ds;
  if (set->count == 0) return -EBADF;
  int status = get_status(set->id, &ds);
  if (status != 0) return status;
  *stat = (shmx_semaphores_stat){
      .key = ds.sem_perm.__key,
      .id = set->id,
      .count = (int)ds.sem_nsems,
      .mode = ds.sem_perm.mode & 0777,
      .uid = ds.sem_perm.uid,
      .gid = ds.sem_perm.gid,
      .cuid = ds.sem_perm.cuid,
      .cgid = ds.sem_perm.cgid,
      .otime = ds.sem_otime,
      .ctime = ds.sem_ctime,
  };
  return 0;
}

int shmx_semaphores_get_users(const shmx_semaphores *set, int index, shmx_semaphores_users *users) {
  int status = check(set, index);
  int pid = status == 0 ? get(set->id, index, GETPID) : status;
  int ncnt = pid >= 0 ? get(set->id, index, GETNCNT) : pid;
  int zcnt = ncnt >= 0 ? get(set->id, index, GETZCNT) : ncnt;
  if (zcnt < 0) return zcnt;
  *users = (shmx_semaphores_users){pid, ncnt, zcnt};
  return 0;
}

int shmx_semaphores_remove(const shmx_semaphores *set) {
  return set->count != 0 ? get(set->id, 0, IPC_RMID) : -EBADF;
}
