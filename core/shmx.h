/*
 * shmx.h: libshmx, shared memory that programs can trust: segments, typed memory, named objects,
 * locks that outlive a killed owner, messages, dictionaries. For Linux, in C11 and C++11.
 *
 *   shmx_segment segment = {0};
 *   int status = shmx_segment_create(&segment, shmx_posix("/prices"), 4096, NULL);
 *   if (status != 0) fprintf(stderr, "/prices %s\n", shmx_error_text(status));
 *   shmx_segment_write(&segment, 0, "hello", 6);
 *   shmx_segment_detach(&segment);
 *
 * Compile and link with: pkg-config --cflags --libs shmx
 *
 * Caveats:
 *
 * - Functions return 0 or a negative errno. Results go to out-parameters, which come last.
 *   shmx_error_text makes a sentence of a status.
 * - A handle of all zero bytes is closed. A handle is used by one thread at a time; the memory
 *   behind it by any number of threads and processes.
 * - After fork the child may use all handles. It does not own the locks, reservations and requests
 *   of its parent.
 * - A function that may wait takes a deadline of CLOCK_MONOTONIC: shmx_clock_deadline makes one of
 *   seconds. A signal ends a wait with -EINTR, so that the caller can serve it.
 * - If a peer truncates a segment, reading it raises SIGBUS. The library handles this signal: the
 *   pages that are lost read as zero, and functions return -EFAULT. A thread that blocks SIGBUS
 *   dies instead. Other handlers that the program has installed for SIGBUS are called for other
 *   addresses.
 * - Memory that another process may write is never trusted: bytes that cannot be are -EBADMSG.
 * - Until 1.0, structs may change between minor versions. Compile against the header that belongs
 *   to the library; SHMX_VERSION and shmx_version() say which they are.
 *
 * Where to find what:
 *
 * mem/segment.h   create, attach, open, detach, remove; read, write; stat, set, resize, lock
 * mem/view.h      elements of one type in a segment; mem/element.h: the types; mem/atomic.h: atomic
 *                 operations, wait and notify; mem/record.h: the layouts of C structs
 * mem/arena.h     named objects in one segment; base/kind.h: what an object says of itself
 * mem/inspect.h   an arena seen from outside; sync/holders.h: which process has what of an object
 * sync/mutex.h    a mutex; beside it rwlock.h, semaphore.h, condition.h, barrier.h
 * data/channel.h  messages, each to one receiver; data/topic.h: each to all subscribers;
 *                 data/service.h: requests and replies
 * data/dict.h     keys and values
 * os/object.h     names, options, status: the types
 * os/system.h     ftok, the list of all segments, the machine's limits
 * os/semaphores.h sets of System V semaphores; os/messages.h: its message queues
 * os/clock.h      deadlines
 * os/posix.h      names of POSIX objects; os/sleepers.h: which threads sleep in a segment
 * os/file.h       files that are replaced whole
 * base/error.h    names and sentences of a status; base/version.h: the version
 * base/facts.h    what a call that failed has found
 * base/tag.h      which tags Lua uses: 0 for bytes, 1 for MessagePack, 126 and 127 for numbers
 */
#ifndef SHMX_H
#define SHMX_H

#include "base/error.h"
#include "base/facts.h"
#include "base/kind.h"
#include "base/tag.h"
#include "base/version.h"
#include "data/channel.h"
#include "data/dict.h"
#include "data/service.h"
#include "data/topic.h"
#include "mem/arena.h"
#include "mem/atomic.h"
#include "mem/element.h"
#include "mem/inspect.h"
#include "mem/record.h"
#include "mem/segment.h"
#include "mem/view.h"
#include "os/clock.h"
#include "os/messages.h"
#include "os/file.h"
#include "os/object.h"
#include "os/posix.h"
#include "os/sleepers.h"
#include "os/semaphores.h"
#include "os/system.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/holders.h"
#include "sync/mutex.h"
#include "sync/rwlock.h"
#include "sync/semaphore.h"

#endif
