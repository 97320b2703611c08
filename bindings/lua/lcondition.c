/* lcondition.c: c:wait, c:notify, c:notify_all. Touches core. */
#include "lua/lerror.h"
#include "lua/lmutex.h"
#include "lua/lsync.h"
#include "lua/lwait.h"

struct lcondition {
  struct lobject base;
  shmx_condition condition;
};

static void opened(struct lobject *self, uint64_t count) {
  (void)count;
  shmx_condition_open(&((struct lcondition *)self)->condition, self->object.memory.object.data);
}

const struct lobject_type lcondition_type = {
    "shm.condition", SHMX_KIND_CONDITION, sizeof(struct lcondition), opened, NULL, 0};

static struct lcondition *check(lua_State *L) {
  return lobject_check(L, 1, &lcondition_type);
}

/* Raises if this thread has not locked the mutex. */
static int check_mine(lua_State *L, struct lmutex *mutex) {
  int status = shmx_arena_object_check(&mutex->base.object);
  if (status == 0 && !shmx_mutex_is_mine(&mutex->mutex))
    lobject_return(L, &mutex->base, -EPERM, shmx_mutex_holder(&mutex->mutex));
  return status;
}

/*
 * Until notified, or the owner of the mutex dies, who cannot notify any more. A signal is a reason
 * to wake, too: the script looks at its condition again. One may also have come while we were not
 * asleep: what the hook raises then is pushed, and `raised`.
 */
static int sleep_until(lua_State *L, struct lcondition *self, struct lmutex *mutex, uint32_t ticket,
                       int64_t deadline, bool *raised) {
  for (;;) {
    int status = shmx_arena_object_check(&self->base.object);
    if (status == 0) status = shmx_condition_sleep(&self->condition, ticket, deadline);
    if (status != -EAGAIN) return status;
    *raised = !lwait_try_hook(L);
    if (*raised) return status;
    bool gone = shmx_arena_object_check(&mutex->base.object) != 0;
    if (gone || shmx_mutex_is_orphan(&mutex->mutex)) return 0;
  }
}

/*
 * However long it takes: who waits has the mutex afterwards, so a signal is served then, not here.
 * It is the same turn as before the wait: the guard of the mutex is still its guard.
 */
static int lock_again(struct lmutex *mutex, bool *interrupted) {
  for (;;) {
    int status = shmx_arena_object_check(&mutex->base.object);
    if (status == 0) status = shmx_mutex_lock(&mutex->mutex, shmx_clock_now() + LWAIT_SLICE);
    if (status != -EINTR && status != -ETIMEDOUT) return status;
    *interrupted |= status == -EINTR;
  }
}

/* From a mutex that is locked to one that is, also where the wait has failed. */
static int condition_wait(lua_State *L) {
  struct lcondition *self = check(L);
  struct lmutex *mutex = lobject_check(L, 2, &lmutex_type);
  int64_t deadline = lwait_check_deadline(L, 3);
  int status = check_mine(L, mutex);
  if (status != 0) return lobject_return(L, &mutex->base, status, 0);
  status = shmx_arena_object_check(&self->base.object);
  if (status != 0) return lobject_return(L, &self->base, status, 0);
  uint32_t ticket = shmx_condition_ticket(&self->condition);
  shmx_mutex_unlock(&mutex->mutex);
  bool raised = false;
  status = sleep_until(L, self, mutex, ticket, deadline, &raised);
  bool interrupted = status == -EINTR;
  int locked = lock_again(mutex, &interrupted);
  if (raised) return lua_error(L);
  if (interrupted) lwait_run_hook(L);
  if (locked != 0) return lobject_return(L, &mutex->base, locked, 0);
  if (status == -ETIMEDOUT) {
    lua_pushfstring(L, "%s was not notified in time", lobject_push_name(L, &self->base));
    return lerror_return_message(L, status);
  }
  return lobject_return(L, &self->base, status == -EINTR ? 0 : status, 0);
}

static int notify(lua_State *L, void (*wake)(shmx_condition *)) {
  struct lcondition *self = check(L);
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0) wake(&self->condition);
  return lobject_return(L, &self->base, status, 0);
}

static int condition_notify(lua_State *L) {
  return notify(L, shmx_condition_notify);
}

static int condition_notify_all(lua_State *L) {
  return notify(L, shmx_condition_notify_all);
}

void lcondition_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", condition_wait},
                                     {"notify", condition_notify},
                                     {"notify_all", condition_notify_all},
                                     {NULL, NULL}};
  lobject_register(L, &lcondition_type, methods);
}
