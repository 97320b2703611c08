/*
 * zeromq.c: ZeroMQ's sockets between processes, as a carrier for channel.lua. Touches libzmq.
 */
#include "carrier.h"

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

/*
 * A context has a thread, which may run wherever it likes: who made it is pinned. The names are
 * abstract ones: nothing stays behind. A sender tries again until its receiver is there.
 */
static void open_socket(struct zeromq *self, int way, bool sends) {
  int interval = 1, high = 10000;
  if (self->context == NULL) {
    self->context = zmq_ctx_new();
    for (int core = 0; core < sysconf(_SC_NPROCESSORS_CONF); core++)
      zmq_ctx_set(self->context, ZMQ_THREAD_AFFINITY_CPU_ADD, core);
  }
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

/* zeromq(length) */
static int new_zeromq(lua_State *L) {
  struct zeromq *self = push_carrier(L, sizeof *self, zeromq_methods);
  self->context = NULL;
  for (int way = 0; way < WAYS; way++) {
    self->sockets[way] = NULL;
    snprintf(self->names[way], sizeof self->names[way], "ipc://@shm-bench-%d-%d", (int)getpid(),
             way);
  }
  return 1;
}

__attribute__((visibility("default"))) int luaopen_zeromq(lua_State *L) {
  lua_pushcfunction(L, new_zeromq);
  return 1;
}
