/* lvalue.c: encoding and decoding, with the path to what does not fit. Touches core, msgpuck. */
#include "lua/lvalue.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define MP_SOURCE 1 /* the functions and tables of msgpuck are compiled into this file */
#include <msgpuck.h>

enum { DEPTH_MAX = 128 };

/*
 * ---- what is encoded into: a buffer on the C stack, and then in C's memory ----
 *
 * While a table is encoded, Lua allocates nothing, so no finalizer runs that could change the
 * table: its count and its elements belong together. Nothing raises but fail.
 */

enum { FIRST_ROOM = 4096 };

struct output {
  lua_State *L;
  char *data, *heap; /* the heap is NULL where the first buffer is enough */
  size_t length, room, limit;
};

/* Comes before all that may raise. */
static void release(struct output *output) {
  free(output->heap);
  output->heap = NULL;
}

static void grow(struct output *output, size_t length) {
  size_t room = output->room * 2 + length;
  char *heap = realloc(output->heap, room);
  if (heap == NULL) {
    release(output);
    lua_pushliteral(output->L, "not enough memory");
    lua_error(output->L);
  }
  if (output->heap == NULL) memcpy(heap, output->data, output->length);
  output->data = output->heap = heap;
  output->room = room;
}

/* Where so many bytes may be written. */
static inline char *need(struct output *output, size_t length) {
  if (length > output->room - output->length) grow(output, length);
  return output->data + output->length;
}

static inline void wrote(struct output *output, const char *end) {
  output->length = (size_t)(end - output->data);
}

/* ---- where we are in the value ---- */

struct path {
  const struct path *up; /* NULL: the value itself */
  const void *table;     /* what `key` is in */
  int key;               /* its place on the stack */
};

/* Pushes "value.jobs[3].callback". */
static const char *push_path(lua_State *L, const struct path *path) {
  if (path == NULL) return lua_pushliteral(L, "value");
  const char *table = push_path(L, path->up);
  luaL_checkstack(L, 4, "the path to a value");
  if (lua_type(L, path->key) == LUA_TSTRING)
    return lua_pushfstring(L, "%s.%s", table, lua_tostring(L, path->key));
  if (lua_isinteger(L, path->key))
    return lua_pushfstring(L, "%s[%I]", table, (LUAI_UACINT)lua_tointeger(L, path->key));
  return lua_pushfstring(L, "%s[%s]", table, luaL_tolstring(L, path->key, NULL));
}

/* Raises that what is there is so; the text may have one %s. Does not return. */
static void fail(struct output *output, const struct path *path, const char *format,
                 const char *type) {
  lua_State *L = output->L;
  release(output);
  const char *place = push_path(L, path);
  luaL_error(L, "%s %s", place, lua_pushfstring(L, format, type));
}

/* ---- encoding ---- */

/* Is it UTF-8, as RFC 3629 has it? */
static bool is_utf8(const unsigned char *at, size_t length) {
  const unsigned char *end = at + length;
  while (at < end) {
    unsigned char lead = *at++;
    if (lead < 0x80) continue;
    int more = lead >= 0xc2 && lead <= 0xdf   ? 1
               : (lead & 0xf0) == 0xe0        ? 2
               : lead >= 0xf0 && lead <= 0xf4 ? 3
                                              : 0;
    if (more == 0 || end - at < more) return false;
    if ((lead == 0xe0 && at[0] < 0xa0) || (lead == 0xed && at[0] > 0x9f) ||
        (lead == 0xf0 && at[0] < 0x90) || (lead == 0xf4 && at[0] > 0x8f))
      return false;
    for (; more > 0; more--)
      if ((*at++ & 0xc0) != 0x80) return false;
  }
  return true;
}

static void encode_string(struct output *output, int index) {
  size_t length;
  const char *text = lua_tolstring(output->L, index, &length);
  if (length > output->limit) {
    output->length += length; /* it is too large, and so is all that it is in */
    return;
  }
  char *at = need(output, 5 + length);
  bool text_like = is_utf8((const unsigned char *)text, length);
  wrote(output, text_like ? mp_encode_str(at, text, (uint32_t)length)
                          : mp_encode_bin(at, text, (uint32_t)length));
}

static void encode_number(struct output *output, int index) {
  char *at = need(output, 9);
  if (!lua_isinteger(output->L, index)) {
    wrote(output, mp_encode_double(at, lua_tonumber(output->L, index)));
    return;
  }
  lua_Integer integer = lua_tointeger(output->L, index);
  wrote(output, integer < 0 ? mp_encode_int(at, integer) : mp_encode_uint(at, (uint64_t)integer));
}

/* Counts entries; says whether their keys are 1 to that. No metamethods are called. */
static bool is_array(lua_State *L, int index, uint32_t *count) {
  lua_Unsigned border = lua_rawlen(L, index), entries = 0;
  bool dense = true;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    entries++;
    lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    dense &= key >= 1 && (lua_Unsigned)key <= border;
  }
  *count = (uint32_t)entries;
  return dense && entries == border;
}

static void encode(struct output *output, int index, const struct path *path, int depth);

static void check_table(struct output *output, const void *table, const struct path *path,
                        int depth) {
  for (const struct path *above = path; above != NULL; above = above->up)
    if (above->table == table) fail(output, path, "is a table that it is in", NULL);
  if (depth >= DEPTH_MAX) fail(output, path, "is deeper than 128 tables", NULL);
}

static void encode_table(struct output *output, int index, const struct path *up, int depth) {
  lua_State *L = output->L;
  uint32_t count;
  struct path path = {up, lua_topointer(L, index), 0};
  check_table(output, path.table, up, depth);
  if (!lua_checkstack(L, 8)) fail(output, up, "is too deep for the stack of Lua", NULL);
  bool array = is_array(L, index, &count);
  char *at = need(output, 5);
  wrote(output, array ? mp_encode_array(at, count) : mp_encode_map(at, count));
  if (array) {
    for (uint32_t i = 1; i <= count; i++) {
      lua_pushinteger(L, i);
      path.key = lua_gettop(L);
      lua_rawgeti(L, index, i);
      encode(output, lua_gettop(L), &path, depth + 1);
      lua_pop(L, 2);
    }
    return;
  }
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    path.key = lua_gettop(L) - 1;
    encode(output, path.key, &path, depth + 1);
    encode(output, lua_gettop(L), &path, depth + 1);
  }
}

/* What is too large already is not encoded to its end, which may be far: a table may be in many. */
static void encode(struct output *output, int index, const struct path *path, int depth) {
  if (output->length > output->limit) return;
  switch (lua_type(output->L, index)) {
  case LUA_TBOOLEAN:
    wrote(output, mp_encode_bool(need(output, 1), lua_toboolean(output->L, index)));
    return;
  case LUA_TNUMBER:
    encode_number(output, index);
    return;
  case LUA_TSTRING:
    encode_string(output, index);
    return;
  case LUA_TTABLE:
    encode_table(output, index, path, depth);
    return;
  case LUA_TNIL:
    fail(output, path, "is nil, which no message carries", NULL);
    return;
  default:
    fail(output, path, "is a %s, which no message carries", luaL_typename(output->L, index));
  }
}

static void push_copy(lua_State *L, const struct output *output) {
  memcpy(lua_newuserdatauv(L, output->length, 0), output->data, output->length);
}

static int push_copy_protected(lua_State *L) {
  push_copy(L, lua_touserdata(L, 1));
  return 1;
}

/* Pushes a copy of what was encoded that is Lua's, and frees C's, also where Lua has no memory. */
static void push_encoded(lua_State *L, struct output *output) {
  if (output->heap == NULL) {
    push_copy(L, output);
    return;
  }
  lua_pushcfunction(L, push_copy_protected);
  lua_pushlightuserdata(L, output);
  int status = lua_pcall(L, 1, 1, 0);
  release(output);
  if (status != LUA_OK) lua_error(L);
}

shmx_message lvalue_encode(lua_State *L, int index, uint64_t limit) {
  size_t length;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, index, &length);
    if (length > UINT32_MAX) luaL_error(L, "a message of %I bytes", (LUAI_UACINT)length);
    return (shmx_message){text, (uint32_t)length, LVALUE_STRING};
  }
  char first[FIRST_ROOM];
  struct output output = {.L = L, .data = first, .room = sizeof first, .limit = limit};
  encode(&output, lua_absindex(L, index), NULL, 0);
  if (output.length > limit) {
    release(&output);
    return (shmx_message){NULL, (uint32_t)limit + 1, LVALUE_MSGPACK};
  }
  push_encoded(L, &output);
  return (shmx_message){lua_touserdata(L, -1), (uint32_t)output.length, LVALUE_MSGPACK};
}

/* ---- decoding: nothing is read that was not checked to be there ---- */

struct input {
  lua_State *L;
  const char *at, *end;
  const char *foreign; /* a format: what was found that Lua has not; or NULL */
  int type;            /* of the extension, for that format */
};

static bool decode(struct input *input, int depth);

/* The count of an array or map whose head is there; each entry has at least a byte. */
static bool decode_count(struct input *input, bool array, uint32_t *count) {
  ptrdiff_t left = input->end - input->at;
  ptrdiff_t missing =
      array ? mp_check_array(input->at, input->end) : mp_check_map(input->at, input->end);
  if (left < 1 || missing > 0) return false;
  *count = array ? mp_decode_array(&input->at) : mp_decode_map(&input->at);
  return (int64_t)*count * (array ? 1 : 2) <= input->end - input->at;
}

/* A count may be a lie that costs nothing to tell: tables grow as they are filled. */
static int room_for(uint32_t count) {
  return count < 1024 ? (int)count : 1024;
}

static bool decode_array(struct input *input, int depth) {
  uint32_t count;
  if (!decode_count(input, true, &count)) return false;
  lua_createtable(input->L, room_for(count), 0);
  for (uint32_t i = 1; i <= count; i++) {
    if (!decode(input, depth)) return false;
    lua_rawseti(input->L, -2, i);
  }
  return true;
}

static bool is_key(struct input *input) {
  lua_State *L = input->L;
  if (lua_isnil(L, -1))
    input->foreign = "holds a MessagePack map with the key nil, which no Lua table has";
  else if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1))
    input->foreign = "holds a MessagePack map with the key NaN, which no Lua table has";
  return input->foreign == NULL;
}

static bool decode_map(struct input *input, int depth) {
  uint32_t count;
  if (!decode_count(input, false, &count)) return false;
  lua_createtable(input->L, 0, room_for(count));
  for (uint32_t i = 0; i < count; i++) {
    if (!decode(input, depth) || !is_key(input) || !decode(input, depth)) return false;
    lua_rawset(input->L, -3);
  }
  return true;
}

/* The type stands behind the length, which has 0, 1, 2 or 4 bytes. */
static int extension_type(const char *at) {
  static const int lengths[] = {1, 2, 4};
  unsigned char kind = (unsigned char)*at;
  bool fixed = kind >= 0xd4 && kind <= 0xd8;
  return (signed char)at[fixed ? 1 : 1 + lengths[kind - 0xc7]];
}

/* A value that is no table, and is wholly there. */
static bool decode_scalar(struct input *input, enum mp_type type) {
  lua_State *L = input->L;
  uint32_t length;
  const char *text;
  switch (type) {
  case MP_NIL:
    mp_decode_nil(&input->at);
    lua_pushnil(L);
    return true;
  case MP_BOOL:
    lua_pushboolean(L, mp_decode_bool(&input->at));
    return true;
  case MP_UINT: /* of 2^63 and more it keeps the bits, as in views */
    lua_pushinteger(L, (lua_Integer)mp_decode_uint(&input->at));
    return true;
  case MP_INT:
    lua_pushinteger(L, mp_decode_int(&input->at));
    return true;
  case MP_FLOAT:
    lua_pushnumber(L, (lua_Number)mp_decode_float(&input->at));
    return true;
  case MP_DOUBLE:
    lua_pushnumber(L, mp_decode_double(&input->at));
    return true;
  case MP_STR:
    text = mp_decode_str(&input->at, &length);
    lua_pushlstring(L, text, length);
    return true;
  case MP_BIN:
    text = mp_decode_bin(&input->at, &length);
    lua_pushlstring(L, text, length);
    return true;
  default:
    input->foreign = "holds a MessagePack extension (type %d), which has no Lua value";
    input->type = extension_type(input->at);
    return false;
  }
}

static bool decode(struct input *input, int depth) {
  if (input->at >= input->end) return false;
  if (depth > DEPTH_MAX) {
    input->foreign = "holds MessagePack deeper than 128 tables, which is the limit";
    return false;
  }
  if ((unsigned char)*input->at == 0xc1) return false; /* no type has this byte */
  enum mp_type type = mp_typeof(*input->at);
  if (!lua_checkstack(input->L, 8)) return false;
  if (type == MP_ARRAY) return decode_array(input, depth + 1);
  if (type == MP_MAP) return decode_map(input, depth + 1);
  const char *probe = input->at;
  return mp_check(&probe, input->end) == 0 && decode_scalar(input, type);
}

/* Is it MessagePack from the first byte to the last? The byte 0xc1 is known to be none by decode
 * only, which stops at it. */
static bool is_sound(const shmx_message *message) {
  const char *at = message->data, *end = at + message->length;
  return mp_check(&at, end) == 0 && at == end;
}

static int push_msgpack(lua_State *L, const shmx_message *message) {
  int top = lua_gettop(L);
  struct input input = {.L = L, .at = message->data};
  input.end = input.at + message->length;
  bool done = decode(&input, 0) && input.at == input.end;
  if (done && !lua_isnil(L, -1)) return 0;
  if (done) input.foreign = "holds nil as MessagePack, which no Lua message carries";
  lua_settop(L, top);
  if (input.foreign == NULL || !is_sound(message)) return -EBADMSG;
  lua_pushfstring(L, input.foreign, input.type);
  return -EPROTO;
}

static int push_number(lua_State *L, const shmx_message *message) {
  lua_Integer integer;
  lua_Number real;
  if (message->length != 8) return -EBADMSG;
  if (message->tag == SHMX_TAG_INTEGER) {
    memcpy(&integer, message->data, sizeof integer);
    lua_pushinteger(L, integer);
  } else {
    memcpy(&real, message->data, sizeof real);
    lua_pushnumber(L, real);
  }
  return 0;
}

int lvalue_push(lua_State *L, const shmx_message *message) {
  switch (message->tag) {
  case LVALUE_STRING:
    lua_pushlstring(L, message->data, message->length);
    return 0;
  case LVALUE_MSGPACK:
    return push_msgpack(L, message);
  case SHMX_TAG_INTEGER:
  case SHMX_TAG_DOUBLE:
    return push_number(L, message);
  default:
    lua_pushfstring(L,
                    "holds bytes with the tag %I; Lua knows 0 (bytes), 1 (MessagePack), 126 and 127"
                    " (numbers)",
                    (LUAI_UACINT)message->tag);
    return -EPROTO;
  }
}
