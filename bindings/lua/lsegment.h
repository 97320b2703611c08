/* lsegment.h: the userdata that Lua has for a segment. Touches core. */
#ifndef SHMX_LUA_LSEGMENT_H
#define SHMX_LUA_LSEGMENT_H

#include "shmx.h"

#include <lua.h>

/* Makes the metatable "shm.segment"; the module does it once. Pushes nothing. */
void lsegment_register(lua_State *L);

/* Pushes a closed handle that is ready to be opened: __gc knows it already. */
shmx_segment *lsegment_new(lua_State *L);

/* The segment at `index`, attached or not, or NULL where there is no segment. */
shmx_segment *lsegment_test(lua_State *L, int index);

/* The memory at `index` that a view is of: a segment's, an array's or record's of an arena, or a
 * window's. */
shmx_segment *lsegment_memory(lua_State *L, int index);

/* The receiver of a method; raises where it is no segment, or a detached one. */
shmx_segment *lsegment_check_attached(lua_State *L);

/* Pushes what a segment is called in messages, and returns it. */
const char *lsegment_push_name(lua_State *L, const shmx_segment *segment);

/* Bytes behind an offset: what a length is by default. None where the offset is not inside. */
lua_Integer lsegment_rest(const shmx_segment *segment, lua_Integer offset);

/* Pushes a table of a status, without what this process knows of its own mapping. */
void lsegment_push_stat(lua_State *L, const shmx_stat *stat);

/* Methods that the module offers as functions too. */
int lsegment_write(lua_State *L);
int lsegment_read(lua_State *L);
int lsegment_remove(lua_State *L);

/* Returns what a removal of this name does: true; or nil, a sentence and a code. */
int lsegment_removed(lua_State *L, int status, const shmx_name *name);

#endif
