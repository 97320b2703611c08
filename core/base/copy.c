/* copy.c: copies past the caches. Touches libc. */
#include "base/copy.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>

/* Streams whole lines to a line's beginning. */
static void stream_lines(__m128i *to, const char *from, size_t lines) {
  for (; lines > 0; lines--, to += 4, from += 64) {
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)from);
    __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from + 16));
    __m128i c = _mm_loadu_si128((const __m128i *)(const void *)(from + 32));
    __m128i d = _mm_loadu_si128((const __m128i *)(const void *)(from + 48));
    _mm_stream_si128(to, a);
    _mm_stream_si128(to + 1, b);
    _mm_stream_si128(to + 2, c);
    _mm_stream_si128(to + 3, d);
  }
  _mm_sfence(); /* streaming stores are not ordered by a release store */
}

void shmx_copy_away(void *to, const void *from, size_t length) {
  if (length < SHMX_COPY_LONG) {
    shmx_copy(to, from, length);
    return;
  }
  char *target = to;
  const char *source = from;
  size_t head = (size_t)(-(uintptr_t)to & 63), lines = (length - head) / 64;
  memcpy(target, source, head);
  stream_lines((__m128i *)(void *)(target + head), source + head, lines);
  head += lines * 64;
  memcpy(target + head, source + head, length - head);
}

#else

void shmx_copy_away(void *to, const void *from, size_t length) {
  shmx_copy(to, from, length);
}

#endif
