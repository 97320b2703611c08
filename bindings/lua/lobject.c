/* lobject.c: opening, naming and closing objects of an arena; waiting for them. Touches core. */
#include "lua/lobject.h"
#include "lua/larg.h"
#include "lua/larena.h"
#include "lua/lerror.h"
#include "lua/lfact.h"
#include "lua/lsealed.h"
#include "lua/luser.h"
#include "lua/lwait.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ---- the userdata ---- */

void lobject_raise_type(lua_State *L, int index, const struct lobject_type *type) {
  char expected[64]; /* on the stack, it would be the argument that is missing */
  const char *hint = index == 1 ? " (methods are called with a colon)" : "";
  snprintf(expected, sizeof expected, "%s%s", type->name, hint);
  luaL_typeerror(L, index, expected);
}

struct lobject *lobject_test(lua_State *L, int index, const struct lobject_type *type) {
  struct lobject *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == type->size && self->type == type;
  return ours ? self : NULL;
}

static struct lobject *new_object(lua_State *L, const struct lobject_type *type) {
  struct lobject *self = lua_newuserdatauv(L, type->size, 1 + type->more_values);
  memset(self, 0, type->size);
  self->type = type;
  luaL_setmetatable(L, type->name);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return self;
}

static int object_close(lua_State *L) {
  struct lobject *self = lua_touserdata(L, 1);
  shmx_arena_object_close(&self->object);
  return 0;
}

static int object_tostring(lua_State *L) {
  const struct lobject *self = lua_touserdata(L, 1);
  const char *name = lobject_push_name(L, self);
  if (self->object.memory.object.data == NULL) lua_pushfstring(L, "%s (closed)", name);
  return 1;
}

/* All types, by kind: the same in every Lua state. */
static _Atomic(const struct lobject_type *) types[SHMX_KINDS];

static bool is_type(const void *pointer) {
  for (uint32_t kind = 0; kind < SHMX_KINDS; kind++)
    if (pointer != NULL && atomic_load_explicit(&types[kind], memory_order_relaxed) == pointer)
      return true;
  return false;
}

/* Metamethods get what Lua has checked, but debug.getmetatable leads to them, too, and
 * debug.setupvalue to their type: without it, they know any object by its own, so that it is closed
 * in any case. */
static int checked(lua_State *L, lua_CFunction function) {
  const struct lobject_type *type = lua_touserdata(L, lua_upvalueindex(1));
  const struct lobject *self = lua_touserdata(L, 1);
  if (!is_type(type) && self != NULL && lua_rawlen(L, 1) >= sizeof *self && is_type(self->type))
    type = self->type;
  luser_check(L, is_type(type));
  lobject_check(L, 1, type);
  return function(L);
}

static int object_gc(lua_State *L) {
  return checked(L, object_close);
}

static int checked_tostring(lua_State *L) {
  return checked(L, object_tostring);
}

void lobject_register(lua_State *L, const struct lobject_type *type, const luaL_Reg *methods) {
  static const luaL_Reg metamethods[] = {
      {"__gc", object_gc}, {"__tostring", checked_tostring}, {NULL, NULL}};
  atomic_store_explicit(&types[type->kind], type, memory_order_relaxed);
  luaL_newmetatable(L, type->name);
  lua_pushlightuserdata(L, (void *)type);
  luaL_setfuncs(L, metamethods, 1);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lsealed_set(L, type->name + strlen("shm."));
  lua_pop(L, 1);
}

/* ---- opening ---- */

static const char *check_name(lua_State *L, int index) {
  const char *name = larg_cstring(L, index, "name");
  size_t length = strlen(name);
  if (length == 0 || length > SHMX_ARENA_NAME_MAX)
    luaL_argerror(L, index,
                  lua_pushfstring(L, "the name of an object has 1 to 63 bytes, and not %d",
                                  (int)(length < INT_MAX ? length : INT_MAX)));
  return name;
}

/* Pushes the userdata that the arena keeps under the name, if it is open and of this kind. */
static struct lobject *push_kept(lua_State *L, int name, const shmx_kind *kind,
                                 const struct lobject_type *type) {
  luser_push_table(L, 1, LARENA_OBJECTS);
  lua_pushvalue(L, name);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  struct lobject *self = lobject_test(L, -1, type);
  if (self != NULL && self->layout == kind->layout && shmx_arena_object_check(&self->object) == 0)
    return self;
  lua_pop(L, 1);
  return NULL;
}

static void keep(lua_State *L, int name) {
  luser_push_table(L, 1, LARENA_OBJECTS);
  lua_pushvalue(L, name);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* The arena takes its memory as objects are made, and there was not enough. */
static int fail_memory(lua_State *L, const shmx_arena *arena, const char *name,
                       const shmx_kind *kind) {
  const char *thing = lua_pushfstring(L, "%s \"%s\" of %s", shmx_kind_name(kind->id), name,
                                      larena_push_name(L, arena));
  shmx_limits limits;
  if (arena->segment.object.backing != SHMX_POSIX || shmx_limits_get(&limits) != 0)
    return lerror_return(L, -ENOMEM, thing);
  lua_pushfstring(L,
                  "%s needs %I bytes of memory, and /dev/shm has %I left; remove what is not "
                  "needed there, or let the arena reserve its memory when it is made",
                  thing, (LUAI_UACINT)kind->size, (LUAI_UACINT)limits.posix_free);
  return lerror_return_message(L, -ENOMEM);
}

static int fail(lua_State *L, const shmx_arena *arena, const char *name, const shmx_kind *kind,
                int status, const shmx_facts *facts) {
  if (status == -ENOMEM) return fail_memory(L, arena, name, kind);
  if (status == -ETIMEDOUT)
    return lerror_return_locked(L, larena_push_name(L, arena), arena->held_by);
  return lfact_return_object(L, status, facts, arena, name, kind);
}

/* What was removed keeps its memory until the garbage that has it open is collected. */
static int find(lua_State *L, shmx_arena *arena, const char *name, const shmx_kind *kind,
                struct lobject *self) {
  int status = shmx_arena_find(arena, name, kind, &self->object);
  if (status != -ENOSPC && status != -EUSERS) return status;
  lua_gc(L, LUA_GCCOLLECT);
  larena_check(L); /* a finalizer may have closed it */
  return shmx_arena_find(arena, name, kind, &self->object);
}

struct lobject *lobject_open(lua_State *L, shmx_arena *arena, int index, const shmx_kind *kind,
                             const struct lobject_type *type) {
  const char *name = check_name(L, index);
  struct lobject *self = push_kept(L, index, kind, type);
  if (self != NULL) return self;
  self = new_object(L, type);
  larena_check(L); /* a finalizer may have closed it */
  int status = find(L, arena, name, kind, self);
  if (status != 0) {
    fail(L, arena, name, kind, status, &self->object.memory.object.facts);
    return NULL;
  }
  self->layout = kind->layout;
  if (type->open != NULL) type->open(self, kind->count);
  self->object.closing = type->closing;
  keep(L, index);
  return self;
}

/* ---- messages ---- */

const char *lobject_push_name(lua_State *L, const struct lobject *self) {
  const shmx_arena_object *object = &self->object;
  const char *kind = shmx_kind_name(self->type->kind);
  const char *name = object->memory.object.posix;
  if (object->arena == NULL) return lua_pushfstring(L, "%s \"%s\"", kind, name);
  return lua_pushfstring(L, "%s \"%s\" of %s", kind, name, larena_push_name(L, object->arena));
}

static const char *push_holder(lua_State *L, uint32_t holder) {
  return holder == 0 ? "nobody holds it" : lua_pushfstring(L, "process %d holds it", (int)holder);
}

/* What lvalue_push has found is at the top. */
static int return_foreign(lua_State *L, const struct lobject *self) {
  const char *found = lua_tostring(L, -1);
  lua_pushfstring(L, "%s %s", lobject_push_name(L, self), found);
  return lerror_return_message(L, -EPROTO);
}

int lobject_return(lua_State *L, struct lobject *self, int status, uint32_t holder) {
  if (status == -EPROTO) return return_foreign(L, self);
  lua_pushboolean(L, 1);
  if (status == 0) return 1;
  if (status == -EOWNERDEAD) return lua_pushliteral(L, "EOWNERDEAD"), 2;
  const char *thing = lobject_push_name(L, self);
  switch (status) {
  case -EBADF:
    return luaL_error(L, "%s is closed", thing);
  case -EDEADLK:
    return luaL_error(
        L, "%s is held by this thread of process %d already, which would wait for itself", thing,
        (int)holder);
  case -EPERM:
    return luaL_error(L, "%s is not held by this thread: %s", thing, push_holder(L, holder));
  case -EBUSY:
    lua_pushfstring(L, "%s is held: %s", thing, push_holder(L, holder));
    return lerror_return_message(L, status);
  case -ETIMEDOUT:
    if (holder == 0) return lerror_return(L, status, thing);
    lua_pushfstring(L, "%s was not to be had in time: %s", thing, push_holder(L, holder));
    return lerror_return_message(L, status);
  case -EUSERS:
    return lfact_return(L, status, &self->object.arena->segment.object.facts,
                        larena_push_name(L, self->object.arena));
  default:
    return lerror_return(L, status, thing);
  }
}

int lobject_return_locked(lua_State *L, const struct lobject *self, uint32_t holder) {
  return lerror_return_locked(L, lobject_push_name(L, self), holder);
}

int lobject_return_finished(lua_State *L, const struct lobject *self) {
  lua_pushfstring(L, "%s is finished; to begin anew, a:remove(\"%s\") and open it again",
                  lobject_push_name(L, self), self->object.memory.object.posix);
  return lerror_return_message(L, -EPIPE);
}

/* ---- waiting ---- */

int lobject_wait(lua_State *L, struct lobject *self, lobject_try *try, void *context,
                 int64_t deadline) {
  int64_t now = shmx_clock_now(), give_up = SHMX_FOREVER;
  if (deadline == LOBJECT_LOCK_DEADLINE) deadline = now + SHMX_LOCK_TIMEOUT;
  for (;;) {
    int status = shmx_arena_object_check(&self->object);
    if (status != 0) return status;
    int64_t slice = now + LWAIT_SLICE;
    self->held_by = 0;
    status = try(self, context, slice < deadline ? slice : deadline);
    if (status != -EINTR && status != -ETIMEDOUT) return status;
    if (self->held_by == 0)
      give_up = SHMX_FOREVER;
    else if (give_up == SHMX_FOREVER)
      give_up = now + SHMX_LOCK_TIMEOUT;
    now = shmx_clock_now();
    if (status == -ETIMEDOUT && now >= deadline) return status;
    if (now >= give_up) return -ETIMEDOUT;
    lwait_run_hook(L); /* a signal may also have come while we were not asleep */
    now = shmx_clock_now();
  }
}

int lobject_attempt(lua_State *L, struct lobject *self, lobject_try *try, void *context,
                    int64_t deadline) {
  int status = shmx_arena_object_check(&self->object);
  if (status == 0) status = try(self, context, 0);
  bool later = status == -ETIMEDOUT || status == -EINTR;
  return later ? lobject_wait(L, self, try, context, deadline) : status;
}
