/*
 * arena_scene.h: an arena in which somebody writes what he likes: its memory through a second
 * mapping, and where in it it is worth to write.
 */
#ifndef SPEC_CORE_ARENA_SCENE_H
#define SPEC_CORE_ARENA_SCENE_H

#include "arena_toys.h"
#include "hostile.h"

#include "mem/directory.h"

/* As in core/mem/directory.c. */
enum { AT_LOCK = 64, AT_ENTRIES = 256, ENTRY_SIZE = 128 };

/* An arena, and what its memory was when all was well. */
struct scene {
  char name[64];
  shmx_segment segment; /* the peer's */
  unsigned char *memory, *pristine;
  size_t size, length; /* of the arena, of its pages */
  uint32_t entries, members;
  size_t at_members, member_size, start;
  size_t toys[TOYS], toy_sizes[TOYS];
  uint64_t sizes[SIZES]; /* for hostile_value */
};

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
  const uint64_t sizes[SIZES] = {
      size,                /**/
      size / 64 * 64 - 64, /**/
      scene->start,        /**/
      scene->start + 1,    /**/
      2,                   /* also: an entry that was removed */
      64,                  /* the smallest object */
  };
  memcpy(scene->sizes, sizes, sizeof sizes);
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

/* ---- where to write ---- */

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
