/*
 * lvalue.h: values of Lua as the bytes of a message, and back. Touches core, msgpuck.
 *
 * A string travels as its bytes; every other value as MessagePack (https://msgpack.org): integers
 * and floats are kept apart, strings inside are str where they are UTF-8 and else bin, tables are
 * arrays where their keys are 1 to n and else maps.
 */
#ifndef SHMX_LUA_LVALUE_H
#define SHMX_LUA_LVALUE_H

#include "shmx.h"

#include <lua.h>

/* What base/tag.h says of them. */
enum {
  LVALUE_STRING = SHMX_TAG_BYTES,
  LVALUE_MSGPACK = SHMX_TAG_MSGPACK,
  LVALUE_ERROR = SHMX_TAG_ERROR
};

/*
 * The value at `index` as a message. Raises where it has none: nil, a function, a userdata, a table
 * that contains itself or is deeper than 128. A message over `limit` bytes, which are below 2^32 -
 * 1, may have no bytes, and its length says no more than that it is over. The bytes are the
 * string's, or in a buffer that is pushed: the message holds as long as both are on the stack. A
 * finalizer that changes a table meanwhile does so before or after it is encoded.
 */
shmx_message lvalue_encode(lua_State *L, int index, uint64_t limit);

/*
 * Pushes the value of a message, whose bytes are private. Returns 0; -EBADMSG: the bytes are
 * damaged, and nothing is pushed; -EPROTO: they are sound and have no value in Lua, and what they
 * are is pushed, as in "holds a MessagePack extension (type -1), which has no Lua value", for
 * behind the name of a thing. May collect garbage.
 */
int lvalue_push(lua_State *L, const shmx_message *message);

#endif
