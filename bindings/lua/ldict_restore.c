/* ldict_restore.c: d:restore: the entries of a snapshot, if all of it is whole. Touches core,
 * msgpuck. */
#include "lua/larg.h"
#include "lua/ldict_file.h"
#include "lua/lerror.h"

/* ---- reading: nothing is read that was not checked to be there ---- */

struct input {
  const char *begin, *at, *end;
  uint64_t limit; /* bytes of a key and its value, at most */
};

struct entry {
  struct ldict_key key;
  shmx_dict_item item; /* count is that of the elements that follow; 0: it is no list */
  int64_t ttl;
};

/* Is the next value of this type, and its head there? */
static bool is_next(const struct input *input, enum mp_type type) {
  const char *at = input->at;
  if (at >= input->end || mp_typeof(*at) != type) return false;
  if (type == MP_ARRAY) return mp_check_array(at, input->end) <= 0;
  return mp_check(&at, input->end) == 0;
}

static bool take_array(struct input *input, uint32_t *count) {
  if (!is_next(input, MP_ARRAY)) return false;
  *count = mp_decode_array(&input->at);
  return true;
}

static bool take_fields(struct input *input, uint32_t count) {
  uint32_t found;
  return take_array(input, &found) && found == count;
}

static bool take_unsigned(struct input *input, uint64_t most, uint64_t *number) {
  if (!is_next(input, MP_UINT)) return false;
  *number = mp_decode_uint(&input->at);
  return *number <= most;
}

static bool take_bytes(struct input *input, const void **data, uint32_t *length) {
  if (!is_next(input, MP_BIN)) return false;
  *data = mp_decode_bin(&input->at, length);
  return true;
}

static bool take_key(struct input *input, struct ldict_key *key) {
  uint64_t number;
  key->key = (shmx_dict_key){&key->integer, 8, true};
  if (is_next(input, MP_INT)) return key->integer = mp_decode_int(&input->at), true;
  if (is_next(input, MP_UINT)) {
    bool fits = take_unsigned(input, INT64_MAX, &number);
    key->integer = (int64_t)number;
    return fits;
  }
  key->key.is_integer = false;
  return take_bytes(input, &key->key.data, &key->key.length) &&
         key->key.length <= SHMX_DICT_KEY_MAX;
}

static bool take_value(struct input *input, shmx_dict_item *item) {
  uint64_t tag;
  if (!take_unsigned(input, 127, &tag)) return false;
  item->tag = (uint32_t)tag;
  return take_bytes(input, &item->data, &item->length);
}

static bool take_element(struct input *input, shmx_dict_item *item) {
  *item = (shmx_dict_item){.data = NULL};
  return take_fields(input, 2) && take_value(input, item);
}

/* An entry, without its elements. */
static bool take_entry(struct input *input, struct entry *entry) {
  uint64_t tag, flags, ttl;
  uint32_t count = 0;
  if (!take_key(input, &entry->key) || !take_unsigned(input, 127, &tag) ||
      !take_unsigned(input, UINT32_MAX, &flags) || !take_unsigned(input, INT64_MAX, &ttl))
    return false;
  entry->ttl = (int64_t)ttl;
  entry->item = (shmx_dict_item){.tag = (uint32_t)tag, .flags = (uint32_t)flags};
  if (!is_next(input, MP_ARRAY)) return take_bytes(input, &entry->item.data, &entry->item.length);
  bool is_list = take_array(input, &count) && count != 0;
  entry->item.count = count;
  return is_list;
}

/* ---- checking all of it ---- */

enum { WHOLE, DAMAGED, TOO_LARGE, NO_SNAPSHOT, OTHER_VERSION };

static bool fits(const struct input *input, uint64_t key, uint64_t value) {
  return ((key + 7) & ~UINT64_C(7)) + ((value + 7) & ~UINT64_C(7)) <= input->limit;
}

static int check_entry(struct input *input) {
  struct entry entry;
  shmx_dict_item item;
  if (!take_entry(input, &entry)) return DAMAGED;
  if (!fits(input, entry.key.key.length, entry.item.length)) return TOO_LARGE;
  for (uint64_t i = 0; i < entry.item.count; i++) {
    if (!take_element(input, &item)) return DAMAGED;
    if (!fits(input, 0, item.length)) return TOO_LARGE;
  }
  return WHOLE;
}

static int take_opening(struct input *input) {
  uint64_t version;
  uint32_t length;
  if (!take_fields(input, 2) || !is_next(input, MP_STR)) return NO_SNAPSHOT;
  const char *name = mp_decode_str(&input->at, &length);
  if (length != sizeof LDICT_FILE_NAME - 1 || memcmp(name, LDICT_FILE_NAME, length) != 0)
    return NO_SNAPSHOT;
  if (!take_unsigned(input, UINT64_MAX, &version)) return NO_SNAPSHOT;
  return version == LDICT_FILE_VERSION ? WHOLE : OTHER_VERSION;
}

/* The last array, whose head begins at `at`. */
static int check_ending(struct input *input, const char *at, uint64_t entries) {
  uint64_t count, hash;
  if (!take_unsigned(input, UINT64_MAX, &count) || !take_unsigned(input, UINT64_MAX, &hash) ||
      input->at != input->end || count != entries)
    return DAMAGED;
  return hash == shmx_hash(SHMX_HASH_START, input->begin, (size_t)(at - input->begin)) ? WHOLE
                                                                                       : DAMAGED;
}

static int check_all(struct input *input) {
  int result = take_opening(input);
  for (uint64_t entries = 0; result == WHOLE; entries++) {
    const char *at = input->at;
    uint32_t fields;
    if (!take_array(input, &fields)) return DAMAGED;
    if (fields == 2) return check_ending(input, at, entries);
    if (fields != LDICT_FILE_FIELDS) return DAMAGED;
    result = check_entry(input);
  }
  return result;
}

/* ---- storing ---- */

static int store_value(lua_State *L, struct ldict *self, const struct entry *entry,
                       bool *forcible) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0)
      status = shmx_dict_set(&self->dict, &entry->key.key, &entry->item, entry->ttl, SHMX_DICT_SET,
                             forcible);
  } while (ldict_again(L, status));
  return status;
}

static int push_one(lua_State *L, struct ldict *self, const struct entry *entry,
                    const shmx_dict_item *item, bool *forcible) {
  int status;
  do {
    status = ldict_look(self);
    if (status == 0)
      status =
          shmx_dict_push(&self->dict, &entry->key.key, item, SHMX_DICT_RIGHT, 0, NULL, forcible);
  } while (ldict_again(L, status));
  return status;
}

static int store_list(lua_State *L, struct ldict *self, struct input *input,
                      const struct entry *entry, bool *forcible) {
  shmx_dict_item item;
  int status;
  bool forced = false;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_delete(&self->dict, &entry->key.key);
  } while (ldict_again(L, status));
  if (status == -ENOENT) status = 0;
  for (uint64_t i = 0; status == 0 && i < entry->item.count && take_element(input, &item); i++) {
    status = push_one(L, self, entry, &item, &forced);
    *forcible |= forced;
  }
  if (status != 0 || entry->ttl == 0) return status;
  do {
    status = ldict_look(self);
    if (status == 0) status = shmx_dict_expire(&self->dict, &entry->key.key, entry->ttl);
  } while (ldict_again(L, status));
  return status == -ENOENT ? 0 : status; /* it was evicted at once */
}

/* What was checked. */
static int store_all(lua_State *L, struct ldict *self, struct input *input, uint64_t *count,
                     bool *forcible) {
  struct entry entry;
  int status = 0;
  take_opening(input);
  for (*count = 0; status == 0 && take_fields(input, LDICT_FILE_FIELDS); ++*count) {
    bool forced = false;
    if (!take_entry(input, &entry)) return -EBADMSG;
    status = entry.item.count == 0 ? store_value(L, self, &entry, &forced)
                                   : store_list(L, self, input, &entry, &forced);
    *forcible |= forced;
  }
  return status;
}

/* ---- the file ---- */

static int fail(lua_State *L, struct ldict *self, const char *path, const struct input *input,
                int result) {
  lua_Integer at = input->at - input->begin;
  switch (result) {
  case NO_SNAPSHOT:
    lua_pushfstring(L, "\"%s\" is no snapshot of a dict", path);
    return lerror_return_message(L, -EBADMSG);
  case OTHER_VERSION:
    lua_pushfstring(L, "snapshot \"%s\" was made by another version of this library", path);
    return lerror_return_message(L, -EPROTONOSUPPORT);
  case TOO_LARGE:
    lua_pushfstring(L, "snapshot \"%s\" has an entry, up to byte %I, that is too large for %s",
                    path, (LUAI_UACINT)at, lobject_push_name(L, &self->base));
    return lerror_return_message(L, -EMSGSIZE);
  default:
    lua_pushfstring(L, "snapshot \"%s\" is damaged at byte %I, or was cut off there", path,
                    (LUAI_UACINT)at);
    return lerror_return_message(L, -EBADMSG);
  }
}

enum { READS_MAX = 100 /* a snapshot that is replaced each time is not read any more */ };

/* Pushes a buffer with the bytes of the file. Another process may replace it meanwhile. */
static int push_file(lua_State *L, const char *path, char **data, uint64_t *length) {
  int status = -EAGAIN;
  for (int reads = 0; status == -EAGAIN && reads < READS_MAX; reads++) {
    status = shmx_file_measure(path, length);
    if (status != 0) return status;
    lua_settop(L, 2);
    *data = lua_newuserdatauv(L, *length, 0);
    status = shmx_file_read(path, *data, *length);
  }
  return status;
}

int ldict_restore(lua_State *L) {
  struct ldict *self = ldict_check(L);
  const char *path = larg_cstring(L, 2, "path");
  uint64_t length, count;
  bool forcible = false;
  char *data;
  int status = push_file(L, path, &data, &length);
  if (status != 0) return ldict_file_fail(L, path, status);
  status = ldict_look(self);
  if (status != 0) return ldict_fail(L, self, status);
  struct input input = {data, data, data + length, shmx_dict_limit(&self->dict)};
  int result = check_all(&input);
  if (result != WHOLE) return fail(L, self, path, &input, result);
  input.at = data;
  status = store_all(L, self, &input, &count, &forcible);
  if (status != 0) return ldict_fail(L, self, status);
  lua_pushinteger(L, (lua_Integer)count);
  lua_pushnil(L);
  lua_pushboolean(L, forcible);
  return 3;
}
