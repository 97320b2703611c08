/*
 * lview.c: views as userdata: v[i], v[i] = x, and methods on runs of elements. Their first user
 * value is the segment, which therefore lives as long. No Lua call that may collect garbage stands
 * between the check of a view and the access: a finalizer could detach the segment. Touches core.
 */
#include "lua/lview.h"
#include "lua/latomic.h"
#include "lua/lelement.h"
#include "lua/lerror.h"
#include "lua/llayout.h"
#include "lua/lrecord.h"
#include "lua/lsegment.h"
#include "lua/luser.h"
#include "lua/lwindow.h"

#include <lauxlib.h>
#include <limits.h>

#define TYPE_NAME "shm.view"

const char lview_tag;

/* ---- the receiver ---- */

void lview_raise_receiver(lua_State *L) {
  luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
}

void lview_raise(lua_State *L, const shmx_view *view, int status) {
  if (status == -EBADF && lwindow_is_closed(view->segment))
    luaL_error(L,
               "%s: what was reserved or peeked at was committed or released, or is another "
               "process's; reserve or peek anew",
               lsegment_push_name(L, view->segment));
  lerror_raise(L, status, lsegment_push_name(L, view->segment));
}

static void raise_index(lua_State *L, const struct lview *self, lua_Integer index) {
  luaL_error(L, "index %I is not within 1 and %I", (LUAI_UACINT)index,
             (LUAI_UACINT)self->view.count);
}

void lview_raise_index(lua_State *L, const struct lview *self, int argument) {
  raise_index(L, self, luaL_checkinteger(L, argument));
}

static size_t size_of(const struct lview *self) {
  return shmx_type_size(self->type);
}

/* A run of elements: from `first`, counted from 0. */
struct run {
  uint64_t first, count;
};

/* Indexes at `argument` and behind it; without them, all elements. An empty run is (i, i - 1). */
static struct run check_run(lua_State *L, const struct lview *self, int argument) {
  lua_Integer count = (lua_Integer)self->view.count;
  lua_Integer i = luaL_optinteger(L, argument, 1), j = luaL_optinteger(L, argument + 1, count);
  if (i < 1 || i > count + 1) raise_index(L, self, i);
  if (j < i - 1 || j > count) raise_index(L, self, j);
  return (struct run){(uint64_t)i - 1, (uint64_t)(j - i + 1)};
}

/* ---- making views ---- */

static struct lview *new_view(lua_State *L, int segment_index) {
  lua_pushvalue(L, segment_index);
  struct lview *self = lua_newuserdatauv(L, sizeof *self, 1);
  memset(self, 0, sizeof *self);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
  return self;
}

int lview_open(lua_State *L, int index, shmx_type type, uint64_t offset, uint64_t count) {
  const shmx_segment *segment = lsegment_memory(L, index);
  luser_check(L, segment != NULL);
  struct lview *self = new_view(L, index);
  int status = shmx_view_open(&self->view, segment, shmx_type_size(type), offset, count);
  if (status != 0) return lua_pop(L, 1), status;
  self->type = type;
  self->tag = &lview_tag;
  luaL_setmetatable(L, TYPE_NAME);
  return 0;
}

void lview_push(lua_State *L, int index, shmx_type type, uint64_t offset, uint64_t count) {
  const shmx_segment *segment = lsegment_memory(L, index);
  int status = lview_open(L, index, type, offset, count);
  if (status == -ERANGE)
    luaL_error(L, "%I %s at offset %I are not within %s of %I bytes", (LUAI_UACINT)count,
               shmx_type_name(type), (LUAI_UACINT)offset, lsegment_push_name(L, segment),
               (LUAI_UACINT)segment->object.size);
  if (status != 0) lerror_raise(L, status, lsegment_push_name(L, segment));
}

int lview_of_segment(lua_State *L) {
  if (llayout_test(L, 2) != NULL) return lrecord_array_of_segment(L);
  const shmx_segment *segment = lsegment_check_attached(L);
  shmx_type type = lelement_check_type(L, 2);
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  lua_Integer fitting = lsegment_rest(segment, offset) / (lua_Integer)shmx_type_size(type);
  lua_Integer count = luaL_optinteger(L, 4, fitting);
  lview_push(L, 1, type, (uint64_t)offset, (uint64_t)count);
  return 1;
}

static int view_sub(lua_State *L) {
  const struct lview *self = lview_check(L);
  struct run run = check_run(L, self, 2);
  lua_getiuservalue(L, 1, 1);
  uint64_t offset = self->view.offset + run.first * size_of(self);
  lview_push(L, lua_gettop(L), self->type, offset, run.count);
  return 1;
}

/* ---- one element ---- */

/*
 * Integers are elements, strings are methods (the table in upvalue 1), all else is nil. A method
 * checks its receiver itself. The key is at the top: Lua calls this with a view and a key.
 */
static int view_index(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) return luser_get(L, 1), 1;
  const struct lview *self = lview_check(L);
  uint64_t at = (uint64_t)lua_tointeger(L, 2) - 1; /* 1.0 is an index, too; what is none gives 0 */
  if (at >= self->view.count) return lua_pushnil(L), 1;
  lelement_push(L, self->type, lview_data(L, &self->view, false) + at * size_of(self));
  lview_check_lost(L, self);
  return 1;
}

static int view_newindex(lua_State *L) {
  const struct lview *self = lview_check(L);
  if (lua_type(L, 2) != LUA_TNUMBER)
    return luaL_error(L, "a view has numbers as indexes, not %s", luaL_tolstring(L, 2, NULL));
  unsigned char *element = lview_element(L, self, 2, true);
  if (!lelement_put(L, 3, self->type, element)) lelement_raise(L, 3, self->type);
  lview_check_lost(L, self);
  return 0;
}

/* ---- several elements ---- */

/* Past the end there is nil, as in table.unpack. */
static int view_get(lua_State *L) {
  const struct lview *self = lview_check(L);
  lua_Integer i = luaL_checkinteger(L, 2), j = luaL_optinteger(L, 3, i);
  if (i > j) return 0;
  uint64_t count = (uint64_t)j - (uint64_t)i + 1;
  if (count == 0 || count > INT_MAX || !lua_checkstack(L, (int)count))
    return luaL_error(L, "too many elements to return");
  const unsigned char *data = lview_data(L, &self->view, false);
  for (uint64_t n = 0; n < count; n++) {
    uint64_t at = (uint64_t)i - 1 + n;
    if (at < self->view.count)
      lelement_push(L, self->type, data + at * size_of(self));
    else
      lua_pushnil(L);
  }
  lview_check_lost(L, self);
  return (int)count;
}

/* All values are checked before the first is stored. */
static int view_set(lua_State *L) {
  const struct lview *self = lview_check(L);
  lua_Integer first = luaL_checkinteger(L, 2);
  int top = lua_gettop(L);
  for (int argument = 3; argument <= top; argument++)
    lelement_check(L, argument, self->type);
  uint64_t count = (uint64_t)(top - 2), from = (uint64_t)first - 1;
  if (!shmx_fits(from, count, self->view.count))
    raise_index(L, self, first < 1 ? first : first + (lua_Integer)count - 1);
  unsigned char *data = lview_data(L, &self->view, true) + from * size_of(self);
  for (int argument = 3; argument <= top; argument++, data += size_of(self))
    shmx_element_store(self->type, data, lelement_check(L, argument, self->type));
  lview_check_lost(L, self);
  lua_settop(L, 1);
  return 1;
}

static int view_totable(lua_State *L) {
  const struct lview *self = lview_check(L);
  struct run run = check_run(L, self, 2);
  if (run.count > INT_MAX) return luaL_error(L, "too many elements for a table");
  lua_createtable(L, (int)run.count, 0);
  const unsigned char *data = lview_data(L, &self->view, false) + run.first * size_of(self);
  for (uint64_t n = 0; n < run.count; n++, data += size_of(self)) {
    lelement_push(L, self->type, data);
    lua_rawseti(L, -2, (lua_Integer)n + 1);
  }
  lview_check_lost(L, self);
  return 1;
}

static int view_fill(lua_State *L) {
  const struct lview *self = lview_check(L);
  shmx_number number = lelement_check(L, 2, self->type);
  struct run run = check_run(L, self, 3);
  unsigned char *data = lview_data(L, &self->view, true) + run.first * size_of(self);
  shmx_elements_fill(self->type, data, run.count, number);
  lview_check_lost(L, self);
  lua_settop(L, 1);
  return 1;
}

/* ---- copying into a view ---- */

static void check_room(lua_State *L, const struct lview *self, lua_Integer at, uint64_t count) {
  if (!shmx_fits((uint64_t)at - 1, count, self->view.count))
    luaL_error(L, "%I elements from index %I are not within 1 and %I", (LUAI_UACINT)count,
               (LUAI_UACINT)at, (LUAI_UACINT)self->view.count);
}

static unsigned char *room_at(lua_State *L, const struct lview *self, lua_Integer at) {
  return lview_data(L, &self->view, true) + ((uint64_t)at - 1) * size_of(self);
}

/* Raw bytes, as string.pack makes them. */
static void copy_string(lua_State *L, const struct lview *self, lua_Integer at) {
  size_t length;
  const char *bytes = lua_tolstring(L, 2, &length);
  if (length % size_of(self) != 0)
    luaL_error(L, "%I bytes are not a whole number of %s", (LUAI_UACINT)length,
               shmx_type_name(self->type));
  check_room(L, self, at, length / size_of(self));
  memcpy(room_at(L, self, at), bytes, length);
}

/* Twice over the table: nothing is stored before all is known to fit. No metamethod runs. */
static void copy_table(lua_State *L, const struct lview *self, lua_Integer at) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  check_room(L, self, at, (uint64_t)count);
  for (lua_Integer n = 1; n <= count; n++) {
    lua_rawgeti(L, 2, n);
    lelement_check(L, -1, self->type);
    lua_pop(L, 1);
  }
  unsigned char *data = room_at(L, self, at);
  for (lua_Integer n = 1; n <= count; n++, data += size_of(self)) {
    shmx_number number;
    lua_rawgeti(L, 2, n);
    lelement_to_number(L, -1, &number);
    lua_pop(L, 1);
    shmx_element_store(self->type, data, number);
  }
}

/* Another type is converted aside first: the source may change, overlap, or have what does not fit.
 */
static void copy_view(lua_State *L, const struct lview *self, const struct lview *from,
                      lua_Integer at) {
  uint64_t count = from->view.count;
  check_room(L, self, at, count);
  if (from->type == self->type) {
    unsigned char *data = room_at(L, self, at);
    memmove(data, lview_data(L, &from->view, false), count * size_of(self));
  } else {
    void *aside = lua_newuserdatauv(L, count * size_of(self), 0);
    const unsigned char *source = lview_data(L, &from->view, false);
    size_t done = shmx_elements_convert(self->type, aside, from->type, source, count);
    if (done < count) {
      lelement_push(L, from->type, source + done * size_of(from));
      luaL_error(L, "element %I, %s, does not fit %s", (LUAI_UACINT)done + 1,
                 luaL_tolstring(L, -1, NULL), shmx_type_name(self->type));
    }
    memcpy(room_at(L, self, at), aside, count * size_of(self));
  }
  lview_check_lost(L, from);
}

static int view_copy(lua_State *L) {
  const struct lview *self = lview_check(L), *from = lview_test(L, 2);
  lua_Integer at = luaL_optinteger(L, 3, 1);
  if (from != NULL)
    copy_view(L, self, from, at);
  else if (lua_type(L, 2) == LUA_TSTRING)
    copy_string(L, self, at);
  else if (lua_istable(L, 2))
    copy_table(L, self, at);
  else
    return luaL_typeerror(L, 2, "view, table or string");
  lview_check_lost(L, self);
  lua_settop(L, 1);
  return 1;
}

/* ---- reductions ---- */

static void push_number(lua_State *L, shmx_number number) {
  if (number.is_float)
    lua_pushnumber(L, number.number);
  else
    lua_pushinteger(L, number.integer);
}

static int view_sum(lua_State *L) {
  const struct lview *self = lview_check(L);
  const unsigned char *data = lview_data(L, &self->view, false);
  push_number(L, shmx_elements_sum(self->type, data, self->view.count));
  lview_check_lost(L, self);
  return 1;
}

typedef size_t best_function(shmx_type, const void *, size_t);

static int push_best(lua_State *L, best_function *best) {
  const struct lview *self = lview_check(L);
  const unsigned char *data = lview_data(L, &self->view, false);
  if (self->view.count == 0) return lua_pushnil(L), 1;
  size_t index = best(self->type, data, self->view.count);
  lelement_push(L, self->type, data + index * size_of(self));
  lview_check_lost(L, self);
  return 1;
}

static int view_min(lua_State *L) {
  return push_best(L, shmx_elements_min);
}

static int view_max(lua_State *L) {
  return push_best(L, shmx_elements_max);
}

static int view_find(lua_State *L) {
  const struct lview *self = lview_check(L);
  shmx_number number;
  if (!lelement_to_number(L, 2, &number)) return luaL_typeerror(L, 2, "number");
  const unsigned char *data = lview_data(L, &self->view, false);
  size_t index = shmx_elements_find(self->type, data, self->view.count, number);
  lview_check_lost(L, self);
  if (index == self->view.count) return lua_pushnil(L), 1;
  lua_pushinteger(L, (lua_Integer)index + 1);
  return 1;
}

/* ---- metamethods ---- */

static int view_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lview_check(L)->view.count);
  return 1;
}

static int view_tostring(lua_State *L) {
  const struct lview *self = lview_check(L);
  lua_pushfstring(L, "view of %I %s at offset %I of %s%s", (LUAI_UACINT)self->view.count,
                  shmx_type_name(self->type), (LUAI_UACINT)self->view.offset,
                  lsegment_push_name(L, self->view.segment),
                  shmx_view_check(&self->view) == -EBADF ? " (detached)" : "");
  return 1;
}

static int next_element(lua_State *L) {
  lua_Integer index = luaL_checkinteger(L, 2) + 1;
  lua_settop(L, 1);
  lua_pushinteger(L, index);
  lua_pushvalue(L, -1);
  lua_gettable(L, 1);
  return lua_isnil(L, -1) ? 1 : 2;
}

int lview_push_pairs(lua_State *L) {
  lua_pushcfunction(L, next_element);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

static int view_pairs(lua_State *L) {
  lview_check(L);
  return lview_push_pairs(L);
}

static const luaL_Reg methods[] = {
    {"get", view_get},   {"set", view_set}, {"totable", view_totable},
    {"fill", view_fill}, {"sub", view_sub}, {"copy", view_copy},
    {"sum", view_sum},   {"min", view_min}, {"max", view_max},
    {"find", view_find}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__newindex", view_newindex}, {"__len", view_len}, {"__tostring", view_tostring},
    {"__pairs", view_pairs},       {NULL, NULL},
};

void lview_register(lua_State *L) {
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  luaL_setfuncs(L, latomic_methods, 0);
  lua_pushcclosure(L, view_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
