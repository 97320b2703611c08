/* latomic.c: v:load, v:store, v:fetch_add ..., v:wait and v:notify. Touches core. */
#include "lua/latomic.h"
#include "lua/lelement.h"
#include "lua/lview.h"
#include "lua/lwait.h"

#include <limits.h>

/* ---- arguments ---- */

/* The element by its index at argument 2: an integer, naturally aligned. */
static unsigned char *check_element(lua_State *L, const struct lview *self, bool writing) {
  if (shmx_type_is_float(self->type))
    luaL_error(L, "%s elements have no atomic operations; integers have",
               shmx_type_name(self->type));
  unsigned char *element = lview_element(L, self, 2, writing);
  if (((uintptr_t)element & (shmx_type_size(self->type) - 1)) != 0)
    luaL_error(L, "%s at offset %I is not aligned, as atomic operations need it",
               shmx_type_name(self->type), (LUAI_UACINT)self->view.offset);
  return element;
}

static int64_t check_value(lua_State *L, int index, const struct lview *self) {
  shmx_number number = lelement_check(L, index, self->type);
  return number.is_float ? (int64_t)number.number : number.integer;
}

static const char *const order_names[] = {
    [SHMX_RELAXED] = "relaxed", [SHMX_ACQUIRE] = "acquire", [SHMX_RELEASE] = "release",
    [SHMX_ACQ_REL] = "acq_rel", [SHMX_SEQ_CST] = "seq_cst", [SHMX_SEQ_CST + 1] = NULL,
};

/* `meaningless` are orders that this operation cannot have. */
static shmx_order check_order(lua_State *L, int index, unsigned meaningless) {
  if (lua_isnoneornil(L, index)) return SHMX_SEQ_CST;
  int order = luaL_checkoption(L, index, NULL, order_names);
  luaL_argcheck(L, !(meaningless & 1U << order), index, "this operation cannot have that order");
  return (shmx_order)order;
}

enum {
  NOT_OF_LOADS = 1 << SHMX_RELEASE | 1 << SHMX_ACQ_REL,
  NOT_OF_STORES = 1 << SHMX_ACQUIRE | 1 << SHMX_ACQ_REL
};

/* ---- operations ---- */

static int view_load(lua_State *L) {
  const struct lview *self = lview_check(L);
  shmx_order order = check_order(L, 3, NOT_OF_LOADS);
  lua_pushinteger(L, shmx_atomic_load(self->type, check_element(L, self, false), order));
  lview_check_lost(L, self);
  return 1;
}

static int view_store(lua_State *L) {
  const struct lview *self = lview_check(L);
  shmx_order order = check_order(L, 4, NOT_OF_STORES);
  int64_t value = check_value(L, 3, self);
  shmx_atomic_store(self->type, check_element(L, self, true), value, order);
  lview_check_lost(L, self);
  lua_settop(L, 1);
  return 1;
}

static int read_modify_write(lua_State *L, shmx_rmw operation) {
  const struct lview *self = lview_check(L);
  shmx_order order = check_order(L, 4, 0);
  int64_t value = check_value(L, 3, self);
  unsigned char *element = check_element(L, self, true);
  lua_pushinteger(L, shmx_atomic_rmw(self->type, element, operation, value, order));
  lview_check_lost(L, self);
  return 1;
}

static int view_exchange(lua_State *L) {
  return read_modify_write(L, SHMX_EXCHANGE);
}

static int view_fetch_add(lua_State *L) {
  return read_modify_write(L, SHMX_FETCH_ADD);
}

static int view_fetch_sub(lua_State *L) {
  return read_modify_write(L, SHMX_FETCH_SUB);
}

static int view_fetch_and(lua_State *L) {
  return read_modify_write(L, SHMX_FETCH_AND);
}

static int view_fetch_or(lua_State *L) {
  return read_modify_write(L, SHMX_FETCH_OR);
}

static int view_fetch_xor(lua_State *L) {
  return read_modify_write(L, SHMX_FETCH_XOR);
}

/* true, or false and what was found. */
static int view_compare_exchange(lua_State *L) {
  const struct lview *self = lview_check(L);
  shmx_order order = check_order(L, 5, 0);
  int64_t expected = check_value(L, 3, self), desired = check_value(L, 4, self);
  unsigned char *element = check_element(L, self, true);
  bool done = shmx_atomic_compare_exchange(self->type, element, &expected, desired, order);
  lview_check_lost(L, self);
  lua_pushboolean(L, done);
  if (done) return 1;
  lua_pushinteger(L, expected);
  return 2;
}

/* ---- waiting ---- */

static void check_waitable(lua_State *L, const struct lview *self) {
  if (self->type != SHMX_I32 && self->type != SHMX_U32)
    luaL_error(L, "wait and notify need i32 or u32 elements, as futex(2) does, not %s",
               shmx_type_name(self->type));
}

static int wait_slice(lua_State *L, const struct lview *self, uint32_t expected, int64_t deadline) {
  int64_t slice = shmx_clock_now() + LWAIT_SLICE;
  return shmx_atomic_wait(check_element(L, self, false), expected,
                          slice < deadline ? slice : deadline);
}

/*
 * Sleeps as JavaScript's Atomics.wait does. After a signal the script's hook has run, which may
 * have detached the segment: the element is looked up anew.
 */
static int view_wait(lua_State *L) {
  const struct lview *self = lview_check(L);
  check_waitable(L, self);
  uint32_t expected = (uint32_t)check_value(L, 3, self);
  int64_t deadline = lwait_check_deadline(L, 4);
  int status = wait_slice(L, self, expected, deadline);
  while (status == -EINTR || (status == -ETIMEDOUT && shmx_clock_now() < deadline)) {
    lwait_run_hook(L);
    status = wait_slice(L, self, expected, deadline);
    if (status == -EAGAIN) status = 0; /* it was equal, and has changed while we slept */
  }
  lview_check_lost(L, self);
  if (status != 0 && status != -EAGAIN && status != -ETIMEDOUT) lview_raise(L, &self->view, status);
  lua_pushstring(L, status == 0 ? "ok" : status == -EAGAIN ? "not-equal" : "timed-out");
  return 1;
}

static int view_notify(lua_State *L) {
  const struct lview *self = lview_check(L);
  check_waitable(L, self);
  lua_Integer count = luaL_optinteger(L, 3, INT_MAX);
  luaL_argcheck(L, count >= 0, 3, "a count is not negative");
  int woken = 0;
  int most = count < INT_MAX ? (int)count : INT_MAX;
  int status = shmx_atomic_notify(check_element(L, self, false), most, &woken);
  if (status != 0) lview_raise(L, &self->view, status);
  lua_pushinteger(L, woken);
  return 1;
}

const luaL_Reg latomic_methods[] = {
    {"load", view_load},           {"store", view_store},
    {"exchange", view_exchange},   {"compare_exchange", view_compare_exchange},
    {"fetch_add", view_fetch_add}, {"fetch_sub", view_fetch_sub},
    {"fetch_and", view_fetch_and}, {"fetch_or", view_fetch_or},
    {"fetch_xor", view_fetch_xor}, {"wait", view_wait},
    {"notify", view_notify},       {NULL, NULL},
};
