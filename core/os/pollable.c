/* pollable.c: eventfd(2). Touches base. */
#include "os/pollable.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int shmx_pollable_open(int *fd) {
  *fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  return *fd < 0 ? -errno : 0;
}

void shmx_pollable_set(int fd) {
  eventfd_write(fd, 1); /* full, it is readable, too */
}

void shmx_pollable_clear(int fd) {
  eventfd_t value;
  eventfd_read(fd, &value); /* empty, it is not readable already */
}

void shmx_pollable_close(int fd) {
  close(fd);
}
