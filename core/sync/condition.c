/* condition.c: an event. Touches os, base. */
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"

struct shmx_condition_memory {
  struct shmx_event event;
  unsigned char unused[60];
};
_Static_assert(sizeof(struct shmx_condition_memory) == 64, "the layout in memory");

shmx_kind shmx_condition_kind(void) {
  return shmx_kind_of(SHMX_KIND_CONDITION, sizeof(struct shmx_condition_memory), 0, 1);
}

void shmx_condition_open(shmx_condition *condition, void *memory) {
  condition->memory = memory;
}

uint32_t shmx_condition_ticket(shmx_condition *condition) {
  return shmx_event_prepare(&condition->memory->event);
}

/* The word tells who was notified, also where the wake has gone to another, who died. Its bit goes
 * with a bump only: a word that has changed in any other way is a lie, and wakes for no reason. */
int shmx_condition_sleep(shmx_condition *condition, uint32_t ticket, int64_t deadline) {
  struct shmx_event *event = &condition->memory->event;
  int status = shmx_event_wait(event, ticket, deadline);
  bool notified = atomic_load_explicit(&event->word, memory_order_relaxed) != ticket;
  if (notified && status == -ETIMEDOUT) return 0;
  if (status != 0 || notified) return status;
  return shmx_clock_now() < deadline ? -EAGAIN : -ETIMEDOUT;
}

static int lock_again(shmx_mutex *mutex) {
  int status;
  do
    status = shmx_mutex_lock(mutex, SHMX_FOREVER);
  while (status == -EINTR);
  return status;
}

int shmx_condition_wait(shmx_condition *condition, shmx_mutex *mutex, int64_t deadline) {
  uint32_t ticket = shmx_condition_ticket(condition);
  int status = shmx_mutex_unlock(mutex);
  if (status != 0) return status;
  do
    status = shmx_condition_sleep(condition, ticket, deadline);
  while (status == -EAGAIN && !shmx_mutex_is_orphan(mutex));
  int locked = lock_again(mutex);
  if (locked != 0) return locked;
  return status == -EAGAIN ? 0 : status;
}

void shmx_condition_notify(shmx_condition *condition) {
  shmx_event_notify_one(&condition->memory->event);
}

void shmx_condition_notify_all(shmx_condition *condition) {
  shmx_event_notify(&condition->memory->event);
}

void shmx_condition_holders(const shmx_condition *condition, shmx_holders *holders) {
  holders->waited |= shmx_event_has_sleepers(&condition->memory->event);
}
