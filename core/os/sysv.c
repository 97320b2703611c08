/* sysv.c: System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2). Touches base. */
#include "os/backing.h"
#include "os/page.h"
#include "os/process.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

_Static_assert(SHMX_PRIVATE == IPC_PRIVATE, "the key that is new each time");

static int control(int id, int command, struct shmid_ds *ds) {
  if (shmctl(id, command, ds) >= 0) return 0;
  /* An identifier that names nothing is EINVAL or EIDRM: for us, as for a key, it does not exist.
   */
  return errno == EINVAL || errno == EIDRM ? -ENOENT : -errno;
}

static int map(shmx_object *object, const shmx_options *options) {
  int flags = (options->flags & SHMX_READONLY ? SHM_RDONLY : 0) |
              (options->flags & SHMX_ROUND ? SHM_RND : 0);
  void *data = shmat(object->id, options->address, flags);
  if (data == (void *)-1) {
    if (errno != EINVAL && errno != EIDRM) return -errno;
    struct shmid_ds ds; /* EINVAL is both: no such segment, no such place */
    return control(object->id, IPC_STAT, &ds) == -ENOENT ? -ENOENT : -EADDRINUSE;
  }
  object->data = data;
  object->readonly = options->flags & SHMX_READONLY;
  return 0;
}

/* IPC_STAT needs the right to read; what /proc/sysvipc/shm shows to everybody has its owner, too.
 */
static int look_up(int id, struct shmid_ds *ds) {
  int status = control(id, IPC_STAT, ds);
  if (status != -EACCES) return status;
  struct shm_info info;
  int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
  for (int slot = 0; slot <= last; slot++)
    if (shmctl(slot, SHM_STAT_ANY, ds) == id) return 0;
  return -EACCES;
}

/* The size that the kernel keeps; the mapping is that in whole pages. */
static int measure(shmx_object *object) {
  struct shmid_ds ds;
  int status = look_up(object->id, &ds);
  if (status != 0) return status;
  object->size = ds.shm_segsz;
  object->key = ds.shm_perm.__key;
  return shmx_round_up(object->size, shmx_page_size(object->huge), &object->length) ? 0 : -EFBIG;
}

static void detach(shmx_object *object) {
  /* With its memory lost the segment is gone from there, and zero pages are in its place. */
  if (shmdt(object->data) != 0) munmap(object->data, object->length);
}

/* The kernel has no place, or no pages, for another segment. */
static int fail_space(shmx_object *object, size_t size) {
  struct shm_info used;
  struct shminfo limits;
  if (shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&used) < 0 ||
      shmctl(0, IPC_INFO, (struct shmid_ds *)(void *)&limits) < 0)
    return -ENOSPC;
  if ((unsigned long)used.used_ids >= limits.shmmni)
    return shmx_fail(&object->facts, -ENOSPC, SHMX_FACT_SHMMNI, limits.shmmni, 0);
  size_t page = shmx_page_size(false), pages = size / page + (size % page != 0);
  shmx_fail(&object->facts, -ENOSPC, SHMX_FACT_SHMALL, used.shm_tot, pages);
  object->facts.limit = limits.shmall;
  return -ENOSPC;
}

static int create(shmx_object *object, const shmx_name *name, size_t size,
                  const shmx_options *options) {
  if (name->id != SHMX_NO_ID) return -EINVAL; /* the kernel chooses identifiers */
  object->huge = options->flags & SHMX_HUGE;
  if (!shmx_round_up(size, shmx_page_size(object->huge), &object->length)) return -EFBIG;
  int flags = IPC_CREAT | IPC_EXCL | (int)options->mode | (object->huge ? SHM_HUGETLB : 0) |
              (options->flags & SHMX_NORESERVE ? SHM_NORESERVE : 0);
  object->id = shmget(name->key, size, flags);
  if (object->id < 0) {
    if (errno == ENOSPC) return fail_space(object, size);
    if (errno != EINVAL) return -errno;
    return object->huge ? -ENOTSUP : -EFBIG; /* a valid size is refused only above SHMMAX */
  }
  object->size = size;
  object->key = name->key;
  int status = map(object, options);
  if (status != 0) shmctl(object->id, IPC_RMID, NULL);
  return status;
}

static int publish(shmx_object *object) {
  (void)object;
  return 0; /* shmget has done it */
}

/* shmget with size 0 finds whatever has the key, with no flags it asks for no permission yet. */
static int find(const shmx_name *name, int *id) {
  if (!shmx_name_is_findable(name)) return -EINVAL;
  *id = name->id != SHMX_NO_ID ? name->id : shmget(name->key, 0, 0);
  return *id < 0 ? -errno : 0;
}

static int attach(shmx_object *object, const shmx_name *name, const shmx_options *options) {
  int status = find(name, &object->id);
  if (status == 0) status = map(object, options);
  if (status != 0) return status;
  status = measure(object);
  if (status != 0) shmdt(object->data);
  return status;
}

/* The kernel would let what is removed already be removed again, until the last detach. */
static int remove_id(int id) {
  struct shmid_ds ds;
  bool removed = look_up(id, &ds) == 0 && ds.shm_perm.mode & SHM_DEST;
  return removed ? -ENOENT : control(id, IPC_RMID, NULL);
}

static int remove_object(const shmx_object *object) {
  return remove_id(object->id);
}

static int remove_name(const shmx_name *name) {
  int id;
  int status = find(name, &id);
  return status != 0 ? status : remove_id(id);
}

static void fill_in(shmx_stat *stat, int id, const struct shmid_ds *ds) {
  *stat = (shmx_stat){
      .backing = SHMX_SYSV,
      .key = ds->shm_perm.__key,
      .id = id,
      .size = ds->shm_segsz,
      .allocated = -1,
      .nattch = (int64_t)ds->shm_nattch,
      .cpid = ds->shm_cpid,
      .lpid = ds->shm_lpid,
      .creator_lives = ds->shm_cpid > 0 ? shmx_process_number_lives(ds->shm_cpid) : -1,
      .atime = ds->shm_atime,
      .dtime = ds->shm_dtime,
      .ctime = ds->shm_ctime,
      .mtime = -1,
      .uid = ds->shm_perm.uid,
      .gid = ds->shm_perm.gid,
      .cuid = ds->shm_perm.cuid,
      .cgid = ds->shm_perm.cgid,
      .seq = ds->shm_perm.__seq,
      .ino = -1,
      .mode = ds->shm_perm.mode & 0777,
      .removed = ds->shm_perm.mode & SHM_DEST,
      .locked = ds->shm_perm.mode & SHM_LOCKED,
  };
}

static int stat_object(const shmx_object *object, shmx_stat *stat) {
  struct shmid_ds ds;
  int status = look_up(object->id, &ds);
  if (status == 0) fill_in(stat, object->id, &ds);
  return status;
}

static int set(const shmx_object *object, const shmx_change *change) {
  struct shmid_ds ds;
  int status = look_up(object->id, &ds);
  if (status != 0) return status;
  if (change->mode >= 0) ds.shm_perm.mode = (unsigned short)change->mode;
  if (change->uid >= 0) ds.shm_perm.uid = (uid_t)change->uid;
  if (change->gid >= 0) ds.shm_perm.gid = (gid_t)change->gid;
  return control(object->id, IPC_SET, &ds);
}

static int resize(shmx_object *object, size_t size) {
  (void)object, (void)size;
  return -ENOTSUP; /* System V has no call for it */
}

static int lock(const shmx_object *object, bool locked) {
  return control(object->id, locked ? SHM_LOCK : SHM_UNLOCK, NULL);
}

/* SHM_STAT_ANY reads what /proc/sysvipc/shm shows to everybody (Linux 4.17). */
int shmx_sysv_list(shmx_stat *list, size_t room, size_t *count) {
  struct shm_info info;
  int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
  if (last < 0) return -errno;
  for (int slot = 0; slot <= last; slot++) {
    struct shmid_ds ds;
    int id = shmctl(slot, SHM_STAT_ANY, &ds);
    if (id < 0) continue; /* an empty slot of the kernel's table */
    if (*count < room) fill_in(&list[*count], id, &ds);
    ++*count;
  }
  return 0;
}

const struct shmx_backing shmx_backing_sysv = {
    .create = create,
    .publish = publish,
    .attach = attach,
    .detach = detach,
    .remove = remove_object,
    .remove_name = remove_name,
    .stat = stat_object,
    .set = set,
    .resize = resize,
    .lock = lock,
};
