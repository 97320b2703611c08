/* larena.c: arenas as userdata: a:mutex, a:array ..., a:objects, a:remove, a:stat. Touches core. */
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lchannel.h"
#include "lua/ldict.h"
#include "lua/lelement.h"
#include "lua/lerror.h"
#include "lua/lfact.h"
#include "lua/lfield.h"
#include "lua/lguard.h"
#include "lua/llayout.h"
#include "lua/lmutex.h"
#include "lua/lrecord.h"
#include "lua/lsealed.h"
#include "lua/lsync.h"
#include "lua/luser.h"
#include "lua/lview.h"
#include "lua/lwindow.h"

#include <string.h>

#define TYPE_NAME "shm.arena"

struct larena {
  const void *tag;
  shmx_arena arena;
};

static const char tag;

static const struct lobject_type array_type = {
    "shm.array", SHMX_KIND_ARRAY, sizeof(struct lobject), NULL, NULL, 0};
static const struct lobject_type record_type = {
    "shm.arenarecord", SHMX_KIND_RECORD, sizeof(struct lobject), NULL, NULL, 0};

shmx_segment *larena_memory(lua_State *L, int index) {
  struct lobject *object = lobject_test(L, index, &array_type);
  if (object == NULL) object = lobject_test(L, index, &record_type);
  return object != NULL ? &object->object.memory : NULL;
}

/* ---- the receiver ---- */

static struct larena *test(lua_State *L, int index) {
  struct larena *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == sizeof *self && self->tag == &tag;
  return ours ? self : NULL;
}

shmx_arena *larena_test(lua_State *L, int index) {
  struct larena *self = test(L, index);
  return self != NULL ? &self->arena : NULL;
}

static struct larena *check(lua_State *L) {
  struct larena *self = test(L, 1);
  if (self == NULL) luaL_typeerror(L, 1, TYPE_NAME " (methods are called with a colon)");
  return self;
}

const char *larena_push_name(lua_State *L, const shmx_arena *arena) {
  const shmx_object *object = &arena->segment.object;
  shmx_name name = {object->backing, object->key, object->id, object->posix};
  return lerror_push_noun(L, "arena", &name);
}

shmx_arena *larena_check(lua_State *L) {
  shmx_arena *arena = &check(L)->arena;
  if (arena->segment.object.data == NULL)
    luaL_error(L, "%s is closed; open it again", larena_push_name(L, arena));
  return arena;
}

/* ---- opening and closing ---- */

static int fail_open(lua_State *L, const shmx_arena *arena, int status, const shmx_name *name,
                     size_t size) {
  const char *thing = lerror_push_noun(L, "arena", name);
  if (status == -ETIMEDOUT) return lerror_return_locked(L, thing, arena->held_by);
  return lfact_return_memory(L, status, &arena->segment.object.facts, thing, size);
}

static size_t check_size(lua_State *L, const shmx_name *name) {
  if (lua_isnoneornil(L, 2)) {
    if (!shmx_name_is_findable(name))
      luaL_argerror(L, 2, "a size is needed: the memory is new each time");
    return 0;
  }
  size_t size = larg_size(L, 2);
  luaL_argcheck(L, size >= SHMX_ARENA_SIZE_MIN, 2, "an arena has at least 8192 bytes");
  return size;
}

static shmx_options check_options(lua_State *L) {
  shmx_options options = larg_options(L, 3, true);
  luaL_argcheck(L, !(options.flags & SHMX_READONLY), 3,
                "an arena cannot be readonly: who locks, writes");
  return options;
}

shmx_arena *larena_new(lua_State *L) {
  struct larena *self = lua_newuserdatauv(L, sizeof *self, 1);
  memset(self, 0, sizeof *self);
  self->tag = &tag;
  luaL_setmetatable(L, TYPE_NAME);
  lua_newtable(L);
  lua_setiuservalue(L, -2, LARENA_OBJECTS);
  return &self->arena;
}

int larena_open(lua_State *L) {
  shmx_name name = larg_name(L, 1);
  size_t size = check_size(L, &name);
  shmx_options options = check_options(L);
  shmx_arena *arena = larena_new(L);
  int status = shmx_arena_open(arena, name, size, &options);
  if (status == -EUSERS) { /* some of the handles may be garbage of this script's */
    lua_gc(L, LUA_GCCOLLECT);
    status = shmx_arena_open(arena, name, size, &options);
  }
  return status == 0 ? 1 : fail_open(L, arena, status, &name, size);
}

static int arena_close(lua_State *L) {
  shmx_arena_close(&check(L)->arena);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- what there may be in it ---- */

/* Returns the object that is opened, or nil, a message and a code. */
static int push(lua_State *L, shmx_arena *arena, shmx_kind kind, const struct lobject_type *type) {
  return lobject_open(L, arena, 2, &kind, type) != NULL ? 1 : 3;
}

static uint32_t check_count(lua_State *L, int index, uint32_t most, const char *what) {
  lua_Integer count = luaL_checkinteger(L, index);
  if (count < 1 || count > (lua_Integer)most)
    luaL_argerror(L, index, lua_pushfstring(L, "%s are 1 to %d", what, (int)most));
  return (uint32_t)count;
}

static int arena_mutex(lua_State *L) {
  return push(L, larena_check(L), shmx_mutex_kind(), &lmutex_type);
}

static int arena_rwlock(lua_State *L) {
  return push(L, larena_check(L), shmx_rwlock_kind(), &lrwlock_type);
}

static int arena_semaphore(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  uint32_t permits = check_count(L, 3, SHMX_PERMITS_MAX, "permits");
  return push(L, arena, shmx_semaphore_kind(permits), &lsemaphore_type);
}

static int arena_condition(lua_State *L) {
  return push(L, larena_check(L), shmx_condition_kind(), &lcondition_type);
}

static int arena_barrier(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  uint32_t parties = check_count(L, 3, SHMX_PARTIES_MAX, "parties");
  return push(L, arena, shmx_barrier_kind(parties), &lbarrier_type);
}

static uint64_t check_length(lua_State *L, int index) {
  lua_Integer count = luaL_checkinteger(L, index);
  luaL_argcheck(L, count >= 1, index, "an array has at least 1 element");
  return (uint64_t)count;
}

/* What scripts have of an array or a record is a view of it, unless it was removed meanwhile. */
static int return_view(lua_State *L, struct lobject *object, int status) {
  return status == 0 ? 1 : lobject_return(L, object, status, 0);
}

static int push_records(lua_State *L, shmx_arena *arena, const shmx_layout *layout) {
  uint64_t count = check_length(L, 4);
  shmx_kind kind = shmx_record_kind(layout, count);
  struct lobject *object = lobject_open(L, arena, 2, &kind, &record_type);
  if (object == NULL) return 3;
  lua_pushvalue(L, 3);
  return return_view(L, object, lrecord_open_array(L, count));
}

static int arena_array(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  const shmx_layout *layout = llayout_test(L, 3);
  if (layout != NULL) return push_records(L, arena, layout);
  shmx_type type = lelement_check_type(L, 3);
  uint64_t count = check_length(L, 4);
  shmx_kind kind = shmx_array_kind(type, count);
  struct lobject *object = lobject_open(L, arena, 2, &kind, &array_type);
  if (object == NULL) return 3;
  return return_view(L, object, lview_open(L, lua_gettop(L), type, 0, count));
}

static int arena_record(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  const shmx_layout *layout = llayout_test(L, 3);
  if (layout == NULL) return luaL_typeerror(L, 3, "layout (shm.record makes one)");
  shmx_kind kind = shmx_record_kind(layout, 1);
  struct lobject *object = lobject_open(L, arena, 2, &kind, &record_type);
  if (object == NULL) return 3;
  lua_pushvalue(L, 3);
  return return_view(L, object, lrecord_open(L));
}

/* ---- the directory ---- */

static int fail(lua_State *L, const shmx_arena *arena, int status) {
  const char *thing = larena_push_name(L, arena);
  if (status == -ETIMEDOUT) return lerror_return_locked(L, thing, arena->held_by);
  return lfact_return(L, status, &arena->segment.object.facts, thing);
}

static void push_entry(lua_State *L, const shmx_arena_entry *entry) {
  const char *kind = shmx_kind_name(entry->kind);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, entry->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, kind != NULL ? kind : "unknown");
  lua_setfield(L, -2, "kind");
  set_integer(L, "size", entry->size);
  set_integer(L, "count", entry->count);
}

static int arena_objects(lua_State *L) {
  larena_check(L);
  shmx_arena_entry *list = lua_newuserdatauv(L, SHMX_ARENA_OBJECTS_MAX * sizeof *list, 0);
  shmx_arena *arena = larena_check(L); /* a finalizer may have closed it */
  size_t count;
  int status = shmx_arena_list(arena, list, SHMX_ARENA_OBJECTS_MAX, &count);
  if (status != 0) return fail(L, arena, status);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    push_entry(L, &list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* The arena keeps what it has open under the name no longer; who else has it keeps it. */
static void forget(lua_State *L) {
  luser_push_table(L, 1, LARENA_OBJECTS);
  lua_pushvalue(L, 2);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static int arena_remove(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  const char *name = larg_cstring(L, 2, "name");
  int status = shmx_arena_remove(arena, name);
  if (status == -ENOENT)
    return lerror_return(
        L, status, lua_pushfstring(L, "object \"%s\" of %s", name, larena_push_name(L, arena)));
  if (status != 0) return fail(L, arena, status);
  forget(L);
  lua_pushboolean(L, 1);
  return 1;
}

static int arena_stat(lua_State *L) {
  shmx_arena *arena = larena_check(L);
  shmx_arena_status stat;
  int status = shmx_arena_stat(arena, &stat);
  if (status != 0) return fail(L, arena, status);
  lua_createtable(L, 0, 7);
  set_integer(L, "size", stat.size);
  set_integer(L, "used", stat.used);
  set_integer(L, "largest", stat.largest);
  set_integer(L, "objects", stat.objects);
  set_integer(L, "max_objects", stat.entries);
  set_integer(L, "handles", stat.handles);
  set_integer(L, "max_handles", stat.handles_max);
  if (arena->segment.object.id != SHMX_NO_ID)
    set_integer(L, "id", (uint64_t)arena->segment.object.id);
  return 1;
}

static int arena_tostring(lua_State *L) {
  const shmx_arena *arena = &check(L)->arena;
  const shmx_object *object = &arena->segment.object;
  const char *name = larena_push_name(L, arena);
  if (object->data == NULL)
    lua_pushfstring(L, "%s (closed)", name);
  else
    lua_pushfstring(L, "%s (%I bytes)", name, (LUAI_UACINT)object->size);
  return 1;
}

/* ---- registration ---- */

static void register_arena(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"mutex", arena_mutex},         {"rwlock", arena_rwlock},
      {"semaphore", arena_semaphore}, {"condition", arena_condition},
      {"barrier", arena_barrier},     {"array", arena_array},
      {"record", arena_record},       {"objects", arena_objects},
      {"remove", arena_remove},       {"channel", lchannel_open},
      {"topic", ltopic_open},         {"service", lservice_open},
      {"dict", ldict_open},           {"stat", arena_stat},
      {"close", arena_close},         {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {{"__gc", arena_close},
                                         {"__close", arena_close},
                                         {"__tostring", arena_tostring},
                                         {NULL, NULL}};
  luaL_newmetatable(L, TYPE_NAME);
  luaL_setfuncs(L, metamethods, 0);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lsealed_set(L, "arena");
  lua_pop(L, 1);
}

void larena_register(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  register_arena(L);
  lobject_register(L, &array_type, none);
  lobject_register(L, &record_type, none);
  lmutex_register(L);
  lrwlock_register(L);
  lsemaphore_register(L);
  lcondition_register(L);
  lbarrier_register(L);
  lguard_register(L);
  lwindow_register(L);
  lchannel_register(L);
  ltopic_register(L);
  lservice_register(L);
  ldict_register(L);
}
