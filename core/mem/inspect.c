/* inspect.c: reading an arena's directory without a part in it. Touches sync, os, base. */
#include "mem/inspect.h"
#include "mem/directory.h"
#include "os/process.h"

#include <string.h>

static void fill_in(shmx_inspection *inspection) {
  const shmx_arena *arena = &inspection->arena;
  shmx_arena_status *status = &inspection->status;
  struct shmx_directory_entry found;
  *status = (shmx_arena_status){
      .size = arena->segment.object.size, .entries = arena->entries, .handles_max = arena->members};
  for (uint32_t entry = 0; entry < arena->entries; entry++)
    status->objects += shmx_directory_read(arena, entry, &found) && found.state == SHMX_LIVE;
  shmx_directory_space(arena, &status->used, &status->largest);
  status->handles = shmx_directory_members(arena);
  shmx_task creator = shmx_directory_creator(arena);
  inspection->creator = shmx_task_number(creator);
  inspection->creator_lives = creator != 0 && shmx_process_lives(creator);
}

int shmx_inspect(shmx_inspection *inspection, const shmx_segment *segment) {
  *inspection = (shmx_inspection){.arena.segment = *segment};
  const shmx_object *object = &segment->object;
  if (object->data == NULL) return -EBADF;
  if (object->size < SHMX_ARENA_SIZE_MIN) return -EPROTOTYPE;
  shmx_directory_measure(&inspection->arena, object->size);
  int status = shmx_directory_check(&inspection->arena);
  if (status == 0) fill_in(inspection);
  if (shmx_segment_lost(segment)) return -EFAULT;
  return status == -ERANGE ? -EBADMSG : status;
}

bool shmx_inspect_object(const shmx_inspection *inspection, uint32_t number,
                         shmx_arena_entry *entry, uint64_t *layout, void **data) {
  const shmx_arena *arena = &inspection->arena;
  struct shmx_directory_entry found;
  if (number >= arena->entries || !shmx_directory_read(arena, number, &found)) return false;
  if (found.state != SHMX_LIVE) return false;
  *entry = (shmx_arena_entry){.kind = found.kind, .size = found.size, .count = found.count};
  memcpy(entry->name, found.name, sizeof found.name);
  *layout = found.layout;
  *data = arena->segment.object.data + found.offset;
  return true;
}

uint32_t shmx_inspect_handle(const shmx_inspection *inspection, uint32_t number) {
  if (number >= inspection->arena.members) return 0;
  shmx_task process = shmx_directory_member(&inspection->arena, number);
  return process != 0 && shmx_process_lives(process) ? shmx_task_number(process) : 0;
}

bool shmx_inspect_uses(const shmx_inspection *inspection, uint32_t number, uint32_t object) {
  const shmx_arena *arena = &inspection->arena;
  return number < arena->members && object < arena->entries &&
         shmx_directory_uses(arena, number, object);
}
