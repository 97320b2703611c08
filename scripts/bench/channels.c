/*
 * channels.c: carriers of messages side by side, the core's channel, bare memory and the kernel's,
 * as Lua objects for channel.lua; and a race of processes that use them. They believe their
 * arguments, and stay for as long as the process does. Touches core and libc.
 */
#include "base/copy.h"
#include "carrier.h"
#include "data/channel.h"
#include "os/clock.h"
#include "processes.h"
#include "sync/spin.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/msg.h>
#include <sys/socket.h>

static inline void believe(bool right) {
  if (!right) abort();
}

/* ---- bare atomics: one message at a time, there and back ---- */

struct slot {
  _Alignas(64) _Atomic uint64_t count;
  char message[64];
};

struct exchange {
  struct carrier base;
  struct slot *slots;
};

static inline void post(struct slot *slot, const struct carrier *from, uint64_t count) {
  memcpy(slot->message, from->message, sizeof slot->message);
  atomic_store_explicit(&slot->count, count, memory_order_release);
}

static inline void await(const struct slot *slot, struct carrier *to, uint64_t count) {
  while (atomic_load_explicit(&slot->count, memory_order_acquire) != count)
    shmx_spin_pause();
  memcpy(to->message, slot->message, sizeof slot->message);
}

static int exchange_pings(lua_State *L) {
  struct exchange *self = lua_touserdata(L, 1);
  uint64_t count = atomic_load(&self->slots[THERE].count);
  for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--) {
    post(&self->slots[THERE], &self->base, ++count);
    await(&self->slots[BACK], &self->base, count);
  }
  return 0;
}

static int exchange_pongs(lua_State *L) {
  struct exchange *self = lua_touserdata(L, 1);
  uint64_t count = atomic_load(&self->slots[BACK].count);
  for (lua_Integer n = lua_tointeger(L, 2); n > 0; n--) {
    await(&self->slots[THERE], &self->base, ++count);
    post(&self->slots[BACK], &self->base, count);
  }
  return 0;
}

/* exchange(64) */
static int new_exchange(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"pings", exchange_pings}, {"pongs", exchange_pongs}, {NULL, NULL}};
  struct exchange *self = push_carrier(L, sizeof *self, methods);
  self->slots = new_shared(L, WAYS * sizeof *self->slots);
  return 1;
}

/* ---- a bare ring for one producer and one consumer ---- */

/*
 * It frames and copies messages as the channel does, in a word and what fills up to 8 bytes, never
 * in two pieces, and publishes each; it remembers where the other end was. It has no turns, nobody
 * ever sleeps, and it believes what is in the memory.
 */
#define RING_PADDING (UINT64_C(1) << 63)

struct ring_memory {
  _Alignas(64) _Atomic uint64_t tail;
  _Alignas(64) _Atomic uint64_t head;
  _Alignas(64) unsigned char bytes[];
};

struct ring {
  struct carrier base;
  uint64_t capacity;
  struct {
    struct ring_memory *memory;
    uint64_t head, tail; /* where they were, as the other end last saw them */
  } ways[WAYS];
};

static inline void ring_send(struct ring *self, int way) {
  struct ring_memory *memory = self->ways[way].memory;
  uint64_t tail = atomic_load_explicit(&memory->tail, memory_order_relaxed);
  uint64_t capacity = self->capacity, at = tail & (capacity - 1), length = self->base.length;
  uint64_t space = 8 + ((length + 7) & ~UINT64_C(7));
  uint64_t padding = capacity - at < space ? capacity - at : 0;
  while (tail + padding + space - self->ways[way].head > capacity) {
    uint64_t head = atomic_load_explicit(&memory->head, memory_order_acquire);
    if (head == self->ways[way].head) shmx_spin_pause();
    self->ways[way].head = head;
  }
  if (padding != 0) {
    *(uint64_t *)(void *)(memory->bytes + at) = RING_PADDING | padding;
    tail += padding;
    at = 0;
  }
  *(uint64_t *)(void *)(memory->bytes + at) = length;
  shmx_copy_away(memory->bytes + at + 8, self->base.message, length);
  atomic_store_explicit(&memory->tail, tail + space, memory_order_release);
}

static inline void ring_receive(struct ring *self, int way) {
  struct ring_memory *memory = self->ways[way].memory;
  uint64_t head = atomic_load_explicit(&memory->head, memory_order_relaxed);
  while (self->ways[way].tail <= head) {
    uint64_t tail = atomic_load_explicit(&memory->tail, memory_order_acquire);
    if (tail == head) shmx_spin_pause();
    self->ways[way].tail = tail;
  }
  uint64_t mask = self->capacity - 1;
  uint64_t word = *(uint64_t *)(void *)(memory->bytes + (head & mask));
  if (word & RING_PADDING) {
    head += word & ~RING_PADDING;
    word = *(uint64_t *)(void *)(memory->bytes + (head & mask));
  }
  believe(word <= self->base.length);
  memcpy(self->base.message, memory->bytes + (head & mask) + 8, word);
  uint64_t next = head + 8 + ((word + 7) & ~UINT64_C(7));
  atomic_store_explicit(&memory->head, next, memory_order_release);
}

CARRIER_METHODS(ring, struct ring)

/* ring(length, capacity) */
static int new_ring(lua_State *L) {
  uint64_t capacity = (uint64_t)luaL_checkinteger(L, 2);
  struct ring *self = push_carrier(L, sizeof *self, ring_methods);
  self->capacity = capacity;
  for (int way = 0; way < WAYS; way++) {
    self->ways[way].memory = new_shared(L, sizeof(struct ring_memory) + capacity);
    self->ways[way].head = self->ways[way].tail = 0;
  }
  return 1;
}

/* ---- the core's channel, in C ---- */

struct channel {
  struct carrier base;
  shmx_channel channels[WAYS];
};

static inline void shared_send(struct channel *self, int way) {
  shmx_message message = {self->base.message, (uint32_t)self->base.length, 0};
  believe(shmx_channel_send(&self->channels[way], &message, SHMX_FOREVER) == 0);
}

static inline void shared_receive(struct channel *self, int way) {
  shmx_message message;
  believe(shmx_channel_receive(&self->channels[way], self->base.message, self->base.length,
                               &message, SHMX_FOREVER) == 0);
}

CARRIER_METHODS(shared, struct channel)

/* The same with ends that are claimed when they are first used. */
static inline void exclusive_send(struct channel *self, int way) {
  shmx_channel *channel = &self->channels[way];
  if (!channel->producer.claimed) believe(shmx_channel_claim(channel, SHMX_PRODUCER) == 0);
  shared_send(self, way);
}

static inline void exclusive_receive(struct channel *self, int way) {
  shmx_channel *channel = &self->channels[way];
  if (!channel->consumer.claimed) believe(shmx_channel_claim(channel, SHMX_CONSUMER) == 0);
  shared_receive(self, way);
}

CARRIER_METHODS(exclusive, struct channel)

/* channel(length, capacity, are its ends exclusive?) */
static int new_channel(lua_State *L) {
  uint64_t capacity = (uint64_t)luaL_checkinteger(L, 2);
  struct channel *self =
      push_carrier(L, sizeof *self, lua_toboolean(L, 3) ? exclusive_methods : shared_methods);
  for (int way = 0; way < WAYS; way++) {
    void *memory = new_shared(L, shmx_channel_kind(capacity).size);
    shmx_channel_open(&self->channels[way], memory, capacity);
  }
  return 1;
}

/* ---- the kernel's: pipes, socket pairs, message queues ---- */

struct stream {
  struct carrier base;
  int from[WAYS], to[WAYS];
};

static inline void stream_send(struct stream *self, int way) {
  for (size_t done = 0; done < self->base.length;) {
    ssize_t n = write(self->to[way], self->base.message + done, self->base.length - done);
    believe(n > 0);
    done += (size_t)n;
  }
}

static inline void stream_receive(struct stream *self, int way) {
  for (size_t done = 0; done < self->base.length;) {
    ssize_t n = read(self->from[way], self->base.message + done, self->base.length - done);
    believe(n > 0);
    done += (size_t)n;
  }
}

CARRIER_METHODS(stream, struct stream)

/* pipe(length): of as many bytes as anybody may have. Several may use an end, with messages that a
 * write does not divide: up to PIPE_BUF. */
static int new_pipe(lua_State *L) {
  enum { ROOM = 1 << 20 };
  struct stream *self = push_carrier(L, sizeof *self, stream_methods);
  for (int way = 0; way < WAYS; way++) {
    int ends[2];
    if (pipe(ends) != 0) return luaL_error(L, "pipe: %s", strerror(errno));
    self->from[way] = ends[0];
    self->to[way] = ends[1];
    fcntl(ends[1], F_SETPIPE_SZ, ROOM);
  }
  return 1;
}

/* socketpair(length) */
static int new_socketpair(lua_State *L) {
  struct stream *self = push_carrier(L, sizeof *self, stream_methods);
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
    return luaL_error(L, "socketpair: %s", strerror(errno));
  self->to[THERE] = self->from[BACK] = ends[0];
  self->to[BACK] = self->from[THERE] = ends[1];
  return 1;
}

struct queue {
  struct carrier base;
  mqd_t queues[WAYS];
};

static inline void queue_send(struct queue *self, int way) {
  believe(mq_send(self->queues[way], self->base.message, self->base.length, 0) == 0);
}

static inline void queue_receive(struct queue *self, int way) {
  ssize_t n = mq_receive(self->queues[way], self->base.message, self->base.length, NULL);
  believe(n == (ssize_t)self->base.length);
}

CARRIER_METHODS(queue, struct queue)

/* queue(length) --> POSIX message queues of as many messages as anybody may have; or nil where
 * there are none. Their names are gone at once. */
static int new_queue(lua_State *L) {
  struct queue *self = push_carrier(L, sizeof *self, queue_methods);
  for (int way = 0; way < WAYS; way++) {
    struct mq_attr attributes = {.mq_maxmsg = 10, .mq_msgsize = (long)self->base.length};
    char name[64];
    snprintf(name, sizeof name, "/shm-bench-%d", (int)getpid());
    self->queues[way] = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
    if (self->queues[way] == (mqd_t)-1) return 0;
    mq_unlink(name);
  }
  return 1;
}

struct sysv {
  struct carrier base;
  struct { /* as msgsnd has it */
    long type;
    char data[];
  } * envelope;
  int queues[WAYS];
};

static inline void sysv_send(struct sysv *self, int way) {
  memcpy(self->envelope->data, self->base.message, self->base.length);
  believe(msgsnd(self->queues[way], self->envelope, self->base.length, 0) == 0);
}

static inline void sysv_receive(struct sysv *self, int way) {
  ssize_t n = msgrcv(self->queues[way], self->envelope, self->base.length, 0, 0);
  believe(n == (ssize_t)self->base.length);
  memcpy(self->base.message, self->envelope->data, self->base.length);
}

CARRIER_METHODS(sysv, struct sysv)

static int sysv_ends(lua_State *L) {
  struct sysv *self = lua_touserdata(L, 1);
  for (int way = 0; way < WAYS; way++)
    msgctl(self->queues[way], IPC_RMID, NULL);
  return 0;
}

/* sysv(length) --> System V message queues; or nil where messages are shorter */
static int new_sysv(lua_State *L) {
  struct msginfo limits;
  struct sysv *self = push_carrier(L, sizeof *self, sysv_methods);
  if (msgctl(0, IPC_INFO, (struct msqid_ds *)(void *)&limits) < 0) return 0;
  if (self->base.length > (size_t)limits.msgmax) return 0;
  self->envelope = lua_newuserdatauv(L, sizeof *self->envelope + self->base.length, 0);
  self->envelope->type = 1;
  lua_setiuservalue(L, -2, 2);
  for (int way = 0; way < WAYS; way++)
    self->queues[way] = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
  return when_collected(L, sysv_ends);
}

/* ---- a race ---- */

enum { MISSED_SECONDS = 60 };

/* Runs what has its number: to warm up, and then, all at once, measured. */
static void run_racer(lua_State *L, struct course *course, int number) {
  int racers = (int)lua_rawlen(L, 1);
  alarm(MISSED_SECONDS);
  pin(number, racers);
  lua_rawgeti(L, 1, number + 1);
  int run = lua_gettop(L);
  call(L, run, lua_tointeger(L, 2));
  atomic_fetch_add(&course->ready, 1);
  while (!atomic_load(&course->go))
    sched_yield();
  double cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  course->results[number].begin = seconds_of(CLOCK_MONOTONIC);
  call(L, run, lua_tointeger(L, 3));
  course->results[number].end = seconds_of(CLOCK_MONOTONIC);
  course->results[number].seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  atomic_fetch_add(&course->done, 1);
  while (atomic_load(&course->done) < racers) /* a thread of ours may still be sending */
    pause_for(100e-6);
}

/* One of a crowd keeps off the racers' cores, if there are others. */
static void run_spectator(lua_State *L, struct course *course, int number) {
  int racers = (int)lua_rawlen(L, 1);
  if (cores.count > racers) pin(racers + number % (cores.count - racers), 0);
  atomic_fetch_add(&course->ready, 1);
  lua_pushvalue(L, 4);
  call(L, lua_gettop(L), LUA_MAXINTEGER);
}

/* race(runs, warm, count [, watch, n]) --> seconds from the beginning of the first run(count) to
 * the end of the last, each in a process that has called run(warm) before; the processor's seconds
 * of the first one, and of the one that needed most; meanwhile n processes are in watch(many), and
 * are killed then */
static int channels_race(lua_State *L) {
  int racers = (int)lua_rawlen(L, 1), crowd = (int)luaL_optinteger(L, 5, 0);
  pid_t pids[PROCESSES_MAX];
  luaL_argcheck(L, racers >= 1 && racers + crowd <= PROCESSES_MAX, 1, "too many");
  lua_settop(L, 5);
  arrange_cores();
  struct course *course = new_course(L);
  for (int i = 0; i < crowd; i++)
    pids[racers + i] = start(L, course, i, run_spectator);
  await_ready(L, course, crowd);
  for (int i = 0; i < racers; i++)
    pids[i] = start(L, course, i, run_racer);
  await_ready(L, course, crowd + racers);
  atomic_store(&course->go, true);
  for (int i = 0; i < racers; i++)
    finish(L, pids[i]);
  for (int i = racers; i < racers + crowd; i++) {
    kill(pids[i], SIGKILL);
    waitpid(pids[i], NULL, 0);
  }
  double begin = course->results[0].begin, end = course->results[0].end;
  double longest = course->results[0].seconds;
  for (int i = 1; i < racers; i++) {
    if (course->results[i].begin < begin) begin = course->results[i].begin;
    if (course->results[i].end > end) end = course->results[i].end;
    if (course->results[i].seconds > longest) longest = course->results[i].seconds;
  }
  lua_pushnumber(L, end - begin);
  lua_pushnumber(L, course->results[0].seconds);
  lua_pushnumber(L, longest);
  free_course(course);
  return 3;
}

/* distances() --> seconds that a word takes there and back between the nearest two cores, which
 * race takes, and the farthest two */
static int channels_distances(lua_State *L) {
  arrange_cores();
  lua_pushnumber(L, cores.nearest);
  lua_pushnumber(L, cores.farthest);
  return 2;
}

/* cores() --> their numbers, in the order in which race takes them */
static int channels_cores(lua_State *L) {
  arrange_cores();
  for (int i = 0; i < cores.count; i++)
    lua_pushinteger(L, cores.numbers[i]);
  return cores.count;
}

static const luaL_Reg functions[] = {
    {"race", channels_race},
    {"distances", channels_distances},
    {"cores", channels_cores},
    {"exchange", new_exchange},
    {"ring", new_ring},
    {"channel", new_channel},
    {"pipe", new_pipe},
    {"socketpair", new_socketpair},
    {"queue", new_queue},
    {"sysv", new_sysv},
    {NULL, NULL},
};

__attribute__((visibility("default"))) int luaopen_channels(lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
