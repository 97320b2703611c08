/* ldict_file.c: d:snapshot: all entries into a file. Touches core, msgpuck. */
#include "lua/ldict_file.h"
#include "lua/larg.h"
#include "lua/lerror.h"

int ldict_file_fail(lua_State *L, const char *path, int status) {
  const char *kind = shmx_file_kind(path);
  if ((status == -ENODEV || status == -EISDIR) && kind != NULL)
    lua_pushfstring(L, "snapshot \"%s\": there is %s, and no regular file; give another path", path,
                    kind);
  else
    lua_pushfstring(L, "snapshot \"%s\": %s", path, strerror(-status));
  return lerror_return_message(L, status);
}

static int fail_begin(lua_State *L, const char *path, const shmx_file *file, int status) {
  if (!file->in_the_way) return ldict_file_fail(L, path, status);
  const char *temporary = file->temporary;
  if (status == -EBUSY)
    lua_pushfstring(L, "snapshot \"%s\" is being written already, as \"%s\"; try again later", path,
                    temporary);
  else if (status == -ENODEV || status == -EISDIR)
    lua_pushfstring(L, "snapshot \"%s\": \"%s\" is in the way, and is no regular file; remove it",
                    path, temporary);
  else
    lua_pushfstring(L, "snapshot \"%s\": \"%s\" cannot be made: %s", path, temporary,
                    strerror(-status));
  return lerror_return_message(L, status);
}

static int fail_end(lua_State *L, const char *path, int status) {
  if (status != -EFBIG) return ldict_file_fail(L, path, status);
  lua_pushfstring(L, "snapshot \"%s\" is larger than a file may be (ulimit -f, or its file system)",
                  path);
  return lerror_return_message(L, status);
}

/* ---- values ---- */

struct writing {
  struct ldict *self;
  shmx_file file;
  uint64_t hash; /* of all bytes */
  struct ldict_scan scan;
  uint64_t count; /* entries */
  int status;     /* of the dict */
};

static void put(struct writing *writing, const void *data, size_t length) {
  if (length != 0) writing->hash = shmx_hash(writing->hash, data, length);
  shmx_file_write(&writing->file, data, length);
}

/* What was encoded from `head` up to `end`. */
static void put_encoded(struct writing *writing, const char *head, const char *end) {
  put(writing, head, (size_t)(end - head));
}

static void put_array(struct writing *writing, uint32_t count) {
  char head[8];
  const char *end = mp_encode_array(head, count);
  put_encoded(writing, head, end);
}

static void put_unsigned(struct writing *writing, uint64_t number) {
  char head[16];
  const char *end = mp_encode_uint(head, number);
  put_encoded(writing, head, end);
}

static void put_bytes(struct writing *writing, const void *data, uint32_t length) {
  char head[8];
  const char *end = mp_encode_binl(head, length);
  put_encoded(writing, head, end);
  put(writing, data, length);
}

static void put_key(struct writing *writing, const shmx_dict_key *key) {
  int64_t integer;
  char head[16];
  if (!key->is_integer || key->length != sizeof integer) {
    put_bytes(writing, key->data, key->length);
    return;
  }
  memcpy(&integer, key->data, sizeof integer);
  const char *end =
      integer < 0 ? mp_encode_int(head, integer) : mp_encode_uint(head, (uint64_t)integer);
  put_encoded(writing, head, end);
}

static void put_head(struct writing *writing, const shmx_dict_key *key, const shmx_dict_item *item,
                     int64_t ttl) {
  put_array(writing, LDICT_FILE_FIELDS);
  put_key(writing, key);
  put_unsigned(writing, item->tag);
  put_unsigned(writing, item->flags);
  put_unsigned(writing, (uint64_t)ttl);
  writing->count++;
}

/* ---- entries ---- */

static uint32_t count_elements(const void *data, size_t length) {
  shmx_dict_key none;
  shmx_dict_item item;
  uint32_t count = 0;
  for (size_t at = 0; shmx_dict_next(data, length, &at, &none, &item);)
    count++;
  return count;
}

/* A list is read anew, with all its elements; it may have gone. */
static int put_list(lua_State *L, struct writing *writing, const shmx_dict_key *key,
                    const shmx_dict_item *list, int64_t ttl) {
  struct lbuffer buffer;
  shmx_dict_key none;
  shmx_dict_item item, head = {.flags = list->flags};
  size_t length, at = 0;
  int top = lua_gettop(L);
  lbuffer_start(&buffer);
  int status = ldict_elements(L, writing->self, key, 1, -1, &buffer, &length);
  if (status == 0) status = ldict_scan_meet(writing->self, &writing->scan, length);
  if (status == 0) {
    put_head(writing, key, &head, ttl);
    put_array(writing, count_elements(buffer.data, length));
    while (shmx_dict_next(buffer.data, length, &at, &none, &item)) {
      put_array(writing, 2);
      put_unsigned(writing, item.tag);
      put_bytes(writing, item.data, item.length);
    }
  }
  lua_settop(L, top);
  return status == -ENOENT || status == -EPROTOTYPE ? 0 : status;
}

static int put_entry(lua_State *L, struct writing *writing, const shmx_dict_key *key,
                     const shmx_dict_item *item) {
  int64_t now = shmx_boottime(), ttl = 0;
  if (item->expiry != 0 && item->expiry <= now) return 0;
  if (item->expiry != 0) ttl = item->expiry - now;
  if (item->count != 0) return put_list(L, writing, key, item, ttl);
  put_head(writing, key, item, ttl);
  put_bytes(writing, item->data, item->length);
  return 0;
}

static int put_entries(lua_State *L, struct writing *writing) {
  struct ldict_scan *scan = &writing->scan;
  shmx_dict_key key;
  shmx_dict_item item;
  ldict_scan_start(L, scan, 0);
  do {
    int status = ldict_scan_fill(L, writing->self, scan, false, 0);
    while (status == 0 && writing->file.status == 0 && ldict_scan_next(scan, &key, &item))
      status = put_entry(L, writing, &key, &item);
    if (status != 0) return status;
  } while (scan->walk.cursor != 0 && writing->file.status == 0);
  return 0;
}

/* In a protected call: the file is closed and removed, whatever is raised. */
static int write_all(lua_State *L) {
  struct writing *writing = lua_touserdata(L, 1);
  char head[16];
  put_array(writing, 2);
  const char *end = mp_encode_str(head, LDICT_FILE_NAME, sizeof LDICT_FILE_NAME - 1);
  put_encoded(writing, head, end);
  put_unsigned(writing, LDICT_FILE_VERSION);
  writing->status = put_entries(L, writing);
  uint64_t hash = writing->hash;
  put_array(writing, 2);
  put_unsigned(writing, writing->count);
  put_unsigned(writing, hash);
  return 0;
}

int ldict_snapshot(lua_State *L) {
  struct writing writing;
  writing.self = ldict_check(L);
  writing.hash = SHMX_HASH_START;
  writing.count = 0;
  const char *path = larg_cstring(L, 2, "path");
  lua_settop(L, 2);
  int status = shmx_file_begin(&writing.file, path);
  if (status != 0) return fail_begin(L, path, &writing.file, status);
  lua_pushcfunction(L, write_all);
  lua_pushlightuserdata(L, &writing);
  bool raised = lua_pcall(L, 1, 0, 0) != LUA_OK;
  status = shmx_file_end(&writing.file, !raised && writing.status == 0);
  if (raised) return lua_error(L);
  if (writing.status != 0) return ldict_fail(L, writing.self, writing.status);
  if (status != 0) return fail_end(L, path, status);
  lua_pushinteger(L, (lua_Integer)writing.count);
  return 1;
}
