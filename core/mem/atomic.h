/*
 * atomic.h: atomic operations on integer elements of shared memory, and waiting for one to change.
 * Touches os, base.
 *
 * An element must be naturally aligned: its address a multiple of its size. The operations are
 * C11's atomics of that width, lock-free, and so atomic between processes too.
 */
#ifndef SHMX_MEM_ATOMIC_H
#define SHMX_MEM_ATOMIC_H

#include "base/api.h"
#include "mem/element.h"

SHMX_BEGIN_DECLS

/* Orders, as C11's memory_order. Without a reason, use SHMX_SEQ_CST. */
typedef enum shmx_order {
  SHMX_RELAXED,
  SHMX_ACQUIRE,
  SHMX_RELEASE,
  SHMX_ACQ_REL,
  SHMX_SEQ_CST
} shmx_order;

/* Operations that read an element and write it in one step; they return what was there. */
typedef enum shmx_rmw {
  SHMX_EXCHANGE,
  SHMX_FETCH_ADD, /* wraps around at the element's width, as unsigned arithmetic does */
  SHMX_FETCH_SUB,
  SHMX_FETCH_AND,
  SHMX_FETCH_OR,
  SHMX_FETCH_XOR
} shmx_rmw;

/*
 * Integer types only; values that fit the type. A load takes relaxed, acquire and seq_cst, a store
 * relaxed, release and seq_cst; the others are taken for the next stronger. They do not block, are
 * safe in any thread and process, and lock nothing.
 */
SHMX_API int64_t shmx_atomic_load(shmx_type type, const void *element, shmx_order order);
SHMX_API void shmx_atomic_store(shmx_type type, void *element, int64_t value, shmx_order order);
SHMX_API int64_t shmx_atomic_rmw(shmx_type type, void *element, shmx_rmw operation, int64_t value,
                                 shmx_order order);

/*
 * Stores `desired` if the element is `*expected`, and says whether it did; else `*expected`
 * receives what was found.
 */
SHMX_API bool shmx_atomic_compare_exchange(shmx_type type, void *element, int64_t *expected,
                                           int64_t desired, shmx_order order);

/*
 * Sleeps while a 32-bit element is `expected`, until shmx_atomic_notify or the deadline.
 *
 * deadline  nanoseconds of CLOCK_MONOTONIC (shmx_clock_now), or SHMX_FOREVER
 * Returns 0 when it was woken, which may be for no reason; -EAGAIN if the element was another
 * already; -ETIMEDOUT; -EINTR after a signal; -EFAULT if the memory is gone.
 * Blocks. futex(2) FUTEX_WAIT_BITSET, shared between processes; a mapping may be readonly.
 */
SHMX_API int shmx_atomic_wait(const void *element, uint32_t expected, int64_t deadline);

/*
 * Wakes at most `count` of those who wait for the element; `woken` receives how many.
 * Errors: EFAULT. Does not block. futex(2) FUTEX_WAKE.
 */
SHMX_API int shmx_atomic_notify(const void *element, int count, int *woken);

SHMX_END_DECLS

#endif
