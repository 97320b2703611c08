/* lsemaphores.h: sets of System V semaphores as userdata. Touches core. */
#ifndef SHMX_LUA_LSEMAPHORES_H
#define SHMX_LUA_LSEMAPHORES_H

#include <lua.h>

/* Makes the metatable. */
void lsemaphores_register(lua_State *L);

/* shm.semaphores(key, n [, opts]). */
int lsemaphores_open(lua_State *L);

#endif
