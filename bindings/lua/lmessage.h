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

/*
 * What a method that receives returns, pushed before the message is taken out, since it may fail:
 * the value; or nil, a message and a code, where there is none. Returns how many. May collect
 * garbage, whose finalizers may receive.
 */
int lmessage_push(lua_State *L, struct lobject *object, const shmx_message *message);

/*
 * As above, for the messages in a buffer of shmx_channel_copy_all: a list of their values, and how
 * many have none, if any; where all have none, nil, a message and a code of the last of them.
 */
int lmessage_push_all(lua_State *L, struct lobject *object, const void *data, size_t length);

/* Is it a string that is best copied once, straight from the ring to Lua? */
static inline bool lmessage_is_straight(const shmx_message *message) {
  /* Shorter ones gain nothing; longer ones lose, as long as malloc gives their pages back to the
   * kernel each time, as it does by default. */
  return message->tag == SHMX_TAG_BYTES && message->length >= 4096 && message->length <= 1 << 17;
}

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
