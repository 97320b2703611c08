/*
 * semaphore.c: one word for each permit, with the name of who holds it, or 0. Takers take turns;
 * giving back is one store a permit. There is no count that a death could spoil. Touches os, base.
 */
#include "sync/semaphore.h"
#include "sync/event.h"
#include "sync/lock.h"

#include <stdbool.h>

struct shmx_semaphore_memory {
  struct shmx_lock taking; /* whoever looks for permits */
  struct shmx_event given; /* permits have come back */
  unsigned char unused[52];
  _Atomic shmx_task holders[]; /* of each permit */
};
_Static_assert(sizeof(struct shmx_semaphore_memory) == 64, "the layout in memory");

shmx_kind shmx_semaphore_kind(uint32_t permits) {
  return shmx_kind_of(SHMX_KIND_SEMAPHORE, sizeof(struct shmx_semaphore_memory), sizeof(shmx_task),
                      permits);
}

void shmx_semaphore_open(shmx_semaphore *semaphore, void *memory, uint32_t permits) {
  *semaphore = (shmx_semaphore){.memory = memory, .permits = permits};
}

/* ---- permits ---- */

static shmx_task holder_of(const shmx_semaphore *semaphore, uint32_t permit) {
  /* Acquire pairs with the release in give_back. */
  return atomic_load_explicit(&semaphore->memory->holders[permit], memory_order_acquire);
}

/* Nobody's: 0, or DIED, which tells the next holder that the last one died with it. */
static bool is_free(shmx_task holder) {
  return shmx_task_number(holder) == 0;
}

static uint32_t count_free(const shmx_semaphore *semaphore) {
  uint32_t count = 0;
  for (uint32_t permit = 0; permit < semaphore->permits; permit++)
    count += is_free(holder_of(semaphore, permit));
  return count;
}

/* Within `taking`, nobody else puts a name where none is. Says whether one of the holders before
 * died. */
static bool take(const shmx_semaphore *semaphore, uint32_t count, shmx_task self) {
  bool died = false;
  for (uint32_t permit = 0; permit < semaphore->permits && count > 0; permit++) {
    shmx_task holder = holder_of(semaphore, permit);
    if (!is_free(holder)) continue;
    atomic_store_explicit(&semaphore->memory->holders[permit], self, memory_order_relaxed);
    died |= holder != 0;
    count--;
  }
  return died;
}

/* Takes a name off so many permits, and puts 0 or DIED there; returns how many that were. Those of
 * a thread that has ended may be buried meanwhile, and be another's. */
static uint32_t give_back(const shmx_semaphore *semaphore, uint32_t count, shmx_task owner,
                          shmx_task instead) {
  uint32_t given = 0;
  for (uint32_t permit = 0; permit < semaphore->permits && given < count; permit++) {
    shmx_task holder = owner;
    /* Release pairs with the acquire in holder_of: what was done with it, was done before. */
    given += holder_of(semaphore, permit) == owner &&
             atomic_compare_exchange_strong_explicit(&semaphore->memory->holders[permit], &holder,
                                                     instead, memory_order_release,
                                                     memory_order_relaxed);
  }
  if (given > 0) shmx_event_notify(&semaphore->memory->given);
  return given;
}

/* How many this thread has, through whatever handle. */
static uint32_t count_of(const shmx_semaphore *semaphore, shmx_task self) {
  uint32_t count = 0;
  for (uint32_t permit = 0; permit < semaphore->permits; permit++)
    count += holder_of(semaphore, permit) == self;
  return count;
}

/* Within `taking`: puts DIED in the place of the names of the dead. Permits of one holder mostly
 * lie together, and are asked for once. */
static void bury(const shmx_semaphore *semaphore) {
  bool lives = true;
  shmx_task asked = 0;
  for (uint32_t permit = 0; permit < semaphore->permits; permit++) {
    shmx_task holder = holder_of(semaphore, permit);
    if (is_free(holder)) continue;
    if (holder != asked) lives = shmx_task_lives(holder);
    asked = holder;
    if (!lives)
      atomic_store_explicit(&semaphore->memory->holders[permit], SHMX_LOCK_DIED,
                            memory_order_relaxed);
  }
}

/* ---- operations ---- */

/* Takes them if they are there; 0, -EAGAIN, -EDEADLK, -EOWNERDEAD or why `taking` was not to be
 * had. */
static int try(shmx_semaphore *semaphore, uint32_t count, bool burying, int64_t deadline) {
  struct shmx_lock *taking = &semaphore->memory->taking;
  shmx_task self = shmx_self()->task;
  int status = shmx_lock_enter(taking, deadline);
  if (status != 0 && status != -EOWNERDEAD) { /* a dead taker has left its name */
    semaphore->held_by = shmx_lock_holder(taking);
    return status;
  }
  if (burying && count_free(semaphore) < count) bury(semaphore);
  bool there = count_free(semaphore) >= count;
  bool died = there && take(semaphore, count, self);
  shmx_lock_leave(taking);
  if (!there) return count_of(semaphore, self) > semaphore->permits - count ? -EDEADLK : -EAGAIN;
  return died ? -EOWNERDEAD : 0;
}

static int wait(shmx_semaphore *semaphore, uint32_t count, int64_t deadline) {
  struct shmx_event *given = &semaphore->memory->given;
  int64_t look = shmx_clock_now() + SHMX_FIRST_SLICE;
  bool burying = false;
  semaphore->held_by = 0;
  for (;;) {
    uint32_t ticket = shmx_event_prepare(given);
    int status = try(semaphore, count, burying, deadline);
    if (status != -EAGAIN) return status;
    if (burying && shmx_clock_now() >= deadline) return -ETIMEDOUT;
    status = shmx_event_wait(given, ticket, look < deadline ? look : deadline);
    if (status != 0 && status != -ETIMEDOUT) return status;
    int64_t now = shmx_clock_now(); /* a word that changes all the time lets nobody sleep so long */
    burying = now >= look || now >= deadline;
    if (burying) look = now + SHMX_SLICE;
  }
}

int shmx_semaphore_acquire(shmx_semaphore *semaphore, uint32_t count, int64_t deadline) {
  shmx_task self = shmx_self()->task;
  if (count == 0 || count > semaphore->permits) return -EINVAL;
  if (semaphore->owner != self) semaphore->held = 0; /* another thread's, or the parent's */
  if (count > semaphore->permits - semaphore->held) return -EDEADLK;
  int status = try(semaphore, count, false, deadline);
  if (status == -EAGAIN) status = wait(semaphore, count, deadline);
  if (status != 0 && status != -EOWNERDEAD) return status;
  semaphore->owner = self;
  semaphore->process = shmx_process_self();
  semaphore->held += count;
  return status;
}

uint32_t shmx_semaphore_held(const shmx_semaphore *semaphore) {
  return semaphore->owner == shmx_self()->task ? semaphore->held : 0;
}

int shmx_semaphore_release(shmx_semaphore *semaphore, uint32_t count) {
  shmx_task self = shmx_self()->task;
  if (count == 0) return -EINVAL;
  if (count > shmx_semaphore_held(semaphore)) return -EPERM;
  semaphore->held -= count;
  give_back(semaphore, count, self, 0);
  return 0;
}

void shmx_semaphore_close(shmx_semaphore *semaphore) {
  if (semaphore->memory == NULL) return;
  if (semaphore->held > 0 && semaphore->process == shmx_process_self())
    give_back(semaphore, semaphore->held, semaphore->owner, SHMX_LOCK_DIED);
  semaphore->held = 0;
  semaphore->memory = NULL;
}

uint32_t shmx_semaphore_value(const shmx_semaphore *semaphore) {
  uint32_t count = 0;
  bool lives = true;
  shmx_task asked = 0;
  for (uint32_t permit = 0; permit < semaphore->permits; permit++) {
    shmx_task holder = holder_of(semaphore, permit);
    if (!is_free(holder) && holder != asked) lives = shmx_task_lives(asked = holder);
    count += is_free(holder) || !lives;
  }
  return count;
}

uint32_t shmx_semaphore_holder(const shmx_semaphore *semaphore) {
  for (uint32_t permit = 0; permit < semaphore->permits; permit++) {
    shmx_task holder = holder_of(semaphore, permit);
    if (!is_free(holder)) return shmx_task_process(holder);
  }
  return 0;
}

void shmx_semaphore_holders(const shmx_semaphore *semaphore, shmx_holders *holders) {
  for (uint32_t permit = 0; permit < semaphore->permits; permit++)
    shmx_holders_add(holders, holder_of(semaphore, permit), SHMX_HOLDS);
  holders->waited = shmx_event_has_sleepers(&semaphore->memory->given);
}
