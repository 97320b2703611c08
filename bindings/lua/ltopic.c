/* ltopic.c: t:publish, t:subscribe; s:receive, s:messages. Touches core. */
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lchannel.h"
#include "lua/lerror.h"
#include "lua/lmessage.h"
#include "lua/lsealed.h"
#include "lua/lstat.h"
#include "lua/lvalue.h"
#include "lua/lwait.h"

#include <errno.h>
#include <string.h>

#define SUBSCRIPTION_NAME "shm.subscription"

struct ltopic {
  struct lobject base;
  shmx_topic topic;
};

static void opened(struct lobject *self, uint64_t count) {
  shmx_topic_open(&((struct ltopic *)self)->topic, self->object.memory.object.data, count);
}

static const struct lobject_type topic_type = {
    "shm.topic", SHMX_KIND_TOPIC, sizeof(struct ltopic), opened, NULL, 0};

static struct ltopic *check(lua_State *L) {
  return lobject_check(L, 1, &topic_type);
}

int ltopic_open(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  uint64_t size = larg_size(L, 3);
  luaL_argcheck(L, size <= SHMX_CHANNEL_MAX, 3, "a topic has at most 2G");
  shmx_kind kind = shmx_topic_kind(shmx_channel_capacity(size));
  return lobject_open(L, arena, 2, &kind, &topic_type) != NULL ? 1 : 3;
}

static int fail(lua_State *L, struct lobject *self, int status, bool waited) {
  const char *name = lobject_push_name(L, self);
  if (status == -EPIPE) return lobject_return_finished(L, self);
  if (status == -ETIMEDOUT)
    lua_pushfstring(L, "%s has no new message", name);
  else
    return lobject_return(L, self, status, 0);
  return lerror_return_message(L, status == -ETIMEDOUT && !waited ? -EAGAIN : status);
}

/* Of calls that wait for the lock of the topic alone. */
static int fail_locked(lua_State *L, struct ltopic *self, int status) {
  if (status == -ETIMEDOUT) return lobject_return_locked(L, &self->base, self->topic.held_by);
  return fail(L, &self->base, status, true);
}

/* ---- publishing ---- */

static int try_publish(struct lobject *self, void *message, int64_t deadline) {
  return shmx_topic_publish(&((struct ltopic *)self)->topic, message, deadline);
}

static int topic_publish(lua_State *L) {
  struct ltopic *self = check(L);
  lua_settop(L, 2);
  shmx_message message = lvalue_encode(L, 2, shmx_topic_limit(&self->topic));
  int status = lobject_attempt(L, &self->base, try_publish, &message, LOBJECT_LOCK_DEADLINE);
  if (status == -EMSGSIZE)
    return luaL_error(L, "the message is too large for %s: it takes %I bytes at most",
                      lobject_push_name(L, &self->base),
                      (LUAI_UACINT)shmx_topic_limit(&self->topic));
  if (status != 0) return fail_locked(L, self, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int try_finish(struct lobject *self, void *context, int64_t deadline) {
  (void)context;
  return shmx_topic_finish(&((struct ltopic *)self)->topic, deadline);
}

static int topic_finish(lua_State *L) {
  struct ltopic *self = check(L);
  int status = lobject_attempt(L, &self->base, try_finish, NULL, LOBJECT_LOCK_DEADLINE);
  if (status != 0) return fail_locked(L, self, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int topic_stat(lua_State *L) {
  struct ltopic *self = check(L);
  int status = shmx_arena_object_check(&self->base.object);
  if (status != 0) return lobject_return(L, &self->base, status, 0);
  lstat_push_topic(L, &self->topic);
  return 1;
}

/* ---- subscribing ---- */

/* Its user value is the topic. */
struct lsubscription {
  const void *tag;
  struct lobject *topic;
  shmx_subscription subscription;
};

static const char tag;

struct start {
  shmx_subscription *subscription;
  bool oldest;
  int spin;
};

static int try_subscribe(struct lobject *self, void *context, int64_t deadline) {
  const struct start *start = context;
  return shmx_topic_subscribe(&((struct ltopic *)self)->topic, start->oldest, start->spin, deadline,
                              start->subscription);
}

static int topic_subscribe(lua_State *L) {
  static const char *const options[] = {"from", "spin", NULL};
  static const char *const starts[] = {"latest", "oldest", NULL};
  struct ltopic *self = check(L);
  lua_settop(L, 2);
  lmessage_check_options(L, 2, options);
  bool oldest = lmessage_choice(L, 2, "from", starts) == 1;
  struct start start = {NULL, oldest, lmessage_spin(L, 2)};
  struct lsubscription *subscription = lua_newuserdatauv(L, sizeof *subscription, 1);
  memset(subscription, 0, sizeof *subscription);
  subscription->tag = &tag;
  subscription->topic = &self->base;
  start.subscription = &subscription->subscription;
  luaL_setmetatable(L, SUBSCRIPTION_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  int status = lobject_attempt(L, &self->base, try_subscribe, &start, LOBJECT_LOCK_DEADLINE);
  return status == 0 ? 1 : fail_locked(L, self, status);
}

static struct lsubscription *check_subscription(lua_State *L) {
  struct lsubscription *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &tag;
  if (!ours) luaL_typeerror(L, 1, SUBSCRIPTION_NAME " (methods are called with a colon)");
  return self;
}

/* ---- receiving ---- */

struct receipt {
  shmx_subscription *subscription;
  struct lbuffer *buffer;
  shmx_message message;
  shmx_copied copied;
  uint64_t lost;
};

static int try_copy(struct lobject *topic, void *context, int64_t deadline) {
  (void)topic;
  struct receipt *receipt = context;
  return shmx_subscription_copy(receipt->subscription, receipt->buffer->data, receipt->buffer->room,
                                &receipt->message, &receipt->lost, &receipt->copied, deadline);
}

/* Pushes what is to be returned for the next message, which stays the next one. */
static int push_next(lua_State *L, struct lsubscription *self, struct receipt *receipt,
                     int64_t deadline, int *results) {
  struct lbuffer *buffer = receipt->buffer;
  lbuffer_start(buffer);
  int status = lobject_attempt(L, self->topic, try_copy, receipt, deadline);
  while (status == -EMSGSIZE) {
    lbuffer_grow(L, buffer, receipt->message.length);
    status = lobject_attempt(L, self->topic, try_copy, receipt, deadline);
  }
  if (status != 0) return status;
  *results = lmessage_push(L, self->topic, &receipt->message);
  lbuffer_end(L, buffer);
  return 0;
}

/* Receives a message: `results` are pushed, and `lost` says how many were lost before it. Or
 * returns a status. A finalizer that receives from this subscription meanwhile has the message. */
static int receive(lua_State *L, struct lsubscription *self, uint64_t *lost, int64_t deadline,
                   int *results) {
  struct lbuffer buffer; /* not in the receipt, with which it would be filled with zeros */
  struct receipt receipt = {.subscription = &self->subscription, .buffer = &buffer};
  int top = lua_gettop(L);
  for (;;) {
    int status = push_next(L, self, &receipt, deadline, results);
    *lost = receipt.lost;
    if (status != 0) return status;
    if (shmx_subscription_consume(&self->subscription, &receipt.copied) == 0) return 0;
    lua_settop(L, top);
  }
}

/* With an error, how many were lost is the fourth value, if any were. */
static int subscription_receive(lua_State *L) {
  struct lsubscription *self = check_subscription(L);
  int64_t deadline = lwait_check_deadline(L, 2);
  uint64_t lost;
  int results = 0, status = receive(L, self, &lost, deadline, &results);
  if (status != 0) results = fail(L, self->topic, status, lwait_is_patient(L, 2));
  if (results != 1 && lost == 0 && status != -EPIPE) return results;
  lua_pushinteger(L, (lua_Integer)lost);
  return results + 1;
}

/* for value, lost in s:messages() do: until the topic is finished. */
static int next_message(lua_State *L) {
  lua_settop(L, 1);
  struct lsubscription *self = check_subscription(L);
  uint64_t lost;
  int results = 0, status = receive(L, self, &lost, SHMX_FOREVER, &results);
  if (status == -EPIPE) return lua_pushnil(L), 1;
  if (status != 0) results = fail(L, self->topic, status, true);
  if (results != 1) return luaL_error(L, "%s", lua_tostring(L, -2));
  lua_pushinteger(L, (lua_Integer)lost);
  return 2;
}

static int subscription_messages(lua_State *L) {
  check_subscription(L);
  lua_pushcfunction(L, next_message);
  lua_pushvalue(L, 1);
  return 2;
}

static int subscription_tostring(lua_State *L) {
  const struct lsubscription *self = check_subscription(L);
  lua_pushfstring(L, "subscription of %s", lobject_push_name(L, self->topic));
  return 1;
}

void ltopic_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"publish", topic_publish},
                                     {"subscribe", topic_subscribe},
                                     {"finish", topic_finish},
                                     {"stat", topic_stat},
                                     {NULL, NULL}};
  static const luaL_Reg subscription_methods[] = {
      {"receive", subscription_receive}, {"messages", subscription_messages}, {NULL, NULL}};
  lobject_register(L, &topic_type, methods);
  luaL_newmetatable(L, SUBSCRIPTION_NAME);
  lua_pushcfunction(L, subscription_tostring);
  lua_setfield(L, -2, "__tostring");
  luaL_newlib(L, subscription_methods);
  lua_setfield(L, -2, "__index");
  lsealed_set(L, "subscription");
  lua_pop(L, 1);
}
