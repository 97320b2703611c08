/* lrwlock.c: rw:read and rw:write, which return guards. Touches core. */
#include "lua/lguard.h"
#include "lua/lsync.h"
#include "lua/lwait.h"

struct lrwlock {
  struct lobject base;
  shmx_rwlock rwlock;
};

static void opened(struct lobject *self, uint64_t count) {
  (void)count;
  shmx_rwlock_open(&((struct lrwlock *)self)->rwlock, self->object.memory.object.data);
}

static void closing(shmx_arena_object *object) {
  struct lobject *base = (struct lobject *)((char *)object - offsetof(struct lobject, object));
  shmx_rwlock_close(&((struct lrwlock *)base)->rwlock);
}

const struct lobject_type lrwlock_type = {"shm.rwlock", SHMX_KIND_RWLOCK, sizeof(struct lrwlock),
                                          opened,       closing,          0};

static int try_read(struct lobject *self, void *context, int64_t deadline) {
  (void)context;
  return shmx_rwlock_read(&((struct lrwlock *)self)->rwlock, deadline);
}

static int try_write(struct lobject *self, void *context, int64_t deadline) {
  (void)context;
  return shmx_rwlock_write(&((struct lrwlock *)self)->rwlock, deadline);
}

static int unlock(struct lobject *self) {
  return shmx_rwlock_unlock(&((struct lrwlock *)self)->rwlock);
}

static void abandon(struct lobject *self) {
  shmx_rwlock_abandon(&((struct lrwlock *)self)->rwlock);
}

static int take(lua_State *L, lobject_try *try) {
  struct lrwlock *self = lobject_check(L, 1, &lrwlock_type);
  int64_t deadline = lwait_check_deadline(L, 2);
  lguard_push(L, unlock, abandon);
  int status = lobject_wait(L, &self->base, try, NULL, deadline);
  bool refused = status == -ETIMEDOUT || status == -EDEADLK;
  return lguard_return(L, &self->base, status, refused ? shmx_rwlock_holder(&self->rwlock) : 0);
}

static int rwlock_read(lua_State *L) {
  return take(L, try_read);
}

static int rwlock_write(lua_State *L) {
  return take(L, try_write);
}

void lrwlock_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", rwlock_read}, {"write", rwlock_write}, {NULL, NULL}};
  lobject_register(L, &lrwlock_type, methods);
}
