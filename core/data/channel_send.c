/* channel_send.c: the producing end of a channel. Touches sync, os, base. */
#include "base/copy.h"
#include "data/channel_memory.h"

/* In our turn: a place for a message. -EAGAIN: no room, and `*seen` is where the consumers are. */
static int place(shmx_channel *channel, uint64_t tail, uint32_t length, uint64_t *seen,
                 struct shmx_ring_item *item) {
  struct shmx_channel_memory *memory = channel->memory;
  uint64_t capacity = channel->capacity, *head = &channel->producer.other;
  for (int fresh = 0; fresh <= 1; fresh++) {
    if (fresh) {
      *head = shmx_end_index(&memory->consumer);
      /* Before what is written there: pairs with the fence in shmx_channel_consume. */
      atomic_thread_fence(memory_order_release);
    }
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
  shmx_copy_away(shmx_ring_bytes(ring, channel->capacity, item->at), message->data,
                 message->length);
}

/* In our turn: as many as there is room for, and one commit. */
static int put(shmx_channel *channel, const shmx_message *messages, size_t count, size_t *sent,
               uint64_t *seen) {
  struct shmx_channel_memory *memory = channel->memory;
  uint64_t tail = atomic_load_explicit(&memory->producer.index, memory_order_relaxed);
  struct shmx_ring_item item;
  size_t done = 0;
  int status = shmx_channel_is_finished(memory) ? -EPIPE : 0;
  while (done < count && status == 0) {
    status = messages[done].length > shmx_channel_limit(channel)
                 ? -EMSGSIZE
                 : place(channel, tail, messages[done].length, seen, &item);
    if (status != 0) break;
    fill(channel, &item, &messages[done++]);
    tail = item.next;
  }
  if (done != 0) shmx_end_pass(&memory->producer, tail, done);
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
    shmx_end_tell(&channel->producer, &memory->readable);
    if (status == -EAGAIN)
      status = shmx_channel_wait(channel, &memory->writable, &memory->consumer, seen, deadline);
    else
      return status;
    if (status != 0) return status;
  }
}

/*
 * The short way, for a short message from a claimed end into room that is known to be there. It
 * makes no call, so as to store little: a core can have some dozens of stores on their way to
 * another, and the fewer of them are not the message's, the more messages are on their way at once.
 */
static inline bool send_shortly(shmx_channel *channel, const shmx_message *message) {
  struct shmx_channel_memory *memory = channel->memory;
  const struct shmx_channel_end *mine = &channel->producer;
  uint64_t capacity = channel->capacity, length = message->length;
  if (!shmx_end_is_claimed(mine) || shmx_channel_is_finished(memory)) return false;
  uint64_t tail = atomic_load_explicit(&memory->producer.index, memory_order_relaxed);
  uint64_t space = shmx_ring_space(length);
  if (length > SHMX_COPY_SHORT || !shmx_ring_is_sane(mine->other, tail, capacity) ||
      space > capacity - (tail - mine->other) || space > shmx_ring_to_end(capacity, tail))
    return false;
  struct shmx_ring_item item = {.at = tail + SHMX_RING_HEAD};
  shmx_ring_write_head(memory->ring, capacity, &item, message->length, message->tag);
  shmx_copy_short(shmx_ring_bytes(memory->ring, capacity, item.at), message->data, length);
  shmx_end_pass(&memory->producer, item.next, 1);
  return true;
}

int shmx_channel_send(shmx_channel *channel, const shmx_message *message, int64_t deadline) {
  if (send_shortly(channel, message)) {
    shmx_event_notify_lightly(&channel->memory->readable);
    return 0;
  }
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
    status = shmx_channel_is_finished(memory) ? -EPIPE : place(channel, tail, length, &seen, &item);
    if (status == 0) break;
    shmx_end_leave(mine, &memory->producer);
    if (status == -EAGAIN)
      status = shmx_channel_wait(channel, &memory->writable, &memory->consumer, seen, deadline);
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
  shmx_end_pass(&memory->producer, item.next, 1);
  shmx_end_done(mine, &memory->producer);
  shmx_end_tell(&channel->producer, &memory->readable);
  return 0;
}

int shmx_channel_finish(shmx_channel *channel, int64_t deadline) {
  struct shmx_channel_memory *memory = channel->memory;
  if (deadline == SHMX_FOREVER) deadline = shmx_clock_now() + SHMX_LOCK_TIMEOUT;
  int status = shmx_end_enter(&channel->producer, &memory->producer, deadline);
  if (status != 0) return status;
  /* Release: what was committed was before. Pairs with the acquire in is_finished. */
  atomic_store_explicit(&memory->finished, 1, memory_order_release);
  shmx_end_leave(&channel->producer, &memory->producer);
  shmx_event_notify(&memory->readable);
  shmx_event_notify(&memory->writable);
  return 0;
}
