/* lmutex.c: m:lock, m:trylock, m:unlock, m:guard, m:with. Touches core. */
#include "lua/lmutex.h"
#include "lua/lguard.h"
#include "lua/lwait.h"

static void opened(struct lobject *self, uint64_t count) {
  (void)count;
  shmx_mutex_open(&((struct lmutex *)self)->mutex, self->object.memory.object.data);
}

static void closing(shmx_arena_object *object) {
  struct lobject *base = (struct lobject *)((char *)object - offsetof(struct lobject, object));
  shmx_mutex_close(&((struct lmutex *)base)->mutex);
}

const struct lobject_type lmutex_type = {"shm.mutex", SHMX_KIND_MUTEX, sizeof(struct lmutex),
                                         opened,      closing,         0};

static struct lmutex *check(lua_State *L) {
  return lobject_check(L, 1, &lmutex_type);
}

/* ---- locking ---- */

static int try_lock(struct lobject *self, void *context, int64_t deadline) {
  (void)context;
  return shmx_mutex_lock(&((struct lmutex *)self)->mutex, deadline);
}

/* The free mutex first: it needs no clock. */
int lmutex_lock(lua_State *L, struct lmutex *self, int64_t deadline) {
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0) status = shmx_mutex_trylock(&self->mutex);
  if (status == -EBUSY) status = lobject_wait(L, &self->base, try_lock, NULL, deadline);
  if (status == 0 || status == -EOWNERDEAD) self->base.turn++;
  return status;
}

/* Who is in the way; nobody, where the mutex may not be looked at. */
static uint32_t holder_of(struct lmutex *self) {
  return shmx_arena_object_check(&self->base.object) == 0 ? shmx_mutex_holder(&self->mutex) : 0;
}

static int result(lua_State *L, struct lmutex *self, int status) {
  if (status == 0) return lua_pushboolean(L, 1), 1;
  return lobject_return(L, &self->base, status, holder_of(self));
}

static int mutex_lock(lua_State *L) {
  struct lmutex *self = check(L);
  int64_t deadline = lwait_check_deadline(L, 2);
  return result(L, self, lmutex_lock(L, self, deadline));
}

static int mutex_trylock(lua_State *L) {
  struct lmutex *self = check(L);
  int status = lmutex_lock(L, self, 0);
  return result(L, self, status == -ETIMEDOUT ? -EBUSY : status);
}

static int unlock(struct lobject *base) {
  struct lmutex *self = (struct lmutex *)base;
  return shmx_mutex_unlock(&self->mutex);
}

static void abandon(struct lobject *base) {
  shmx_mutex_abandon(&((struct lmutex *)base)->mutex);
}

/* A mutex that was removed while we held it: there is nothing left to unlock for anybody. */
static int mutex_unlock(lua_State *L) {
  struct lmutex *self = check(L);
  int status = shmx_arena_object_check(&self->base.object);
  return result(L, self, status == 0 ? unlock(&self->base) : status);
}

static int mutex_ownerdead(lua_State *L) {
  struct lmutex *self = check(L);
  bool open = shmx_arena_object_check(&self->base.object) == 0;
  lua_pushboolean(L, open && shmx_mutex_owner_died(&self->mutex));
  return 1;
}

/* ---- holding it for a while ---- */

static int mutex_guard(lua_State *L) {
  struct lmutex *self = check(L);
  int64_t deadline = lwait_check_deadline(L, 2);
  lguard_push(L, unlock, abandon);
  int status = lmutex_lock(L, self, deadline);
  return lguard_return(L, &self->base, status, status != 0 ? holder_of(self) : 0);
}

enum { WITH_MUTEX = 1, WITH_GUARD, WITH_FUNCTION };

/* The function has ended, or raised, or been resumed after a yield: unlock, and pass it on. */
static int finish_with(lua_State *L, int status, lua_KContext context) {
  (void)context;
  struct lmutex *self = lua_touserdata(L, WITH_MUTEX);
  if (self->base.object.memory.object.data != NULL && shmx_mutex_is_mine(&self->mutex))
    unlock(&self->base);
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  return lua_gettop(L) - WITH_GUARD;
}

/* The function is at 2 afterwards; a timeout may stand before it. */
static int64_t check_with(lua_State *L) {
  int64_t deadline = SHMX_FOREVER;
  bool timed = lua_type(L, 2) == LUA_TNUMBER || (lua_isnil(L, 2) && lua_gettop(L) > 2);
  if (timed) {
    deadline = lwait_check_deadline(L, 2);
    lua_remove(L, 2);
  }
  if (lua_isfunction(L, 2)) return deadline;
  if (luaL_getmetafield(L, 2, "__call") == LUA_TNIL) luaL_typeerror(L, 2, "function");
  lua_pop(L, 1);
  return deadline;
}

/* The guard is for a function that never comes back, in a coroutine that is closed or collected:
 * where the function cannot yield, there is none. */
static int mutex_with(lua_State *L) {
  struct lmutex *self = check(L);
  bool guarded = lua_isyieldable(L);
  int64_t deadline = check_with(L);
  if (guarded)
    lguard_push(L, unlock, abandon);
  else
    lua_pushnil(L);
  lua_insert(L, WITH_GUARD);
  if (guarded) lua_toclose(L, WITH_GUARD);
  int status = lmutex_lock(L, self, deadline);
  if (status != 0 && status != -EOWNERDEAD) return result(L, self, status);
  if (guarded) lguard_hold(L, WITH_GUARD, &self->base);
  status = lua_pcallk(L, lua_gettop(L) - WITH_FUNCTION, LUA_MULTRET, 0, 0, finish_with);
  return finish_with(L, status, 0);
}

void lmutex_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"lock", mutex_lock},   {"trylock", mutex_trylock}, {"unlock", mutex_unlock},
      {"guard", mutex_guard}, {"with", mutex_with},       {"ownerdead", mutex_ownerdead},
      {NULL, NULL},
  };
  lobject_register(L, &lmutex_type, methods);
}
