/* lmutex.h: mutexes of an arena as userdata. Touches core. */
#ifndef SHMX_LUA_LMUTEX_H
#define SHMX_LUA_LMUTEX_H

#include "lua/lobject.h"

struct lmutex {
  struct lobject base;
  shmx_mutex mutex;
};

extern const struct lobject_type lmutex_type;

/* Makes the metatable "shm.mutex". Pushes nothing. */
void lmutex_register(lua_State *L);

/* Locks, as long as it takes. Returns the status. */
int lmutex_lock(lua_State *L, struct lmutex *self, int64_t deadline);

#endif
