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

/* The tags of messages; an error is text. */
enum { LVALUE_STRING, LVALUE_MSGPACK, LVALUE_ERROR };

/*
 * The value at `index` as a message. Raises where it has none: nil, a function, a userdata, a table
 * that contains itself or is deeper than 128. Over `limit` bytes it may be cut, and is still over.
 * The bytes are the string's, or in a buffer that is pushed: the message holds as long as both are
 * on the stack.
 */
shmx_message lvalue_encode(lua_State *L, int index, uint64_t limit);

/*
 * Pushes the value of a message, whose bytes are private. 0, or -EBADMSG: they are no value, and
 * nothing is pushed. May collect garbage.
 */
int lvalue_push(lua_State *L, const shmx_message *message);

#endif
