/*
 * chunk.h: a script that is read and compiled once, for many states: so that its absence and errors
 * of syntax are told once, and it may come from a pipe. Touches lua.h.
 */
#ifndef SHMX_HOST_CHUNK_H
#define SHMX_HOST_CHUNK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct chunk {
  char *data; /* as lua_dump writes it */
  size_t length;
};

/* Compiles a file, or standard input for NULL. On failure `message`, of `room` bytes, says why. */
bool chunk_compile(struct chunk *chunk, const char *path, char *message, size_t room);

/* Pushes it as a function, or a message. A status of Lua. */
int chunk_push(lua_State *L, const struct chunk *chunk);

#endif
