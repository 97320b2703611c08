/*
 * rwlock.c: a reader puts its name into a slot and then looks at the gate; a writer takes the gate
 * and then looks at the slots. So one of two that come at once sees the other. Touches os, base.
 */
#include "sync/rwlock.h"
#include "sync/event.h"
#include "sync/lock.h"

struct shmx_rwlock_memory {
  struct shmx_lock gate;    /* the writer's; readers pass it where one is in their way */
  _Atomic uint32_t damaged; /* a writer has died, and no other has written since */
  struct shmx_event left;   /* a reader has left */
  unsigned char unused[48];
  _Atomic shmx_task readers[SHMX_READERS];
};
_Static_assert(sizeof(struct shmx_rwlock_memory) == 64 + 8 * SHMX_READERS, "the layout in memory");

shmx_kind shmx_rwlock_kind(void) {
  return shmx_kind_of(SHMX_KIND_RWLOCK, sizeof(struct shmx_rwlock_memory), 0, 1);
}

void shmx_rwlock_open(shmx_rwlock *rwlock, void *memory) {
  *rwlock = (shmx_rwlock){.memory = memory};
}

/* ---- slots ---- */

/* Where to look first: threads of neighbouring numbers on different cache lines. */
static uint32_t first_slot(shmx_task task) {
  uint32_t number = shmx_task_number(task);
  return (number * 8 + number / (SHMX_READERS / 8)) % SHMX_READERS;
}

/* Puts our name into a slot: 0, -EAGAIN where none is empty, -EDEADLK where we are in one. */
static int enter_slot(struct shmx_rwlock_memory *memory, shmx_task self, uint32_t *slot) {
  uint32_t start = first_slot(self);
  for (uint32_t i = 0; i < SHMX_READERS; i++) {
    *slot = (start + i) % SHMX_READERS;
    shmx_task found = 0;
    /* Before the load of the gate in shmx_rwlock_read: pairs with the fence in drain. */
    if (atomic_compare_exchange_strong_explicit(&memory->readers[*slot], &found, self,
                                                memory_order_seq_cst, memory_order_relaxed))
      return 0;
    if (found == self) return -EDEADLK;
  }
  return -EAGAIN;
}

/* Takes a reader's name away; DIED in its place stands for one who died, until a writer has seen
 * it. One that has ended may have been buried, and another be there. */
static void leave_slot(struct shmx_rwlock_memory *memory, uint32_t slot, shmx_task reader,
                       shmx_task instead) {
  /* Release: what was read, was read before. Pairs with the acquire in count_readers. */
  if (atomic_compare_exchange_strong_explicit(&memory->readers[slot], &reader, instead,
                                              memory_order_release, memory_order_relaxed))
    shmx_event_notify(&memory->left);
}

static shmx_task reader_in(const struct shmx_rwlock_memory *memory, uint32_t slot) {
  /* Acquire pairs with the release in leave_slot. */
  return atomic_load_explicit(&memory->readers[slot], memory_order_acquire);
}

/* How many read; we do not. */
static int count_readers(const struct shmx_rwlock_memory *memory, shmx_task self,
                         bool *found_self) {
  int count = 0;
  for (uint32_t slot = 0; slot < SHMX_READERS; slot++) {
    shmx_task reader = reader_in(memory, slot);
    count += reader != 0;
    *found_self |= reader == self;
  }
  return count;
}

/* Empties the slots of the dead; says whether there were any. */
static bool bury(struct shmx_rwlock_memory *memory) {
  bool found = false;
  for (uint32_t slot = 0; slot < SHMX_READERS; slot++) {
    shmx_task reader = reader_in(memory, slot);
    if (reader != 0 && !shmx_task_lives(reader))
      found |= atomic_compare_exchange_strong_explicit(&memory->readers[slot], &reader, 0,
                                                       memory_order_relaxed, memory_order_relaxed);
  }
  return found;
}

#define LAST_LOOK SHMX_FOREVER /* was had already */

/*
 * Sleeps until a reader leaves. Where none does for a while, looks whether those who read still
 * live. `look`: when to do that next, 0 at first. Returns 0, also where it woke for nothing;
 * -EOWNERDEAD: some were dead; -ETIMEDOUT; -EINTR; -EFAULT. After the deadline there is one look:
 * neither an event that changes all the time nor dead readers that come without end keep us longer.
 */
static int wait_for_leaving(struct shmx_rwlock_memory *memory, uint32_t ticket, int64_t deadline,
                            int64_t *look) {
  if (*look == LAST_LOOK) return -ETIMEDOUT;
  if (*look == 0) *look = shmx_clock_now() + SHMX_FIRST_SLICE;
  int status = shmx_event_wait(&memory->left, ticket, *look < deadline ? *look : deadline);
  if (status != 0 && status != -ETIMEDOUT) return status;
  int64_t now = shmx_clock_now();
  if (now < *look && now < deadline) return 0;
  *look = now < deadline ? now + SHMX_SLICE : LAST_LOOK;
  if (bury(memory)) return -EOWNERDEAD;
  return now < deadline ? 0 : -ETIMEDOUT;
}

/* ---- the gate ---- */

/* The gate for us. A writer that died in it has left damage, which stays until a writer repairs. */
static int pass_gate(struct shmx_rwlock_memory *memory, int64_t deadline) {
  int status = shmx_lock_acquire(&memory->gate, deadline);
  if (status == -EOWNERDEAD) atomic_store_explicit(&memory->damaged, 1, memory_order_relaxed);
  return status == -EOWNERDEAD ? 0 : status;
}

static bool is_damaged(const struct shmx_rwlock_memory *memory) {
  return atomic_load_explicit(&memory->damaged, memory_order_relaxed) != 0;
}

/* ---- reading ---- */

static int wait_for_slot(struct shmx_rwlock_memory *memory, shmx_task self, int64_t deadline,
                         uint32_t *slot) {
  int64_t look = 0;
  for (;;) {
    uint32_t ticket = shmx_event_prepare(&memory->left);
    int status = enter_slot(memory, self, slot);
    if (status != -EAGAIN) return status;
    status = wait_for_leaving(memory, ticket, deadline, &look);
    if (status != 0 && status != -EOWNERDEAD) return status;
  }
}

/* Within the gate no writer is in the way. -EAGAIN where all slots are taken. */
static int enter_through_gate(struct shmx_rwlock_memory *memory, shmx_task self, int64_t deadline,
                              uint32_t *slot) {
  int status = pass_gate(memory, deadline);
  if (status != 0) return status;
  status = enter_slot(memory, self, slot);
  shmx_lock_release(&memory->gate);
  return status;
}

static int enter(struct shmx_rwlock_memory *memory, shmx_task self, int64_t deadline,
                 uint32_t *slot) {
  int status = enter_slot(memory, self, slot);
  for (;;) {
    if (status == -EAGAIN) status = wait_for_slot(memory, self, deadline, slot);
    if (status != 0) return status;
    /* After our name: pairs with the gate's exchange and the fence in drain. Acquire pairs with the
     * release of the gate: what was written, was written before. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&memory->gate.word, memory_order_acquire) == 0) return 0;
    leave_slot(memory, *slot, self, 0);
    /* Through another handle we may read already, in a slot further on: the writer waits for us. */
    bool found_self = false;
    count_readers(memory, self, &found_self);
    if (found_self) return -EDEADLK;
    status = enter_through_gate(memory, self, deadline, slot);
    if (status != -EAGAIN) return status;
    if (shmx_clock_now() >= deadline) return -ETIMEDOUT;
  }
}

static void keep(shmx_rwlock *rwlock, shmx_task self, uint32_t slot) {
  rwlock->owner = self;
  rwlock->process = shmx_process_self();
  rwlock->slot = slot;
}

int shmx_rwlock_read(shmx_rwlock *rwlock, int64_t deadline) {
  struct shmx_rwlock_memory *memory = rwlock->memory;
  shmx_task self = shmx_self()->task;
  uint32_t slot;
  if (rwlock->owner == self || shmx_lock_owner(&memory->gate) == self) return -EDEADLK;
  int status = enter(memory, self, deadline, &slot);
  if (status != 0) return status;
  keep(rwlock, self, slot);
  return is_damaged(memory) ? -EOWNERDEAD : 0;
}

/* ---- writing ---- */

/* With the gate ours, waits until nobody reads. -EOWNERDEAD: nobody does, and some have died. */
static int drain(struct shmx_rwlock_memory *memory, shmx_task self, int64_t deadline) {
  bool died = false, found_self = false;
  int64_t look = 0;
  for (;;) {
    /* Its fence is after the gate's exchange, too: pairs with enter. */
    uint32_t ticket = shmx_event_prepare(&memory->left);
    int count = count_readers(memory, self, &found_self);
    if (found_self) return -EDEADLK;
    if (count == 0) return died ? -EOWNERDEAD : 0;
    int status = wait_for_leaving(memory, ticket, deadline, &look);
    if (status == -EOWNERDEAD)
      died = true;
    else if (status != 0)
      return status;
  }
}

int shmx_rwlock_write(shmx_rwlock *rwlock, int64_t deadline) {
  struct shmx_rwlock_memory *memory = rwlock->memory;
  shmx_task self = shmx_self()->task;
  if (rwlock->owner == self || shmx_lock_owner(&memory->gate) == self) return -EDEADLK;
  int status = pass_gate(memory, deadline);
  if (status != 0) return status;
  status = drain(memory, self, deadline);
  if (status != 0 && status != -EOWNERDEAD) {
    shmx_lock_release(&memory->gate);
    return status;
  }
  keep(rwlock, self, SHMX_READERS);
  return is_damaged(memory) ? -EOWNERDEAD : status;
}

/* ---- both ---- */

int shmx_rwlock_unlock(shmx_rwlock *rwlock) {
  struct shmx_rwlock_memory *memory = rwlock->memory;
  shmx_task self = shmx_self()->task;
  if (rwlock->owner != self) return -EPERM;
  rwlock->owner = 0;
  if (rwlock->slot != SHMX_READERS) {
    leave_slot(memory, rwlock->slot, self, 0);
  } else {
    atomic_store_explicit(&memory->damaged, 0, memory_order_relaxed);
    shmx_lock_release(&memory->gate);
  }
  return 0;
}

/* By whatever thread, but not in a forked child: there it is the parent's. */
void shmx_rwlock_abandon(shmx_rwlock *rwlock) {
  struct shmx_rwlock_memory *memory = rwlock->memory;
  if (rwlock->owner != 0 && rwlock->process == shmx_process_self()) {
    if (rwlock->slot != SHMX_READERS)
      leave_slot(memory, rwlock->slot, rwlock->owner, SHMX_LOCK_DIED);
    else
      shmx_lock_abandon(&memory->gate, rwlock->owner);
  }
  rwlock->owner = 0;
}

void shmx_rwlock_close(shmx_rwlock *rwlock) {
  if (rwlock->memory != NULL) shmx_rwlock_abandon(rwlock);
  rwlock->memory = NULL;
}

uint32_t shmx_rwlock_holder(const shmx_rwlock *rwlock) {
  const struct shmx_rwlock_memory *memory = rwlock->memory;
  shmx_task holder = shmx_lock_owner(&memory->gate);
  for (uint32_t slot = 0; slot < SHMX_READERS && shmx_task_number(holder) == 0; slot++)
    holder = reader_in(memory, slot);
  return shmx_task_number(holder) != 0 ? shmx_task_process(holder) : 0;
}

void shmx_rwlock_holders(const shmx_rwlock *rwlock, shmx_holders *holders) {
  const struct shmx_rwlock_memory *memory = rwlock->memory;
  for (uint32_t slot = 0; slot < SHMX_READERS; slot++)
    shmx_holders_add(holders, reader_in(memory, slot), SHMX_READS);
  /* Who has the gate writes when no reader is left, and keeps others out meanwhile. */
  shmx_lock_look(&memory->gate, holders->count == 0 ? SHMX_WRITES : SHMX_WAITS, holders);
}
