/*
 * lsemaphores.c: shm.semaphores, and the methods of a set of semaphores. A handle holds nothing of
 * the system, so collecting it does nothing. Tables are read without metamethods: no script runs
 * between a check and the operation, but for the hook after a signal. Touches core.
 */
#include "lua/lsemaphores.h"
#include "lua/larg.h"
#include "lua/lerror.h"
#include "lua/lfact.h"
#include "lua/lsealed.h"
#include "lua/lfield.h"
#include "lua/lwait.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define TYPE_NAME "shm.semaphores"

#define argerror(L, index, ...) luaL_argerror(L, index, lua_pushfstring(L, __VA_ARGS__))

struct lsemaphores {
  const void *tag; /* &tag: this is ours */
  shmx_semaphores set;
};

static const char tag;

static shmx_semaphores *check(lua_State *L) {
  struct lsemaphores *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == &tag;
  if (!ours) luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
  return &self->set;
}

static const char *push_name(lua_State *L, const shmx_semaphores *set) {
  shmx_name name = {SHMX_SYSV, set->key, set->id, NULL};
  return lerror_push_sysv_name(L, "semaphores", &name);
}

static int result(lua_State *L, const shmx_semaphores *set, int status) {
  return lerror_result(L, status, push_name(L, set));
}

/* ---- arguments ---- */

/* The number at `index` of the stack, if it is one, whole, and within the two. */
static bool whole_within(lua_State *L, int index, lua_Integer least, lua_Integer most,
                         lua_Integer *value) {
  int whole;
  *value = lua_tointegerx(L, index, &whole);
  return whole && lua_type(L, index) == LUA_TNUMBER && *value >= least && *value <= most;
}

static lua_Integer check_within(lua_State *L, int index, const char *what, lua_Integer least,
                                lua_Integer most) {
  lua_Integer value = luaL_checkinteger(L, index);
  if (value < least || value > most)
    argerror(L, index, "%s %I is not within %I and %I", what, (LUAI_UACINT)value,
             (LUAI_UACINT)least, (LUAI_UACINT)most);
  return value;
}

/* Lua counts from 1, C from 0. */
static int check_index(lua_State *L, const shmx_semaphores *set) {
  return (int)check_within(L, 2, "index", 1, set->count) - 1;
}

static int16_t opt_amount(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return 1;
  return (int16_t)check_within(L, index, "amount", 1, SHMX_SEMAPHORE_VALUE_MOST);
}

/* ---- open ---- */

static void refuse_value(lua_State *L) {
  argerror(L, 3, "option value is an integer from 0 to 32767, or a table of such, one for each");
}

/* The value at the top is a table: it becomes an array, which the stack keeps. */
static const uint16_t *check_values(lua_State *L, int count) {
  lua_Unsigned length = lua_rawlen(L, -1);
  if (count == 0) argerror(L, 3, "option value has one integer for each of n: say n, too");
  if (length != (lua_Unsigned)count)
    argerror(L, 3, "option value has %I integers for %d semaphores", (LUAI_UACINT)length, count);
  uint16_t *values = lua_newuserdatauv(L, (size_t)count * sizeof *values, 0);
  for (int i = 0; i < count; i++) {
    lua_Integer value;
    lua_rawgeti(L, -2, i + 1);
    if (!whole_within(L, -1, 0, SHMX_SEMAPHORE_VALUE_MOST, &value)) refuse_value(L);
    values[i] = (uint16_t)value;
    lua_pop(L, 1);
  }
  return values;
}

static void check_option_names(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) argerror(L, 3, "options have names: {value = 1}");
    const char *name = lua_tostring(L, -2);
    if (strcmp(name, "mode") != 0 && strcmp(name, "value") != 0 && strcmp(name, "undo") != 0)
      argerror(L, 3, "unknown option '%s'; there are mode, value, undo", name);
  }
}

/* Pushes an option; nothing, and false, where it is not given. */
static bool push_option(lua_State *L, const char *name) {
  lua_pushstring(L, name);
  if (lua_rawget(L, 3) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

static shmx_semaphores_options check_options(lua_State *L, int count) {
  shmx_semaphores_options options = {.undo = true};
  if (lua_isnoneornil(L, 3)) return options;
  if (!lua_istable(L, 3)) luaL_typeerror(L, 3, "table of options");
  check_option_names(L);
  if (push_option(L, "mode")) options.mode = larg_creation_mode(L, 3);
  if (push_option(L, "undo")) {
    if (!lua_isboolean(L, -1))
      argerror(L, 3, "option undo is true or false, not a %s", luaL_typename(L, -1));
    options.undo = lua_toboolean(L, -1);
  }
  if (push_option(L, "value")) {
    lua_Integer value = 0;
    if (lua_istable(L, -1))
      options.values = check_values(L, count);
    else if (!whole_within(L, -1, 0, SHMX_SEMAPHORE_VALUE_MOST, &value))
      refuse_value(L);
    options.value = (uint16_t)value;
  }
  return options;
}

int lsemaphores_open(lua_State *L) {
  shmx_name name = larg_sysv_name(L, 1, "semaphores");
  int count = 0;
  if (!lua_isnoneornil(L, 2))
    count = (int)check_within(L, 2, "n", 1, SHMX_SEMAPHORES_MOST);
  else if (!shmx_name_is_findable(&name))
    luaL_argerror(L, 2, "private semaphores are new each time: say how many");
  shmx_semaphores_options options = check_options(L, count);
  struct lsemaphores *self = lua_newuserdatauv(L, sizeof *self, 0);
  memset(self, 0, sizeof *self);
  self->tag = &tag;
  luaL_setmetatable(L, TYPE_NAME);
  int status = shmx_semaphores_open(&self->set, name, count, &options);
  if (status == 0) return 1;
  shmx_facts facts;
  shmx_semaphores_explain(name, (uint64_t)count, status, &facts);
  return lfact_return(L, status, &facts, lerror_push_sysv_name(L, "semaphores", &name));
}

/* ---- operations ---- */

static int fail_operation(lua_State *L, const shmx_semaphores *set, int status, size_t count) {
  shmx_facts facts;
  const char *thing = push_name(L, set);
  if (status == -ERANGE) {
    lua_pushfstring(
        L, "%s: the value of a semaphore, or what is to be undone of it, would pass 32767", thing);
    return lerror_return_message(L, status);
  }
  shmx_semaphores_explain(shmx_id(set->id), count, status, &facts);
  return lfact_return(L, status, &facts, thing);
}

/* After a signal, and after each slice, the hook runs, which may raise; else the wait goes on to
 * the same deadline. */
static int operate(lua_State *L, const shmx_semaphores *set, shmx_semaphores_step *steps,
                   size_t count, int64_t deadline) {
  int status = shmx_semaphores_operate(set, steps, count, lwait_slice(deadline));
  while (lwait_goes_on(status, deadline)) {
    lwait_run_hook(L);
    status = shmx_semaphores_operate(set, steps, count, lwait_slice(deadline));
  }
  return status == 0 ? result(L, set, 0) : fail_operation(L, set, status, count);
}

static int semaphores_acquire(lua_State *L) {
  const shmx_semaphores *set = check(L);
  shmx_semaphores_step step = {.index = (uint16_t)check_index(L, set)};
  step.delta = (int16_t)-opt_amount(L, 3);
  return operate(L, set, &step, 1, lwait_check_deadline(L, 4));
}

/* Adding never waits. */
static int semaphores_release(lua_State *L) {
  const shmx_semaphores *set = check(L);
  shmx_semaphores_step step = {.index = (uint16_t)check_index(L, set)};
  step.delta = opt_amount(L, 3);
  return operate(L, set, &step, 1, SHMX_FOREVER);
}

static int semaphores_wait_zero(lua_State *L) {
  const shmx_semaphores *set = check(L);
  shmx_semaphores_step step = {.index = (uint16_t)check_index(L, set)};
  return operate(L, set, &step, 1, lwait_check_deadline(L, 3));
}

/* A field of the step at the top. */
static lua_Integer check_field(lua_State *L, lua_Integer number, int field, lua_Integer least,
                               lua_Integer most) {
  lua_Integer value;
  lua_rawgeti(L, -1, field);
  if (!whole_within(L, -1, least, most, &value))
    argerror(L, 2, "step %I: %s is an integer from %I to %I, not %s", (LUAI_UACINT)number,
             field == 1 ? "the index" : "what to add", (LUAI_UACINT)least, (LUAI_UACINT)most,
             luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return value;
}

static int semaphores_op(lua_State *L) {
  const shmx_semaphores *set = check(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  int64_t deadline = lwait_check_deadline(L, 3);
  lua_Unsigned count = lua_rawlen(L, 2);
  if (count == 0) luaL_argerror(L, 2, "no steps: {{i, delta}, ...}");
  if (count > UINT16_MAX) return fail_operation(L, set, -E2BIG, count); /* as no system takes */
  shmx_semaphores_step *steps = lua_newuserdatauv(L, count * sizeof *steps, 0);
  for (lua_Unsigned i = 0; i < count; i++) {
    lua_Integer number = (lua_Integer)i + 1;
    if (lua_rawgeti(L, 2, number) != LUA_TTABLE)
      argerror(L, 2, "step %I is {i, delta}, not a %s", (LUAI_UACINT)number, luaL_typename(L, -1));
    lua_Integer index = check_field(L, number, 1, 1, set->count);
    lua_Integer delta =
        check_field(L, number, 2, -SHMX_SEMAPHORE_VALUE_MOST, SHMX_SEMAPHORE_VALUE_MOST);
    steps[i] = (shmx_semaphores_step){(uint16_t)(index - 1), (int16_t)delta, 0};
    lua_pop(L, 1);
  }
  return operate(L, set, steps, count, deadline);
}

/* ---- values ---- */

static int semaphores_value(lua_State *L) {
  const shmx_semaphores *set = check(L);
  int value;
  int status = shmx_semaphores_value(set, check_index(L, set), &value);
  if (status != 0) return result(L, set, status);
  lua_pushinteger(L, value);
  return 1;
}

static int semaphores_values(lua_State *L) {
  const shmx_semaphores *set = check(L);
  uint16_t *values = lua_newuserdatauv(L, (size_t)set->count * sizeof *values, 0);
  int status = shmx_semaphores_values(set, values);
  if (status != 0) return result(L, set, status);
  lua_createtable(L, set->count, 0);
  for (int i = 0; i < set->count; i++) {
    lua_pushinteger(L, values[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int semaphores_set(lua_State *L) {
  const shmx_semaphores *set = check(L);
  int index = check_index(L, set);
  lua_Integer value = check_within(L, 3, "value", 0, SHMX_SEMAPHORE_VALUE_MOST);
  return result(L, set, shmx_semaphores_set(set, index, (int)value));
}

/* ---- the set as a whole ---- */

static void push_stat(lua_State *L, const shmx_semaphores_stat *stat) {
  char mode[8];
  lua_createtable(L, 0, 13);
  set_integer(L, "key", stat->key);
  set_integer(L, "id", stat->id);
  set_integer(L, "n", stat->count);
  set_integer(L, "uid", stat->uid);
  set_integer(L, "gid", stat->gid);
  set_integer(L, "cuid", stat->cuid);
  set_integer(L, "cgid", stat->cgid);
  set_integer(L, "otime", stat->otime);
  set_integer(L, "ctime", stat->ctime);
  snprintf(mode, sizeof mode, "%04o", stat->mode & 0777);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "mode");
}

/* Three arrays beside the status: who was at each semaphore last, and how many wait. */
static int semaphores_stat(lua_State *L) {
  static const char *const fields[] = {"pids", "ncnt", "zcnt"};
  const shmx_semaphores *set = check(L);
  shmx_semaphores_stat stat;
  int status = shmx_semaphores_get_stat(set, &stat);
  if (status != 0) return result(L, set, status);
  push_stat(L, &stat);
  int first = lua_gettop(L) + 1;
  for (int field = 0; field < 3; field++)
    lua_createtable(L, set->count, 0);
  for (int i = 0; i < set->count; i++) {
    shmx_semaphores_users users;
    status = shmx_semaphores_get_users(set, i, &users);
    if (status != 0) return result(L, set, status);
    const int values[] = {users.pid, users.ncnt, users.zcnt};
    for (int field = 0; field < 3; field++) {
      lua_pushinteger(L, values[field]);
      lua_rawseti(L, first + field, i + 1);
    }
  }
  for (int field = 2; field >= 0; field--)
    lua_setfield(L, first - 1, fields[field]);
  return 1;
}

static int semaphores_remove(lua_State *L) {
  const shmx_semaphores *set = check(L);
  return result(L, set, shmx_semaphores_remove(set));
}

/* ---- metamethods ---- */

static int semaphores_len(lua_State *L) {
  lua_pushinteger(L, check(L)->count);
  return 1;
}

static int semaphores_tostring(lua_State *L) {
  const shmx_semaphores *set = check(L);
  lua_pushfstring(L, "%s (id %d, n %d%s)", push_name(L, set), set->id, set->count,
                  set->undo ? "" : ", no undo");
  return 1;
}

static const luaL_Reg methods[] = {
    {"acquire", semaphores_acquire},
    {"release", semaphores_release},
    {"wait_zero", semaphores_wait_zero},
    {"op", semaphores_op},
    {"value", semaphores_value},
    {"values", semaphores_values},
    {"set", semaphores_set},
    {"stat", semaphores_stat},
    {"remove", semaphores_remove},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__len", semaphores_len},
    {"__tostring", semaphores_tostring},
    {NULL, NULL},
};

void lsemaphores_register(lua_State *L) {
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lsealed_set(L, "set of semaphores");
  lua_pop(L, 1);
}
