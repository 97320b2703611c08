/* posix.h: what a POSIX object may be called, and where it is kept. Touches base. */
#ifndef SHMX_OS_POSIX_H
#define SHMX_OS_POSIX_H

#include "base/api.h"
#include "base/facts.h"

SHMX_BEGIN_DECLS

/*
 * What is wrong with a POSIX name, to follow it in a sentence ("must begin with \"/\""); NULL for
 * a good one. Does not block; safe in any thread and after fork.
 */
SHMX_API const char *shmx_posix_name_fault(const char *name);

/*
 * What /dev/shm has to do with a status of shmx_remove or shmx_segment_remove for a POSIX name; no
 * facts (status 0) where it has nothing to do with it. stat(2), faccessat(2). Does not block.
 */
SHMX_API void shmx_posix_explain_removal(int status, shmx_facts *facts);

SHMX_END_DECLS

#endif
