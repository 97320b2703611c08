/*
 * baseline.c: what the machine can do, as Lua functions that segment.lua compares shm with: an
 * empty call, bare copies, bare system calls, the clock. They believe their arguments: a wrong
 * address ends the process. Touches libc only; nothing of shm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

enum { MODE = 0600 };

/* ---- calls and copies ---- */

static int baseline_now(lua_State *L) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  lua_pushnumber(L, (lua_Number)now.tv_sec + (lua_Number)now.tv_nsec * 1e-9);
  return 1;
}

static int baseline_nothing(lua_State *L) {
  (void)L;
  return 0;
}

static void *to_address(lua_State *L, int index) {
  return (void *)(uintptr_t)luaL_checkinteger(L, index);
}

/* memcpy(address, data) */
static int baseline_memcpy(lua_State *L) {
  size_t length;
  void *address = to_address(L, 1);
  const char *data = luaL_checklstring(L, 2, &length);
  memcpy(address, data, length);
  return 0;
}

/* pushlstring(address, n) --> n bytes from there */
static int baseline_pushlstring(lua_State *L) {
  const char *address = to_address(L, 1);
  lua_pushlstring(L, address, (size_t)luaL_checkinteger(L, 2));
  return 1;
}

/* ---- create, attach, detach, remove ---- */

/*
 * Both cycles make each call whether or not those before it succeeded, so that nothing stays
 * behind: with what a failed call returned, shmdt, munmap and close do nothing but fail.
 */
static int finish(lua_State *L, bool done, const char *what) {
  return done ? 0 : luaL_error(L, "%s: %s", what, strerror(errno));
}

/* sysv_cycle(key, size) */
static int baseline_sysv_cycle(lua_State *L) {
  key_t key = (key_t)luaL_checkinteger(L, 1);
  size_t size = (size_t)luaL_checkinteger(L, 2);
  int created = shmget(key, size, IPC_CREAT | IPC_EXCL | MODE);
  if (created < 0) return finish(L, false, "shmget"); /* it is another's: remove nothing */
  void *first = shmat(created, NULL, 0);
  int found = shmget(key, 0, 0);
  void *second = shmat(found, NULL, 0);
  bool done = shmdt(second) == 0;
  done &= shmctl(created, IPC_RMID, NULL) == 0;
  done &= shmdt(first) == 0;
  return finish(L, done, "sysv_cycle");
}

/* posix_cycle(name, size) */
static int baseline_posix_cycle(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t size = (size_t)luaL_checkinteger(L, 2);
  int created = shm_open(name, O_CREAT | O_EXCL | O_RDWR, MODE);
  if (created < 0) return finish(L, false, "shm_open"); /* it is another's: remove nothing */
  bool done = ftruncate(created, (off_t)size) == 0;
  done &= posix_fallocate(created, 0, (off_t)size) == 0;
  void *first = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, created, 0);
  close(created);

  struct stat stat = {0};
  int found = shm_open(name, O_RDWR, 0);
  done &= fstat(found, &stat) == 0;
  size_t length = (size_t)stat.st_size;
  void *second = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, found, 0);
  close(found);

  done &= munmap(second, length) == 0;
  done &= shm_unlink(name) == 0;
  done &= munmap(first, size) == 0;
  return finish(L, done, "posix_cycle");
}

static const luaL_Reg functions[] = {
    {"now", baseline_now},
    {"nothing", baseline_nothing},
    {"memcpy", baseline_memcpy},
    {"pushlstring", baseline_pushlstring},
    {"sysv_cycle", baseline_sysv_cycle},
    {"posix_cycle", baseline_posix_cycle},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_baseline(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushliteral(L, LUA_RELEASE);
  lua_setfield(L, -2, "lua_release");
  return 1;
}
