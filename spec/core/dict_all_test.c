/*
 * dict_all_test.c is about lists, and a dict as a whole: scans beside writers, values that one
 * makes while others wait, flushing, what is counted, and memory in which a peer has written what
 * he likes.
 */
#include "together.h"

#include "cells.h"

enum { SIZE = 1 << 18 };

static shmx_dict dict;
static unsigned char *memory;

static int begin_dict(void **state) {
  if (begin_ground(state) != 0) return -1;
  memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shmx_dict_open(&dict, memory, SIZE);
  return memory == MAP_FAILED ? -1 : 0;
}

static int end_dict(void **state) {
  shmx_dict_close(&dict);
  munmap(memory, SIZE);
  return end_ground(state);
}

#define DICT(test)                                                                                 \
  { #test, test, begin_dict, end_dict, NULL }

static shmx_dict_status status_of(void) {
  shmx_dict_status status;
  assert_int_equal(shmx_dict_stat(&dict, &status), 0);
  return status;
}

static int set_number(int64_t number, uint32_t length, int64_t ttl) {
  static char data[4096];
  shmx_dict_key key = number_key(&number);
  shmx_dict_item item = {.data = data, .length = length, .tag = 1, .flags = (uint32_t)number};
  return shmx_dict_set(&dict, &key, &item, ttl, 0, NULL);
}

/* ---- lists ---- */

static void test_lists(void **state) {
  (void)state;
  char text[4096], name[16];
  uint64_t count, before = status_of().free;
  size_t length, at = 0;
  static _Alignas(8) unsigned char buffer[65536];
  shmx_dict_key key = text_key("l"), element_key;
  shmx_dict_item item;
  assert_int_equal(shmx_dict_count(&dict, &key, &count), -ENOENT);
  assert_int_equal(pop_text(&dict, "l", SHMX_DICT_LEFT, text), -ENOENT);
  for (int i = 0; i < 300; i++) {
    snprintf(name, sizeof name, "%d", i);
    assert_int_equal(push_text(&dict, "l", name, i % 2, &count), 0);
    assert_int_equal(count, i + 1);
  }
  assert_int_equal(shmx_dict_count(&dict, &key, &count), 0);
  assert_int_equal(count, 300);
  assert_int_equal(shmx_dict_elements(&dict, &key, 1, -1, buffer, 100, &length), -EMSGSIZE);
  assert_int_equal(shmx_dict_elements(&dict, &key, 1, -1, buffer, sizeof buffer, &length), 0);
  for (count = 0; shmx_dict_next(buffer, length, &at, &element_key, &item); count++)
    if (count == 0) assert_memory_equal(item.data, "298", item.length);
  assert_int_equal(count, 300);
  assert_int_equal(shmx_dict_get(&dict, &key, text, 1, &item), -EPROTOTYPE);
  assert_int_equal(item.count, 300);
  for (int i = 299; i >= 150; i--) {
    assert_true(pop_text(&dict, "l", i % 2, text) > 0);
    assert_int_equal(atoi(text), i);
  }
  for (int i = 148; i >= 0; i -= 2) {
    assert_true(pop_text(&dict, "l", SHMX_DICT_LEFT, text) > 0);
    assert_int_equal(atoi(text), i);
  }
  for (int i = 1; i < 150; i += 2) {
    assert_true(pop_text(&dict, "l", SHMX_DICT_LEFT, text) > 0);
    assert_int_equal(atoi(text), i);
  }
  assert_int_equal(pop_text(&dict, "l", SHMX_DICT_RIGHT, text), -ENOENT);
  assert_int_equal(status_of().free, before);
  assert_int_equal(set_text(&dict, "l", "x", 0, 0), 0);
  assert_int_equal(push_text(&dict, "l", "x", SHMX_DICT_LEFT, NULL), -EPROTOTYPE);
  assert_int_equal(pop_text(&dict, "l", SHMX_DICT_LEFT, text), -EPROTOTYPE);
  assert_int_equal(shmx_dict_count(&dict, &key, &count), -EPROTOTYPE);
}

/* ---- ranges ---- */

/* The numbers of a list's elements from one to another, as text; or the status. */
static const char *range_of(const char *name, int64_t first, int64_t last) {
  static _Alignas(8) unsigned char buffer[1 << 16];
  static char text[1 << 16];
  shmx_dict_key key = text_key(name), none;
  shmx_dict_item item;
  size_t length, at = 0;
  int status = shmx_dict_elements(&dict, &key, first, last, buffer, sizeof buffer, &length);
  snprintf(text, sizeof text, "%d:", status);
  while (status == 0 && shmx_dict_next(buffer, length, &at, &none, &item))
    snprintf(text + strlen(text), sizeof text - strlen(text), " %.*s", (int)item.length,
             (const char *)item.data);
  return text;
}

static void test_ranges(void **state) {
  (void)state;
  char name[16];
  for (int i = 1; i <= 7; i++) {
    snprintf(name, sizeof name, "%d", i);
    assert_int_equal(push_text(&dict, "l", name, SHMX_DICT_RIGHT, NULL), 0);
  }
  assert_string_equal(range_of("l", 1, -1), "0: 1 2 3 4 5 6 7");
  assert_string_equal(range_of("l", INT64_MIN, INT64_MAX), "0: 1 2 3 4 5 6 7");
  assert_string_equal(range_of("l", 2, 3), "0: 2 3");
  assert_string_equal(range_of("l", -3, -2), "0: 5 6"); /* from the right end */
  assert_string_equal(range_of("l", 7, 7), "0: 7");
  assert_string_equal(range_of("l", 4, 4), "0: 4");
  assert_string_equal(range_of("l", 5, 4), "0:");
  assert_string_equal(range_of("l", 8, 9), "0:");
  assert_string_equal(range_of("l", INT64_MAX, INT64_MIN), "0:");
  assert_string_equal(range_of("l", -9, -8), "0:");
  snprintf(name, sizeof name, "%d:", -ENOENT);
  assert_string_equal(range_of("none", 1, 1), name);
}

/* ---- scanning ---- */

/* How often each number is seen. */
static void scan_all(unsigned char *seen, bool keys_only, size_t room) {
  static _Alignas(8) unsigned char buffer[1 << 14];
  shmx_dict_walk walk = {0};
  do {
    size_t length, at = 0;
    shmx_dict_key key;
    shmx_dict_item item;
    assert_int_equal(shmx_dict_scan(&dict, &walk, keys_only, 50, buffer, room, &length), 0);
    while (shmx_dict_next(buffer, length, &at, &key, &item)) {
      int64_t number;
      memcpy(&number, key.data, sizeof number);
      assert_true(key.is_integer && item.flags == (uint32_t)number);
      assert_int_equal(item.length, keys_only ? 0 : number % 100);
      if (number < 1000) seen[number]++;
    }
  } while (walk.cursor != 0);
}

static void write_beside(int unused) {
  (void)unused;
  for (int64_t i = 0;; i = (i + 1) % 200) {
    EXPECT(set_number(1000 + i, (1000 + i) % 100, 0) == 0);
    int64_t old = 1000 + (i + 100) % 200;
    shmx_dict_key key = number_key(&old);
    shmx_dict_delete(&dict, &key);
  }
}

static void test_scan(void **state) {
  (void)state;
  for (int64_t number = 0; number < 1000; number++)
    assert_int_equal(set_number(number, (uint32_t)number % 100, 0), 0);
  assert_int_equal(set_number(5000, 0, 1), 0); /* has expired */
  pid_t writer = start_child(write_beside, 0);
  for (int i = 0; i < 20; i++) {
    unsigned char seen[1000] = {0};
    scan_all(seen, i % 2, i % 3 == 0 ? 1 << 14 : 2048);
    assert_true(all_are(seen, 1, sizeof seen));
  }
  end_child(writer);
  shmx_dict_walk walk = {.cursor = UINT32_MAX};
  size_t length;
  assert_int_equal(shmx_dict_scan(&dict, &walk, true, 0, memory, 0, &length), -EINVAL);
  walk.cursor = 0;
  assert_int_equal(shmx_dict_scan(&dict, &walk, true, 0, ground->memory, 8, &length), -EMSGSIZE);
  assert_in_range(length, 48, 1000);
}

/* ---- values that are made ---- */

static shmx_dict_fetch making; /* by this process */

static int begin_task(const char *name, bool *ours, int64_t deadline) {
  shmx_dict_key key = text_key(name);
  shmx_dict_item item;
  shmx_dict_fetch other = {0}, *fetch = making.dict == NULL ? &making : &other;
  char buffer[64];
  int status = shmx_dict_fetch_begin(&dict, &key, fetch, buffer, sizeof buffer, &item, deadline);
  *ours = fetch->ours;
  return status;
}

static int end_task(const char *value) {
  shmx_dict_item item = text_item(value != NULL ? value : "");
  return shmx_dict_fetch_end(&making, value != NULL ? &item : NULL, 0, 0, NULL);
}

static void wait_for_value(int ms) {
  shmx_dict_fetch_abandon(&making); /* the parent's */
  bool ours;
  int64_t start = shmx_clock_now();
  EXPECT(begin_task("f", &ours, in_ms(5000)) == 0 && !ours);
  EXPECT(is_text(&dict, "f", "made") && ms_since(start) < ms);
  ground->inside++;
}

static void make_after_other(int unused) {
  (void)unused;
  shmx_dict_fetch_abandon(&making); /* the parent's */
  bool ours;
  EXPECT(begin_task("f", &ours, in_ms(5000)) == 0 && ours);
  EXPECT(end_task("made by another") == 0);
}

static void take_and_stay(int unused) {
  (void)unused;
  shmx_dict_fetch_abandon(&making); /* the parent's */
  bool ours;
  EXPECT(begin_task("f", &ours, 0) == 0 && ours);
  stay(1);
}

static void test_one_makes_and_others_wait(void **state) {
  (void)state;
  bool ours;
  assert_int_equal(begin_task("f", &ours, 0), 0);
  assert_true(ours);
  assert_int_equal(begin_task("f", &ours, 0), -EDEADLK);
  assert_int_equal(get_status(&dict, "f"), -ENOENT);
  assert_int_equal(delete_text(&dict, "f"), -ENOENT);
  pid_t one = start_child(wait_for_value, 3000), two = start_child(wait_for_value, 3000);
  assert_true(UNTIL(is_asleep(one) && is_asleep(two)));
  assert_int_equal(end_task("made"), 0);
  shmx_dict_key key = text_key("f");
  struct shmx_shard *shard = shmx_shard_at(&dict, shmx_bucket_of(&dict, &key) >> dict.shard_shift);
  assert_false(shard->made.word & SHMX_EVENT_SLEEPERS); /* they were woken */
  assert_int_equal(wait_for(one) + wait_for(two), 0);
  assert_int_equal(begin_task("f", &ours, 0), 0);
  assert_false(ours);
}

static void test_a_task_goes_on(void **state) {
  (void)state;
  bool ours;
  pid_t holder = start_child(take_and_stay, 0);
  assert_true(UNTIL(ground->stage == 1));
  assert_int_equal(begin_task("f", &ours, in_ms(20)), -ETIMEDOUT);
  pid_t next = start_child(make_after_other, 0);
  end_child(holder);
  assert_int_equal(wait_for(next), 0);
  assert_true(is_text(&dict, "f", "made by another"));
  assert_int_equal(delete_text(&dict, "f"), 0);
  assert_int_equal(begin_task("f", &ours, 0), 0);
  next = start_child(make_after_other, 0);
  assert_true(UNTIL(is_asleep(next)));
  assert_int_equal(end_task(NULL), 0);
  assert_int_equal(wait_for(next), 0);
  assert_int_equal(delete_text(&dict, "f"), 0);
  assert_int_equal(begin_task("f", &ours, 0), 0);
  assert_int_equal(set_text(&dict, "f", "set meanwhile", 0, SHMX_DICT_ADD), 0);
  assert_int_equal(end_task("made"), -EEXIST);
  assert_true(is_text(&dict, "f", "set meanwhile"));
}

static void test_tasks_of_the_dead_are_flushed(void **state) {
  (void)state;
  pid_t holder = start_child(take_and_stay, 0);
  assert_true(UNTIL(ground->stage == 1));
  assert_int_equal(shmx_dict_flush_expired(&dict, 0, NULL), 0);
  assert_int_equal(status_of().entries, 1);
  end_child(holder);
  assert_int_equal(shmx_dict_flush_expired(&dict, 0, NULL), 0);
  assert_int_equal(status_of().entries, 0);
  assert_null(what_is_wrong(&dict));
}

/* ---- flushing, counting ---- */

static void test_flush(void **state) {
  (void)state;
  uint64_t count, before = status_of().free;
  for (int64_t number = 0; number < 500; number++)
    assert_int_equal(set_number(number, (uint32_t)number % 50, number % 2), 0);
  for (int i = 0; i < 300; i++)
    assert_int_equal(push_text(&dict, "list", "element", 0, NULL), 0);
  assert_int_equal(shmx_dict_flush_expired(&dict, 10, &count), 0);
  assert_int_equal(count, 10);
  assert_int_equal(shmx_dict_flush_expired(&dict, 0, &count), 0);
  assert_int_equal(count, 240);
  assert_int_equal(status_of().entries, 251);
  assert_int_equal(shmx_dict_flush_all(&dict), 0);
  assert_int_equal(pop_text(&dict, "list", 0, (char *)ground->memory), -ENOENT);
  assert_int_equal(shmx_dict_flush_expired(&dict, 0, &count), 0);
  assert_int_equal(count, 251);
  assert_int_equal(status_of().free, before);
  assert_int_equal(status_of().expired, 501);
}

static void test_status(void **state) {
  (void)state;
  for (int64_t number = 0; number < 1000; number++)
    assert_int_equal(set_number(number, 8, 0), 0);
  for (int i = 0; i < 1500; i++)
    get_status(&dict, "none");
  shmx_dict_status status = status_of();
  assert_int_equal(status.entries, 1000);
  assert_int_equal(status.payload, 16000);
  assert_int_equal(status.used, 64000);
  assert_int_equal(status.used + status.free, status.room);
  assert_int_equal(status.misses, 1500);
  assert_int_equal(status.hits, 0);
  assert_true(status.shards > 1 && status.emptiest > 0);
  assert_in_range(status.fullest, 1000 / status.shards, 2000 / status.shards);
}

/* ---- memory that lies ---- */

/* Every function, whatever the memory says: any status, but no crash and no end of time. */
static void use_all(void) {
  static _Alignas(8) unsigned char buffer[1 << 14];
  char text[4096];
  shmx_dict_key key = text_key("k1");
  shmx_dict_item item;
  size_t length;
  shmx_dict_walk walk = {0};
  uint64_t count;
  for (int i = 0; i < 8; i++) {
    char name[8];
    snprintf(name, sizeof name, "k%d", i);
    get_status(&dict, name);
    set_text(&dict, name, "another value, of another length than it was", i % 2 * SHMX_SECOND, 0);
    delete_text(&dict, name);
    add_integer(&dict, name, 1, NULL);
    push_text(&dict, "list", name, i % 2, NULL);
    pop_text(&dict, "list", i % 2, text);
  }
  shmx_dict_get(&dict, &key, buffer, sizeof buffer, &item);
  shmx_dict_scan(&dict, &walk, false, 100, buffer, sizeof buffer, &length);
  key = text_key("list");
  shmx_dict_elements(&dict, &key, 1, -1, buffer, sizeof buffer, &length);
  shmx_dict_count(&dict, &key, &count);
  set_number(7, 4000, 0);
  delete_text(&dict, "list");
  shmx_dict_flush_expired(&dict, 5, NULL);
}

static void lie(int seed) {
  uint64_t chance = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
  for (int i = 0; i < 8; i++)
    set_number(i, (uint32_t)i * 100, 0);
  for (int i = 0; i < 200; i++) {
    for (int words = 0; words < 10; words++) {
      chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
      uint64_t number = chance >> 33, where = number % (SIZE / 8);
      if (number & 1) where = number / 2 % (192 + dict.shards * 256 + 8192) / 8;
      static const uint64_t values[] = {
          0, 1, 2, UINT64_MAX, UINT32_MAX, 77, UINT64_C(1) << 32, UINT64_C(0x0000000500000003)};
      uint64_t value = number & 2 ? values[number / 4 % 8] : chance;
      bool is_lock =
          (where * 8 >= 192 && where * 8 < 192 + dict.shards * 256 && where % 32 == 24) ||
          where == 16; /* whose owner lives, is waited for */
      if (!is_lock) ((uint64_t *)(void *)memory)[where] = value;
    }
    use_all();
  }
}

static void test_lies(void **state) {
  (void)state;
  const char *wish = getenv("SHM_SEED");
  int seed = wish != NULL ? atoi(wish) : (int)time(NULL);
  print_message("  SHM_SEED=%d\n", seed);
  for (int i = 0; i < 10; i++) {
    memset(memory, 0, SIZE);
    shmx_dict_open(&dict, memory, SIZE);
    assert_child_passes(lie, seed + i);
  }
  memset(memory, 0, SIZE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DICT(test_lists),          DICT(test_ranges),
      DICT(test_scan),           DICT(test_one_makes_and_others_wait),
      DICT(test_a_task_goes_on), DICT(test_tasks_of_the_dead_are_flushed),
      DICT(test_flush),          DICT(test_status),
      DICT(test_lies),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
