/*
 * redis.c: Redis as a table for dict_peers.lua: a server of its own on a Unix socket, which is
 * asked a hundred things at once. Touches libc and Lua.
 */
#include "table.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIPELINED = 100, COMMAND = 128 /* bytes of one, at most */ };

struct redis {
  struct table base;
  int connection;
  pid_t pid, server; /* whose connection it is: a forked child has its own */
  char path[100];
};

static bool connect_to(struct redis *self) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, self->path, sizeof self->path);
  self->pid = getpid();
  self->connection = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(self->connection, (struct sockaddr *)&address, sizeof address) == 0) return true;
  close(self->connection);
  self->pid = 0;
  return false;
}

/* Sends a command for each of n keys from `at` on, and receives as many replies of that length. */
static void ask(struct redis *self, bool sets, size_t *at, int n, size_t reply) {
  char buffer[PIPELINED * COMMAND];
  size_t length = 0;
  for (int i = 0; i < n; i++) {
    if (*at >= self->base.count) *at = 0;
    const char *key = self->base.keys[(*at)++], *value = self->base.values[i];
    char *command = buffer + length;
    length += (size_t)(sets ? sprintf(command, "*3\r\n$3\r\nSET\r\n$16\r\n%.16s\r\n$8\r\n%.8s\r\n",
                                      key, value)
                            : sprintf(command, "*2\r\n$3\r\nGET\r\n$16\r\n%.16s\r\n", key));
  }
  believe(write(self->connection, buffer, length) == (ssize_t)length);
  for (size_t left = (size_t)n * reply; left > 0;) {
    ssize_t got = read(self->connection, buffer, sizeof buffer);
    believe(got > 0 && (size_t)got <= left);
    left -= (size_t)got;
  }
}

static int ask_all(lua_State *L, bool sets, const char *reply) {
  struct redis *self = lua_touserdata(L, 1);
  size_t at = (size_t)lua_tointeger(L, 2);
  if (self->pid != getpid()) believe(connect_to(self));
  for (lua_Integer n = lua_tointeger(L, 3); n > 0; n -= PIPELINED)
    ask(self, sets, &at, n < PIPELINED ? (int)n : PIPELINED, strlen(reply));
  return 0;
}

static int redis_gets(lua_State *L) {
  return ask_all(L, false, "$8\r\nvalue000\r\n");
}

static int redis_sets(lua_State *L) {
  return ask_all(L, true, "+OK\r\n");
}

/* Ends the server. */
static int redis_stop(lua_State *L) {
  struct redis *self = lua_touserdata(L, 1);
  kill(self->server, SIGKILL);
  waitpid(self->server, NULL, 0);
  return 0;
}

static const luaL_Reg methods[] = {
    {"gets", redis_gets}, {"sets", redis_sets}, {"stop", redis_stop}, {NULL, NULL}};

/* Debian's redis-tools has the server's program by another name; it looks at the one it is given.
 */
static void run_server(const char *folder, const char *path) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  static const char *const programs[] = {"redis-server", "redis-check-rdb"};
  for (int i = 0; i < 2; i++)
    execlp(programs[i], "redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir",
           folder, "--logfile", "/dev/null", (char *)NULL);
  _exit(1);
}

/* redis(count, a folder) --> a table that has all keys; nil where there is no server. */
static int new_redis(lua_State *L) {
  const char *folder = luaL_checkstring(L, 2);
  struct redis *self = push_table(L, sizeof *self, methods);
  snprintf(self->path, sizeof self->path, "%.80s/redis.sock", folder);
  self->server = fork();
  if (self->server == 0) run_server(folder, self->path);
  for (int i = 0; i < 300; i++) {
    struct timespec tenth = {.tv_nsec = 10000000};
    nanosleep(&tenth, NULL);
    if (connect_to(self)) {
      size_t at = 0;
      for (size_t done = 0; done < self->base.count; done += PIPELINED)
        ask(self, true, &at, PIPELINED, 5);
      close(self->connection);
      self->pid = 0;
      return 1;
    }
    if (waitpid(self->server, NULL, WNOHANG) != 0) return 0;
  }
  return redis_stop(L);
}

__attribute__((visibility("default"))) int luaopen_redis(lua_State *L) {
  lua_pushcfunction(L, new_redis);
  return 1;
}
