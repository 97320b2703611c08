/* chunk.c: a script, compiled in a state of its own, and kept as bytes. Touches lua.h. */
#include "host/chunk.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int append(lua_State *L, const void *data, size_t length, void *context) {
  (void)L;
  struct chunk *chunk = context;
  char *grown = realloc(chunk->data, chunk->length + length + 1);
  if (grown == NULL) return 1;
  memcpy(grown + chunk->length, data, length);
  chunk->data = grown;
  chunk->length += length;
  return 0;
}

bool chunk_compile(struct chunk *chunk, const char *path, char *message, size_t room) {
  *chunk = (struct chunk){0};
  lua_State *L = luaL_newstate();
  const char *fault = "not enough memory";
  if (L != NULL && luaL_loadfile(L, path) != LUA_OK)
    fault = lua_tostring(L, -1);
  else if (L != NULL && lua_dump(L, append, chunk, 0) == 0)
    fault = NULL;
  if (fault != NULL) snprintf(message, room, "%s", fault);
  if (L != NULL) lua_close(L);
  return fault == NULL;
}

/* What it is called is inside, as where its lines are. */
int chunk_push(lua_State *L, const struct chunk *chunk) {
  return luaL_loadbufferx(L, chunk->data, chunk->length, "=script", "b");
}
