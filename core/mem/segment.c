/* segment.c: one behaviour over the three backings. Touches os, base. */
#include "mem/segment.h"
#include "mem/owned.h"
#include "os/backing.h"
#include "os/fault.h"
#include "os/page.h"

#include <string.h>

enum {
  DEFAULT_MODE = 0600,
  ALL_MODES = 0777,
  CREATOR_FLAGS = SHMX_HUGE | SHMX_NORESERVE | SHMX_OWNED, /* mean nothing to who attaches */
  OPEN_TRIES = 100
};

static const struct shmx_backing *backing_of(const shmx_segment *segment) {
  return shmx_backing_of(segment->object.backing);
}

/* ---- from a name to a mapping ---- */

/* SHM_RND for every backing. Nothing may lie at NULL, which stands for a closed handle. */
static int check_address(shmx_options *options) {
  if (options->address == NULL) return 0;
  uintptr_t address = (uintptr_t)options->address; /* as a pointer it might not become NULL */
  uintptr_t excess = address % shmx_page_size(false);
  if (excess != 0 && !(options->flags & SHMX_ROUND)) return -EADDRNOTAVAIL;
  options->address = (void *)(address - excess);
  return address == excess ? -EADDRINUSE : 0;
}

static int check(shmx_name name, const shmx_options *given, shmx_options *options) {
  if (shmx_backing_of(name.backing) == NULL) return -EINVAL;
  *options = given != NULL ? *given : (shmx_options){0};
  if (options->mode == 0) options->mode = DEFAULT_MODE;
  return check_address(options);
}

static void begin(shmx_segment *segment, shmx_name name) {
  static const uint32_t always = SHMX_LIVE;
  *segment = (shmx_segment){
      .object = {.backing = name.backing, .id = SHMX_NO_ID, .fd = -1, .live = &always}};
}

/* Is there memory for the pages that are not there yet? A segment of System V says of none. */
static int check_room(const shmx_segment *segment, bool is_new) {
  shmx_stat stat;
  if (segment->object.huge || backing_of(segment)->stat(&segment->object, &stat) != 0) return 0;
  uint64_t there = (uint64_t)stat.allocated;
  if (stat.allocated < 0) there = is_new ? 0 : stat.size;
  return there < stat.size ? shmx_page_check(stat.size - there) : 0;
}

/* What every new mapping gets, whatever its backing. */
static int finish(shmx_segment *segment, const shmx_options *options, bool is_new) {
  shmx_object *object = &segment->object;
  object->watch = shmx_watch_start(object->data, object->length, object->readonly);
  if (object->watch == NULL) return -ENOMEM;
  int status = 0;
  if (options->flags & (SHMX_POPULATE | SHMX_MLOCK)) status = check_room(segment, is_new);
  if (status == 0 && options->flags & SHMX_POPULATE) status = shmx_page_populate(object);
  if (status == 0 && options->flags & SHMX_MLOCK) status = shmx_segment_mlock(segment);
  return status;
}

/* The last step of creation: from here on others find it. */
static int publish(shmx_segment *segment, const shmx_options *options) {
  if (options->flags & SHMX_OWNED) {
    segment->owned = shmx_owned_take(&segment->object);
    if (segment->owned == NULL) return -ENOMEM;
  }
  return backing_of(segment)->publish(&segment->object);
}

int shmx_segment_create(shmx_segment *segment, shmx_name name, size_t size,
                        const shmx_options *given) {
  shmx_options options;
  int status = check(name, given, &options);
  if (status == 0 && (size == 0 || options.mode > ALL_MODES)) status = -EINVAL;
  if (status != 0) return status;
  begin(segment, name);
  status = backing_of(segment)->create(&segment->object, &name, size, &options);
  if (status != 0) {
    segment->object.data = NULL;
    return status;
  }
  status = finish(segment, &options, true);
  if (status == 0) status = publish(segment, &options);
  if (status != 0) {
    backing_of(segment)->remove(&segment->object); /* System V has it under its key by now */
    shmx_segment_detach(segment);
  }
  return status;
}

int shmx_segment_attach(shmx_segment *segment, shmx_name name, const shmx_options *given) {
  shmx_options options;
  int status = check(name, given, &options);
  if (status != 0) return status;
  options.flags &= ~(uint32_t)CREATOR_FLAGS;
  begin(segment, name);
  status = backing_of(segment)->attach(&segment->object, &name, &options);
  if (status != 0) {
    segment->object.data = NULL;
    return status;
  }
  status = finish(segment, &options, false);
  if (status != 0) shmx_segment_detach(segment);
  return status;
}

/* Others may create or remove the name between our two calls: then the other call is right. */
int shmx_segment_open(shmx_segment *segment, shmx_name name, size_t size,
                      const shmx_options *options) {
  if (!shmx_name_is_findable(&name)) return shmx_segment_create(segment, name, size, options);
  if (size == 0) return -EINVAL;
  int status = -EEXIST;
  for (int i = 0; i < OPEN_TRIES && status == -EEXIST; i++) {
    status = shmx_segment_attach(segment, name, options);
    if (status != -ENOENT) break;
    status = shmx_segment_create(segment, name, size, options);
    if (status == 0) return 0;
  }
  if (status != 0 || segment->object.size >= size) return status;
  shmx_fail(&segment->object.facts, -ERANGE, SHMX_FACT_SIZE, segment->object.size, size);
  shmx_segment_detach(segment);
  return -ERANGE;
}

void shmx_segment_detach(shmx_segment *segment) {
  shmx_object *object = &segment->object;
  if (object->data == NULL) return;
  shmx_owned_release(segment->owned);
  if (object->watch != NULL) object->length = shmx_watch_stop(object->watch);
  backing_of(segment)->detach(object);
  object->data = NULL;
  object->size = 0;
  object->watch = NULL;
  segment->owned = NULL;
}

int shmx_segment_remove(shmx_segment *segment) {
  if (segment->object.data == NULL) return -EBADF;
  return backing_of(segment)->remove(&segment->object);
}

int shmx_remove(shmx_name name) {
  const struct shmx_backing *backing = shmx_backing_of(name.backing);
  return backing != NULL ? backing->remove_name(&name) : -EINVAL;
}

/* ---- access ---- */

bool shmx_segment_lost(const shmx_segment *segment) {
  return segment->object.watch != NULL && shmx_watch_lost(segment->object.watch);
}

/* After an access: was it to shared memory? */
static int outcome(const shmx_segment *segment) {
  return shmx_watch_lost(segment->object.watch) ? -EFAULT : 0;
}

static int writable(const shmx_segment *segment, uint64_t offset, uint64_t length) {
  int status = shmx_segment_range(segment, offset, length);
  return status == 0 && segment->object.readonly ? -EROFS : status;
}

int shmx_segment_write(shmx_segment *segment, uint64_t offset, const void *data, uint64_t length) {
  int status = writable(segment, offset, length);
  if (status != 0) return status;
  if (length != 0) memcpy(segment->object.data + offset, data, length);
  return outcome(segment);
}

int shmx_segment_read(const shmx_segment *segment, uint64_t offset, void *data, uint64_t length) {
  int status = shmx_segment_range(segment, offset, length);
  if (status != 0) return status;
  if (length != 0) memcpy(data, segment->object.data + offset, length);
  return outcome(segment);
}

int shmx_segment_fill(shmx_segment *segment, uint64_t offset, uint8_t byte, uint64_t length) {
  int status = writable(segment, offset, length);
  if (status != 0) return status;
  memset(segment->object.data + offset, byte, length);
  return outcome(segment);
}

/* ---- status ---- */

int shmx_segment_stat(const shmx_segment *segment, shmx_stat *stat) {
  if (segment->object.data == NULL) return -EBADF;
  return backing_of(segment)->stat(&segment->object, stat);
}

int shmx_segment_set(shmx_segment *segment, const shmx_change *change) {
  if (segment->object.data == NULL) return -EBADF;
  bool valid = change->mode <= ALL_MODES && change->uid < UINT32_MAX && change->gid < UINT32_MAX;
  if (!valid) return -EINVAL;
  return backing_of(segment)->set(&segment->object, change);
}

int shmx_segment_resize(shmx_segment *segment, size_t size) {
  if (segment->object.data == NULL) return -EBADF;
  if (segment->object.readonly) return -EROFS;
  if (size == 0) return -EINVAL;
  if (shmx_segment_lost(segment)) return -EFAULT;
  return backing_of(segment)->resize(&segment->object, size);
}

int shmx_segment_mlock(shmx_segment *segment) {
  if (segment->object.data == NULL) return -EBADF;
  int status = check_room(segment, false);
  return status == 0 ? backing_of(segment)->lock(&segment->object, true) : status;
}

int shmx_segment_munlock(shmx_segment *segment) {
  if (segment->object.data == NULL) return -EBADF;
  return backing_of(segment)->lock(&segment->object, false);
}
