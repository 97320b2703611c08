/* lchannel.c: ch:send, ch:reserve, ch:peek ... Touches core. */
#include "lua/lchannel.h"
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lchannel_state.h"
#include "lua/lelement.h"
#include "lua/lerror.h"
#include "lua/lmessage.h"
#include "lua/lstat.h"
#include "lua/lvalue.h"
#include "lua/lview.h"
#include "lua/lwait.h"
#include "lua/lwindow.h"

#include <string.h>

/* User values: the arena is 1; the windows of the ends that are reserved or peeked at. */
enum { PRODUCER_WINDOW = 2, CONSUMER_WINDOW };

/* The views of what was reserved or peeked at raise from now on. */
static void close_window(struct lchannel *self, int value) {
  struct lwindow **window = &self->windows[value - PRODUCER_WINDOW];
  lwindow_close(*window);
  *window = NULL;
}

static struct lchannel *channel_of(shmx_arena_object *object) {
  return (struct lchannel *)((char *)object - offsetof(struct lobject, object));
}

static void close_windows(shmx_arena_object *object) {
  struct lchannel *self = channel_of(object);
  close_window(self, PRODUCER_WINDOW);
  close_window(self, CONSUMER_WINDOW);
}

static void closing(shmx_arena_object *object) {
  close_windows(object);
  shmx_channel_close(&channel_of(object)->channel);
}

/* What the parent has reserved or peeked at is not the child's to look at. */
static void opened(struct lobject *self, uint64_t count) {
  shmx_channel_open(&((struct lchannel *)self)->channel, self->object.memory.object.data, count);
  self->object.forked = close_windows;
}

const struct lobject_type lchannel_type = {
    "shm.channel", SHMX_KIND_CHANNEL, sizeof(struct lchannel), opened, closing, 2};

/* ---- opening ---- */

/* The ends that the option exclusive names. */
static int check_exclusive(lua_State *L, int index) {
  static const char *const names[] = {"producer", "consumer", "both", NULL};
  return lmessage_choice(L, index, "exclusive", names) + 1;
}

int lchannel_open(lua_State *L) {
  static const char *const options[] = {"exclusive", "spin", NULL};
  shmx_arena *arena = larena_check(L);
  uint64_t size = larg_size(L, 3);
  luaL_argcheck(L, size <= SHMX_CHANNEL_MAX, 3, "a channel has at most 2G");
  lmessage_check_options(L, 4, options);
  int ends = check_exclusive(L, 4), spin = lmessage_spin(L, 4);
  shmx_kind kind = shmx_channel_kind(shmx_channel_capacity(size));
  struct lchannel *self = (struct lchannel *)lobject_open(L, arena, 2, &kind, &lchannel_type);
  if (self == NULL) return 3;
  if (spin >= 0) shmx_channel_spin(&self->channel, (uint32_t)spin);
  int status = shmx_channel_claim(&self->channel, ends);
  if (status == 0) return 1;
  /* Of both ends, the producers' may have been free, and is again. */
  bool producer = ends & SHMX_PRODUCER && !self->channel.producer.claimed;
  uint32_t holder = producer ? shmx_channel_holder(&self->channel, SHMX_PRODUCER) : 0;
  if (holder == 0 && ends & SHMX_CONSUMER)
    holder = shmx_channel_holder(&self->channel, SHMX_CONSUMER);
  return lobject_return(L, &self->base, status, holder);
}

/* ---- what may go wrong ---- */

/* Why nothing was sent or received in time: a ring that is full or empty, or another's turn. */
static void push_in_the_way(lua_State *L, struct lchannel *self, int end, const char *name,
                            bool waited) {
  bool sending = end == SHMX_PRODUCER;
  const struct shmx_channel_end *mine = sending ? &self->channel.producer : &self->channel.consumer;
  uint32_t holder = mine->missed ? shmx_channel_holder(&self->channel, end) : 0;
  if (holder != 0)
    lua_pushfstring(L, "%s: process %d is %s: it has %s, or is stopped", name, (int)holder,
                    sending ? "sending" : "receiving", sending ? "reserved" : "peeked");
  else if (mine->missed) /* it has just left */
    lua_pushfstring(L, "%s: others were %s all the time", name, sending ? "sending" : "receiving");
  else
    lua_pushfstring(L, "%s %s %s", name, waited ? "stayed" : "is", sending ? "full" : "empty");
}

int lchannel_fail(lua_State *L, struct lchannel *self, int status, int end, bool waited) {
  const char *name = lobject_push_name(L, &self->base);
  bool sending = end == SHMX_PRODUCER;
  switch (status) {
  case -EMSGSIZE:
    return luaL_error(L, "the message is too large for %s: it takes %I bytes at most", name,
                      (LUAI_UACINT)shmx_channel_limit(&self->channel));
  case -EDEADLK:
    return luaL_error(L, "%s: %s first", name,
                      sending ? "commit what is reserved" : "release what is peeked at");
  case -EPERM:
    return luaL_error(L, "%s: nothing is %s by this thread", name,
                      sending ? "reserved" : "peeked at");
  case -EPIPE:
    return lobject_return_finished(L, &self->base);
  case -EBUSY:
    lua_pushfstring(L, "%s: process %d has %s for itself", name,
                    (int)shmx_channel_holder(&self->channel, end),
                    sending ? "sending" : "receiving");
    break;
  case -ETIMEDOUT:
    push_in_the_way(L, self, end, name, waited);
    if (!waited) status = -EAGAIN;
    break;
  default:
    return lobject_return(L, &self->base, status, 0);
  }
  return lerror_return_message(L, status);
}

static int done(lua_State *L, struct lchannel *self, int status, int end, bool waited) {
  if (status != 0) return lchannel_fail(L, self, status, end, waited);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- sending ---- */

struct batch {
  shmx_message *messages;
  size_t count, sent;
};

static int try_send(struct lobject *self, void *message, int64_t deadline) {
  return shmx_channel_send(&((struct lchannel *)self)->channel, message, deadline);
}

static int try_send_all(struct lobject *self, void *context, int64_t deadline) {
  struct batch *batch = context;
  size_t sent;
  int status =
      shmx_channel_send_all(&((struct lchannel *)self)->channel, batch->messages + batch->sent,
                            batch->count - batch->sent, deadline, &sent);
  batch->sent += sent;
  return status;
}

static int channel_send(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  int64_t deadline = lwait_check_deadline(L, 3);
  lua_settop(L, 3);
  shmx_message message = lvalue_encode(L, 2, shmx_channel_limit(&self->channel));
  int status = lobject_attempt(L, &self->base, try_send, &message, deadline);
  return done(L, self, status, SHMX_PRODUCER, lwait_is_patient(L, 3));
}

/* What is encoded stays on the stack: a hook may change the list while we wait. */
static int channel_send_all(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t deadline = lwait_check_deadline(L, 3);
  lua_settop(L, 3);
  struct batch batch = {NULL, (size_t)lua_rawlen(L, 2), 0};
  luaL_argcheck(L, batch.count <= 100000, 2, "more than 100000 messages at once");
  batch.messages = lua_newuserdatauv(L, (batch.count + 1) * sizeof(shmx_message), 0);
  luaL_checkstack(L, 2 * (int)batch.count + 8, "messages");
  uint64_t limit = shmx_channel_limit(&self->channel);
  for (size_t i = 0; i < batch.count; i++) {
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) == LUA_TNIL)
      luaL_error(L, "message %d: value is nil, which no message carries", (int)i + 1);
    batch.messages[i] = lvalue_encode(L, lua_gettop(L), limit);
    if (batch.messages[i].length > limit)
      return lchannel_fail(L, self, -EMSGSIZE, SHMX_PRODUCER, true);
  }
  int status =
      batch.count != 0 ? lobject_attempt(L, &self->base, try_send_all, &batch, deadline) : 0;
  if (status != 0) {
    int results = lchannel_fail(L, self, status, SHMX_PRODUCER, lwait_is_patient(L, 3));
    lua_pushinteger(L, (lua_Integer)batch.sent);
    return results + 1;
  }
  lua_pushinteger(L, (lua_Integer)batch.sent);
  return 1;
}

static int try_finish(struct lobject *self, void *context, int64_t deadline) {
  (void)context;
  return shmx_channel_finish(&((struct lchannel *)self)->channel, deadline);
}

static int channel_finish(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  int status = lobject_attempt(L, &self->base, try_finish, NULL, LOBJECT_LOCK_DEADLINE);
  return done(L, self, status, SHMX_PRODUCER, true);
}

/* ---- in the ring itself ---- */

struct grant {
  uint32_t length;
  void *data;
  shmx_message message;
};

static int try_reserve(struct lobject *self, void *context, int64_t deadline) {
  struct grant *grant = context;
  return shmx_channel_reserve(&((struct lchannel *)self)->channel, grant->length, &grant->data,
                              deadline);
}

static int try_peek(struct lobject *self, void *context, int64_t deadline) {
  struct grant *grant = context;
  return shmx_channel_peek(&((struct lchannel *)self)->channel, &grant->message, deadline);
}

static shmx_type opt_type(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? SHMX_U8 : lelement_check_type(L, index);
}

/* Pushes a window onto nothing, and a view of it: before there is something to look at, for there
 * may be no memory for them. The status says whether the channel was removed meanwhile. */
static int push_view(lua_State *L, struct lchannel *self, shmx_type type) {
  lwindow_push(L);
  lwindow_open(L, lua_gettop(L), &self->base, self->base.object.memory.object.data, 0);
  return lview_open(L, lua_gettop(L), type, 0, 0);
}

/* That window, below its view at the top, opens onto `count` elements. */
static void open_view(lua_State *L, struct lchannel *self, int value, shmx_type type, void *data,
                      uint64_t count) {
  int window = lua_gettop(L) - 1;
  size_t size = shmx_type_size(type);
  self->windows[value - PRODUCER_WINDOW] = lwindow_open(L, window, &self->base, data, count * size);
  shmx_view_open(&lview_test(L, -1)->view, lwindow_test(L, window), size, 0, count);
  lua_pushvalue(L, window);
  lua_setiuservalue(L, 1, value);
}

static int channel_reserve(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  lua_Integer count = luaL_checkinteger(L, 2);
  shmx_type type = opt_type(L, 3);
  int64_t deadline = lwait_check_deadline(L, 4);
  uint64_t limit = shmx_channel_limit(&self->channel), size = shmx_type_size(type);
  luaL_argcheck(L, count >= 0, 2, "a count is not negative");
  if ((uint64_t)count > limit / size) return lchannel_fail(L, self, -EMSGSIZE, SHMX_PRODUCER, true);
  struct grant grant = {.length = (uint32_t)((uint64_t)count * size)};
  lua_settop(L, 4);
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0) status = push_view(L, self, type);
  if (status == 0) status = lobject_attempt(L, &self->base, try_reserve, &grant, deadline);
  if (status != 0) return lchannel_fail(L, self, status, SHMX_PRODUCER, lwait_is_patient(L, 4));
  self->unit = size;
  open_view(L, self, PRODUCER_WINDOW, type, grant.data, (uint64_t)count);
  return 1;
}

static int channel_commit(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  const struct shmx_channel_end *end = &self->channel.producer;
  uint64_t unit = self->unit != 0 ? self->unit : 1;
  lua_Integer count = luaL_optinteger(L, 2, (lua_Integer)(end->size / unit));
  luaL_argcheck(L, !end->busy || (count >= 0 && (uint64_t)count <= end->size / unit), 2,
                "more than was reserved");
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0)
    status = shmx_channel_commit(&self->channel, (uint32_t)((uint64_t)count * unit), LVALUE_STRING);
  if (status == 0) close_window(self, PRODUCER_WINDOW);
  return done(L, self, status, SHMX_PRODUCER, true);
}

/* How bytes with this tag are to be read; another program's tag is an integer. */
static void push_format(lua_State *L, uint32_t tag) {
  if (tag > LVALUE_MSGPACK)
    lua_pushinteger(L, tag);
  else
    lua_pushvalue(L, tag == LVALUE_STRING ? 4 : 5);
}

/* The view, and how the bytes are to be read: the names of that are at 4 and 5. */
static int channel_peek(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  shmx_type type = opt_type(L, 2);
  int64_t deadline = lwait_check_deadline(L, 3);
  struct grant grant = {0};
  lua_settop(L, 3);
  lua_pushliteral(L, "string");
  lua_pushliteral(L, "msgpack");
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0) status = push_view(L, self, type);
  if (status == 0) status = lobject_attempt(L, &self->base, try_peek, &grant, deadline);
  if (status != 0) return lchannel_fail(L, self, status, SHMX_CONSUMER, lwait_is_patient(L, 3));
  uint64_t count = grant.message.length / shmx_type_size(type);
  open_view(L, self, CONSUMER_WINDOW, type, (void *)grant.message.data, count);
  push_format(L, grant.message.tag);
  return 2;
}

static int channel_release(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  int status = shmx_arena_object_check(&self->base.object);
  if (status == 0) status = shmx_channel_release(&self->channel);
  if (status == 0) close_window(self, CONSUMER_WINDOW);
  return done(L, self, status, SHMX_CONSUMER, true);
}

static int channel_fd(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  int fd, status = shmx_arena_object_check(&self->base.object);
  if (status == 0) status = shmx_channel_fd(&self->channel, &fd);
  if (status != 0) return lobject_return(L, &self->base, status, 0);
  lua_pushinteger(L, fd);
  return 1;
}

/* ---- status and registration ---- */

static int channel_stat(lua_State *L) {
  struct lchannel *self = lchannel_check(L);
  int status = shmx_arena_object_check(&self->base.object);
  if (status != 0) return lobject_return(L, &self->base, status, 0);
  lstat_push_channel(L, &self->channel);
  return 1;
}

void lchannel_register(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"send", channel_send},
      {"send_all", channel_send_all},
      {"receive", lchannel_receive},
      {"receive_all", lchannel_receive_all},
      {"messages", lchannel_messages},
      {"finish", channel_finish},
      {"reserve", channel_reserve},
      {"commit", channel_commit},
      {"peek", channel_peek},
      {"release", channel_release},
      {"fd", channel_fd},
      {"stat", channel_stat},
      {NULL, NULL},
  };
  lobject_register(L, &lchannel_type, methods);
}
