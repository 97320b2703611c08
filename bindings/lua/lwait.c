/* lwait.c: deadlines, and the hook that runs after a signal. Touches core. */
#include "lua/lwait.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>

int64_t lwait_check_deadline(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return SHMX_FOREVER;
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, !isnan(seconds), index, "a timeout is a number of seconds");
  return shmx_clock_deadline(seconds);
}

bool lwait_is_patient(lua_State *L, int index) {
  return lua_isnoneornil(L, index) || lua_tonumber(L, index) > 0;
}

int64_t lwait_slice(int64_t deadline) {
  int64_t slice = shmx_clock_now() + LWAIT_SLICE;
  return slice < deadline ? slice : deadline;
}

bool lwait_goes_on(int status, int64_t deadline) {
  return status == -EINTR || (status == -ETIMEDOUT && shmx_clock_now() < deadline);
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* A call is where the interpreter runs its hook. */
void lwait_run_hook(lua_State *L) {
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
}

bool lwait_try_hook(lua_State *L) {
  lua_pushcfunction(L, nothing);
  return lua_pcall(L, 0, 0, 0) == LUA_OK;
}
