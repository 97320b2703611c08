/*
 * lmessage.h: what channels, topics and services share: a buffer to receive into, lists of values,
 * the options that they take. Touches core.
 */
#ifndef SHMX_LUA_LMESSAGE_H
#define SHMX_LUA_LMESSAGE_H

#include "lua/lobject.h"

/* A buffer on the C stack for what is small; for the rest a userdata that nobody else has
 * meanwhile: what is decoded from it may collect garbage, whose finalizers may receive. */
struct lbuffer {
  void *data;
  size_t room;
  int index; /* of the userdata */
  _Alignas(8) unsigned char small[1024];
};

static inline void lbuffer_start(struct lbuffer *buffer) {
  buffer->data = buffer->small;
  buffer->room = sizeof buffer->small;
}

/* Room for so many bytes; pushes something, once: it stays at the top if this is called again. */
void lbuffer_grow(lua_State *L, struct lbuffer *buffer, size_t length);

/* What was in it was pushed: another call may have it. Without this, the garbage collector has. */
void lbuffer_end(lua_State *L, const struct lbuffer *buffer);

/* Pushes what was seen in the ring, which shmx_channel_receive has found too long for a buffer, and
 * takes it out, if it is a string that is worth it, and the next message still: it is copied once,
 * straight from the ring. Else pushes nothing, and returns false. */
bool lmessage_take(lua_State *L, struct lobject *object, shmx_channel *channel,
                   const shmx_message *seen);

/* Pushes a list of the values in a buffer of shmx_channel_receive_all, and how many were damaged,
 * or nil for none. Returns 0; -EBADMSG where all were. */
int lmessage_push_all(lua_State *L, const void *data, size_t length);

/* The field of the table of options at `index`, or nil, pushed. Raises where it is no table. */
int lmessage_option(lua_State *L, int index, const char *name);

/* Which of these values, whose list ends with NULL, the option has; -1 where it is not given.
 * Raises where it is none of them. */
int lmessage_choice(lua_State *L, int index, const char *name, const char *const *values);

/* Raises if the table of options at `index` has others than these, whose list ends with NULL. */
void lmessage_check_options(lua_State *L, int index, const char *const *names);

/* The option spin: how often to look before sleeping; -1 where there is none. */
int lmessage_spin(lua_State *L, int index);

#endif
