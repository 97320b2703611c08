/* posix.c: POSIX shared memory objects: shm_open(3), shm_unlink(3). Touches base. */
#include "os/backing.h"
#include "os/fault.h"
#include "os/fdmap.h"
#include "os/page.h"
#include "os/posix.h"

#include "base/checked.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define DIRECTORY "/dev/shm" /* where glibc and musl keep the objects */

const char *shmx_posix_name_fault(const char *name) {
  if (name[0] != '/') return "must begin with \"/\"";
  if (name[1] == '\0') return "needs something after the \"/\"";
  if (strchr(name + 1, '/') != NULL) return "may have no second \"/\"";
  if (strcmp(name, "/.") == 0 || strcmp(name, "/..") == 0) return "is a directory's";
  if (strlen(name + 1) > SHMX_NAME_MAX) return "is longer than 255 bytes";
  return NULL;
}

static int check_name(const shmx_name *name) {
  return name->posix == NULL || shmx_posix_name_fault(name->posix) != NULL ? -EINVAL : 0;
}

struct path {
  char text[sizeof DIRECTORY + SHMX_NAME_MAX + 1];
};

static struct path path_of(const char *name) {
  struct path path;
  snprintf(path.text, sizeof path.text, DIRECTORY "%s", name);
  return path;
}

/* ---- what /dev/shm has to do with a failure ---- */

static int fail(shmx_object *object, int status, uint32_t fact) {
  return shmx_fail(&object->facts, status, fact, 0, 0);
}

/* Why there is no folder of objects; 0 where there is one. */
static uint32_t missing_fact(void) {
  struct stat found;
  if (stat(DIRECTORY, &found) == 0) return S_ISDIR(found.st_mode) ? 0 : SHMX_FACT_NOT_DIRECTORY;
  if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP) return 0;
  return lstat(DIRECTORY, &found) == 0 ? SHMX_FACT_DANGLING_DIRECTORY : SHMX_FACT_NO_DIRECTORY;
}

static bool is_closed(int access) {
  return faccessat(AT_FDCWD, DIRECTORY, access, AT_EACCESS) != 0 && errno == EACCES;
}

/* No space is left for what needs so many bytes. */
static int fail_space(shmx_object *object, size_t wanted) {
  struct statvfs room;
  if (statvfs(DIRECTORY, &room) != 0) return -ENOSPC;
  return shmx_fail(&object->facts, -ENOSPC, SHMX_FACT_BYTES, room.f_bavail * room.f_frsize, wanted);
}

/* A file cannot even be begun in the folder. */
static int fail_begin(shmx_object *object, int error, size_t size) {
  struct statvfs room;
  uint32_t missing = missing_fact();
  if (missing != 0) return fail(object, -ENOTSUP, missing);
  switch (error) {
  case EROFS:
    return fail(object, -EROFS, SHMX_FACT_READONLY_DIRECTORY);
  case EACCES:
    return fail(object, -EACCES, SHMX_FACT_CLOSED_DIRECTORY);
  case EOPNOTSUPP:
  case EISDIR: /* a file system, or a kernel, without O_TMPFILE */
    return fail(object, -ENOTSUP, SHMX_FACT_UNFIT_DIRECTORY);
  case ENOSPC:
    if (statvfs(DIRECTORY, &room) != 0 || room.f_favail != 0) return fail_space(object, size);
    return shmx_fail(&object->facts, -ENOSPC, SHMX_FACT_INODES, room.f_files, 0);
  default:
    return -error;
  }
}

/* An object cannot be found, or not opened as it was to be. */
static int fail_attach(shmx_object *object, int error) {
  uint32_t missing = error == ENOENT || error == ENOTDIR || error == ELOOP ? missing_fact() : 0;
  if (missing != 0) return fail(object, -ENOTSUP, missing);
  if (error == EROFS) return fail(object, -EROFS, SHMX_FACT_READONLY_DIRECTORY);
  if (error == EACCES && is_closed(X_OK)) return fail(object, -EACCES, SHMX_FACT_CLOSED_DIRECTORY);
  bool no_file = error == EISDIR || error == EINVAL || error == ELOOP || error == ENXIO;
  return no_file ? -ENODEV : -error;
}

void shmx_posix_explain_removal(int status, shmx_facts *facts) {
  uint32_t fact = 0;
  if (status == -ENOENT) fact = missing_fact();
  if (status == -EROFS) fact = SHMX_FACT_READONLY_DIRECTORY;
  if (status == -EPERM && is_closed(W_OK | X_OK)) fact = SHMX_FACT_CLOSED_DIRECTORY;
  shmx_fail(facts, fact != 0 ? status : 0, fact, 0, 0);
}

/* ---- objects ---- */

/*
 * A new object has no name until it has its mode, size and memory: shm_open(3) with O_CREAT would
 * show others an empty object, and leave it there if we died. O_TMPFILE and linkat(2) do not.
 * (The price: /proc/PID/maps of the creator shows the mapping by its inode, without the name.)
 */
static int make(shmx_object *object, const shmx_options *options, size_t size) {
  object->fd = open(DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (object->fd < 0) return fail_begin(object, errno, size);
  if (fchmod(object->fd, options->mode) != 0) return -errno;
  int status = shmx_fdmap_size(object->fd, size, options);
  return status == -ENOSPC ? fail_space(object, size) : status;
}

/* Is something there already? Only publish is sure; this spares us the memory of a large one. */
static bool is_taken(const char *name) {
  struct stat found;
  return lstat(path_of(name).text, &found) == 0;
}

static int create(shmx_object *object, const shmx_name *name, size_t size,
                  const shmx_options *options) {
  int status = check_name(name);
  if (status != 0) return status;
  if (options->flags & SHMX_HUGE) return -ENOTSUP;
  if (size >= SHMX_FDMAP_LARGE && is_taken(name->posix)) return -EEXIST;
  strcpy(object->posix, name->posix);
  status = make(object, options, size);
  if (status == -ENOSPC && is_taken(name->posix)) status = -EEXIST;
  if (status == 0) status = shmx_fdmap_map(object, size, options);
  if (status != 0 && object->fd >= 0) close(object->fd);
  return status;
}

static int publish(shmx_object *object) {
  struct path path = path_of(object->posix);
  if (linkat(object->fd, "", AT_FDCWD, path.text, AT_EMPTY_PATH) == 0) return 0;
  if (errno != ENOENT) return -errno; /* before Linux 6.10, only root may use AT_EMPTY_PATH */
  char unnamed[32];
  snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", object->fd);
  if (linkat(AT_FDCWD, unnamed, AT_FDCWD, path.text, AT_SYMLINK_FOLLOW) == 0) return 0;
  return errno == ENOENT ? fail(object, -ENOTSUP, SHMX_FACT_NO_PROC) : -errno;
}

/* O_NONBLOCK: a pipe of that name must not hold us up. */
static int attach(shmx_object *object, const shmx_name *name, const shmx_options *options) {
  int status = check_name(name);
  if (status != 0) return status;
  int access = options->flags & SHMX_READONLY ? O_RDONLY : O_RDWR;
  object->fd = shm_open(name->posix, access | O_NONBLOCK, 0);
  if (object->fd < 0) return fail_attach(object, errno);
  struct stat found;
  if (fstat(object->fd, &found) != 0)
    status = -errno;
  else if (!S_ISREG(found.st_mode))
    status = -ENODEV;
  else if (found.st_size == 0)
    status = -ENODATA;
  else
    status = shmx_fdmap_map(object, (size_t)found.st_size, options);
  if (status != 0)
    close(object->fd);
  else
    strcpy(object->posix, name->posix);
  return status;
}

static int remove_name(const shmx_name *name) {
  int status = check_name(name);
  if (status != 0) return status;
  if (shm_unlink(name->posix) == 0) return 0;
  if (errno == EACCES) return -EPERM; /* glibc's word for it; who owns it may */
  return errno == EISDIR ? -ENODEV : -errno;
}

/* Somebody may have removed this object and given its name to another, which is not ours. */
static int remove_object(const shmx_object *object) {
  struct stat own, named;
  if (fstat(object->fd, &own) != 0) return -errno;
  if (lstat(path_of(object->posix).text, &named) != 0) return -errno;
  if (own.st_ino != named.st_ino || own.st_dev != named.st_dev) return -ENOENT;
  shmx_name name = shmx_posix(object->posix);
  return remove_name(&name);
}

static int stat_object(const shmx_object *object, shmx_stat *stat) {
  int status = shmx_fdmap_stat(object, stat);
  if (status == 0) strcpy(stat->posix, object->posix);
  return status;
}

static int grow(const shmx_object *object, size_t former, size_t size) {
  return object->sparse ? shmx_fdmap_extend(object->fd, size)
                        : shmx_fdmap_reserve(object->fd, former, size);
}

/* The mapping follows the object: memory first and mapping second, or the other way to shrink. */
static int resize(shmx_object *object, size_t size) {
  size_t length;
  if (!shmx_round_up(size, shmx_page_size(false), &length) || length > INT64_MAX) return -EFBIG;
  struct stat found;
  if (fstat(object->fd, &found) != 0) return -errno;
  size_t former = (size_t)found.st_size;
  int status = size > former ? grow(object, former, size) : 0;
  if (status == -ENOSPC) return fail_space(object, size - former);
  if (status != 0) return status;
  shmx_watch_pause(object->watch);
  void *data = mremap(object->data, object->length, length, MREMAP_MAYMOVE);
  if (data == MAP_FAILED) {
    status = errno == EAGAIN ? -ENOMEM : -errno; /* EAGAIN: RLIMIT_MEMLOCK */
    shmx_watch_move(object->watch, object->data, object->length);
    shmx_fdmap_take_back(object->fd, former, size);
    return status;
  }
  object->data = data;
  object->size = size;
  object->length = length;
  shmx_watch_move(object->watch, data, length);
  return size < former && ftruncate(object->fd, (off_t)size) != 0 ? -errno : 0;
}

static int compare(const void *left, const void *right) {
  return strcmp(((const shmx_stat *)left)->posix, ((const shmx_stat *)right)->posix);
}

int shmx_posix_list(shmx_stat *list, size_t room, size_t *count) {
  DIR *directory = opendir(DIRECTORY);
  if (directory == NULL) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? 0 : -errno;
  size_t first = *count;
  struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    struct stat found;
    if (fstatat(dirfd(directory), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (!S_ISREG(found.st_mode)) continue;
    if (*count < room) {
      shmx_fdmap_fill_in(&list[*count], SHMX_POSIX, &found);
      snprintf(list[*count].posix, sizeof list->posix, "/%s", entry->d_name);
    }
    ++*count;
  }
  closedir(directory);
  if (*count <= room && *count > first) qsort(list + first, *count - first, sizeof *list, compare);
  return 0;
}

const struct shmx_backing shmx_backing_posix = {
    .create = create,
    .publish = publish,
    .attach = attach,
    .detach = shmx_fdmap_detach,
    .remove = remove_object,
    .remove_name = remove_name,
    .stat = stat_object,
    .set = shmx_fdmap_set,
    .resize = resize,
    .lock = shmx_fdmap_lock,
};
