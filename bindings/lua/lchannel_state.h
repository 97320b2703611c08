/*
 * lchannel_state.h: channels as userdata, for the files of their methods. Touches core.
 */
#ifndef SHMX_LUA_LCHANNEL_STATE_H
#define SHMX_LUA_LCHANNEL_STATE_H

#include "lua/lobject.h"

struct lchannel {
  struct lobject base;
  shmx_channel channel;
  uint64_t batch;             /* messages that receive_all tries at most; 0: all that are there */
  size_t unit;                /* bytes of an element of what is reserved */
  struct lwindow *windows[2]; /* those of the user values that are open; or NULL */
};

extern const struct lobject_type lchannel_type;

static inline struct lchannel *lchannel_check(lua_State *L) {
  return lobject_check(L, 1, &lchannel_type);
}

/* What a failed method returns. `end` is the end that was to be used; `waited`: not only tried. */
int lchannel_fail(lua_State *L, struct lchannel *self, int status, int end, bool waited);

int lchannel_receive(lua_State *L); /* lchannel_receive.c */
int lchannel_receive_all(lua_State *L);
int lchannel_messages(lua_State *L);

#endif
