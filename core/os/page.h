/* page.h: page sizes, and what is done to the pages of any mapping. Touches base. */
#ifndef SHMX_OS_PAGE_H
#define SHMX_OS_PAGE_H

#include "os/object.h"

/* Bytes of a page; of a default huge page (0 where the kernel has none). Read once. */
size_t shmx_page_size(bool huge);

/*
 * Bytes that the machine can still give without swapping programs out: MemAvailable and SwapFree
 * of /proc/meminfo; UINT64_MAX where they cannot be read.
 */
uint64_t shmx_page_available(void);

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
