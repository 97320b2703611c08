/* clock.h: deadlines: nanoseconds of CLOCK_MONOTONIC; and expiry, of CLOCK_BOOTTIME. Touches libc.
 */
#ifndef SHMX_OS_CLOCK_H
#define SHMX_OS_CLOCK_H

#include "base/api.h"

#include <stdint.h>

#define SHMX_SECOND  INT64_C(1000000000) /* in nanoseconds */
#define SHMX_FOREVER INT64_MAX           /* the deadline of who has none */

/* How long a call without a deadline waits for a lock that others hold for nanoseconds: a holder
 * that has it longer is stopped, or the memory is corrupt. */
#define SHMX_LOCK_TIMEOUT (10 * SHMX_SECOND)

SHMX_BEGIN_DECLS

/* Now, in nanoseconds of CLOCK_MONOTONIC: clock_gettime(2). Cannot fail; does not block. */
SHMX_API int64_t shmx_clock_now(void);

/* The deadline that lies so many seconds ahead: now for none or less, SHMX_FOREVER for very many.
 */
SHMX_API int64_t shmx_clock_deadline(double seconds);

/* Nanoseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps, and is the same for all
 * processes. Cannot fail; does not block. */
SHMX_API int64_t shmx_boottime(void);

SHMX_END_DECLS

#endif
