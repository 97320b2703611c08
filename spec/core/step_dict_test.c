/*
 * step_dict_test.c kills who changes a dict at every instruction, and who recovers what another
 * has left: then the change is done or not, nothing else has changed, no cell is lost, and others
 * go on within a second.
 */
#include "step.h"

#include "cells.h"

enum { SMALL = 1 << 14, LARGE = 1 << 16, OTHERS = 20, TEXT = 4096 };

/* The tester's; the victim inherits a copy. */
static shmx_dict dict;
static unsigned char *memory;

static struct {
  char before[TEXT], then[TEXT]; /* what there is of the key, as text */
  bool known;                    /* what it is then */
  bool evicts;                   /* others may go */
  bool old_stays;                /* of the key there is always a value, perhaps an expired one */
} plan;

static const char *long_text(char letter, size_t length) {
  static char text[TEXT];
  memset(text, letter, length);
  text[length] = '\0';
  return text;
}

/* ---- what is there ---- */

static void describe_list(const shmx_dict_key *key, char text[static TEXT]) {
  static _Alignas(8) unsigned char buffer[1 << 14];
  size_t length, at = 0;
  shmx_dict_key none;
  shmx_dict_item item;
  strcpy(text, "list");
  CHECK(shmx_dict_elements(&dict, key, 1, -1, buffer, sizeof buffer, &length) == 0);
  while (shmx_dict_next(buffer, length, &at, &none, &item))
    snprintf(text + strlen(text), TEXT - strlen(text), " %.*s", (int)item.length,
             (const char *)item.data);
}

static void describe(const char *name, char text[static TEXT]) {
  shmx_dict_key key = text_key(name);
  shmx_dict_item item;
  char buffer[TEXT - 40];
  int64_t ttl, number;
  int status = shmx_dict_get(&dict, &key, buffer, sizeof buffer, &item);
  if (status == -EPROTOTYPE) {
    describe_list(&key, text);
    return;
  }
  CHECK(status == 0 || status == -ENOENT);
  strcpy(text, "nothing");
  if (status != 0) return;
  CHECK(shmx_dict_ttl(&dict, &key, &ttl) == 0);
  memcpy(&number, buffer, sizeof number);
  if (item.tag >= SHMX_TAG_INTEGER)
    snprintf(text, TEXT, "number %u %ld", item.tag, (long)number);
  else
    snprintf(text, TEXT, "%s %.*s", ttl != 0 ? "for a time" : "for ever", (int)item.length, buffer);
}

static const char *named(const char *format, int number) {
  static char name[32];
  snprintf(name, sizeof name, format, number);
  return name;
}

static const char *other_name(int number) {
  return named("another key %d", number);
}

static const char *filling_name(int number) {
  return named("f%d", number);
}

/* Each is as long as its number says. */
static const char *other_value(int number) {
  return long_text((char)('a' + number), (size_t)number * 11);
}

static void check_others(void) {
  for (int i = 0; i < OTHERS; i++) {
    bool there = get_status(&dict, other_name(i)) == 0;
    CHECK(there || plan.evicts);
    CHECK(!there || is_text(&dict, other_name(i), other_value(i)));
  }
}

/* ---- before ---- */

static void delete_others(int from) {
  plan.evicts = true;
  for (int i = from; i < OTHERS; i++)
    CHECK(delete_text(&dict, other_name(i)) == 0);
}

static void prepare_size(uint64_t size) {
  if (memory == NULL)
    memory = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  memset(memory, 0, LARGE);
  watched.data = memory;
  watched.size = size;
  memory[0] = 1; /* the seed: the same way each time */
  shmx_dict_open(&dict, memory, size);
  plan.evicts = plan.old_stays = false;
  for (int i = 0; i < OTHERS; i++)
    CHECK(set_text(&dict, other_name(i), other_value(i), 0, 0) == 0);
}

static void ready(void) {
  describe("k", plan.before);
}

static void prepare_none(void) {
  prepare_size(SMALL);
  ready();
}

static void prepare_value(void) {
  prepare_size(SMALL);
  CHECK(set_text(&dict, "k", long_text('o', 100), 0, 0) == 0);
  ready();
}

static void prepare_word(void) {
  prepare_size(SMALL);
  CHECK(set_text(&dict, "k", "oldvalue", 0, 0) == 0);
  ready();
}

static void prepare_words(void) {
  prepare_size(SMALL);
  CHECK(set_text(&dict, "k", "an old value of some words", SHMX_SECOND * 100, 0) == 0);
  ready();
}

static void prepare_number(void) {
  prepare_size(SMALL);
  CHECK(add_integer(&dict, "k", 41, NULL) == 0);
  ready();
}

static void prepare_list(void) {
  prepare_size(SMALL);
  for (int i = 0; i < 5; i++)
    CHECK(push_text(&dict, "k", long_text((char)('A' + i), (size_t)i * 20), i % 2, NULL) == 0);
  ready();
}

static void prepare_last_of_list(void) {
  prepare_size(SMALL);
  CHECK(push_text(&dict, "k", "the only one", 0, NULL) == 0);
  ready();
}

/* No cell is free then, and CLOCK has just passed all entries. */
static void fill_up(void) {
  uint64_t free;
  for (int i = 0; set_text(&dict, filling_name(i), "", 0, SHMX_DICT_SAFE) == 0; i++)
    continue;
  CHECK(shmx_dict_free_space(&dict, &free) == 0 && free == 0);
  for (uint32_t cell = 1; cell <= dict.cells; cell++)
    *shmx_referenced(&dict, cell) = 0;
  plan.evicts = true;
  ready();
}

static void prepare_full(void) {
  prepare_size(SMALL);
  fill_up();
}

/* The same, and the key has a value, or a list. */
static void prepare_full_with_value(void) {
  prepare_word();
  fill_up();
}

static void prepare_full_with_list(void) {
  prepare_list();
  fill_up();
}

static void set_expired(void) {
  CHECK(set_text(&dict, "k", "an old value, expired", 1, 0) == 0);
  plan.old_stays = true;
  ready();
}

static void prepare_expired(void) {
  prepare_size(SMALL);
  set_expired();
}

static void prepare_full_with_expired(void) {
  prepare_full();
  set_expired();
}

static uint32_t shard_of(const char *name) {
  shmx_dict_key key = text_key(name);
  return shmx_bucket_of(&dict, &key) >> dict.shard_shift;
}

/* A name in the other shard than that of the key. */
static const char *name_elsewhere(int number) {
  static char name[32];
  for (int i = 0; i == 0 || shard_of(name) == shard_of("k"); i++)
    snprintf(name, sizeof name, "elsewhere %d %d", number, i);
  return name;
}

/* A shard of these names has no free cells left, while the pool has. */
static void use_stock(const char *(*name)(int)) {
  struct shmx_shard *shard = shmx_shard_at(&dict, shard_of(name(0)));
  plan.evicts = true;
  for (int i = 1; shmx_high(shmx_load(&shard->free)) > 1; i++)
    CHECK(set_text(&dict, name(i), "", 0, SHMX_DICT_SAFE) == 0);
}

/* No cell is free, and none is in the key's shard. */
static void prepare_full_elsewhere(void) {
  prepare_size(LARGE);
  delete_others(0);
  for (int number = 0, length = 4000, status = 0; length > 0 || status == 0; number++) {
    if (status != 0) length /= 2;
    const char *value = long_text('e', (size_t)length);
    status = set_text(&dict, name_elsewhere(number), value, 0, SHMX_DICT_SAFE);
  }
  fill_up();
}

/* The pool has cells that were used. */
static void prepare_pool(void) {
  prepare_size(SMALL);
  delete_others(10);
  for (int i = 0; i < 11; i++)
    CHECK(set_text(&dict, filling_name(i), long_text('x', 900), 0, SHMX_DICT_SAFE) == 0);
  for (int i = 0; i < 11; i++)
    CHECK(delete_text(&dict, filling_name(i)) == 0);
  use_stock(filling_name);
  CHECK(shmx_high(shmx_load(&dict.memory->free)) > 19);
  ready();
}

/* So much that the shard gives back when that is freed. */
static void prepare_much(void) {
  prepare_size(SMALL);
  delete_others(10);
  CHECK(set_text(&dict, "k", long_text('m', 4000), 0, 0) == 0);
  CHECK(set_text(&dict, "l", long_text('m', 4000), 0, 0) == 0);
  CHECK(set_text(&dict, "m", long_text('m', 4000), 0, 0) == 0);
  CHECK(delete_text(&dict, "l") == 0 && delete_text(&dict, "m") == 0);
  ready();
}

static void prepare_only_list(void) {
  prepare_list();
  delete_others(0);
}

/* ---- deeds ---- */

#define DO(name, call)                                                                             \
  static void name(void) {                                                                         \
    EXPECT((call) == 0);                                                                           \
  }

DO(set_long, set_text(&dict, "k", long_text('n', 150), 0, 0))
DO(set_word, set_text(&dict, "k", "newvalue", 0, 0))
DO(set_words, set_text(&dict, "k", "a new value of other words", 0, 0))
DO(set_more, set_text(&dict, "k", long_text('n', 1000), 0, 0))
DO(replace, set_text(&dict, "k", long_text('n', 1000), 0, SHMX_DICT_REPLACE))
DO(push_long, push_text(&dict, "k", long_text('p', 900), SHMX_DICT_LEFT, NULL))
DO(set_elsewhere, set_text(&dict, name_elsewhere(0), long_text('e', 300), 0, 0))
DO(set_for_a_time, set_text(&dict, "k", long_text('n', 150), SHMX_SECOND * 100, 0))
DO(delete_it, delete_text(&dict, "k"))
DO(add, add_integer(&dict, "k", 1, NULL))
DO(push_left, push_text(&dict, "k", "an element that is longer than a cell", SHMX_DICT_LEFT, NULL))
DO(push_right, push_text(&dict, "k", "an element", SHMX_DICT_RIGHT, NULL))

static int pop(int end) {
  char text[4096];
  return pop_text(&dict, "k", end, text) >= 0 ? 0 : -1;
}

DO(pop_left, pop(SHMX_DICT_LEFT))
DO(pop_right, pop(SHMX_DICT_RIGHT))

static void add_real(void) {
  shmx_dict_key key = text_key("k");
  shmx_dict_number half = {SHMX_TAG_DOUBLE, {.real = 0.5}};
  EXPECT(shmx_dict_incr(&dict, &key, &half, NULL, 0, 0, NULL, NULL) == 0);
}

static void swap(void) {
  shmx_dict_key key = text_key("k");
  shmx_dict_item old = text_item("oldvalue"), new = text_item("and a longer one");
  EXPECT(shmx_dict_cas(&dict, &key, &old, &new, 0, 0, NULL) == 0);
}

static void expire(void) {
  shmx_dict_key key = text_key("k");
  EXPECT(shmx_dict_expire(&dict, &key, SHMX_SECOND * 100) == 0);
}

static void flush(void) {
  EXPECT(shmx_dict_flush_all(&dict) == 0);
  EXPECT(shmx_dict_flush_expired(&dict, 0, NULL) == 0);
}

static void look(void) {
  get_status(&dict, "k");
}

static int begin_task(shmx_dict_fetch *fetch) {
  shmx_dict_key key = text_key("k");
  shmx_dict_item item;
  char buffer[TEXT];
  *fetch = (shmx_dict_fetch){0};
  return shmx_dict_fetch_begin(&dict, &key, fetch, buffer, sizeof buffer, &item,
                               in_ms(longest_wait()));
}

static void fetch(void) {
  shmx_dict_fetch fetch;
  shmx_dict_item item = text_item("what was made");
  EXPECT(begin_task(&fetch) == 0 && fetch.ours);
  EXPECT(shmx_dict_fetch_end(&fetch, &item, 0, 0, NULL) == 0);
}

static void fetch_in_vain(void) {
  shmx_dict_fetch fetch;
  EXPECT(begin_task(&fetch) == 0 && fetch.ours);
  EXPECT(shmx_dict_fetch_end(&fetch, NULL, 0, 0, NULL) == 0);
}

/* A process has begun to make the value, and died. */
static void prepare_dead_maker(void) {
  prepare_expired();
  fflush(stdout);
  pid_t child = fork();
  shmx_dict_fetch fetch;
  if (child == 0) _exit(begin_task(&fetch) == 0 && fetch.ours ? 0 : 1);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* ---- who died within a change, and has left it to others ---- */

/* A change that is committed, and half applied. */
static void leave_half(bool with_pool) {
  struct shmx_hold hold;
  struct shmx_built built;
  shmx_dict_key key = text_key("k");
  shmx_dict_item item = text_item("by one who died within");
  struct shmx_new new = {.key = &key, .data = item.data, .length = item.length};
  struct shmx_place place = {.bucket = shmx_bucket_of(&dict, &key)};
  EXPECT(shmx_shard_enter(&hold, &dict, place.bucket >> dict.shard_shift) == 0);
  struct shmx_shard *shard = hold.shard;
  EXPECT(shmx_entry_find(&dict, &key, &place) == 0);
  uint64_t free = shmx_load(&shard->free), words[3];
  EXPECT(shmx_entry_build(&hold, shmx_low(free), &new, 0, &built) == 0);
  shmx_shard_change(&hold, place.link,
                    place.shift ? shmx_pair(shmx_low(*place.link), built.first)
                                : shmx_with_low(*place.link, built.first));
  shmx_entry_taken(&hold, &built);
  shmx_store(&shard->log[2].what, shmx_load(&shard->log[2].what) + 1); /* an entry */
  if (with_pool) { /* with the payload's, they are in other words */
    EXPECT(shmx_lock_try(&dict.memory->lock, shmx_self()->task));
    shmx_store(&dict.memory->frozen, hold.number + 1);
    shmx_shard_change(&hold, &dict.memory->fresh, shmx_load(&dict.memory->fresh));
  }
  memcpy(words, &shard->log[0], 16);
  shmx_store(&shard->changes, hold.changes);
  atomic_store(&shard->sequence, shmx_load(&shard->sequence) | 1);
  shmx_store((_Atomic uint64_t *)(void *)(memory + words[0]), words[1]); /* the first of them */
  _exit(0);
}

static void prepare_dead(uint64_t size, bool with_pool) {
  prepare_size(size);
  if (with_pool) use_stock(name_elsewhere);
  ready();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) leave_half(with_pool);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  strcpy(plan.before, "for ever by one who died within");
}

static void prepare_dead_changer(void) {
  prepare_dead(SMALL, false);
}

static void prepare_dead_mover(void) {
  prepare_dead(LARGE, true);
}

/* ---- after ---- */

static void all_goes_on(void) {
  static const char *const texts[] = {"short", "a text that is longer than one cell has room for"};
  int64_t start = shmx_clock_now(), sum;
  char text[4096];
  shmx_dict_fetch fetch;
  for (int i = 0; i < 2; i++) {
    CHECK(set_text(&dict, "k", texts[i], 0, 0) == 0);
    CHECK(is_text(&dict, "k", texts[i]));
    CHECK(delete_text(&dict, "k") == 0);
  }
  CHECK(add_integer(&dict, "k", 3, &sum) == 0 && sum == 3);
  CHECK(delete_text(&dict, "k") == 0);
  CHECK(push_text(&dict, "k", "x", 0, NULL) == 0);
  CHECK(pop_text(&dict, "k", 0, text) == 1);
  CHECK(begin_task(&fetch) == 0 && fetch.ours);
  CHECK(shmx_dict_fetch_end(&fetch, NULL, 0, 0, NULL) == 0);
  CHECK(in_time(start));
}

/* As free as when new. */
static void all_is_free(void) {
  shmx_dict_status status;
  CHECK(shmx_dict_flush_all(&dict) == 0);
  CHECK(shmx_dict_flush_expired(&dict, 0, NULL) == 0);
  CHECK(shmx_dict_stat(&dict, &status) == 0);
  CHECK(status.free == status.room && status.used == 0 && status.payload == 0);
  CHECK(what_is_wrong(&dict) == NULL);
}

static void check_old(void) {
  shmx_dict_key key = text_key("k");
  shmx_dict_item item;
  char buffer[TEXT];
  bool stale;
  CHECK(shmx_dict_get_stale(&dict, &key, buffer, sizeof buffer, &item, &stale) == 0);
  const char *text = stale ? "an old value, expired" : "what was made";
  CHECK(item.length == strlen(text) && memcmp(buffer, text, item.length) == 0);
}

static void check(void) {
  char text[TEXT];
  int64_t start = shmx_clock_now();
  describe("k", text);
  CHECK(in_time(start));
  if (!plan.known) strcpy(plan.then, text); /* once, after all of it */
  plan.known = true;
  bool done = strcmp(text, plan.then) == 0;
  if (!done && strcmp(text, plan.before) != 0)
    dprintf(STDERR_FILENO, "before: %s\nthen: %s\nfound: %s\n", plan.before, plan.then, text);
  CHECK(done || (!stepped.done && strcmp(text, plan.before) == 0));
  check_others();
  if (plan.old_stays) check_old();
  const char *wrong = what_is_wrong(&dict);
  if (wrong != NULL) dprintf(STDERR_FILENO, "%s\n", wrong);
  CHECK(wrong == NULL);
  all_goes_on();
  all_is_free();
}

static const struct deed deeds[] = {
    {"dict: set, new", prepare_none, NULL, set_long, NULL, check, false},
    {"dict: set, new, cold", prepare_none, NULL, set_for_a_time, NULL, check, true},
    {"dict: set, another length", prepare_value, NULL, set_long, NULL, check, false},
    {"dict: set, one word", prepare_word, NULL, set_word, NULL, check, false},
    {"dict: set, some words", prepare_words, NULL, set_words, NULL, check, false},
    {"dict: set instead of a list", prepare_list, NULL, set_word, NULL, check, false},
    {"dict: set, evicting", prepare_full, NULL, set_long, NULL, check, false},
    {"dict: set, evicting in another shard", prepare_full_elsewhere, NULL, set_long, NULL, check,
     false},
    {"dict: set, from the pool", prepare_pool, NULL, set_more, NULL, check, false},
    {"dict: set, fresh cells", prepare_none, NULL, set_more, NULL, check, false},
    {"dict: delete", prepare_value, NULL, delete_it, NULL, check, false},
    {"dict: delete, to the pool", prepare_much, NULL, delete_it, NULL, check, false},
    {"dict: delete a list", prepare_list, NULL, delete_it, NULL, check, false},
    {"dict: incr", prepare_number, NULL, add, NULL, check, false},
    {"dict: incr, new", prepare_none, NULL, add, NULL, check, false},
    {"dict: incr, another type", prepare_number, NULL, add_real, NULL, check, false},
    {"dict: cas", prepare_word, NULL, swap, NULL, check, false},
    {"dict: expire", prepare_value, NULL, expire, NULL, check, false},
    {"dict: push, new", prepare_none, NULL, push_left, NULL, check, false},
    {"dict: push left", prepare_list, NULL, push_left, NULL, check, false},
    {"dict: push right", prepare_list, NULL, push_right, NULL, check, false},
    {"dict: pop left", prepare_list, NULL, pop_left, NULL, check, false},
    {"dict: pop right", prepare_list, NULL, pop_right, NULL, check, false},
    {"dict: pop the last", prepare_last_of_list, NULL, pop_left, NULL, check, false},
    {"dict: flush", prepare_only_list, NULL, flush, NULL, check, false},
    {"dict: replace, evicting", prepare_full_with_value, NULL, replace, NULL, check, false},
    {"dict: push, evicting", prepare_full_with_list, NULL, push_long, NULL, check, false},
    {"dict: fetch", prepare_none, NULL, fetch, NULL, check, false},
    {"dict: fetch what has expired", prepare_expired, NULL, fetch, NULL, check, false},
    {"dict: fetch it, evicting", prepare_full_with_expired, NULL, fetch, NULL, check, false},
    {"dict: fetch it, in vain", prepare_expired, NULL, fetch_in_vain, NULL, check, false},
    {"dict: fetch it, after a dead", prepare_dead_maker, NULL, fetch, NULL, check, false},
    {"dict: get what a dead has committed", prepare_dead_changer, NULL, look, NULL, check, false},
    {"dict: delete it", prepare_dead_changer, NULL, delete_it, NULL, check, false},
    {"dict: get it, with the pool", prepare_dead_mover, NULL, look, NULL, check, false},
    {"dict: set, where a dead has the pool", prepare_dead_mover, NULL, set_elsewhere, NULL, check,
     false},
};

static void test_whoever_is_killed_changes_all_or_nothing(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_changes_all_or_nothing, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
