/*
 * hostile.h: an arena in which somebody writes what he likes: its memory through a second mapping,
 * what it is worth to write, and where; and guards around the first.
 */
#ifndef SPEC_CORE_HOSTILE_H
#define SPEC_CORE_HOSTILE_H

#include "toys.h"

#include "mem/directory.h"
#include "os/process.h"

#include <sys/mman.h>
#include <unistd.h>

/* As in core/mem/directory.c. */
enum { AT_LOCK = 64, AT_ENTRIES = 256, ENTRY_SIZE = 128 };

enum { MIB = 1 << 20, FILLING = 0x5a };

/* Where handles are mapped: far below what the system gives out, so nobody else is there. */
#define HOSTILE_ADDRESS ((uintptr_t)0x300000000000)

/* An arena, and what its memory was when all was well. */
struct scene {
  char name[64];
  shmx_segment segment; /* the peer's */
  unsigned char *memory, *pristine;
  size_t size, length; /* of the arena, of its pages */
  uint32_t entries, members;
  size_t at_members, member_size, start;
  size_t toys[TOYS], toy_sizes[TOYS];
};

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

/* ---- the scene ---- */

/* Behind the arena's end its last page goes on, where no guard can be. */
static inline void expect_nothing_behind(const struct scene *scene) {
  for (size_t at = scene->size; at < scene->length; at++)
    TOY_EXPECT(scene->memory[at] == FILLING);
}

static inline void scene_reset(struct scene *scene) {
  memcpy(scene->memory, scene->pristine, scene->length);
}

/* Makes an arena with all toys in it, and another handle of this process. GONE is removed there. */
static inline void scene_begin(struct scene *scene, const char *name, size_t size) {
  struct toys all;
  memset(scene, 0, sizeof *scene);
  snprintf(scene->name, sizeof scene->name, "%s", name);
  TOY_EXPECT(shmx_segment_create(&scene->segment, shmx_posix(scene->name), size, NULL) == 0);
  scene->memory = scene->segment.object.data;
  scene->size = size;
  scene->length = scene->segment.object.length;
  memset(scene->memory + size, FILLING, scene->length - size);
  toys_begin(&all, shmx_posix(scene->name), NULL);
  TOY_EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  for (unsigned which = 0; which < TOYS; which++) {
    unsigned long_name = which == SPARE ? TOYS : 0; /* as long as a name may be */
    TOY_EXPECT(toys_run(&all, FIND, 0, which + long_name) == 0);
    const shmx_object *part = &all.toys[which].object.memory.object;
    scene->toys[which] = (size_t)(part->data - all.arena.segment.object.data);
    scene->toy_sizes[which] = part->size;
  }
  TOY_EXPECT(op_remove(&all, 0, GONE) == 0);
  scene->entries = all.arena.entries;
  scene->members = all.arena.members;
  scene->start = all.arena.start;
  scene->at_members = AT_ENTRIES + scene->entries * (size_t)ENTRY_SIZE;
  scene->member_size = 8 + (scene->entries + 63) / 64 * 8;
  scene->pristine = malloc(scene->length);
  TOY_EXPECT(scene->pristine != NULL);
  memcpy(scene->pristine, scene->memory, scene->length);
  shmx_arena_close(&all.arena);
}

static inline void scene_end(struct scene *scene) {
  shmx_segment_remove(&scene->segment);
  shmx_segment_detach(&scene->segment);
  free(scene->pristine);
}

/* ---- what to write ---- */

enum { VALUES = 25 };

/* Extremes; names of those who live (`self` is one), once lived and never did; sizes and offsets.
 */
static inline uint64_t hostile_value(const struct scene *scene, shmx_task self, unsigned which) {
  uint64_t number = self & UINT32_MAX, parent = (uint64_t)getppid();
  uint64_t waiters = FUTEX_WAITERS, died = FUTEX_OWNER_DIED;
  const uint64_t values[VALUES] = {
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
      scene->size,                /**/
      scene->size / 64 * 64 - 64, /**/
      scene->start,               /**/
      scene->start + 1,           /**/
      2,                          /* also: an entry that was removed */
      64,                         /* the smallest object */
  };
  return values[which % VALUES];
}

/* ---- and where ---- */

/* A place, mostly one that matters, from a choice and a number that says which. */
static inline size_t hostile_place(const struct scene *scene, unsigned choice, unsigned number) {
  unsigned toy = number % TOYS;
  switch (choice % 8) {
  case 0: /* the header */
    return number % AT_ENTRIES;
  case 1: /* the lock of the directory */
    return AT_LOCK;
  case 2: /* a field of the entries that are in use, or free and next */
    return AT_ENTRIES + number % ((TOYS + 3) * ENTRY_SIZE);
  case 3: /* the first members */
    return scene->at_members + number % (4 * scene->member_size);
  case 4: /* the words that locks, events and rounds begin with */
    return scene->toys[toy] + number / TOYS % 4 * 8 % scene->toy_sizes[toy];
  case 5: /* names of holders, readers and waiters behind them */
    return scene->toys[toy] + number / TOYS * 4 % scene->toy_sizes[toy];
  case 6: /* the directory */
    return number * 8 % scene->start;
  default:
    return number * 16 % scene->size;
  }
}

#endif
