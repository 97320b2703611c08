/* lchannel.h: channels, topics and services of an arena as userdata. Touches core. */
#ifndef SHMX_LUA_LCHANNEL_H
#define SHMX_LUA_LCHANNEL_H

#include "lua/lobject.h"

/* Make the metatables. Push nothing. */
void lchannel_register(lua_State *L);
void ltopic_register(lua_State *L);
void lservice_register(lua_State *L);

/* a:channel(name, size [, opts]) and so on; the arena is at 1. */
int lchannel_open(lua_State *L);
int ltopic_open(lua_State *L);
int lservice_open(lua_State *L);

#endif
