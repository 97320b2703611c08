/* ldict_fetch.c: d:fetch: a value that one thread makes while others wait for it, or take the old
 * one. */
#include "lua/ldict.h"
#include "lua/lerror.h"

#include <math.h>

/* A call: d:fetch(key, ttl, generator [, timeout | options]), at 1 to 5. */
struct fetch {
  struct ldict *self;
  struct ldict_key key;
  int64_t ttl, deadline;
  shmx_dict_fetch fetch;
  struct lbuffer buffer;
  shmx_dict_item item;
};

/* ---- arguments ---- */

/* A field of the options at 5: seconds, or `without`. */
static lua_Number seconds_of(lua_State *L, const char *field, lua_Number without) {
  int is_number = 1;
  lua_getfield(L, 5, field);
  lua_Number seconds = lua_isnil(L, -1) ? without : lua_tonumberx(L, -1, &is_number);
  if (!is_number || isnan(seconds))
    luaL_argerror(L, 5, lua_pushfstring(L, "%s is a number of seconds", field));
  lua_pop(L, 1);
  return seconds;
}

static void check_fields(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, 5); lua_pop(L, 1)) {
    const char *field = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strcmp(field, "timeout") != 0 && strcmp(field, "stale") != 0)
      luaL_argerror(L, 5,
                    lua_pushfstring(L, "unknown option '%s'; there are timeout, stale",
                                    luaL_tolstring(L, -2, NULL)));
  }
}

static void check_options(lua_State *L, struct fetch *call) {
  check_fields(L);
  lua_Number timeout = seconds_of(L, "timeout", HUGE_VAL), stale = seconds_of(L, "stale", 0);
  luaL_argcheck(L, stale >= 0, 5, "stale is a number of seconds, not negative");
  call->deadline = shmx_clock_deadline(timeout);
  lua_Number nanoseconds = ceil(stale * (lua_Number)SHMX_SECOND);
  call->fetch.stale = nanoseconds < 0x1p62 ? (int64_t)nanoseconds : INT64_MAX;
}

/* ---- getting it, or the task to make it ---- */

static int try_begin(struct lobject *self, void *context, int64_t deadline) {
  struct fetch *call = context;
  return shmx_dict_fetch_begin(&((struct ldict *)self)->dict, &call->key.key, &call->fetch,
                               call->buffer.data, call->buffer.room, &call->item, deadline);
}

static int begin(lua_State *L, struct fetch *call) {
  int status;
  do {
    status = lobject_attempt(L, &call->self->base, try_begin, call, call->deadline);
    if (status == -EMSGSIZE) status = ldict_grow(L, call->self, &call->buffer, call->item.length);
  } while (status == -EMSGSIZE);
  return status;
}

/* ---- making it: whatever happens, the task ends ---- */

struct making {
  const struct ldict *self;
  struct ldict_value value;
  int64_t ttl;
};

/* The time to live that the generator gives its value as a third one. */
static int64_t ttl_of(lua_State *L, int index, int64_t without) {
  if (lua_isnoneornil(L, index)) return without;
  int is_number;
  if (!(lua_tonumberx(L, index, &is_number) >= 0) || !is_number)
    luaL_error(L, "the generator's third value is the seconds that its value is to live: a number, "
                  "not negative");
  return ldict_ttl(L, index, without);
}

/* Calls the generator at 2 with the key at 3: its results; or its value, and what that is encoded
 * into, if anything. */
static int make(lua_State *L) {
  struct making *making = lua_touserdata(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  int results = lua_gettop(L) - 1;
  if (results == 0) return lua_pushnil(L), 1;
  if (lua_isnil(L, 2)) return results;
  making->ttl = ttl_of(L, 4, making->ttl);
  lua_settop(L, 2);
  ldict_value(L, 2, making->self, &making->value);
  return lua_gettop(L) - 1;
}

/* Nothing is lost by a signal: it is tried again. */
static void give_up(struct ldict *self, shmx_dict_fetch *fetch) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_fetch_end(fetch, NULL, 0, 0, NULL);
  } while (status == -EINTR);
}

/* Stores what was made. A hook that raises gives up the task: `raised`, and the error is pushed. */
static int store(lua_State *L, struct ldict *self, shmx_dict_fetch *fetch,
                 const struct making *making, bool *raised) {
  for (;;) {
    int status = ldict_look(self);
    if (status == 0) status = shmx_dict_fetch_end(fetch, &making->value.item, making->ttl, 0, NULL);
    if (status != -EINTR) return status;
    *raised = !lwait_try_hook(L);
    if (*raised) return status;
  }
}

/* The generator's values are above `top`, or what it has raised. Returns how many values there are;
 * 0: another has stored a value meanwhile, and so this one is nobody's. */
static int end(lua_State *L, struct fetch *call, const struct making *making, int top,
               bool raised) {
  int status = 0, results = lua_gettop(L) - top;
  bool made = !raised && !lua_isnil(L, top + 1);
  if (made) status = store(L, call->self, &call->fetch, making, &raised);
  if (call->fetch.dict != NULL) give_up(call->self, &call->fetch);
  shmx_dict_fetch_abandon(&call->fetch); /* the memory may be gone */
  if (raised) return lua_error(L);
  if (!made) return results;
  if (status == -EEXIST) return lua_settop(L, top), 0;
  lua_settop(L, top + 1);
  if (status == 0) return 1;
  int more = ldict_fail(L, call->self, status);
  lua_remove(L, -more); /* the value is good, though it is not kept */
  return more;
}

static int generate(lua_State *L, struct fetch *call) {
  struct ldict *self = call->self;
  struct making making = {.self = self, .ttl = call->ttl};
  struct ldict_task task = {self->tasks, &call->fetch};
  int top = lua_gettop(L);
  self->tasks = &task;
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, &making);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 2);
  bool raised = lua_pcall(L, 3, LUA_MULTRET, 0) != LUA_OK;
  self->tasks = task.outer;
  return end(L, call, &making, top, raised);
}

/* ---- what it returns ---- */

enum { KEY_SHOWN = 64 /* bytes */ };

/* `key "name" of dict ...`: what cannot be printed is a "?". */
static const char *push_key_name(lua_State *L, struct fetch *call) {
  const shmx_dict_key *key = &call->key.key;
  const char *dict = lobject_push_name(L, &call->self->base);
  if (key->is_integer)
    return lua_pushfstring(L, "key %I of %s", (LUAI_UACINT)call->key.integer, dict);
  char text[KEY_SHOWN + 1];
  uint32_t length = key->length < KEY_SHOWN ? key->length : KEY_SHOWN;
  for (uint32_t i = 0; i < length; i++) {
    unsigned char byte = ((const unsigned char *)key->data)[i];
    text[i] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
  }
  text[length] = '\0';
  return lua_pushfstring(L, "key \"%s%s\" of %s", text, length < key->length ? "..." : "", dict);
}

static int fail(lua_State *L, struct fetch *call, int status) {
  int maker = (int)call->fetch.maker;
  if (status == -EDEADLK && call->fetch.recursive)
    return luaL_error(L, "%s: the generator fetches the value that it is to make",
                      push_key_name(L, call));
  if (maker == 0 || (status != -ETIMEDOUT && status != -EDEADLK))
    return ldict_fail(L, call->self, status);
  const char *name = push_key_name(L, call);
  if (status == -ETIMEDOUT)
    lua_pushfstring(L,
                    "%s timed out: process %d is still making the value; try again, or allow "
                    "more time",
                    name, maker);
  else
    lua_pushfstring(L,
                    "%s: process %d makes the value, and waits for one that this thread makes; "
                    "fetch keys in one order everywhere",
                    name, maker);
  return lerror_return_message(L, status);
}

int ldict_fetch(lua_State *L) {
  struct fetch call = {.self = ldict_check(L), .ttl = ldict_ttl(L, 3, 0)};
  if (lua_istable(L, 5))
    check_options(L, &call);
  else
    call.deadline = lwait_check_deadline(L, 5);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  const char *wrong = ldict_key(L, 2, &call.key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  lua_settop(L, 5);
  lbuffer_start(&call.buffer);
  for (;;) {
    int status = begin(L, &call);
    if (status == 0 && call.fetch.ours) {
      int results = generate(L, &call);
      if (results != 0) return results;
      continue;
    }
    if (status == 0) status = ldict_push_value(L, &call.item);
    return status == 0 ? 1 : fail(L, &call, status);
  }
}
