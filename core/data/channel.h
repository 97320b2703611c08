/*
 * channel.h: messages between any number of producers and consumers, first in, first out: a ring of
 * bytes in shared memory. Owns its memory. Touches sync, os, base.
 *
 * A message that was committed is received once, whoever is killed meanwhile; one that was not is
 * never seen. Producers take turns, and so do consumers, but a producer and a consumer never wait
 * for each other's turn. A handle is used by one thread at a time; the memory by any number of
 * threads and processes. All functions return 0 or a negative errno. After fork the child owns
 * nothing that the parent has claimed, reserved or peeked at. Deadlines are as in os/clock.h.
 */
#ifndef SHMX_DATA_CHANNEL_H
#define SHMX_DATA_CHANNEL_H

#include "base/api.h"
#include "base/kind.h"
#include "base/tag.h"
#include "sync/holders.h"
#include "sync/waiting.h"

#include <stdbool.h>
#include <stddef.h>

SHMX_BEGIN_DECLS

enum {
  SHMX_CHANNEL_MIN = 256, /* bytes of a ring, at least */
  SHMX_MESSAGE_HEAD = 8   /* bytes that a message takes in the ring beyond its own, in units of 8 */
};

#define SHMX_CHANNEL_MAX (UINT64_C(1) << 31) /* bytes of a ring, at most */

/* The ends of a channel, for shmx_channel_claim. */
enum { SHMX_PRODUCER = 1, SHMX_CONSUMER = 2 };

struct shmx_channel_memory;

/* One end, as a handle sees it. */
struct shmx_channel_end {
  uint64_t owner; /* this end is ours alone: since a claim, a reservation or a peek; else 0 */
  bool claimed;   /* by shmx_channel_claim */
  bool busy;      /* reserved or peeked at */
  bool missed;    /* the last to time out or be interrupted has not had its turn: another has it */
  uint64_t process; /* the owner's; after fork, not the child's */
  uint64_t at;      /* where our reservation begins, or what we have looked at ends */
  uint64_t size;    /* bytes of what is reserved */
  uint64_t other;   /* how far the other end had come when we last looked: it only goes on */
};

/* A handle. All zero is a closed one. */
typedef struct shmx_channel {
  struct shmx_channel_memory *memory;
  uint64_t capacity; /* bytes of the ring, a power of two */
  struct shmx_channel_end producer, consumer;
  shmx_spin spin;                   /* how long to look before sleeping */
  struct shmx_readiness *readiness; /* behind shmx_channel_fd; or NULL */
} shmx_channel;

/* A message: its bytes, and what its sender says of them. */
typedef struct shmx_message {
  const void *data;
  uint32_t length; /* bytes */
  uint32_t tag;    /* 0 to 127: base/tag.h; the channel does not look at it */
} shmx_message;

/* Messages that were copied and not taken out yet. */
typedef struct shmx_copied {
  uint64_t from, to; /* indexes of the ring */
  uint64_t messages;
} shmx_copied;

/* The bytes of the ring of a channel of this size: the next power of two. */
SHMX_API uint64_t shmx_channel_capacity(uint64_t size);

SHMX_API shmx_kind shmx_channel_kind(uint64_t capacity);

SHMX_API void shmx_channel_open(shmx_channel *channel, void *memory, uint64_t capacity);

/* How often to look before sleeping, at most; 0: never. Without it, the library finds out. */
SHMX_API void shmx_channel_spin(shmx_channel *channel, uint32_t most);

/* Gives up claims, and what was reserved or peeked at but neither committed nor released. */
SHMX_API void shmx_channel_close(shmx_channel *channel);

/* Bytes of a message, at most: something less than half the ring. */
static inline uint64_t shmx_channel_limit(const shmx_channel *channel) {
  return channel->capacity / 2 - SHMX_MESSAGE_HEAD;
}

/*
 * Claims ends for this thread alone, which then takes turns with nobody. Waits for who is at one
 * for a moment. Errors: EBUSY: another who lives has claimed one, has reserved or peeked there, or
 * is stopped (shmx_channel_holder says who); EDEADLK; EINTR, EFAULT.
 */
SHMX_API int shmx_channel_claim(shmx_channel *channel, int ends);

/* The process that has an end, or is at it; 0 where none. */
SHMX_API uint32_t shmx_channel_holder(const shmx_channel *channel, int end);

/*
 * Sends a message: copies it into the ring, when there is room, and commits it with one store.
 * Errors: ETIMEDOUT (no room; or, as channel->producer.missed says, another has reserved or is
 * stopped: shmx_channel_holder), EMSGSIZE (over the limit), EPIPE (the channel is finished), EBUSY
 * (another has claimed this end), EDEADLK (this handle has reserved), EINTR, EFAULT, EBADMSG.
 */
SHMX_API int shmx_channel_send(shmx_channel *channel, const shmx_message *message,
                               int64_t deadline);

/*
 * Sends messages in their order, as many at once as there is room for, each lot with one commit.
 * `sent` receives how many. Errors: as above, for the next of them.
 */
SHMX_API int shmx_channel_send_all(shmx_channel *channel, const shmx_message *messages,
                                   size_t count, int64_t deadline, size_t *sent);

/*
 * Receives a message into a buffer; message->data is the buffer. Errors: ETIMEDOUT (none there),
 * EMSGSIZE (message says how long it is, and where it lies while nobody receives it: it stays),
 * EPIPE (finished, and all is received), EBUSY, EDEADLK (this handle peeks), EINTR, EFAULT,
 * EBADMSG.
 */
SHMX_API int shmx_channel_receive(shmx_channel *channel, void *buffer, size_t room,
                                  shmx_message *message, int64_t deadline);

/*
 * Receives what is there, at least one message and at most `most`, as long as the buffer, which is
 * aligned to 8, has room. `length` receives the bytes of it that are used: shmx_channel_next finds
 * the messages. Errors: as shmx_channel_receive; EMSGSIZE: `length` says what the first one needs.
 */
SHMX_API int shmx_channel_receive_all(shmx_channel *channel, void *buffer, size_t room, size_t most,
                                      size_t *length, int64_t deadline);

/*
 * The two halves of shmx_channel_receive and shmx_channel_receive_all, for callers that make
 * something of a message which may fail, as when memory is short: copy leaves the message in the
 * ring, and consume takes it out. The end is nobody's between the two. What was copied is good only
 * if consume returns 0. If copy returns EMSGSIZE, consume takes out the message that was too long.
 * Errors: as shmx_channel_receive; consume: EAGAIN (another has received a message meanwhile, so
 * copy again), and never EPIPE or EMSGSIZE.
 */
SHMX_API int shmx_channel_copy(shmx_channel *channel, void *buffer, size_t room,
                               shmx_message *message, shmx_copied *copied, int64_t deadline);
SHMX_API int shmx_channel_copy_all(shmx_channel *channel, void *buffer, size_t room, size_t most,
                                   size_t *length, shmx_copied *copied, int64_t deadline);
SHMX_API int shmx_channel_consume(shmx_channel *channel, const shmx_copied *copied,
                                  int64_t deadline);

/* The next message of a buffer from `at`, which moves on; false where there are no more. */
SHMX_API bool shmx_channel_next(const void *buffer, size_t length, size_t *at,
                                shmx_message *message);

/*
 * Room in the ring for a message of so many bytes: `data` receives where. The end is ours until
 * shmx_channel_commit, which sends the first `length` bytes of it. Errors: as shmx_channel_send;
 * commit: EPERM (nothing is reserved), EINVAL (more than was). A channel is not finished between:
 * who wants to, waits for the commit.
 */
SHMX_API int shmx_channel_reserve(shmx_channel *channel, uint32_t length, void **data,
                                  int64_t deadline);
SHMX_API int shmx_channel_commit(shmx_channel *channel, uint32_t length, uint32_t tag);

/*
 * The next message where it lies. The end is ours until shmx_channel_release, which takes it out of
 * the ring; dying before leaves it to another. Errors: as shmx_channel_receive; release: EPERM.
 */
SHMX_API int shmx_channel_peek(shmx_channel *channel, shmx_message *message, int64_t deadline);
SHMX_API int shmx_channel_release(shmx_channel *channel);

/* Leaves what is peeked at where it is: it is the next message still, for whoever comes. */
SHMX_API void shmx_channel_unpeek(shmx_channel *channel);

/*
 * A descriptor that polls readable (poll(2), epoll(7), any event loop) while there is something to
 * receive, or the channel is finished; now and then for nothing. The first call starts a thread of
 * this process, which sleeps in its stead; shmx_channel_close ends it and closes the descriptor.
 * After fork the child asks for its own. Errors: EMFILE, ENFILE, ENOMEM, EAGAIN (no more threads).
 */
SHMX_API int shmx_channel_fd(shmx_channel *channel, int *fd);

/* No more messages are sent, by anybody; what is in the ring is received. Waits for a reservation
 * of another; without a deadline, for SHMX_LOCK_TIMEOUT. Errors: ETIMEDOUT (shmx_channel_holder
 * says whom it has waited for), EBUSY, EDEADLK, EINTR, EFAULT. */
SHMX_API int shmx_channel_finish(shmx_channel *channel, int64_t deadline);

typedef struct shmx_channel_status {
  uint64_t capacity, used; /* bytes */
  uint64_t sent,
      received; /* messages since the channel was made; who was killed may not be in it */
  bool receivers_wait, senders_wait, finished;
} shmx_channel_status;

SHMX_API void shmx_channel_stat(const shmx_channel *channel, shmx_channel_status *status);

/* Who has the turn at an end, for who looks from outside. */
SHMX_API void shmx_channel_holders(const shmx_channel *channel, shmx_holders *holders);

SHMX_END_DECLS

#endif
