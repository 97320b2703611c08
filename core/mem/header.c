/* header.c: the header of an arena: made once, and checked by all. Touches sync, os, base. */
#include "mem/directory_memory.h"

#include <string.h>

#define MAGIC UINT64_C(0x616e657261786d68) /* "hmxarena" in the order of the memory */

enum { READY = 1 };

/* Is all of it zero that an arena would write to, but for the lock? Then it was nobody's yet. */
static bool is_blank(const shmx_arena *arena) {
  const struct header *header = header_of(arena);
  const unsigned char *memory = memory_of(arena);
  for (uint64_t i = 0; i < arena->start; i++) {
    bool lock = i >= offsetof(struct header, lock) && i < sizeof *header;
    if (memory[i] == 0 || lock) continue;
    /* Somebody is at it: acquire pairs with the release in make_header. */
    atomic_thread_fence(memory_order_acquire);
    return load(header->magic) == MAGIC;
  }
  return true;
}

static void make_header(shmx_arena *arena) {
  struct header *header = header_of(arena);
  uint64_t processes, time;
  shmx_process_namespaces(&processes, &time);
  store(header->magic, MAGIC);
  /* Release: whoever sees the rest of it sees the magic. Pairs with the acquire in is_blank. */
  atomic_thread_fence(memory_order_release);
  store(header->version, SHMX_ARENA_FORMAT);
  store(header->size, arena->segment.object.size);
  store(header->processes, processes);
  store(header->time, time);
  store(header->creator, shmx_process_self());
  /* Release pairs with the acquire in is_ready. */
  atomic_store_explicit(&header->ready, READY, memory_order_release);
}

static bool is_ready(const shmx_arena *arena) {
  return atomic_load_explicit(&header_of(arena)->ready, memory_order_acquire) == READY;
}

static int fail_magic(shmx_segment *segment) {
  uint64_t size = segment->object.size;
  return shmx_fail(&segment->object.facts, -EPROTOTYPE, SHMX_FACT_NO_ARENA, size, 0);
}

static int fail_format(shmx_segment *segment, uint32_t found) {
  return shmx_fail(&segment->object.facts, -EPROTONOSUPPORT, SHMX_FACT_FORMAT, found,
                   SHMX_ARENA_FORMAT);
}

/* An arena that is half made may have no format yet. */
static int check_format(shmx_segment *segment) {
  const struct header *header = (const struct header *)(void *)segment->object.data;
  uint32_t version = load(header->version);
  return version == 0 || version == SHMX_ARENA_FORMAT ? 0 : fail_format(segment, version);
}

int shmx_directory_identify(shmx_segment *segment) {
  const struct header *header = (const struct header *)(void *)segment->object.data;
  return load(header->magic) == MAGIC ? check_format(segment) : fail_magic(segment);
}

int shmx_directory_check(shmx_arena *arena) {
  const struct header *header = header_of(arena);
  shmx_segment *segment = &arena->segment;
  int status = shmx_directory_identify(segment);
  if (status != 0) return status;
  if (load(header->version) == 0) return fail_format(segment, 0);
  uint64_t size = load(header->size), processes, time;
  if (size != segment->object.size)
    return shmx_fail(&segment->object.facts, -ERANGE, SHMX_FACT_RESIZED, segment->object.size,
                     size);
  shmx_process_namespaces(&processes, &time);
  return load(header->processes) == processes && load(header->time) == time ? 0 : -EXDEV;
}

/* Nothing is written before it is sure that the memory is nobody else's. Another version may be
 * half made, too, and be ready by another mark. */
int shmx_directory_prepare(shmx_arena *arena) {
  uint64_t magic = load(header_of(arena)->magic);
  bool ours = magic == MAGIC || (magic == 0 && is_blank(arena));
  int status = ours ? check_format(&arena->segment) : fail_magic(&arena->segment);
  if (status != 0) return status;
  if (!is_ready(arena)) {
    status = shmx_directory_enter(arena);
    if (status != 0) return status;
    if (!is_ready(arena)) make_header(arena);
    shmx_directory_leave(arena);
  }
  return shmx_directory_check(arena);
}
