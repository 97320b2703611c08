/* fdmap.c: ftruncate(2), posix_fallocate(3), mmap(2), munmap(2), fstat(2) ... Touches base. */
#include "os/fdmap.h"
#include "os/page.h"

#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Is there as much in the file system? The kernel would zero page after page first. */
static int check_space(int fd, size_t more) {
  struct statvfs room;
  if (more < SHMX_FDMAP_LARGE) return 0;
  if (fstatvfs(fd, &room) != 0) return -errno;
  return room.f_blocks != 0 && more / room.f_frsize > room.f_bavail ? -ENOSPC : 0;
}

/* Past this limit the kernel would answer with SIGXFSZ, which ends a process. */
static bool is_above_limit(size_t size) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur;
}

/* In pieces: the kernel may give up at any signal, and what is done then stays done. */
static int allocate(int fd, size_t former, size_t size) {
  size_t end = former;
  while (end < size) {
    size_t piece = size - end < SHMX_FDMAP_LARGE ? size - end : SHMX_FDMAP_LARGE;
    int error = posix_fallocate(fd, (off_t)end, (off_t)piece);
    if (error == 0) {
      end += piece;
    } else if (error != EINTR) {
      shmx_fdmap_take_back(fd, former, end);
      return -error;
    }
  }
  return 0;
}

void shmx_fdmap_take_back(int fd, size_t former, size_t size) {
  struct stat found;
  bool is_ours = fstat(fd, &found) == 0 && (size_t)found.st_size == size;
  if (is_ours && former < size && ftruncate(fd, (off_t)former) != 0) return; /* nothing is lost */
}

int shmx_fdmap_reserve(int fd, size_t former, size_t size) {
  if (is_above_limit(size)) return -EFBIG;
  int status = check_space(fd, size - former);
  if (status == 0) status = shmx_page_check(size - former);
  return status != 0 ? status : allocate(fd, former, size);
}

int shmx_fdmap_extend(int fd, size_t size) {
  if (is_above_limit(size)) return -EFBIG;
  return ftruncate(fd, (off_t)size) != 0 ? -errno : 0;
}

int shmx_fdmap_size(int fd, size_t size, const shmx_options *options) {
  size_t length; /* huge pages come whole or not at all */
  size_t unit = options->flags & SHMX_HUGE ? shmx_page_size(true) : 1;
  if (!shmx_round_up(size, unit, &length) || length > INT64_MAX) return -EFBIG;
  if (is_above_limit(length)) return -EFBIG;
  if (options->flags & SHMX_NORESERVE) return shmx_fdmap_extend(fd, length);
  if (options->flags & SHMX_HUGE) return allocate(fd, 0, length); /* from a pool of their own */
  return shmx_fdmap_reserve(fd, 0, length);
}

int shmx_fdmap_map(shmx_object *object, size_t size, const shmx_options *options) {
  object->huge = options->flags & SHMX_HUGE;
  object->sparse = options->flags & SHMX_NORESERVE;
  if (!shmx_round_up(size, shmx_page_size(object->huge), &object->length)) return -EFBIG;
  object->size = size;
  object->readonly = options->flags & SHMX_READONLY;

  int protection = object->readonly ? PROT_READ : PROT_READ | PROT_WRITE;
  int flags = MAP_SHARED | (options->address != NULL ? MAP_FIXED_NOREPLACE : 0) |
              (options->flags & SHMX_NORESERVE ? MAP_NORESERVE : 0);
  void *data = mmap(options->address, object->length, protection, flags, object->fd, 0);
  if (data == MAP_FAILED) return errno == EEXIST ? -EADDRINUSE : -errno;
  object->data = data;
  return 0;
}

void shmx_fdmap_detach(shmx_object *object) {
  munmap(object->data, object->length);
  close(object->fd);
}

void shmx_fdmap_fill_in(shmx_stat *stat, int backing, const struct stat *found) {
  *stat = (shmx_stat){
      .backing = backing,
      .id = SHMX_NO_ID,
      .size = (uint64_t)found->st_size,
      .allocated = (int64_t)found->st_blocks * 512, /* stat(2) counts in 512 bytes */
      .nattch = -1,
      .cpid = -1,
      .creator_lives = -1,
      .lpid = -1,
      .atime = found->st_atime,
      .dtime = -1,
      .ctime = found->st_ctime,
      .mtime = found->st_mtime,
      .uid = found->st_uid,
      .gid = found->st_gid,
      .cuid = -1,
      .cgid = -1,
      .seq = -1,
      .ino = (int64_t)found->st_ino,
      .mode = found->st_mode & 0777,
      .removed = backing == SHMX_POSIX && found->st_nlink == 0,
  };
}

int shmx_fdmap_stat(const shmx_object *object, shmx_stat *stat) {
  struct stat found;
  if (fstat(object->fd, &found) != 0) return -errno;
  shmx_fdmap_fill_in(stat, object->backing, &found);
  return 0;
}

int shmx_fdmap_set(const shmx_object *object, const shmx_change *change) {
  if (change->uid >= 0 || change->gid >= 0) {
    /* -1 leaves an owner as it is for fchown, too */
    if (fchown(object->fd, (uid_t)change->uid, (gid_t)change->gid) != 0) return -errno;
  }
  if (change->mode >= 0 && fchmod(object->fd, (mode_t)change->mode) != 0) return -errno;
  return 0;
}

int shmx_fdmap_lock(const shmx_object *object, bool locked) {
  int failed = locked ? mlock(object->data, object->length) : munlock(object->data, object->length);
  if (failed) return errno == EAGAIN ? -ENOMEM : -errno;
  return 0;
}
