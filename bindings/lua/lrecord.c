/*
 * lrecord.c: records and arrays of records as userdata: q.id, q.id = x, quotes[i]. Their user
 * values are the segment and the layout, which therefore live as long. As in lview.c, no Lua call
 * that may collect garbage stands between the check of a record and the access. Touches core.
 */
#include "lua/lrecord.h"
#include "lua/lelement.h"
#include "lua/lerror.h"
#include "lua/llayout.h"
#include "lua/lsegment.h"
#include "lua/luser.h"
#include "lua/lview.h"

#define RECORD_NAME "shm.record"
#define ARRAY_NAME  "shm.records"

/* User values. PARTS: a table, name of a field -> view or record that was made for it; or nil. */
enum { SEGMENT = 1, LAYOUT, PARTS };

/* One record, or an array of `view.count` records. */
struct lrecord {
  const void *tag; /* &record_tag or &array_tag */
  shmx_view view;
  const shmx_layout *layout; /* of the user value */
};

static const char record_tag, array_tag;

/* Pushes the layout of the handle at 1. */
static void push_layout(lua_State *L, const struct lrecord *self) {
  lua_getiuservalue(L, 1, LAYOUT);
  luser_check(L, llayout_test(L, -1) == self->layout);
}

/* ---- the receiver ---- */

static struct lrecord *test(lua_State *L, const void *tag) {
  struct lrecord *self = lua_touserdata(L, 1);
  bool ours = self != NULL && lua_rawlen(L, 1) == sizeof *self && self->tag == tag;
  return ours ? self : NULL;
}

static struct lrecord *check_record(lua_State *L) {
  struct lrecord *self = test(L, &record_tag);
  if (self == NULL) luaL_typeerror(L, 1, RECORD_NAME " (methods are called with a colon)");
  return self;
}

static struct lrecord *check_array(lua_State *L) {
  struct lrecord *self = test(L, &array_tag);
  if (self == NULL) luaL_typeerror(L, 1, ARRAY_NAME " (methods are called with a colon)");
  return self;
}

/* After an access: raises if it was not to shared memory any more, or if nobody can tell, because a
 * finalizer has detached the segment while a string was made. */
static void check_lost(lua_State *L, const struct lrecord *self) {
  const shmx_segment *segment = self->view.segment;
  if (shmx_segment_lost(segment)) lview_raise(L, &self->view, -EFAULT);
  if (segment->object.data == NULL) lview_raise(L, &self->view, -EBADF);
}

/* ---- making handles ---- */

/* Replaces a segment and a layout, at the top, by a handle. Or returns why not. */
static int open_handle(lua_State *L, const void *tag, uint64_t offset, uint64_t count) {
  const shmx_segment *segment = lsegment_memory(L, -2);
  const shmx_layout *layout = llayout_test(L, -1);
  luser_check(L, segment != NULL && layout != NULL);
  struct lrecord *self = lua_newuserdatauv(L, sizeof *self, PARTS);
  memset(self, 0, sizeof *self);
  int status = shmx_view_open(&self->view, segment, layout->size, offset, count);
  if (status != 0) return lua_pop(L, 1), status;
  self->layout = layout;
  self->tag = tag;
  if (tag == &record_tag)
    luser_push_table(L, -2, LLAYOUT_META);
  else
    luaL_getmetatable(L, ARRAY_NAME);
  lua_setmetatable(L, -2);
  lua_insert(L, -3);
  lua_setiuservalue(L, -3, LAYOUT);
  lua_setiuservalue(L, -2, SEGMENT);
  return 0;
}

static void push_handle(lua_State *L, const void *tag, uint64_t offset, uint64_t count) {
  const shmx_segment *segment = lsegment_memory(L, -2);
  const shmx_layout *layout = llayout_test(L, -1);
  int status = open_handle(L, tag, offset, count);
  if (status == -ERANGE)
    luaL_error(L, "%I %s of %I bytes at offset %I are not within %s of %I bytes",
               (LUAI_UACINT)count, layout->name, (LUAI_UACINT)layout->size, (LUAI_UACINT)offset,
               lsegment_push_name(L, segment), (LUAI_UACINT)segment->object.size);
  if (status != 0) lerror_raise(L, status, lsegment_push_name(L, segment));
}

int lrecord_open(lua_State *L) {
  return open_handle(L, &record_tag, 0, 1);
}

int lrecord_open_array(lua_State *L, uint64_t count) {
  return open_handle(L, &array_tag, 0, count);
}

static const shmx_layout *check_layout(lua_State *L) {
  const shmx_layout *layout = llayout_test(L, 2);
  if (layout == NULL) luaL_typeerror(L, 2, "layout (shm.record makes one)");
  return layout;
}

int lrecord_of_segment(lua_State *L) {
  lsegment_check_attached(L);
  check_layout(L);
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  lua_settop(L, 2);
  push_handle(L, &record_tag, (uint64_t)offset, 1);
  return 1;
}

int lrecord_array_of_segment(lua_State *L) {
  const shmx_segment *segment = lsegment_check_attached(L);
  const shmx_layout *layout = check_layout(L);
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  lua_Integer fitting = lsegment_rest(segment, offset) / (lua_Integer)layout->size;
  lua_Integer count = luaL_optinteger(L, 4, fitting);
  lua_settop(L, 2);
  push_handle(L, &array_tag, (uint64_t)offset, (uint64_t)count);
  return 1;
}

/* ---- fields of a record: the names of its layout are in upvalue 1 ---- */

/* The field of the key at 2, or NULL. Pushes something. */
static const shmx_field *find_field(lua_State *L, const struct lrecord *self) {
  lua_pushvalue(L, 2);
  luser_get(L, 1);
  const shmx_field *field = lua_touserdata(L, -1);
  if (field == NULL) return NULL;
  /* getmetatable(p).__index(q, "id") has the names of another layout */
  uintptr_t at = (uintptr_t)field - (uintptr_t)self->layout->fields;
  bool ours = at < self->layout->field_count * sizeof *field;
  if (!ours) luaL_error(L, "a record of another layout than this metamethod's");
  return field;
}

static int raise_unknown(lua_State *L, const struct lrecord *self) {
  struct llayout_path path = {NULL, self->layout->name, 0};
  return llayout_raise_unknown(L, self->layout, &path, 2);
}

/* What has no value of its own but is a view or a record: made once for this handle. */
static int push_part(lua_State *L, const struct lrecord *self, const shmx_field *field) {
  lview_data(L, &self->view, false);
  uint64_t offset = self->view.offset + field->offset;
  if (lua_getiuservalue(L, 1, PARTS) != LUA_TTABLE) {
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, PARTS);
  }
  int parts = lua_gettop(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, parts) != LUA_TNIL) return 1;
  lua_getiuservalue(L, 1, SEGMENT);
  if (field->kind == SHMX_FIELD_NUMBER) {
    lview_push(L, lua_gettop(L), field->type, offset, field->count);
  } else {
    push_layout(L, self);
    llayout_push_nested(L, lua_gettop(L), field);
    lua_remove(L, -2);
    if (field->count == 0)
      push_handle(L, &record_tag, offset, 1);
    else
      push_handle(L, &array_tag, offset, field->count);
  }
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, parts);
  return 1;
}

/* Methods are in upvalue 2. */
static int record_index(lua_State *L) {
  const struct lrecord *self = check_record(L);
  const shmx_field *field = find_field(L, self);
  if (field == NULL) {
    lua_pushvalue(L, 2);
    if (luser_get(L, 2) != LUA_TNIL) return 1;
    return raise_unknown(L, self);
  }
  if (field->kind == SHMX_FIELD_NUMBER && field->count == 0) {
    lelement_push(L, field->type, lview_data(L, &self->view, false) + field->offset);
  } else if (field->kind == SHMX_FIELD_CHAR) {
    const unsigned char *data = lview_data(L, &self->view, false) + field->offset;
    const char one = (char)*data;
    if (field->count == 0)
      lua_pushlstring(L, &one, 1);
    else
      llayout_push_text(L, data, field->count);
  } else {
    return push_part(L, self, field);
  }
  check_lost(L, self);
  return 1;
}

/* Any value but a number's: the value at 3 becomes that at 4, and the layout is at 3. */
static void store_checked(lua_State *L, const struct lrecord *self, const shmx_field *field) {
  struct llayout_path root = {NULL, self->layout->name, 0};
  struct llayout_path path = {&root, field->name, 0};
  lua_settop(L, 3);
  push_layout(L, self);
  lua_insert(L, 3);
  llayout_check_field(L, 3, field, &path);
  llayout_store_field(L, 3, field, lview_data(L, &self->view, true) + field->offset);
}

static int record_newindex(lua_State *L) {
  const struct lrecord *self = check_record(L);
  const shmx_field *field = find_field(L, self);
  if (field == NULL) return raise_unknown(L, self);
  bool is_number = field->kind == SHMX_FIELD_NUMBER && field->count == 0;
  if (!is_number ||
      !lelement_put(L, 3, field->type, lview_data(L, &self->view, true) + field->offset))
    store_checked(L, self, field);
  check_lost(L, self);
  return 0;
}

/* ---- whole records ---- */

/* Stores the table at the top, whose place in messages is `path`, at an offset of the memory. */
static void store_record(lua_State *L, const struct lrecord *self, uint64_t at,
                         const struct llayout_path *path) {
  push_layout(L, self);
  lua_insert(L, -2);
  int layout = lua_gettop(L) - 1;
  llayout_check_record(L, layout, path);
  llayout_store_record(L, layout, lview_data(L, &self->view, true) + at);
  check_lost(L, self);
}

static int record_set(lua_State *L) {
  const struct lrecord *self = check_record(L);
  struct llayout_path path = {NULL, self->layout->name, 0};
  lua_settop(L, 2);
  store_record(L, self, 0, &path);
  lua_settop(L, 1);
  return 1;
}

/* Copied aside first: a table is made piece by piece, and the memory may change. */
static void push_table(lua_State *L, const struct lrecord *self, uint64_t at, void *aside) {
  memcpy(aside, lview_data(L, &self->view, false) + at, self->layout->size);
  check_lost(L, self);
  llayout_push_record(L, self->layout, aside);
}

static int record_totable(lua_State *L) {
  const struct lrecord *self = check_record(L);
  lview_data(L, &self->view, false);
  push_table(L, self, 0, lua_newuserdatauv(L, self->layout->size, 0));
  return 1;
}

const luaL_Reg lrecord_methods[] = {
    {"set", record_set},
    {"totable", record_totable},
    {NULL, NULL},
};

/* ---- metamethods of a record ---- */

static int push_description(lua_State *L, const struct lrecord *self, const char *what) {
  lua_pushfstring(L, "%s %s at offset %I of %s%s", what, self->layout->name,
                  (LUAI_UACINT)self->view.offset, lsegment_push_name(L, self->view.segment),
                  shmx_view_check(&self->view) == -EBADF ? " (detached)" : "");
  return 1;
}

static int record_tostring(lua_State *L) {
  return push_description(L, check_record(L), "record");
}

/* Fields in the order of their definition. */
static int next_field(lua_State *L) {
  const struct lrecord *self = check_record(L);
  const shmx_layout *layout = self->layout;
  size_t next = 0;
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) {
    const shmx_field *field = shmx_layout_field(layout, luaL_checkstring(L, 2));
    if (field == NULL) return raise_unknown(L, self);
    next = (size_t)(field - layout->fields) + 1;
  }
  if (next == layout->field_count) return lua_pushnil(L), 1;
  lua_pushstring(L, layout->fields[next].name);
  lua_pushvalue(L, -1);
  lua_gettable(L, 1);
  return 2;
}

static int record_pairs(lua_State *L) {
  check_record(L);
  lua_pushcfunction(L, next_field);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

static const luaL_Reg record_metamethods[] = {
    {"__tostring", record_tostring},
    {"__pairs", record_pairs},
    {NULL, NULL},
};

void lrecord_push_metatable(lua_State *L, int names) {
  names = lua_absindex(L, names);
  luaL_newlib(L, record_metamethods);
  lua_pushliteral(L, RECORD_NAME);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, names);
  luaL_newlib(L, lrecord_methods);
  lua_pushcclosure(L, record_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, names);
  lua_pushcclosure(L, record_newindex, 1);
  lua_setfield(L, -2, "__newindex");
}

/* ---- arrays of records ---- */

/* Integers are records, strings are methods (the table in upvalue 1), all else is nil. */
static int array_index(lua_State *L) {
  const struct lrecord *self = check_array(L);
  if (lua_type(L, 2) == LUA_TSTRING) {
    lua_settop(L, 2);
    luser_get(L, 1);
    return 1;
  }
  uint64_t at = (uint64_t)lua_tointeger(L, 2) - 1;
  if (at >= self->view.count) return lua_pushnil(L), 1;
  lview_data(L, &self->view, false);
  lua_getiuservalue(L, 1, SEGMENT);
  push_layout(L, self);
  push_handle(L, &record_tag, self->view.offset + at * self->layout->size, 1);
  return 1;
}

static int array_newindex(lua_State *L) {
  const struct lrecord *self = check_array(L);
  if (lua_type(L, 2) != LUA_TNUMBER)
    return luaL_error(L, "an array has numbers as indexes, not %s", luaL_tolstring(L, 2, NULL));
  lua_Integer index = luaL_checkinteger(L, 2);
  if ((uint64_t)index - 1 >= self->view.count)
    return luaL_error(L, "index %I is not within 1 and %I", (LUAI_UACINT)index,
                      (LUAI_UACINT)self->view.count);
  struct llayout_path root = {NULL, self->layout->name, 0};
  struct llayout_path path = {&root, NULL, index};
  lua_settop(L, 3);
  store_record(L, self, ((uint64_t)index - 1) * self->layout->size, &path);
  return 0;
}

static int array_totable(lua_State *L) {
  const struct lrecord *self = check_array(L);
  lview_data(L, &self->view, false);
  void *aside = lua_newuserdatauv(L, self->layout->size, 0);
  lua_newtable(L);
  for (uint64_t i = 0; i < self->view.count; i++) {
    push_table(L, self, i * self->layout->size, aside);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int array_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_array(L)->view.count);
  return 1;
}

static int array_tostring(lua_State *L) {
  const struct lrecord *self = check_array(L);
  return push_description(L, self,
                          lua_pushfstring(L, "array of %I", (LUAI_UACINT)self->view.count));
}

static int array_pairs(lua_State *L) {
  check_array(L);
  return lview_push_pairs(L);
}

static const luaL_Reg array_methods[] = {
    {"totable", array_totable},
    {NULL, NULL},
};

static const luaL_Reg array_metamethods[] = {
    {"__newindex", array_newindex}, {"__len", array_len}, {"__tostring", array_tostring},
    {"__pairs", array_pairs},       {NULL, NULL},
};

void lrecord_register(lua_State *L) {
  luaL_newmetatable(L, ARRAY_NAME);
  luaL_setfuncs(L, array_metamethods, 0);
  luaL_newlib(L, array_methods);
  lua_pushcclosure(L, array_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
