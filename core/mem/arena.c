/*
 * arena.c: handles of arenas and of their objects, and what fork does to them. directory.c knows
 * the memory. Touches sync, os, base.
 */
#include "mem/arena.h"
#include "base/checked.h"
#include "mem/directory.h"
#include "os/process.h"

#include <pthread.h>
#include <string.h>

/* ---- this process's arenas ---- */

static shmx_arena *arenas;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(void) {
  pthread_mutex_lock(&mutex);
}

static void unlock(void) {
  pthread_mutex_unlock(&mutex);
}

/* The child has the parent's handles but no place of its own yet, so the parent may remove an
 * object and give its memory to another. Of size 0, an object is looked at before it is used. */
static void in_child(void) {
  for (shmx_arena *arena = arenas; arena != NULL; arena = arena->next)
    for (shmx_arena_object *object = arena->objects; object != NULL; object = object->next) {
      object->memory.object.size = 0;
      if (object->forked != NULL) object->forked(object);
    }
  unlock();
}

static void install(void) {
  pthread_atfork(lock, unlock, in_child);
}

/* From now on fork finds it; and it is not moved. */
static void enlist(shmx_arena *arena) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  lock();
  arena->next = arenas;
  arena->link = &arenas;
  if (arenas != NULL) arenas->link = &arena->next;
  arenas = arena;
  unlock();
}

static void delist(shmx_arena *arena) {
  lock();
  *arena->link = arena->next;
  if (arena->next != NULL) arena->next->link = arena->link;
  unlock();
}

/* ---- opening and closing ---- */

/* Another size than the one asked for, or one that no arena has, is no use. */
static int check_size(shmx_segment *segment, size_t size) {
  size_t found = segment->object.size;
  bool same = size == 0 || found == size;
  if (same && found >= SHMX_ARENA_SIZE_MIN) return 0;
  int status = found >= SHMX_ARENA_SIZE_MIN ? shmx_directory_identify(segment) : -EPROTOTYPE;
  if (status == -EPROTONOSUPPORT) return status;
  uint32_t fact = status == 0 ? SHMX_FACT_SIZE : SHMX_FACT_NO_ARENA;
  return shmx_fail(&segment->object.facts, same ? -EPROTOTYPE : -ERANGE, fact, found, size);
}

static int open_segment(shmx_segment *segment, shmx_name name, size_t size,
                        const shmx_options *options) {
  bool may_create = size != 0 && name.id == SHMX_NO_ID;
  int status = may_create ? shmx_segment_open(segment, name, size, options)
                          : shmx_segment_attach(segment, name, options);
  /* What is too small may be an arena, too. */
  if (status == -ERANGE) status = shmx_segment_attach(segment, name, options);
  return status != 0 ? status : check_size(segment, size);
}

static int join(shmx_arena *arena) {
  int status = shmx_directory_enter(arena);
  if (status != 0) return status;
  status = shmx_directory_join(arena);
  shmx_directory_leave(arena);
  return status;
}

int shmx_arena_open(shmx_arena *arena, shmx_name name, size_t size, const shmx_options *options) {
  *arena = (shmx_arena){0};
  if (options != NULL && options->flags & SHMX_READONLY) return -EROFS;
  if (size != 0 && size < SHMX_ARENA_SIZE_MIN) return -EINVAL;
  int status = open_segment(&arena->segment, name, size, options);
  if (status == 0) {
    shmx_directory_measure(arena, arena->segment.object.size);
    status = shmx_directory_prepare(arena);
  }
  if (status == 0) status = join(arena);
  if (status == 0)
    enlist(arena);
  else
    shmx_segment_detach(&arena->segment);
  return status;
}

/* What points to it finds it here. */
static void relink(shmx_arena *arena) {
  *arena->link = arena;
  if (arena->next != NULL) arena->next->link = &arena->next;
  if (arena->objects != NULL) arena->objects->link = &arena->objects;
  for (shmx_arena_object *object = arena->objects; object != NULL; object = object->next)
    object->arena = arena;
}

/* Its neighbours on the list are other threads', who come and go. */
void shmx_arena_move(shmx_arena *from, shmx_arena *to) {
  lock();
  *to = *from;
  *from = (shmx_arena){0};
  if (to->segment.object.data != NULL) relink(to);
  unlock();
}

/* ---- a place of our own ---- */

/* Opens what the parent had open, unless it was removed meanwhile. */
static void reopen(shmx_arena *arena) {
  struct shmx_directory_entry found;
  for (shmx_arena_object *object = arena->objects; object != NULL; object = object->next) {
    bool same = shmx_directory_read(arena, object->entry, &found) && found.serial == object->serial;
    if (same) shmx_directory_mark(arena, object->entry, true);
    object->memory.object.size = same ? object->size : 0;
    if (!same) object->memory.object.data = NULL;
  }
}

/* Enters the directory; a forked child gets a place there first. */
static int enter(shmx_arena *arena) {
  if (arena->segment.object.data == NULL) return -EBADF;
  int status = shmx_directory_enter(arena);
  if (status != 0 || arena->process == shmx_process_self()) return status;
  status = shmx_directory_join(arena);
  if (status == 0)
    reopen(arena);
  else
    shmx_directory_leave(arena);
  return status;
}

/* Memory that was lost reads as zeroes, which say nothing. */
static int leave(shmx_arena *arena, int status) {
  shmx_directory_leave(arena);
  return shmx_segment_lost(&arena->segment) ? -EFAULT : status;
}

/* ---- objects ---- */

int shmx_arena_object_look(shmx_arena_object *object) {
  const shmx_object *memory = &object->memory.object;
  if (object->arena == NULL) return -EBADF;
  if (memory->data != NULL && memory->size == 0) {
    int status = enter(object->arena);
    if (status == 0) status = leave(object->arena, 0);
    if (status != 0) return status;
  }
  if (memory->data != NULL && shmx_object_is_live(memory)) return 0; /* see reopen */
  return shmx_segment_lost(&object->arena->segment) ? -EFAULT : -EIDRM;
}

static int check_entry(const shmx_arena *arena, uint32_t entry, const shmx_kind *kind,
                       struct shmx_directory_entry *found, shmx_facts *facts) {
  if (!shmx_directory_read(arena, entry, found)) return -EBADMSG;
  if (found->kind != kind->id || found->layout != kind->layout) {
    shmx_fail(facts, -EPROTOTYPE, SHMX_FACT_KIND, found->count, kind->count);
    facts->kind = found->kind;
    facts->layout = found->layout;
    return -EPROTOTYPE;
  }
  return found->size >= kind->size ? 0 : -EBADMSG;
}

static void open_object(shmx_arena *arena, uint32_t entry, const struct shmx_directory_entry *found,
                        uint64_t size, shmx_arena_object *object) {
  const shmx_object *whole = &arena->segment.object;
  *object = (shmx_arena_object){.arena = arena,
                                .size = size,
                                .serial = found->serial,
                                .entry = entry,
                                .next = arena->objects,
                                .link = &arena->objects};
  shmx_object *memory = &object->memory.object;
  object->memory.part = object;
  *memory = (shmx_object){.data = whole->data + found->offset,
                          .size = size,
                          .backing = SHMX_PART,
                          .id = SHMX_NO_ID,
                          .fd = -1,
                          .live = shmx_directory_state(arena, entry),
                          .watch = whole->watch};
  memcpy(memory->posix, found->name, sizeof found->name);
  if (arena->objects != NULL) arena->objects->link = &object->next;
  arena->objects = object;
  shmx_directory_mark(arena, entry, true);
}

static int find_or_make(shmx_arena *arena, const char *name, const shmx_kind *kind,
                        shmx_arena_object *object) {
  struct shmx_directory_entry found;
  uint32_t entry;
  shmx_facts *facts = &object->memory.object.facts;
  int status = 0;
  shmx_directory_sweep(arena);
  if (!shmx_directory_find(arena, name, &entry))
    status = shmx_directory_make(arena, name, kind, &entry, facts);
  if (status == 0) status = check_entry(arena, entry, kind, &found, facts);
  if (status == 0) open_object(arena, entry, &found, kind->size, object);
  return status;
}

static bool is_name(const char *name) {
  size_t length = strnlen(name, SHMX_ARENA_NAME_MAX + 1);
  return length > 0 && length <= SHMX_ARENA_NAME_MAX;
}

int shmx_arena_find(shmx_arena *arena, const char *name, const shmx_kind *kind,
                    shmx_arena_object *object) {
  if (!is_name(name) || kind->size == 0) return -EINVAL;
  int status = enter(arena);
  if (status != 0) {
    object->memory.object.facts = arena->segment.object.facts;
    return status;
  }
  status = leave(arena, find_or_make(arena, name, kind, object));
  if (status == -EFAULT && object->memory.object.data != NULL) shmx_arena_object_close(object);
  return status;
}

/* The same object may be open through the arena twice. One that a forked child found removed is not
 * open, though its place may be another's by now. */
static bool is_open(const shmx_arena *arena, uint32_t entry) {
  for (const shmx_arena_object *object = arena->objects; object != NULL; object = object->next)
    if (object->entry == entry && object->memory.object.data != NULL) return true;
  return false;
}

/* A finalizer does not wait long: who makes the next object sweeps, too. */
static void sweep(shmx_arena *arena) {
  if (!shmx_directory_try_enter(arena)) return;
  shmx_directory_sweep(arena);
  shmx_directory_leave(arena);
}

/* Takes the object off its arena's list. */
static void unlink_object(shmx_arena_object *object) {
  if (object->memory.object.data != NULL && object->closing != NULL) object->closing(object);
  *object->link = object->next;
  if (object->next != NULL) object->next->link = object->link;
  object->memory.object.data = NULL;
  object->memory.object.size = 0;
  object->arena = NULL;
}

/* In a forked child that has no place of its own, there is nothing to let go of. */
void shmx_arena_object_close(shmx_arena_object *object) {
  shmx_arena *arena = object->arena;
  if (arena == NULL) return;
  unlink_object(object);
  if (arena->process != shmx_process_self() || is_open(arena, object->entry)) return;
  shmx_directory_mark(arena, object->entry, false);
  if (shmx_directory_is_removed(arena, object->entry)) sweep(arena);
}

/* With the arena's place all its marks go. Nobody waits to sweep: who makes the next object will.
 */
void shmx_arena_close(shmx_arena *arena) {
  if (arena->segment.object.data == NULL) return;
  while (arena->objects != NULL)
    unlink_object(arena->objects);
  delist(arena);
  if (arena->process == shmx_process_self()) shmx_directory_part(arena);
  shmx_segment_detach(&arena->segment);
}

/* ---- the directory ---- */

int shmx_arena_remove(shmx_arena *arena, const char *name) {
  uint32_t entry;
  int status = enter(arena);
  if (status != 0) return status;
  bool found = shmx_directory_find(arena, name, &entry);
  if (found) {
    shmx_directory_remove(arena, entry);
    shmx_directory_sweep(arena);
  }
  return leave(arena, found ? 0 : -ENOENT);
}

int shmx_arena_list(shmx_arena *arena, shmx_arena_entry *list, size_t room, size_t *count) {
  struct shmx_directory_entry found;
  int status = enter(arena);
  *count = 0;
  if (status != 0) return status;
  for (uint32_t entry = 0; entry < arena->entries; entry++) {
    if (!shmx_directory_read(arena, entry, &found) || found.state != SHMX_LIVE) continue;
    if (*count < room) {
      shmx_arena_entry *next = &list[*count];
      *next = (shmx_arena_entry){.kind = found.kind, .size = found.size, .count = found.count};
      memcpy(next->name, found.name, sizeof found.name);
    }
    ++*count;
  }
  return leave(arena, 0);
}

int shmx_arena_stat(shmx_arena *arena, shmx_arena_status *status) {
  struct shmx_directory_entry found;
  int entered = enter(arena);
  if (entered != 0) return entered;
  shmx_directory_sweep(arena);
  *status = (shmx_arena_status){
      .size = arena->segment.object.size, .entries = arena->entries, .handles_max = arena->members};
  for (uint32_t entry = 0; entry < arena->entries; entry++)
    status->objects += shmx_directory_read(arena, entry, &found) && found.state == SHMX_LIVE;
  shmx_directory_space(arena, &status->used, &status->largest);
  status->handles = shmx_directory_members(arena);
  return leave(arena, 0);
}

/* ---- kinds ---- */

shmx_kind shmx_array_kind(shmx_type type, uint64_t count) {
  shmx_kind kind = shmx_kind_of(SHMX_KIND_ARRAY, 0, shmx_type_size(type), count);
  const char *name = shmx_type_name(type);
  kind.layout = shmx_hash(kind.layout, name, strlen(name));
  return kind;
}

/* A layout inside is meant by its place among all of them, so that each is hashed once. */
static uint64_t part_of(const shmx_layout *whole, const shmx_layout *part) {
  uint64_t i = 0;
  while (i < whole->part_count && whole->parts[i] != part)
    i++;
  return i;
}

static uint64_t hash_fields(uint64_t hash, const shmx_layout *layout, const shmx_layout *whole) {
  for (size_t i = 0; i < layout->field_count; i++) {
    const shmx_field *field = &layout->fields[i];
    bool nested = field->kind == SHMX_FIELD_RECORD;
    const uint64_t geometry[] = {field->kind, nested ? part_of(whole, field->layout) : field->type,
                                 field->offset, field->size, field->count};
    hash = shmx_hash(hash, geometry, sizeof geometry);
    hash = shmx_hash(hash, field->name, strlen(field->name) + 1);
  }
  return hash;
}

/* The names of fields count, those of layouts do not. */
shmx_kind shmx_record_kind(const shmx_layout *layout, uint64_t count) {
  shmx_kind kind = shmx_kind_of(SHMX_KIND_RECORD, 0, layout->size, count);
  for (size_t i = 0; i < layout->part_count; i++)
    kind.layout = hash_fields(kind.layout, layout->parts[i], layout);
  kind.layout = hash_fields(kind.layout, layout, layout);
  return kind;
}

shmx_type shmx_array_type(uint64_t layout, uint64_t count) {
  shmx_type type = 0;
  while (type < SHMX_TYPES && shmx_array_kind(type, count).layout != layout)
    type++;
  return type;
}

const char *shmx_kind_name(uint32_t kind) {
  static const char *const names[SHMX_KINDS] = {
      [SHMX_KIND_ARRAY] = "array",         [SHMX_KIND_RECORD] = "record",
      [SHMX_KIND_MUTEX] = "mutex",         [SHMX_KIND_RWLOCK] = "rwlock",
      [SHMX_KIND_SEMAPHORE] = "semaphore", [SHMX_KIND_CONDITION] = "condition",
      [SHMX_KIND_BARRIER] = "barrier",     [SHMX_KIND_CHANNEL] = "channel",
      [SHMX_KIND_TOPIC] = "topic",         [SHMX_KIND_SERVICE] = "service",
      [SHMX_KIND_DICT] = "dict",
  };
  return kind < SHMX_KINDS ? names[kind] : NULL;
}
