/*
 * copy.h: copies of messages: short ones without a call, long ones past the caches. Touches libc.
 *
 * What a message costs is not its instructions, but the cache lines that go from one core to
 * another, and while a store waits for its line, those behind it wait, too. A call stores a return
 * address and registers; so short copies are made in place.
 */
#ifndef SHMX_BASE_COPY_H
#define SHMX_BASE_COPY_H

#include <stddef.h>
#include <string.h>

enum {
  SHMX_COPY_SHORT = 128, /* bytes, at most, that are copied without a call */
  SHMX_COPY_LONG = 4096  /* from here on, shmx_copy_away is faster than memcpy */
};

/* The first and the last bytes, which may be the same: one branch for 9 to 16, 17 to 32 ... */
#define SHMX_COPY_ENDS(size)                                                                       \
  do {                                                                                             \
    memcpy(to, from, size);                                                                        \
    memcpy((char *)to + length - (size), (const char *)from + length - (size), size);              \
  } while (0)

/* At most SHMX_COPY_SHORT bytes, without a call. */
static inline void shmx_copy_short(void *to, const void *from, size_t length) {
  if (length > 64) {
    memcpy((char *)to + 32, (const char *)from + 32, 32);
    memcpy((char *)to + length - 64, (const char *)from + length - 64, 32);
    SHMX_COPY_ENDS(32);
  } else if (length > 32)
    SHMX_COPY_ENDS(32);
  else if (length > 16)
    SHMX_COPY_ENDS(16);
  else if (length >= 8)
    SHMX_COPY_ENDS(8);
  else
    for (size_t i = 0; i < length; i++)
      ((unsigned char *)to)[i] = ((const unsigned char *)from)[i];
}

static inline void shmx_copy(void *to, const void *from, size_t length) {
  if (length <= SHMX_COPY_SHORT)
    shmx_copy_short(to, from, length);
  else
    memcpy(to, from, length);
}

/*
 * As memcpy, for what another core will read: long copies go to memory past the caches, by
 * non-temporal stores where the processor has them. Else each line would first have to be fetched,
 * and then be taken from this core. A release store after it publishes it as any other.
 */
void shmx_copy_away(void *to, const void *from, size_t length);

#endif
