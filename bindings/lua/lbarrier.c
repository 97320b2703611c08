/* lbarrier.c: b:wait, b:waiting. Touches core. */
#include "lua/lerror.h"
#include "lua/lsync.h"
#include "lua/lwait.h"

struct lbarrier {
  struct lobject base;
  shmx_barrier barrier;
};

static void opened(struct lobject *self, uint64_t count) {
  shmx_barrier_open(&((struct lbarrier *)self)->barrier, self->object.memory.object.data,
                    (uint32_t)count);
}

const struct lobject_type lbarrier_type = {
    "shm.barrier", SHMX_KIND_BARRIER, sizeof(struct lbarrier), opened, NULL, 0};

static struct lbarrier *check(lua_State *L) {
  return lobject_check(L, 1, &lbarrier_type);
}

/* Should the script end here, it does not wait any more. */
static void run_hook(lua_State *L, struct lbarrier *self, uint64_t round) {
  if (lwait_try_hook(L)) return;
  if (shmx_arena_object_check(&self->base.object) == 0) shmx_barrier_go(&self->barrier, round, 0);
  lua_error(L);
}

/* We have come. Waits in slices, so as to see that the barrier is removed. */
static int await(lua_State *L, struct lbarrier *self, uint64_t round, int64_t deadline) {
  for (;;) {
    int status = shmx_arena_object_check(&self->base.object);
    if (status != 0) return status;
    int64_t slice = shmx_clock_now() + LWAIT_SLICE;
    status = shmx_barrier_await(&self->barrier, round, slice < deadline ? slice : deadline);
    if (status == 0 || status == -EOWNERDEAD) return status;
    if (status != -EINTR && (status != -ETIMEDOUT || deadline <= slice))
      return shmx_barrier_go(&self->barrier, round, status);
    run_hook(L, self, round); /* a signal may also have come while we were not asleep */
  }
}

static int come(struct lobject *self, void *round, int64_t deadline) {
  shmx_barrier *barrier = &((struct lbarrier *)self)->barrier;
  int status = shmx_barrier_come(barrier, deadline, round);
  self->held_by = barrier->held_by;
  return status;
}

/* They have not met: that another has died is no success here, as it is for a lock. */
static int fail(lua_State *L, struct lbarrier *self, int status) {
  const char *name = lobject_push_name(L, &self->base);
  if (status == -ETIMEDOUT && self->base.held_by != 0)
    return lobject_return_locked(L, &self->base, self->base.held_by);
  if (status == -EOWNERDEAD)
    lua_pushfstring(L, "%s: one of those who waited has died", name);
  else if (status == -ETIMEDOUT)
    lua_pushfstring(L, "%s: not all %d came in time", name, (int)self->barrier.parties);
  else
    return lobject_return(L, &self->base, status, 0);
  return lerror_return_message(L, status);
}

/* true, and whether this was the last to come. */
static int barrier_wait(lua_State *L) {
  struct lbarrier *self = check(L);
  int64_t deadline = lwait_check_deadline(L, 2);
  uint64_t round;
  int status = lobject_wait(L, &self->base, come, &round, deadline);
  bool last = status == 0;
  if (status == -EAGAIN) status = await(L, self, round, deadline);
  if (status != 0) return fail(L, self, status);
  lua_pushboolean(L, 1);
  lua_pushboolean(L, last);
  return 2;
}

static int barrier_waiting(lua_State *L) {
  struct lbarrier *self = check(L);
  int status = shmx_arena_object_check(&self->base.object);
  if (status != 0) return lobject_return(L, &self->base, status, 0);
  lua_pushinteger(L, shmx_barrier_waiting(&self->barrier));
  return 1;
}

void lbarrier_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"wait", barrier_wait}, {"waiting", barrier_waiting}, {NULL, NULL}};
  lobject_register(L, &lbarrier_type, methods);
}
