/* lguard.h: something held for a while, given up by <close>. Touches core. */
#ifndef SHMX_LUA_LGUARD_H
#define SHMX_LUA_LGUARD_H

#include "lua/lobject.h"

/* Makes the metatable "shm.guard". Pushes nothing. */
void lguard_register(lua_State *L);

/* Gives up what the thread holds of the object; -EPERM where it holds nothing. */
typedef int lguard_release(struct lobject *self);

/* Gives it up as if its holder had died: nobody has said that all is well. */
typedef void lguard_abandon(struct lobject *self);

/* Pushes a guard, of nothing yet, for the object at 1. Nothing is held before: it may raise. */
void lguard_push(lua_State *L, lguard_release *release, lguard_abandon *abandon);

/* The object was locked, and what its locking holds is from now on the guard's, at `index`. */
void lguard_hold(lua_State *L, int index, struct lobject *object);

/*
 * The guard is at the top, and `status` says how its object was taken. Returns what the method
 * returns: the guard; the guard and "EOWNERDEAD"; or as lobject_return.
 */
int lguard_return(lua_State *L, struct lobject *self, int status, uint32_t holder);

#endif
