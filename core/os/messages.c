/* messages.c: System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2). Touches base. */
#include "os/messages.h"
#include "os/clock.h"

#include <errno.h>
#include <limits.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <time.h>

_Static_assert(LONG_MAX == INT64_MAX, "a type is a long");

enum { OPEN_TRIES = 100 };

#define SHORTEST_NAP (SHMX_SECOND / 20000)
#define LONGEST_NAP  (SHMX_SECOND / 100)

/* Commands are valid, so EINVAL says that the identifier names nothing. */
static int control(int id, int command, struct msqid_ds *ds) {
  if (msgctl(id, command, ds) >= 0) return 0;
  return errno == EINVAL ? -EIDRM : -errno;
}

static int last_slot(struct msginfo *info) {
  return msgctl(0, MSG_INFO, (struct msqid_ds *)(void *)info);
}

/* IPC_STAT needs the right to read; what /proc/sysvipc/msg shows to everybody, nobody needs. */
static int look_up(int id, struct msqid_ds *ds) {
  int status = control(id, IPC_STAT, ds);
  if (status != -EACCES) return status;
  struct msginfo info;
  int last = last_slot(&info);
  for (int slot = 0; slot <= last; slot++)
    if (msgctl(slot, MSG_STAT_ANY, ds) == id) return 0;
  return -EACCES;
}

/* ---- open ---- */

/* Finding asks for no rights yet. Others may create or remove the queue between our two calls. */
static int find_or_create(const shmx_name *name, const shmx_messages_options *options, int *id) {
  for (int i = 0; i < OPEN_TRIES; i++) {
    if (name->key != SHMX_PRIVATE) {
      *id = msgget(name->key, 0);
      if (*id >= 0) return 0;
      if (errno != ENOENT || options->must_exist) return -errno;
    }
    *id = msgget(name->key, IPC_CREAT | IPC_EXCL | (int)options->mode);
    if (*id >= 0) return 0;
    if (errno != EEXIST) return -errno;
  }
  return -EEXIST;
}

int shmx_messages_open(shmx_messages *queue, shmx_name name, const shmx_messages_options *options) {
  shmx_messages_options chosen = {0};
  if (options != NULL) chosen = *options;
  if (chosen.mode == 0) chosen.mode = 0600;
  bool by_id = name.id != SHMX_NO_ID;
  if (name.backing != SHMX_SYSV || name.id < SHMX_NO_ID || chosen.mode > 0777) return -EINVAL;
  if (chosen.must_exist && !shmx_name_is_findable(&name)) return -EINVAL;
  struct msqid_ds ds = {.msg_perm.__key = name.key};
  int id = name.id;
  int status = by_id ? look_up(id, &ds) : find_or_create(&name, &chosen, &id);
  if (status != 0) return by_id && status == -EIDRM ? -ENOENT : status;
  *queue = (shmx_messages){true, id, ds.msg_perm.__key};
  return 0;
}

/* ---- waiting ---- */

/* Sleeps for a while, twice as long the next time, but not past the deadline. */
static int nap(int64_t deadline, int64_t *length) {
  int64_t left = deadline - shmx_clock_now();
  if (left <= 0) return -ETIMEDOUT;
  int64_t now = *length < left ? *length : left;
  struct timespec time = {0, now};
  if (nanosleep(&time, NULL) != 0) return -errno;
  *length = *length < LONGEST_NAP / 2 ? *length * 2 : LONGEST_NAP;
  return 0;
}

/* ---- send ---- */

/* EINVAL: the queue is gone, or the message is longer than MSGMAX. */
static int send_fault(int id, int error) {
  struct msqid_ds ds;
  if (error == EINVAL) return look_up(id, &ds) == -EIDRM ? -EIDRM : -EMSGSIZE;
  return -error;
}

/* The kernel would let it wait for ever. */
static bool can_never_fit(int id, size_t length) {
  struct msqid_ds ds;
  return look_up(id, &ds) == 0 && length > ds.msg_qbytes;
}

int shmx_messages_send(const shmx_messages *queue, void *buffer, size_t length, int64_t type,
                       int64_t deadline) {
  if (!queue->open) return -EBADF;
  if (type < 1) return -EINVAL;
  *(long *)buffer = type;
  int64_t length_of_nap = SHORTEST_NAP;
  for (int flags = IPC_NOWAIT;;) {
    if (msgsnd(queue->id, buffer, length, flags) == 0) return 0;
    if (errno != EAGAIN) return send_fault(queue->id, errno);
    if (can_never_fit(queue->id, length)) return -EMSGSIZE;
    int status = deadline == SHMX_FOREVER ? 0 : nap(deadline, &length_of_nap);
    if (status != 0) return status;
    if (deadline == SHMX_FOREVER) flags = 0;
  }
}

/* ---- receive ---- */

int shmx_messages_receive(const shmx_messages *queue, void *buffer, size_t capacity, int64_t type,
                          bool except, int64_t deadline, shmx_messages_received *message) {
  if (!queue->open) return -EBADF;
  if ((except && type < 1) || capacity > SSIZE_MAX) return -EINVAL;
  int flags = (except ? MSG_EXCEPT : 0) | (deadline == SHMX_FOREVER ? 0 : IPC_NOWAIT);
  int64_t length_of_nap = SHORTEST_NAP;
  for (;;) {
    ssize_t length = msgrcv(queue->id, buffer, capacity, type, flags);
    if (length >= 0) {
      *message = (shmx_messages_received){(size_t)length, *(long *)buffer};
      return 0;
    }
    if (errno != ENOMSG) return errno == EINVAL ? -EIDRM : -errno;
    int status = nap(deadline, &length_of_nap);
    if (status != 0) return status;
  }
}

/* ---- the queue as a whole ---- */

static void fill_in(shmx_messages_stat *stat, int id, const struct msqid_ds *ds) {
  *stat = (shmx_messages_stat){
      .key = ds->msg_perm.__key,
      .id = id,
      .mode = ds->msg_perm.mode & 0777,
      .uid = ds->msg_perm.uid,
      .gid = ds->msg_perm.gid,
      .cuid = ds->msg_perm.cuid,
      .cgid = ds->msg_perm.cgid,
      .qnum = ds->msg_qnum,
      .cbytes = ds->__msg_cbytes,
      .qbytes = ds->msg_qbytes,
      .lspid = ds->msg_lspid,
      .lrpid = ds->msg_lrpid,
      .stime = ds->msg_stime,
      .rtime = ds->msg_rtime,
      .ctime = ds->msg_ctime,
  };
}

int shmx_messages_get_stat(const shmx_messages *queue, shmx_messages_stat *stat) {
  struct msqid_ds ds;
  if (!queue->open) return -EBADF;
  int status = look_up(queue->id, &ds);
  if (status == 0) fill_in(stat, queue->id, &ds);
  return status;
}

int shmx_messages_set(const shmx_messages *queue, const shmx_change *change, int64_t qbytes) {
  struct msqid_ds ds;
  if (!queue->open) return -EBADF;
  if (change->mode > 0777 || change->uid >= UINT32_MAX || change->gid >= UINT32_MAX) return -EINVAL;
  int status = look_up(queue->id, &ds);
  if (status != 0) return status;
  if (change->mode >= 0) ds.msg_perm.mode = (unsigned short)change->mode;
  if (change->uid >= 0) ds.msg_perm.uid = (uid_t)change->uid;
  if (change->gid >= 0) ds.msg_perm.gid = (gid_t)change->gid;
  if (qbytes >= 0) ds.msg_qbytes = (msglen_t)qbytes;
  return control(queue->id, IPC_SET, &ds);
}

int shmx_messages_remove(const shmx_messages *queue) {
  return queue->open ? control(queue->id, IPC_RMID, NULL) : -EBADF;
}

int shmx_messages_list(shmx_messages_stat *list, size_t room, size_t *count) {
  struct msginfo info;
  int last = last_slot(&info);
  *count = 0;
  if (last < 0) return -errno;
  for (int slot = 0; slot <= last; slot++) {
    struct msqid_ds ds;
    int id = msgctl(slot, MSG_STAT_ANY, &ds);
    if (id < 0) continue; /* an empty slot of the kernel's table */
    if (*count < room) fill_in(&list[*count], id, &ds);
    ++*count;
  }
  return 0;
}
