/*
 * topic.h: messages from publishers to any number of subscribers, who all get all of them and of
 * whom none can hold up a publisher: who is too slow loses the oldest, and is told how many. A ring
 * of bytes in shared memory. Owns its memory. Touches sync, os, base.
 *
 * A handle, and a subscription, is used by one thread at a time; the memory by any number of
 * threads and processes. All functions return 0 or a negative errno. Whoever is killed holds up
 * nobody.
 */
#ifndef SHMX_DATA_TOPIC_H
#define SHMX_DATA_TOPIC_H

#include "base/api.h"
#include "data/channel.h"

SHMX_BEGIN_DECLS

struct shmx_topic_memory;

/* A handle. All zero is a closed one. */
typedef struct shmx_topic {
  struct shmx_topic_memory *memory;
  uint64_t capacity; /* bytes of the ring, a power of two */
  uint32_t held_by;  /* the process that had the lock when a call timed out; 0: none */
} shmx_topic;

/* What one subscriber knows: nobody else knows of it. */
typedef struct shmx_subscription {
  struct shmx_topic_memory *memory;
  uint64_t capacity;
  uint64_t cursor; /* the index of the next message */
  uint64_t serial; /* its number, if none is lost */
  uint64_t tail;   /* where the publishers were when we last looked: they only go on */
  shmx_spin spin;
} shmx_subscription;

/* The ring's capacity is as a channel's: shmx_channel_capacity. */
SHMX_API shmx_kind shmx_topic_kind(uint64_t capacity);
SHMX_API void shmx_topic_open(shmx_topic *topic, void *memory, uint64_t capacity);

/* Bytes of a message, at most. */
static inline uint64_t shmx_topic_limit(const shmx_topic *topic) {
  return topic->capacity / 2 - 16;
}

/*
 * Publishes a message: makes room for it, by giving up the oldest, and commits it with one store.
 * Waits for other publishers only. Errors: EMSGSIZE (over the limit), EPIPE (finished), ETIMEDOUT
 * (another publisher is stopped, or the memory is corrupt: topic->held_by; without a deadline,
 * after SHMX_LOCK_TIMEOUT), EINTR, EFAULT.
 */
SHMX_API int shmx_topic_publish(shmx_topic *topic, const shmx_message *message, int64_t deadline);

/* Nothing is published any more; subscribers receive what is there. Errors: as publish. */
SHMX_API int shmx_topic_finish(shmx_topic *topic, int64_t deadline);

/*
 * Subscribes, from the oldest message that is there, or from the next that will be published.
 * `spins`: how often to look before sleeping, at most; -1 leaves it to the library. Errors:
 * ETIMEDOUT (as publish), EINTR, EFAULT.
 */
SHMX_API int shmx_topic_subscribe(shmx_topic *topic, bool oldest, int spins, int64_t deadline,
                                  shmx_subscription *subscription);

/*
 * Receives the next message into a buffer, whose address is a multiple of 8 and which has room for
 * whole words of 8 bytes. `lost` receives how many before it this subscriber has lost; the message
 * of a publisher who was killed may be counted with them.
 * Errors: EPIPE (finished, and all was received; `lost` receives how many were lost behind the last
 * message, each time); ETIMEDOUT; EMSGSIZE (message->length says how long it is; it is still the
 * next); EINTR, EFAULT, EBADMSG.
 */
SHMX_API int shmx_subscription_receive(shmx_subscription *subscription, void *buffer, size_t room,
                                       shmx_message *message, uint64_t *lost, int64_t deadline);

/*
 * The two halves of shmx_subscription_receive, for subscribers that make something of a message
 * which may fail: copy leaves the message the next one, and consume goes on behind it. Errors: as
 * shmx_subscription_receive; consume: EAGAIN (this subscription has gone on meanwhile).
 */
SHMX_API int shmx_subscription_copy(shmx_subscription *subscription, void *buffer, size_t room,
                                    shmx_message *message, uint64_t *lost, shmx_copied *copied,
                                    int64_t deadline);
SHMX_API int shmx_subscription_consume(shmx_subscription *subscription, const shmx_copied *copied);

typedef struct shmx_topic_status {
  uint64_t capacity, used; /* bytes */
  uint64_t published;      /* messages since the topic was made */
  bool finished;
} shmx_topic_status;

SHMX_API void shmx_topic_stat(const shmx_topic *topic, shmx_topic_status *status);

/* Who publishes at the moment, for who looks from outside. */
SHMX_API void shmx_topic_holders(const shmx_topic *topic, shmx_holders *holders);

SHMX_END_DECLS

#endif
