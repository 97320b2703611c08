/*
 * topics.c: what tells many of a message side by side, the core's topic, bare memory and pipes, as
 * Lua objects for topic.lua. In memory nobody holds up the publisher: who is slow loses
 * messages; pipes lose none. They believe their arguments, and stay for as long as the process
 * does. Touches core and libc.
 */
#include "circle.h"
#include "data/topic.h"
#include "os/clock.h"
#include "sync/spin.h"

#include <stdint.h>
#include <stdlib.h>

static inline void believe(bool right) {
  if (!right) abort();
}

/* ---- bare memory ---- */

/* Slots that are written over without a look at who reads: a reader sees by the count whether its
 * copy is whole. Nobody ever sleeps, and there is one publisher. */
enum { SLOTS = 4096, SLOT = 64 };

struct board_memory {
  _Alignas(64) _Atomic uint64_t count;
  _Alignas(64) char slots[SLOTS][SLOT];
};

struct board {
  struct circle base;
  struct board_memory *memory;
  uint64_t cursor;
};

static inline void board_publish(struct board *self) {
  struct board_memory *memory = self->memory;
  uint64_t count = atomic_load_explicit(&memory->count, memory_order_relaxed);
  atomic_thread_fence(memory_order_release); /* the count is out before a slot is written over */
  memcpy(memory->slots[count % SLOTS], self->base.message, self->base.length);
  atomic_store_explicit(&memory->count, count + 1, memory_order_release);
}

static inline void board_subscribe(struct board *self, int number) {
  (void)number;
  self->cursor = atomic_load(&self->memory->count);
}

static inline void board_receive(struct board *self) {
  struct board_memory *memory = self->memory;
  uint64_t count;
  while ((count = atomic_load_explicit(&memory->count, memory_order_acquire)) == self->cursor)
    shmx_spin_pause();
  memcpy(self->base.message, memory->slots[self->cursor % SLOTS], self->base.length);
  atomic_thread_fence(memory_order_acquire);
  count = atomic_load_explicit(&memory->count, memory_order_relaxed);
  self->cursor = count - self->cursor < SLOTS ? self->cursor + 1 : count;
}

CIRCLE_METHODS(board, struct board)

/* board(64, crowd) */
static int new_board(lua_State *L) {
  struct board *self = push_circle(L, sizeof *self, board_methods);
  self->memory = new_shared(L, sizeof *self->memory);
  return 1;
}

/* ---- the core's topic, in C ---- */

struct topic {
  struct circle base;
  shmx_topic topic;
  shmx_subscription subscription;
};

static inline void topic_publish(struct topic *self) {
  shmx_message message = {self->base.message, (uint32_t)self->base.length, 0};
  believe(shmx_topic_publish(&self->topic, &message, SHMX_FOREVER) == 0);
}

static inline void topic_subscribe(struct topic *self, int number) {
  (void)number;
  believe(shmx_topic_subscribe(&self->topic, false, -1, SHMX_FOREVER, &self->subscription) == 0);
}

static inline void topic_receive(struct topic *self) {
  shmx_message message;
  uint64_t lost;
  believe(shmx_subscription_receive(&self->subscription, self->base.message, self->base.length,
                                    &message, &lost, SHMX_FOREVER) == 0);
}

CIRCLE_METHODS(topic, struct topic)

/* topic(length, crowd, capacity) */
static int new_topic(lua_State *L) {
  uint64_t capacity = (uint64_t)luaL_checkinteger(L, 3);
  struct topic *self = push_circle(L, sizeof *self, topic_methods);
  shmx_topic_open(&self->topic, new_shared(L, shmx_topic_kind(capacity).size), capacity);
  return 1;
}

/* ---- a pipe for each ---- */

enum { CROWD_MAX = 16 };

struct pipes {
  struct circle base;
  int from[CROWD_MAX], to[CROWD_MAX], mine;
};

static inline void pipes_publish(struct pipes *self) {
  for (int i = 0; i < self->base.crowd; i++)
    believe(write(self->to[i], self->base.message, self->base.length) > 0);
}

static inline void pipes_subscribe(struct pipes *self, int number) {
  self->mine = self->from[number];
}

static inline void pipes_receive(struct pipes *self) {
  ssize_t n = read(self->mine, self->base.message, self->base.length);
  believe(n == (ssize_t)self->base.length);
}

CIRCLE_METHODS(pipes, struct pipes)

/* pipes(length, crowd) */
static int new_pipes(lua_State *L) {
  struct pipes *self = push_circle(L, sizeof *self, pipes_methods);
  luaL_argcheck(L, self->base.crowd <= CROWD_MAX, 2, "too many");
  for (int i = 0; i < self->base.crowd; i++) {
    int ends[2];
    if (pipe(ends) != 0) return luaL_error(L, "pipe: %s", strerror(errno));
    self->from[i] = ends[0];
    self->to[i] = ends[1];
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"board", new_board}, {"topic", new_topic}, {"pipes", new_pipes}, {NULL, NULL}};

__attribute__((visibility("default"))) int luaopen_topics(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
