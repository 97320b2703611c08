/*
 * gcstress.c SCRIPT: runs a script in a Lua state that collects all garbage at every allocation:
 * each request for memory is refused once, and Lua then collects what it can and asks again. Or in
 * one whose memory is used up after some requests. Touches lua.h.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static bool refuse; /* requests for memory, the first time; off while the script prepares */
static long collections;
static bool starves;  /* there is no more memory after */
static long requests; /* so many requests */

static void *allocate(void *unused, void *block, size_t old, size_t new) {
  (void)unused, (void)old;
  if (new == 0) return free(block), NULL;
  bool grows = block == NULL || new > old;
  if (starves && grows && requests-- <= 0) return requests = 0, NULL;
  if (refuse && (block == NULL || new > old)) {
    static bool refused;
    refused = !refused;
    collections += refused;
    if (refused) return NULL;
  }
  return realloc(block, new);
}

/* stress(on): from now on refuse, or not. */
static int stress(lua_State *L) {
  refuse = lua_toboolean(L, 1);
  return 0;
}

/* starve(n, f, ...): calls f as pcall does; there is memory for n requests, and then for none until
 * f has ended. */
static int starve(lua_State *L) {
  long count = (long)luaL_checkinteger(L, 1);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  requests = count;
  starves = true;
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  starves = false;
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1);
  return lua_gettop(L);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  lua_register(L, "stress", stress);
  lua_register(L, "starve", starve);
  bool failed = luaL_dofile(L, argv[1]);
  refuse = false;
  if (failed) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  printf("%s with %ld collections\n", failed ? "failed" : "passed", collections);
  return failed;
}
