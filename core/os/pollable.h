/* pollable.h: a descriptor that polls readable when we say so: eventfd(2). Touches base. */
#ifndef SHMX_OS_POLLABLE_H
#define SHMX_OS_POLLABLE_H

/* A descriptor that is not readable yet. Returns 0 or a negative errno. */
int shmx_pollable_open(int *fd);

/* Makes it readable, or not. They do not block. */
void shmx_pollable_set(int fd);
void shmx_pollable_clear(int fd);

void shmx_pollable_close(int fd);

#endif
