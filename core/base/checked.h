/* checked.h: arithmetic on sizes that cannot overflow. Touches libc. */
#ifndef SHMX_BASE_CHECKED_H
#define SHMX_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Do `length` bytes from `offset` lie inside `size` bytes? True for an empty range at the end. */
static inline bool shmx_fits(uint64_t offset, uint64_t length, uint64_t size) {
  return offset <= size && length <= size - offset;
}

/* The least multiple of `unit` (a power of two) that is not below `size`; false where none is. */
static inline bool shmx_round_up(size_t size, size_t unit, size_t *rounded) {
  if (__builtin_add_overflow(size, unit - 1, rounded)) return false;
  *rounded &= ~(unit - 1);
  return true;
}

#endif
