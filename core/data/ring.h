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

/*
 * Where a message of so many bytes goes; `free` bytes are free from the tail on. False where there
 * is no room. Writes a padding if one is needed, which nobody sees before the tail has passed it.
 */
bool shmx_ring_place(unsigned char *ring, uint64_t capacity, uint64_t tail, uint64_t free,
                     uint32_t length, struct shmx_ring_item *item);

/* Writes the head of the message that was placed; it may be shorter than what was placed. */
void shmx_ring_write_head(unsigned char *ring, uint64_t capacity, struct shmx_ring_item *item,
                          uint32_t length, uint32_t tag);

/*
 * The first message between head and tail, which are sane and not equal. -EBADMSG where there is
 * none: each head is read once and checked against what is left.
 */
int shmx_ring_first(unsigned char *ring, uint64_t capacity, uint64_t head, uint64_t tail,
                    struct shmx_ring_item *item);

#endif
