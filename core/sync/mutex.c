/* mutex.c: a lock, and how often it was taken. Touches os, base. */
#include "sync/mutex.h"
#include "sync/lock.h"

struct shmx_mutex_memory {
  struct shmx_lock lock;
  _Atomic uint64_t turns; /* changed by the owner only: tells its lockings apart */
  unsigned char unused[48];
};
_Static_assert(sizeof(struct shmx_mutex_memory) == 64, "the layout in memory");

shmx_kind shmx_mutex_kind(void) {
  return shmx_kind_of(SHMX_KIND_MUTEX, sizeof(struct shmx_mutex_memory), 0, 1);
}

void shmx_mutex_open(shmx_mutex *mutex, void *memory) {
  *mutex = (shmx_mutex){.memory = memory};
}

/* By whatever thread, but not in a forked child: there it is the parent's. */
void shmx_mutex_abandon(shmx_mutex *mutex) {
  struct shmx_mutex_memory *memory = mutex->memory;
  bool last = atomic_load_explicit(&memory->turns, memory_order_relaxed) == mutex->turn;
  if (last && mutex->process == shmx_process_self()) shmx_lock_abandon(&memory->lock, mutex->owner);
  mutex->owner = 0;
}

void shmx_mutex_close(shmx_mutex *mutex) {
  if (mutex->memory != NULL) shmx_mutex_abandon(mutex);
  mutex->memory = NULL;
}

/* The lock is ours: so it is told from later ones. */
static void locked(shmx_mutex *mutex, shmx_task self) {
  struct shmx_mutex_memory *memory = mutex->memory;
  mutex->owner = self;
  mutex->process = shmx_process_self();
  mutex->turn = atomic_load_explicit(&memory->turns, memory_order_relaxed) + 1;
  atomic_store_explicit(&memory->turns, mutex->turn, memory_order_relaxed);
}

int shmx_mutex_trylock(shmx_mutex *mutex) {
  struct shmx_lock *lock = &mutex->memory->lock;
  shmx_task self = shmx_self()->task;
  if (shmx_lock_try(lock, self)) return locked(mutex, self), 0;
  return shmx_lock_owner(lock) == self ? -EDEADLK : -EBUSY;
}

int shmx_mutex_lock(shmx_mutex *mutex, int64_t deadline) {
  struct shmx_lock *lock = &mutex->memory->lock;
  const struct shmx_self *self = shmx_self();
  if (shmx_lock_try(lock, self->task)) return locked(mutex, self->task), 0;
  if (shmx_lock_owner(lock) == self->task) return -EDEADLK;
  int status = shmx_lock_wait(lock, self, deadline);
  if (status == 0 || status == -EOWNERDEAD) locked(mutex, self->task);
  return status;
}

int shmx_mutex_unlock(shmx_mutex *mutex) {
  if (!shmx_mutex_is_mine(mutex)) return -EPERM;
  mutex->owner = 0;
  shmx_lock_release(&mutex->memory->lock);
  return 0;
}

bool shmx_mutex_is_mine(const shmx_mutex *mutex) {
  return shmx_lock_owner(&mutex->memory->lock) == shmx_self()->task;
}

bool shmx_mutex_owner_died(const shmx_mutex *mutex) {
  uint64_t word = atomic_load_explicit(&mutex->memory->lock.word, memory_order_relaxed);
  return shmx_mutex_is_mine(mutex) && word & SHMX_LOCK_DIED;
}

bool shmx_mutex_is_orphan(const shmx_mutex *mutex) {
  uint64_t word = atomic_load_explicit(&mutex->memory->lock.word, memory_order_relaxed);
  shmx_task owner = shmx_task_number(word) != 0 ? word & ~SHMX_LOCK_FLAGS : 0;
  return owner != 0 ? !shmx_task_lives(owner) : word & SHMX_LOCK_DIED;
}

uint32_t shmx_mutex_holder(const shmx_mutex *mutex) {
  return shmx_lock_holder(&mutex->memory->lock);
}

void shmx_mutex_holders(const shmx_mutex *mutex, shmx_holders *holders) {
  shmx_lock_look(&mutex->memory->lock, SHMX_HOLDS, holders);
}
