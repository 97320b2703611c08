/* lwindow.c: windows as userdata, which scripts do not see. Touches core. */
#include "lua/lwindow.h"

#include <string.h>

#define TYPE_NAME "shm.window"

struct lwindow {
  const void *tag;
  shmx_segment memory;
};

static const char tag;

void lwindow_register(lua_State *L) {
  luaL_newmetatable(L, TYPE_NAME);
  lua_pop(L, 1);
}

void lwindow_push(lua_State *L) {
  struct lwindow *self = lua_newuserdatauv(L, sizeof *self, 1);
  memset(self, 0, sizeof *self);
  self->tag = &tag;
  luaL_setmetatable(L, TYPE_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
}

/* What lives is the object's; what is in it may not be made larger than the window. */
struct lwindow *lwindow_open(lua_State *L, int index, const struct lobject *object, void *data,
                             uint64_t length) {
  struct lwindow *self = lua_touserdata(L, index);
  self->memory = object->object.memory;
  self->memory.object.data = data;
  self->memory.object.size = length;
  return self;
}

void lwindow_close(struct lwindow *self) {
  if (self == NULL) return;
  self->memory.object.data = NULL;
  self->memory.object.size = 0;
}

bool lwindow_is_closed(const shmx_segment *memory) {
  const struct shmx_arena_object *part = memory->part;
  return part != NULL && memory != &part->memory && memory->object.data == NULL &&
         part->memory.object.data != NULL;
}

shmx_segment *lwindow_test(lua_State *L, int index) {
  struct lwindow *self = lua_touserdata(L, index);
  bool ours = self != NULL && lua_rawlen(L, index) == sizeof *self && self->tag == &tag;
  return ours ? &self->memory : NULL;
}
