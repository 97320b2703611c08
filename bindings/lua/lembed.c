/* lembed.c: what a C host pushes and gets back: shmx_lua.h. Touches core. */
#include "lua/larena.h"
#include "lua/lsegment.h"
#include "lua/shmx_lua.h"

#include <lauxlib.h>

/* The metatables are there from when the module was opened. */
static void ensure_module(lua_State *L) {
  luaL_checkstack(L, 8, "no room for a handle");
  luaL_requiref(L, "shm", luaopen_shm, 0);
  lua_pop(L, 1);
}

shmx_segment *shmx_lua_push_segment(lua_State *L, shmx_segment *segment) {
  ensure_module(L);
  shmx_segment *pushed = lsegment_new(L);
  if (segment != NULL) {
    *pushed = *segment;
    *segment = (shmx_segment){0};
  }
  return pushed;
}

shmx_segment *shmx_lua_check_segment(lua_State *L, int index) {
  shmx_segment *segment = lsegment_test(L, index);
  if (segment == NULL) luaL_typeerror(L, index, "shm.segment");
  return segment;
}

shmx_arena *shmx_lua_push_arena(lua_State *L, shmx_arena *arena) {
  ensure_module(L);
  shmx_arena *pushed = larena_new(L);
  if (arena != NULL) shmx_arena_move(arena, pushed);
  return pushed;
}

shmx_arena *shmx_lua_check_arena(lua_State *L, int index) {
  shmx_arena *arena = larena_test(L, index);
  if (arena == NULL) luaL_typeerror(L, index, "shm.arena");
  return arena;
}
