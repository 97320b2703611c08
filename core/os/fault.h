/*
 * fault.h: keeps a process alive when memory vanishes under a mapping. Touches base.
 *
 * A POSIX object may be truncated while others map it, and unreserved memory may find no page:
 * the next access is then a SIGBUS. Every mapping is therefore watched: one handler for SIGBUS
 * puts zero pages where the memory was and marks the watch, and whoever reads the mark after an
 * access knows that what it read or wrote is not shared. An access costs that one load. A SIGBUS
 * anywhere else goes to the handler that was there before.
 */
#ifndef SHMX_OS_FAULT_H
#define SHMX_OS_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct shmx_watch;

/* Watches a mapping. NULL if there is no memory for it. Safe in any thread; takes no lock. */
struct shmx_watch *shmx_watch_start(void *data, size_t length, bool readonly);

/* The mapping has moved or changed its length. */
void shmx_watch_move(struct shmx_watch *watch, void *data, size_t length);

/* Ends the watch; the mapping must not be touched any more. NULL is allowed. */
void shmx_watch_stop(struct shmx_watch *watch);

/* Has the mapping lost memory since it was watched? */
bool shmx_watch_lost(const struct shmx_watch *watch);

#endif
