/* view.c: the geometry of views. Touches os, base. */
#include "mem/view.h"
#include "mem/arena.h"

int shmx_view_open(shmx_view *view, const shmx_segment *segment, size_t size, uint64_t offset,
                   uint64_t count) {
  uint64_t length, end;
  if (segment->object.data == NULL) return -EBADF;
  if (__builtin_mul_overflow(count, size, &length) || __builtin_add_overflow(offset, length, &end))
    return -ERANGE;
  *view = (shmx_view){segment, offset, count, end};
  return shmx_view_check(view);
}

int shmx_view_look(const shmx_view *view) {
  const shmx_object *object = &view->segment->object;
  if (view->segment->part != NULL) {
    int status = shmx_arena_object_look(view->segment->part);
    if (status != 0) return status;
  }
  if (object->data == NULL) return -EBADF;
  return view->end <= object->size ? 0 : -ERANGE;
}
