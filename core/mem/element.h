/*
 * element.h: the types that an element of memory may have, and whole runs of them: conversion,
 * sums, searches. Knows no segment: it is given memory that may be touched. Touches base.
 *
 * Elements lie in native byte order at any address, aligned or not, as C has them in a packed
 * struct. Loads and stores here are plain: who needs to be atomic uses mem/atomic.h.
 */
#ifndef SHMX_MEM_ELEMENT_H
#define SHMX_MEM_ELEMENT_H

#include "base/api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

SHMX_BEGIN_DECLS

typedef enum shmx_type {
  SHMX_I8,
  SHMX_U8,
  SHMX_I16,
  SHMX_U16,
  SHMX_I32,
  SHMX_U32,
  SHMX_I64,
  SHMX_U64,
  SHMX_F32,
  SHMX_F64,
  SHMX_TYPES /* how many there are */
} shmx_type;

/* Bytes of an element. */
static inline size_t shmx_type_size(shmx_type type) {
  return type < SHMX_F32 ? (size_t)1 << (type >> 1) : (size_t)4 << (type - SHMX_F32);
}

static inline bool shmx_type_is_float(shmx_type type) {
  return type >= SHMX_F32;
}

/* "i8" ... "f64". The string is static. */
SHMX_API const char *shmx_type_name(shmx_type type);

/* The type of this name, or SHMX_TYPES where there is none. */
SHMX_API shmx_type shmx_type_find(const char *name);

/* A number as elements have it: integer of 64 bits (u64 as its bits), or floating. */
typedef struct shmx_number {
  bool is_float;
  union {
    int64_t integer;
    double number;
  };
} shmx_number;

/* Why a number is no element of a type. */
enum { SHMX_NUMBER_FITS, SHMX_NUMBER_NOT_WHOLE, SHMX_NUMBER_TOO_LARGE };

/* Does this number fit? Any integer fits u64 (its bits do) and a float (rounded if need be). */
SHMX_API int shmx_element_check(shmx_type type, shmx_number number);

/* The element as a number; the number, which fits, as an element. */
SHMX_API shmx_number shmx_element_load(shmx_type type, const void *element);
SHMX_API void shmx_element_store(shmx_type type, void *element, shmx_number number);

/*
 * Converts `count` elements of one type into another; the runs do not overlap. Returns how many
 * were converted: fewer than `count` where the next one does not fit.
 */
SHMX_API size_t shmx_elements_convert(shmx_type to_type, void *to, shmx_type from_type,
                                      const void *from, size_t count);

/* Stores the number, which fits, into all of them. */
SHMX_API void shmx_elements_fill(shmx_type type, void *elements, size_t count, shmx_number number);

/* The sum: integers wrap around at 64 bits; floats are added in sixteen lanes. */
SHMX_API shmx_number shmx_elements_sum(shmx_type type, const void *elements, size_t count);

/* The index of the least and of the greatest element, the first of equals; a NaN is neither. */
SHMX_API size_t shmx_elements_min(shmx_type type, const void *elements, size_t count);
SHMX_API size_t shmx_elements_max(shmx_type type, const void *elements, size_t count);

/* The index of the first element that equals the number, or `count`. */
SHMX_API size_t shmx_elements_find(shmx_type type, const void *elements, size_t count,
                                   shmx_number number);

SHMX_END_DECLS

#endif
