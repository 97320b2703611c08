/*
 * arena_toys.h: an arena with an object of every kind, and every operation on it by number: toys.h
 * checks each, and here, that it gives out no memory that is not the arena's.
 */
#ifndef SPEC_CORE_ARENA_TOYS_H
#define SPEC_CORE_ARENA_TOYS_H

#include "toys.h"

enum { ARRAY, RECORD, MUTEX, RWLOCK, SEMAPHORE, CONDITION, BARRIER, SPARE, GONE, TOYS };

enum { ELEMENTS = 64, PERMITS = 4, PARTIES = 2, SPARES = 16, LISTED = 20 };

struct toy {
  shmx_arena_object object; /* first: `closing` is given it */
  union {
    shmx_mutex mutex;
    shmx_rwlock rwlock;
    shmx_semaphore semaphore;
    shmx_condition condition;
    shmx_barrier barrier;
  };
};

/* A handle of the arena, mapped at `address`, and the objects that are open through it. */
struct toys {
  _Alignas(64) unsigned char own[64]; /* of a mutex that is nobody else's */
  shmx_name name;
  void *address;
  shmx_arena arena;
  struct toy toys[TOYS];
  shmx_mutex own_mutex;
};

/* ---- kinds and names ---- */

static inline shmx_kind toy_kind(int which) {
  static shmx_kind kinds[TOYS]; /* computed once */
  if (kinds[which].size != 0) return kinds[which];
  shmx_layout layout;
  shmx_field fields[3];
  kinds[ARRAY] = shmx_array_kind(SHMX_I32, ELEMENTS);
  TOY_EXPECT(shmx_layout_start(&layout, "Quote", fields, 3) == 0);
  TOY_EXPECT(shmx_layout_add(&layout, "u32 id", NULL, NULL) == 0);
  TOY_EXPECT(shmx_layout_add(&layout, "f64 price[8]", NULL, NULL) == 0);
  TOY_EXPECT(shmx_layout_add(&layout, "char name[16]", NULL, NULL) == 0);
  TOY_EXPECT(shmx_layout_finish(&layout) == 0);
  kinds[RECORD] = shmx_record_kind(&layout, 1);
  kinds[MUTEX] = shmx_mutex_kind();
  kinds[RWLOCK] = shmx_rwlock_kind();
  kinds[SEMAPHORE] = shmx_semaphore_kind(PERMITS);
  kinds[CONDITION] = shmx_condition_kind();
  kinds[BARRIER] = shmx_barrier_kind(PARTIES);
  kinds[SPARE] = shmx_array_kind(SHMX_U8, 100);
  kinds[GONE] = shmx_array_kind(SHMX_F64, 10);
  return kinds[which];
}

/* Spares are arrays of many sizes under many names, so that memory is given out and comes back. */
static inline shmx_kind spare_kind(unsigned argument) {
  static const uint64_t sizes[] = {1, 64, 65, 100, 1000, 4000, UINT64_MAX - 10, 1 << 20};
  return shmx_array_kind(SHMX_U8, sizes[argument % 8]);
}

static inline const char *toy_name(int which, unsigned argument) {
  static const char *const names[] = {"array",     "record",  "mutex", "rwlock", "semaphore",
                                      "condition", "barrier", "spare", "gone"};
  static char text[SHMX_ARENA_NAME_MAX + 1];
  if (which != SPARE || argument % SPARES == 0) return names[which];
  memset(text, 'a' + (int)(argument % SPARES), sizeof text - 1); /* as long as a name may be */
  return text;
}

/* ---- the arena ---- */

/* Closed, all of it. */
static inline void toys_begin(struct toys *all, shmx_name name, void *address) {
  memset(all, 0, sizeof *all);
  all->name = name;
  all->address = address;
  shmx_mutex_open(&all->own_mutex, all->own);
}

static inline int op_open(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  if (all->arena.segment.object.data != NULL) return 0;
  shmx_options options = {.address = all->address};
  size_t size = argument % 8 == 7 ? SHMX_ARENA_SIZE_MIN : 0;
  int status = shmx_arena_open(&all->arena, all->name, size, &options);
  TOY_EXPECT((status == 0) == (all->arena.segment.object.data != NULL));
  return status;
}

static inline int op_close(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  shmx_arena_close(&all->arena);
  return 0;
}

/* ---- objects ---- */

static inline void close_mutex(shmx_arena_object *object) {
  shmx_mutex_close(&((struct toy *)(void *)object)->mutex);
}

static inline void close_rwlock(shmx_arena_object *object) {
  shmx_rwlock_close(&((struct toy *)(void *)object)->rwlock);
}

static inline void close_semaphore(shmx_arena_object *object) {
  shmx_semaphore_close(&((struct toy *)(void *)object)->semaphore);
}

/* Its handle, as the binding makes it; and its memory is where an object may be. */
static inline void open_toy(struct toys *all, int which, uint64_t size) {
  struct toy *toy = &all->toys[which];
  const shmx_object *whole = &all->arena.segment.object, *part = &toy->object.memory.object;
  size_t least = 16 * 128; /* of any directory, whatever the handle holds for its end */
  TOY_EXPECT(part->data >= whole->data + all->arena.start && part->data >= whole->data + least);
  TOY_EXPECT((uintptr_t)part->data % SHMX_KIND_ALIGN == 0);
  TOY_EXPECT(part->data <= whole->data + whole->size);
  TOY_EXPECT(part->size == size && size <= (size_t)(whole->data + whole->size - part->data));
  TOY_EXPECT(strnlen(part->posix, sizeof part->posix) <= SHMX_ARENA_NAME_MAX);
  void *memory = part->data;
  if (which == MUTEX) shmx_mutex_open(&toy->mutex, memory);
  if (which == RWLOCK) shmx_rwlock_open(&toy->rwlock, memory);
  if (which == SEMAPHORE) shmx_semaphore_open(&toy->semaphore, memory, PERMITS);
  if (which == CONDITION) shmx_condition_open(&toy->condition, memory);
  if (which == BARRIER) shmx_barrier_open(&toy->barrier, memory, PARTIES);
  if (which == MUTEX) toy->object.closing = close_mutex;
  if (which == RWLOCK) toy->object.closing = close_rwlock;
  if (which == SEMAPHORE) toy->object.closing = close_semaphore;
}

/* Now and then as what it is not. */
static inline int op_find(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  int which = (int)(argument % TOYS), name = argument >= 224 ? (which + 1) % TOYS : which;
  struct toy *toy = &all->toys[which];
  if (toy->object.arena != NULL) return 0;
  shmx_kind kind = which == SPARE ? spare_kind(argument / TOYS) : toy_kind(which);
  memset(toy, 0, sizeof *toy);
  int status = shmx_arena_find(&all->arena, toy_name(name, argument / TOYS), &kind, &toy->object);
  TOY_EXPECT((status == 0) == (toy->object.arena != NULL));
  if (status == 0) open_toy(all, which, kind.size);
  return status;
}

static inline int op_close_object(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  shmx_arena_object_close(&all->toys[argument % TOYS].object);
  return 0;
}

static inline int op_remove(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  return shmx_arena_remove(&all->arena, toy_name((int)(argument % TOYS), argument / TOYS));
}

static inline int op_list(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  shmx_arena_entry list[LISTED + 1];
  size_t count, room = argument % (LISTED + 1);
  list[room].name[0] = '?'; /* there is no room for this one */
  int status = shmx_arena_list(&all->arena, list, room, &count);
  if (status != 0) return status;
  TOY_EXPECT(count <= all->arena.entries && list[room].name[0] == '?');
  for (size_t i = 0; i < count && i < room; i++) {
    TOY_EXPECT(strnlen(list[i].name, sizeof list[i].name) < sizeof list[i].name);
    const char *kind = shmx_kind_name(list[i].kind);
    TOY_EXPECT(kind == NULL || kind[0] != '\0');
    TOY_EXPECT(list[i].size <= all->arena.segment.object.size);
  }
  return 0;
}

static inline int op_stat(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  shmx_arena_status found;
  int status = shmx_arena_stat(&all->arena, &found);
  if (status != 0) return status;
  TOY_EXPECT(found.size == all->arena.segment.object.size && found.entries == all->arena.entries);
  TOY_EXPECT(found.objects <= found.entries && found.handles <= all->arena.members);
  TOY_EXPECT(found.used <= found.size && found.largest <= found.size - found.used);
  return 0;
}

/* ---- what objects are for ---- */

/* An object that may be used now, as the binding asks. */
static inline struct toy *usable(struct toys *all, int which) {
  struct toy *toy = &all->toys[which];
  return shmx_arena_object_check(&toy->object) == 0 ? toy : NULL;
}

static inline int op_array(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_view view;
  int woken, status = shmx_view_open(&view, &all->toys[ARRAY].object.memory, 4, 0, ELEMENTS);
  if (status != 0) return status;
  unsigned char *data = shmx_view_data(&view), *element = data + argument % ELEMENTS * 4;
  shmx_number number = shmx_element_load(SHMX_I32, element);
  TOY_EXPECT(shmx_elements_min(SHMX_I32, data, ELEMENTS) < ELEMENTS);
  TOY_EXPECT(shmx_elements_find(SHMX_I32, data, ELEMENTS, number) <= ELEMENTS);
  shmx_elements_sum(SHMX_I32, data, ELEMENTS);
  if (argument & 64) shmx_elements_fill(SHMX_I32, data, ELEMENTS, number);
  shmx_atomic_rmw(SHMX_I32, element, SHMX_FETCH_ADD, 1, SHMX_SEQ_CST);
  shmx_atomic_notify(element, 1, &woken);
  status = shmx_atomic_wait(element, (uint32_t)number.integer + 1, deadline);
  return status == -EAGAIN ? 0 : status;
}

static inline int op_bytes(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  int which = (int)(argument % TOYS);
  struct toy *toy = usable(all, which);
  if (toy == NULL) return -EBADF;
  char bytes[64];
  shmx_segment *memory = &toy->object.memory;
  uint64_t length = memory->object.size < sizeof bytes ? memory->object.size : sizeof bytes;
  int status = shmx_segment_read(memory, memory->object.size - length, bytes, length);
  if (status != 0 || (which != RECORD && which != SPARE && which != GONE)) return status;
  if (argument & 128) status = shmx_segment_fill(memory, 0, (uint8_t)argument, memory->object.size);
  return status != 0 ? status : shmx_segment_write(memory, 0, bytes, length);
}

static inline int op_mutex_lock(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  struct toy *toy = usable(all, MUTEX);
  return toy != NULL ? shmx_mutex_lock(&toy->mutex, deadline) : -EBADF;
}

static inline int op_mutex_unlock(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  struct toy *toy = usable(all, MUTEX);
  return toy != NULL ? shmx_mutex_unlock(&toy->mutex) : -EBADF;
}

static inline int op_rwlock_read(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  struct toy *toy = usable(all, RWLOCK);
  return toy != NULL ? shmx_rwlock_read(&toy->rwlock, deadline) : -EBADF;
}

static inline int op_rwlock_write(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  struct toy *toy = usable(all, RWLOCK);
  return toy != NULL ? shmx_rwlock_write(&toy->rwlock, deadline) : -EBADF;
}

static inline int op_rwlock_unlock(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  struct toy *toy = usable(all, RWLOCK);
  return toy != NULL ? shmx_rwlock_unlock(&toy->rwlock) : -EBADF;
}

static inline int op_acquire(struct toys *all, int64_t deadline, unsigned argument) {
  struct toy *toy = usable(all, SEMAPHORE);
  if (toy == NULL) return -EBADF;
  return shmx_semaphore_acquire(&toy->semaphore, argument % PERMITS + 1, deadline);
}

static inline int op_release(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  struct toy *toy = usable(all, SEMAPHORE);
  return toy != NULL ? shmx_semaphore_release(&toy->semaphore, argument % PERMITS + 1) : -EBADF;
}

/* With a mutex that no peer can reach: shmx_condition_wait locks it again however long it takes. */
static inline int op_wait(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  struct toy *toy = usable(all, CONDITION);
  if (toy == NULL) return -EBADF;
  TOY_EXPECT(shmx_mutex_lock(&all->own_mutex, 0) == 0);
  int status = shmx_condition_wait(&toy->condition, &all->own_mutex, deadline);
  TOY_EXPECT(shmx_mutex_unlock(&all->own_mutex) == 0);
  return status;
}

static inline int op_notify(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  struct toy *toy = usable(all, CONDITION);
  if (toy == NULL) return -EBADF;
  if (argument & 1)
    shmx_condition_notify_all(&toy->condition);
  else
    shmx_condition_notify(&toy->condition);
  return 0;
}

static inline int op_barrier(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  struct toy *toy = usable(all, BARRIER);
  bool last;
  return toy != NULL ? shmx_barrier_wait(&toy->barrier, deadline, &last) : -EBADF;
}

/* What is for messages only. */
static inline int op_ask(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  struct toy *mutex = usable(all, MUTEX), *rwlock = usable(all, RWLOCK);
  struct toy *semaphore = usable(all, SEMAPHORE), *barrier = usable(all, BARRIER);
  if (mutex != NULL) shmx_mutex_holder(&mutex->mutex);
  if (mutex != NULL) shmx_mutex_owner_died(&mutex->mutex);
  if (rwlock != NULL) shmx_rwlock_holder(&rwlock->rwlock);
  if (semaphore != NULL) shmx_semaphore_holder(&semaphore->semaphore);
  if (semaphore != NULL) TOY_EXPECT(shmx_semaphore_value(&semaphore->semaphore) <= PERMITS);
  if (barrier != NULL) TOY_EXPECT(shmx_barrier_waiting(&barrier->barrier) <= PARTIES);
  return 0;
}

/* ---- all of them ---- */

/* In the order of the table. */
enum {
  OPEN,
  FIND,
  ARRAY_USE,
  BYTES,
  LOCK,
  UNLOCK,
  READ,
  WRITE,
  RWLOCK_UNLOCK,
  ACQUIRE,
  RELEASE,
  WAIT,
  NOTIFY,
  BARRIER_USE,
  ASK,
  LIST,
  STAT,
  REMOVE,
  CLOSE_OBJECT,
  CLOSE,
  OPERATIONS
};

static const struct operation operations[OPERATIONS] = {
    [OPEN] = {"open", op_open, 2},
    [FIND] = {"find", op_find, 1},
    [ARRAY_USE] = {"array", op_array, 0},
    [BYTES] = {"bytes", op_bytes, 0},
    [LOCK] = {"mutex lock", op_mutex_lock, 0},
    [UNLOCK] = {"mutex unlock", op_mutex_unlock, 0},
    [READ] = {"rwlock read", op_rwlock_read, 0},
    [WRITE] = {"rwlock write", op_rwlock_write, 0},
    [RWLOCK_UNLOCK] = {"rwlock unlock", op_rwlock_unlock, 0},
    [ACQUIRE] = {"acquire", op_acquire, 0},
    [RELEASE] = {"release", op_release, 0},
    [WAIT] = {"wait", op_wait, 0},
    [NOTIFY] = {"notify", op_notify, 0},
    [BARRIER_USE] = {"barrier", op_barrier, 0},
    [ASK] = {"ask", op_ask, 0},
    [LIST] = {"list", op_list, 1},
    [STAT] = {"stat", op_stat, 1},
    [REMOVE] = {"remove", op_remove, 1},
    [CLOSE_OBJECT] = {"close object", op_close_object, 0},
    [CLOSE] = {"close", op_close, 0},
};

static const struct operation *operation_of(unsigned which) {
  return &operations[which];
}

static bool is_known_status(int status) {
  static const int known[] = {0,      -EBADF,      -EIDRM,  -EBADMSG,        -EPROTOTYPE, -ERANGE,
                              -EXDEV, -EUSERS,     -ENOSPC, -ETIMEDOUT,      -EDEADLK,    -EPERM,
                              -EINTR, -EOWNERDEAD, -ENOENT, -EPROTONOSUPPORT};
  return is_among(status, known, sizeof known / sizeof *known);
}

static inline void toys_end(struct toys *all) {
  toys_run(all, CLOSE, 0, 0);
}

/* Every operation with every object, in an order that makes sense, and closes the arena. */
static inline void toys_run_all(struct toys *all, int64_t timeout) {
  static const unsigned order[] = {
      OPEN,          FIND,   ARRAY_USE,   BYTES,         LOCK,    ASK,     UNLOCK,      READ,
      RWLOCK_UNLOCK, WRITE,  ASK,         RWLOCK_UNLOCK, ACQUIRE, ACQUIRE, RELEASE,     NOTIFY,
      WAIT,          NOTIFY, BARRIER_USE, LIST,          STAT,    REMOVE,  CLOSE_OBJECT};
  for (unsigned i = 0; i < sizeof order / sizeof *order; i++) {
    bool each = order[i] == FIND || order[i] == BYTES || order[i] >= REMOVE;
    for (unsigned toy = 0; toy < (each ? TOYS : 1); toy++)
      toys_run(all, order[i], timeout, each ? toy : i);
  }
  toys_run(all, FIND, timeout, SPARE + TOYS * 5);
  toys_run(all, CLOSE, timeout, 0);
}

#endif
