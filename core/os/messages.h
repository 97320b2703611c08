/*
 * messages.h: System V message queues: made, found, sent to, received from, removed. The kernel
 * keeps the messages, each with a type, in the order in which they were sent. Touches base.
 *
 * All functions return 0 or a negative errno (base/error.h); results go to out-parameters, last. A
 * handle holds nothing of the system: it needs no closing, may be copied, may be used by several
 * threads at once, and works in a forked child. A queue lives until somebody removes it.
 */
#ifndef SHMX_OS_MESSAGES_H
#define SHMX_OS_MESSAGES_H

#include "base/api.h"
#include "os/object.h"

SHMX_BEGIN_DECLS

/* A handle. All zero is a closed one; the fields are the functions' below. */
typedef struct shmx_messages {
  bool open;
  int id;      /* the System V identifier */
  int32_t key; /* SHMX_PRIVATE where it has none */
} shmx_messages;

typedef struct shmx_messages_options {
  uint32_t mode;   /* permission bits of what is created, whatever the umask; 0 means 0600 */
  bool must_exist; /* creates nothing */
} shmx_messages_options;

/*
 * Opens a queue, or creates it; if several processes call it at once, one creates.
 *
 * queue    receives the handle; not touched after an error
 * name     shmx_key or shmx_id
 * options  or NULL: mode 0600
 * Errors: ENOENT (no such id; or no such key, and it must exist), EINVAL (name, mode), ENOSPC
 *   (MSGMNI), ENOMEM; EEXIST where the queue was removed and made again and again meanwhile.
 * Does not block; thread-safe; fork-safe. msgget(2); msgctl(2) with IPC_STAT, MSG_STAT_ANY.
 */
SHMX_API int shmx_messages_open(shmx_messages *queue, shmx_name name,
                                const shmx_messages_options *options);

/* Bytes at the start of a buffer that the kernel needs for the type. */
enum { SHMX_MESSAGES_HEAD = sizeof(long) };

/*
 * Sends a message, or waits until the queue has room for it.
 *
 * buffer    SHMX_MESSAGES_HEAD bytes for this function's use, aligned as a long, and then the data
 * length    bytes of data, also 0
 * type      at least 1
 * deadline  as in os/clock.h; one that has passed tries once. The system calls know none: until
 *           then the queue is looked at every 50 us, and at longer and longer intervals up to 10 ms
 * Errors: ETIMEDOUT, EMSGSIZE (more than MSGMAX, or than the queue may ever hold), EIDRM (removed,
 *   before or while waiting), EINTR (a signal handler has run and nothing was sent: call it again),
 *   EACCES (the right to write is needed), EINVAL (type), ENOMEM, EBADF (closed).
 * Blocks until the deadline; without one, in the kernel. Thread-safe; fork-safe. msgsnd(2).
 */
SHMX_API int shmx_messages_send(const shmx_messages *queue, void *buffer, size_t length,
                                int64_t type, int64_t deadline);

/* What shmx_messages_receive has received. */
typedef struct shmx_messages_received {
  size_t length; /* bytes of data */
  int64_t type;
} shmx_messages_received;

/*
 * Receives a message, or waits until there is one. Nothing is cut off: a message that is longer
 * than the buffer stays in the queue.
 *
 * buffer    receives SHMX_MESSAGES_HEAD bytes, and then the data; aligned as a long
 * capacity  bytes of data that it has room for
 * type      0: the first message; above 0: the first of this type; below 0: the first of the lowest
 *           type that is at most -type
 * except    of any type but `type`, which is above 0: MSG_EXCEPT
 * deadline  as above
 * Errors: ETIMEDOUT, E2BIG (longer than the buffer), EIDRM, EINTR (nothing was received), EACCES
 *   (the right to read is needed), EINVAL (except, with a type that is not above 0), EBADF.
 * Blocks until the deadline; without one, in the kernel. Thread-safe; fork-safe. msgrcv(2).
 */
SHMX_API int shmx_messages_receive(const shmx_messages *queue, void *buffer, size_t capacity,
                                   int64_t type, bool except, int64_t deadline,
                                   shmx_messages_received *message);

/* Status of a queue. */
typedef struct shmx_messages_stat {
  int32_t key;
  int id;
  uint32_t mode;                 /* permission bits */
  int64_t uid, gid;              /* owner */
  int64_t cuid, cgid;            /* creator */
  uint64_t qnum, cbytes, qbytes; /* messages in it; bytes of their data; how many that may be */
  int64_t lspid, lrpid;        /* who sent last, who received; 0: nobody, or another namespace's */
  int64_t stime, rtime, ctime; /* seconds since 1970, 0 for never: last send, receive, change */
} shmx_messages_stat;

/* Errors: EIDRM, EBADF. Does not block; thread-safe; fork-safe. msgctl(2) with IPC_STAT, or
 * MSG_STAT_ANY without the right to read. */
SHMX_API int shmx_messages_get_stat(const shmx_messages *queue, shmx_messages_stat *stat);

/*
 * Changes mode and owner, and how many bytes the data may have together; -1 leaves a field as it
 * is. Errors: EIDRM, EPERM (it is another's; or more than MSGMNB, which root may), EINVAL, EBADF.
 * Does not block; thread-safe; fork-safe. msgctl(2) with IPC_SET.
 */
SHMX_API int shmx_messages_set(const shmx_messages *queue, const shmx_change *change,
                               int64_t qbytes);

/*
 * Removes the queue with its messages, at once: who waits gets EIDRM. Errors: EIDRM, EPERM, EBADF.
 * Does not block; thread-safe; fork-safe. msgctl(2) with IPC_RMID.
 */
SHMX_API int shmx_messages_remove(const shmx_messages *queue);

/* All queues of this machine, as shmx_list has the segments. msgctl(2) with MSG_STAT_ANY. */
SHMX_API int shmx_messages_list(shmx_messages_stat *list, size_t room, size_t *count);

SHMX_END_DECLS

#endif
