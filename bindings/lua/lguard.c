/* lguard.c: guards as userdata. The user value is the object that is held. Touches core. */
#include "lua/lguard.h"
#include "lua/lsealed.h"

#include <string.h>

#define TYPE_NAME "shm.guard"

struct lguard {
  const void *tag;
  struct lobject *object; /* NULL: nothing is held */
  uint64_t turn;          /* the locking that it is of */
  lguard_release *release;
  lguard_abandon *abandon;
};

static const char tag;

static struct lguard *check(lua_State *L) {
  struct lguard *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &tag;
  if (!ours) luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
  return self;
}

void lguard_push(lua_State *L, lguard_release *release, lguard_abandon *abandon) {
  struct lguard *self = lua_newuserdatauv(L, sizeof *self, 1);
  memset(self, 0, sizeof *self);
  self->tag = &tag;
  self->release = release;
  self->abandon = abandon;
  luaL_setmetatable(L, TYPE_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
}

void lguard_hold(lua_State *L, int index, struct lobject *object) {
  struct lguard *self = lua_touserdata(L, index);
  self->object = object;
  self->turn = ++object->turn;
}

int lguard_return(lua_State *L, struct lobject *object, int status, uint32_t holder) {
  if (status != 0 && status != -EOWNERDEAD) return lobject_return(L, object, status, holder);
  lguard_hold(L, -1, object);
  if (status == 0) return 1;
  lua_pushliteral(L, "EOWNERDEAD");
  return 2;
}

/*
 * The object, if what this guard is of is held still. Once, and only the locking that it is of:
 * what has been locked since is not meant, be it by this thread or by a forked child, which has
 * inherited the guard. Another may have given it up before, and a closed object has done so.
 */
static struct lobject *let_go(struct lguard *self) {
  struct lobject *object = self->object;
  self->object = NULL;
  bool held =
      object != NULL && object->turn == self->turn && object->object.memory.object.data != NULL;
  return held ? object : NULL;
}

static int guard_close(lua_State *L) {
  struct lguard *self = check(L);
  struct lobject *object = let_go(self);
  lua_pushboolean(L, object != NULL && self->release(object) == 0);
  return 1;
}

/* A guard that is lost, or whose Lua state is closed, was not closed where its work was done. */
static int guard_gc(lua_State *L) {
  struct lguard *self = check(L);
  struct lobject *object = let_go(self);
  if (object != NULL) self->abandon(object);
  return 0;
}

static int guard_tostring(lua_State *L) {
  const struct lguard *self = check(L);
  if (self->object == NULL)
    lua_pushliteral(L, "guard (unlocked)");
  else
    lua_pushfstring(L, "guard of %s", lobject_push_name(L, self->object));
  return 1;
}

void lguard_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"unlock", guard_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", guard_gc}, {"__close", guard_close}, {"__tostring", guard_tostring}, {NULL, NULL}};
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lsealed_set(L, "guard");
  lua_pop(L, 1);
}
