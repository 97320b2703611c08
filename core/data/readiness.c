/* readiness.c: the thread behind a descriptor. Touches sync, os, base. */
#include "data/readiness.h"
#include "os/fault.h"
#include "os/pollable.h"
#include "os/process.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct shmx_readiness {
  struct shmx_event *event;
  shmx_is_ready *is_ready;
  const void *context;
  int fd;
  shmx_task process;
  pthread_t thread;
  struct shmx_event changed; /* `seen` or `stopping` has */
  _Atomic uint64_t seen;
  _Atomic uint32_t armed, stopping;
};

static bool is_stopping(const struct shmx_readiness *self) {
  return atomic_load_explicit(&self->stopping, memory_order_acquire) != 0;
}

/* Until there is something: then the descriptor says so. It does before `armed` is taken back: who
 * rearms in between finds the descriptor readable once for nothing, and not for ever. */
static void watch(struct shmx_readiness *self) {
  int64_t look = shmx_clock_now() + SHMX_FIRST_LOOK; /* it is notified lightly */
  for (; !is_stopping(self); look = SHMX_FOREVER) {
    uint32_t ticket = shmx_event_prepare(self->event);
    uint64_t seen = atomic_load_explicit(&self->seen, memory_order_acquire);
    if (self->is_ready(self->context, seen)) break;
    if (!is_stopping(self)) shmx_event_wait(self->event, ticket, look);
  }
  shmx_pollable_set(self->fd);
  atomic_store_explicit(&self->armed, 0, memory_order_release);
}

/* Until somebody has received it. */
static void rest(struct shmx_readiness *self) {
  while (!is_stopping(self)) {
    uint32_t ticket = shmx_event_prepare(&self->changed);
    if (atomic_load_explicit(&self->armed, memory_order_acquire) || is_stopping(self)) return;
    shmx_event_wait(&self->changed, ticket, SHMX_FOREVER);
  }
}

static void *run(void *argument) {
  struct shmx_readiness *self = argument;
  while (!is_stopping(self)) {
    watch(self);
    rest(self);
  }
  return NULL;
}

int shmx_readiness_start(struct shmx_readiness **readiness, struct shmx_event *event,
                         shmx_is_ready *is_ready, const void *context, uint64_t seen) {
  struct shmx_readiness *self = calloc(1, sizeof *self);
  if (self == NULL) return -ENOMEM;
  self->event = event;
  self->is_ready = is_ready;
  self->context = context;
  self->process = shmx_process_self();
  atomic_store_explicit(&self->seen, seen, memory_order_relaxed);
  atomic_store_explicit(&self->armed, 1, memory_order_relaxed);
  int status = shmx_pollable_open(&self->fd);
  if (status == 0) {
    status = shmx_thread_start(&self->thread, run, self);
    if (status != 0) shmx_pollable_close(self->fd);
  }
  if (status != 0) {
    free(self);
    return status;
  }
  *readiness = self;
  return 0;
}

int shmx_readiness_fd(const struct shmx_readiness *self) {
  return self->process == shmx_process_self() ? self->fd : -1;
}

/* Readable no more; should there be something, the thread finds it and says so again. */
void shmx_readiness_rearm(struct shmx_readiness *self, uint64_t seen) {
  if (self->process != shmx_process_self()) return;
  atomic_store_explicit(&self->seen, seen, memory_order_release);
  if (atomic_load_explicit(&self->armed, memory_order_acquire)) return;
  shmx_pollable_clear(self->fd);
  atomic_store_explicit(&self->armed, 1, memory_order_release);
  shmx_event_notify(&self->changed);
}

/* The event in shared memory is notified, too: the thread may sleep on it. */
void shmx_readiness_stop(struct shmx_readiness *self) {
  if (self == NULL) return;
  if (self->process == shmx_process_self()) {
    atomic_store_explicit(&self->stopping, 1, memory_order_release);
    shmx_event_notify(&self->changed);
    shmx_event_notify(self->event);
    pthread_join(self->thread, NULL);
  }
  shmx_pollable_close(self->fd);
  free(self);
}
