/*
 * baseline.c: what the machine can do, as Lua functions that the benchmarks compare shm with: empty
 * calls, bare copies and sums, bare system calls, the clock. They believe their arguments: a wrong
 * address ends the process. Touches libc only; nothing of shm.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

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

/* The least that a C function does as __index: it finds a method by name, in upvalue 1. */
static int find_method(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* object(by_function) --> a userdata whose method `nothing` does nothing; else a table has it */
static int baseline_object(lua_State *L) {
  static const luaL_Reg methods[] = {{"nothing", baseline_nothing}, {NULL, NULL}};
  bool by_function = lua_toboolean(L, 1);
  lua_newuserdatauv(L, 1, 0);
  lua_createtable(L, 0, 1);
  luaL_newlib(L, methods);
  if (by_function) lua_pushcclosure(L, find_method, 1);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  return 1;
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

/* copy(to, from, n): memcpy between addresses */
static int baseline_copy(lua_State *L) {
  memcpy(to_address(L, 1), to_address(L, 2), (size_t)luaL_checkinteger(L, 3));
  return 0;
}

/* memset(address, byte, n) */
static int baseline_memset(lua_State *L) {
  memset(to_address(L, 1), (int)luaL_checkinteger(L, 2), (size_t)luaL_checkinteger(L, 3));
  return 0;
}

/* ---- elements, one by one ---- */

/* load_f64(address, n), store_f64(address, n): so many loads, or stores, none of which may be left
 * out. Elements of other types likewise. */
#define ELEMENTS(name, type)                                                                       \
  static int baseline_load_##name(lua_State *L) {                                                  \
    const volatile type *from = to_address(L, 1);                                                  \
    lua_Integer n = luaL_checkinteger(L, 2);                                                       \
    for (lua_Integer i = 0; i < n; i++)                                                            \
      (void)from[i];                                                                               \
    return 0;                                                                                      \
  }                                                                                                \
  static int baseline_store_##name(lua_State *L) {                                                 \
    volatile type *to = to_address(L, 1);                                                          \
    lua_Integer n = luaL_checkinteger(L, 2);                                                       \
    for (lua_Integer i = 0; i < n; i++)                                                            \
      to[i] = 5;                                                                                   \
    return 0;                                                                                      \
  }

ELEMENTS(f64, double)
ELEMENTS(i32, int32_t)

/* fetch_add(address) --> the integer there, to which one is added */
static int baseline_fetch_add(lua_State *L) {
  _Atomic int64_t *word = to_address(L, 1);
  lua_pushinteger(L, atomic_fetch_add(word, 1));
  return 1;
}

/* fetch_adds(address, n): the same n times */
static int baseline_fetch_adds(lua_State *L) {
  _Atomic int64_t *word = to_address(L, 1);
  for (lua_Integer n = luaL_checkinteger(L, 2); n > 0; n--)
    atomic_fetch_add(word, 1);
  return 0;
}

/* ---- a sum as fast as C has it ---- */

enum { LANES = 8 }; /* additions that do not wait for each other */

static double sum_plain(const double *values, size_t count) {
  double lanes[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int lane = 0; lane < LANES; lane++)
      lanes[lane] += values[i + (size_t)lane];
  for (; i < count; i++)
    sum += values[i];
  for (int lane = 0; lane < LANES; lane++)
    sum += lanes[lane];
  return sum;
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static double sum_avx2(const double *values, size_t count) {
  enum { WIDTH = 4, STEP = LANES * WIDTH };
  __m256d lanes[LANES];
  for (int lane = 0; lane < LANES; lane++)
    lanes[lane] = _mm256_setzero_pd();
  size_t i = 0;
  for (; i + STEP <= count; i += STEP) {
    const double *from = values + i;
    lanes[0] = _mm256_add_pd(lanes[0], _mm256_loadu_pd(from));
    lanes[1] = _mm256_add_pd(lanes[1], _mm256_loadu_pd(from + 1 * WIDTH));
    lanes[2] = _mm256_add_pd(lanes[2], _mm256_loadu_pd(from + 2 * WIDTH));
    lanes[3] = _mm256_add_pd(lanes[3], _mm256_loadu_pd(from + 3 * WIDTH));
    lanes[4] = _mm256_add_pd(lanes[4], _mm256_loadu_pd(from + 4 * WIDTH));
    lanes[5] = _mm256_add_pd(lanes[5], _mm256_loadu_pd(from + 5 * WIDTH));
    lanes[6] = _mm256_add_pd(lanes[6], _mm256_loadu_pd(from + 6 * WIDTH));
    lanes[7] = _mm256_add_pd(lanes[7], _mm256_loadu_pd(from + 7 * WIDTH));
  }
  double parts[STEP];
  for (int lane = 0; lane < LANES; lane++)
    _mm256_storeu_pd(parts + lane * WIDTH, lanes[lane]);
  return sum_plain(parts, STEP) + sum_plain(values + i, count - i);
}
#endif

static double sum(const double *values, size_t count) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) return sum_avx2(values, count);
#endif
  return sum_plain(values, count);
}

/* sum(address, n) --> the sum of n doubles */
static int baseline_sum(lua_State *L) {
  lua_pushnumber(L, sum(to_address(L, 1), (size_t)luaL_checkinteger(L, 2)));
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

/* posix_visit(name): attach and detach */
static int baseline_posix_visit(lua_State *L) {
  struct stat stat = {0};
  int found = shm_open(luaL_checkstring(L, 1), O_RDWR, 0);
  bool done = fstat(found, &stat) == 0;
  size_t length = (size_t)stat.st_size;
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, found, 0);
  close(found);
  done &= munmap(memory, length) == 0;
  return finish(L, done, "posix_visit");
}

static const luaL_Reg functions[] = {
    {"now", baseline_now},
    {"nothing", baseline_nothing},
    {"object", baseline_object},
    {"memcpy", baseline_memcpy},
    {"pushlstring", baseline_pushlstring},
    {"copy", baseline_copy},
    {"memset", baseline_memset},
    {"load_f64", baseline_load_f64},
    {"store_f64", baseline_store_f64},
    {"load_i32", baseline_load_i32},
    {"store_i32", baseline_store_i32},
    {"fetch_add", baseline_fetch_add},
    {"fetch_adds", baseline_fetch_adds},
    {"sum", baseline_sum},
    {"sysv_cycle", baseline_sysv_cycle},
    {"posix_cycle", baseline_posix_cycle},
    {"posix_visit", baseline_posix_visit},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_baseline(lua_State *L) {
  luaL_newlib(L, functions);
  lua_pushliteral(L, LUA_RELEASE);
  lua_setfield(L, -2, "lua_release");
  return 1;
}
