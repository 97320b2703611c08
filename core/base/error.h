/* error.h: what a status says: 0, or a negative errno with a name and a sentence. Touches libc. */
#ifndef SHMX_BASE_ERROR_H
#define SHMX_BASE_ERROR_H

#include "base/api.h"

SHMX_BEGIN_DECLS

/*
 * The errno's name of a status: "EEXIST" for -EEXIST. Never NULL; "EUNKNOWN" for what is no errno.
 * Does not block; safe in any thread and after fork. The string is static.
 */
SHMX_API const char *shmx_error_name(int status);

/*
 * What a status means, as the end of a sentence that begins with the thing it happened to:
 * "exists already; use attach or open, or remove it first". Never NULL.
 * Does not block; safe in any thread and after fork. The string is static.
 */
SHMX_API const char *shmx_error_text(int status);

SHMX_END_DECLS

#endif
