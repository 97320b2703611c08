/*
 * file.c: open(2), flock(2), write(2), fsync(2), rename(2) ... Touches base.
 *
 * A lock on PATH.tmp (flock(2)) tells a file that is being written from one that was left. Only the
 * holder of the lock of that file which has the name now removes or renames it.
 */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what is there ---- */

const char *shmx_file_kind(const char *path) {
  struct stat found;
  if (stat(path, &found) != 0) return NULL;
  switch (found.st_mode & S_IFMT) {
  case S_IFREG:
    return "a regular file";
  case S_IFDIR:
    return "a directory";
  case S_IFIFO:
    return "a FIFO";
  case S_IFSOCK:
    return "a socket";
  default:
    return "a device";
  }
}

static int check_kind(mode_t mode) {
  return S_ISREG(mode) ? 0 : S_ISDIR(mode) ? -EISDIR : -ENODEV;
}

/* Is the open file the one that has this name? */
static bool is_named(int fd, const char *name) {
  struct stat own, named;
  return fstat(fd, &own) == 0 && lstat(name, &named) == 0 && own.st_dev == named.st_dev &&
         own.st_ino == named.st_ino;
}

/* ---- names ---- */

enum { LINKS_MAX = 40 /* as the kernel has it */ };

/* Replaces the path of a link by where it leads: relative to its folder, if that is relative. */
static int follow(char path[static SHMX_PATH_MAX], const char *to) {
  const char *slash = strrchr(path, '/');
  size_t folder = to[0] != '/' && slash != NULL ? (size_t)(slash - path) + 1 : 0;
  if (folder + strlen(to) >= SHMX_PATH_MAX) return -ENAMETOOLONG;
  strcpy(path + folder, to);
  return 0;
}

/* The file to which the symbolic links at a path lead. It need not be there. */
static int resolve(const char *path, char target[static SHMX_PATH_MAX]) {
  char to[SHMX_PATH_MAX];
  if (strlen(path) >= SHMX_PATH_MAX) return -ENAMETOOLONG;
  strcpy(target, path);
  for (int links = 0; links < LINKS_MAX; links++) {
    ssize_t length = readlink(target, to, sizeof to - 1);
    if (length < 0) return errno == EINVAL || errno == ENOENT ? 0 : -errno; /* no link */
    to[length] = '\0';
    int status = follow(target, to);
    if (status != 0) return status;
  }
  return -ELOOP;
}

/* ---- the temporary file ---- */

enum { TRIES = 100, FLAGS = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC };

/* 0: the lock is ours, and the name is this file's. -EBUSY: another writes it. -EAGAIN: another has
 * removed or renamed it meanwhile. */
static int lock(int fd, const char *name) {
  struct stat found;
  if (fstat(fd, &found) != 0) return -errno;
  if (!S_ISREG(found.st_mode)) return -ENODEV;
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK ? -EBUSY : -errno;
  return is_named(fd, name) ? 0 : -EAGAIN;
}

/* Removes what a killed process has left, if it is there still. */
static int remove_left(const char *name) {
  int fd = open(name, FLAGS);
  if (fd < 0 && (errno == ENXIO || errno == ELOOP)) return -ENODEV; /* a FIFO, a link */
  if (fd < 0) return errno == ENOENT ? 0 : -errno;
  int status = lock(fd, name);
  if (status == 0 && unlink(name) != 0) status = -errno;
  close(fd);
  return status == -EAGAIN ? 0 : status;
}

static int create(shmx_file *file) {
  for (int i = 0; i < TRIES; i++) {
    file->fd = open(file->temporary, FLAGS | O_CREAT | O_EXCL, 0600);
    if (file->fd < 0 && errno != EEXIST) return -errno;
    int status = file->fd < 0 ? remove_left(file->temporary) : lock(file->fd, file->temporary);
    if (file->fd >= 0 && status == 0) return 0;
    if (file->fd >= 0) close(file->fd);
    if (status != 0 && status != -EAGAIN) return status;
  }
  return -EBUSY;
}

int shmx_file_begin(shmx_file *file, const char *path) {
  struct stat found;
  file->fd = -1;
  file->status = 0;
  file->in_the_way = false;
  file->written = file->used = 0;
  bool is_there = stat(path, &found) == 0;
  if (!is_there && errno != ENOENT) return -errno;
  int status = is_there ? check_kind(found.st_mode) : 0;
  if (status == 0) status = resolve(path, file->target);
  if (status != 0) return status;
  snprintf(file->temporary, sizeof file->temporary, "%s.tmp", file->target);
  status = create(file);
  file->in_the_way = status != 0;
  return status;
}

/* ---- writing ---- */

/* Past this limit the kernel would answer with SIGXFSZ, which ends a process. */
static bool is_above_limit(uint64_t size) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur;
}

/* Writes what is in the buffer. */
static void flush(shmx_file *file) {
  if (file->status == 0 && is_above_limit(file->written + file->used)) file->status = -EFBIG;
  for (size_t at = 0; file->status == 0 && at < file->used;) {
    ssize_t done = write(file->fd, file->buffer + at, file->used - at);
    if (done >= 0)
      at += (size_t)done;
    else if (errno != EINTR)
      file->status = -errno;
  }
  file->written += file->used;
  file->used = 0;
}

void shmx_file_write(shmx_file *file, const void *data, size_t length) {
  const unsigned char *bytes = data;
  while (length > 0 && file->status == 0) {
    size_t room = sizeof file->buffer - file->used, part = length < room ? length : room;
    memcpy(file->buffer + file->used, bytes, part);
    file->used += part;
    bytes += part;
    length -= part;
    if (file->used == sizeof file->buffer) flush(file);
  }
}

/* ---- the end ---- */

/* A group that cannot be kept gets no rights, for another group would have them. */
static int inherit(const shmx_file *file) {
  struct stat old;
  if (lstat(file->target, &old) != 0) return errno == ENOENT ? 0 : -errno;
  int status = check_kind(old.st_mode); /* again: it may be another by now */
  if (status != 0) return status;
  mode_t mode = old.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
  bool keeps_group =
      fchown(file->fd, old.st_uid, old.st_gid) == 0 || fchown(file->fd, (uid_t)-1, old.st_gid) == 0;
  if (!keeps_group) mode &= ~(mode_t)S_IRWXG;
  return fchmod(file->fd, mode) == 0 ? 0 : -errno;
}

static int replace(shmx_file *file) {
  flush(file);
  if (file->status != 0) return file->status;
  if (fsync(file->fd) != 0) return -errno;
  int status = inherit(file);
  if (status != 0) return status;
  return rename(file->temporary, file->target) == 0 ? 0 : -errno;
}

int shmx_file_end(shmx_file *file, bool is_whole) {
  int status = is_whole ? replace(file) : file->status;
  if (status != 0 || !is_whole) unlink(file->temporary);
  close(file->fd);
  return status;
}

/* ---- reading ---- */

/* The descriptor of a regular file. A FIFO of that name must not hold us up. */
static int open_to_read(const char *path, struct stat *found) {
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return errno == ENXIO ? -ENODEV : -errno; /* a socket */
  int status = fstat(fd, found) == 0 ? check_kind(found->st_mode) : -errno;
  if (status == 0) return fd;
  close(fd);
  return status;
}

int shmx_file_measure(const char *path, uint64_t *size) {
  struct stat found;
  int fd = open_to_read(path, &found);
  if (fd < 0) return fd;
  close(fd);
  *size = (uint64_t)found.st_size;
  return 0;
}

int shmx_file_read(const char *path, void *data, uint64_t size) {
  struct stat found;
  int status = 0, fd = open_to_read(path, &found);
  if (fd < 0) return fd;
  if ((uint64_t)found.st_size != size) status = -EAGAIN; /* another has replaced it meanwhile */
  for (uint64_t at = 0; at < size && status == 0;) {
    ssize_t done = read(fd, (char *)data + at, size - at);
    if (done > 0)
      at += (uint64_t)done;
    else if (done == 0)
      status = -EAGAIN;
    else if (errno != EINTR)
      status = -errno;
  }
  close(fd);
  return status;
}
