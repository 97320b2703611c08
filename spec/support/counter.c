/*
 * counter.c [SCRIPT]: runs a script in a Lua with shm inside and count(name, run), which prints the
 * name and calls run(CALLS) by way of counted(): what callgrind is told to count. All is linked
 * into one program, at fixed addresses, and hashes with fixed seeds, so that the tables of any run
 * look the same. Without a script, it says what it is made of. Touches lua.h, shmx_lua.h.
 */
#include "lua/shmx_lua.h"

#include <gnu/libc-version.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

enum { CALLS = 1000, FIRST_CALLS = 100 }; /* the first make what later ones find */

/* What else would be another number each time, for the linker's --wrap. Lua's luaS_hash makes a
 * state's seed of addresses and the time; strings are hashed by what lstring.c itself has. */
unsigned __wrap_luaS_hash(const char *text, size_t length, unsigned seed);
uint64_t __wrap_shmx_random(void);

unsigned __wrap_luaS_hash(const char *text, size_t length, unsigned seed) {
  (void)text, (void)length, (void)seed;
  return 1;
}

uint64_t __wrap_shmx_random(void) {
  static uint64_t made;
  return ++made * 0x9e3779b97f4a7c15;
}

/* What malloc costs depends on all that was freed before; this costs always the same. */
static void *allocate(void *unused, void *block, size_t old, size_t new) {
  static _Alignas(16) char heap[1 << 24];
  static size_t used;
  (void)unused;
  if (new == 0) return NULL;
  if (block != NULL && new <= old) return block;
  char *fresh = heap + used;
  used += (new + 15) & ~(size_t)15;
  if (used > sizeof heap) return NULL;
  return block == NULL ? fresh : memcpy(fresh, block, old);
}

static void call(lua_State *L, lua_Integer times) {
  lua_pushvalue(L, 2);
  lua_pushinteger(L, times);
  lua_call(L, 1, 0);
}

/* Known to callgrind by its name. What follows the call keeps it from becoming a jump. */
__attribute__((noinline)) static void counted(lua_State *L) {
  call(L, CALLS);
  __asm__ volatile("");
}

static int count(lua_State *L) {
  printf("%s x %d\n", luaL_checkstring(L, 1), CALLS);
  call(L, FIRST_CALLS);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCSTOP);
  counted(L);
  lua_gc(L, LUA_GCRESTART);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 2)
    return printf("%s, glibc %s, %s\n", __VERSION__, gnu_get_libc_version(), LUA_RELEASE), 0;
  lua_State *L = lua_newstate(allocate, NULL);
  luaL_openlibs(L);
  luaL_requiref(L, "shm", luaopen_shm, 0);
  lua_register(L, "count", count);
  lua_settop(L, 0);
  bool failed = luaL_dofile(L, argv[1]);
  if (failed) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed;
}
