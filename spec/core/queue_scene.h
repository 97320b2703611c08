/*
 * queue_scene.h: the memory of a channel, a topic or a service, in which somebody writes what he
 * likes, and where in it it is worth to write.
 */
#ifndef SPEC_CORE_QUEUE_SCENE_H
#define SPEC_CORE_QUEUE_SCENE_H

#include "hostile.h"
#include "queue_toys.h"

#include "data/ring.h"

/* As in core/data: the rings of a channel and of a topic, and a service's slots. */
enum { CHANNEL_RING = 320, TOPIC_RING = 256, AT_SLOTS = 64, SLOT_HEAD = 64 };

/* A queue whose end is that of its pages, with guards around these; what its memory was when all
 * was well. */
struct scene {
  unsigned number;
  int kind;
  uint64_t parameter;
  unsigned char *memory, *pristine;
  size_t size, length; /* of the queue, of its pages */
  size_t at_channel;   /* of a channel, or a service's */
  size_t at_ring, ring;
  uint64_t sizes[SIZES]; /* for hostile_value */
};

static inline void expect_nothing_behind(const struct scene *scene) {
  expect_filling(scene->memory, scene->length - scene->size);
}

static inline void scene_reset(struct scene *scene) {
  memcpy(scene->memory, scene->pristine, scene->size);
}

/* As it is when the smallest ring has been filled once, and some messages wait. */
static inline void use_a_little(struct scene *scene) {
  struct toys all;
  toys_begin(&all, scene->kind, scene->parameter, scene->memory);
  for (unsigned i = 0; i < 10; i++) {
    if (scene->kind == CHANNEL) TOY_EXPECT(toys_run(&all, SEND, 0, 8 + i % 5) == 0);
    if (scene->kind == CHANNEL && i < 8) TOY_EXPECT(toys_run(&all, RECEIVE, 0, 0) == 0);
    if (scene->kind == TOPIC) TOY_EXPECT(toys_run(&all, PUBLISH, 0, 8 + i % 5) == 0);
    if (scene->kind == SERVICE && i < 2) TOY_EXPECT(toys_run(&all, BEGIN, 0, 8) == 0);
  }
  if (scene->kind == SERVICE) TOY_EXPECT(toys_run(&all, TAKE, 0, 0) == 0);
  toys_end(&all);
}

/* All handles have the same memory, also those of children. */
static inline void scene_begin(struct scene *scene, unsigned number, int kind, uint64_t parameter) {
  size_t size = queue_kind(kind, parameter).size;
  *scene = (struct scene){.number = number, .kind = kind, .parameter = parameter};
  scene->memory = map_to_end(number, size, &scene->length);
  scene->size = size;
  if (kind == SERVICE) scene->at_channel = AT_SLOTS + SHMX_CALLERS * (SLOT_HEAD + parameter);
  scene->at_ring = kind == TOPIC ? TOPIC_RING : scene->at_channel + CHANNEL_RING;
  scene->ring = size - scene->at_ring;
  const uint64_t sizes[SIZES] = {
      scene->ring,                          /**/
      scene->ring - 16,                     /**/
      kind == SERVICE ? parameter + 1 : 16, /* just too long; a unit of a topic's */
      kind == SERVICE ? SHMX_CALLERS : 8,   /* no slot; a head alone */
      kind == SERVICE ? 2 : SHMX_RING_PADDING | 8 /* a request that is taken; a padding */,
      kind == SERVICE ? 3 : scene->ring + 16, /* a reply that is there; more than a ring */
  };
  memcpy(scene->sizes, sizes, sizeof sizes);
  use_a_little(scene);
  scene->pristine = malloc(size);
  TOY_EXPECT(scene->pristine != NULL);
  memcpy(scene->pristine, scene->memory, size);
}

static inline void scene_end(struct scene *scene) {
  unmap_to_end(scene->number, scene->memory + scene->size, scene->length);
  free(scene->pristine);
}

/* ---- where to write ---- */

/* Where the ring has what an index in the memory says. */
static inline size_t place_at_index(const struct scene *scene, size_t index, unsigned number) {
  uint64_t value;
  memcpy(&value, scene->memory + index, sizeof value);
  return scene->at_ring + (value + number % 4 * 8) % scene->ring;
}

static inline size_t place_in_slot(const struct scene *scene, unsigned number) {
  size_t slot = number / 8 % 8 < 7 ? 0 : number / 64 % SHMX_CALLERS;
  return AT_SLOTS + slot * (SLOT_HEAD + scene->parameter) + number % 8 * 8;
}

/* A place, mostly one that matters, from a choice and a number that says which. */
static inline size_t hostile_place(const struct scene *scene, unsigned choice, unsigned number) {
  bool topic = scene->kind == TOPIC;
  size_t producer = scene->at_channel, consumer = producer + 128;
  static const size_t topics[] = {0, 8, 64, 72, 128}, ends[] = {0, 8, 16, 64};
  switch (choice % 8) {
  case 0: /* whose turn it is, who has claimed it, how far it has come: tail, or also the floor */
    return topic ? topics[number % 5] : producer + ends[number % 4];
  case 1: /* and the head */
    return topic ? 192 : consumer + ends[number % 4];
  case 2: /* who sleeps, and whether it is finished */
    return topic ? number % 2 * 120 + 72 : producer + 256 + number % 3 * 4;
  case 3: /* the newest, and what comes next */
    return place_at_index(scene, topic ? 64 : producer + 64, number);
  case 4: /* the oldest */
    return place_at_index(scene, topic ? 128 : consumer + 64, number);
  case 5: /* a caller's place, or the beginning */
    return scene->kind == SERVICE ? place_in_slot(scene, number) : number % scene->at_ring;
  case 6: /* the ring */
    return scene->at_ring + number * 8 % scene->ring;
  default:
    return number % scene->size;
  }
}

#endif
