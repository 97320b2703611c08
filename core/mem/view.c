/* view.c: the geometry of views. Touches os, base. */
#include "mem/view.h"

int shmx_view_open(shmx_view *view, const shmx_segment *segment, size_t size, uint64_t offset,
                   uint64_t count) {
  uint64_t length;
  if (__builtin_mul_overflow(count, size, &length)) return -ERANGE;
  int status = shmx_segment_range(segment, offset, length);
  if (status == 0) *view = (shmx_view){segment, offset, count, offset + length};
  return status;
}
