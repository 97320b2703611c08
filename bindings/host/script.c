/*
 * script.c: a state as lua5.4 has it, with shm preloaded: LUA_INIT, arg, -e and -l, the script.
 * Touches lua.h, core.
 */
#include "host/script.h"
#include "host/call.h"
#include "host/repl.h"
#include "lua/shmx_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INIT           "LUA_INIT"
#define INIT_VERSIONED INIT LUA_VERSUFFIX

/* What the protected part is given, and what comes of it. */
struct run {
  const struct options *options;
  const struct worker *worker;
  bool succeeded;
};

/* ---- before the script ---- */

/* arg: the script is 0, what follows it 1 and more, what precedes it negative. */
static void set_arguments(lua_State *L, const struct options *options) {
  int zero = options->has_script ? options->script : 0;
  lua_createtable(L, options->argc, options->argc);
  for (int i = 0; i < options->argc; i++) {
    lua_pushstring(L, options->argv[i]);
    lua_rawseti(L, -2, i - zero);
  }
  lua_setglobal(L, "arg");
}

/* shm.worker = {index, count, arena} */
static void set_worker(lua_State *L, const struct worker *worker) {
  luaL_requiref(L, "shm", luaopen_shm, 0);
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, worker->index);
  lua_setfield(L, -2, "index");
  lua_pushinteger(L, worker->count);
  lua_setfield(L, -2, "count");
  shmx_lua_push_arena(L, worker->arena);
  lua_setfield(L, -2, "arena");
  lua_setfield(L, -2, "worker");
  lua_pop(L, 1);
}

static void preload(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_shm);
  lua_setfield(L, -2, "shm");
  lua_pop(L, 1);
}

/* A function or a message is at the top: calls the one, or tells the other. */
static bool run_loaded(lua_State *L, const struct options *options, int status) {
  if (status == LUA_OK) status = call(L, 0, 0);
  return call_report(L, options, status) == LUA_OK;
}

static bool run_text(lua_State *L, const struct options *options, const char *text,
                     const char *name) {
  return run_loaded(L, options, luaL_loadbuffer(L, text, strlen(text), name));
}

/* "mod", or "name=mod": a global with what require returns. */
static bool run_library(lua_State *L, const struct options *options, const char *text) {
  const char *equals = strchr(text, '=');
  const char *module = equals != NULL ? equals + 1 : text;
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  int status = call(L, 1, 1);
  if (status == LUA_OK) {
    lua_pushlstring(L, text, equals != NULL ? (size_t)(equals - text) : strlen(text));
    lua_insert(L, -2);
    lua_pushglobaltable(L);
    lua_insert(L, -3);
    lua_settable(L, -3);
    lua_pop(L, 1);
  }
  return call_report(L, options, status) == LUA_OK;
}

static bool run_init(lua_State *L, const struct options *options) {
  const char *name = "=" INIT_VERSIONED;
  const char *init = getenv(name + 1);
  if (init == NULL) init = getenv((name = "=" INIT) + 1);
  if (init == NULL) return true;
  if (init[0] != '@') return run_text(L, options, init, name);
  return run_loaded(L, options, luaL_loadfile(L, init + 1));
}

static bool run_steps(lua_State *L, const struct options *options) {
  for (int i = 0; i < options->step_count; i++) {
    const struct step *step = &options->steps[i];
    bool succeeded = true;
    if (step->option == 'W') lua_warning(L, "@on", 0);
    if (step->option == 'e') succeeded = run_text(L, options, step->text, "=(command line)");
    if (step->option == 'l') succeeded = run_library(L, options, step->text);
    if (!succeeded) return false;
  }
  return true;
}

/* ---- the script ---- */

/* Pushes arg[1], arg[2] ..., as they are now. */
static int push_arguments(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE) luaL_error(L, "'arg' is not a table");
  int count = (int)luaL_len(L, -1);
  luaL_checkstack(L, count + 3, "too many arguments to script");
  int table = lua_gettop(L);
  for (int i = 1; i <= count; i++)
    lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return count;
}

static bool run_script(lua_State *L, const struct run *run) {
  const struct worker *worker = run->worker;
  int status = worker != NULL ? chunk_push(L, worker->chunk)
                              : luaL_loadfile(L, options_script(run->options));
  if (status == LUA_OK) status = call(L, push_arguments(L), LUA_MULTRET);
  return call_report(L, run->options, status) == LUA_OK;
}

/* Without a script: the terminal, or what comes from elsewhere; whose errors are no failure, as
 * lua5.4 has it: "-" makes it a script. */
static void run_input(lua_State *L, const struct options *options) {
  if (!isatty(STDIN_FILENO)) {
    run_loaded(L, options, luaL_loadfile(L, NULL));
    return;
  }
  options_print_version();
  repl_run(L, options);
}

static bool run_all(lua_State *L, const struct run *run) {
  const struct options *options = run->options;
  if (!options->no_environment && !run_init(L, options)) return false;
  if (!run_steps(L, options)) return false;
  if (options->has_script && !run_script(L, run)) return false;
  if (options->interactive)
    repl_run(L, options);
  else if (!options->has_script && !options->executes && !options->version)
    run_input(L, options);
  return true;
}

/* The signals that were kept back until there is somebody to hear them. */
static void hear_signals(lua_State *L, const struct worker *worker) {
  call_stop_on_signals(L);
  sigprocmask(SIG_SETMASK, worker->mask, NULL);
}

static int protected(lua_State *L) {
  struct run *run = lua_touserdata(L, 1);
  lua_settop(L, 0);
  luaL_checkversion(L);
  if (run->options->no_environment) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV");
  }
  luaL_openlibs(L);
  preload(L);
  set_arguments(L, run->options);
  if (run->worker != NULL) set_worker(L, run->worker);
  lua_gc(L, LUA_GCGEN, 0, 0);
  if (run->worker != NULL) hear_signals(L, run->worker);
  run->succeeded = run_all(L, run);
  return 0;
}

int script_run(const struct options *options, const struct worker *worker) {
  lua_State *L = luaL_newstate();
  if (L == NULL) {
    say(options, "cannot create state: not enough memory");
    return EXIT_FAILURE;
  }
  struct run run = {options, worker, false};
  lua_pushcfunction(L, protected);
  lua_pushlightuserdata(L, &run);
  int status = worker != NULL ? call(L, 1, 0) : lua_pcall(L, 1, 0, 0);
  call_report(L, options, status);
  lua_close(L);
  return status == LUA_OK && run.succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
