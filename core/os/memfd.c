/*
 * memfd.c: anonymous shared memory: memfd_create(2). No name leads to it; children inherit it by
 * fork. It is sealed, so that its size is certain whoever else gets hold of it. Touches base.
 */
#include "os/backing.h"
#include "os/fdmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int seal(int fd) {
  return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ? -errno : 0;
}

static int create(shmx_object *object, const shmx_name *name, size_t size,
                  const shmx_options *options) {
  (void)name;
  unsigned huge = options->flags & SHMX_HUGE ? MFD_HUGETLB : 0;
  object->fd = memfd_create("shm", MFD_CLOEXEC | MFD_ALLOW_SEALING | huge);
  if (object->fd < 0) return huge && errno == EINVAL ? -ENOTSUP : -errno;
  int status = fchmod(object->fd, options->mode) != 0 ? -errno : 0;
  if (status == 0) status = shmx_fdmap_size(object->fd, size, options);
  if (huge && status == -ENOSPC) status = -ENOMEM; /* the space that is short is huge pages */
  if (status == 0) status = seal(object->fd);
  if (status == 0) status = shmx_fdmap_map(object, size, options);
  if (status != 0) close(object->fd);
  return status;
}

static int publish(shmx_object *object) {
  (void)object;
  return 0;
}

static int attach(shmx_object *object, const shmx_name *name, const shmx_options *options) {
  (void)object, (void)name, (void)options;
  return -EINVAL; /* it has no name to attach by */
}

static int remove_object(const shmx_object *object) {
  (void)object;
  return -ENOTSUP; /* nor a name to remove */
}

static int remove_name(const shmx_name *name) {
  (void)name;
  return -EINVAL;
}

static int resize(shmx_object *object, size_t size) {
  (void)object, (void)size;
  return -ENOTSUP; /* sealed */
}

const struct shmx_backing shmx_backing_memfd = {
    .create = create,
    .publish = publish,
    .attach = attach,
    .detach = shmx_fdmap_detach,
    .remove = remove_object,
    .remove_name = remove_name,
    .stat = shmx_fdmap_stat,
    .set = shmx_fdmap_set,
    .resize = resize,
    .lock = shmx_fdmap_lock,
};
