/*
 * redis_list.c: a list of a Redis server of its own, as a carrier for channel.lua: RPUSH and BLPOP,
 * each with a reply. Touches libc and Lua.
 */
#include "carrier.h"
#include "redis.h"

#include <stdlib.h>

enum { HEAD = 64 }; /* bytes of what is around a message, at most */

struct redis_list {
  struct carrier base;
  struct redis_server server;
  char folder[32], *buffer;
  int connection;
  pid_t pid; /* whose connection it is: a forked child has its own */
};

static inline void believe(bool right) {
  if (!right) abort();
}

static void send_command(struct redis_list *self, size_t length) {
  if (self->pid != getpid()) {
    self->pid = getpid();
    self->connection = redis_connect(&self->server);
  }
  for (size_t done = 0; done < length;) {
    ssize_t n = write(self->connection, self->buffer + done, length - done);
    believe(n > 0);
    done += (size_t)n;
  }
}

/* Receives a reply: so many bytes or, of one line, 0. */
static void receive_reply(struct redis_list *self, size_t length) {
  size_t room = self->base.length + HEAD, done = 0;
  do {
    ssize_t n = read(self->connection, self->buffer + done, room - done);
    believe(n > 0);
    done += (size_t)n;
  } while (length > 0 ? done < length : self->buffer[done - 1] != '\n');
}

static inline void redis_list_send(struct redis_list *self, int way) {
  int head =
      sprintf(self->buffer, "*3\r\n$5\r\nRPUSH\r\n$1\r\n%d\r\n$%zu\r\n", way, self->base.length);
  memcpy(self->buffer + head, self->base.message, self->base.length);
  memcpy(self->buffer + head + self->base.length, "\r\n", 2);
  send_command(self, (size_t)head + self->base.length + 2);
  receive_reply(self, 0);
}

static inline void redis_list_receive(struct redis_list *self, int way) {
  char head[HEAD];
  int around = snprintf(head, sizeof head, "*2\r\n$1\r\n%d\r\n$%zu\r\n", way, self->base.length);
  send_command(self,
               (size_t)sprintf(self->buffer, "*3\r\n$5\r\nBLPOP\r\n$1\r\n%d\r\n$1\r\n0\r\n", way));
  receive_reply(self, (size_t)around + self->base.length + 2);
  memcpy(self->base.message, self->buffer + around, self->base.length);
}

CARRIER_METHODS(redis_list, struct redis_list)

/* Ends the server. */
static int redis_list_ends(lua_State *L) {
  struct redis_list *self = lua_touserdata(L, 1);
  if (self->server.pid == 0) return 0;
  redis_stop(&self->server);
  self->server.pid = 0;
  unlink(self->server.path);
  rmdir(self->folder);
  return 0;
}

/* redis_list(length) --> a carrier whose server lives until it is collected, by who made it, for a
 * forked child ends otherwise; nil where there is no server. */
static int new_redis_list(lua_State *L) {
  struct redis_list *self = push_carrier(L, sizeof *self, redis_list_methods);
  self->pid = self->server.pid = 0;
  self->buffer = lua_newuserdatauv(L, self->base.length + 2 * HEAD, 0);
  lua_setiuservalue(L, -2, 2);
  strcpy(self->folder, "/tmp/shm-bench-XXXXXX");
  believe(mkdtemp(self->folder) != NULL);
  if (!redis_start(&self->server, self->folder)) return rmdir(self->folder);
  return when_collected(L, redis_list_ends);
}

__attribute__((visibility("default"))) int luaopen_redis_list(lua_State *L) {
  lua_pushcfunction(L, new_redis_list);
  return 1;
}
