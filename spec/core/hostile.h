/*
 * hostile.h: memory in which somebody writes what he likes: what it is worth to write, and guards
 * around where others have it.
 */
#ifndef SPEC_CORE_HOSTILE_H
#define SPEC_CORE_HOSTILE_H

#include "expect.h"

#include "os/process.h"
#include "shmx.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MIB = 1 << 20, FILLING = 0x5a };

/* Where handles are mapped: far below what the system gives out, so nobody else is there. */
#define HOSTILE_ADDRESS ((uintptr_t)0x300000000000)

/* ---- guards ---- */

/* The address of the handle of that number: nothing may be touched before and behind it. */
static inline void *guarded_address(unsigned number, size_t length) {
  unsigned char *at = (unsigned char *)(HOSTILE_ADDRESS + number * (uintptr_t)(4 * MIB));
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  bool before = mmap(at - MIB, MIB, PROT_NONE, flags, -1, 0) == at - MIB;
  bool behind = mmap(at + length, MIB, PROT_NONE, flags, -1, 0) == at + length;
  TOY_EXPECT(before && behind);
  return at;
}

static inline void drop_guards(unsigned number, size_t length) {
  unsigned char *at = (unsigned char *)(HOSTILE_ADDRESS + number * (uintptr_t)(4 * MIB));
  munmap(at - MIB, MIB);
  munmap(at + length, MIB);
}

/* Memory whose end is that of its pages, with guards around these, shared with children; `length`
 * receives that of the pages, in which FILLING is before it. */
static inline unsigned char *map_to_end(unsigned number, size_t size, size_t *length) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  *length = (size + page - 1) / page * page;
  unsigned char *at = guarded_address(number, *length);
  int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  TOY_EXPECT(mmap(at, *length, PROT_READ | PROT_WRITE, flags, -1, 0) == at);
  memset(at, FILLING, *length - size);
  return at + *length - size;
}

static inline void unmap_to_end(unsigned number, unsigned char *end, size_t length) {
  munmap(end - length, length);
  drop_guards(number, length);
}

/* The bytes before this memory are as they were made. */
static inline void expect_filling(const unsigned char *memory, size_t count) {
  for (size_t before = 1; before <= count; before++)
    TOY_EXPECT(*(memory - before) == FILLING);
}

/* ---- what to write ---- */

enum { NAMES = 19, SIZES = 6, VALUES = NAMES + SIZES };

/* Extremes; names of those who live (`self` is one), once lived and never did; and of sizes,
 * offsets and numbers those that matter where it is written. */
static inline uint64_t hostile_value(const uint64_t *sizes, shmx_task self, unsigned which) {
  uint64_t number = self & UINT32_MAX, parent = (uint64_t)getppid();
  uint64_t waiters = FUTEX_WAITERS, died = FUTEX_OWNER_DIED;
  const uint64_t values[NAMES] = {
      0,                          /**/
      1,                          /* also: thread 1, started whenever */
      UINT64_MAX,                 /**/
      UINT64_C(1) << 63,          /**/
      INT64_MAX,                  /**/
      UINT32_MAX,                 /**/
      UINT64_C(1) << 31,          /**/
      self,                       /**/
      number,                     /* this thread, started whenever: it lives */
      self + (UINT64_C(1) << 32), /* this thread's number, once another's */
      parent,                     /**/
      parent | UINT64_C(5) << 32, /**/
      self | waiters,             /**/
      number | waiters,           /**/
      1 | waiters | died,         /**/
      waiters | died,             /* nobody's */
      died,                       /**/
      UINT64_C(77) << 32,         /* nobody's, with a start */
      0x3ffffffe,                 /* a number that is nobody's */
  };
  which %= VALUES;
  return which < NAMES ? values[which] : sizes[which - NAMES];
}

#endif
