/*
 * linspect.c: seg:inspect, an arena seen from outside. Pushing a table may run a finalizer that
 * detaches the segment: so each object is looked at in C at once, and the segment before that.
 * Touches core.
 */
#include "lua/linspect.h"
#include "lua/lerror.h"
#include "lua/lfact.h"
#include "lua/lfield.h"
#include "lua/lsegment.h"
#include "lua/lstat.h"

/* What one object says. */
struct report {
  shmx_arena_entry entry;
  void *data;
  uint64_t layout;
  shmx_holders holders;
  bool sound; /* what the directory says fits together */
  union {
    shmx_channel channel; /* of a service, too: its requests */
    shmx_topic topic;
    shmx_dict_status dict;
    uint32_t value; /* permits that can be had */
  } status;
  uint64_t limit; /* of a dict */
};

/* ---- each kind; its memory is as large as the kind says ---- */

static bool is_kind(const struct report *report, shmx_kind kind) {
  return kind.layout == report->layout && kind.size <= report->entry.size;
}

static bool look_at_mutex(struct report *report) {
  shmx_mutex mutex;
  if (!is_kind(report, shmx_mutex_kind())) return false;
  shmx_mutex_open(&mutex, report->data);
  shmx_mutex_holders(&mutex, &report->holders);
  return true;
}

static bool look_at_rwlock(struct report *report) {
  shmx_rwlock rwlock;
  if (!is_kind(report, shmx_rwlock_kind())) return false;
  shmx_rwlock_open(&rwlock, report->data);
  shmx_rwlock_holders(&rwlock, &report->holders);
  return true;
}

static bool look_at_semaphore(struct report *report) {
  shmx_semaphore semaphore;
  uint64_t permits = report->entry.count;
  if (permits > SHMX_PERMITS_MAX || !is_kind(report, shmx_semaphore_kind((uint32_t)permits)))
    return false;
  shmx_semaphore_open(&semaphore, report->data, (uint32_t)permits);
  shmx_semaphore_holders(&semaphore, &report->holders);
  report->status.value = shmx_semaphore_value(&semaphore);
  return true;
}

static bool look_at_condition(struct report *report) {
  shmx_condition condition;
  if (!is_kind(report, shmx_condition_kind())) return false;
  shmx_condition_open(&condition, report->data);
  shmx_condition_holders(&condition, &report->holders);
  return true;
}

static bool look_at_barrier(struct report *report) {
  shmx_barrier barrier;
  uint64_t parties = report->entry.count;
  if (parties > SHMX_PARTIES_MAX || !is_kind(report, shmx_barrier_kind((uint32_t)parties)))
    return false;
  shmx_barrier_open(&barrier, report->data, (uint32_t)parties);
  shmx_barrier_holders(&barrier, &report->holders);
  return true;
}

static bool look_at_channel(struct report *report) {
  uint64_t capacity = report->entry.count;
  if (shmx_channel_capacity(capacity) != capacity || !is_kind(report, shmx_channel_kind(capacity)))
    return false;
  shmx_channel_open(&report->status.channel, report->data, capacity);
  shmx_channel_holders(&report->status.channel, &report->holders);
  return true;
}

static bool look_at_topic(struct report *report) {
  uint64_t capacity = report->entry.count;
  if (shmx_channel_capacity(capacity) != capacity || !is_kind(report, shmx_topic_kind(capacity)))
    return false;
  shmx_topic_open(&report->status.topic, report->data, capacity);
  shmx_topic_holders(&report->status.topic, &report->holders);
  return true;
}

static bool look_at_service(struct report *report) {
  shmx_service service;
  uint64_t limit = report->entry.count;
  if (limit == 0 || limit % 64 != 0 || limit > SHMX_SERVICE_LIMIT_MAX ||
      !is_kind(report, shmx_service_kind(limit)))
    return false;
  shmx_service_open(&service, report->data, limit);
  shmx_service_holders(&service, &report->holders);
  report->status.channel = service.requests;
  return true;
}

static bool look_at_dict(struct report *report) {
  shmx_dict dict;
  uint64_t size = report->entry.count;
  if (size > SHMX_DICT_SIZE_MAX || !is_kind(report, shmx_dict_kind(size))) return false;
  shmx_dict_look(&dict, report->data, size);
  report->limit = shmx_dict_limit(&dict);
  return shmx_dict_stat(&dict, &report->status.dict) == 0;
}

static bool look(struct report *report) {
  static bool (*const looks[SHMX_KINDS])(struct report *) = {
      [SHMX_KIND_MUTEX] = look_at_mutex,         [SHMX_KIND_RWLOCK] = look_at_rwlock,
      [SHMX_KIND_SEMAPHORE] = look_at_semaphore, [SHMX_KIND_CONDITION] = look_at_condition,
      [SHMX_KIND_BARRIER] = look_at_barrier,     [SHMX_KIND_CHANNEL] = look_at_channel,
      [SHMX_KIND_TOPIC] = look_at_topic,         [SHMX_KIND_SERVICE] = look_at_service,
      [SHMX_KIND_DICT] = look_at_dict,
  };
  uint32_t kind = report->entry.kind;
  if (kind >= SHMX_KINDS || shmx_kind_name(kind) == NULL) return false;
  return looks[kind] == NULL || looks[kind](report); /* arrays and records say nothing */
}

/* ---- as tables ---- */

static void push_holders(lua_State *L, const shmx_holders *holders) {
  lua_createtable(L, (int)holders->count, 0);
  for (uint32_t i = 0; i < holders->count; i++) {
    const shmx_holder *holder = &holders->list[i];
    lua_createtable(L, 0, 4);
    set_integer(L, "process", holder->process);
    set_string(L, "part", shmx_part_name(holder->part));
    set_integer(L, "count", holder->count);
    set_boolean(L, "lives", holder->lives);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* Of memory that is still there, and copied when it is pushed. */
static void push_status(lua_State *L, const struct report *report) {
  switch (report->entry.kind) {
  case SHMX_KIND_CHANNEL:
  case SHMX_KIND_SERVICE:
    return lstat_push_channel(L, &report->status.channel);
  case SHMX_KIND_TOPIC:
    return lstat_push_topic(L, &report->status.topic);
  case SHMX_KIND_DICT:
    return lstat_push_dict(L, &report->status.dict, report->limit);
  case SHMX_KIND_SEMAPHORE:
    lua_createtable(L, 0, 1);
    return set_integer(L, "value", report->status.value);
  default:
    lua_pushnil(L);
  }
}

/* The table begins with the status: nothing has been pushed since the segment was looked at. */
static void push_report(lua_State *L, const struct report *report) {
  const char *kind = shmx_kind_name(report->entry.kind);
  if (report->sound)
    push_status(L, report);
  else
    lua_pushnil(L);
  lua_createtable(L, 0, 10);
  lua_insert(L, -2);
  lua_setfield(L, -2, "stat");
  set_string(L, "name", report->entry.name);
  set_string(L, "kind", kind != NULL ? kind : "unknown");
  set_integer(L, "size", report->entry.size);
  set_integer(L, "count", report->entry.count);
  set_boolean(L, "sound", report->sound);
  set_boolean(L, "waiting", report->holders.waited);
  set_integer(L, "more", report->holders.more);
  push_holders(L, &report->holders);
  lua_setfield(L, -2, "holders");
}

/* ---- the arena ---- */

/* The processes that live, by the number of their handle; 0 where there is none. Asked for once:
 * else the names and bits of a lie would make it hundreds of thousands of questions. */
struct handles {
  uint32_t processes[SHMX_ARENA_HANDLES_MAX];
};

static void find_handles(const shmx_inspection *inspection, struct handles *handles) {
  for (uint32_t number = 0; number < inspection->status.handles_max; number++)
    handles->processes[number] = shmx_inspect_handle(inspection, number);
}

/* Leaves those that have this object open. */
static void choose_users(const shmx_inspection *inspection, uint32_t object,
                         struct handles *handles) {
  for (uint32_t number = 0; number < inspection->status.handles_max; number++)
    if (!shmx_inspect_uses(inspection, number, object)) handles->processes[number] = 0;
}

/* Those of their threads that sleep on the memory of the arena, as far as we may look. */
struct sleepers {
  shmx_sleeper list[SHMX_ARENA_HANDLES_MAX];
  size_t count;
};

static void find_sleepers(const shmx_inspection *inspection, const struct handles *handles,
                          struct sleepers *sleepers) {
  const shmx_object *memory = &inspection->arena.segment.object;
  sleepers->count = 0;
  for (uint32_t number = 0; number < inspection->status.handles_max; number++) {
    uint32_t process = handles->processes[number], before = 0;
    while (before < number && handles->processes[before] != process)
      before++;
    if (process == 0 || before < number) continue; /* asked for already */
    sleepers->count +=
        shmx_sleepers_find(process, memory->data, memory->size, sleepers->list + sleepers->count,
                           SHMX_ARENA_HANDLES_MAX - sleepers->count);
  }
}

static bool has_part(const shmx_holders *holders, uint32_t thread) {
  for (uint32_t i = 0; i < holders->count; i++)
    if ((uint32_t)holders->list[i].task == thread) return true;
  return false;
}

/* Who sleeps within the object waits there, unless it says more of him. */
static void add_sleepers(const shmx_inspection *inspection, const struct sleepers *sleepers,
                         struct report *report) {
  const unsigned char *start = inspection->arena.segment.object.data;
  uint64_t offset = (uint64_t)((unsigned char *)report->data - start);
  for (size_t i = 0; i < sleepers->count; i++) {
    const shmx_sleeper *sleeper = &sleepers->list[i];
    if (sleeper->offset - offset < report->entry.size &&
        !has_part(&report->holders, sleeper->thread))
      shmx_holders_add(&report->holders, sleeper->thread, SHMX_WAITS);
  }
}

static void push_handles(lua_State *L, const struct handles *handles, uint32_t most) {
  lua_Integer count = 0;
  lua_newtable(L);
  for (uint32_t number = 0; number < most; number++) {
    if (handles->processes[number] == 0) continue;
    lua_pushinteger(L, handles->processes[number]);
    lua_rawseti(L, -2, ++count);
  }
}

static void push_arena(lua_State *L, const shmx_inspection *inspection,
                       const struct handles *handles) {
  const shmx_arena_status *status = &inspection->status;
  lua_createtable(L, 0, 11);
  set_integer(L, "size", status->size);
  set_integer(L, "used", status->used);
  set_integer(L, "largest", status->largest);
  set_integer(L, "max_objects", status->entries);
  set_integer(L, "max_handles", status->handles_max);
  if (inspection->creator != 0) set_integer(L, "creator", inspection->creator);
  set_boolean(L, "creator_lives", inspection->creator_lives);
  push_handles(L, handles, status->handles_max);
  lua_setfield(L, -2, "handles");
}

/* Is the segment still what was inspected? A finalizer may have detached or resized it. */
static bool is_same(const shmx_inspection *inspection, const shmx_segment *segment) {
  const shmx_object *before = &inspection->arena.segment.object, *now = &segment->object;
  return now->data == before->data && now->size == before->size;
}

static bool look_at_object(const shmx_inspection *inspection, uint32_t number,
                           struct report *report) {
  *report = (struct report){0};
  if (!shmx_inspect_object(inspection, number, &report->entry, &report->layout, &report->data))
    return false;
  report->sound = look(report);
  return true;
}

static void push_objects(lua_State *L, const shmx_inspection *inspection,
                         const struct handles *handles, const struct sleepers *sleepers,
                         const shmx_segment *segment) {
  struct report report;
  lua_Integer count = 0;
  lua_createtable(L, (int)inspection->status.objects, 0);
  for (uint32_t number = 0; number < inspection->status.entries; number++) {
    if (!is_same(inspection, segment)) break;
    if (!look_at_object(inspection, number, &report)) continue;
    add_sleepers(inspection, sleepers, &report);
    struct handles users = *handles;
    choose_users(inspection, number, &users);
    push_report(L, &report);
    push_handles(L, &users, inspection->status.handles_max);
    lua_setfield(L, -2, "users");
    lua_rawseti(L, -2, ++count);
  }
}

/* A fourth value is the format of an arena that is of another. */
static int fail(lua_State *L, const shmx_segment *segment, int status) {
  const shmx_object *object = &segment->object;
  if (status == -EPROTOTYPE) {
    lua_pushfstring(L, "%s is no arena", lsegment_push_name(L, segment));
    return lerror_return_message(L, status);
  }
  shmx_name name = {object->backing, object->key, object->id, object->posix};
  if (status != -EPROTONOSUPPORT) return lerror_return(L, status, lerror_push_name(L, &name));
  lfact_return(L, status, &object->facts, lerror_push_noun(L, "arena", &name));
  lua_pushinteger(L, (lua_Integer)object->facts.found);
  return 4;
}

int linspect_segment(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  shmx_inspection inspection;
  struct handles handles;
  struct sleepers sleepers;
  int status = shmx_inspect(&inspection, segment);
  if (status != 0) return fail(L, &inspection.arena.segment, status);
  find_handles(&inspection, &handles);
  find_sleepers(&inspection, &handles, &sleepers);
  push_arena(L, &inspection, &handles);
  push_objects(L, &inspection, &handles, &sleepers, segment);
  lsegment_check_attached(L); /* or what is pushed is not all */
  if (shmx_segment_lost(segment)) return lerror_return(L, -EFAULT, lsegment_push_name(L, segment));
  lua_setfield(L, -2, "objects");
  return 1;
}
