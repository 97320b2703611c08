/* repl.c: reads statements line by line, as lua5.4 does at a terminal. Touches lua.h. */
#include "host/repl.h"
#include "host/call.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_LENGTH = 512 };

/* ---- lines ---- */

/* libreadline, where it is: it is asked for by name, so that nothing depends on it. */
static char *(*read_line)(const char *prompt);
static void (*remember)(const char *line);

static void look_for_readline(void) {
  if (!isatty(0)) return;
  void *library = dlopen("libreadline.so.8", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return;
  *(void **)&read_line = dlsym(library, "readline");
  *(void **)&remember = dlsym(library, "add_history");
}

static const char *push_prompt(lua_State *L, bool first) {
  if (lua_getglobal(L, first ? "_PROMPT" : "_PROMPT2") == LUA_TNIL) {
    lua_pop(L, 1);
    return lua_pushstring(L, first ? "> " : ">> ");
  }
  const char *prompt = luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
  return prompt;
}

/* A line of any length, without its end; false at the end of input. */
static bool push_input(lua_State *L) {
  char part[LINE_MAX_LENGTH];
  bool any = false, ended = false;
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  while (!ended && fgets(part, sizeof part, stdin) != NULL) {
    size_t length = strlen(part);
    any = true;
    ended = length > 0 && part[length - 1] == '\n';
    luaL_addlstring(&buffer, part, length - ended);
  }
  luaL_pushresult(&buffer);
  if (!any) lua_pop(L, 1);
  return any;
}

/* Replaces nothing by the next line; false at the end of input. */
static bool push_line(lua_State *L, bool first) {
  const char *prompt = push_prompt(L, first);
  bool found;
  if (read_line != NULL && remember != NULL) {
    char *line = read_line(prompt);
    found = line != NULL;
    if (found) lua_pushstring(L, line);
    free(line);
  } else {
    fputs(prompt, stdout);
    fflush(stdout);
    found = push_input(L);
  }
  lua_remove(L, found ? -2 : -1);                        /* the prompt */
  if (found && first && lua_tostring(L, -1)[0] == '=') { /* as Lua 5.2 had it */
    lua_pushfstring(L, "return %s", lua_tostring(L, -1) + 1);
    lua_remove(L, -2);
  }
  return found;
}

/* ---- statements ---- */

static bool is_incomplete(lua_State *L, int status) {
  static const char mark[] = "<eof>";
  size_t length;
  if (status != LUA_ERRSYNTAX) return false;
  const char *message = lua_tolstring(L, -1, &length);
  size_t tail = sizeof mark - 1;
  return length >= tail && strcmp(message + length - tail, mark) == 0;
}

/* The line at the top, as the value that it may be; pops nothing but what it has pushed. */
static bool load_expression(lua_State *L) {
  const char *text = lua_pushfstring(L, "return %s", lua_tostring(L, -1));
  int status = luaL_loadbuffer(L, text, strlen(text), "=stdin");
  lua_remove(L, -2);
  if (status != LUA_OK) lua_pop(L, 1);
  return status == LUA_OK;
}

/* Lines are added to the one at the top until they are a statement. */
static int load_statement(lua_State *L) {
  for (;;) {
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    int status = luaL_loadbuffer(L, text, length, "=stdin");
    if (!is_incomplete(L, status) || !push_line(L, false)) return status;
    lua_remove(L, -2); /* the message */
    lua_pushliteral(L, "\n");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
}

/* Leaves a function or a message. -1 at the end of input. */
static int load_next(lua_State *L) {
  lua_settop(L, 0);
  if (!push_line(L, true)) return -1;
  int status = load_expression(L) ? LUA_OK : load_statement(L);
  const char *text = lua_tostring(L, 1);
  if (remember != NULL && text[0] != '\0') remember(text);
  lua_remove(L, 1);
  return status;
}

static void print_results(lua_State *L, const struct options *options) {
  int count = lua_gettop(L);
  if (count == 0) return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (lua_pcall(L, count, 0, 0) == LUA_OK) return;
  const char *why = lua_tostring(L, -1);
  lua_pushfstring(L, "error calling 'print' (%s)", why != NULL ? why : "no message");
  call_report(L, options, LUA_ERRRUN);
}

void repl_run(lua_State *L, const struct options *options) {
  struct options unnamed = *options; /* at a terminal, it is clear who says it */
  int status;
  unnamed.program = NULL;
  look_for_readline();
  while ((status = load_next(L)) != -1) {
    if (status == LUA_OK) status = call(L, 0, LUA_MULTRET);
    if (status == LUA_OK)
      print_results(L, &unnamed);
    else
      call_report(L, &unnamed, status);
  }
  lua_settop(L, 0);
  fputs("\n", stdout);
  fflush(stdout);
}
