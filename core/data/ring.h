/*
 * ring.h: a ring of bytes in shared memory, and the messages in it. Owns their layout; knows no
 * locks and no waiting. Touches base.
 *
 * Two indexes count bytes and never wrap: messages are between `head`, which consumers move on, and
 * `tail`, which producers do. A message is a word (its length, and its tag above), its bytes, and
 * what is missing to a multiple of 8. It is never in two pieces: where the end of the ring is too
 * near, a padding fills it.
 */
#ifndef SHMX_DATA_RING_H
#define SHMX_DATA_RING_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { SHMX_RING_HEAD = 8 };

#define SHMX_RING_PADDING (UINT64_C(1) << 63)

/* A message, or a padding, at an index of a ring. */
struct shmx_ring_item {
  uint64_t at;     /* the index of its bytes */
  uint64_t next;   /* the index behind it */
  uint32_t length; /* bytes */
  uint32_t tag;
};

static inline uint64_t shmx_ring_space(uint64_t length) {
  return SHMX_RING_HEAD + ((length + 7) & ~UINT64_C(7));
}

static inline _Atomic uint64_t *shmx_ring_word(unsigned char *ring, uint64_t capacity,
                                               uint64_t index) {
  return (_Atomic uint64_t *)(void *)(ring + (index & (capacity - 1)));
}

static inline unsigned char *shmx_ring_bytes(unsigned char *ring, uint64_t capacity,
                                             uint64_t index) {
  return ring + (index & (capacity - 1));
}

/* Can these be the indexes of a ring? Differences are unsigned: a head beyond the tail is not. */
static inline bool shmx_ring_is_sane(uint64_t head, uint64_t tail, uint64_t capacity) {
  return tail - head <= capacity && ((head | tail) & 7) == 0;
}

/* Bytes from an index to where the ring ends. */
static inline uint64_t shmx_ring_to_end(uint64_t capacity, uint64_t index) {
  return capacity - (index & (capacity - 1));
}

/*
 * Where a message of so many bytes goes; `free` bytes are free from the tail on. False where there
 * is no room. Writes a padding if one is needed, which nobody sees before the tail has passed it.
 */
static inline bool shmx_ring_place(unsigned char *ring, uint64_t capacity, uint64_t tail,
                                   uint64_t free, uint32_t length, struct shmx_ring_item *item) {
  uint64_t space = shmx_ring_space(length), end = shmx_ring_to_end(capacity, tail);
  uint64_t padding = space > end ? end : 0;
  if (padding + space > free) return false;
  if (padding != 0)
    atomic_store_explicit(shmx_ring_word(ring, capacity, tail),
                          SHMX_RING_PADDING | (padding - SHMX_RING_HEAD), memory_order_relaxed);
  item->at = tail + padding + SHMX_RING_HEAD;
  item->next = tail + padding + space;
  return true;
}

/* Writes the head of the message that was placed; it may be shorter than what was placed. */
static inline void shmx_ring_write_head(unsigned char *ring, uint64_t capacity,
                                        struct shmx_ring_item *item, uint32_t length,
                                        uint32_t tag) {
  uint64_t start = item->at - SHMX_RING_HEAD;
  item->next = start + shmx_ring_space(length);
  atomic_store_explicit(shmx_ring_word(ring, capacity, start), (uint64_t)tag << 32 | length,
                        memory_order_relaxed);
}

/* Reads the item at an index; false where it leaves what is left, or the ring. */
static inline bool shmx_ring_read(unsigned char *ring, uint64_t capacity, uint64_t index,
                                  uint64_t tail, uint64_t *head, struct shmx_ring_item *item) {
  *head = atomic_load_explicit(shmx_ring_word(ring, capacity, index), memory_order_relaxed);
  item->length = (uint32_t)*head;
  item->tag = (uint32_t)(*head >> 32);
  uint64_t space = shmx_ring_space(item->length);
  item->at = index + SHMX_RING_HEAD;
  item->next = index + space;
  return space <= tail - index && space <= shmx_ring_to_end(capacity, index);
}

/*
 * The first message between head and tail, which are sane and not equal. -EBADMSG where there is
 * none: each head is read once and checked against what is left.
 */
static inline int shmx_ring_first(unsigned char *ring, uint64_t capacity, uint64_t index,
                                  uint64_t tail, struct shmx_ring_item *item) {
  uint64_t head;
  if (!shmx_ring_read(ring, capacity, index, tail, &head, item)) return -EBADMSG;
  if (!(head & SHMX_RING_PADDING)) return 0;
  if (item->next == tail || !shmx_ring_read(ring, capacity, item->next, tail, &head, item))
    return -EBADMSG; /* a padding is committed together with what follows */
  return head & SHMX_RING_PADDING ? -EBADMSG : 0;
}

#endif
