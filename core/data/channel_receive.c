/* channel_receive.c: the consuming end of a channel. Touches sync, os, base. */
#include "base/copy.h"
#include "data/channel_memory.h"

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

/* Our turn, with something to receive in it. */
static int enter_readable(shmx_channel *channel, int64_t deadline, uint64_t *head, uint64_t *tail) {
  struct shmx_channel_memory *memory = channel->memory;
  for (;;) {
    int status = shmx_end_enter(&channel->consumer, &memory->consumer, deadline);
    if (status != 0) {
      shmx_channel_rearm(channel); /* the descriptor tells when the end is free */
      return status;
    }
    status = look(channel, head, tail);
    if (status == 0) return 0;
    shmx_end_leave(&channel->consumer, &memory->consumer);
    if (status == -EAGAIN)
      status = shmx_channel_wait(channel, &memory->readable, &memory->producer, *tail, deadline);
    if (status != 0) return received(channel, status);
  }
}

static int receive(shmx_channel *channel, void *buffer, size_t room, shmx_message *message,
                   int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_ring_item item;
  uint64_t head, tail;
  int status = enter_readable(channel, deadline, &head, &tail);
  if (status != 0) return status;
  status = shmx_ring_first(memory->ring, channel->capacity, head, tail, &item);
  if (status == 0) {
    unsigned char *bytes = shmx_ring_bytes(memory->ring, channel->capacity, item.at);
    *message = (shmx_message){buffer, item.length, item.tag};
    if (item.length <= room) {
      shmx_copy(buffer, bytes, item.length);
    } else {
      message->data = bytes;
      channel->consumer.at = item.next;
      status = -EMSGSIZE;
    }
  }
  if (status == 0) shmx_end_pass(&memory->consumer, item.next, 1);
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

int shmx_channel_receive_all(shmx_channel *channel, void *buffer, size_t room, size_t most,
                             size_t *length, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  struct shmx_ring_item item = {0};
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
    shmx_end_pass(&memory->consumer, head, count);
    status = 0; /* what is wrong with the next one, the next call says */
  } else if (status == 0 && most != 0) {
    *length = shmx_ring_space(item.length);
    status = -EMSGSIZE;
  }
  shmx_end_leave(&channel->consumer, &memory->consumer);
  shmx_end_tell(&channel->consumer, &memory->writable);
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
