/*
 * channel.c: a ring and its two ends: opening, claiming, status. Touches sync, os, base.
 *
 * A message is written behind the tail, where nobody looks, and committed by the store of the tail;
 * it is taken out by the store of the head. Whoever dies before such a store has done nothing, and
 * after it, all: a dead owner's turn needs no repair.
 */
#include "data/channel_memory.h"
#include "data/readiness.h"

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
  atomic_thread_fence(memory_order_seq_cst); /* pairs with shmx_event_prepare: see data/await.c */
  return 0;
}

int shmx_channel_claim(shmx_channel *channel, int ends) {
  struct shmx_channel_memory *memory = channel->memory;
  bool produces = channel->producer.claimed && channel->producer.owner == shmx_self()->task;
  int status = 0;
  if (ends & SHMX_PRODUCER) status = claim(&channel->producer, &memory->producer);
  if (status != 0 || !(ends & SHMX_CONSUMER)) return status;
  status = claim(&channel->consumer, &memory->consumer);
  if (status == 0) shmx_channel_rearm(channel);
  if (status != 0 && ends & SHMX_PRODUCER && !produces)
    shmx_end_give_up(&channel->producer, &memory->producer);
  return status;
}

uint32_t shmx_channel_holder(const shmx_channel *channel, int end) {
  const struct shmx_channel_memory *memory = channel->memory;
  return shmx_lock_holder(end == SHMX_PRODUCER ? &memory->producer.turn : &memory->consumer.turn);
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

/* ---- readiness ---- */

/* A consumer that is stopped, or that looks at a message, keeps all others from receiving. */
static enum shmx_ready is_ready(const void *context, shmx_task own) {
  const struct shmx_channel_memory *memory = context;
  if (!shmx_channel_is_readable(memory)) return SHMX_NOT_READY;
  shmx_task owner = shmx_lock_owner(&memory->consumer.turn);
  return owner == 0 || owner == own || !shmx_task_lives(owner) ? SHMX_READY : SHMX_HELD;
}

/* The owner of an end that we have claimed, and can receive at. */
static shmx_task own_end(const struct shmx_channel_end *mine) {
  return mine->claimed && !mine->busy ? mine->owner : 0;
}

void shmx_channel_rearm(const shmx_channel *channel) {
  if (channel->readiness != NULL)
    shmx_readiness_rearm(channel->readiness, own_end(&channel->consumer));
}

int shmx_channel_fd(shmx_channel *channel, int *fd) {
  struct shmx_channel_memory *memory = channel->memory;
  *fd = channel->readiness != NULL ? shmx_readiness_fd(channel->readiness) : -1;
  if (*fd >= 0) return 0;
  shmx_readiness_stop(channel->readiness); /* the parent's */
  channel->readiness = NULL;
  int status = shmx_readiness_start(&channel->readiness, &memory->readable, is_ready, memory,
                                    own_end(&channel->consumer));
  if (status == 0) *fd = shmx_readiness_fd(channel->readiness);
  return status;
}

/* ---- status ---- */

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
      .receivers_wait = shmx_event_has_sleepers(&memory->readable),
      .senders_wait = shmx_event_has_sleepers(&memory->writable),
      .finished = shmx_channel_is_finished(memory),
  };
}

void shmx_channel_holders(const shmx_channel *channel, shmx_holders *holders) {
  const struct shmx_channel_memory *memory = channel->memory;
  shmx_lock_look(&memory->producer.turn, SHMX_SENDS, holders);
  shmx_lock_look(&memory->consumer.turn, SHMX_RECEIVES, holders);
  holders->waited |= shmx_event_has_sleepers(&memory->readable);
  holders->waited |= shmx_event_has_sleepers(&memory->writable);
}
