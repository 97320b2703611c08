/* element.c: the ten element types; each function has one body, made for every type. Touches base.
 */
#include "mem/element.h"

#include <float.h>
#include <string.h>

#define EACH_INTEGER(X)                                                                            \
  X(SHMX_I8, int8_t)                                                                               \
  X(SHMX_U8, uint8_t)                                                                              \
  X(SHMX_I16, int16_t)                                                                             \
  X(SHMX_U16, uint16_t)                                                                            \
  X(SHMX_I32, int32_t)                                                                             \
  X(SHMX_U32, uint32_t)                                                                            \
  X(SHMX_I64, int64_t)                                                                             \
  X(SHMX_U64, uint64_t)
#define EACH_FLOAT(X)                                                                              \
  X(SHMX_F32, float)                                                                               \
  X(SHMX_F64, double)
#define EACH_TYPE(X) EACH_INTEGER(X) EACH_FLOAT(X)

/* ---- types ---- */

static const char *const names[SHMX_TYPES] = {
    "i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64",
};

const char *shmx_type_name(shmx_type type) {
  return type < SHMX_TYPES ? names[type] : "?";
}

shmx_type shmx_type_find(const char *name) {
  int type = 0;
  while (type < SHMX_TYPES && strcmp(names[type], name) != 0)
    type++;
  return (shmx_type)type;
}

/* ---- one element ---- */

static shmx_number from_integer(int64_t integer) {
  return (shmx_number){.is_float = false, .integer = integer};
}

static shmx_number from_float(double number) {
  return (shmx_number){.is_float = true, .number = number};
}

#define TWO_53 9007199254740992.0    /* from here on, no float has a fraction */
#define TWO_63 9223372036854775808.0 /* from here on, no float is an integer of 64 bits */

/* A float that has no fraction and lies within the 64 bits of an integer is that integer. */
static bool to_integer(shmx_number number, int64_t *integer) {
  if (!number.is_float) {
    *integer = number.integer;
    return true;
  }
  if (!(number.number >= -TWO_63 && number.number < TWO_63)) return false;
  *integer = (int64_t)number.number;
  return (double)*integer == number.number;
}

static int check_integer(shmx_type type, int64_t integer) {
  if (type == SHMX_I64 || type == SHMX_U64) return SHMX_NUMBER_FITS;
  int bits = 8 * (int)shmx_type_size(type);
  bool is_signed = type % 2 == 0;
  int64_t most = ((int64_t)1 << (is_signed ? bits - 1 : bits)) - 1;
  int64_t least = is_signed ? -most - 1 : 0;
  return integer >= least && integer <= most ? SHMX_NUMBER_FITS : SHMX_NUMBER_TOO_LARGE;
}

static int check_float(shmx_type type, double number) {
  bool is_finite = number - number == 0;
  bool too_large = number > FLT_MAX || number < -FLT_MAX;
  return type == SHMX_F32 && is_finite && too_large ? SHMX_NUMBER_TOO_LARGE : SHMX_NUMBER_FITS;
}

int shmx_element_check(shmx_type type, shmx_number number) {
  if (shmx_type_is_float(type))
    return number.is_float ? check_float(type, number.number) : SHMX_NUMBER_FITS;
  int64_t integer;
  if (to_integer(number, &integer)) return check_integer(type, integer);
  bool has_fraction = number.number > -TWO_53 && number.number < TWO_53;
  return has_fraction ? SHMX_NUMBER_NOT_WHOLE : SHMX_NUMBER_TOO_LARGE;
}

shmx_number shmx_element_load(shmx_type type, const void *element) {
  switch (type) {
#define LOAD_INTEGER(TYPE, ctype)                                                                  \
  case TYPE: {                                                                                     \
    ctype value;                                                                                   \
    memcpy(&value, element, sizeof value);                                                         \
    return from_integer((int64_t)value);                                                           \
  }
    EACH_INTEGER(LOAD_INTEGER)
#define LOAD_FLOAT(TYPE, ctype)                                                                    \
  case TYPE: {                                                                                     \
    ctype value;                                                                                   \
    memcpy(&value, element, sizeof value);                                                         \
    return from_float(value);                                                                      \
  }
    EACH_FLOAT(LOAD_FLOAT)
  default:
    return from_integer(0);
  }
}

void shmx_element_store(shmx_type type, void *element, shmx_number number) {
  int64_t integer = 0;
  if (!shmx_type_is_float(type)) to_integer(number, &integer);
  double floating = number.is_float ? number.number : (double)number.integer;
  switch (type) {
#define STORE(TYPE, ctype, source)                                                                 \
  case TYPE: {                                                                                     \
    ctype value = (ctype)(source);                                                                 \
    memcpy(element, &value, sizeof value);                                                         \
    return;                                                                                        \
  }
#define STORE_INTEGER(TYPE, ctype) STORE(TYPE, ctype, integer)
#define STORE_FLOAT(TYPE, ctype)   STORE(TYPE, ctype, floating)
    EACH_INTEGER(STORE_INTEGER)
    EACH_FLOAT(STORE_FLOAT)
  default:
    return;
  }
}

/* ---- runs of elements ---- */

size_t shmx_elements_convert(shmx_type to_type, void *to, shmx_type from_type, const void *from,
                             size_t count) {
  size_t to_size = shmx_type_size(to_type), from_size = shmx_type_size(from_type);
  for (size_t i = 0; i < count; i++) {
    shmx_number number = shmx_element_load(from_type, (const char *)from + i * from_size);
    if (shmx_element_check(to_type, number) != SHMX_NUMBER_FITS) return i;
    shmx_element_store(to_type, (char *)to + i * to_size, number);
  }
  return count;
}

/*
 * GCC vectorises loops at -O3 only; one clone is for AVX2. A fourfold gain, where memory allows it.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORISED __attribute__((optimize("O3"), target_clones("default", "avx2")))
#else
#define VECTORISED
#endif

/* Eight bytes at a time: they are whole elements of any type, aligned or not. */
VECTORISED static void fill_pattern(char *bytes, size_t length, uint64_t pattern) {
  size_t whole = length / sizeof pattern;
  for (size_t i = 0; i < whole; i++)
    memcpy(bytes + i * sizeof pattern, &pattern, sizeof pattern);
  memcpy(bytes + whole * sizeof pattern, &pattern, length % sizeof pattern);
}

void shmx_elements_fill(shmx_type type, void *elements, size_t count, shmx_number number) {
  size_t size = shmx_type_size(type);
  unsigned char pattern[sizeof(uint64_t)] = {0};
  for (size_t at = 0; at < sizeof pattern; at += size)
    shmx_element_store(type, pattern + at, number);
  uint64_t bits;
  memcpy(&bits, pattern, sizeof bits);
  bool one_byte = memcmp(pattern, pattern + 1, sizeof pattern - 1) == 0;
  if (one_byte)
    memset(elements, pattern[0], count * size); /* twice as fast with zeroes, behind the caches */
  else
    fill_pattern(elements, count * size, bits);
}

/*
 * Sums have sixteen lanes, so that the compiler can add several elements at a time and additions
 * need not wait for each other: four vectors of AVX2. Each element is loaded by itself: copied to
 * an array first, all lanes stay in memory.
 */
enum { LANES = 16 };

#define DEFINE_SUM(TYPE, ctype, sumtype)                                                           \
  VECTORISED static sumtype sum_##ctype(const char *elements, size_t count) {                      \
    sumtype lanes[LANES] = {0};                                                                    \
    size_t i = 0;                                                                                  \
    for (; i + LANES <= count; i += LANES) {                                                       \
      for (size_t lane = 0; lane < LANES; lane++) {                                                \
        ctype value;                                                                               \
        memcpy(&value, elements + (i + lane) * sizeof value, sizeof value);                        \
        lanes[lane] += (sumtype)value;                                                             \
      }                                                                                            \
    }                                                                                              \
    for (; i < count; i++) {                                                                       \
      ctype value;                                                                                 \
      memcpy(&value, elements + i * sizeof value, sizeof value);                                   \
      lanes[0] += (sumtype)value;                                                                  \
    }                                                                                              \
    sumtype sum = 0;                                                                               \
    for (int lane = 0; lane < LANES; lane++)                                                       \
      sum += lanes[lane];                                                                          \
    return sum;                                                                                    \
  }
#define DEFINE_INTEGER_SUM(TYPE, ctype) DEFINE_SUM(TYPE, ctype, uint64_t) /* wraps, defined */
#define DEFINE_FLOAT_SUM(TYPE, ctype)   DEFINE_SUM(TYPE, ctype, double)
EACH_INTEGER(DEFINE_INTEGER_SUM)
EACH_FLOAT(DEFINE_FLOAT_SUM)

shmx_number shmx_elements_sum(shmx_type type, const void *elements, size_t count) {
  switch (type) {
#define CASE_INTEGER_SUM(TYPE, ctype)                                                              \
  case TYPE:                                                                                       \
    return from_integer((int64_t)sum_##ctype(elements, count));
#define CASE_FLOAT_SUM(TYPE, ctype)                                                                \
  case TYPE:                                                                                       \
    return from_float(sum_##ctype(elements, count));
    EACH_INTEGER(CASE_INTEGER_SUM)
    EACH_FLOAT(CASE_FLOAT_SUM)
  default:
    return from_integer(0);
  }
}

/* The first element is the best one so far, unless it is a NaN, which loses against any. */
#define DEFINE_BEST(TYPE, ctype, name, better)                                                     \
  static size_t name##_##ctype(const char *elements, size_t count) {                               \
    size_t best_index = 0;                                                                         \
    ctype best;                                                                                    \
    memcpy(&best, elements, sizeof best);                                                          \
    for (size_t i = 1; i < count; i++) {                                                           \
      ctype value;                                                                                 \
      memcpy(&value, elements + i * sizeof value, sizeof value);                                   \
      if (value better best || (best != best && value == value)) { /* NOLINT: NaN */               \
        best = value;                                                                              \
        best_index = i;                                                                            \
      }                                                                                            \
    }                                                                                              \
    return best_index;                                                                             \
  }
#define DEFINE_MIN(TYPE, ctype) DEFINE_BEST(TYPE, ctype, min, <)
#define DEFINE_MAX(TYPE, ctype) DEFINE_BEST(TYPE, ctype, max, >)
EACH_TYPE(DEFINE_MIN)
EACH_TYPE(DEFINE_MAX)

size_t shmx_elements_min(shmx_type type, const void *elements, size_t count) {
  switch (type) {
#define CASE_MIN(TYPE, ctype)                                                                      \
  case TYPE:                                                                                       \
    return min_##ctype(elements, count);
    EACH_TYPE(CASE_MIN)
  default:
    return 0;
  }
}

size_t shmx_elements_max(shmx_type type, const void *elements, size_t count) {
  switch (type) {
#define CASE_MAX(TYPE, ctype)                                                                      \
  case TYPE:                                                                                       \
    return max_##ctype(elements, count);
    EACH_TYPE(CASE_MAX)
  default:
    return 0;
  }
}

/* As numbers are in Lua: 1 equals 1.0, and nothing is rounded to be equal. */
static bool are_equal(shmx_number a, shmx_number b) {
  if (a.is_float && b.is_float) return a.number == b.number;
  int64_t left, right;
  return to_integer(a, &left) && to_integer(b, &right) && left == right;
}

size_t shmx_elements_find(shmx_type type, const void *elements, size_t count, shmx_number number) {
  if (shmx_element_check(type, number) != SHMX_NUMBER_FITS) return count;
  size_t size = shmx_type_size(type);
  for (size_t i = 0; i < count; i++) {
    shmx_number found = shmx_element_load(type, (const char *)elements + i * size);
    if (are_equal(found, number)) return i;
  }
  return count;
}
