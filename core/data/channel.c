/*
 * channel.c: the ends of a ring: taking turns at them, waiting, committing. Touches sync, os, base.
 *
 * A message is written behind the tail, where nobody looks, and committed by the store of the tail;
 * it is taken out by the store of the head. Whoever dies before such a store has done nothing, and
 * after it, all: a dead owner's turn needs no repair.
 */
#include "data/channel.h"
#include "data/end.h"
#include "data/readiness.h"
#include "data/ring.h"
#include "sync/spin.h"

#include <stddef.h>
#include <string.h>

struct shmx_channel_memory {
  struct shmx_end producer, consumer;
  struct shmx_event readable, writable; /* written only by who sleeps or wakes */
  _Atomic uint32_t finished;
  unsigned char unused[52];
  unsigned char ring[];
};
_Static_assert(offsetof(struct shmx_channel_memory, ring) == 192, "the layout in memory");

uint64_t shmx_channel_capacity(uint64_t size) {
  uint64_t capacity = SHMX_CHANNEL_MIN;
  while (capacity < size && capacity < SHMX_CHANNEL_MAX)
    capacity *= 2;
  return capacity;
}

shmx_kind shmx_channel_kind(uint64_t capacity) {
  return shmx_kind_of(SHMX_KIND_CHANNEL, sizeof(struct shmx_channel_memory), 1, capacity);
}

void shmx_channel_open(shmx_channel *channel, void *memory, uint64_t capacity) {
  *channel = (shmx_channel){.memory = memory, .capacity = capacity};
  shmx_spin_open(&channel->spin, SHMX_SPIN_MOST);
}

void shmx_channel_spin(shmx_channel *channel, uint32_t most) {
  shmx_spin_open(&channel->spin, most);
}

/* ---- claims ---- */

static int claim(struct shmx_channel_end *mine, struct shmx_end *end) {
  int status = shmx_end_enter(mine, end, 0);
  if (status == -ETIMEDOUT) return -EBUSY;
  if (status != 0 || mine->claimed) return status;
  shmx_end_keep(mine);
  mine->claimed = true;
  atomic_store_explicit(&end->claimed, mine->owner, memory_order_relaxed);
  return 0;
}

int shmx_channel_claim(shmx_channel *channel, int ends) {
  struct shmx_channel_memory *memory = channel->memory;
  bool produces = channel->producer.claimed && channel->producer.owner == shmx_self()->task;
  int status = 0;
  if (ends & SHMX_PRODUCER) status = claim(&channel->producer, &memory->producer);
  if (status != 0 || !(ends & SHMX_CONSUMER)) return status;
  status = claim(&channel->consumer, &memory->consumer);
  if (status != 0 && ends & SHMX_PRODUCER && !produces)
    shmx_end_give_up(&channel->producer, &memory->producer);
  return status;
}

uint32_t shmx_channel_holder(const shmx_channel *channel, int end) {
  const struct shmx_channel_memory *memory = channel->memory;
  shmx_task owner =
      shmx_lock_owner(end == SHMX_PRODUCER ? &memory->producer.turn : &memory->consumer.turn);
  return owner != 0 ? shmx_task_process(owner) : 0;
}

/* By whatever thread, but not in a forked child: there it is the parent's. */
void shmx_channel_close(shmx_channel *channel) {
  struct shmx_channel_memory *memory = channel->memory;
  if (memory == NULL) return;
  shmx_readiness_stop(channel->readiness);
  channel->readiness = NULL;
  shmx_end_close(&channel->producer, &memory->producer);
  shmx_end_close(&channel->consumer, &memory->consumer);
  channel->memory = NULL;
}

/* ---- waiting ---- */

static bool is_finished(const struct shmx_channel_memory *memory) {
  return atomic_load_explicit(&memory->finished, memory_order_acquire) != 0;
}

/*
 * Waits for an end to pass `seen`, or for the channel to be finished: looks for a while, then
 * sleeps. Returns 0, also for nothing; -ETIMEDOUT, -EINTR, -EFAULT.
 */
static int wait_for(shmx_channel *channel, struct shmx_event *event, const struct shmx_end *end,
                    uint64_t seen, int64_t deadline) {
  int64_t start = shmx_clock_now();
  if (start >= deadline) return -ETIMEDOUT;
  if (shmx_spin_while(&channel->spin, &end->index, seen)) return 0;
  uint32_t ticket = shmx_event_prepare(event);
  if (shmx_end_index(end) != seen || is_finished(channel->memory)) return 0;
  int status = shmx_event_wait(event, ticket, deadline);
  shmx_spin_slept(&channel->spin, shmx_clock_now() - start);
  return status;
}

/* ---- producing ---- */

/* In our turn: a place for a message. -EAGAIN: no room, and `*seen` is where the consumers are. */
static int place(shmx_channel *channel, uint64_t tail, uint32_t length, uint64_t *seen,
                 struct shmx_ring_item *item) {
  struct shmx_channel_memory *memory = channel->memory;
  uint64_t capacity = channel->capacity, *head = &channel->producer.other;
  for (int fresh = 0; fresh <= 1; fresh++) {
    if (fresh) *head = shmx_end_index(&memory->consumer);
    bool known = shmx_ring_is_sane(*head, tail, capacity);
    if (known &&
        shmx_ring_place(memory->ring, capacity, tail, capacity - (tail - *head), length, item))
      return 0;
    if (fresh && !known) return -EBADMSG;
  }
  *seen = *head;
  return -EAGAIN;
}

static void fill(shmx_channel *channel, struct shmx_ring_item *item, const shmx_message *message) {
  unsigned char *ring = channel->memory->ring;
  shmx_ring_write_head(ring, channel->capacity, item, message->length, message->tag);
  if (message->length != 0)
    memcpy(shmx_ring_bytes(ring, channel->capacity, item->at), message->data, message->length);
}

/* In our turn: as many as there is room for, and one commit. */
static int put(shmx_channel *channel, const shmx_message *messages, size_t count, size_t *sent,
               uint64_t *seen) {
  struct shmx_channel_memory *memory = channel->memory;
  uint64_t tail = atomic_load_explicit(&memory->producer.index, memory_order_relaxed);
  struct shmx_ring_item item;
  size_t done = 0;
  int status = is_finished(memory) ? -EPIPE : 0;
  while (done < count && status == 0) {
    status = messages[done].length > shmx_channel_limit(channel)
                 ? -EMSGSIZE
                 : place(channel, tail, messages[done].length, seen, &item);
    if (status != 0) break;
    fill(channel, &item, &messages[done++]);
    tail = item.next;
  }
  if (done != 0) shmx_end_pass(&memory->producer, tail, done, &memory->readable);
  *sent += done;
  return status;
}

int shmx_channel_send_all(shmx_channel *channel, const shmx_message *messages, size_t count,
                          int64_t deadline, size_t *sent) {
  struct shmx_channel_memory *memory = channel->memory;
  uint64_t seen = 0;
  *sent = 0;
  for (;;) {
    int status = shmx_end_enter(&channel->producer, &memory->producer, deadline);
    if (status != 0) return status;
    status = put(channel, messages + *sent, count - *sent, sent, &seen);
    shmx_end_leave(&channel->producer, &memory->producer);
    if (status == -EAGAIN)
      status = wait_for(channel, &memory->writable, &memory->consumer, seen, deadline);
    else
      return status;
    if (status != 0) return status;
  }
}

int shmx_channel_send(shmx_channel *channel, const shmx_message *message, int64_t deadline) {
  size_t sent;
  return shmx_channel_send_all(channel, message, 1, deadline, &sent);
}

int shmx_channel_reserve(shmx_channel *channel, uint32_t length, void **data, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_channel_end *mine = &channel->producer;
  struct shmx_ring_item item;
  uint64_t seen = 0;
  if (length > shmx_channel_limit(channel)) return -EMSGSIZE;
  for (;;) {
    int status = shmx_end_enter(mine, &memory->producer, deadline);
    if (status != 0) return status;
    uint64_t tail = atomic_load_explicit(&memory->producer.index, memory_order_relaxed);
    status = is_finished(memory) ? -EPIPE : place(channel, tail, length, &seen, &item);
    if (status == 0) break;
    shmx_end_leave(mine, &memory->producer);
    if (status == -EAGAIN)
      status = wait_for(channel, &memory->writable, &memory->consumer, seen, deadline);
    if (status != 0) return status;
  }
  if (mine->owner == 0) shmx_end_keep(mine);
  mine->busy = true;
  mine->at = item.at;
  mine->size = length;
  *data = shmx_ring_bytes(memory->ring, channel->capacity, item.at);
  return 0;
}

int shmx_channel_commit(shmx_channel *channel, uint32_t length, uint32_t tag) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_channel_end *mine = &channel->producer;
  if (!mine->busy || mine->owner != shmx_self()->task) return -EPERM;
  if (length > mine->size) return -EINVAL;
  struct shmx_ring_item item = {.at = mine->at};
  shmx_ring_write_head(memory->ring, channel->capacity, &item, length, tag);
  shmx_end_pass(&memory->producer, item.next, 1, &memory->readable);
  shmx_end_done(mine, &memory->producer);
  return 0;
}

int shmx_channel_finish(shmx_channel *channel, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  int status = shmx_end_enter(&channel->producer, &memory->producer, deadline);
  if (status != 0) return status;
  /* Release: what was committed was before. Pairs with the acquire in is_finished. */
  atomic_store_explicit(&memory->finished, 1, memory_order_release);
  shmx_end_leave(&channel->producer, &memory->producer);
  shmx_event_notify(&memory->readable);
  shmx_event_notify(&memory->writable);
  return 0;
}

/* ---- consuming ---- */

/* In our turn: messages between head and tail. -EAGAIN: there are none; -EPIPE: nor ever will be.
 */
static int look(shmx_channel *channel, uint64_t *head, uint64_t *tail) {
  struct shmx_channel_memory *memory = channel->memory;
  *head = atomic_load_explicit(&memory->consumer.index, memory_order_relaxed);
  *tail = channel->consumer.other;
  if (*tail != *head && shmx_ring_is_sane(*head, *tail, channel->capacity)) return 0;
  bool finished = is_finished(memory); /* before the tail: after it, nothing is committed */
  *tail = channel->consumer.other = shmx_end_index(&memory->producer);
  if (!shmx_ring_is_sane(*head, *tail, channel->capacity)) return -EBADMSG;
  if (*tail != *head) return 0;
  return finished ? -EPIPE : -EAGAIN;
}

/* Is there something to receive, or never again? */
static bool is_readable(const void *context, uint64_t seen) {
  const struct shmx_channel_memory *memory = context;
  (void)seen;
  return shmx_end_index(&memory->producer) != shmx_end_index(&memory->consumer) ||
         is_finished(memory);
}

/* What every attempt to receive ends with: the descriptor, if there is one, says what is left. */
static int received(const shmx_channel *channel, int status) {
  if (channel->readiness != NULL && !is_readable(channel->memory, 0))
    shmx_readiness_rearm(channel->readiness, 0);
  return status;
}

int shmx_channel_fd(shmx_channel *channel, int *fd) {
  struct shmx_channel_memory *memory = channel->memory;
  *fd = channel->readiness != NULL ? shmx_readiness_fd(channel->readiness) : -1;
  if (*fd >= 0) return 0;
  shmx_readiness_stop(channel->readiness); /* the parent's */
  channel->readiness = NULL;
  int status = shmx_readiness_start(&channel->readiness, &memory->readable, is_readable, memory, 0);
  if (status == 0) *fd = shmx_readiness_fd(channel->readiness);
  return status;
}

/* Our turn, with something to receive in it. */
static int enter_readable(shmx_channel *channel, int64_t deadline, uint64_t *head, uint64_t *tail) {
  struct shmx_channel_memory *memory = channel->memory;
  for (;;) {
    int status = shmx_end_enter(&channel->consumer, &memory->consumer, deadline);
    if (status != 0) return status;
    status = look(channel, head, tail);
    if (status == 0) return 0;
    shmx_end_leave(&channel->consumer, &memory->consumer);
    if (status == -EAGAIN)
      status = wait_for(channel, &memory->readable, &memory->producer, *tail, deadline);
    if (status != 0) return received(channel, status);
  }
}

int shmx_channel_receive(shmx_channel *channel, void *buffer, size_t room, shmx_message *message,
                         int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_ring_item item;
  uint64_t head, tail;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  status = shmx_ring_first(memory->ring, channel->capacity, head, tail, &item);
  if (status == 0) {
    *message = (shmx_message){buffer, item.length, item.tag};
    if (item.length > room)
      status = -EMSGSIZE;
    else if (item.length != 0)
      memcpy(buffer, shmx_ring_bytes(memory->ring, channel->capacity, item.at), item.length);
  }
  if (status == 0) shmx_end_pass(&memory->consumer, item.next, 1, &memory->writable);
  shmx_end_leave(&channel->consumer, &memory->consumer);
  return received(channel, status);
}

/* Copies an item behind what is in the buffer; false where it has no room. */
static bool copy_out(const shmx_channel *channel, const struct shmx_ring_item *item,
                     unsigned char *buffer, size_t room, size_t *length) {
  uint64_t space = shmx_ring_space(item->length);
  if (space > room - *length) return false;
  const uint32_t head[] = {item->length, item->tag};
  memcpy(buffer + *length, head, sizeof head);
  memcpy(buffer + *length + sizeof head,
         shmx_ring_bytes(channel->memory->ring, channel->capacity, item->at), item->length);
  *length += space;
  return true;
}

int shmx_channel_receive_all(shmx_channel *channel, void *buffer, size_t room, size_t most,
                             size_t *length, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_ring_item item;
  uint64_t head, tail, count = 0;
  *length = 0;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  channel->consumer.other = head; /* all that is there, and not what was when we last looked */
  if (look(channel, &head, &tail) != 0) status = -EBADMSG; /* something was, and a tail stays */
  while (status == 0 && head != tail && count < most) {
    status = shmx_ring_first(memory->ring, channel->capacity, head, tail, &item);
    if (status != 0 || !copy_out(channel, &item, buffer, room, length)) break;
    head = item.next;
    count++;
  }
  if (count != 0) {
    shmx_end_pass(&memory->consumer, head, count, &memory->writable);
    status = 0; /* what is wrong with the next one, the next call says */
  } else if (status == 0 && most != 0) {
    *length = shmx_ring_space(item.length);
    status = -EMSGSIZE;
  }
  shmx_end_leave(&channel->consumer, &memory->consumer);
  return received(channel, status);
}

bool shmx_channel_next(const void *buffer, size_t length, size_t *at, shmx_message *message) {
  const unsigned char *bytes = buffer;
  uint32_t head[2];
  if (*at >= length) return false;
  memcpy(head, bytes + *at, sizeof head);
  *message = (shmx_message){bytes + *at + sizeof head, head[0], head[1]};
  *at += shmx_ring_space(head[0]);
  return true;
}

int shmx_channel_peek(shmx_channel *channel, shmx_message *message, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_channel_end *mine = &channel->consumer;
  struct shmx_ring_item item;
  uint64_t head, tail;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  status = shmx_ring_first(memory->ring, channel->capacity, head, tail, &item);
  if (status != 0) {
    shmx_end_leave(mine, &memory->consumer);
    return status;
  }
  if (mine->owner == 0) shmx_end_keep(mine);
  mine->busy = true;
  mine->at = item.next;
  *message = (shmx_message){shmx_ring_bytes(memory->ring, channel->capacity, item.at), item.length,
                            item.tag};
  return 0;
}

int shmx_channel_release(shmx_channel *channel) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_channel_end *mine = &channel->consumer;
  if (!mine->busy || mine->owner != shmx_self()->task) return -EPERM;
  shmx_end_pass(&memory->consumer, mine->at, 1, &memory->writable);
  shmx_end_done(mine, &memory->consumer);
  return received(channel, 0);
}

/* ---- status ---- */

static bool has_sleepers(const struct shmx_event *event) {
  return atomic_load_explicit(&event->word, memory_order_relaxed) & SHMX_EVENT_SLEEPERS;
}

void shmx_channel_stat(const shmx_channel *channel, shmx_channel_status *status) {
  const struct shmx_channel_memory *memory = channel->memory;
  uint64_t used;
  uint64_t head = shmx_end_index(&memory->consumer);
  used = shmx_end_index(&memory->producer) - head;
  *status = (shmx_channel_status){
      .capacity = channel->capacity,
      .used = used < channel->capacity ? used : channel->capacity,
      .sent = atomic_load_explicit(&memory->producer.messages, memory_order_relaxed),
      .received = atomic_load_explicit(&memory->consumer.messages, memory_order_relaxed),
      .receivers_wait = has_sleepers(&memory->readable),
      .senders_wait = has_sleepers(&memory->writable),
      .finished = is_finished(memory),
  };
}
