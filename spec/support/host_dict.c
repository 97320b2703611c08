/*
 * host_dict.c NAME SIZE: a C host of libshmx with the dict "d" of an arena that Lua has, too. Says
 * what is under some keys, adds to numbers, and leaves values, a list, and what is no value of
 * Lua's.
 */
#include "shmx.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static shmx_arena arena;
static shmx_arena_object object;
static shmx_dict dict;

static void must(int status, const char *what) {
  if (status == 0) return;
  fprintf(stderr, "%s %s\n", what, shmx_error_text(status));
  exit(1);
}

static shmx_dict_key key_of(const char *text) {
  return (shmx_dict_key){.data = text, .length = (uint32_t)strlen(text)};
}

static shmx_dict_key key_of_integer(const int64_t *integer) {
  return (shmx_dict_key){.data = integer, .length = sizeof *integer, .is_integer = true};
}

static void say(const char *name, shmx_dict_key key) {
  char buffer[256];
  shmx_dict_item item;
  must(shmx_dict_get(&dict, &key, buffer, sizeof buffer, &item), name);
  printf("%s %" PRIu32 " bytes, tag %" PRIu32 ", flags %" PRIu32 ": %.*s\n", name, item.length,
         item.tag, item.flags, (int)item.length, buffer);
}

static void add(const char *name, shmx_dict_number by) {
  shmx_dict_key key = key_of(name);
  shmx_dict_number sum;
  must(shmx_dict_incr(&dict, &key, &by, NULL, 0, 0, &sum, NULL), name);
  if (sum.tag == SHMX_TAG_INTEGER)
    printf("%s %" PRId64 "\n", name, sum.value.integer);
  else
    printf("%s %.1f\n", name, sum.value.real);
}

static void set(shmx_dict_key key, const void *data, uint32_t length, uint32_t tag,
                uint32_t flags) {
  shmx_dict_item item = {.data = data, .length = length, .tag = tag, .flags = flags};
  must(shmx_dict_set(&dict, &key, &item, 0, SHMX_DICT_SET, NULL), "set");
}

static void push(const char *text) {
  shmx_dict_key key = key_of("list");
  shmx_dict_item item = {.data = text, .length = (uint32_t)strlen(text)};
  must(shmx_dict_push(&dict, &key, &item, SHMX_DICT_RIGHT, 0, NULL, NULL), "push");
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint64_t size = strtoull(argv[2], NULL, 10);
  int64_t twelve = 12, minus_twelve = -12, large = INT64_C(1) << 40;
  shmx_kind kind = shmx_dict_kind(size);
  must(shmx_arena_open(&arena, shmx_posix(argv[1]), 0, NULL), argv[1]);
  must(shmx_arena_find(&arena, "d", &kind, &object), "d");
  shmx_dict_open(&dict, object.memory.object.data, size);
  say("text", key_of("text"));
  say("flag", key_of("flag"));
  say("12", key_of_integer(&twelve));
  add("number", (shmx_dict_number){.tag = SHMX_TAG_INTEGER, .value.integer = 1});
  add("real", (shmx_dict_number){.tag = SHMX_TAG_DOUBLE, .value.real = 0.5});
  set(key_of("answer"), "from C", 6, 0, 0);
  set(key_of("table"), "\x92\x01\xa3two", 6, 1, 9); /* MessagePack: [1, "two"] */
  set(key_of("unknown"), "?", 1, 5, 0);
  set(key_of_integer(&minus_twelve), &large, sizeof large, SHMX_TAG_INTEGER, 0);
  push("first");
  push("last");
  shmx_dict_close(&dict);
  shmx_arena_close(&arena);
  return 0;
}
