/* posix.h: what a POSIX object may be called. Touches base. */
#ifndef SHMX_OS_POSIX_H
#define SHMX_OS_POSIX_H

#include "base/api.h"

SHMX_BEGIN_DECLS

/*
 * What is wrong with a POSIX name, to follow it in a sentence ("must begin with \"/\""); NULL for
 * a good one. Does not block; safe in any thread and after fork.
 */
SHMX_API const char *shmx_posix_name_fault(const char *name);

SHMX_END_DECLS

#endif
