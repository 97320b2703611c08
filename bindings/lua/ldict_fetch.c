/* ldict_fetch.c: d:fetch: a value that one process makes while others wait for it. Touches core. */
#include "lua/ldict.h"

/* ---- getting it, or the task to make it ---- */

struct fetch {
  const shmx_dict_key *key;
  struct lbuffer *buffer;
  shmx_dict_item item;
  bool ours;
};

static int try_begin(struct lobject *self, void *context, int64_t deadline) {
  struct fetch *fetch = context;
  return shmx_dict_fetch_begin(&((struct ldict *)self)->dict, fetch->key, fetch->buffer->data,
                               fetch->buffer->room, &fetch->item, &fetch->ours, deadline);
}

static int begin(lua_State *L, struct ldict *self, struct fetch *fetch, int64_t deadline) {
  int status;
  do {
    status = lobject_attempt(L, &self->base, try_begin, fetch, deadline);
    if (status == -EMSGSIZE) status = ldict_grow(L, self, fetch->buffer, fetch->item.length);
  } while (status == -EMSGSIZE);
  return status;
}

/* ---- making it: whatever happens, the task ends ---- */

struct making {
  const struct ldict *self;
  struct ldict_value value;
};

/* Calls the generator at 2 with the key at 3: its results; or its value, and what that is encoded
 * into, if anything. */
static int make(lua_State *L) {
  struct making *making = lua_touserdata(L, 1);
  lua_call(L, 1, LUA_MULTRET);
  int results = lua_gettop(L) - 1;
  if (results == 0) return lua_pushnil(L), 1;
  if (lua_isnil(L, 2)) return results;
  lua_settop(L, 2);
  ldict_value(L, 2, making->self, &making->value);
  return lua_gettop(L) - 1;
}

/* Nothing is lost by a signal: it is tried again. */
static int give_up(struct ldict *self, const shmx_dict_key *key) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_fetch_end(&self->dict, key, NULL, 0, 0, NULL);
  } while (status == -EINTR);
  return status;
}

/* Stores what was made. A hook that raises gives up the task: `raised`, and the error is pushed. */
static int store(lua_State *L, struct ldict *self, const shmx_dict_key *key,
                 const shmx_dict_item *item, int64_t ttl, bool *raised) {
  for (;;) {
    int status = ldict_look(self);
    if (status == 0) status = shmx_dict_fetch_end(&self->dict, key, item, ttl, 0, NULL);
    if (status != -EINTR) return status;
    *raised = !lwait_try_hook(L);
    if (*raised) return status;
  }
}

/* The generator's values are above `top`, or what it has raised. Returns how many values there are;
 * 0: another has stored a value meanwhile, and so this one is nobody's. */
static int end(lua_State *L, struct ldict *self, const shmx_dict_key *key,
               const shmx_dict_item *item, int64_t ttl, int top, bool raised) {
  int status = 0, results = lua_gettop(L) - top;
  bool made = !raised && !lua_isnil(L, top + 1);
  if (made) status = store(L, self, key, item, ttl, &raised);
  if (!made || status != 0) give_up(self, key);
  if (raised) return lua_error(L);
  if (!made) return results;
  if (status == -EEXIST) return lua_settop(L, top), 0;
  lua_settop(L, top + 1);
  if (status == 0) return 1;
  int more = ldict_fail(L, self, status);
  lua_remove(L, -more); /* the value is good, though it is not kept */
  return more;
}

static int generate(lua_State *L, struct ldict *self, const shmx_dict_key *key, int64_t ttl) {
  struct making making = {.self = self};
  struct ldict_task task = {self->tasks, key};
  int top = lua_gettop(L);
  self->tasks = &task;
  lua_pushcfunction(L, make);
  lua_pushlightuserdata(L, &making);
  lua_pushvalue(L, 4);
  lua_pushvalue(L, 2);
  bool raised = lua_pcall(L, 3, LUA_MULTRET, 0) != LUA_OK;
  self->tasks = task.outer;
  return end(L, self, key, &making.value.item, ttl, top, raised);
}

/* What another has made, or what went wrong. */
static int return_found(lua_State *L, struct ldict *self, const shmx_dict_item *item, int status) {
  if (status == 0) status = ldict_push_value(L, item);
  if (status == 0) return 1;
  if (status == -EDEADLK)
    return luaL_error(L, "%s: the generator fetches the value that it is to make",
                      lobject_push_name(L, &self->base));
  return ldict_fail(L, self, status);
}

int ldict_fetch(lua_State *L) {
  struct ldict *self = ldict_check(L);
  struct ldict_key key;
  struct lbuffer buffer;
  struct fetch fetch = {.key = &key.key, .buffer = &buffer};
  int64_t ttl = ldict_ttl(L, 3, 0), deadline = lwait_check_deadline(L, 5);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  const char *wrong = ldict_key(L, 2, &key);
  if (wrong != NULL) return ldict_return_words(L, wrong);
  lua_settop(L, 5);
  lbuffer_start(&buffer);
  for (;;) {
    int status = begin(L, self, &fetch, deadline);
    if (status != 0 || !fetch.ours) return return_found(L, self, &fetch.item, status);
    int results = generate(L, self, &key.key, ttl);
    if (results != 0) return results;
  }
}
