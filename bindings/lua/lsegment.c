/* lsegment.c: segments as userdata: their methods and metamethods. Touches core. */
#include "lua/lsegment.h"
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lerror.h"
#include "lua/lfact.h"
#include "lua/lfield.h"
#include "lua/linspect.h"
#include "lua/lrecord.h"
#include "lua/lsealed.h"
#include "lua/lview.h"
#include "lua/lwindow.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define TYPE_NAME "shm.segment"

struct lsegment {
  const void *tag; /* &tag: this is ours. Four times faster to check than a metatable. */
  shmx_segment segment;
};

static const char tag;

/* ---- the receiver ---- */

shmx_segment *lsegment_new(lua_State *L) {
  struct lsegment *self = lua_newuserdatauv(L, sizeof *self, 0);
  memset(self, 0, sizeof *self);
  self->tag = &tag;
  luaL_setmetatable(L, TYPE_NAME);
  return &self->segment;
}

shmx_segment *lsegment_test(lua_State *L, int index) {
  struct lsegment *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == sizeof *self && self->tag == &tag;
  return ours ? &self->segment : NULL;
}

shmx_segment *lsegment_memory(lua_State *L, int index) {
  shmx_segment *memory = lsegment_test(L, index);
  if (memory == NULL) memory = larena_memory(L, index);
  return memory != NULL ? memory : lwindow_test(L, index);
}

static shmx_segment *check(lua_State *L) {
  shmx_segment *segment = lsegment_test(L, 1);
  if (segment == NULL) larg_refuse_colon(L);
  if (segment == NULL) luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
  return segment;
}

static shmx_name name_of(const shmx_segment *segment) {
  const shmx_object *object = &segment->object;
  return (shmx_name){object->backing, object->key, object->id, object->posix};
}

const char *lsegment_push_name(lua_State *L, const shmx_segment *segment) {
  shmx_name name = name_of(segment);
  return lerror_push_name(L, &name);
}

/* Misuse raises; memory that another process took away is returned as an error. */
static int fail_access(lua_State *L, const shmx_segment *segment, int status, lua_Integer offset,
                       lua_Integer length) {
  const char *thing = lsegment_push_name(L, segment);
  if (status == -EFAULT) return lerror_return(L, status, thing);
  if (status == -ERANGE)
    return luaL_error(L, "offset %I with length %I is not within %s of %I bytes",
                      (LUAI_UACINT)offset, (LUAI_UACINT)length, thing,
                      (LUAI_UACINT)segment->object.size);
  return lerror_raise(L, status, thing);
}

/* What a call that needs an attached segment begins with. */
shmx_segment *lsegment_check_attached(lua_State *L) {
  shmx_segment *segment = check(L);
  if (segment->object.data == NULL) lerror_raise(L, -EBADF, lsegment_push_name(L, segment));
  return segment;
}

static int result(lua_State *L, const shmx_segment *segment, int status) {
  if (status == 0) return lua_pushboolean(L, 1), 1;
  return lfact_return(L, status, &segment->object.facts, lsegment_push_name(L, segment));
}

/* ---- reading and writing ---- */

int lsegment_write(lua_State *L) {
  shmx_segment *segment = check(L);
  if (lua_type(L, 2) != LUA_TSTRING) return luaL_typeerror(L, 2, "string (string.pack makes one)");
  size_t length;
  const char *data = lua_tolstring(L, 2, &length);
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  int status = shmx_segment_write(segment, (uint64_t)offset, data, length);
  if (status != 0) return fail_access(L, segment, status, offset, (lua_Integer)length);
  lua_settop(L, 1);
  return 1;
}

enum { SHORT = 64 }; /* more than LUAI_MAXSHORTLEN */

/*
 * Short strings are copied aside: Lua looks at one twice, to hash it and to keep it, and a peer may
 * change the memory in between.
 */
static int push_short(lua_State *L, const shmx_segment *segment, uint64_t offset, size_t length) {
  char aside[SHORT];
  int status = shmx_segment_read(segment, offset, aside, length);
  if (status == 0) lua_pushlstring(L, aside, length);
  return status;
}

/* Straight from the memory. Lua may then collect garbage, and a finalizer may detach the segment.
 */
static int push_long(lua_State *L, const shmx_segment *segment, uint64_t offset, uint64_t length) {
  int status = shmx_segment_range(segment, offset, length);
  if (status != 0) return status;
  lua_pushlstring(L, (const char *)segment->object.data + offset, length);
  status = shmx_segment_range(segment, offset, length);
  return status == 0 && shmx_segment_lost(segment) ? -EFAULT : status;
}

static int push_bytes(lua_State *L, const shmx_segment *segment, lua_Integer offset,
                      lua_Integer length) {
  int status = (uint64_t)length <= SHORT
                   ? push_short(L, segment, (uint64_t)offset, (size_t)length)
                   : push_long(L, segment, (uint64_t)offset, (uint64_t)length);
  return status == 0 ? 1 : fail_access(L, segment, status, offset, length);
}

lua_Integer lsegment_rest(const shmx_segment *segment, lua_Integer offset) {
  lua_Integer size = (lua_Integer)segment->object.size;
  return offset >= 0 && offset <= size ? size - offset : 0;
}

/* luaL_optinteger, a third of its cost where the argument is there. */
static lua_Integer opt_integer(lua_State *L, int index, lua_Integer otherwise) {
  int whole;
  lua_Integer value = lua_tointegerx(L, index, &whole);
  return whole ? value : luaL_optinteger(L, index, otherwise);
}

int lsegment_read(lua_State *L) {
  shmx_segment *segment = check(L);
  lua_Integer offset = opt_integer(L, 3, 0);
  lua_Integer length = opt_integer(L, 2, lsegment_rest(segment, offset));
  return push_bytes(L, segment, offset, length);
}

/* Up to the first NUL, or to the end of the segment where there is none. */
static int segment_cstring(lua_State *L) {
  shmx_segment *segment = check(L);
  lua_Integer offset = luaL_optinteger(L, 2, 0);
  int status = shmx_segment_range(segment, (uint64_t)offset, 0);
  if (status != 0) return fail_access(L, segment, status, offset, 0);
  const char *text = (const char *)segment->object.data + offset;
  size_t length = strnlen(text, segment->object.size - (size_t)offset);
  return push_bytes(L, segment, offset, (lua_Integer)length);
}

static int segment_fill(lua_State *L) {
  shmx_segment *segment = check(L);
  lua_Integer byte = luaL_checkinteger(L, 2);
  luaL_argcheck(L, byte >= 0 && byte <= 255, 2, "a byte is 0 to 255");
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  lua_Integer length = luaL_optinteger(L, 4, lsegment_rest(segment, offset));
  int status = shmx_segment_fill(segment, (uint64_t)offset, (uint8_t)byte, (uint64_t)length);
  if (status != 0) return fail_access(L, segment, status, offset, length);
  lua_settop(L, 1);
  return 1;
}

/* ---- the segment as a whole ---- */

static int segment_detach(lua_State *L) {
  shmx_segment_detach(check(L));
  lua_pushboolean(L, 1);
  return 1;
}

int lsegment_removed(lua_State *L, int status, const shmx_name *name) {
  shmx_facts facts = {0};
  if (status == 0) return lua_pushboolean(L, 1), 1;
  if (name->backing == SHMX_POSIX) shmx_posix_explain_removal(status, &facts);
  return lfact_return(L, status, &facts, lerror_push_name(L, name));
}

int lsegment_remove(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  int status = shmx_segment_remove(segment);
  shmx_name name = name_of(segment);
  return lsegment_removed(L, status, &name);
}

static int segment_resize(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  size_t former = segment->object.size, size = larg_size(L, 2);
  int status = shmx_segment_resize(segment, size);
  if (status == 0) return result(L, segment, status);
  const char *thing = lsegment_push_name(L, segment);
  if (status == -EROFS) return lerror_raise(L, status, thing);
  return lfact_return_memory(L, status, &segment->object.facts, thing,
                             size > former ? size - former : 0);
}

static int segment_mlock(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  int status = shmx_segment_mlock(segment);
  if (status == 0) return result(L, segment, status);
  return lerror_return_memory(L, status, lsegment_push_name(L, segment), segment->object.size);
}

static int segment_munlock(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  return result(L, segment, shmx_segment_munlock(segment));
}

static int segment_set(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  shmx_change change = larg_change(L, 2);
  return result(L, segment, shmx_segment_set(segment, &change));
}

/* ---- status ---- */

static const char *backing_name(int backing) {
  return backing == SHMX_SYSV ? "sysv" : backing == SHMX_POSIX ? "posix" : "memfd";
}

/* Sets a field of the table at the top, unless the backing does not know it. */
static void set_known(lua_State *L, const char *field, int64_t value) {
  if (value >= 0) set_integer(L, field, (uint64_t)value);
}

void lsegment_push_stat(lua_State *L, const shmx_stat *stat) {
  lua_createtable(L, 0, 20);
  set_string(L, "backing", backing_name(stat->backing));
  if (stat->backing == SHMX_SYSV) {
    lua_pushinteger(L, stat->key);
    lua_setfield(L, -2, "key");
    set_boolean(L, "locked", stat->locked);
  } else if (stat->backing == SHMX_POSIX) {
    lua_pushstring(L, stat->posix);
    lua_setfield(L, -2, "name");
  }
  set_known(L, "id", stat->id);
  set_known(L, "size", (int64_t)stat->size);
  set_known(L, "allocated", stat->allocated);
  set_known(L, "nattch", stat->nattch);
  set_known(L, "cpid", stat->cpid);
  set_known(L, "lpid", stat->lpid);
  if (stat->creator_lives >= 0) set_boolean(L, "creator_lives", stat->creator_lives);
  set_known(L, "atime", stat->atime);
  set_known(L, "dtime", stat->dtime);
  set_known(L, "ctime", stat->ctime);
  set_known(L, "mtime", stat->mtime);
  set_known(L, "uid", stat->uid);
  set_known(L, "gid", stat->gid);
  set_known(L, "cuid", stat->cuid);
  set_known(L, "cgid", stat->cgid);
  set_known(L, "seq", stat->seq);
  set_known(L, "ino", stat->ino);
  set_boolean(L, "removed", stat->removed);
  char mode[8];
  snprintf(mode, sizeof mode, "%04o", stat->mode & 0777);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "mode");
}

static int segment_stat(lua_State *L) {
  shmx_segment *segment = lsegment_check_attached(L);
  shmx_stat stat;
  int status = shmx_segment_stat(segment, &stat);
  if (status != 0) return lerror_return(L, status, lsegment_push_name(L, segment));
  lsegment_push_stat(L, &stat);
  set_boolean(L, "readonly", segment->object.readonly);
  lua_pushinteger(L, (lua_Integer)(uintptr_t)segment->object.data);
  lua_setfield(L, -2, "address");
  return 1;
}

/* ---- metamethods ---- */

static int segment_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)lsegment_check_attached(L)->object.size);
  return 1;
}

static int segment_tostring(lua_State *L) {
  const shmx_segment *segment = check(L);
  const shmx_object *object = &segment->object;
  const char *name = lsegment_push_name(L, segment);
  if (object->data == NULL) {
    lua_pushfstring(L, "%s (detached)", name);
    return 1;
  }
  const char *id = object->backing == SHMX_SYSV ? lua_pushfstring(L, " id %d", object->id) : "";
  lua_pushfstring(L, "%s (%s%s, %I bytes%s)", name, backing_name(object->backing), id,
                  (LUAI_UACINT)object->size, object->readonly ? ", readonly" : "");
  return 1;
}

static const luaL_Reg methods[] = {
    {"write", lsegment_write},     {"read", lsegment_read},
    {"cstring", segment_cstring},  {"fill", segment_fill},
    {"view", lview_of_segment},    {"record", lrecord_of_segment},
    {"stat", segment_stat},        {"set", segment_set},
    {"resize", segment_resize},    {"mlock", segment_mlock},
    {"munlock", segment_munlock},  {"remove", lsegment_remove},
    {"detach", segment_detach},    {"close", segment_detach},
    {"inspect", linspect_segment}, {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", segment_detach},
    {"__close", segment_detach},
    {"__len", segment_len},
    {"__tostring", segment_tostring},
    {NULL, NULL},
};

void lsegment_register(lua_State *L) {
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lsealed_set(L, "segment");
  lua_pop(L, 1);
}
