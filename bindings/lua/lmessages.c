/*
 * lmessages.c: shm.messages, and the methods of a System V message queue. msgrcv(2) takes a message
 * out of the queue before there is a Lua string, which may fail for want of memory. So a message
 * is kept with the handle until its string exists: the next receive returns it, and a handle that
 * is collected gives it back to the queue. Touches core.
 */
#include "lua/lmessages.h"
#include "lua/larg.h"
#include "lua/lerror.h"
#include "lua/lfield.h"
#include "lua/lwait.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE_NAME "shm.messages"

#define argerror(L, index, ...) luaL_argerror(L, index, lua_pushfstring(L, __VA_ARGS__))

/* A buffer for one message, and what was received into it. */
struct parcel {
  struct parcel *next;
  size_t capacity;
  shmx_messages_received message;
  pid_t process;   /* that received it: a forked child has a copy, which is not its own */
  uint64_t serial; /* of this receipt */
  _Alignas(long) unsigned char bytes[]; /* SHMX_MESSAGES_HEAD of them, then the data */
};

struct lmessages {
  const void *tag; /* &tag: this is ours */
  shmx_messages queue;
  struct parcel *kept;  /* received, and not returned yet, the oldest first */
  struct parcel *spare; /* what the next message is received into */
  uint64_t serial;      /* of the last receipt */
};

static const char tag;

static struct lmessages *check(lua_State *L) {
  struct lmessages *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &tag;
  if (!ours) luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
  return self;
}

static const char *push_name(lua_State *L, const shmx_messages *queue) {
  shmx_name name = {SHMX_SYSV, queue->key, queue->id, NULL};
  return lerror_push_sysv_name(L, "message queue", &name);
}

static int result(lua_State *L, const shmx_messages *queue, int status) {
  return lerror_result(L, status, push_name(L, queue));
}

/* ---- open ---- */

static shmx_messages_options check_options(lua_State *L) {
  shmx_messages_options options = {0};
  if (lua_isnoneornil(L, 2)) return options;
  if (!lua_istable(L, 2)) luaL_typeerror(L, 2, "table of options");
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(name, "mode") == 0) {
      options.mode = larg_creation_mode(L, 2);
    } else if (strcmp(name, "create") == 0) {
      if (!lua_isboolean(L, -1))
        argerror(L, 2, "option create is true or false, not a %s", luaL_typename(L, -1));
      options.must_exist = !lua_toboolean(L, -1);
    } else {
      argerror(L, 2, "unknown option '%s'; there are mode, create", name);
    }
  }
  return options;
}

static int fail_open(lua_State *L, int status, const shmx_name *name) {
  const char *thing = lerror_push_sysv_name(L, "message queue", name);
  shmx_limits limits;
  if (status != -ENOSPC || shmx_limits_get(&limits) != 0) return lerror_return(L, status, thing);
  lua_pushfstring(L,
                  "%s cannot be created: the machine has all its %I message queues (MSGMNI); "
                  "remove some that nobody needs, or raise kernel.msgmni",
                  thing, (LUAI_UACINT)limits.msgmni);
  return lerror_return_message(L, status);
}

int lmessages_open(lua_State *L) {
  shmx_name name = larg_sysv_name(L, 1, "message queues");
  shmx_messages_options options = check_options(L);
  if (options.must_exist && !shmx_name_is_findable(&name))
    luaL_argerror(L, 1, "a private message queue is new each time: {create = false} finds none");
  struct lmessages *self = lua_newuserdatauv(L, sizeof *self, 0);
  memset(self, 0, sizeof *self);
  self->tag = &tag;
  luaL_setmetatable(L, TYPE_NAME);
  int status = shmx_messages_open(&self->queue, name, &options);
  return status == 0 ? 1 : fail_open(L, status, &name);
}

/* ---- send ---- */

static int fail_size(lua_State *L, const shmx_messages *queue, size_t length) {
  shmx_messages_stat stat = {.qbytes = UINT64_MAX};
  shmx_limits limits = {.msgmax = UINT64_MAX};
  shmx_messages_get_stat(queue, &stat);
  shmx_limits_get(&limits);
  bool by_queue = stat.qbytes < limits.msgmax;
  lua_pushfstring(L,
                  "%s takes messages of at most %I bytes (%s), and this one has %I; send it in "
                  "parts, or raise that limit",
                  push_name(L, queue), (LUAI_UACINT)(by_queue ? stat.qbytes : limits.msgmax),
                  by_queue ? "its qbytes" : "MSGMAX", (LUAI_UACINT)length);
  return lerror_return_message(L, -EMSGSIZE);
}

static int fail_full(lua_State *L, const shmx_messages *queue, int status, size_t length) {
  shmx_messages_stat stat;
  if (shmx_messages_get_stat(queue, &stat) != 0) return result(L, queue, status);
  lua_pushfstring(L,
                  "%s is full: it holds %I of at most %I bytes (qnum %I), and this message has "
                  "%I; receive from it, or allow more time",
                  push_name(L, queue), (LUAI_UACINT)stat.cbytes, (LUAI_UACINT)stat.qbytes,
                  (LUAI_UACINT)stat.qnum, (LUAI_UACINT)length);
  return lerror_return_message(L, status);
}

/* After a signal, and after each slice, the hook runs, which may raise; else the wait goes on to
 * the same deadline. */
static int messages_send(lua_State *L) {
  const shmx_messages *queue = &check(L)->queue;
  if (lua_type(L, 2) != LUA_TSTRING) luaL_typeerror(L, 2, "string (string.pack makes one)");
  size_t length;
  const char *data = lua_tolstring(L, 2, &length);
  lua_Integer type = luaL_optinteger(L, 3, 1);
  if (type < 1) argerror(L, 3, "type %I: a message has a type from 1", (LUAI_UACINT)type);
  int64_t deadline = lwait_check_deadline(L, 4);
  unsigned char *buffer = lua_newuserdatauv(L, SHMX_MESSAGES_HEAD + length, 0);
  memcpy(buffer + SHMX_MESSAGES_HEAD, data, length);
  int status = shmx_messages_send(queue, buffer, length, type, lwait_slice(deadline));
  while (lwait_goes_on(status, deadline)) {
    lwait_run_hook(L);
    status = shmx_messages_send(queue, buffer, length, type, lwait_slice(deadline));
  }
  if (status == -EMSGSIZE) return fail_size(L, queue, length);
  if (status != -ETIMEDOUT) return result(L, queue, status);
  return fail_full(L, queue, lwait_is_patient(L, 4) ? -ETIMEDOUT : -EAGAIN, length);
}

/* ---- receive ---- */

enum { LEAST_CAPACITY = 8192 }; /* MSGMAX, unless it was changed */

/* What a script asks for. */
struct wish {
  lua_Integer type;
  bool except;
  int64_t deadline;
  bool is_patient;
};

/* The highest type that a type below 0 stands for. */
static lua_Integer highest(lua_Integer type) {
  return type == LUA_MININTEGER ? LUA_MAXINTEGER : -type;
}

static bool matches(const struct wish *wish, int64_t type) {
  if (wish->except) return type != wish->type;
  if (wish->type == 0) return true;
  return wish->type > 0 ? type == wish->type : type <= highest(wish->type);
}

static void check_receive_options(lua_State *L, int index, struct wish *wish) {
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (strcmp(name, "except") != 0)
      argerror(L, index, "unknown option '%s'; there is except", name);
    if (!lua_isboolean(L, -1))
      argerror(L, index, "option except is true or false, not a %s", luaL_typename(L, -1));
    wish->except = lua_toboolean(L, -1);
  }
}

/* (q [, type [, timeout]] [, opts]) */
static struct wish check_wish(lua_State *L) {
  struct wish wish = {.type = 0, .deadline = SHMX_FOREVER, .is_patient = true};
  int last = 4;
  while (last > 2 && lua_isnoneornil(L, last))
    last--;
  if (lua_istable(L, last)) {
    check_receive_options(L, last, &wish);
    lua_settop(L, last - 1);
  }
  wish.type = luaL_optinteger(L, 2, 0);
  wish.deadline = lwait_check_deadline(L, 3);
  wish.is_patient = lwait_is_patient(L, 3);
  if (wish.except && wish.type < 1)
    argerror(L, 2, "type %I: except takes a type from 1", (LUAI_UACINT)wish.type);
  return wish;
}

static struct parcel *find_kept(struct lmessages *self, const struct wish *wish) {
  for (struct parcel *parcel = self->kept; parcel != NULL; parcel = parcel->next)
    if (parcel->process == getpid() && matches(wish, parcel->message.type)) return parcel;
  return NULL;
}

/* Has a spare of at least so many bytes. */
static int prepare(struct lmessages *self, size_t capacity) {
  if (self->spare != NULL && self->spare->capacity >= capacity) return 0;
  free(self->spare);
  self->spare = malloc(sizeof *self->spare + SHMX_MESSAGES_HEAD + capacity);
  if (self->spare == NULL) return -ENOMEM;
  self->spare->capacity = capacity;
  return 0;
}

/* The next message is longer: all of them together are as long, or it is doubled. */
static int enlarge(struct lmessages *self) {
  shmx_messages_stat stat;
  size_t capacity = self->spare->capacity;
  if (capacity > SIZE_MAX / 4) return -ENOMEM;
  int status = shmx_messages_get_stat(&self->queue, &stat);
  if (status != 0) return status;
  return prepare(self, stat.cbytes > 2 * capacity ? stat.cbytes : 2 * capacity);
}

/* Takes a message from the queue and keeps it. Calls no Lua. */
static int take(struct lmessages *self, const struct wish *wish) {
  int status = prepare(self, LEAST_CAPACITY);
  while (status == 0) {
    struct parcel *parcel = self->spare;
    status = shmx_messages_receive(&self->queue, parcel->bytes, parcel->capacity, wish->type,
                                   wish->except, lwait_slice(wish->deadline), &parcel->message);
    if (status == -E2BIG) {
      status = enlarge(self);
      continue;
    }
    if (status != 0) break;
    struct parcel **end = &self->kept;
    while (*end != NULL)
      end = &(*end)->next;
    parcel->next = NULL;
    parcel->process = getpid();
    parcel->serial = ++self->serial;
    self->spare = NULL;
    *end = parcel;
    return 0;
  }
  return status;
}

/* Forgets a kept message of this serial; false where that was done already. */
static bool release(struct lmessages *self, uint64_t serial) {
  struct parcel **link = &self->kept;
  while (*link != NULL && (*link)->serial != serial)
    link = &(*link)->next;
  struct parcel *parcel = *link;
  if (parcel == NULL) return false;
  *link = parcel->next;
  free(self->spare);
  self->spare = parcel;
  return true;
}

/*
 * Pushes what a message says, and only then forgets it. Pushing may run a finalizer, which may
 * receive the same message: then there is nothing for us, and false is returned.
 */
static bool deliver(lua_State *L, struct lmessages *self, const struct parcel *parcel) {
  uint64_t serial = parcel->serial;
  int64_t type = parcel->message.type;
  lua_pushlstring(L, (const char *)parcel->bytes + SHMX_MESSAGES_HEAD, parcel->message.length);
  lua_pushinteger(L, type);
  if (release(self, serial)) return true;
  lua_pop(L, 2);
  return false;
}

static int fail_empty(lua_State *L, const shmx_messages *queue, const struct wish *wish) {
  const char *thing = push_name(L, queue);
  if (wish->type == 0)
    lua_pushfstring(L, "%s is empty; try again, or allow more time", thing);
  else
    lua_pushfstring(L, "%s has no message of a type %s%I; try again, or allow more time", thing,
                    wish->except     ? "other than "
                    : wish->type < 0 ? "up to "
                                     : "that is ",
                    (LUAI_UACINT)(wish->type < 0 ? highest(wish->type) : wish->type));
  return lerror_return_message(L, wish->is_patient ? -ETIMEDOUT : -EAGAIN);
}

static int messages_receive(lua_State *L) {
  struct lmessages *self = check(L);
  struct wish wish = check_wish(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  for (;;) {
    struct parcel *parcel = find_kept(self, &wish);
    if (parcel != NULL && deliver(L, self, parcel)) return 2;
    if (parcel != NULL) continue;
    int status = take(self, &wish);
    if (lwait_goes_on(status, wish.deadline))
      lwait_run_hook(L);
    else if (status == -ETIMEDOUT)
      return fail_empty(L, &self->queue, &wish);
    else if (status != 0)
      return result(L, &self->queue, status);
  }
}

/* ---- the queue as a whole ---- */

void lmessages_push_stat(lua_State *L, const shmx_messages_stat *stat) {
  char mode[8];
  lua_createtable(L, 0, 18);
  set_string(L, "backing", "messages");
  set_integer(L, "size", stat->cbytes); /* as all that shm.list has */
  set_boolean(L, "removed", false);
  lua_pushinteger(L, stat->key);
  lua_setfield(L, -2, "key");
  set_integer(L, "id", (uint64_t)stat->id);
  set_integer(L, "uid", (uint64_t)stat->uid);
  set_integer(L, "gid", (uint64_t)stat->gid);
  set_integer(L, "cuid", (uint64_t)stat->cuid);
  set_integer(L, "cgid", (uint64_t)stat->cgid);
  set_integer(L, "qnum", stat->qnum);
  set_integer(L, "cbytes", stat->cbytes);
  set_integer(L, "qbytes", stat->qbytes);
  set_integer(L, "lspid", (uint64_t)stat->lspid);
  set_integer(L, "lrpid", (uint64_t)stat->lrpid);
  set_integer(L, "stime", (uint64_t)stat->stime);
  set_integer(L, "rtime", (uint64_t)stat->rtime);
  set_integer(L, "ctime", (uint64_t)stat->ctime);
  snprintf(mode, sizeof mode, "%04o", stat->mode & 0777);
  set_string(L, "mode", mode);
}

static int messages_stat(lua_State *L) {
  const shmx_messages *queue = &check(L)->queue;
  shmx_messages_stat stat;
  int status = shmx_messages_get_stat(queue, &stat);
  if (status != 0) return result(L, queue, status);
  lmessages_push_stat(L, &stat);
  return 1;
}

static int messages_set(lua_State *L) {
  const shmx_messages *queue = &check(L)->queue;
  shmx_change change = {-1, -1, -1};
  int64_t qbytes = -1;
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (larg_change_field(L, 2, name, &change)) continue;
    if (strcmp(name, "qbytes") != 0)
      argerror(L, 2, "cannot set '%s'; there are mode, uid, gid, qbytes", name);
    int whole;
    qbytes = lua_tointegerx(L, -1, &whole);
    if (!whole || qbytes < 0) luaL_argerror(L, 2, "qbytes is a number of bytes from 0");
  }
  return result(L, queue, shmx_messages_set(queue, &change, qbytes));
}

static int messages_remove(lua_State *L) {
  const shmx_messages *queue = &check(L)->queue;
  return result(L, queue, shmx_messages_remove(queue));
}

/* ---- metamethods ---- */

/* What no script has got is sent again, if the queue is there and has room. */
static int messages_gc(lua_State *L) {
  struct lmessages *self = check(L);
  for (struct parcel *parcel = self->kept, *next; parcel != NULL; parcel = next) {
    next = parcel->next;
    if (parcel->process == getpid())
      shmx_messages_send(&self->queue, parcel->bytes, parcel->message.length, parcel->message.type,
                         0);
    free(parcel);
  }
  free(self->spare);
  self->kept = self->spare = NULL;
  return 0;
}

static int messages_tostring(lua_State *L) {
  const shmx_messages *queue = &check(L)->queue;
  lua_pushfstring(L, "%s (id %d)", push_name(L, queue), queue->id);
  return 1;
}

static const luaL_Reg methods[] = {
    {"send", messages_send}, {"receive", messages_receive}, {"stat", messages_stat},
    {"set", messages_set},   {"remove", messages_remove},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", messages_gc},
    {"__tostring", messages_tostring},
    {NULL, NULL},
};

void lmessages_register(lua_State *L) {
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
