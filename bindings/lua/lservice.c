/* lservice.c: s:call; for request, reply in s:requests(). Touches core. */
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lchannel.h"
#include "lua/lerror.h"
#include "lua/lmessage.h"
#include "lua/luser.h"
#include "lua/lvalue.h"
#include "lua/lwait.h"

#include <string.h>

#define REQUEST_NAME "shm.request"
#define SERVER_NAME  "shm.server"

struct lservice {
  struct lobject base;
  shmx_service service;
  bool retry;         /* a call whose server died is made again */
  struct call *calls; /* that wait: a hook may call meanwhile */
};

/* A call that waits. */
struct call {
  const shmx_message *request;
  shmx_request begun;
  struct lbuffer *buffer;
  shmx_message reply;
  struct call *outer;
};

static void opened(struct lobject *self, uint64_t count) {
  shmx_service_open(&((struct lservice *)self)->service, self->object.memory.object.data, count);
}

static void closing(shmx_arena_object *object) {
  struct lobject *base = (struct lobject *)((char *)object - offsetof(struct lobject, object));
  struct lservice *self = (struct lservice *)base;
  for (const struct call *call = self->calls; call != NULL; call = call->outer)
    shmx_service_end(&self->service, &call->begun);
  shmx_service_close(&self->service);
}

static const struct lobject_type service_type = {
    "shm.service", SHMX_KIND_SERVICE, sizeof(struct lservice), opened, closing, 0};

static struct lservice *check(lua_State *L) {
  return lobject_check(L, 1, &service_type);
}

enum { DEFAULT_LIMIT = 4096 };

int lservice_open(lua_State *L) {
  static const char *const options[] = {"retry", "spin", NULL};
  shmx_arena *arena = larena_check(L);
  uint64_t size = lua_isnoneornil(L, 3) ? DEFAULT_LIMIT : larg_size(L, 3);
  luaL_argcheck(L, size <= SHMX_SERVICE_LIMIT_MAX, 3, "requests and replies have at most 16M");
  lmessage_check_options(L, 4, options);
  if (lmessage_option(L, 4, "retry") != LUA_TNIL && !lua_isboolean(L, -1))
    luaL_argerror(
        L, 4, lua_pushfstring(L, "option retry is true or false, not a %s", luaL_typename(L, -1)));
  bool retry = lua_toboolean(L, -1);
  int spin = lmessage_spin(L, 4);
  shmx_kind kind = shmx_service_kind((size + 63) & ~UINT64_C(63));
  struct lservice *self = (struct lservice *)lobject_open(L, arena, 2, &kind, &service_type);
  if (self == NULL) return 3;
  self->retry |= retry;
  if (spin >= 0) shmx_service_spin(&self->service, (uint32_t)spin);
  return 1;
}

static int fail(lua_State *L, struct lservice *self, int status) {
  const char *name = lobject_push_name(L, &self->base);
  switch (status) {
  case -EMSGSIZE:
    return luaL_error(L, "the message is too large for %s: it takes %I bytes at most", name,
                      (LUAI_UACINT)self->service.limit);
  case -EOWNERDEAD:
    lua_pushfstring(L, "%s: the server died before it replied", name);
    break;
  case -ETIMEDOUT:
    if (self->base.held_by != 0) return lobject_return_locked(L, &self->base, self->base.held_by);
    lua_pushfstring(L, "%s: no reply came in time", name);
    break;
  case -ECANCELED:
    lua_pushfstring(L, "%s: the caller does not wait for the reply any more", name);
    break;
  case -EPIPE:
    return lobject_return_finished(L, &self->base);
  default:
    return lobject_return(L, &self->base, status, 0);
  }
  return lerror_return_message(L, status);
}

/* ---- calling ---- */

static int try_begin(struct lobject *self, void *context, int64_t deadline) {
  shmx_service *service = &((struct lservice *)self)->service;
  struct call *call = context;
  int status = shmx_service_begin(service, call->request, deadline, &call->begun);
  self->held_by = service->held_by;
  return status;
}

static int try_await(struct lobject *self, void *context, int64_t deadline) {
  struct call *call = context;
  return shmx_service_await(&((struct lservice *)self)->service, &call->begun, call->buffer->data,
                            &call->reply, deadline);
}

/* What a hook raises while we wait gives the call up, too. */
static int await_protected(lua_State *L) {
  struct lservice *self = lua_touserdata(L, 1);
  struct call *call = lua_touserdata(L, 2);
  int64_t deadline = lua_tointeger(L, 3);
  lua_pushinteger(L, lobject_attempt(L, &self->base, try_await, call, deadline));
  return 1;
}

static int await(lua_State *L, struct lservice *self, struct call *call, int64_t deadline) {
  lua_pushcfunction(L, await_protected);
  lua_pushvalue(L, 1);
  lua_pushlightuserdata(L, call);
  lua_pushinteger(L, deadline);
  call->outer = self->calls;
  self->calls = call;
  int failed = lua_pcall(L, 3, 1, 0);
  self->calls = call->outer;
  if (shmx_arena_object_check(&self->base.object) == 0)
    shmx_service_end(&self->service, &call->begun);
  if (failed != LUA_OK) lua_error(L);
  int status = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  return status;
}

static int service_call(lua_State *L) {
  struct lservice *self = check(L);
  int64_t deadline = lwait_check_deadline(L, 3);
  lua_settop(L, 3);
  shmx_message request = lvalue_encode(L, 2, self->service.limit);
  struct lbuffer buffer; /* not in the call, with which it would be filled with zeros */
  struct call call = {.request = &request, .buffer = &buffer};
  int status;
  lbuffer_start(&buffer);
  if (self->service.limit > buffer.room) lbuffer_grow(L, &buffer, self->service.limit);
  do {
    status = lobject_attempt(L, &self->base, try_begin, &call, deadline);
    if (status == 0) status = await(L, self, &call, deadline);
  } while (status == -EOWNERDEAD && self->retry);
  if (status == 0 && call.reply.tag == LVALUE_ERROR) {
    lua_pushlstring(L, call.reply.data, call.reply.length);
    return lerror_return_message(L, -EREMOTE);
  }
  return status == 0 ? lmessage_push(L, &self->base, &call.reply) : fail(L, self, status);
}

/* ---- serving ---- */

/* A request that was taken; its user value is the service. */
struct lrequest {
  const void *tag;
  struct lservice *service; /* NULL: it was replied to */
  shmx_request request;
};

/* What the loop is at; its user values are the service and the request. */
struct lserver {
  const void *tag;
  struct lservice *service;
};

static const char request_tag, server_tag;

/* The request at `index`, or NULL where there is none. */
static struct lrequest *test_request(lua_State *L, int index) {
  struct lrequest *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == sizeof *self && self->tag == &request_tag;
  return ours ? self : NULL;
}

static struct lrequest *push_request(lua_State *L) {
  struct lrequest *self = lua_newuserdatauv(L, sizeof *self, 1);
  memset(self, 0, sizeof *self);
  self->tag = &request_tag;
  luaL_setmetatable(L, REQUEST_NAME);
  lua_getiuservalue(L, 1, 1);
  lua_setiuservalue(L, -2, 1);
  return self;
}

struct replying {
  const shmx_request *request;
  const shmx_message *message;
};

static int try_reply(struct lobject *self, void *context, int64_t deadline) {
  const struct replying *replying = context;
  (void)deadline; /* it takes a moment */
  return shmx_service_reply(&((struct lservice *)self)->service, replying->request,
                            replying->message);
}

static int send_reply(lua_State *L, struct lrequest *self, const shmx_message *message) {
  struct lservice *service = self->service;
  struct replying replying = {&self->request, message};
  int64_t deadline = shmx_clock_now() + SHMX_SECOND;
  int status = lobject_attempt(L, &service->base, try_reply, &replying, deadline);
  if (status == -ETIMEDOUT)
    status = -ECANCELED; /* nobody but who gives up is so long in the slot */
  if (status != -EMSGSIZE) self->service = NULL;
  return status;
}

/* An error as text, cut where it is too long. */
static int send_error(lua_State *L, struct lrequest *self, const char *text, size_t length) {
  uint64_t limit = self->service->service.limit;
  shmx_message message = {text, (uint32_t)(length < limit ? length : limit), LVALUE_ERROR};
  return send_reply(L, self, &message);
}

/* reply(value), or reply(nil, message): the request is in upvalue 1. */
static int reply(lua_State *L) {
  struct lrequest *self = test_request(L, lua_upvalueindex(1));
  luser_check(L, self != NULL);
  struct lservice *service = self->service;
  if (service == NULL) return luaL_error(L, "this request was replied to already");
  lua_settop(L, 2);
  int status;
  if (lua_isnil(L, 1) && !lua_isnil(L, 2)) {
    size_t length;
    const char *text = luaL_tolstring(L, 2, &length);
    status = send_error(L, self, text, length);
  } else {
    shmx_message message = lvalue_encode(L, 1, service->service.limit);
    status = send_reply(L, self, &message);
  }
  if (status != 0) return fail(L, service, status);
  lua_pushboolean(L, 1);
  return 1;
}

/* What nobody can reply to any more fails the call. A finalizer waits for nobody. */
static int request_gc(lua_State *L) {
  static const char text[] = "the server has dropped the request";
  static const shmx_message message = {text, sizeof text - 1, LVALUE_ERROR};
  const struct lrequest *self = test_request(L, 1);
  if (self != NULL && self->service != NULL &&
      shmx_arena_object_check(&self->service->base.object) == 0)
    shmx_service_reply(&self->service->service, &self->request, &message);
  return 0;
}

/*
 * A request is copied, what the loop is to get is made of it, and then it is taken. So "not enough
 * memory" leaves it to another server.
 */

struct taking {
  struct lbuffer buffer;
  shmx_request request;
  shmx_copied copied;
};

static int try_copy(struct lobject *self, void *context, int64_t deadline) {
  shmx_service *service = &((struct lservice *)self)->service;
  struct taking *taking = context;
  int status = shmx_service_copy(service, taking->buffer.data, taking->buffer.room,
                                 &taking->request, &taking->copied, deadline);
  self->held_by = service->held_by;
  return status;
}

static int try_accept(struct lobject *self, void *context, int64_t deadline) {
  shmx_service *service = &((struct lservice *)self)->service;
  const struct taking *taking = context;
  int status = shmx_service_accept(service, &taking->request, &taking->copied, deadline);
  self->held_by = service->held_by;
  return status;
}

/* Copies the next request. */
static int copy_request(lua_State *L, struct lservice *service, struct taking *taking) {
  lbuffer_start(&taking->buffer);
  int status = lobject_attempt(L, &service->base, try_copy, taking, SHMX_FOREVER);
  while (status == -EMSGSIZE) {
    lbuffer_grow(L, &taking->buffer, taking->request.message.length);
    status = lobject_attempt(L, &service->base, try_copy, taking, SHMX_FOREVER);
  }
  return status;
}

enum { SERVER_SERVICE = 1, SERVER_REQUEST };

/* Pushes the value of a request that was copied; or, where it has none, the error to reply with. */
static int push_value(lua_State *L, const shmx_message *message) {
  int status = lvalue_push(L, message);
  if (status == -EBADMSG) lua_pushliteral(L, "is damaged");
  if (status == 0) return 0;
  const char *what = lua_tostring(L, -1);
  lua_pushfstring(L, "the request %s", what);
  return status;
}

/* Pushes the next request and its reply; the server is at 1, a new request at 2. -ECANCELED: it was
 * another's, or nobody waited for it, or it had no value and was replied to: there is no more yet.
 */
static int take_request(lua_State *L, struct lservice *service, struct lrequest *request) {
  struct taking taking;
  int status = copy_request(L, service, &taking);
  if (status != 0) return status;
  int valued = push_value(L, &taking.request.message);
  int value = lua_gettop(L);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, reply, 1);
  status = lobject_attempt(L, &service->base, try_accept, &taking, SHMX_FOREVER);
  if (status != 0) return status;
  request->service = service;
  request->request = taking.request;
  if (valued == 0) return 0;
  size_t length;
  const char *text = lua_tolstring(L, value, &length);
  send_error(L, request, text, length);
  return -ECANCELED;
}

/* The loop's next step: the server is at 1. */
static int next_request(lua_State *L) {
  struct lserver *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &server_tag;
  if (!ours) return luaL_typeerror(L, 1, SERVER_NAME);
  struct lservice *service = self->service;
  for (;;) {
    lua_settop(L, 1);
    struct lrequest *request = push_request(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, SERVER_REQUEST);
    int status = take_request(L, service, request);
    if (status == 0) return 2;
    if (status == -EPIPE) return lua_pushnil(L), 1;
    if (status != -ECANCELED) {
      fail(L, service, status);
      return luaL_error(L, "%s", lua_tostring(L, -2));
    }
    lwait_run_hook(L); /* many may come that are no value */
  }
}

/* Bytes of a message before the traceback that a handler (of lua, shmlua, xpcall) has put behind
 * it: that is for this process. */
static size_t without_traceback(const char *text, size_t length) {
  static const char mark[] = "\nstack traceback:";
  const char *found = memmem(text, length, mark, sizeof mark - 1);
  return found != NULL ? (size_t)(found - text) : length;
}

/* The loop is left: by an error, which then is the reply. */
static int server_close(lua_State *L) {
  struct lserver *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &server_tag;
  if (!ours || lua_isnoneornil(L, 2)) return 0;
  lua_getiuservalue(L, 1, SERVER_REQUEST);
  struct lrequest *request = test_request(L, -1);
  if (request == NULL || request->service == NULL) return 0;
  size_t length;
  const char *text = luaL_tolstring(L, 2, &length);
  send_error(L, request, text, without_traceback(text, length));
  return 0;
}

static int service_requests(lua_State *L) {
  struct lservice *service = check(L);
  lua_pushcfunction(L, next_request);
  struct lserver *self = lua_newuserdatauv(L, sizeof *self, 2);
  self->tag = &server_tag;
  self->service = service;
  luaL_setmetatable(L, SERVER_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, SERVER_SERVICE);
  lua_pushnil(L);
  lua_pushvalue(L, -2);
  return 4;
}

static int try_finish(struct lobject *self, void *context, int64_t deadline) {
  shmx_service *service = &((struct lservice *)self)->service;
  (void)context;
  int status = shmx_service_finish(service, deadline);
  self->held_by = service->held_by;
  return status;
}

static int service_finish(lua_State *L) {
  struct lservice *self = check(L);
  int status = lobject_attempt(L, &self->base, try_finish, NULL, LOBJECT_LOCK_DEADLINE);
  if (status != 0) return fail(L, self, status);
  lua_pushboolean(L, 1);
  return 1;
}

void lservice_register(lua_State *L) {
  static const luaL_Reg methods[] = {{"call", service_call},
                                     {"requests", service_requests},
                                     {"finish", service_finish},
                                     {NULL, NULL}};
  lobject_register(L, &service_type, methods);
  luaL_newmetatable(L, REQUEST_NAME);
  lua_pushcfunction(L, request_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newmetatable(L, SERVER_NAME);
  lua_pushcfunction(L, server_close);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
}
