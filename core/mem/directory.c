/* directory.c: members, entries and free space of an arena. Touches sync, os, base. */
#include "base/checked.h"
#include "mem/directory_memory.h"
#include "os/page.h"
#include "os/process.h"
#include "sync/lock.h"

#include <stdlib.h>
#include <string.h>

enum { BYTES_AN_ENTRY = 2048 };

/* ---- where everything is ---- */

static uint64_t clamp(uint64_t value, uint64_t least, uint64_t most) {
  return value < least ? least : value > most ? most : value;
}

void shmx_directory_measure(shmx_arena *arena, uint64_t size) {
  arena->entries = (uint32_t)clamp(size / BYTES_AN_ENTRY, 16, SHMX_ARENA_OBJECTS_MAX);
  arena->members = (uint32_t)clamp(size / BYTES_AN_ENTRY, 128, SHMX_ARENA_HANDLES_MAX);
  uint64_t end =
      HEADER + arena->entries * sizeof(struct entry) + arena->members * member_size(arena);
  arena->start = (end + SHMX_KIND_ALIGN - 1) / SHMX_KIND_ALIGN * SHMX_KIND_ALIGN;
}

/* ---- the lock ---- */

/* The directory is right at every instant, so a death within it needs no repair. Signals, however
 * often they come, do not add to the patience. */
int shmx_directory_enter(shmx_arena *arena) {
  int64_t deadline = shmx_clock_now() + SHMX_LOCK_TIMEOUT;
  int status;
  do
    status = shmx_lock_enter(&header_of(arena)->lock, deadline);
  while (status == -EINTR && shmx_clock_now() < deadline);
  if (status == 0 || status == -EOWNERDEAD) return 0;
  arena->held_by = shmx_lock_holder(&header_of(arena)->lock);
  return status == -EINTR ? -ETIMEDOUT : status;
}

bool shmx_directory_try_enter(shmx_arena *arena) {
  int status = shmx_lock_enter(&header_of(arena)->lock, 0);
  return status == 0 || status == -EOWNERDEAD;
}

void shmx_directory_leave(shmx_arena *arena) {
  shmx_lock_leave(&header_of(arena)->lock);
}

/* ---- members ---- */

/* Acquire pairs with the release in shmx_directory_part. */
static shmx_task process_of(const struct member *member) {
  return atomic_load_explicit(&member->process, memory_order_acquire);
}

static bool is_vacant(const struct member *member, bool of_the_dead) {
  shmx_task process = process_of(member);
  return process == 0 || (of_the_dead && !shmx_process_lives(process));
}

/* Before the process's name, its bits: killed between, the place is nobody's. */
static void settle(shmx_arena *arena, uint32_t number) {
  struct member *member = member_at(arena, number);
  store(member->process, 0);
  for (uint64_t word = 0; word < words(arena); word++)
    store(member->bits[word], 0);
  arena->member = number;
  arena->process = shmx_process_self();
  store(member->process, arena->process);
}

int shmx_directory_join(shmx_arena *arena) {
  for (int of_the_dead = 0; of_the_dead <= 1; of_the_dead++)
    for (uint32_t number = 0; number < arena->members; number++)
      if (is_vacant(member_at(arena, number), of_the_dead)) {
        settle(arena, number);
        return 0;
      }
  return shmx_fail(&arena->segment.object.facts, -EUSERS, SHMX_FACT_HANDLES, arena->members, 0);
}

void shmx_directory_part(shmx_arena *arena) {
  /* Release: all uses of the memory were before. Pairs with the acquire in process_of. */
  atomic_store_explicit(&member_at(arena, arena->member)->process, 0, memory_order_release);
}

void shmx_directory_mark(shmx_arena *arena, uint32_t entry, bool used) {
  _Atomic uint64_t *word = &member_at(arena, arena->member)->bits[entry / WORD_BITS];
  uint64_t bit = UINT64_C(1) << entry % WORD_BITS;
  /* Before a look at the entry's state, which who sweeps stores before it looks at the bits. */
  if (used)
    atomic_fetch_or_explicit(word, bit, memory_order_seq_cst);
  else
    atomic_fetch_and_explicit(word, ~bit, memory_order_seq_cst);
}

/* What a sweep knows of each member. Places change hands within the lock only, so one question to
 * the system is enough: else the bits and names of a lie would make it hundreds of thousands. */
struct survey {
  unsigned char members[SHMX_ARENA_HANDLES_MAX];
};

enum { UNKNOWN, DEAD, LIVES };

static bool member_lives(shmx_task process, uint32_t number, struct survey *survey) {
  if (survey->members[number] == UNKNOWN)
    survey->members[number] = shmx_process_lives(process) ? LIVES : DEAD;
  return survey->members[number] == LIVES;
}

static bool is_used(const shmx_arena *arena, uint32_t entry, struct survey *survey) {
  uint64_t bit = UINT64_C(1) << entry % WORD_BITS;
  for (uint32_t number = 0; number < arena->members; number++) {
    const struct member *member = member_at(arena, number);
    shmx_task process = process_of(member);
    if (process == 0) continue;
    /* After shmx_directory_remove, and after all uses of the memory by who has taken the bit away:
     * pairs with shmx_directory_mark. */
    if (!(atomic_load_explicit(&member->bits[entry / WORD_BITS], memory_order_seq_cst) & bit))
      continue;
    if (member_lives(process, number, survey)) return true;
  }
  return false;
}

uint32_t shmx_directory_members(const shmx_arena *arena) {
  uint32_t count = 0;
  for (uint32_t number = 0; number < arena->members; number++)
    count += !is_vacant(member_at(arena, number), true);
  return count;
}

shmx_task shmx_directory_creator(const shmx_arena *arena) {
  return load(header_of(arena)->creator);
}

shmx_task shmx_directory_member(const shmx_arena *arena, uint32_t number) {
  return process_of(member_at(arena, number));
}

bool shmx_directory_uses(const shmx_arena *arena, uint32_t number, uint32_t entry) {
  uint64_t bit = UINT64_C(1) << entry % WORD_BITS;
  return (load(member_at(arena, number)->bits[entry / WORD_BITS]) & bit) != 0;
}

/* ---- entries ---- */

/* An object lies behind the directory, within the segment, and is whole units: what follows it is
 * aligned, too. */
static bool is_sane(const shmx_arena *arena, const struct shmx_directory_entry *entry) {
  return (entry->state == LIVE || entry->state == REMOVED) && entry->size != 0 &&
         entry->size % SHMX_KIND_ALIGN == 0 && entry->offset >= arena->start &&
         entry->offset % SHMX_KIND_ALIGN == 0 &&
         shmx_fits(entry->offset, entry->size, arena->segment.object.size);
}

bool shmx_directory_read(const shmx_arena *arena, uint32_t number,
                         struct shmx_directory_entry *found) {
  const struct entry *entry = entry_at(arena, number);
  /* Acquire pairs with the release in shmx_directory_make. */
  found->state = atomic_load_explicit(&entry->state, memory_order_acquire);
  if (found->state == FREE) return false;
  found->kind = load(entry->kind);
  found->layout = load(entry->layout);
  found->offset = load(entry->offset);
  found->size = load(entry->size);
  found->count = load(entry->count);
  found->serial = load(entry->serial);
  memcpy(found->name, entry->name, sizeof found->name);
  atomic_signal_fence(memory_order_seq_cst); /* no compiler looks there again for what it copied */
  found->name[SHMX_ARENA_NAME_MAX] = '\0';
  return is_sane(arena, found);
}

const uint32_t *shmx_directory_state(const shmx_arena *arena, uint32_t entry) {
  return (const uint32_t *)(const void *)&entry_at(arena, entry)->state;
}

bool shmx_directory_is_removed(const shmx_arena *arena, uint32_t entry) {
  return atomic_load_explicit(&entry_at(arena, entry)->state, memory_order_seq_cst) == REMOVED;
}

/* Looks at the name where it is: most entries are others. */
static bool is_named(const shmx_arena *arena, uint32_t number, const char *name) {
  const struct entry *entry = entry_at(arena, number);
  /* Acquire pairs with the release in shmx_directory_make. */
  return atomic_load_explicit(&entry->state, memory_order_acquire) == LIVE &&
         strncmp(entry->name, name, SHMX_ARENA_NAME_MAX) == 0;
}

bool shmx_directory_find(const shmx_arena *arena, const char *name, uint32_t *entry) {
  struct shmx_directory_entry found;
  for (*entry = 0; *entry < arena->entries; ++*entry)
    if (is_named(arena, *entry, name) && shmx_directory_read(arena, *entry, &found)) return true;
  return false;
}

void shmx_directory_remove(shmx_arena *arena, uint32_t entry) {
  /* Before a look at the bits: pairs with shmx_directory_mark and shmx_directory_is_removed. */
  atomic_store_explicit(&entry_at(arena, entry)->state, REMOVED, memory_order_seq_cst);
}

void shmx_directory_sweep(shmx_arena *arena) {
  struct survey survey = {0};
  for (uint32_t entry = 0; entry < arena->entries; entry++)
    if (shmx_directory_is_removed(arena, entry) && !is_used(arena, entry, &survey))
      store(entry_at(arena, entry)->state, FREE);
}

/* ---- space ---- */

struct extent {
  uint64_t start, end;
};

static int by_start(const void *one, const void *other) {
  uint64_t a = ((const struct extent *)one)->start, b = ((const struct extent *)other)->start;
  return (a > b) - (a < b);
}

/* What entries cover, in order, and what is left behind the last whole unit at the end. An entry
 * that no object can have covers nothing. */
static uint32_t covered(const shmx_arena *arena, struct extent *extents) {
  struct shmx_directory_entry found;
  uint64_t end = arena->segment.object.size;
  uint32_t count = 0;
  extents[count++] = (struct extent){end / SHMX_KIND_ALIGN * SHMX_KIND_ALIGN, end};
  for (uint32_t entry = 0; entry < arena->entries; entry++)
    if (shmx_directory_read(arena, entry, &found))
      extents[count++] = (struct extent){found.offset, found.offset + found.size};
  qsort(extents, count, sizeof *extents, by_start);
  return count;
}

/* The first free extent of that size, and the largest there is. Those that a lie lets overlap leave
 * nothing free between them. */
static bool find_space(const shmx_arena *arena, uint64_t size, uint64_t *offset, uint64_t *largest,
                       uint64_t *used) {
  struct extent extents[SHMX_ARENA_OBJECTS_MAX + 1];
  uint32_t count = covered(arena, extents);
  bool there = false;
  uint64_t at = arena->start;
  *largest = 0;
  *used = arena->start;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t free = extents[i].start > at ? extents[i].start - at : 0;
    if (!there && free >= size) *offset = at, there = true;
    if (free > *largest) *largest = free;
    if (extents[i].end > at) {
      *used += extents[i].end - (extents[i].start > at ? extents[i].start : at);
      at = extents[i].end;
    }
  }
  return there;
}

void shmx_directory_space(const shmx_arena *arena, uint64_t *used, uint64_t *largest) {
  uint64_t offset;
  find_space(arena, 0, &offset, largest, used);
  *used -= arena->segment.object.size % SHMX_KIND_ALIGN;
}

/* ---- making ---- */

static bool find_free_entry(const shmx_arena *arena, uint32_t *entry) {
  for (*entry = 0; *entry < arena->entries; ++*entry)
    if (load(entry_at(arena, *entry)->state) == FREE) return true;
  return false;
}

/* Removed objects that are open still have a place, too. */
static int fail_entries(const shmx_arena *arena, shmx_facts *facts) {
  uint32_t removed = 0;
  for (uint32_t entry = 0; entry < arena->entries; entry++)
    removed += shmx_directory_is_removed(arena, entry);
  shmx_fail(facts, -ENOSPC, SHMX_FACT_OBJECTS, removed, 0);
  facts->limit = arena->entries;
  return -ENOSPC;
}

static void fill_in(shmx_arena *arena, struct entry *entry, const char *name, const shmx_kind *kind,
                    uint64_t offset, uint64_t size) {
  uint64_t serial = load(header_of(arena)->serial) + 1;
  store(header_of(arena)->serial, serial);
  store(entry->kind, kind->id);
  store(entry->layout, kind->layout);
  store(entry->offset, offset);
  store(entry->size, size);
  store(entry->count, kind->count);
  store(entry->serial, serial);
  memset(entry->name, 0, sizeof entry->name);
  memcpy(entry->name, name, strlen(name));
}

/*
 * Makes a free extent zeroes that have memory, or frees what memory it has. Nobody uses it, so its
 * pages may go. If the process dies in between, they stay, and are the next object's.
 */
static int take_extent(const shmx_arena *arena, uint64_t offset, uint64_t size) {
  const shmx_object *object = &arena->segment.object;
  int status = shmx_page_take(object, offset, size);
  if (status == 0) {
    memset(memory_of(arena) + offset, 0, size);
    if (shmx_segment_lost(&arena->segment)) status = -EFAULT;
  }
  if (status != 0) shmx_page_free(object, offset, size);
  return status;
}

/* The memory is zeroed before anybody sees it; others wait meanwhile. */
int shmx_directory_make(shmx_arena *arena, const char *name, const shmx_kind *kind,
                        uint32_t *number, shmx_facts *facts) {
  uint64_t offset, largest, used;
  size_t size;
  if (!find_free_entry(arena, number)) return fail_entries(arena, facts);
  if (!shmx_round_up(kind->size, SHMX_KIND_ALIGN, &size)) size = SIZE_MAX;
  if (!find_space(arena, size, &offset, &largest, &used))
    return shmx_fail(facts, -ENOSPC, SHMX_FACT_EXTENT, largest, kind->size);
  struct entry *entry = entry_at(arena, *number);
  int status = take_extent(arena, offset, size);
  if (status != 0) return status;
  fill_in(arena, entry, name, kind, offset, size);
  /* Release pairs with the acquire in shmx_directory_read. */
  atomic_store_explicit(&entry->state, LIVE, memory_order_release);
  return 0;
}
