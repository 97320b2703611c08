/* lsemaphore.c: s:acquire, s:release, s:value. Touches core. */
#include "lua/lsync.h"
#include "lua/lwait.h"

struct lsemaphore {
  struct lobject base;
  shmx_semaphore semaphore;
};

static void opened(struct lobject *self, uint64_t count) {
  shmx_semaphore_open(&((struct lsemaphore *)self)->semaphore, self->object.memory.object.data,
                      (uint32_t)count);
}

static void closing(shmx_arena_object *object) {
  struct lobject *base = (struct lobject *)((char *)object - offsetof(struct lobject, object));
  shmx_semaphore_close(&((struct lsemaphore *)base)->semaphore);
}

const struct lobject_type lsemaphore_type = {
    "shm.semaphore", SHMX_KIND_SEMAPHORE, sizeof(struct lsemaphore), opened, closing, 0};

static struct lsemaphore *check(lua_State *L) {
  return lobject_check(L, 1, &lsemaphore_type);
}

static uint32_t check_count(lua_State *L, int index, const struct lsemaphore *self) {
  lua_Integer count = luaL_checkinteger(L, index);
  if (count < 1 || count > (lua_Integer)self->semaphore.permits)
    luaL_argerror(L, index,
                  lua_pushfstring(L, "%I permits: there are 1 to %d", (LUAI_UACINT)count,
                                  (int)self->semaphore.permits));
  return (uint32_t)count;
}

static int try_acquire(struct lobject *self, void *context, int64_t deadline) {
  shmx_semaphore *semaphore = &((struct lsemaphore *)self)->semaphore;
  int status = shmx_semaphore_acquire(semaphore, *(uint32_t *)context, deadline);
  self->held_by = semaphore->held_by;
  return status;
}

/* A number that stands alone is a count, and may be meant as a timeout. */
static uint32_t check_wanted(lua_State *L, const struct lsemaphore *self) {
  if (lua_isnoneornil(L, 2)) return 1;
  if (lua_type(L, 2) != LUA_TNUMBER || !lua_isnoneornil(L, 3)) return check_count(L, 2, self);
  int whole;
  lua_Integer count = lua_tointegerx(L, 2, &whole);
  if (!whole || count < 1 || count > (lua_Integer)self->semaphore.permits)
    luaL_argerror(L, 2,
                  lua_pushfstring(L,
                                  "%s permits: there are 1 to %d; the timeout is the second "
                                  "argument, as in acquire(1, 0.5)",
                                  luaL_tolstring(L, 2, NULL), (int)self->semaphore.permits));
  return (uint32_t)count;
}

static int semaphore_acquire(lua_State *L) {
  struct lsemaphore *self = check(L);
  uint32_t count = check_wanted(L, self);
  int64_t deadline = lwait_check_deadline(L, 3);
  int status = lobject_wait(L, &self->base, try_acquire, &count, deadline);
  if (status == -EDEADLK)
    return luaL_error(L,
                      "%s: this thread has so many of its %d permits that it would wait for itself",
                      lobject_push_name(L, &self->base), (int)self->semaphore.permits);
  if (status == -ETIMEDOUT && self->base.held_by != 0)
    return lobject_return_locked(L, &self->base, self->base.held_by);
  uint32_t holder = status == -ETIMEDOUT ? shmx_semaphore_holder(&self->semaphore) : 0;
  return lobject_return(L, &self->base, status, holder);
}

static int semaphore_release(lua_State *L) {
  struct lsemaphore *self = check(L);
  uint32_t count = lua_isnoneornil(L, 2) ? 1 : check_count(L, 2, self);
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0) status = shmx_semaphore_release(&self->semaphore, count);
  if (status == -EPERM)
    return luaL_error(L, "%s: this thread has taken %d permits, and cannot release %d",
                      lobject_push_name(L, &self->base), (int)shmx_semaphore_held(&self->semaphore),
                      (int)count);
  return lobject_return(L, &self->base, status, 0);
}

static int semaphore_value(lua_State *L) {
  struct lsemaphore *self = check(L);
  int status = shmx_arena_object_check(&self->base.object);
  if (status != 0) return lobject_return(L, &self->base, status, 0);
  lua_pushinteger(L, shmx_semaphore_value(&self->semaphore));
  return 1;
}

void lsemaphore_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"acquire", semaphore_acquire},
                                     {"release", semaphore_release},
                                     {"value", semaphore_value},
                                     {NULL, NULL}};
  lobject_register(L, &lsemaphore_type, methods);
}
