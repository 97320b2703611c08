/*
 * lchannel_receive.c: ch:receive, ch:receive_all, ch:messages. Touches core.
 *
 * A message is copied, what is to be returned is made of it, and then it is taken out, if nobody
 * else has received it meanwhile. So "not enough memory" leaves it to the next call. Finalizers may
 * receive meanwhile, peek, or close the arena: nothing is held.
 */
#include "lua/lchannel_state.h"
#include "lua/lmessage.h"
#include "lua/lwait.h"

#include <errno.h>

static int try_consume(struct lobject *self, void *copied, int64_t deadline) {
  return shmx_channel_consume(&((struct lchannel *)self)->channel, copied, deadline);
}

/* How often another was first. */
struct contest {
  uint64_t losses;
  int64_t until;
};

enum { LOOK_EVERY = 16 };

/* Another was first. Is there time to try again? There is for a tenth of a second, at least, as for
 * any turn. Neither the clock nor the hook is looked at each time. */
static bool may_try_again(lua_State *L, struct lchannel *self, int64_t deadline,
                          struct contest *contest) {
  if (++contest->losses % LOOK_EVERY != 0) return true;
  lwait_run_hook(L);
  int64_t now = shmx_clock_now(), least = now + SHMX_SECOND / 10;
  if (contest->until == 0) contest->until = deadline > least ? deadline : least;
  self->channel.consumer.missed = true;
  return now < contest->until;
}

struct receipt {
  struct lbuffer buffer;
  shmx_message message;
  shmx_copied copied;
};

static int try_copy(struct lobject *self, void *context, int64_t deadline) {
  struct receipt *receipt = context;
  return shmx_channel_copy(&((struct lchannel *)self)->channel, receipt->buffer.data,
                           receipt->buffer.room, &receipt->message, &receipt->copied, deadline);
}

/* A string that is pushed straight from the ring is good if memory was not lost meanwhile. */
static int push_straight(lua_State *L, struct lchannel *self, const shmx_message *message) {
  lua_pushlstring(L, message->data, message->length);
  int status = shmx_arena_object_check(&self->base.object);
  return status == 0 && shmx_segment_lost(&self->base.object.memory) ? -EFAULT : status;
}

/* Pushes what is to be returned for the next message, which stays. */
static int push_next(lua_State *L, struct lchannel *self, struct receipt *receipt, int64_t deadline,
                     int *results) {
  struct lbuffer *buffer = &receipt->buffer;
  lbuffer_start(buffer);
  int status = lobject_attempt(L, &self->base, try_copy, receipt, deadline);
  if (status == -EMSGSIZE && lmessage_is_straight(&receipt->message)) {
    *results = 1;
    return push_straight(L, self, &receipt->message);
  }
  while (status == -EMSGSIZE) {
    lbuffer_grow(L, buffer, receipt->message.length);
    status = lobject_attempt(L, &self->base, try_copy, receipt, deadline);
  }
  if (status != 0) return status;
  *results = lmessage_push(L, &self->base, &receipt->message);
  lbuffer_end(L, buffer);
  return 0;
}

/* Receives a message: `results` are pushed. Or returns a status. */
static int receive(lua_State *L, struct lchannel *self, int64_t deadline, int *results) {
  struct receipt receipt;
  struct contest contest = {0, 0};
  int top = lua_gettop(L);
  for (;;) {
    int status = push_next(L, self, &receipt, deadline, results);
    if (status == 0)
      status = lobject_attempt(L, &self->base, try_consume, &receipt.copied, deadline);
    if (status != -EAGAIN) return status;
    lua_settop(L, top);
    if (!may_try_again(L, self, deadline, &contest)) return -ETIMEDOUT;
  }
}

int lchannel_receive(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  int64_t deadline = lwait_check_deadline(L, 2);
  int results = 0, status = receive(L, self, deadline, &results);
  return status == 0 ? results
                     : lchannel_fail(L, self, status, SHMX_CONSUMER, lwait_is_patient(L, 2));
}

/* for value in ch:messages() do: until the channel is finished. */
static int next_message(lua_State *L) {
  lua_settop(L, 1);
  struct lchannel *self = lchannel_check(L);
  int results = 0, status = receive(L, self, SHMX_FOREVER, &results);
  if (status == 0 && results == 1) return 1;
  if (status != 0) lchannel_fail(L, self, status, SHMX_CONSUMER, true);
  return status == -EPIPE ? (lua_pushnil(L), 1) : luaL_error(L, "%s", lua_tostring(L, -2));
}

int lchannel_messages(lua_State *L) {
  lchannel_check(L);
  lua_pushcfunction(L, next_message);
  lua_pushvalue(L, 1);
  return 2;
}

enum { BATCH_BYTES = 16384, BATCH_MAX = 1024 };

struct receipts {
  void *data;
  size_t room, most, length;
  shmx_copied copied;
  _Alignas(8) unsigned char small[BATCH_BYTES];
};

static int try_copy_all(struct lobject *self, void *context, int64_t deadline) {
  struct receipts *receipts = context;
  return shmx_channel_copy_all(&((struct lchannel *)self)->channel, receipts->data, receipts->room,
                               receipts->most, &receipts->length, &receipts->copied, deadline);
}

/* Pushes what is to be returned for the next messages, which stay. The stack ends at 3. */
static int push_several(lua_State *L, struct lchannel *self, struct receipts *receipts,
                        int64_t deadline, int *results) {
  receipts->data = receipts->small;
  receipts->room = sizeof receipts->small;
  int status = lobject_attempt(L, &self->base, try_copy_all, receipts, deadline);
  while (status == -EMSGSIZE) {
    lua_settop(L, 3); /* a peer may make it longer again and again */
    receipts->room = receipts->length;
    receipts->data = lua_newuserdatauv(L, receipts->room, 0);
    status = lobject_attempt(L, &self->base, try_copy_all, receipts, deadline);
  }
  if (status != 0) return status;
  *results = lmessage_push_all(L, &self->base, receipts->data, receipts->length);
  return 0;
}

/* The longer a list takes to be made, the likelier another is first, and it is made in vain. So
 * where others receive, fewer messages are tried; and soon more again. */
static void adapt_batch(struct lchannel *self, uint64_t messages, bool lost) {
  if (lost)
    self->batch = messages / 2 + 1;
  else
    self->batch = self->batch <= BATCH_MAX / 2 ? self->batch * 2 : 0;
}

static int receive_all(lua_State *L, struct lchannel *self, size_t most, int64_t deadline,
                       int *results) {
  struct receipts receipts;
  struct contest contest = {0, 0};
  for (;;) {
    receipts.most = self->batch != 0 && self->batch < most ? self->batch : most;
    int status = push_several(L, self, &receipts, deadline, results);
    if (status == 0)
      status = lobject_attempt(L, &self->base, try_consume, &receipts.copied, deadline);
    if (status == 0 || status == -EAGAIN)
      adapt_batch(self, receipts.copied.messages, status == -EAGAIN);
    if (status != -EAGAIN) return status;
    lua_settop(L, 3);
    if (!may_try_again(L, self, deadline, &contest)) return -ETIMEDOUT;
  }
}

int lchannel_receive_all(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  lua_Integer most = luaL_optinteger(L, 2, LUA_MAXINTEGER);
  luaL_argcheck(L, most >= 1, 2, "at least 1 message");
  int64_t deadline = lwait_check_deadline(L, 3);
  lua_settop(L, 3);
  int results = 0, status = receive_all(L, self, (size_t)most, deadline, &results);
  return status == 0 ? results
                     : lchannel_fail(L, self, status, SHMX_CONSUMER, lwait_is_patient(L, 3));
}
