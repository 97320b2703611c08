/* page.h: page sizes, and what is done to the pages of any mapping. Touches base. */
#ifndef SHMX_OS_PAGE_H
#define SHMX_OS_PAGE_H

#include "os/object.h"

/* Bytes of a page; of a default huge page (0 where the kernel has none). Read once. */
size_t shmx_page_size(bool huge);

/* Bytes of memory that this process can still have; UINT64_MAX where nothing says so. */
struct shmx_page_room {
  uint64_t left;  /* the least of what the machine and each control group of the process leave */
  uint64_t limit; /* of the control group that leaves least; UINT64_MAX where the machine does */
};

/* MemAvailable and SwapFree of /proc/meminfo; os/cgroup.h. */
struct shmx_page_room shmx_page_room(void);

/*
 * Is there room for so many bytes more? Else -ENOMEM: the kernel would take page after page, and
 * kill a process at the end. Of small amounts the sum is looked at, now and then.
 */
int shmx_page_check(uint64_t more);

/* Faults in every page of a mapping, so that later accesses do not (MADV_POPULATE_*, Linux 5.14).
 */
int shmx_page_populate(const shmx_object *object);

/*
 * Takes memory for a part of a mapping, which may then be written to without a SIGBUS. Pages that
 * were taken before it failed stay: see shmx_page_free. Before Linux 5.14 the first touch takes it.
 * Errors: ENOMEM (the system has no more, or the file system is full); EFAULT (truncated).
 */
int shmx_page_take(const shmx_object *object, uint64_t offset, uint64_t length);

/* Gives the memory of all pages that lie wholly within a part of a mapping back to the system
 * (MADV_REMOVE): they read as zeroes then. Nobody may use this part. What cannot be given back, as
 * of a mapping that is locked in memory, stays. */
void shmx_page_free(const shmx_object *object, uint64_t offset, uint64_t length);

#endif
