/*
 * ldict_file.c: d:snapshot: all entries into a file that has another name until it is whole.
 * Touches core, msgpuck, libc.
 */
#include "lua/ldict_file.h"
#include "lua/larg.h"
#include "lua/lerror.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int ldict_file_fail(lua_State *L, const char *path, int error) {
  lua_pushfstring(L, "snapshot \"%s\": %s", path, strerror(error));
  return lerror_return_message(L, -error);
}

/* ---- writing ---- */

struct output {
  struct ldict *self;
  FILE *file;
  uint64_t count, hash;
  int error;  /* of the file; or 0 */
  int status; /* of the dict */
};

static void put(struct output *output, const void *data, size_t length) {
  if (output->error != 0 || length == 0) return;
  output->hash = shmx_hash(output->hash, data, length);
  if (fwrite(data, 1, length, output->file) != length) output->error = errno;
}

/* What was encoded from `head` up to `end`. */
static void put_encoded(struct output *output, const char *head, const char *end) {
  put(output, head, (size_t)(end - head));
}

static void put_array(struct output *output, uint32_t count) {
  char head[8];
  const char *end = mp_encode_array(head, count);
  put_encoded(output, head, end);
}

static void put_unsigned(struct output *output, uint64_t number) {
  char head[16];
  const char *end = mp_encode_uint(head, number);
  put_encoded(output, head, end);
}

static void put_bytes(struct output *output, const void *data, uint32_t length) {
  char head[8];
  const char *end = mp_encode_binl(head, length);
  put_encoded(output, head, end);
  put(output, data, length);
}

static void put_key(struct output *output, const shmx_dict_key *key) {
  int64_t integer;
  char head[16];
  if (!key->is_integer || key->length != sizeof integer) {
    put_bytes(output, key->data, key->length);
    return;
  }
  memcpy(&integer, key->data, sizeof integer);
  const char *end =
      integer < 0 ? mp_encode_int(head, integer) : mp_encode_uint(head, (uint64_t)integer);
  put_encoded(output, head, end);
}

static void put_head(struct output *output, const shmx_dict_key *key, const shmx_dict_item *item,
                     int64_t ttl) {
  put_array(output, LDICT_FILE_FIELDS);
  put_key(output, key);
  put_unsigned(output, item->tag);
  put_unsigned(output, item->flags);
  put_unsigned(output, (uint64_t)ttl);
  output->count++;
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
static int put_list(lua_State *L, struct output *output, struct ldict_scan *scan,
                    const shmx_dict_key *key, const shmx_dict_item *list, int64_t ttl) {
  struct lbuffer buffer;
  shmx_dict_key none;
  shmx_dict_item item, head = {.flags = list->flags};
  size_t length, at = 0;
  int top = lua_gettop(L);
  lbuffer_start(&buffer);
  int status = ldict_elements(L, output->self, key, 1, -1, &buffer, &length);
  if (status == 0) status = ldict_scan_meet(output->self, scan, length);
  if (status == 0) {
    put_head(output, key, &head, ttl);
    put_array(output, count_elements(buffer.data, length));
    while (shmx_dict_next(buffer.data, length, &at, &none, &item)) {
      put_array(output, 2);
      put_unsigned(output, item.tag);
      put_bytes(output, item.data, item.length);
    }
  }
  lua_settop(L, top);
  return status == -ENOENT || status == -EPROTOTYPE ? 0 : status;
}

static int put_entry(lua_State *L, struct output *output, struct ldict_scan *scan,
                     const shmx_dict_key *key, const shmx_dict_item *item) {
  int64_t now = shmx_boottime(), ttl = 0;
  if (item->expiry != 0 && item->expiry <= now) return 0;
  if (item->expiry != 0) ttl = item->expiry - now;
  if (item->count != 0) return put_list(L, output, scan, key, item, ttl);
  put_head(output, key, item, ttl);
  put_bytes(output, item->data, item->length);
  return 0;
}

static int put_entries(lua_State *L, struct output *output) {
  struct ldict_scan scan;
  shmx_dict_key key;
  shmx_dict_item item;
  ldict_scan_start(L, &scan, 0);
  do {
    int status = ldict_scan_fill(L, output->self, &scan, false, 0);
    while (status == 0 && output->error == 0 && ldict_scan_next(&scan, &key, &item))
      status = put_entry(L, output, &scan, &key, &item);
    if (status != 0) return status;
  } while (scan.walk.cursor != 0 && output->error == 0);
  return 0;
}

/* In a protected call: the file is closed and removed, whatever is raised. */
static int write_all(lua_State *L) {
  struct output *output = lua_touserdata(L, 1);
  char head[16];
  put_array(output, 2);
  const char *end = mp_encode_str(head, LDICT_FILE_NAME, sizeof LDICT_FILE_NAME - 1);
  put_encoded(output, head, end);
  put_unsigned(output, LDICT_FILE_VERSION);
  output->status = put_entries(L, output);
  uint64_t hash = output->hash;
  put_array(output, 2);
  put_unsigned(output, output->count);
  put_unsigned(output, hash);
  return 0;
}

/* ---- the file ---- */

/* Writes what is still in memory; closes the file in any case. */
static void finish(struct output *output) {
  if (output->error == 0 && (fflush(output->file) != 0 || fsync(fileno(output->file)) != 0))
    output->error = errno;
  if (fclose(output->file) != 0 && output->error == 0) output->error = errno;
}

/* The name that the file has meanwhile; the random letters are mkstemp's. */
static char *push_temporary(lua_State *L, const char *path) {
  size_t length = strlen(path);
  char *name = lua_newuserdatauv(L, length + sizeof ".XXXXXX", 0);
  memcpy(name, path, length);
  memcpy(name + length, ".XXXXXX", sizeof ".XXXXXX");
  return name;
}

static FILE *create(char *temporary) {
  int fd = mkstemp(temporary);
  FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
  if (file == NULL && fd >= 0) {
    close(fd);
    unlink(temporary);
  }
  return file;
}

int ldict_snapshot(lua_State *L) {
  struct output output = {.self = ldict_check(L), .hash = SHMX_HASH_START};
  const char *path = larg_cstring(L, 2, "path");
  lua_settop(L, 2);
  char *temporary = push_temporary(L, path);
  output.file = create(temporary);
  if (output.file == NULL) return ldict_file_fail(L, path, errno);
  lua_pushcfunction(L, write_all);
  lua_pushlightuserdata(L, &output);
  bool raised = lua_pcall(L, 1, 0, 0) != LUA_OK;
  finish(&output);
  bool whole = !raised && output.status == 0 && output.error == 0;
  if (whole && rename(temporary, path) != 0) output.error = errno;
  if (!whole || output.error != 0) unlink(temporary);
  if (raised) return lua_error(L);
  if (output.status != 0) return ldict_fail(L, output.self, output.status);
  if (output.error != 0) return ldict_file_fail(L, path, output.error);
  lua_pushinteger(L, (lua_Integer)output.count);
  return 1;
}
