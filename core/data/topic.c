/*
 * topic.c: a ring whose writer waits for no reader. Touches sync, os, base.
 *
 * Messages are between `floor` and `tail`. Before the writer overwrites, it moves the floor; a
 * reader copies, and then looks at the floor: if that has passed, what it copied may be torn, and
 * is thrown away. That is a seqlock's protocol (Boehm, "Can seqlocks get along with programming
 * language memory models?", 2012), with the floor in the place of the sequence. So the bytes are
 * copied as atomic words.
 *
 * A message is two words (its length, and its tag above; its number), and its bytes in units of 16.
 */
#include "data/topic.h"
#include "data/await.h"
#include "data/ring.h"
#include "sync/lock.h"

#include <string.h>

enum { HEAD = 16, UNIT = 16, STEPS = 16 };

struct shmx_topic_memory {
  /* A cache line for publishers, */
  struct shmx_lock turn;
  _Atomic uint64_t serial; /* the number of the next message */
  unsigned char unused[48];
  /* one that subscribers look at, */
  _Atomic uint64_t tail; /* behind the newest message */
  _Atomic uint32_t finished;
  unsigned char unused_too[52];
  /* one that they look at for each message, and that seldom changes, */
  _Atomic uint64_t floor; /* the oldest message; below it, nothing holds */
  unsigned char unused_also[56];
  /* and one that is written only by who sleeps or wakes. */
  struct shmx_event published;
  unsigned char unused_at_last[60];
  _Atomic uint64_t ring[];
};
_Static_assert(offsetof(struct shmx_topic_memory, ring) == 256, "the layout in memory");

shmx_kind shmx_topic_kind(uint64_t capacity) {
  return shmx_kind_of(SHMX_KIND_TOPIC, sizeof(struct shmx_topic_memory), 1, capacity);
}

void shmx_topic_open(shmx_topic *topic, void *memory, uint64_t capacity) {
  *topic = (shmx_topic){.memory = memory, .capacity = capacity};
}

/* ---- words of the ring ---- */

static uint64_t load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}

static _Atomic uint64_t *word_at(struct shmx_topic_memory *memory, uint64_t capacity,
                                 uint64_t index) {
  return &memory->ring[(index & (capacity - 1)) / sizeof(uint64_t)];
}

static uint64_t space_of(uint64_t length) {
  return HEAD + ((length + UNIT - 1) & ~(uint64_t)(UNIT - 1));
}

static bool is_sane(uint64_t floor, uint64_t tail, uint64_t capacity) {
  return tail - floor <= capacity && (floor | tail) % UNIT == 0;
}

/* Copies `length` bytes out of the ring, and up to 7 behind them. */
static void copy_out(unsigned char *buffer, const _Atomic uint64_t *words, uint32_t length) {
  for (uint32_t at = 0; at < length; at += 8) {
    uint64_t word = atomic_load_explicit(words + at / 8, memory_order_relaxed);
    memcpy(buffer + at, &word, sizeof word);
  }
}

static void copy_in(_Atomic uint64_t *words, const unsigned char *data, uint32_t length) {
  uint32_t at = 0;
  uint64_t word;
  for (; length - at >= 8; at += 8) {
    memcpy(&word, data + at, sizeof word);
    atomic_store_explicit(words + at / 8, word, memory_order_relaxed);
  }
  if (at == length) return;
  word = 0;
  memcpy(&word, data + at, length - at);
  atomic_store_explicit(words + at / 8, word, memory_order_relaxed);
}

/* ---- publishing ---- */

/* The floor behind the first messages, so that `space` bytes from `tail` on overwrite none; a step
 * of a part of the ring, as each takes the floor's line from all subscribers. A ring that a peer
 * has spoiled is given up up to its tail. */
static uint64_t raise_floor(struct shmx_topic_memory *memory, uint64_t capacity, uint64_t floor,
                            uint64_t tail, uint64_t space) {
  if (!is_sane(floor, tail, capacity)) return tail;
  if (tail + space - floor <= capacity) return floor;
  if (space < capacity / STEPS) space = capacity / STEPS;
  while (tail + space - floor > capacity && floor != tail) {
    uint64_t head = atomic_load_explicit(word_at(memory, capacity, floor), memory_order_relaxed);
    uint64_t length =
        head & SHMX_RING_PADDING ? shmx_ring_to_end(capacity, floor) : space_of((uint32_t)head);
    if (length > tail - floor || length > shmx_ring_to_end(capacity, floor)) return tail;
    floor += length;
  }
  return floor;
}

static void write_message(struct shmx_topic_memory *memory, uint64_t capacity, uint64_t at,
                          uint64_t serial, const shmx_message *message) {
  _Atomic uint64_t *words = word_at(memory, capacity, at);
  atomic_store_explicit(&words[0], (uint64_t)message->tag << 32 | message->length,
                        memory_order_relaxed);
  atomic_store_explicit(&words[1], serial, memory_order_relaxed);
  copy_in(&words[2], message->data, message->length);
}

/* In our turn. Killed before the tail is stored, some of the oldest are lost, and nothing else. */
static void put(struct shmx_topic_memory *memory, uint64_t capacity, const shmx_message *message) {
  uint64_t tail = load(&memory->tail) & ~(uint64_t)(UNIT - 1);
  uint64_t serial = load(&memory->serial), space = space_of(message->length);
  uint64_t end = shmx_ring_to_end(capacity, tail), padding = space > end ? end : 0;
  uint64_t floor = raise_floor(memory, capacity, load(&memory->floor), tail, padding + space);
  if (floor != load(&memory->floor))
    atomic_store_explicit(&memory->floor, floor, memory_order_relaxed);
  /* The floor before what overwrites: pairs with the fence in check_floor. */
  atomic_thread_fence(memory_order_release);
  if (padding != 0)
    atomic_store_explicit(word_at(memory, capacity, tail), SHMX_RING_PADDING, memory_order_relaxed);
  write_message(memory, capacity, tail + padding, serial, message);
  atomic_store_explicit(&memory->serial, serial + 1, memory_order_relaxed);
  /* Release pairs with the acquire in tail_of. */
  atomic_store_explicit(&memory->tail, tail + padding + space, memory_order_release);
}

/* Whoever died in it has left the ring as it was, or some messages shorter. */
static int enter(shmx_topic *topic, int64_t deadline) {
  struct shmx_lock *turn = &topic->memory->turn;
  int status = shmx_lock_enter(turn, deadline);
  if (status == 0 || status == -EOWNERDEAD) return 0;
  topic->held_by = shmx_lock_holder(turn);
  return status;
}

static bool is_finished(const struct shmx_topic_memory *memory) {
  return atomic_load_explicit(&memory->finished, memory_order_acquire) != 0;
}

int shmx_topic_publish(shmx_topic *topic, const shmx_message *message, int64_t deadline) {
  struct shmx_topic_memory *memory = topic->memory;
  if (message->length > shmx_topic_limit(topic)) return -EMSGSIZE;
  int status = enter(topic, deadline);
  if (status != 0) return status;
  status = is_finished(memory) ? -EPIPE : 0;
  if (status == 0) put(memory, topic->capacity, message);
  shmx_lock_leave(&memory->turn);
  if (status == 0) shmx_event_notify(&memory->published);
  return status;
}

int shmx_topic_finish(shmx_topic *topic, int64_t deadline) {
  struct shmx_topic_memory *memory = topic->memory;
  int status = enter(topic, deadline);
  if (status != 0) return status;
  /* Release: what was published was before. Pairs with the acquire in is_finished. */
  atomic_store_explicit(&memory->finished, 1, memory_order_release);
  shmx_lock_leave(&memory->turn);
  shmx_event_notify(&memory->published);
  return 0;
}

/* ---- subscribing ---- */

/* In the publishers' turn, index and number belong together. */
int shmx_topic_subscribe(shmx_topic *topic, bool oldest, int spins, int64_t deadline,
                         shmx_subscription *subscription) {
  struct shmx_topic_memory *memory = topic->memory;
  int status = enter(topic, deadline);
  if (status != 0) return status;
  uint64_t floor = load(&memory->floor), tail = load(&memory->tail);
  *subscription = (shmx_subscription){.memory = memory,
                                      .capacity = topic->capacity,
                                      .cursor = (oldest ? floor : tail) & ~(uint64_t)(UNIT - 1),
                                      .serial = load(&memory->serial)};
  if (oldest && floor != tail && is_sane(floor, tail, topic->capacity)) {
    uint64_t head = load(word_at(memory, topic->capacity, floor));
    uint64_t at =
        head & SHMX_RING_PADDING ? floor + shmx_ring_to_end(topic->capacity, floor) : floor;
    subscription->serial = load(word_at(memory, topic->capacity, at) + 1);
  }
  shmx_lock_leave(&memory->turn);
  shmx_spin_open(&subscription->spin, spins < 0 ? SHMX_SPIN_MOST : (uint32_t)spins);
  return 0;
}

/* ---- receiving ---- */

static uint64_t tail_of(const struct shmx_topic_memory *memory) {
  /* Acquire pairs with the release in put. */
  return atomic_load_explicit(&memory->tail, memory_order_acquire);
}

static int wait_for(shmx_subscription *self, int64_t deadline) {
  struct shmx_topic_memory *memory = self->memory;
  const struct shmx_awaited awaited = {&memory->tail, &memory->finished, &memory->published, NULL};
  return shmx_await(&awaited, self->cursor, &self->spin, deadline);
}

/* Has the writer come past what was read just now? Then it does not hold, and the floor is where to
 * go on. */
static bool is_overrun(shmx_subscription *self) {
  /* After the copy: pairs with the fence in put. */
  atomic_thread_fence(memory_order_acquire);
  uint64_t floor = load(&self->memory->floor);
  if ((int64_t)(floor - self->cursor) <= 0) return false;
  self->cursor = floor & ~(uint64_t)(UNIT - 1);
  return true;
}

/* Copies the message at the cursor. -EAGAIN: it was overrun; or it is a padding, behind which we
 * are now. */
static int copy_next(shmx_subscription *self, uint64_t tail, void *buffer, size_t room,
                     shmx_message *message, uint64_t *lost, shmx_copied *copied) {
  uint64_t capacity = self->capacity, left = tail - self->cursor,
           end = shmx_ring_to_end(capacity, self->cursor);
  _Atomic uint64_t *words = word_at(self->memory, capacity, self->cursor);
  uint64_t head = load(&words[0]), serial = load(&words[1]);
  uint32_t length = (uint32_t)head;
  uint64_t space = head & SHMX_RING_PADDING ? end : space_of(length);
  bool fits = space <= left && space <= end;
  bool fits_buffer = fits && !(head & SHMX_RING_PADDING) && ((length + 7) & ~UINT64_C(7)) <= room;
  if (fits_buffer) copy_out(buffer, &words[2], length);
  if (is_overrun(self)) return -EAGAIN;
  if (!fits) return -EBADMSG;
  if (head & SHMX_RING_PADDING) return self->cursor += space, -EAGAIN;
  *message = (shmx_message){buffer, length, (uint32_t)(head >> 32)};
  if (!fits_buffer) return -EMSGSIZE;
  *lost = serial - self->serial;
  *copied = (shmx_copied){self->cursor, self->cursor + space, *lost + 1};
  return 0;
}

/* All is received that is there. -EPIPE: and all there will ever be; so what is missing is lost. */
static int at_end(shmx_subscription *self, bool finished, uint64_t *lost, int64_t deadline) {
  if (!finished) return wait_for(self, deadline);
  *lost = load(&self->memory->serial) - self->serial;
  return -EPIPE;
}

/* How often to be overrun before giving up all that is there. */
enum { TRIES = 100 };

/* Is there something at the cursor? The publishers' line is not looked at for each message. */
static bool is_behind(const shmx_subscription *self) {
  return (int64_t)(self->tail - self->cursor) > 0;
}

int shmx_subscription_copy(shmx_subscription *self, void *buffer, size_t room,
                           shmx_message *message, uint64_t *lost, shmx_copied *copied,
                           int64_t deadline) {
  struct shmx_topic_memory *memory = self->memory;
  *lost = 0;
  for (int tries = 0;;) {
    if (!is_behind(self)) {
      bool finished = is_finished(memory); /* before the tail: after it, nothing is published */
      self->tail = tail_of(memory);
      if (self->tail == self->cursor) {
        int status = at_end(self, finished, lost, deadline);
        if (status != 0) return status;
        continue;
      }
    }
    if (self->tail % UNIT != 0) return self->tail = self->cursor, -EBADMSG;
    if (self->tail - self->cursor > self->capacity) {
      /* Ahead of the tail, which only a lie can be; or so far behind. */
      if (!is_overrun(self)) return self->tail = self->cursor, -EBADMSG;
    } else {
      int status = copy_next(self, self->tail, buffer, room, message, lost, copied);
      if (status != -EAGAIN) return status;
    }
    if (++tries < TRIES) continue;
    if (shmx_clock_now() >= deadline) return -ETIMEDOUT;
    self->cursor = self->tail = tail_of(memory);
    tries = 0;
  }
}

int shmx_subscription_consume(shmx_subscription *self, const shmx_copied *copied) {
  if (self->cursor != copied->from) return -EAGAIN;
  self->cursor = copied->to;
  self->serial += copied->messages;
  return 0;
}

int shmx_subscription_receive(shmx_subscription *self, void *buffer, size_t room,
                              shmx_message *message, uint64_t *lost, int64_t deadline) {
  shmx_copied copied;
  int status = shmx_subscription_copy(self, buffer, room, message, lost, &copied, deadline);
  return status == 0 ? shmx_subscription_consume(self, &copied) : status;
}

void shmx_topic_stat(const shmx_topic *topic, shmx_topic_status *status) {
  const struct shmx_topic_memory *memory = topic->memory;
  uint64_t used = tail_of(memory) - load(&memory->floor);
  *status = (shmx_topic_status){.capacity = topic->capacity,
                                .used = used < topic->capacity ? used : topic->capacity,
                                .published = load(&memory->serial),
                                .finished = is_finished(memory)};
}

void shmx_topic_holders(const shmx_topic *topic, shmx_holders *holders) {
  shmx_lock_look(&topic->memory->turn, SHMX_SENDS, holders);
  holders->waited |= shmx_event_has_sleepers(&topic->memory->published);
}
