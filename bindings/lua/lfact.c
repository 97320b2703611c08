/* lfact.c: facts of the core as sentences: the thing, the fact with its numbers, the way out.
 * Touches core. */
#include "lua/lfact.h"
#include "lua/larena.h"
#include "lua/larg.h"
#include "lua/lerror.h"

#include <string.h>

#define integer(value)                                                                             \
  ((LUAI_UACINT)((value) > LUA_MAXINTEGER ? LUA_MAXINTEGER : (lua_Integer)(value)))

/* ---- segments, arenas, semaphores ---- */

/* What is said behind 'semaphores 0x0000000d' or 'arena "/x"'. */
static const char *push_size(lua_State *L, const shmx_facts *facts, const char *thing) {
  if (strncmp(thing, "semaphores", 10) == 0)
    return lua_pushfstring(
        L, "%s are %I, %I were asked for; leave the number out to take them as they are", thing,
        integer(facts->found), integer(facts->wanted));
  bool arena = strncmp(thing, "segment", 7) != 0;
  return lua_pushfstring(L, "%s has %I bytes, %I were asked for; %s", thing, integer(facts->found),
                         integer(facts->wanted),
                         arena ? "leave the size out to take it as it is"
                               : "attach takes it as it is");
}

/* How the tool is told to remove what is called so: 'arena "/x"' is /x. */
static const char *push_tool_name(lua_State *L, const char *thing) {
  const char *quote = strchr(thing, '"'), *hex = strstr(thing, "0x"), *id = strstr(thing, "id ");
  if (quote != NULL) return lua_pushlstring(L, quote + 1, strlen(quote) - 2);
  if (hex != NULL) return hex;
  return id != NULL ? lua_pushfstring(L, "id=%s", id + 3) : thing;
}

static const char *push_format(lua_State *L, const shmx_facts *facts, const char *thing) {
  if (facts->found == 0)
    return lua_pushfstring(L,
                           "%s is half made: its creator is at it, or has died; open it with "
                           "shm.arena to complete it",
                           thing);
  const char *version = facts->found == 1              ? " (shm 0.1)"
                        : facts->found > facts->wanted ? " (a later shm)"
                                                       : "";
  return lua_pushfstring(
      L, "%s has format %I%s, this is format %I; stop its processes, then shm rm %s", thing,
      integer(facts->found), version, integer(facts->wanted), push_tool_name(L, thing));
}

static const char *push_shmall(lua_State *L, const shmx_facts *facts, const char *thing) {
  return lua_pushfstring(
      L,
      "%s needs %I pages, and %I of the %I pages of System V memory (SHMALL) are "
      "used; remove segments, or raise /proc/sys/kernel/shmall",
      thing, integer(facts->wanted), integer(facts->found), integer(facts->limit));
}

/* The sentence about a folder that is of no use: what it is, and what would be. */
#define FOLDER(fact)                                                                               \
  "%s cannot be there: " fact "; mount a tmpfs on /dev/shm (docker: --tmpfs /dev/shm or --ipc), "  \
  "or use a System V key, or nil "                                                                 \
  "for anonymous memory"

static const char *push_folder(lua_State *L, const shmx_facts *facts, const char *thing) {
  switch (facts->fact) {
  case SHMX_FACT_NO_DIRECTORY:
    return lua_pushfstring(L, FOLDER("this system has no /dev/shm"), thing);
  case SHMX_FACT_DANGLING_DIRECTORY:
    return lua_pushfstring(L, FOLDER("/dev/shm is a link that leads nowhere"), thing);
  case SHMX_FACT_NOT_DIRECTORY:
    return lua_pushfstring(L, FOLDER("/dev/shm is no folder"), thing);
  case SHMX_FACT_UNFIT_DIRECTORY:
    return lua_pushfstring(
        L, FOLDER("the file system of /dev/shm has no unnamed files (O_TMPFILE)"), thing);
  case SHMX_FACT_READONLY_DIRECTORY:
    return lua_pushfstring(
        L,
        "%s cannot be made, changed or removed: /dev/shm is mounted read-only; "
        "mount it anew (mount -o remount,rw /dev/shm; docker: --tmpfs /dev/shm), "
        "or use a System V key, or nil for anonymous memory",
        thing);
  case SHMX_FACT_CLOSED_DIRECTORY:
    return lua_pushfstring(
        L,
        "%s is not for this user: the mode of /dev/shm keeps him out; chmod 1777 "
        "/dev/shm, or use a System V key, or nil for anonymous memory",
        thing);
  case SHMX_FACT_NO_PROC:
    return lua_pushfstring(L, "%s cannot get its name: this kernel needs /proc for it; mount /proc",
                           thing);
  case SHMX_FACT_BYTES:
    return lua_pushfstring(
        L,
        "%s has no room: it needs %I bytes, and the space in /dev/shm is used up "
        "but for %I; remove what is not needed, or mount /dev/shm larger (docker: "
        "--shm-size)",
        thing, integer(facts->wanted), integer(facts->found));
  case SHMX_FACT_INODES:
    return lua_pushfstring(L,
                           "%s has no room: all %I inodes of /dev/shm are used; remove objects, or "
                           "mount /dev/shm with a larger nr_inodes",
                           thing, integer(facts->found));
  default:
    return NULL;
  }
}

static const char *push_sentence(lua_State *L, const shmx_facts *facts, const char *thing) {
  switch (facts->fact) {
  case SHMX_FACT_SIZE:
    return push_size(L, facts, thing);
  case SHMX_FACT_NO_ARENA: /* 'arena "/x"' was asked for */
    return lua_pushfstring(
        L, "segment%s of %I bytes is no arena; choose another name, or remove it first",
        thing + strlen("arena"), integer(facts->found));
  case SHMX_FACT_RESIZED:
    return lua_pushfstring(L,
                           "%s was made with %I bytes and has %I: another program has changed its "
                           "size; remove it and make it anew",
                           thing, integer(facts->wanted), integer(facts->found));
  case SHMX_FACT_FORMAT:
    return push_format(L, facts, thing);
  case SHMX_FACT_HANDLES:
    return lua_pushfstring(
        L,
        "%s is open as often as it has places for, %I times; close it elsewhere, "
        "or make a larger one, which has up to %d places",
        thing, integer(facts->found), SHMX_ARENA_HANDLES_MAX);
  case SHMX_FACT_SHMMNI:
    return lua_pushfstring(L,
                           "%s has no place: the machine has all %I of its System V segments "
                           "(SHMMNI); remove some, or raise /proc/sys/kernel/shmmni",
                           thing, integer(facts->found));
  case SHMX_FACT_SHMALL:
    return push_shmall(L, facts, thing);
  case SHMX_FACT_SEMMNI:
    return lua_pushfstring(L,
                           "%s have no place: the machine has all %I of its sets of System V "
                           "semaphores (SEMMNI); remove some, or raise the fourth number of "
                           "/proc/sys/kernel/sem",
                           thing, integer(facts->found));
  case SHMX_FACT_SEMMNS:
    return lua_pushfstring(
        L,
        "%s have no place: of the %I System V semaphores of the machine (SEMMNS) "
        "%I are used; remove some, or raise the second number of "
        "/proc/sys/kernel/sem",
        thing, integer(facts->limit), integer(facts->found));
  case SHMX_FACT_SEMOPM:
    return lua_pushfstring(L,
                           "%s: one operation takes at most %I steps, not %I (SEMOPM, the third "
                           "number of /proc/sys/kernel/sem)",
                           thing, integer(facts->found), integer(facts->wanted));
  default:
    return push_folder(L, facts, thing);
  }
}

int lfact_return(lua_State *L, int status, const shmx_facts *facts, const char *thing) {
  bool told = facts->status == status && push_sentence(L, facts, thing) != NULL;
  return told ? lerror_return_message(L, status) : lerror_return(L, status, thing);
}

int lfact_return_memory(lua_State *L, int status, const shmx_facts *facts, const char *thing,
                        uint64_t bytes) {
  return status == -ENOMEM ? lerror_return_memory(L, status, thing, bytes)
                           : lfact_return(L, status, facts, thing);
}

/* ---- objects of an arena ---- */

/* What the user calls a kind: "an array", "a mutex". */
static const char *push_kind(lua_State *L, uint32_t kind) {
  const char *name = shmx_kind_name(kind);
  if (name == NULL) return lua_pushfstring(L, "an object of an unknown kind (%d)", (int)kind);
  bool vowel = kind == SHMX_KIND_ARRAY || kind == SHMX_KIND_RWLOCK;
  return lua_pushfstring(L, "%s %s", vowel ? "an" : "a", name);
}

/* What a kind counts: 'channel "c" has 4096 bytes'. NULL: it is one of its kind. */
static const char *unit_of(uint32_t kind) {
  switch (kind) {
  case SHMX_KIND_SEMAPHORE:
    return "permits";
  case SHMX_KIND_BARRIER:
    return "parties";
  case SHMX_KIND_SERVICE:
    return "bytes for a message";
  case SHMX_KIND_CHANNEL:
  case SHMX_KIND_TOPIC:
  case SHMX_KIND_DICT:
    return "bytes";
  case SHMX_KIND_RECORD:
    return "records";
  default:
    return NULL;
  }
}

/* The size as it was given: a ring's is rounded up. */
static uint64_t asked(lua_State *L, const shmx_kind *kind) {
  bool sized =
      kind->id == SHMX_KIND_CHANNEL || kind->id == SHMX_KIND_TOPIC || kind->id == SHMX_KIND_SERVICE;
  return sized && !lua_isnoneornil(L, 3) ? larg_size(L, 3) : kind->count;
}

static const char *push_array(lua_State *L, const shmx_facts *facts, const char *name,
                              const shmx_kind *kind) {
  shmx_type found = shmx_array_type(facts->layout, facts->found);
  shmx_type wanted = shmx_array_type(kind->layout, kind->count);
  return lua_pushfstring(L, "array \"%s\" has %I elements of %s, %I of %s were asked for", name,
                         integer(facts->found),
                         found != SHMX_TYPES ? shmx_type_name(found) : "an unknown type",
                         integer(kind->count), shmx_type_name(wanted));
}

/* The layout of a record is a hash: where counts are equal, something in it is another. */
static const char *push_other(lua_State *L, const shmx_facts *facts, const char *name,
                              const shmx_kind *kind) {
  if (facts->kind != kind->id) {
    const char *found = push_kind(L, facts->kind);
    return lua_pushfstring(L, "\"%s\" is %s, not %s", name, found, push_kind(L, kind->id));
  }
  if (kind->id == SHMX_KIND_ARRAY) return push_array(L, facts, name, kind);
  const char *unit = unit_of(kind->id), *noun = shmx_kind_name(kind->id);
  if (unit != NULL && facts->found != kind->count)
    return lua_pushfstring(L, "%s \"%s\" has %I %s, %I were asked for", noun, name,
                           integer(facts->found), unit, integer(asked(L, kind)));
  if (kind->id == SHMX_KIND_RECORD)
    return lua_pushfstring(L,
                           "record \"%s\" has another layout: names, types, counts and order of "
                           "the fields must be the same; define it as it was made",
                           name);
  return lua_pushfstring(
      L, "%s \"%s\" was made by another version of this library; remove it first", noun, name);
}

static const char *push_extent(lua_State *L, const shmx_facts *facts, const char *name,
                               const shmx_kind *kind) {
  const char *noun = shmx_kind_name(kind->id);
  if (facts->wanted > LUA_MAXINTEGER)
    return lua_pushfstring(L,
                           "%s \"%s\" needs more bytes than there are addresses; the largest free "
                           "extent of the arena is %I",
                           noun, name, integer(facts->found));
  return lua_pushfstring(L, "%s \"%s\" needs %I bytes; the largest free extent of the arena is %I",
                         noun, name, integer(facts->wanted), integer(facts->found));
}

static const char *push_entries(lua_State *L, const shmx_facts *facts, const shmx_arena *arena) {
  const char *thing = larena_push_name(L, arena);
  if (facts->found != 0)
    return lua_pushfstring(L,
                           "%s has all %I of its objects, of which %I were removed and are still "
                           "open; close those",
                           thing, integer(facts->limit), integer(facts->found));
  bool largest = facts->limit == SHMX_ARENA_OBJECTS_MAX;
  return lua_pushfstring(L, "%s has all %I of its objects; remove one%s", thing,
                         integer(facts->limit), largest ? "" : ", or make a larger arena");
}

static const char *push_object_sentence(lua_State *L, const shmx_facts *facts,
                                        const shmx_arena *arena, const char *name,
                                        const shmx_kind *kind) {
  switch (facts->fact) {
  case SHMX_FACT_KIND:
    return push_other(L, facts, name, kind);
  case SHMX_FACT_EXTENT:
    return push_extent(L, facts, name, kind);
  case SHMX_FACT_OBJECTS:
    return push_entries(L, facts, arena);
  default:
    return push_sentence(L, facts, larena_push_name(L, arena));
  }
}

int lfact_return_object(lua_State *L, int status, const shmx_facts *facts, const shmx_arena *arena,
                        const char *name, const shmx_kind *kind) {
  if (facts->status == status && push_object_sentence(L, facts, arena, name, kind) != NULL)
    return lerror_return_message(L, status);
  const char *noun = shmx_kind_name(kind->id);
  return lerror_return(
      L, status, lua_pushfstring(L, "%s \"%s\" of %s", noun, name, larena_push_name(L, arena)));
}
