/* linspect.h: seg:inspect. Touches core. */
#ifndef SHMX_LUA_LINSPECT_H
#define SHMX_LUA_LINSPECT_H

#include <lua.h>

/* segment:inspect() */
int linspect_segment(lua_State *L);

#endif
