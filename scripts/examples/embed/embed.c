/*
 * embed.c: a C program that embeds Lua and shares memory with its script: a segment of
 * measurements, and a channel that the script takes jobs from. It needs what `make install`
 * installed, no more.
 */
#include <shmx_lua.h>

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>

enum { RING = 4096, VALUES = 8 };

static const char script[] = "local sum = 0\n"
                             "for job in arena:channel('jobs', 4096):messages() do\n"
                             "  sum = sum + measured:view('f64')[math.tointeger(job)]\n"
                             "end\n"
                             "measured:view('f64')[1] = sum\n"
                             "print(('the script has the sum %g, in %s'):format(sum, measured))\n";

static void must(int status, const char *what) {
  if (status == 0) return;
  fprintf(stderr, "%s %s\n", what, shmx_error_text(status));
  exit(EXIT_FAILURE);
}

/* A channel in an arena, with a message for each value: its index, as text. */
static void fill_channel(shmx_arena *arena, shmx_arena_object *object) {
  shmx_kind kind = shmx_channel_kind(RING);
  must(shmx_arena_open(arena, shmx_anonymous(), 64 * 1024, NULL), "the arena");
  must(shmx_arena_find(arena, "jobs", &kind, object), "the channel");
  shmx_channel channel;
  shmx_channel_open(&channel, object->memory.object.data, RING);
  for (int i = 1; i <= VALUES; i++) {
    char text[16];
    shmx_message message = {text, (uint32_t)snprintf(text, sizeof text, "%d", i), 0};
    must(shmx_channel_send(&channel, &message, SHMX_FOREVER), "a message");
  }
  must(shmx_channel_finish(&channel, SHMX_FOREVER), "the channel");
  shmx_channel_close(&channel);
}

/* Everything that may raise an error of Lua; pushes nothing, but leaves the segment reachable. */
static int run(lua_State *L) {
  shmx_arena arena = {0};
  shmx_arena_object object = {0};
  shmx_segment segment = {0};
  luaL_openlibs(L);

  fill_channel(&arena, &object);
  shmx_arena_object_close(&object); /* the script opens it by its name */
  shmx_lua_push_arena(L, &arena);   /* Lua's from here on */
  lua_setglobal(L, "arena");

  double values[VALUES];
  for (int i = 0; i < VALUES; i++)
    values[i] = i + 0.5;
  must(shmx_segment_create(&segment, shmx_anonymous(), sizeof values, NULL), "the segment");
  must(shmx_segment_write(&segment, 0, values, sizeof values), "the segment");
  shmx_lua_push_segment(L, &segment);
  lua_setglobal(L, "measured");

  if (luaL_loadbuffer(L, script, sizeof script - 1, "=script") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);

  lua_getglobal(L, "measured");
  double sum;
  must(shmx_segment_read(shmx_lua_check_segment(L, -1), 0, &sum, sizeof sum), "the segment");
  printf("the program reads %g\n", sum);
  return 0;
}

int main(void) {
  lua_State *L = luaL_newstate();
  lua_pushcfunction(L, run);
  int status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status != LUA_OK;
}
