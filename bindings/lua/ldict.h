/*
 * ldict.h: dicts of an arena as userdata, and what the files of their methods share. Touches core.
 *
 * The methods of ngx.shared.DICT return what they return there: what a dict refuses is said in a
 * few words ("exists", "no memory"), after which comes whether others were evicted, or nothing.
 * What is wrong with the memory or the arena is nil, a sentence and a code, as everywhere else.
 */
#ifndef SHMX_LUA_LDICT_H
#define SHMX_LUA_LDICT_H

#include "lua/lmessage.h"
#include "lua/lvalue.h"
#include "lua/lwait.h"

#include <errno.h>
#include <string.h>

/* A fetch whose generator runs. It lies on the C stack. */
struct ldict_task {
  struct ldict_task *outer;
  shmx_dict_fetch *fetch;
};

struct ldict {
  struct lobject base;
  shmx_dict dict;
  struct ldict_task *tasks; /* the innermost first; or NULL */
};

extern const struct lobject_type ldict_type;

static inline struct ldict *ldict_check(lua_State *L) {
  return lobject_check(L, 1, &ldict_type);
}

/* Makes the metatable. Pushes nothing. */
void ldict_register(lua_State *L);

/* a:dict(name, size); the arena is at 1. */
int ldict_open(lua_State *L);

/* ---- calls of the core: ----
 *
 *   do {
 *     status = ldict_look(self);
 *     if (status == 0) status = shmx_dict_...(&self->dict, ...);
 *   } while (ldict_again(L, status));
 *
 * Whatever allocates may run a finalizer that closes the arena: it comes before the look. */

/* May the memory be used? */
static inline int ldict_look(struct ldict *self) {
  return shmx_arena_object_check(&self->base.object);
}

/* Whether a signal came; then the script's hook has run. */
static inline bool ldict_again(lua_State *L, int status) {
  if (__builtin_expect(status != -EINTR, 1)) return false;
  lwait_run_hook(L);
  return true;
}

/* ---- keys: strings, and integers, which are other keys ---- */

struct ldict_key {
  shmx_dict_key key; /* points to the string on the stack, or to the integer */
  int64_t integer;
};

/* A key that is no short string: NULL, or what is wrong with it in a few words. Raises where it is
 * neither string nor integer. */
const char *ldict_other_key(lua_State *L, int index, struct ldict_key *key);

/* The key at `index`, as above. */
static inline const char *ldict_key(lua_State *L, int index, struct ldict_key *key) {
  if (lua_type(L, index) == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    key->key = (shmx_dict_key){text, (uint32_t)length, false};
    if (length - 1 < SHMX_DICT_KEY_MAX) return NULL;
  }
  return ldict_other_key(L, index, key);
}

void ldict_push_key(lua_State *L, const shmx_dict_key *key);

/* ---- values ---- */

struct ldict_value {
  shmx_dict_item item; /* points into this, or to what is on the stack */
  shmx_dict_number number;
};

/* A value that is no string and no number: pushes what it is encoded into. Raises where no message
 * carries it. */
void ldict_other_value(lua_State *L, int index, uint64_t limit, struct ldict_value *value);

/* The number at `index`; or false. */
static inline bool ldict_number(lua_State *L, int index, shmx_dict_number *number) {
  int is_number;
  if (lua_isinteger(L, index)) {
    *number = (shmx_dict_number){.tag = SHMX_TAG_INTEGER};
    number->value.integer = lua_tointeger(L, index);
    return true;
  }
  *number = (shmx_dict_number){.tag = SHMX_TAG_DOUBLE};
  number->value.real = lua_tonumberx(L, index, &is_number);
  return is_number;
}

/* The value at `index`, which is of that type, as what is stored. */
static inline void ldict_typed_value(lua_State *L, int index, int type, const struct ldict *self,
                                     struct ldict_value *value) {
  if (type == LUA_TSTRING) {
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (length > UINT32_MAX) length = UINT32_MAX; /* which is too long, too */
    value->item = (shmx_dict_item){.data = text, .length = (uint32_t)length, .tag = LVALUE_STRING};
  } else if (type == LUA_TNUMBER) {
    ldict_number(L, index, &value->number);
    value->item =
        (shmx_dict_item){.data = &value->number.value, .length = 8, .tag = value->number.tag};
  } else {
    ldict_other_value(L, index, shmx_dict_limit(&self->dict), value);
  }
}

static inline void ldict_value(lua_State *L, int index, const struct ldict *self,
                               struct ldict_value *value) {
  ldict_typed_value(L, index, lua_type(L, index), self, value);
}

/* Pushes the value that an item is, whose bytes are private. Returns what lvalue_push does: with
 * -EPROTO, what was found is pushed, which the functions below that fail return. May collect
 * garbage. */
int ldict_push_other_value(lua_State *L, const shmx_dict_item *item);

static inline int ldict_push_value(lua_State *L, const shmx_dict_item *item) {
  if (item->tag != LVALUE_STRING) return ldict_push_other_value(L, item);
  lua_pushlstring(L, item->data, item->length);
  return 0;
}

/* Pushes the elements `first` to `last` of a list, as shmx_dict_elements counts them, as a table;
 * `length` receives the bytes that they took in a buffer. Returns the status; if it is not 0,
 * nothing is pushed, or, with -EPROTO, what was found. */
int ldict_push_elements(lua_State *L, struct ldict *self, const shmx_dict_key *key, int64_t first,
                        int64_t last, size_t *length);

/*
 * A larger buffer, as the core has asked for: a userdata, pushed instead of the last one, which is
 * at the top. Returns -EMSGSIZE; -EBADMSG where no dict of this size can have so much: what a
 * spoiled memory says may be anything.
 */
int ldict_grow(lua_State *L, const struct ldict *self, struct lbuffer *buffer, uint64_t length);

/*
 * Gets a value into a buffer that was started. What does not fit is in a userdata, which is pushed.
 * `stale` NULL: only what has not expired. Returns the status.
 */
int ldict_read(lua_State *L, struct ldict *self, const shmx_dict_key *key, struct lbuffer *buffer,
               shmx_dict_item *item, bool *stale);

/* Elements of a list, as shmx_dict_elements gives them, into a buffer as above. */
int ldict_elements(lua_State *L, struct ldict *self, const shmx_dict_key *key, int64_t first,
                   int64_t last, struct lbuffer *buffer, size_t *length);

/* ---- scans: ldict_scan.c ---- */

/* Where a scan is, and entries that it has and has not handed out yet. */
struct ldict_scan {
  shmx_dict_walk walk;
  size_t length, at; /* of the buffer */
  struct lbuffer
      buffer; /* its userdata is at the top where a scan starts, and where it is filled */
};

/* Pushes the buffer. */
void ldict_scan_start(lua_State *L, struct ldict_scan *scan, uint64_t cursor);

/* The next entries, as shmx_dict_scan. May replace the buffer, which is at the top. */
int ldict_scan_fill(lua_State *L, struct ldict *self, struct ldict_scan *scan, bool keys_only,
                    uint64_t most);

/* Counts the elements of a list that the scan has met, of so many bytes. -EBADMSG: shmx_dict_meet.
 */
int ldict_scan_meet(struct ldict *self, struct ldict_scan *scan, size_t length);

/* The next of these entries; or false. */
bool ldict_scan_next(struct ldict_scan *scan, shmx_dict_key *key, shmx_dict_item *item);

/* ---- arguments ---- */

/* A time to live in seconds at `index` as nanoseconds; what is not there is `without`. 0 is for
 * ever. Raises what is no number of seconds. */
int64_t ldict_ttl(lua_State *L, int index, int64_t without);

/* The user's flags at `index`, or 0. */
uint32_t ldict_flags(lua_State *L, int index);

/* How many, at `index`, or `without`. */
uint64_t ldict_count(lua_State *L, int index, uint64_t without);

/* ---- what methods return ---- */

/* nil and a few words: what is wrong with a key. */
int ldict_return_words(lua_State *L, const char *words);

/* What a failed call returns: nil and a few words; or nil, a message and a code. */
int ldict_fail(lua_State *L, struct ldict *self, int status);

/* As above where a list was to be there. */
int ldict_fail_list(lua_State *L, struct ldict *self, int status);

/* What a call that stores returns: true, nil, forcible; false, a few words, forcible; or nil, a
 * message and a code. */
int ldict_return_stored(lua_State *L, struct ldict *self, int status, bool forcible);

/* ---- methods ---- */

int ldict_incr(lua_State *L); /* ldict_list.c */
int ldict_lpush(lua_State *L);
int ldict_rpush(lua_State *L);
int ldict_lpop(lua_State *L);
int ldict_rpop(lua_State *L);
int ldict_llen(lua_State *L);
int ldict_lrange(lua_State *L);
int ldict_cas(lua_State *L); /* ldict_change.c */
int ldict_update(lua_State *L);
int ldict_fetch(lua_State *L);    /* ldict_fetch.c */
int ldict_get_keys(lua_State *L); /* ldict_scan.c */
int ldict_scan(lua_State *L);
int ldict_pairs(lua_State *L);
int ldict_get_all(lua_State *L); /* ldict_all.c */
int ldict_set_all(lua_State *L);
int ldict_flush_all(lua_State *L);
int ldict_flush_expired(lua_State *L);
int ldict_capacity(lua_State *L);
int ldict_free_space(lua_State *L);
int ldict_stat(lua_State *L);
int ldict_snapshot(lua_State *L); /* ldict_file.c */
int ldict_restore(lua_State *L);  /* ldict_restore.c */

#endif
