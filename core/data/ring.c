/* ring.c: placing messages, and finding them. Touches base. */
#include "data/ring.h"

static uint64_t to_end(uint64_t capacity, uint64_t index) {
  return capacity - (index & (capacity - 1));
}

static uint64_t head_of(uint32_t length, uint32_t tag) {
  return (uint64_t)tag << 32 | length;
}

bool shmx_ring_place(unsigned char *ring, uint64_t capacity, uint64_t tail, uint64_t free,
                     uint32_t length, struct shmx_ring_item *item) {
  uint64_t space = shmx_ring_space(length), end = to_end(capacity, tail);
  uint64_t padding = space > end ? end : 0;
  if (padding + space > free) return false;
  if (padding != 0)
    atomic_store_explicit(shmx_ring_word(ring, capacity, tail),
                          SHMX_RING_PADDING | (padding - SHMX_RING_HEAD), memory_order_relaxed);
  item->at = tail + padding + SHMX_RING_HEAD;
  item->next = tail + padding + space;
  return true;
}

void shmx_ring_write_head(unsigned char *ring, uint64_t capacity, struct shmx_ring_item *item,
                          uint32_t length, uint32_t tag) {
  uint64_t start = item->at - SHMX_RING_HEAD;
  item->next = start + shmx_ring_space(length);
  atomic_store_explicit(shmx_ring_word(ring, capacity, start), head_of(length, tag),
                        memory_order_relaxed);
}

/* Reads the item at an index; false where it leaves what is left, or the ring. */
static bool read_item(unsigned char *ring, uint64_t capacity, uint64_t index, uint64_t tail,
                      uint64_t *head, struct shmx_ring_item *item) {
  *head = atomic_load_explicit(shmx_ring_word(ring, capacity, index), memory_order_relaxed);
  item->length = (uint32_t)*head;
  item->tag = (uint32_t)(*head >> 32);
  uint64_t space = shmx_ring_space(item->length);
  item->at = index + SHMX_RING_HEAD;
  item->next = index + space;
  return space <= tail - index && space <= to_end(capacity, index);
}

int shmx_ring_first(unsigned char *ring, uint64_t capacity, uint64_t index, uint64_t tail,
                    struct shmx_ring_item *item) {
  uint64_t head;
  if (!read_item(ring, capacity, index, tail, &head, item)) return -EBADMSG;
  if (!(head & SHMX_RING_PADDING)) return 0;
  if (item->next == tail || !read_item(ring, capacity, item->next, tail, &head, item))
    return -EBADMSG; /* a padding is committed together with what follows */
  return head & SHMX_RING_PADDING ? -EBADMSG : 0;
}
