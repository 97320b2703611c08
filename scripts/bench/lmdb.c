/*
 * lmdb.c: LMDB as a table for dict_peers.lua, one transaction each operation, without syncing to
 * the disk. Touches liblmdb, libc and Lua.
 */
#include "table.h"

#include <lmdb.h>
#include <unistd.h>

struct lmdb {
  struct table base;
  MDB_env *env;
  MDB_dbi dbi;
  pid_t pid; /* whose env it is: a forked child opens its own */
  char path[256];
};

static MDB_txn *begin(struct lmdb *self, unsigned flags) {
  MDB_txn *txn;
  if (self->pid != getpid()) {
    MDB_txn *first;
    self->pid = getpid();
    believe(mdb_env_create(&self->env) == 0);
    believe(mdb_env_set_mapsize(self->env, (size_t)1 << 28) == 0);
    unsigned how = MDB_NOSYNC | MDB_NOMETASYNC | MDB_WRITEMAP;
    believe(mdb_env_open(self->env, self->path, how, 0600) == 0);
    believe(mdb_txn_begin(self->env, NULL, MDB_RDONLY, &first) == 0);
    believe(mdb_dbi_open(first, NULL, 0, &self->dbi) == 0);
    believe(mdb_txn_commit(first) == 0);
  }
  believe(mdb_txn_begin(self->env, NULL, flags, &txn) == 0);
  return txn;
}

static void lmdb_get(struct lmdb *self, const char *data, char *value) {
  MDB_txn *txn = begin(self, MDB_RDONLY);
  MDB_val key = {self->base.key_length, (void *)(uintptr_t)data}, found;
  believe(mdb_get(txn, self->dbi, &key, &found) == 0 && found.mv_size == VALUE);
  memcpy(value, found.mv_data, VALUE);
  mdb_txn_abort(txn);
}

static void put(struct lmdb *self, MDB_txn *txn, const char *data, const char *value) {
  MDB_val key = {self->base.key_length, (void *)(uintptr_t)data};
  MDB_val new = {self->base.value_length, (void *)(uintptr_t)value};
  believe(mdb_put(txn, self->dbi, &key, &new, 0) == 0);
}

static void lmdb_set(struct lmdb *self, const char *key, const char *value) {
  MDB_txn *txn = begin(self, 0);
  put(self, txn, key, value);
  believe(mdb_txn_commit(txn) == 0);
}

TABLE_LOOPS(lmdb, struct lmdb)

static const luaL_Reg methods[] = {{"gets", lmdb_gets}, {"sets", lmdb_sets}, {NULL, NULL}};

/* lmdb(count, an empty folder) --> a table that has all keys. The folder is the caller's. */
static int new_lmdb(lua_State *L) {
  const char *path = luaL_checkstring(L, 2);
  struct lmdb *self = push_table(L, sizeof *self, methods);
  snprintf(self->path, sizeof self->path, "%s", path);
  MDB_txn *txn = begin(self, 0);
  for (size_t i = 0; i < self->base.count; i++)
    put(self, txn, self->base.keys[i], self->base.values[i % VALUES]);
  believe(mdb_txn_commit(txn) == 0);
  mdb_env_close(self->env);
  self->pid = 0;
  return 1;
}

__attribute__((visibility("default"))) int luaopen_lmdb(lua_State *L) {
  lua_pushcfunction(L, new_lmdb);
  return 1;
}
