/*
 * redis.c: Redis as a table, and as a counter, for dict.lua and view.lua: a server of its own on a
 * Unix socket, which is asked one thing at a time, or up to a hundred at once. Touches libc and
 * Lua.
 */
#include "redis.h"
#include "table.h"

enum { PIPELINED = 100, COMMAND = 128 /* bytes of one, at most */ };

struct redis {
  struct table base;
  struct redis_server server;
  int connection;
  pid_t pid; /* whose connection it is: a forked child has its own */
};

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

static struct redis *connected(lua_State *L) {
  struct redis *self = lua_touserdata(L, 1);
  if (self->pid != getpid()) {
    self->pid = getpid();
    self->connection = redis_connect(&self->server);
  }
  return self;
}

/* t:gets(first, n, at_once) and t:sets(first, n, at_once) */
static int ask_all(lua_State *L, bool sets, const char *reply) {
  struct redis *self = connected(L);
  size_t at = (size_t)lua_tointeger(L, 2);
  int most = (int)lua_tointeger(L, 4);
  believe(most >= 1 && most <= PIPELINED);
  for (lua_Integer n = lua_tointeger(L, 3); n > 0; n -= most)
    ask(self, sets, &at, n < most ? (int)n : most, strlen(reply));
  return 0;
}

static int redis_gets(lua_State *L) {
  return ask_all(L, false, "$8\r\nvalue000\r\n");
}

static int redis_sets(lua_State *L) {
  return ask_all(L, true, "+OK\r\n");
}

/* t:incrs(n): adds 1 to a counter n times, and receives what it is then. */
static int redis_incrs(lua_State *L) {
  static const char command[] = "*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n";
  struct redis *self = connected(L);
  for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--) {
    char reply[32];
    ssize_t got = 0;
    believe(write(self->connection, command, sizeof command - 1) == (ssize_t)sizeof command - 1);
    do {
      ssize_t more = read(self->connection, reply + got, sizeof reply - (size_t)got);
      believe(more > 0);
      got += more;
    } while (reply[got - 1] != '\n');
    believe(reply[0] == ':');
  }
  return 0;
}

/* Ends the server. */
static int redis_ends(lua_State *L) {
  struct redis *self = lua_touserdata(L, 1);
  redis_stop(&self->server);
  return 0;
}

static const luaL_Reg methods[] = {{"gets", redis_gets},
                                   {"sets", redis_sets},
                                   {"incrs", redis_incrs},
                                   {"stop", redis_ends},
                                   {NULL, NULL}};

/* redis(count, a folder) --> a table that has all keys; nil where there is no server. */
static int new_redis(lua_State *L) {
  struct redis *self = push_table(L, sizeof *self, methods);
  if (!redis_start(&self->server, luaL_checkstring(L, 2))) return 0;
  self->pid = 0;
  int connection = self->connection = redis_connect(&self->server);
  size_t at = 0;
  for (size_t done = 0; done < self->base.count; done += PIPELINED)
    ask(self, true, &at, PIPELINED, 5);
  close(connection);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_redis(lua_State *L) {
  lua_pushcfunction(L, new_redis);
  return 1;
}
