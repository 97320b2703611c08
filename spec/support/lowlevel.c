/* lowlevel.c: what specs need and Lua has not: fork(2), foreign userdata. Touches lua.h, libc. */
#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DEADLINE_SECONDS = 20 };

/* The child ends without closing the Lua state, as a program that forks should. */
static void run_child(lua_State *L) {
  int failed = lua_pcall(L, 0, 1, 0);
  if (failed) fprintf(stderr, "in the forked child: %s\n", luaL_tolstring(L, -1, NULL));
  _exit(failed ? 2 : lua_toboolean(L, -1) ? 0 : 1);
}

/* Exit code of the child, or -1 if it had to be killed, or the negative of the signal. */
static int await_child(pid_t pid) {
  struct timespec millisecond = {0, 1000000};
  int status;
  for (int i = 0; i < DEADLINE_SECONDS * 1000; i++) {
    if (waitpid(pid, &status, WNOHANG) == pid)
      return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    nanosleep(&millisecond, NULL);
  }
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return -1;
}

/* lowlevel.child(f): runs f in a forked child; 0 if it returned true, 1 if false, 2 if it raised.
 */
static int child(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) return luaL_error(L, "fork failed: %d", errno);
  if (pid == 0) run_child(L);
  lua_pushinteger(L, await_child(pid));
  return 1;
}

/* lowlevel.userdata(n): a userdata of n zero bytes, which no library knows. */
static int userdata(lua_State *L) {
  size_t size = (size_t)luaL_checkinteger(L, 1);
  memset(lua_newuserdatauv(L, size, 0), 0, size);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_lowlevel(lua_State *L) {
  static const luaL_Reg functions[] = {{"child", child}, {"userdata", userdata}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
