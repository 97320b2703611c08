/*
 * readiness.c: the thread behind a descriptor. Touches sync, os, base.
 *
 * The descriptor is level-triggered. The thread sets it, and nobody but the handle clears it: after
 * it has found nothing to receive. One lock makes one step of the thread's look and the set, and
 * one step of the clear and `readable`. So the thread never sets the descriptor for a message that
 * the handle has received before its clear, and a loop of one consumer wakes once a message at
 * most. After a clear the thread looks again, so that a message which came meanwhile sets the
 * descriptor anew. spec/model/readiness.pml shows both.
 */
#include "data/readiness.h"
#include "os/fault.h"
#include "os/pollable.h"
#include "sync/lock.h"

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
  pthread_mutex_t lock;      /* guards `own`, and that `readable` is what the descriptor says */
  struct shmx_event changed; /* `readable` or `stopping` has */
  shmx_task own;
  _Atomic uint32_t readable, stopping;
};

/* The first pause of the thread while another consumer holds the end, which is mostly for less. */
#define HELD_FIRST (SHMX_SECOND / 20000)

static bool is_stopping(const struct shmx_readiness *self) {
  return atomic_load_explicit(&self->stopping, memory_order_acquire) != 0;
}

/* Looks, and sets the descriptor if there is something. */
static enum shmx_ready look(struct shmx_readiness *self) {
  pthread_mutex_lock(&self->lock);
  enum shmx_ready ready = self->is_ready(self->context, self->own);
  if (ready == SHMX_READY) {
    atomic_store_explicit(&self->readable, 1, memory_order_release);
    shmx_pollable_set(self->fd);
  }
  pthread_mutex_unlock(&self->lock);
  return ready;
}

/* Sleeps until there is something. A sender that has claimed its end notifies lightly, so the first
 * sleep is short. A consumer that holds its end only for a receive notifies nobody, so those sleeps
 * begin shorter, and double. */
static void watch(struct shmx_readiness *self) {
  int64_t first = SHMX_FIRST_LOOK, held = HELD_FIRST;
  while (!is_stopping(self)) {
    uint32_t ticket = shmx_event_prepare(self->event);
    enum shmx_ready ready = look(self);
    if (ready == SHMX_READY) return;
    if (is_stopping(self)) return;
    int64_t now = shmx_clock_now();
    if (ready == SHMX_HELD) {
      shmx_event_wait(self->event, ticket, now + held);
      held = held < SHMX_SLICE ? held * 2 : SHMX_SLICE;
    } else {
      shmx_event_wait(self->event, ticket, first == SHMX_FOREVER ? SHMX_FOREVER : now + first);
      first = SHMX_FOREVER;
      held = HELD_FIRST;
    }
  }
}

/* Sleeps until the handle has cleared the descriptor. */
static void rest(struct shmx_readiness *self) {
  while (!is_stopping(self)) {
    uint32_t ticket = shmx_event_prepare(&self->changed);
    if (!atomic_load_explicit(&self->readable, memory_order_acquire) || is_stopping(self)) return;
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
                         shmx_is_ready *is_ready, const void *context, shmx_task own) {
  struct shmx_readiness *self = calloc(1, sizeof *self);
  if (self == NULL) return -ENOMEM;
  self->event = event;
  self->is_ready = is_ready;
  self->context = context;
  self->process = shmx_process_self();
  self->own = own;
  pthread_mutex_init(&self->lock, NULL);
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

void shmx_readiness_rearm(struct shmx_readiness *self, shmx_task own) {
  if (self->process != shmx_process_self()) return;
  pthread_mutex_lock(&self->lock);
  self->own = own;
  bool was_readable = atomic_load_explicit(&self->readable, memory_order_relaxed) != 0;
  if (was_readable) {
    shmx_pollable_clear(self->fd);
    atomic_store_explicit(&self->readable, 0, memory_order_release);
  }
  pthread_mutex_unlock(&self->lock);
  if (was_readable) shmx_event_notify(&self->changed);
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
