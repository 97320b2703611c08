/*
 * supervise.h: worker processes that share an arena: started, watched, restarted, ended. Touches
 * processes, signals; core.
 */
#ifndef SHMX_HOST_SUPERVISE_H
#define SHMX_HOST_SUPERVISE_H

#include "host/chunk.h"
#include "host/options.h"
#include "shmx.h"

/*
 * Runs as many workers as the options say, each with script_run, until all have ended. Returns the
 * exit code: 0, or that of the first that failed, 128 and the signal of one that was killed. If a
 * signal stopped the group, that signal ends this process. As process 1 of a container, which the
 * kernel keeps from that, it returns 128 and the signal.
 *
 * Nothing that was started is left behind: when this process dies, however, the kernel kills the
 * workers, and what they have forked; what they have started otherwise is killed with the group.
 */
int supervise(const struct options *options, const struct chunk *chunk, shmx_arena *arena);

#endif
