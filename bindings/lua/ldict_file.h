/*
 * ldict_file.h: what a snapshot of a dict is as a file: MessagePack (https://msgpack.org), one
 * value after another. Touches core, msgpuck.
 *
 *   ["shm.dict", 1]                    the version of this layout
 *   [key, tag, flags, ttl, value]      an entry: its key is a bin, or an integer; ttl is
 * nanoseconds that it had left, 0 for ever; its value is a bin, or, for a list, an array of [tag,
 * bin] [count, checksum]                  entries; FNV-1a (base/kind.h) of all bytes before this
 * array
 */
#ifndef SHMX_LUA_LDICT_FILE_H
#define SHMX_LUA_LDICT_FILE_H

#include "lua/ldict.h"

#include <msgpuck.h>

#define LDICT_FILE_NAME "shm.dict"

enum { LDICT_FILE_VERSION = 1, LDICT_FILE_FIELDS = 5 /* of an entry */ };

/* nil, 'snapshot "/path": why', and a code: why the file of a snapshot cannot be read or written.
 */
int ldict_file_fail(lua_State *L, const char *path, int status);

#endif
