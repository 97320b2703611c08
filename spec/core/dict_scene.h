/*
 * dict_scene.h: the memory of a dict, in which somebody writes what he likes, and where in it it is
 * worth to write.
 */
#ifndef SPEC_CORE_DICT_SCENE_H
#define SPEC_CORE_DICT_SCENE_H

#include "dict_toys.h"
#include "hostile.h"

#include "data/task.h"

/* A dict whose end is that of its pages, with guards around these; what its memory was when all was
 * well. */
struct scene {
  unsigned number;
  unsigned char *memory, *pristine;
  size_t size, length;   /* of the dict, of its pages */
  shmx_dict dict;        /* how it is divided */
  uint64_t sizes[SIZES]; /* for hostile_value */
};

static inline void expect_nothing_behind(const struct scene *scene) {
  expect_filling(scene->memory, scene->length - scene->size);
}

static inline void scene_reset(struct scene *scene) {
  memcpy(scene->memory, scene->pristine, scene->size);
}

/* Somebody else makes the value of this key. */
static inline void give_task(const shmx_dict *dict, unsigned number, shmx_task owner) {
  shmx_dict_key key = toy_key(number);
  struct shmx_place place = {.bucket = shmx_bucket_of(dict, &key)};
  TOY_EXPECT(shmx_task_find(dict, &key, &place) == 0 && place.entry.cell != 0);
  shmx_store(shmx_task_words(dict, &place.entry).owner, owner);
}

/* Nearly full; of everything something is there, also a list that was removed and tasks of others.
 */
static inline void use_a_little(struct scene *scene) {
  struct toys all;
  toys_begin(&all, scene->memory, scene->size);
  for (unsigned i = 0; i < 200; i++) {
    int64_t number;
    shmx_dict_key key = number_of(&number, i / FILL, i % FILL);
    shmx_dict_item item = toy_item(&all, i % 5);
    TOY_EXPECT(shmx_dict_set(&all.dict, &key, &item, 0, 0, NULL) == 0);
  }
  static const unsigned char values[] = {0, 2, 3 + 8 * 4, 2, 5 + 8 * 2};
  for (unsigned i = 0; i < sizeof values; i++)
    TOY_EXPECT(toys_run(&all, SET, i % 2 * SHMX_SECOND, values[i]) == 0);
  for (unsigned i = 0; i < 30; i++) {
    TOY_EXPECT(toys_run(&all, PUSH, 0, 7) == 0);
    TOY_EXPECT(i >= 4 || toys_run(&all, PUSH, 0, 4 + 8 * i) == 0);
  }
  TOY_EXPECT(toys_run(&all, DELETE, 0, 7) == 0);
  TOY_EXPECT(toys_run(&all, FETCH, 0, 7) == 0 && all.fetch.ours);
  give_task(&all.dict, 7, (shmx_task)getppid()); /* who lives */
  TOY_EXPECT(toys_run(&all, FETCH, 0, 6) == 0 && all.fetch.ours);
  give_task(&all.dict, 6, 0x3ffffffe); /* nobody */
  toys_end(&all);
}

static inline void scene_begin(struct scene *scene, unsigned number, uint64_t size) {
  *scene = (struct scene){.number = number, .size = shmx_dict_kind(size).size};
  scene->memory = map_to_end(number, scene->size, &scene->length);
  scene->memory[0] = 1; /* the seed: the same each time */
  shmx_dict_open(&scene->dict, scene->memory, scene->size);
  use_a_little(scene);
  const uint64_t sizes[SIZES] = {
      scene->dict.cells,  scene->dict.cells + UINT64_C(1), scene->size,
      scene->dict.shards, (uint64_t)SHMX_LIST << 30 | 16,  (uint64_t)SHMX_PENDING << 30 | 8,
  };
  memcpy(scene->sizes, sizes, sizeof sizes);
  scene->pristine = malloc(scene->size);
  TOY_EXPECT(scene->pristine != NULL);
  memcpy(scene->pristine, scene->memory, scene->size);
}

static inline void scene_end(struct scene *scene) {
  unmap_to_end(scene->number, scene->memory + scene->size, scene->length);
  free(scene->pristine);
}

/* ---- where to write ---- */

static inline size_t place_of(const struct scene *scene, const void *at) {
  return (size_t)((const unsigned char *)at - scene->memory);
}

/* In the head, the length or the links of the first entry of a key's bucket, or in the bucket. */
static inline size_t place_at_key(const struct scene *scene, unsigned number) {
  shmx_dict_key key = toy_key(number);
  uint32_t bucket = shmx_bucket_of(&scene->dict, &key);
  uint32_t cell = shmx_bucket_first(&scene->dict, bucket);
  if (number / 8 % 16 == 0 || !shmx_is_cell(&scene->dict, cell))
    return place_of(scene, shmx_bucket_word(&scene->dict, bucket));
  return place_of(scene, shmx_cell_at(&scene->dict, cell)) + number / 8 % 16 * 4;
}

/* A place, mostly one that matters, from a choice and a number that says which. */
static inline size_t hostile_place(const struct scene *scene, unsigned choice, unsigned number) {
  const shmx_dict *dict = &scene->dict;
  static const size_t heads[] = {0, 64, 128, 136, 144, 152, 160};
  size_t shard = place_of(scene, shmx_shard_at(dict, number % dict->shards));
  switch (choice % 8) {
  case 0: /* the seed, reads, the pool */
    return heads[number % 7];
  case 1: /* whose the shard is, and whether its log holds; what is free, used, doomed */
    return shard + number / 64 % 8 * 8;
  case 2: /* the rest of a shard: the log */
    return shard + 64 + number / 64 % 48 * 4;
  case 3:
    return place_at_key(scene, number);
  case 4: /* a bucket */
    return place_of(scene, shmx_bucket_word(dict, 0)) + number % dict->buckets * 4;
  case 5: /* a cell's links and lengths */
    return place_of(scene, shmx_cell_at(dict, 1 + number / 16 % dict->cells)) + number % 8 * 4;
  case 6: /* a word of a cell */
    return place_of(scene, shmx_cell_at(dict, 1 + number / 8 % dict->cells)) + number % 8 * 8;
  default:
    return number * 4 % scene->size;
  }
}

#endif
