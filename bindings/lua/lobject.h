/*
 * lobject.h: what all objects of an arena have in common as userdata. Touches core.
 *
 * Each is a struct that begins with a struct lobject; its user value is the arena, which therefore
 * lives as long. The arena keeps the userdata of what was opened by name, so that a:mutex "m" is
 * the same each time, and closes all of them when it is closed.
 */
#ifndef SHMX_LUA_LOBJECT_H
#define SHMX_LUA_LOBJECT_H

#include "shmx.h"

#include <lauxlib.h>
#include <lua.h>

struct lobject {
  const struct lobject_type *type; /* ours */
  shmx_arena_object object;        /* closed at first; fork leaves it to be looked at */
  uint64_t layout;                 /* of its kind */
  uint64_t turn;                   /* the how manieth locking through it: lguard.c */
  uint32_t held_by; /* the process at whose lock the last try has failed, if others have that for
                       nanoseconds; else 0 */
};

/* A type of userdata. Its address is the tag by which a userdata is known. */
struct lobject_type {
  const char *name; /* of the metatable: "shm.mutex" */
  uint32_t kind;
  size_t size;                                    /* of the struct */
  void (*open)(struct lobject *, uint64_t count); /* the memory is there; or NULL */
  void (*closing)(shmx_arena_object *);           /* the memory is still there; or NULL */
  int more_values; /* user values beyond the first, which is the arena */
};

/* Makes a metatable with these methods and metamethods. Pushes nothing. */
void lobject_register(lua_State *L, const struct lobject_type *type, const luaL_Reg *methods);

/*
 * Finds or makes the object whose name is at `name`, in the arena `arena` at 1, and pushes its
 * userdata. NULL: pushed nil, a message and a code.
 */
struct lobject *lobject_open(lua_State *L, shmx_arena *arena, int name, const shmx_kind *kind,
                             const struct lobject_type *type);

/* Raises that the argument at `index` is no such userdata. Does not return. */
void lobject_raise_type(lua_State *L, int index, const struct lobject_type *type);

/* The userdata of this type at `index`; raises where there is none. */
static inline void *lobject_check(lua_State *L, int index, const struct lobject_type *type) {
  struct lobject *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == type->size && self->type == type;
  if (!ours) lobject_raise_type(L, index, type);
  return self;
}

/* The object at `index` if it is of the type, else NULL. */
struct lobject *lobject_test(lua_State *L, int index, const struct lobject_type *type);

/* Pushes what an object is called in messages, 'mutex "m" of arena "/app"', and returns it. */
const char *lobject_push_name(lua_State *L, const struct lobject *self);

/*
 * What a method returns for a status: true; true, "EOWNERDEAD"; or nil, a message and a code. What
 * is misuse raises. `holder` is who is in the way, or 0. With -EPROTO, what lvalue_push has pushed
 * is at the top.
 */
int lobject_return(lua_State *L, struct lobject *self, int status, uint32_t holder);

/* Returns nil, that the object's lock was not to be had, and "ETIMEDOUT"; by `holder`, or 0. */
int lobject_return_locked(lua_State *L, const struct lobject *self, uint32_t holder);

/* Returns nil, that the object is finished, "EPIPE". */
int lobject_return_finished(lua_State *L, const struct lobject *self);

/* One try to have something, until a deadline. */
typedef int lobject_try(struct lobject *self, void *context, int64_t deadline);

/* The deadline of a call without a timeout that waits for a lock which others have for nanoseconds,
 * and for nothing else: SHMX_LOCK_TIMEOUT from when it must wait. */
#define LOBJECT_LOCK_DEADLINE INT64_C(-1)

/*
 * Tries until the deadline, in slices, after each of which it looks whether the object is still
 * there, and runs the script's hook. Gives up before if `held_by` says for SHMX_LOCK_TIMEOUT that
 * one process holds up the others. Returns the status.
 */
int lobject_wait(lua_State *L, struct lobject *self, lobject_try *try, void *context,
                 int64_t deadline);

/* As above, but tries once before, without a look at the clock. */
int lobject_attempt(lua_State *L, struct lobject *self, lobject_try *try, void *context,
                    int64_t deadline);

#endif
