/*
 * buffer.h: the buffer that operations on queues and dicts copy to: what is behind it is nobody's,
 * and what they say is in it is there. Touches toys.h.
 */
#ifndef SPEC_CORE_BUFFER_H
#define SPEC_CORE_BUFFER_H

#include "toys.h"

enum { LONGEST = 1 << 16, BEHIND = 16, UNTOUCHED = 0xa5 };

/* And behind it BEHIND bytes that are nobody's. */
static _Alignas(8) unsigned char toy_buffer[LONGEST + BEHIND];
static volatile unsigned char toy_seen;

static inline unsigned char *buffer_of(size_t room) {
  TOY_EXPECT(room <= LONGEST);
  memset(toy_buffer + room, UNTOUCHED, BEHIND);
  return toy_buffer;
}

static inline void expect_untouched(size_t room) {
  for (size_t i = 0; i < BEHIND; i++)
    TOY_EXPECT(toy_buffer[room + i] == UNTOUCHED);
}

static inline size_t room_for(unsigned argument) {
  static const size_t rooms[] = {LONGEST, 0, 8, 24, 64, 120, 256, 1024};
  return rooms[argument % 8];
}

/* Each byte can be read, and is in this memory. */
static inline void expect_bytes_within(const void *bytes, uint64_t length,
                                       const unsigned char *memory, size_t size) {
  const unsigned char *data = bytes;
  TOY_EXPECT(data >= memory && data <= memory + size);
  TOY_EXPECT(length <= (size_t)(memory + size - data));
  for (uint64_t i = 0; i < length; i++)
    toy_seen ^= data[i];
}

#endif
