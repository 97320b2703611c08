/* channel_receive.c: the consuming end of a channel. Touches sync, os, base. */
#include "base/copy.h"
#include "data/channel_memory.h"
#include "sync/spin.h"

/* In our turn: messages between head and tail. -EAGAIN: there are none; -EPIPE: nor ever will be.
 */
static int look(shmx_channel *channel, uint64_t *head, uint64_t *tail) {
  struct shmx_channel_memory *memory = channel->memory;
  *head = atomic_load_explicit(&memory->consumer.index, memory_order_relaxed);
  *tail = channel->consumer.other;
  if (*tail != *head && shmx_ring_is_sane(*head, *tail, channel->capacity)) return 0;
  bool finished =
      shmx_channel_is_finished(memory); /* before the tail: after it, nothing is committed */
  *tail = channel->consumer.other = shmx_end_index(&memory->producer);
  if (!shmx_ring_is_sane(*head, *tail, channel->capacity)) return -EBADMSG;
  if (*tail != *head) return 0;
  return finished ? -EPIPE : -EAGAIN;
}

/* What every attempt to receive ends with: the descriptor, if there is one, says what is left. */
static int received(const shmx_channel *channel, int status) {
  if (channel->readiness != NULL && !shmx_channel_is_readable(channel->memory))
    shmx_channel_rearm(channel);
  return status;
}

/* Our turn. If another has it, the descriptor tells when the end is free. */
static int enter(shmx_channel *channel, int64_t deadline) {
  int status = shmx_end_enter(&channel->consumer, &channel->memory->consumer, deadline);
  if (status != 0) shmx_channel_rearm(channel);
  return status;
}

/* Our turn, with something to receive in it. -EAGAIN: there was nothing, and now there may be. */
static int try_readable(shmx_channel *channel, int64_t deadline, uint64_t *head, uint64_t *tail) {
  struct shmx_channel_memory *memory = channel->memory;
  int status = enter(channel, deadline);
  if (status != 0) return status;
  status = look(channel, head, tail);
  if (status == 0) return 0;
  shmx_end_leave(&channel->consumer, &memory->consumer);
  if (status == -EAGAIN)
    status = shmx_channel_wait(channel, &memory->readable, &memory->producer, *tail, deadline);
  return status == 0 ? -EAGAIN : received(channel, status);
}

static int enter_readable(shmx_channel *channel, int64_t deadline, uint64_t *head, uint64_t *tail) {
  int status;
  do
    status = try_readable(channel, deadline, head, tail);
  while (status == -EAGAIN);
  return status;
}

/* In our turn: copies the first message between head and tail, if it has room. */
static int copy_first(const shmx_channel *channel, uint64_t head, uint64_t tail, void *buffer,
                      size_t room, shmx_message *message, shmx_copied *copied) {
  unsigned char *ring = channel->memory->ring;
  struct shmx_ring_item item;
  int status = shmx_ring_first(ring, channel->capacity, head, tail, &item);
  if (status != 0) return status;
  unsigned char *bytes = shmx_ring_bytes(ring, channel->capacity, item.at);
  bool fits = item.length <= room;
  if (fits) shmx_copy(buffer, bytes, item.length);
  *message = (shmx_message){fits ? buffer : bytes, item.length, item.tag};
  *copied = (shmx_copied){head, item.next, 1};
  return fits ? 0 : -EMSGSIZE;
}

static int receive(shmx_channel *channel, void *buffer, size_t room, shmx_message *message,
                   int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  shmx_copied copied;
  uint64_t head, tail;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  status = copy_first(channel, head, tail, buffer, room, message, &copied);
  if (status == 0) shmx_end_pass(&memory->consumer, copied.to, 1);
  shmx_end_leave(&channel->consumer, &memory->consumer);
  shmx_end_tell(&channel->consumer, &memory->writable);
  return received(channel, status);
}

/* The short way, as send_shortly, for a message that is known to be there. */
static inline bool receive_shortly(shmx_channel *channel, void *buffer, size_t room,
                                   shmx_message *message) {
  struct shmx_channel_memory *memory = channel->memory;
  const struct shmx_channel_end *mine = &channel->consumer;
  uint64_t capacity = channel->capacity, bits;
  struct shmx_ring_item item;
  if (!shmx_end_is_claimed(mine) || channel->readiness != NULL) return false;
  uint64_t head = atomic_load_explicit(&memory->consumer.index, memory_order_relaxed);
  if (mine->other == head || !shmx_ring_is_sane(head, mine->other, capacity) ||
      !shmx_ring_read(memory->ring, capacity, head, mine->other, &bits, &item) ||
      bits & SHMX_RING_PADDING || item.length > SHMX_COPY_SHORT || item.length > room)
    return false;
  *message = (shmx_message){buffer, item.length, item.tag};
  shmx_copy_short(buffer, shmx_ring_bytes(memory->ring, capacity, item.at), item.length);
  shmx_end_pass(&memory->consumer, item.next, 1);
  return true;
}

int shmx_channel_receive(shmx_channel *channel, void *buffer, size_t room, shmx_message *message,
                         int64_t deadline) {
  if (receive_shortly(channel, buffer, room, message)) {
    shmx_event_notify_lightly(&channel->memory->writable);
    return 0;
  }
  return receive(channel, buffer, room, message, deadline);
}

/* Copies an item behind what is in the buffer; false where it has no room. */
static bool copy_out(const shmx_channel *channel, const struct shmx_ring_item *item,
                     unsigned char *buffer, size_t room, size_t *length) {
  uint64_t space = shmx_ring_space(item->length);
  if (space > room - *length) return false;
  const uint32_t head[] = {item->length, item->tag};
  memcpy(buffer + *length, head, sizeof head);
  shmx_copy(buffer + *length + sizeof head,
            shmx_ring_bytes(channel->memory->ring, channel->capacity, item->at), item->length);
  *length += space;
  return true;
}

/* In our turn: copies what is there, and not only what was when we last looked. `copied` says which
 * messages those are; there are none only if `most` is 0. */
static int copy_several(shmx_channel *channel, uint64_t head, void *buffer, size_t room,
                        size_t most, size_t *length, shmx_copied *copied) {
  struct shmx_ring_item item = {0};
  uint64_t tail;
  int status = 0;
  *copied = (shmx_copied){head, head, 0};
  channel->consumer.other = head;
  if (look(channel, &head, &tail) != 0) status = -EBADMSG; /* something was, and a tail stays */
  while (status == 0 && head != tail && copied->messages < most) {
    status = shmx_ring_first(channel->memory->ring, channel->capacity, head, tail, &item);
    if (status != 0 || !copy_out(channel, &item, buffer, room, length)) break;
    copied->to = head = item.next;
    copied->messages++;
  }
  if (copied->messages != 0) return 0; /* what is wrong with the next one, the next call says */
  if (status != 0 || most == 0) return status;
  *length = shmx_ring_space(item.length);
  return -EMSGSIZE;
}

int shmx_channel_receive_all(shmx_channel *channel, void *buffer, size_t room, size_t most,
                             size_t *length, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  shmx_copied copied;
  uint64_t head, tail;
  *length = 0;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  status = copy_several(channel, head, buffer, room, most, length, &copied);
  if (copied.messages != 0) shmx_end_pass(&memory->consumer, copied.to, copied.messages);
  shmx_end_leave(&channel->consumer, &memory->consumer);
  shmx_end_tell(&channel->consumer, &memory->writable);
  return received(channel, status);
}

/* ---- in two halves ---- */

/*
 * The short way, without a turn. What is copied while another receives it and a producer writes
 * over it is torn; then the head has moved, and shmx_channel_consume sees that.
 */
static inline bool copy_shortly(shmx_channel *channel, void *buffer, size_t room,
                                shmx_message *message, shmx_copied *copied) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_channel_end *mine = &channel->consumer;
  uint64_t head = shmx_end_index(&memory->consumer), capacity = channel->capacity, bits;
  struct shmx_ring_item item;
  if (mine->other == head || !shmx_ring_is_sane(head, mine->other, capacity))
    mine->other = shmx_end_index(&memory->producer);
  if (mine->busy || mine->other == head || !shmx_ring_is_sane(head, mine->other, capacity) ||
      !shmx_ring_read(memory->ring, capacity, head, mine->other, &bits, &item) ||
      bits & SHMX_RING_PADDING || item.length > room)
    return false;
  *message = (shmx_message){buffer, item.length, item.tag};
  *copied = (shmx_copied){head, item.next, 1};
  shmx_copy(buffer, shmx_ring_bytes(memory->ring, capacity, item.at), item.length);
  return true;
}

int shmx_channel_copy(shmx_channel *channel, void *buffer, size_t room, shmx_message *message,
                      shmx_copied *copied, int64_t deadline) {
  uint64_t head, tail;
  int status;
  do {
    if (copy_shortly(channel, buffer, room, message, copied)) return 0;
    status = try_readable(channel, deadline, &head, &tail);
  } while (status == -EAGAIN);
  if (status != 0) return status;
  status = copy_first(channel, head, tail, buffer, room, message, copied);
  shmx_end_leave(&channel->consumer, &channel->memory->consumer);
  return status;
}

int shmx_channel_copy_all(shmx_channel *channel, void *buffer, size_t room, size_t most,
                          size_t *length, shmx_copied *copied, int64_t deadline) {
  uint64_t head, tail;
  *length = 0;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  status = copy_several(channel, head, buffer, room, most, length, copied);
  shmx_end_leave(&channel->consumer, &channel->memory->consumer);
  return status;
}

static bool is_still_first(const shmx_channel *channel, const shmx_copied *copied) {
  const struct shmx_end *end = &channel->memory->consumer;
  return atomic_load_explicit(&end->index, memory_order_relaxed) == copied->from;
}

enum { TURN_LOOKS = 100 };

/* Whoever has the turn is likely to take out what we have copied. Then it is of no use to us, and
 * what is next can be copied at once. */
static bool is_taken(const shmx_channel *channel, const shmx_copied *copied) {
  const struct shmx_end *end = &channel->memory->consumer;
  if (channel->consumer.owner != 0) return !is_still_first(channel, copied);
  for (int looks = 0; looks < TURN_LOOKS; looks++) {
    if (!is_still_first(channel, copied)) return true;
    if (shmx_lock_owner(&end->turn) == 0) return false;
    shmx_spin_pause();
  }
  return false;
}

/* An index never comes again: if the head is where it was, what lies there is what was copied. */
int shmx_channel_consume(shmx_channel *channel, const shmx_copied *copied, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  /* What was copied, before the head: pairs with the fence in place() of channel_send.c. */
  atomic_thread_fence(memory_order_acquire);
  if (is_taken(channel, copied)) return -EAGAIN;
  int status = enter(channel, deadline);
  if (status != 0) return status;
  if (is_still_first(channel, copied))
    shmx_end_pass(&memory->consumer, copied->to, copied->messages);
  else
    status = -EAGAIN;
  shmx_end_leave(&channel->consumer, &memory->consumer);
  if (status != 0) return status;
  shmx_end_tell(&channel->consumer, &memory->writable);
  return received(channel, 0);
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
  shmx_channel_rearm(channel); /* until the release there is nothing to receive */
  *message = (shmx_message){shmx_ring_bytes(memory->ring, channel->capacity, item.at), item.length,
                            item.tag};
  return 0;
}

/* Gives the end back. Whoever sleeps because it was held can receive what is left. */
static void end_peek(shmx_channel *channel) {
  struct shmx_channel_memory *memory = channel->memory;
  shmx_end_done(&channel->consumer, &memory->consumer);
  shmx_channel_rearm(channel);
  if (shmx_channel_is_readable(memory)) shmx_event_notify(&memory->readable);
}

int shmx_channel_release(shmx_channel *channel) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_channel_end *mine = &channel->consumer;
  if (!mine->busy || mine->owner != shmx_self()->task) return -EPERM;
  shmx_end_pass(&memory->consumer, mine->at, 1);
  end_peek(channel);
  shmx_end_tell(mine, &memory->writable);
  return 0;
}

void shmx_channel_unpeek(shmx_channel *channel) {
  const struct shmx_channel_end *mine = &channel->consumer;
  if (mine->busy && mine->owner == shmx_self()->task) end_peek(channel);
}
