/*
 * barrier.c: a place for each party, with its name and the round that it waits in. One store ends a
 * round: from then on all places are of a round that is past, and empty. Rounds that failed are
 * listed by their numbers, so that a waiter that was stopped still finds how its own round ended.
 */
#include "sync/barrier.h"
#include "sync/event.h"
#include "sync/lock.h"

struct place {
  _Atomic shmx_task task; /* written last: with a name, the round is right */
  _Atomic uint64_t round;
};

struct shmx_barrier_memory {
  struct shmx_lock lock;   /* whoever comes, goes, or looks for the dead */
  struct shmx_event ended; /* a round has */
  uint32_t unused;
  _Atomic uint64_t round; /* counts from 0 */
  /* Rounds in which a waiter died, as 1 + their number; 0: none. The latest are listed in any
   * order, and all before `forgotten` may be missing there. */
  _Atomic uint64_t forgotten, failures[SHMX_BARRIER_FAILURES];
  struct place places[];
};
_Static_assert(sizeof(struct shmx_barrier_memory) == 128, "the layout in memory");
_Static_assert(sizeof(struct place) == 16, "the layout in memory");

shmx_kind shmx_barrier_kind(uint32_t parties) {
  return shmx_kind_of(SHMX_KIND_BARRIER, sizeof(struct shmx_barrier_memory), sizeof(struct place),
                      parties);
}

void shmx_barrier_open(shmx_barrier *barrier, void *memory, uint32_t parties) {
  *barrier = (shmx_barrier){.memory = memory, .parties = parties};
}

/* ---- rounds ---- */

static uint64_t round_of(const struct shmx_barrier_memory *memory) {
  /* Acquire pairs with the release in end_round. */
  return atomic_load_explicit(&memory->round, memory_order_acquire);
}

/* Within the lock. A round that is listed already was noted by a process that died before it could
 * end the round. */
static void note_failure(struct shmx_barrier_memory *memory, uint64_t round) {
  uint64_t least = UINT64_MAX;
  int oldest = 0;
  for (int i = 0; i < SHMX_BARRIER_FAILURES; i++) {
    uint64_t failure = atomic_load_explicit(&memory->failures[i], memory_order_relaxed);
    if (failure == round + 1) return;
    if (failure < least) least = failure, oldest = i;
  }
  atomic_store_explicit(&memory->forgotten, least, memory_order_relaxed);
  /* Release pairs with the acquire in result_of: who misses a failure sees that it is forgotten. */
  atomic_store_explicit(&memory->failures[oldest], round + 1, memory_order_release);
}

/* Within the lock. The result of the round is stored before the round is over. */
static void end_round(struct shmx_barrier_memory *memory, uint64_t round, bool failed) {
  if (failed) note_failure(memory, round);
  /* Release pairs with the acquire in round_of. */
  atomic_store_explicit(&memory->round, round + 1, memory_order_release);
  shmx_event_notify(&memory->ended);
}

/* Of a round that is over. Others may note failures meanwhile. */
static int result_of(const struct shmx_barrier_memory *memory, uint64_t round) {
  bool failed = false;
  for (int i = 0; i < SHMX_BARRIER_FAILURES; i++)
    /* Acquire pairs with the release in note_failure. */
    failed |= atomic_load_explicit(&memory->failures[i], memory_order_acquire) == round + 1;
  uint64_t forgotten = atomic_load_explicit(&memory->forgotten, memory_order_relaxed);
  return failed || round < forgotten ? -EOWNERDEAD : 0;
}

/* ---- places ---- */

/* Who waits at this place in this round; 0 where nobody does. */
static shmx_task waiter_at(const shmx_barrier *barrier, uint32_t place, uint64_t round) {
  const struct place *at = &barrier->memory->places[place];
  shmx_task task = atomic_load_explicit(&at->task, memory_order_relaxed);
  return atomic_load_explicit(&at->round, memory_order_relaxed) == round ? task : 0;
}

static uint32_t count(const shmx_barrier *barrier, uint64_t round) {
  uint32_t waiting = 0;
  for (uint32_t place = 0; place < barrier->parties; place++)
    waiting += waiter_at(barrier, place, round) != 0;
  return waiting;
}

/* The first place of this waiter, or of nobody (0); `parties` where there is none. */
static uint32_t find(const shmx_barrier *barrier, uint64_t round, shmx_task task) {
  uint32_t place = 0;
  while (place < barrier->parties && waiter_at(barrier, place, round) != task)
    place++;
  return place;
}

/* Killed between these stores, a place is empty. */
static void occupy(struct place *place, uint64_t round, shmx_task self) {
  atomic_store_explicit(&place->task, 0, memory_order_relaxed);
  atomic_store_explicit(&place->round, round, memory_order_release);
  atomic_store_explicit(&place->task, self, memory_order_release);
}

static bool has_dead(const shmx_barrier *barrier, uint64_t round) {
  for (uint32_t place = 0; place < barrier->parties; place++) {
    shmx_task task = waiter_at(barrier, place, round);
    if (task != 0 && !shmx_task_lives(task)) return true;
  }
  return false;
}

/* ---- coming, waiting, going ---- */

/* Within the lock. A place that has our name already is ours: only a lie can have put it there. */
static void take_place(const shmx_barrier *barrier, uint64_t round, shmx_task self) {
  uint32_t place = find(barrier, round, self);
  if (place == barrier->parties) place = find(barrier, round, 0);
  if (place != barrier->parties) occupy(&barrier->memory->places[place], round, self);
}

int shmx_barrier_come(shmx_barrier *barrier, int64_t deadline, uint64_t *round) {
  struct shmx_barrier_memory *memory = barrier->memory;
  int status = shmx_lock_enter(&memory->lock, deadline);
  if (status != 0 && status != -EOWNERDEAD) {
    barrier->held_by = shmx_lock_holder(&memory->lock);
    return status;
  }
  barrier->held_by = 0;
  *round = round_of(memory);
  take_place(barrier, *round, shmx_self()->task);
  bool full = count(barrier, *round) >= barrier->parties;
  bool failed = full && has_dead(barrier, *round);
  if (full) end_round(memory, *round, failed);
  shmx_lock_leave(&memory->lock);
  return !full ? -EAGAIN : failed ? -EOWNERDEAD : 0;
}

int shmx_barrier_go(shmx_barrier *barrier, uint64_t round, int status) {
  struct shmx_barrier_memory *memory = barrier->memory;
  int64_t until = shmx_clock_now() + SHMX_SLICE;
  int entered;
  do
    entered = shmx_lock_enter(&memory->lock, until);
  while (entered == -EINTR && shmx_clock_now() < until);
  if (entered != 0 && entered != -EOWNERDEAD) return status;
  uint32_t place = find(barrier, round, shmx_self()->task);
  if (round_of(memory) != round)
    status = result_of(memory, round);
  else if (place != barrier->parties)
    atomic_store_explicit(&memory->places[place].task, 0, memory_order_relaxed);
  shmx_lock_leave(&memory->lock);
  return status;
}

/* Ends a round in which somebody has died. */
static void look_for_dead(const shmx_barrier *barrier, uint64_t round, int64_t deadline) {
  struct shmx_barrier_memory *memory = barrier->memory;
  if (!has_dead(barrier, round)) return;
  int entered = shmx_lock_enter(&memory->lock, deadline);
  if (entered != 0 && entered != -EOWNERDEAD) return;
  if (round_of(memory) == round && has_dead(barrier, round)) end_round(memory, round, true);
  shmx_lock_leave(&memory->lock);
}

int shmx_barrier_await(shmx_barrier *barrier, uint64_t round, int64_t deadline) {
  struct shmx_barrier_memory *memory = barrier->memory;
  int64_t look = shmx_clock_now() + SHMX_FIRST_SLICE;
  for (;;) {
    uint32_t ticket = shmx_event_prepare(&memory->ended);
    if (round_of(memory) != round) return result_of(memory, round);
    int status = shmx_event_wait(&memory->ended, ticket, look < deadline ? look : deadline);
    if (status != 0 && status != -ETIMEDOUT) return status;
    int64_t now = shmx_clock_now();
    if (now >= look) {
      look_for_dead(barrier, round, deadline);
      look = now + SHMX_SLICE;
    }
    if (round_of(memory) == round && now >= deadline) return -ETIMEDOUT;
  }
}

int shmx_barrier_wait(shmx_barrier *barrier, int64_t deadline, bool *last) {
  uint64_t round;
  int status = shmx_barrier_come(barrier, deadline, &round);
  if (last != NULL) *last = status == 0;
  if (status != -EAGAIN) return status;
  status = shmx_barrier_await(barrier, round, deadline);
  return status == 0 || status == -EOWNERDEAD ? status : shmx_barrier_go(barrier, round, status);
}

uint32_t shmx_barrier_waiting(const shmx_barrier *barrier) {
  return count(barrier, round_of(barrier->memory));
}

void shmx_barrier_holders(const shmx_barrier *barrier, shmx_holders *holders) {
  uint64_t round = round_of(barrier->memory);
  for (uint32_t place = 0; place < barrier->parties; place++)
    shmx_holders_add(holders, waiter_at(barrier, place, round), SHMX_WAITS);
}
