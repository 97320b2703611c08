/*
 * shmx.h: libshmx, shared memory for C programs. A host includes this file and links -lshmx.
 *
 *   shmx_segment segment = {0};
 *   int status = shmx_segment_create(&segment, shmx_posix("/prices"), 4096, NULL);
 *   if (status != 0) fprintf(stderr, "/prices %s\n", shmx_error_text(status));
 *   shmx_segment_write(&segment, 0, "hello", 6);
 *   shmx_segment_detach(&segment);
 *
 * mem/segment.h   create, attach, open, detach, remove; read, write; stat, set, resize, lock
 * mem/view.h      elements of one type in a segment; mem/element.h: the types; mem/atomic.h: atomic
 *                 operations, wait and notify; mem/record.h: the layouts of C structs
 * mem/arena.h     named objects in one segment; base/kind.h: what they say of themselves
 * mem/inspect.h   an arena seen from outside; sync/holders.h: who has a part in an object
 * sync/mutex.h    a mutex; beside it rwlock.h, semaphore.h, condition.h, barrier.h
 * data/channel.h  messages, each to one receiver; data/topic.h: each to all subscribers;
 *                 data/service.h: requests and replies
 * data/dict.h     keys and values
 * os/object.h     names, options, status: the types
 * os/system.h     ftok, the list of all segments, the machine's limits
 * os/semaphores.h sets of System V semaphores; os/clock.h: deadlines
 * os/posix.h      what a POSIX object may be called; os/sleepers.h: who sleeps on which memory
 * base/error.h    what a status says; base/facts.h: what a call that failed has found
 */
#ifndef SHMX_H
#define SHMX_H

#include "base/error.h"
#include "base/facts.h"
#include "base/kind.h"
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
