/*
 * lshm.c: the module "shm". luaopen_shm is at the end; from here, lsegment.c has the userdata,
 * larg.c reads arguments, lerror.c tells errors, and core/shmx.h does the work. Touches core.
 */
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lerror.h"
#include "lua/lfact.h"
#include "lua/llayout.h"
#include "lua/lmessages.h"
#include "lua/lrecord.h"
#include "lua/lsegment.h"
#include "lua/lsemaphores.h"
#include "lua/lview.h"
#include "lua/shmx_lua.h"

#include <lauxlib.h>
#include <stdio.h>

/* ---- segments ---- */

/* The handle is at the top. An address within a page is misuse; else the world has refused. */
static int finish(lua_State *L, const shmx_segment *segment, int status, const shmx_name *name,
                  size_t size) {
  if (status == 0) return 1;
  const char *thing = lerror_push_name(L, name);
  if (status == -EADDRNOTAVAIL) return lerror_raise(L, status, thing);
  return lfact_return_memory(L, status, &segment->object.facts, thing, size);
}

typedef int make_function(shmx_segment *, shmx_name, size_t, const shmx_options *);

static int make(lua_State *L, make_function *function) {
  shmx_name name = larg_name(L, 1);
  if (name.id != SHMX_NO_ID)
    luaL_argerror(L, 1, "an id is given by the system to a segment that exists; use attach");
  size_t size = larg_size(L, 2);
  shmx_options options = larg_options(L, 3, true);
  shmx_segment *segment = lsegment_new(L);
  return finish(L, segment, function(segment, name, size, &options), &name, size);
}

static int shm_create(lua_State *L) {
  return make(L, shmx_segment_create);
}

static int shm_open_(lua_State *L) {
  return make(L, shmx_segment_open);
}

/* Attaching and removing need a name that leads somewhere. */
static shmx_name check_findable(lua_State *L) {
  shmx_name name = larg_name(L, 1);
  if (name.backing == SHMX_MEMFD)
    luaL_argerror(L, 1, "nil stands for anonymous memory, which no name leads to");
  if (!shmx_name_is_findable(&name))
    luaL_argerror(L, 1, "key 0 is IPC_PRIVATE, a new segment each time; use {id=n} to find one");
  return name;
}

static int shm_attach(lua_State *L) {
  shmx_name name = check_findable(L);
  shmx_options options = larg_options(L, 2, false);
  shmx_segment *segment = lsegment_new(L);
  return finish(L, segment, shmx_segment_attach(segment, name, &options), &name, 0);
}

static int shm_remove(lua_State *L) {
  if (lsegment_test(L, 1) != NULL) return lsegment_remove(L);
  shmx_name name = check_findable(L);
  return lsegment_removed(L, shmx_remove(name), &name);
}

/* ---- the machine ---- */

/* ftok(3) takes any project and uses 8 bits of it: 0x666 of the documents is 0x66. */
static int check_project(lua_State *L, int index) {
  lua_Integer project = luaL_checkinteger(L, index);
  if (project < 1 || project > 255) {
    char text[128];
    snprintf(text, sizeof text,
             "project %#llx is not within 1 and 0xff; C's ftok takes its low 8 bits, %#llx",
             (long long)project, (long long)project & 0xff);
    luaL_argerror(L, index, text);
  }
  return (int)project;
}

static int shm_ftok(lua_State *L) {
  const char *path = larg_cstring(L, 1, "path");
  int project = check_project(L, 2);
  int32_t key;
  int status = shmx_ftok(path, project, &key);
  if (status != 0) return lerror_return(L, status, lua_pushfstring(L, "file \"%s\"", path));
  lua_pushinteger(L, key);
  return 1;
}

enum { MOST_LOOKS = 10 }; /* somebody creates segments faster than we look: so be it */

/* Segments and objects into the table at 1. They are collected into a userdata first: pushing
 * tables may raise. */
static int add_segments(lua_State *L) {
  shmx_stat *list = NULL;
  size_t room = 0, count = 0;
  for (int looks = 0; looks < MOST_LOOKS; looks++) {
    int status = shmx_list(list, room, &count);
    if (status != 0) return status;
    if (count <= room) break;
    room = count + count / 8; /* others may create some meanwhile */
    lua_settop(L, 1);
    list = lua_newuserdatauv(L, room * sizeof *list, 0);
    count = 0;
  }
  for (size_t i = 0; i < count; i++) {
    lsegment_push_stat(L, &list[i]);
    lua_rawseti(L, 1, (lua_Integer)i + 1);
  }
  return 0;
}

/* Message queues behind them. */
static int add_queues(lua_State *L) {
  shmx_messages_stat *list = NULL;
  size_t room = 0, count = 0;
  lua_Integer before = (lua_Integer)lua_rawlen(L, 1);
  for (int looks = 0; looks < MOST_LOOKS; looks++) {
    int status = shmx_messages_list(list, room, &count);
    if (status != 0) return status;
    if (count <= room) break;
    room = count + count / 8;
    lua_settop(L, 1);
    list = lua_newuserdatauv(L, room * sizeof *list, 0);
    count = 0;
  }
  for (size_t i = 0; i < count; i++) {
    lmessages_push_stat(L, &list[i]);
    lua_rawseti(L, 1, before + (lua_Integer)i + 1);
  }
  return 0;
}

static int shm_list(lua_State *L) {
  larg_refuse_colon(L);
  lua_settop(L, 0);
  lua_newtable(L);
  int status = add_segments(L);
  if (status == 0) status = add_queues(L);
  if (status != 0) return lerror_return(L, status, "the list of segments");
  lua_settop(L, 1);
  return 1;
}

/* Limits are unsigned in the kernel, and often "none": the largest integer stands for that. */
static void set_limit(lua_State *L, const char *field, uint64_t value) {
  lua_pushinteger(L, value > LUA_MAXINTEGER ? LUA_MAXINTEGER : (lua_Integer)value);
  lua_setfield(L, -2, field);
}

static int shm_limits(lua_State *L) {
  larg_refuse_colon(L);
  shmx_limits limits;
  int status = shmx_limits_get(&limits);
  if (status != 0) return lerror_return(L, status, "the list of limits");
  lua_createtable(L, 0, 13);
  set_limit(L, "page_size", limits.page_size);
  set_limit(L, "huge_page_size", limits.huge_page_size);
  set_limit(L, "shmmax", limits.shmmax);
  set_limit(L, "shmmin", limits.shmmin);
  set_limit(L, "shmmni", limits.shmmni);
  set_limit(L, "shmall", limits.shmall);
  set_limit(L, "msgmax", limits.msgmax);
  set_limit(L, "msgmnb", limits.msgmnb);
  set_limit(L, "msgmni", limits.msgmni);
  set_limit(L, "posix_size", limits.posix_size);
  set_limit(L, "posix_free", limits.posix_free);
  set_limit(L, "memory_free", limits.memory_free);
  set_limit(L, "memory_limit", limits.memory_limit);
  return 1;
}

static int shm_cpus(lua_State *L) {
  lua_pushinteger(L, shmx_cpus());
  return 1;
}

static const luaL_Reg functions[] = {
    {"create", shm_create},
    {"attach", shm_attach},
    {"open", shm_open_},
    {"remove", shm_remove},
    {"read", lsegment_read},
    {"write", lsegment_write},
    {"ftok", shm_ftok},
    {"list", shm_list},
    {"limits", shm_limits},
    {"cpus", shm_cpus},
    {"record", llayout_define},
    {"arena", larena_open},
    {"semaphores", lsemaphores_open},
    {"messages", lmessages_open},
    {NULL, NULL},
};

int luaopen_shm(lua_State *L) {
  luaL_checkversion(L);
  lsegment_register(L);
  lview_register(L);
  llayout_register(L);
  lrecord_register(L);
  larena_register(L);
  lsemaphores_register(L);
  lmessages_register(L);
  luaL_newlib(L, functions);
  larg_set_module(L);
  lua_pushinteger(L, SHMX_PRIVATE);
  lua_setfield(L, -2, "PRIVATE");
  lua_pushliteral(L, SHMX_LUA_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
