/* atomic.c: C11 atomics behind run-time types and orders. Touches os, base. */
#include "mem/atomic.h"
#include "os/futex.h"

/* Every unsigned width once: two's complement makes signed arithmetic the same. */
#define EACH_WIDTH(X) X(8, uint8_t) X(16, uint16_t) X(32, uint32_t) X(64, uint64_t)

/* The compiler needs orders as constants, or it takes the strongest. */
#define WITH_ORDER(order, DO)                                                                      \
  switch (order) {                                                                                 \
  case SHMX_RELAXED:                                                                               \
    return DO(__ATOMIC_RELAXED);                                                                   \
  case SHMX_ACQUIRE:                                                                               \
    return DO(__ATOMIC_ACQUIRE);                                                                   \
  case SHMX_RELEASE:                                                                               \
    return DO(__ATOMIC_RELEASE);                                                                   \
  case SHMX_ACQ_REL:                                                                               \
    return DO(__ATOMIC_ACQ_REL);                                                                   \
  default:                                                                                         \
    return DO(__ATOMIC_SEQ_CST);                                                                   \
  }

#define DEFINE_OPERATIONS(bits, ctype)                                                             \
  static ctype load_##bits(const ctype *element, shmx_order order) {                               \
    if (order == SHMX_RELAXED) return __atomic_load_n(element, __ATOMIC_RELAXED);                  \
    if (order == SHMX_ACQUIRE) return __atomic_load_n(element, __ATOMIC_ACQUIRE);                  \
    return __atomic_load_n(element, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  static void store_##bits(ctype *element, ctype value, shmx_order order) {                        \
    if (order == SHMX_RELAXED)                                                                     \
      __atomic_store_n(element, value, __ATOMIC_RELAXED);                                          \
    else if (order == SHMX_RELEASE)                                                                \
      __atomic_store_n(element, value, __ATOMIC_RELEASE);                                          \
    else                                                                                           \
      __atomic_store_n(element, value, __ATOMIC_SEQ_CST);                                          \
  }                                                                                                \
  static ctype exchange_##bits(ctype *element, ctype value, shmx_order order) {                    \
    WITH_ORDER(order, EXCHANGE)                                                                    \
  }                                                                                                \
  static ctype add_##bits(ctype *element, ctype value, shmx_order order) {                         \
    WITH_ORDER(order, ADD)                                                                         \
  }                                                                                                \
  static ctype and_##bits(ctype *element, ctype value, shmx_order order) {                         \
    WITH_ORDER(order, AND)                                                                         \
  }                                                                                                \
  static ctype or_##bits(ctype *element, ctype value, shmx_order order) {                          \
    WITH_ORDER(order, OR)                                                                          \
  }                                                                                                \
  static ctype xor_##bits(ctype *element, ctype value, shmx_order order) {                         \
    WITH_ORDER(order, XOR)                                                                         \
  }                                                                                                \
  static ctype rmw_##bits(ctype *element, shmx_rmw operation, ctype value, shmx_order order) {     \
    switch (operation) {                                                                           \
    case SHMX_EXCHANGE:                                                                            \
      return exchange_##bits(element, value, order);                                               \
    case SHMX_FETCH_ADD:                                                                           \
      return add_##bits(element, value, order);                                                    \
    case SHMX_FETCH_SUB:                                                                           \
      return add_##bits(element, (ctype)(0 - value), order);                                       \
    case SHMX_FETCH_AND:                                                                           \
      return and_##bits(element, value, order);                                                    \
    case SHMX_FETCH_OR:                                                                            \
      return or_##bits(element, value, order);                                                     \
    default:                                                                                       \
      return xor_##bits(element, value, order);                                                    \
    }                                                                                              \
  }                                                                                                \
  static bool compare_exchange_##bits(ctype *element, ctype *expected, ctype desired,              \
                                      shmx_order order) {                                          \
    WITH_ORDER(order, COMPARE_EXCHANGE)                                                            \
  }

#define EXCHANGE(order) __atomic_exchange_n(element, value, order)
#define ADD(order)      __atomic_fetch_add(element, value, order)
#define AND(order)      __atomic_fetch_and(element, value, order)
#define OR(order)       __atomic_fetch_or(element, value, order)
#define XOR(order)      __atomic_fetch_xor(element, value, order)
/* A failed exchange is a load: it has no release. */
#define ON_FAILURE(order)                                                                          \
  ((order) == __ATOMIC_RELEASE   ? __ATOMIC_RELAXED                                                \
   : (order) == __ATOMIC_ACQ_REL ? __ATOMIC_ACQUIRE                                                \
                                 : (order))
#define COMPARE_EXCHANGE(order)                                                                    \
  __atomic_compare_exchange_n(element, expected, desired, false, order, ON_FAILURE(order))

EACH_WIDTH(DEFINE_OPERATIONS)

/* The value of an unsigned width as the type has it: with its sign, where it has one. */
#define SIGNED_CASES(X)                                                                            \
  X(SHMX_I8, 8, uint8_t, int8_t)                                                                   \
  X(SHMX_U8, 8, uint8_t, uint8_t)                                                                  \
  X(SHMX_I16, 16, uint16_t, int16_t)                                                               \
  X(SHMX_U16, 16, uint16_t, uint16_t)                                                              \
  X(SHMX_I32, 32, uint32_t, int32_t)                                                               \
  X(SHMX_U32, 32, uint32_t, uint32_t)                                                              \
  X(SHMX_I64, 64, uint64_t, int64_t)                                                               \
  X(SHMX_U64, 64, uint64_t, uint64_t)

int64_t shmx_atomic_load(shmx_type type, const void *element, shmx_order order) {
  switch (type) {
#define CASE_LOAD(TYPE, bits, width, ctype)                                                        \
  case TYPE:                                                                                       \
    return (int64_t)(ctype)load_##bits(element, order);
    SIGNED_CASES(CASE_LOAD)
  default:
    return 0;
  }
}

void shmx_atomic_store(shmx_type type, void *element, int64_t value, shmx_order order) {
  switch (type) {
#define CASE_STORE(TYPE, bits, width, ctype)                                                       \
  case TYPE:                                                                                       \
    store_##bits(element, (width)value, order);                                                    \
    return;
    SIGNED_CASES(CASE_STORE)
  default:
    return;
  }
}

int64_t shmx_atomic_rmw(shmx_type type, void *element, shmx_rmw operation, int64_t value,
                        shmx_order order) {
  switch (type) {
#define CASE_RMW(TYPE, bits, width, ctype)                                                         \
  case TYPE:                                                                                       \
    return (int64_t)(ctype)rmw_##bits(element, operation, (width)value, order);
    SIGNED_CASES(CASE_RMW)
  default:
    return 0;
  }
}

bool shmx_atomic_compare_exchange(shmx_type type, void *element, int64_t *expected, int64_t desired,
                                  shmx_order order) {
  switch (type) {
#define CASE_COMPARE(TYPE, bits, width, ctype)                                                     \
  case TYPE: {                                                                                     \
    width found = (width)*expected;                                                                \
    bool done = compare_exchange_##bits(element, &found, (width)desired, order);                   \
    *expected = (int64_t)(ctype)found;                                                             \
    return done;                                                                                   \
  }
    SIGNED_CASES(CASE_COMPARE)
  default:
    return false;
  }
}

int shmx_atomic_wait(const void *element, uint32_t expected, int64_t deadline) {
  return shmx_futex_wait(element, expected, deadline);
}

int shmx_atomic_notify(const void *element, int count, int *woken) {
  return shmx_futex_wake(element, count, woken);
}
