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

#endif
