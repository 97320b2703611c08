/* ldict_scan.c: all entries of a dict, bit by bit: d:get_keys, d:scan, pairs(d). Touches core. */
#include "lua/ldict.h"
#include "lua/luser.h"

enum { BATCH_BYTES = 16384 };

void ldict_scan_start(lua_State *L, struct ldict_scan *scan, uint64_t cursor) {
  *scan = (struct ldict_scan){.walk = {.cursor = cursor}};
  lbuffer_start(&scan->buffer);
  lbuffer_grow(L, &scan->buffer, BATCH_BYTES);
}

int ldict_scan_fill(lua_State *L, struct ldict *self, struct ldict_scan *scan, bool keys_only,
                    uint64_t most) {
  int status;
  scan->at = scan->length = 0;
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_scan(&self->dict, &scan->walk, keys_only, most, scan->buffer.data,
                              scan->buffer.room, &scan->length);
    if (status == -EMSGSIZE) status = ldict_grow(L, self, &scan->buffer, scan->length);
  } while (status == -EMSGSIZE || ldict_again(L, status));
  if (status != 0) scan->length = 0;
  return status;
}

int ldict_scan_meet(struct ldict *self, struct ldict_scan *scan, size_t length) {
  return shmx_dict_meet(&self->dict, &scan->walk, length / 64);
}

bool ldict_scan_next(struct ldict_scan *scan, shmx_dict_key *key, shmx_dict_item *item) {
  return shmx_dict_next(scan->buffer.data, scan->length, &scan->at, key, item);
}

/* Pushes all elements of a list that was met; -ENOENT: it has gone, or is a list no longer. */
static int push_list(lua_State *L, struct ldict *self, struct ldict_scan *scan,
                     const shmx_dict_key *key) {
  size_t length;
  int status = ldict_push_elements(L, self, key, 1, -1, &length);
  if (status != 0) return status == -EPROTOTYPE ? -ENOENT : status;
  status = ldict_scan_meet(self, scan, length);
  if (status != 0) lua_pop(L, 1);
  return status;
}

/* Pushes a key and its value; that of a list is a table of its elements. -ENOENT: it has gone. With
 * an error nothing is pushed, or, with -EPROTO, what was found. */
static int push_entry(lua_State *L, struct ldict *self, struct ldict_scan *scan,
                      const shmx_dict_key *key, const shmx_dict_item *item) {
  ldict_push_key(L, key);
  int status = item->count != 0 ? push_list(L, self, scan, key) : ldict_push_value(L, item);
  if (status == -EPROTO)
    lua_remove(L, -2);
  else if (status != 0)
    lua_pop(L, 1);
  return status;
}

/* ---- keys ---- */

int ldict_get_keys(lua_State *L) {
  struct ldict *self = ldict_check(L);
  uint64_t most = ldict_count(L, 2, 1024), count = 0;
  struct ldict_scan scan;
  shmx_dict_key key;
  shmx_dict_item item;
  if (most == 0) most = UINT64_MAX;
  lua_newtable(L);
  int keys = lua_gettop(L);
  ldict_scan_start(L, &scan, 0);
  do {
    int status = ldict_scan_fill(L, self, &scan, true, 0);
    if (status != 0) return ldict_fail(L, self, status);
    while (count < most && ldict_scan_next(&scan, &key, &item)) {
      ldict_push_key(L, &key);
      lua_rawseti(L, keys, (lua_Integer)++count);
    }
  } while (scan.walk.cursor != 0 && count < most);
  lua_settop(L, keys);
  return 1;
}

/* ---- from a cursor on ---- */

/* Adds the entries of the buffer to the table at `entries`. */
static int add_entries(lua_State *L, struct ldict *self, struct ldict_scan *scan, int entries,
                       uint64_t *count) {
  shmx_dict_key key;
  shmx_dict_item item;
  while (ldict_scan_next(scan, &key, &item)) {
    int status = push_entry(L, self, scan, &key, &item);
    if (status == 0) lua_rawset(L, entries);
    if (status != 0 && status != -ENOENT) return status;
    ++*count;
  }
  return 0;
}

int ldict_scan(lua_State *L) {
  struct ldict *self = ldict_check(L);
  uint64_t cursor = ldict_count(L, 2, 0), most = ldict_count(L, 3, 1000), count = 0;
  struct ldict_scan scan;
  int status;
  luaL_argcheck(L, most >= 1, 3, "at least 1 entry");
  lua_newtable(L);
  int entries = lua_gettop(L);
  ldict_scan_start(L, &scan, cursor);
  do {
    status = ldict_scan_fill(L, self, &scan, false, most - count);
    luaL_argcheck(L, status != -EINVAL, 2, "no scan has said this cursor");
    if (status == 0) status = add_entries(L, self, &scan, entries, &count);
    if (status != 0) return ldict_fail(L, self, status);
  } while (scan.walk.cursor != 0 && count < most);
  lua_pushinteger(L, (lua_Integer)scan.walk.cursor);
  lua_pushvalue(L, entries);
  return 2;
}

/* ---- pairs ---- */

struct walk {
  const void *tag;
  struct ldict_scan scan;
  bool begun, busy;
};

static const char tag;

/* User values of a walk. */
enum { WALK_DICT = 1, WALK_BUFFER };

/* Pushes the next entry of the buffer: 1; 0: it has no more. */
static int push_next(lua_State *L, struct ldict *self, struct ldict_scan *scan) {
  shmx_dict_key key;
  shmx_dict_item item;
  while (ldict_scan_next(scan, &key, &item)) {
    int status = push_entry(L, self, scan, &key, &item);
    if (status == 0) return 1;
    if (status != -ENOENT) return status;
  }
  return 0;
}

/* Pushes the next entry of all: 1; 0: there are no more. */
static int walk_on(lua_State *L, struct ldict *self, struct walk *walk) {
  int status;
  while ((status = push_next(L, self, &walk->scan)) == 0) {
    if (walk->begun && walk->scan.walk.cursor == 0) return 0;
    walk->begun = true;
    lua_getiuservalue(L, lua_upvalueindex(1), WALK_BUFFER);
    luser_check(L, lua_touserdata(L, -1) == walk->scan.buffer.data);
    status = ldict_scan_fill(L, self, &walk->scan, false, 0);
    lua_setiuservalue(L, lua_upvalueindex(1), WALK_BUFFER);
    if (status != 0) return status;
  }
  return status;
}

/* A finalizer or a hook may call this meanwhile; what has raised is over. */
static int next_entry(lua_State *L) {
  struct walk *walk = lua_touserdata(L, lua_upvalueindex(1));
  luser_check(L, walk != NULL && lua_rawlen(L, lua_upvalueindex(1)) == sizeof *walk &&
                     walk->tag == &tag);
  if (walk->busy) return luaL_error(L, "this walk through a dict is at work, or has failed");
  lua_settop(L, 0);
  lua_getiuservalue(L, lua_upvalueindex(1), WALK_DICT);
  struct ldict *self = ldict_check(L);
  walk->busy = true;
  int status = walk_on(L, self, walk);
  if (status < 0) {
    int results = ldict_fail(L, self, status);
    return luaL_error(L, "%s", lua_tostring(L, 1 - results));
  }
  walk->busy = false;
  return status == 1 ? 2 : (lua_pushnil(L), 1);
}

int ldict_pairs(lua_State *L) {
  ldict_check(L);
  struct walk *walk = lua_newuserdatauv(L, sizeof *walk, WALK_BUFFER);
  walk->tag = &tag;
  walk->begun = walk->busy = false;
  ldict_scan_start(L, &walk->scan, 0);
  lua_setiuservalue(L, -2, WALK_BUFFER);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, WALK_DICT);
  lua_pushcclosure(L, next_entry, 1);
  return 1;
}
