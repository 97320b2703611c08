/* lsync.h: rwlocks, semaphores, conditions and barriers of an arena as userdata. Touches core. */
#ifndef SHMX_LUA_LSYNC_H
#define SHMX_LUA_LSYNC_H

#include "lua/lobject.h"

extern const struct lobject_type lrwlock_type;    /* lrwlock.c */
extern const struct lobject_type lsemaphore_type; /* lsemaphore.c */
extern const struct lobject_type lcondition_type; /* lcondition.c */
extern const struct lobject_type lbarrier_type;   /* lbarrier.c */

/* Each makes its metatable, "shm.rwlock" and so on. They push nothing. */
void lrwlock_register(lua_State *L);
void lsemaphore_register(lua_State *L);
void lcondition_register(lua_State *L);
void lbarrier_register(lua_State *L);

#endif
