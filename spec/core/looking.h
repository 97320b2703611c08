/*
 * looking.h: an arena with an object of each kind, and a look at all of it from outside, as
 * segment:inspect and `shm arena` have it: what they say is bounded, whatever the memory says.
 */
#ifndef SPEC_CORE_LOOKING_H
#define SPEC_CORE_LOOKING_H

#include "support.h"

#include "mem/inspect.h"

enum { RING = 1024, SMALL_DICT = 8192, PERMITS = 5, PARTIES = 3 };

/* ---- an arena with all of it ---- */

static inline void make(shmx_arena *arena, const char *name, shmx_kind kind,
                        shmx_arena_object *object) {
  *object = (shmx_arena_object){0};
  EXPECT(shmx_arena_find(arena, name, &kind, object) == 0);
}

static inline void make_all(shmx_arena *arena) {
  static shmx_arena_object objects[10];
  make(arena, "mutex", shmx_mutex_kind(), &objects[0]);
  make(arena, "rwlock", shmx_rwlock_kind(), &objects[1]);
  make(arena, "semaphore", shmx_semaphore_kind(PERMITS), &objects[2]);
  make(arena, "condition", shmx_condition_kind(), &objects[3]);
  make(arena, "barrier", shmx_barrier_kind(PARTIES), &objects[4]);
  make(arena, "channel", shmx_channel_kind(RING), &objects[5]);
  make(arena, "topic", shmx_topic_kind(RING), &objects[6]);
  make(arena, "service", shmx_service_kind(64), &objects[7]);
  make(arena, "dict", shmx_dict_kind(SMALL_DICT), &objects[8]);
  make(arena, "array", shmx_array_kind(SHMX_U8, 10), &objects[9]);
  for (int i = 0; i < 10; i++)
    shmx_arena_object_close(&objects[i]);
}

/* ---- a look ---- */

static inline void check_holders(const shmx_holders *holders) {
  EXPECT(holders->count <= SHMX_HOLDERS_MAX);
  EXPECT(holders->more == 0 || holders->count == SHMX_HOLDERS_MAX);
  for (uint32_t i = 0; i < holders->count; i++) {
    EXPECT(holders->list[i].part >= SHMX_HOLDS && holders->list[i].part <= SHMX_SERVES);
    EXPECT(holders->list[i].count > 0 && (uint32_t)holders->list[i].task != 0);
  }
}

/* What the memory says of an object of this kind; false where it cannot be one. */
static inline bool look_at(const shmx_arena_entry *entry, uint64_t layout, void *data,
                           shmx_holders *holders) {
  union {
    shmx_mutex mutex;
    shmx_rwlock rwlock;
    shmx_semaphore semaphore;
    shmx_condition condition;
    shmx_barrier barrier;
    shmx_channel channel;
    shmx_topic topic;
    shmx_service service;
    shmx_dict dict;
  } seen;
  union {
    shmx_channel_status channel;
    shmx_topic_status topic;
    shmx_dict_status dict;
  } status;
  const shmx_kind kinds[SHMX_KINDS] = {
      [SHMX_KIND_MUTEX] = shmx_mutex_kind(),
      [SHMX_KIND_RWLOCK] = shmx_rwlock_kind(),
      [SHMX_KIND_SEMAPHORE] = shmx_semaphore_kind(PERMITS),
      [SHMX_KIND_CONDITION] = shmx_condition_kind(),
      [SHMX_KIND_BARRIER] = shmx_barrier_kind(PARTIES),
      [SHMX_KIND_CHANNEL] = shmx_channel_kind(RING),
      [SHMX_KIND_TOPIC] = shmx_topic_kind(RING),
      [SHMX_KIND_SERVICE] = shmx_service_kind(64),
      [SHMX_KIND_DICT] = shmx_dict_kind(SMALL_DICT),
  };
  *holders = (shmx_holders){0};
  if (entry->kind >= SHMX_KINDS || kinds[entry->kind].size == 0) return false;
  if (kinds[entry->kind].layout != layout || kinds[entry->kind].size > entry->size) return false;
  switch (entry->kind) {
  case SHMX_KIND_MUTEX:
    shmx_mutex_open(&seen.mutex, data);
    shmx_mutex_holders(&seen.mutex, holders);
    break;
  case SHMX_KIND_RWLOCK:
    shmx_rwlock_open(&seen.rwlock, data);
    shmx_rwlock_holders(&seen.rwlock, holders);
    break;
  case SHMX_KIND_SEMAPHORE:
    shmx_semaphore_open(&seen.semaphore, data, PERMITS);
    shmx_semaphore_holders(&seen.semaphore, holders);
    EXPECT(shmx_semaphore_value(&seen.semaphore) <= PERMITS);
    break;
  case SHMX_KIND_CONDITION:
    shmx_condition_open(&seen.condition, data);
    shmx_condition_holders(&seen.condition, holders);
    break;
  case SHMX_KIND_BARRIER:
    shmx_barrier_open(&seen.barrier, data, PARTIES);
    shmx_barrier_holders(&seen.barrier, holders);
    break;
  case SHMX_KIND_CHANNEL:
    shmx_channel_open(&seen.channel, data, RING);
    shmx_channel_holders(&seen.channel, holders);
    shmx_channel_stat(&seen.channel, &status.channel);
    EXPECT(status.channel.used <= status.channel.capacity && status.channel.capacity == RING);
    break;
  case SHMX_KIND_TOPIC:
    shmx_topic_open(&seen.topic, data, RING);
    shmx_topic_holders(&seen.topic, holders);
    shmx_topic_stat(&seen.topic, &status.topic);
    EXPECT(status.topic.used <= status.topic.capacity && status.topic.capacity == RING);
    break;
  case SHMX_KIND_SERVICE:
    shmx_service_open(&seen.service, data, 64);
    shmx_service_holders(&seen.service, holders);
    shmx_channel_stat(&seen.service.requests, &status.channel);
    EXPECT(status.channel.used <= status.channel.capacity);
    break;
  default:
    shmx_dict_look(&seen.dict, data, SMALL_DICT);
    if (shmx_dict_stat(&seen.dict, &status.dict) == 0)
      EXPECT(status.dict.capacity <= entry->size && status.dict.shards > 0);
  }
  check_holders(holders);
  return true;
}

/* Looks at everything; returns the status. `sound` receives how many objects could be looked at. */
static inline int look_at_all(const shmx_segment *segment, unsigned *sound) {
  shmx_inspection inspection;
  const shmx_object *memory = &segment->object;
  int status = shmx_inspect(&inspection, segment);
  *sound = 0;
  if (status != 0) return status;
  EXPECT(inspection.status.objects <= inspection.status.entries);
  EXPECT(inspection.status.handles <= inspection.status.handles_max);
  EXPECT(inspection.status.used <= memory->size && inspection.status.largest <= memory->size);
  for (uint32_t number = 0; number <= inspection.status.entries; number++) {
    shmx_arena_entry entry;
    shmx_holders holders;
    uint64_t layout;
    void *data;
    if (!shmx_inspect_object(&inspection, number, &entry, &layout, &data)) continue;
    EXPECT(number < inspection.status.entries && entry.size <= memory->size);
    EXPECT((size_t)((unsigned char *)data - memory->data) <= memory->size - entry.size);
    EXPECT(memchr(entry.name, '\0', sizeof entry.name) != NULL);
    *sound += look_at(&entry, layout, data, &holders);
  }
  for (uint32_t number = 0; number <= inspection.status.handles_max; number++) {
    shmx_inspect_handle(&inspection, number);
    for (uint32_t object = 0; object <= inspection.status.entries; object += 7)
      shmx_inspect_uses(&inspection, number, object);
  }
  return status;
}

#endif
