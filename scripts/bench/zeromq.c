/*
 * zeromq.c: ZeroMQ's sockets between processes, as a carrier for channel.lua and a circle for
 * topic.lua. Touches libzmq.
 */
#include "carrier.h"
#include "circle.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <zmq.h>

struct zeromq {
  struct carrier base;
  void *context;
  void *sockets[WAYS]; /* NULL: not used yet, by this process */
  char names[WAYS][64];
};

static inline void believe(bool right) {
  if (!right) abort();
}

/* A context has a thread, which may run wherever it likes: who made it is pinned. */
static void *new_context(void) {
  void *context = zmq_ctx_new();
  for (int core = 0; core < sysconf(_SC_NPROCESSORS_CONF); core++)
    zmq_ctx_set(context, ZMQ_THREAD_AFFINITY_CPU_ADD, core);
  return context;
}

/* The names are abstract ones: nothing stays behind. A sender tries again until its receiver is
 * there. */
static void open_socket(struct zeromq *self, int way, bool sends) {
  int interval = 1, high = 10000;
  if (self->context == NULL) self->context = new_context();
  void *socket = zmq_socket(self->context, sends ? ZMQ_PUSH : ZMQ_PULL);
  believe(socket != NULL);
  zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &interval, sizeof interval);
  zmq_setsockopt(socket, sends ? ZMQ_SNDHWM : ZMQ_RCVHWM, &high, sizeof high);
  believe((sends ? zmq_connect : zmq_bind)(socket, self->names[way]) == 0);
  self->sockets[way] = socket;
}

static inline void zeromq_send(struct zeromq *self, int way) {
  if (self->sockets[way] == NULL) open_socket(self, way, true);
  believe(zmq_send(self->sockets[way], self->base.message, self->base.length, 0) >= 0);
}

static inline void zeromq_receive(struct zeromq *self, int way) {
  if (self->sockets[way] == NULL) open_socket(self, way, false);
  int n = zmq_recv(self->sockets[way], self->base.message, self->base.length, 0);
  believe(n == (int)self->base.length);
}

CARRIER_METHODS(zeromq, struct zeromq)

/* queue(length) */
static int new_queue(lua_State *L) {
  struct zeromq *self = push_carrier(L, sizeof *self, zeromq_methods);
  self->context = NULL;
  for (int way = 0; way < WAYS; way++) {
    self->sockets[way] = NULL;
    snprintf(self->names[way], sizeof self->names[way], "ipc://@shm-bench-%d-%d", (int)getpid(),
             way);
  }
  return 1;
}

/* ---- to many ---- */

struct news {
  struct circle base;
  void *socket; /* NULL: this process has none yet */
  char name[64];
};

/* Waits until all who are to have subscribed have. It drops no messages, but waits for room, since
 * a message that is dropped costs nothing. */
static void news_open(struct news *self) {
  int yes = 1;
  self->socket = zmq_socket(new_context(), ZMQ_XPUB);
  zmq_setsockopt(self->socket, ZMQ_XPUB_VERBOSE, &yes, sizeof yes);
  zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &yes, sizeof yes);
  believe(zmq_bind(self->socket, self->name) == 0);
  for (int i = 0; i < self->base.crowd; i++) {
    char subscription;
    believe(zmq_recv(self->socket, &subscription, 1, 0) == 1);
  }
}

static inline void news_publish(struct news *self) {
  if (self->socket == NULL) news_open(self);
  believe(zmq_send(self->socket, self->base.message, self->base.length, 0) >= 0);
}

static inline void news_subscribe(struct news *self, int number) {
  int interval = 1;
  (void)number;
  self->socket = zmq_socket(new_context(), ZMQ_SUB);
  zmq_setsockopt(self->socket, ZMQ_RECONNECT_IVL, &interval, sizeof interval);
  zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, "", 0);
  believe(zmq_connect(self->socket, self->name) == 0);
}

static inline void news_receive(struct news *self) {
  int n = zmq_recv(self->socket, self->base.message, self->base.length, 0);
  believe(n == (int)self->base.length);
}

CIRCLE_METHODS(news, struct news)

/* news(length, crowd) */
static int new_news(lua_State *L) {
  struct news *self = push_circle(L, sizeof *self, news_methods);
  self->socket = NULL;
  snprintf(self->name, sizeof self->name, "ipc://@shm-bench-%d-news-%d", (int)getpid(),
           self->base.crowd);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_zeromq(lua_State *L) {
  static const luaL_Reg functions[] = {{"queue", new_queue}, {"news", new_news}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
