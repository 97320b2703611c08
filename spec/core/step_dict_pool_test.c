/*
 * step_dict_pool_test.c kills who moves cells between his shard of a dict and the pool, at every
 * instruction; others, in another shard, take cells from the pool before anybody looks at his: no
 * cell is in two places then, and none is lost. And values of some words, which are new or old.
 */
#include "step.h"

#include "cells.h"

enum { SIZE = 1 << 16 /* two shards */ };

static shmx_dict dict;
static unsigned char *memory;

static uint32_t shard_of(const char *name) {
  shmx_dict_key key = text_key(name);
  return shmx_bucket_of(&dict, &key) >> dict.shard_shift;
}

/* A name in this shard. */
static const char *name_in(uint32_t shard, int number) {
  static char name[32];
  int i = 0;
  do
    snprintf(name, sizeof name, "%d %d", number, i++);
  while (shard_of(name) != shard);
  return name;
}

static const char *text_of(char letter, size_t length) {
  static char text[2048];
  memset(text, letter, length);
  text[length] = '\0';
  return text;
}

/* The shard has no free cells. */
static void use_stock(uint32_t shard) {
  for (int i = 1; shmx_high(shmx_load(&shmx_shard_at(&dict, shard)->free)) > 1; i++)
    CHECK(set_text(&dict, name_in(shard, i), "", 0, SHMX_DICT_SAFE) == 0);
}

static void prepare(void) {
  if (memory == NULL)
    memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  memset(memory, 0, SIZE);
  watched.data = memory;
  watched.size = SIZE;
  memory[0] = 1; /* the seed: the same way each time */
  shmx_dict_open(&dict, memory, SIZE);
  for (uint32_t shard = 0; shard < 2; shard++) {
    CHECK(set_text(&dict, name_in(shard, 0), "old, and of some words", 0, 0) == 0);
    use_stock(shard);
  }
}

/* The pool has cells that were used: they are the ones that are taken. */
static void prepare_used(void) {
  prepare();
  for (int i = 1000; i < 1025; i++)
    CHECK(set_text(&dict, name_in(0, i), text_of('u', 1000), 0, SHMX_DICT_SAFE) == 0);
  for (int i = 1000; i < 1025; i++)
    CHECK(delete_text(&dict, name_in(0, i)) == 0);
  use_stock(0);
  CHECK(shmx_high(shmx_load(&dict.memory->free)) > 40);
}

/* The shard has many. */
static void prepare_much(void) {
  prepare();
  for (int i = 1000; i < 1010; i++)
    CHECK(set_text(&dict, name_in(0, i), text_of('u', 1000), 0, SHMX_DICT_SAFE) == 0);
  for (int i = 1000; i < 1010; i++)
    CHECK(delete_text(&dict, name_in(0, i)) == 0);
}

static void set_new(void) {
  EXPECT(set_text(&dict, name_in(0, 0), text_of('n', 300), 0, 0) == 0);
}

static void set_words(void) {
  EXPECT(set_text(&dict, name_in(0, 0), "new, and of that words", 0, 0) == 0);
}

static void give_back(void) {
  struct shmx_hold hold;
  EXPECT(shmx_shard_enter(&hold, &dict, 0) == 0);
  shmx_pool_give(&hold, 10, true);
  shmx_shard_leave(&hold);
}

/* First in the other shard. */
static void check(void) {
  int64_t start = shmx_clock_now();
  for (int i = 2000; i < 2003; i++) {
    CHECK(set_text(&dict, name_in(1, i), text_of('o', 500), 0, SHMX_DICT_SAFE) == 0);
    CHECK(is_text(&dict, name_in(1, i), text_of('o', 500)));
  }
  bool old = is_text(&dict, name_in(0, 0), "old, and of some words");
  CHECK(old || is_text(&dict, name_in(0, 0), text_of('n', 300)) ||
        is_text(&dict, name_in(0, 0), "new, and of that words"));
  CHECK(is_text(&dict, name_in(1, 0), "old, and of some words"));
  CHECK(in_time(start));
  const char *wrong = what_is_wrong(&dict);
  if (wrong != NULL) dprintf(STDERR_FILENO, "%s\n", wrong);
  CHECK(wrong == NULL);
}

static const struct deed deeds[] = {
    {"dict pool: take fresh cells", prepare, NULL, set_new, NULL, check, false},
    {"dict pool: take used cells", prepare_used, NULL, set_new, NULL, check, false},
    {"dict pool: give cells back", prepare_much, NULL, give_back, NULL, check, false},
    {"dict: set, some words and no more", prepare, NULL, set_words, NULL, check, false},
};

static void test_cells_are_in_one_place(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_cells_are_in_one_place, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
