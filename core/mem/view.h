/*
 * view.h: elements of one type in a segment: where they are and how many. Touches os, base.
 *
 * A view knows its geometry by itself and checks it against the segment's size at every access:
 * once the segment is detached, or has become too short for the view, nothing is touched any more.
 */
#ifndef SHMX_MEM_VIEW_H
#define SHMX_MEM_VIEW_H

#include "mem/element.h"
#include "mem/segment.h"

SHMX_BEGIN_DECLS

/* A view. Its segment must live as long; several views of one segment are independent. */
typedef struct shmx_view {
  const shmx_segment *segment;
  uint64_t offset; /* bytes, of the first element */
  uint64_t count;  /* elements */
  uint64_t end;    /* bytes, behind the last element */
} shmx_view;

/*
 * Views `count` elements of `size` bytes from `offset`.
 * Errors: EBADF (the segment is detached), ERANGE (they leave it). Does not block.
 */
SHMX_API int shmx_view_open(shmx_view *view, const shmx_segment *segment, size_t size,
                            uint64_t offset, uint64_t count);

/* Why the view's memory is not to be touched, or 0: shmx_view_check, the long way. */
SHMX_API int shmx_view_look(const shmx_view *view);

/*
 * May the view's memory be touched now? 0; EBADF or ERANGE as above; for an object of an arena as
 * shmx_arena_object_check. Does not block, but in a forked child of who opened an arena's object.
 */
static inline int shmx_view_check(const shmx_view *view) {
  const shmx_object *object = &view->segment->object;
  if (view->end <= object->size && object->data != NULL && shmx_object_is_live(object)) return 0;
  return shmx_view_look(view);
}

/* The memory of a view that was just checked. */
static inline unsigned char *shmx_view_data(const shmx_view *view) {
  return view->segment->object.data + view->offset;
}

SHMX_END_DECLS

#endif
