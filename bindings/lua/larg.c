/* larg.c: checks names, sizes, modes and options, and says what is wrong with them. Touches core.
 */
#include "lua/larg.h"

#include <lauxlib.h>
#include <string.h>

#define argerror(L, index, ...) luaL_argerror(L, index, lua_pushfstring(L, __VA_ARGS__))

const char *larg_cstring(lua_State *L, int index, const char *what) {
  size_t length;
  larg_refuse_colon(L);
  const char *text = luaL_checklstring(L, index, &length);
  if (strlen(text) != length) argerror(L, index, "%s with a NUL inside", what);
  return text;
}

static const char module; /* its address is the key in Lua's registry */

void larg_set_module(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module);
}

void larg_refuse_colon(lua_State *L) {
  lua_Debug debug;
  if (!lua_istable(L, 1)) return;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &module);
  bool colon = lua_rawequal(L, 1, -1);
  lua_pop(L, 1);
  if (!colon) return;
  bool named = lua_getstack(L, 0, &debug) && lua_getinfo(L, "n", &debug) && debug.name != NULL;
  const char *name = named ? debug.name : "create";
  luaL_error(L, "functions of the module are called with a dot: shm.%s(...), not shm:%s(...)", name,
             name);
}

/* ---- names ---- */

static shmx_name posix_name(lua_State *L, int index) {
  const char *name = larg_cstring(L, index, "name");
  const char *fault = shmx_posix_name_fault(name);
  if (fault != NULL) argerror(L, index, "name \"%s\" %s", name, fault);
  return shmx_posix(name);
}

/* A key_t has 32 bits; ipcs(1) prints it unsigned and C has it signed, so both are understood. */
static shmx_name key_name(lua_State *L, int index) {
  int whole;
  lua_Integer key = lua_tointegerx(L, index, &whole);
  if (!whole) argerror(L, index, "key %f is not a whole number", lua_tonumber(L, index));
  if (key < INT32_MIN || key > UINT32_MAX)
    argerror(L, index, "key %I does not fit the 32 bits of a key_t", (LUAI_UACINT)key);
  return shmx_key((int32_t)(uint32_t)key);
}

static shmx_name id_name(lua_State *L, int index) {
  int whole;
  larg_refuse_colon(L);
  lua_getfield(L, index, "id");
  lua_Integer id = lua_tointegerx(L, -1, &whole);
  if (!whole || id < 0 || id > INT32_MAX)
    argerror(L, index, "a name that is a table is {id=n} with a System V identifier");
  lua_pop(L, 1);
  return shmx_id((int)id);
}

shmx_name larg_name(lua_State *L, int index) {
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    return shmx_anonymous();
  case LUA_TNUMBER:
    return key_name(L, index);
  case LUA_TSTRING:
    return posix_name(L, index);
  case LUA_TTABLE:
    return id_name(L, index);
  default:
    luaL_typeerror(L, index, "name (a key, \"/name\", {id=n} or nil)");
    return shmx_anonymous(); /* not reached */
  }
}

shmx_name larg_sysv_name(lua_State *L, int index, const char *noun) {
  int type = lua_type(L, index);
  if (type == LUA_TNUMBER) return key_name(L, index);
  if (type != LUA_TTABLE)
    argerror(L, index, "%s have an integer key, shm.PRIVATE or {id=n} for a name, not a %s", noun,
             luaL_typename(L, index));
  return id_name(L, index);
}

/* ---- sizes ---- */

/* Digits, and at most one of K, M, G, T: 1024, 1024^2 ... bytes. */
static bool parse_size(const char *text, size_t *size) {
  size_t value = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    if (__builtin_mul_overflow(value, 10, &value)) return false;
    if (__builtin_add_overflow(value, (size_t)(*at - '0'), &value)) return false;
  }
  if (at == text) return false;
  const char *units = "KMGT";
  const char *unit = *at != '\0' ? strchr(units, *at) : NULL;
  if (unit != NULL) {
    at++;
    if (__builtin_mul_overflow(value, (size_t)1 << 10 * (unit - units + 1), &value)) return false;
  }
  *size = value;
  return *at == '\0' && value <= LUA_MAXINTEGER;
}

size_t larg_size(lua_State *L, int index) {
  size_t size = 0;
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *text = larg_cstring(L, index, "size");
    if (!parse_size(text, &size))
      argerror(L, index, "size \"%s\" is not bytes, or a number with K, M, G or T, below 2^63",
               text);
  } else {
    int whole;
    if (lua_type(L, index) != LUA_TNUMBER)
      luaL_typeerror(L, index, "size (bytes, or a string as \"64K\")");
    lua_Integer bytes = lua_tointegerx(L, index, &whole);
    if (!whole)
      argerror(L, index, "size %f is not a whole number of bytes", lua_tonumber(L, index));
    if (bytes < 0) argerror(L, index, "size %I is negative", (LUAI_UACINT)bytes);
    size = (size_t)bytes;
  }
  if (size == 0) argerror(L, index, "size 0: a segment has at least 1 byte");
  return size;
}

/* ---- options ---- */

/* Octal digits, "0640", or an integer; the value is at the top, the argument at `index`. */
static uint32_t check_mode(lua_State *L, int index) {
  lua_Integer mode = -1;
  if (lua_type(L, -1) == LUA_TSTRING) {
    const char *text = lua_tostring(L, -1);
    size_t digits = strspn(text, "01234567");
    if (digits > 0 && digits <= 4 && digits == lua_rawlen(L, -1)) {
      mode = 0;
      for (const char *at = text; *at != '\0'; at++)
        mode = mode * 8 + (*at - '0');
    }
  } else if (lua_isinteger(L, -1)) {
    mode = lua_tointeger(L, -1);
  }
  if (mode < 0 || mode > 0777)
    argerror(L, index, "mode %s is not permission bits in octal, such as \"0640\"",
             luaL_tolstring(L, -1, NULL));
  return (uint32_t)mode;
}

uint32_t larg_creation_mode(lua_State *L, int index) {
  uint32_t mode = check_mode(L, index);
  if (mode == 0) argerror(L, index, "mode 0 would keep everybody out, also its owner");
  return mode;
}

static const struct flag {
  const char *name;
  uint32_t flag;
  bool creating; /* shapes a new segment: of no use to attach */
} flags[] = {
    {"readonly", SHMX_READONLY, false}, {"round", SHMX_ROUND, false}, {"mlock", SHMX_MLOCK, false},
    {"populate", SHMX_POPULATE, false}, {"huge", SHMX_HUGE, true},    {"owned", SHMX_OWNED, true},
    {"reserve", SHMX_NORESERVE, true},
};

static const struct flag *find_flag(const char *name) {
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (strcmp(flags[i].name, name) == 0) return &flags[i];
  return NULL;
}

static void set_flag(lua_State *L, int index, const struct flag *flag, shmx_options *options) {
  if (!lua_isboolean(L, -1))
    argerror(L, index, "option %s is true or false, not a %s", flag->name, luaL_typename(L, -1));
  bool on = lua_toboolean(L, -1);
  if (flag->flag == SHMX_NORESERVE) on = !on;
  if (on) options->flags |= flag->flag;
}

/* The option's name is below its value at the top. */
static void set_option(lua_State *L, int index, bool creating, shmx_options *options) {
  if (lua_type(L, -2) != LUA_TSTRING) argerror(L, index, "options have names: {readonly = true}");
  const char *name = lua_tostring(L, -2);
  const struct flag *flag = find_flag(name);
  bool is_mode = strcmp(name, "mode") == 0;
  if ((is_mode || (flag != NULL && flag->creating)) && !creating)
    argerror(L, index, "option %s is for create and open, not for attach", name);
  if (is_mode) {
    options->mode = larg_creation_mode(L, index);
  } else if (strcmp(name, "address") == 0) {
    if (!lua_isinteger(L, -1)) argerror(L, index, "option address is an integer");
    options->address = (void *)lua_tointeger(L, -1); /* NOLINT: that is what an address is */
  } else if (flag != NULL) {
    set_flag(L, index, flag, options);
  } else {
    argerror(L, index, "unknown option '%s'; there are readonly, address, round, mlock, populate%s",
             name, creating ? ", mode, huge, reserve, owned" : "");
  }
}

shmx_options larg_options(lua_State *L, int index, bool creating) {
  shmx_options options = {0};
  if (lua_isnoneornil(L, index)) return options;
  if (!lua_istable(L, index)) luaL_typeerror(L, index, "table of options");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
    set_option(L, index, creating, &options);
  return options;
}

static int64_t check_owner(lua_State *L, int index, const char *name) {
  int whole;
  lua_Integer number = lua_tointegerx(L, -1, &whole);
  if (!whole || number < 0 || number >= UINT32_MAX)
    argerror(L, index, "%s is a number from 0 to 4294967294", name);
  return number;
}

bool larg_change_field(lua_State *L, int index, const char *name, shmx_change *change) {
  if (strcmp(name, "mode") == 0)
    change->mode = check_mode(L, index);
  else if (strcmp(name, "uid") == 0)
    change->uid = check_owner(L, index, name);
  else if (strcmp(name, "gid") == 0)
    change->gid = check_owner(L, index, name);
  else
    return false;
  return true;
}

shmx_change larg_change(lua_State *L, int index) {
  shmx_change change = {-1, -1, -1};
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (!larg_change_field(L, index, name, &change))
      argerror(L, index, "cannot set '%s'; there are mode, uid, gid", name);
  }
  return change;
}
