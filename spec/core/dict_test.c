/*
 * dict_test.c stores, reads, counts and removes: every operation, all sizes, expiry, eviction, and
 * what is free afterwards; random operations are compared with a plain table.
 */
#include "together.h"

#include "cells.h"

static shmx_dict dict;
static size_t mapped;

static void open_dict(uint64_t size) {
  mapped = size;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  shmx_dict_open(&dict, memory, size);
}

static int begin_dict(void **state) {
  (void)state;
  open_dict(1 << 20);
  return 0;
}

static int end_dict(void **state) {
  void *memory = dict.memory;
  const char *wrong = what_is_wrong(&dict);
  if (wrong != NULL) print_error("wrong: %s\n", wrong);
  shmx_dict_close(&dict);
  munmap(memory, mapped);
  return nothing_left(state) != 0 || wrong != NULL ? -1 : 0;
}

#define DICT(test)                                                                                 \
  { #test, test, begin_dict, end_dict, NULL }

static uint64_t free_bytes(void) {
  uint64_t free;
  assert_int_equal(shmx_dict_free_space(&dict, &free), 0);
  return free;
}

static shmx_dict_status status_of(void) {
  shmx_dict_status status;
  assert_int_equal(shmx_dict_stat(&dict, &status), 0);
  return status;
}

static void sleep_ms(int64_t ms) {
  nanosleep(&(struct timespec){ms / 1000, ms % 1000 * MS}, NULL);
}

/* ---- operations ---- */

static void test_set_get_delete(void **state) {
  (void)state;
  assert_int_equal(get_status(&dict, "a"), -ENOENT);
  assert_int_equal(delete_text(&dict, "a"), -ENOENT);
  assert_int_equal(set_text(&dict, "a", "one", 0, SHMX_DICT_REPLACE), -ENOENT);
  assert_int_equal(set_text(&dict, "a", "one", 0, SHMX_DICT_ADD), 0);
  assert_int_equal(set_text(&dict, "a", "two", 0, SHMX_DICT_ADD), -EEXIST);
  assert_true(is_text(&dict, "a", "one"));
  assert_int_equal(set_text(&dict, "a", "two", 0, SHMX_DICT_REPLACE), 0);
  assert_true(is_text(&dict, "a", "two"));
  assert_int_equal(set_text(&dict, "a", "a value that is longer than one cell has room for", 0, 0),
                   0);
  assert_true(is_text(&dict, "a", "a value that is longer than one cell has room for"));
  assert_int_equal(set_text(&dict, "", "no key is a key", 0, 0), 0);
  assert_true(is_text(&dict, "", "no key is a key"));
  assert_int_equal(delete_text(&dict, "a"), 0);
  assert_int_equal(get_status(&dict, "a"), -ENOENT);
  assert_int_equal(status_of().entries, 1);
  assert_int_equal(shmx_dict_capacity(&dict), 1 << 20);
}

static void test_keys_of_integers_are_others(void **state) {
  (void)state;
  int64_t number = 0x3132333435363738;
  shmx_dict_key key = number_key(&number), bytes = {&number, 8, false};
  shmx_dict_item one = text_item("integer"), two = text_item("bytes");
  char buffer[16];
  assert_int_equal(shmx_dict_set(&dict, &key, &one, 0, 0, NULL), 0);
  assert_int_equal(shmx_dict_get(&dict, &bytes, buffer, 16, &two), -ENOENT);
  two = text_item("bytes");
  assert_int_equal(shmx_dict_set(&dict, &bytes, &two, 0, 0, NULL), 0);
  assert_int_equal(shmx_dict_get(&dict, &key, buffer, 16, &one), 0);
  assert_memory_equal(buffer, "integer", 7);
  assert_int_equal(shmx_dict_get(&dict, &bytes, buffer, 16, &one), 0);
  assert_memory_equal(buffer, "bytes", 5);
}

static void test_what_cannot_be(void **state) {
  (void)state;
  static char long_key[SHMX_DICT_KEY_MAX + 1];
  shmx_dict_key key = {long_key, SHMX_DICT_KEY_MAX + 1, false}, odd = {long_key, 4, true};
  shmx_dict_item item = text_item("x");
  char buffer[8];
  assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, 0, NULL), -EINVAL);
  assert_int_equal(shmx_dict_get(&dict, &key, buffer, 8, &item), -EINVAL);
  assert_int_equal(shmx_dict_delete(&dict, &odd), -EINVAL);
  key.length = SHMX_DICT_KEY_MAX;
  assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, 0, NULL), 0);
  item.tag = 128;
  assert_int_equal(shmx_dict_set(&dict, &odd, &item, 0, 0, NULL), -EINVAL);
  item = (shmx_dict_item){.data = dict.memory, .length = 1 << 18};
  assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, 0, NULL), -EMSGSIZE);
  assert_int_equal(set_text(&dict, "k", "twelve bytes", -2, 0), -EINVAL);
  assert_int_equal(set_text(&dict, "k", "twelve bytes", 0, 0), 0);
  key = text_key("k");
  assert_int_equal(shmx_dict_get(&dict, &key, buffer, 8, &item), -EMSGSIZE);
  assert_int_equal(item.length, 12);
}

static void test_incr(void **state) {
  (void)state;
  shmx_dict_key key = text_key("n");
  shmx_dict_number one = {SHMX_TAG_INTEGER, {.integer = 1}},
                   half = {SHMX_TAG_DOUBLE, {.real = 0.5}}, got;
  char buffer[8];
  shmx_dict_item item;
  bool forcible;
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, NULL, 0, 0, &got, NULL), -ENOENT);
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, &one, 0, 0, &got, &forcible), 0);
  assert_int_equal(got.value.integer, 2);
  for (int i = 3; i < 100; i++) {
    assert_int_equal(shmx_dict_incr(&dict, &key, &one, NULL, 0, 0, &got, NULL), 0);
    assert_int_equal(got.value.integer, i);
  }
  assert_int_equal(shmx_dict_incr(&dict, &key, &half, NULL, 0, 0, &got, NULL), 0);
  assert_true(got.tag == SHMX_TAG_DOUBLE && got.value.real == 99.5);
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, NULL, 0, 0, &got, NULL), 0);
  assert_int_equal(shmx_dict_get(&dict, &key, buffer, 8, &item), 0);
  assert_true(item.tag == SHMX_TAG_DOUBLE && memcmp(buffer, &got.value, 8) == 0);
  assert_int_equal(set_text(&dict, "n", "eight by", 0, 0), 0);
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, &one, 0, 0, &got, NULL), -EDOM);
  assert_int_equal(delete_text(&dict, "n"), 0);
  assert_int_equal(push_text(&dict, "n", "x", SHMX_DICT_LEFT, NULL), 0);
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, &one, 0, 0, &got, NULL), -EPROTOTYPE);
  key = text_key("m");
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, &one, 20 * MS, 0, &got, NULL), 0);
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, NULL, 0, 0, &got, NULL), 0);
  sleep_ms(25);
  assert_int_equal(shmx_dict_incr(&dict, &key, &one, NULL, 0, 0, &got, NULL), -ENOENT);
}

static void test_cas(void **state) {
  (void)state;
  shmx_dict_key key = text_key("c");
  shmx_dict_item a = text_item("a"), b = text_item("something longer than all of one cell, b");
  assert_int_equal(shmx_dict_cas(&dict, &key, &a, &b, 0, 0, NULL), -EAGAIN);
  assert_int_equal(shmx_dict_cas(&dict, &key, NULL, &a, 0, 0, NULL), 0);
  assert_int_equal(shmx_dict_cas(&dict, &key, NULL, &b, 0, 0, NULL), -EAGAIN);
  a.tag = 1;
  assert_int_equal(shmx_dict_cas(&dict, &key, &a, &b, 0, 0, NULL), -EAGAIN);
  a.tag = 0;
  assert_int_equal(shmx_dict_cas(&dict, &key, &a, &b, 0, 0, NULL), 0);
  assert_true(is_text(&dict, "c", b.data));
  assert_int_equal(shmx_dict_cas(&dict, &key, &a, NULL, 0, 0, NULL), -EAGAIN);
  assert_int_equal(shmx_dict_cas(&dict, &key, &b, NULL, 0, 0, NULL), 0);
  assert_int_equal(get_status(&dict, "c"), -ENOENT);
  assert_int_equal(push_text(&dict, "c", "x", SHMX_DICT_LEFT, NULL), 0);
  assert_int_equal(shmx_dict_cas(&dict, &key, NULL, &a, 0, 0, NULL), -EPROTOTYPE);
}

static void test_time(void **state) {
  (void)state;
  shmx_dict_key key = text_key("t");
  shmx_dict_item item;
  int64_t ttl;
  char buffer[8];
  bool stale;
  assert_int_equal(shmx_dict_ttl(&dict, &key, &ttl), -ENOENT);
  assert_int_equal(shmx_dict_expire(&dict, &key, 1), -ENOENT);
  assert_int_equal(set_text(&dict, "t", "x", 0, 0), 0);
  assert_int_equal(shmx_dict_ttl(&dict, &key, &ttl), 0);
  assert_int_equal(ttl, 0);
  assert_int_equal(shmx_dict_expire(&dict, &key, SHMX_SECOND), 0);
  assert_int_equal(shmx_dict_ttl(&dict, &key, &ttl), 0);
  assert_in_range(ttl, SHMX_SECOND / 2, SHMX_SECOND);
  assert_int_equal(set_text(&dict, "t", "y", SHMX_DICT_KEEP, 0), 0);
  assert_int_equal(shmx_dict_ttl(&dict, &key, &ttl), 0);
  assert_in_range(ttl, SHMX_SECOND / 2, SHMX_SECOND);
  assert_int_equal(set_text(&dict, "t", "z", 20 * MS, 0), 0);
  assert_true(is_text(&dict, "t", "z"));
  sleep_ms(25);
  assert_int_equal(get_status(&dict, "t"), -ENOENT);
  assert_int_equal(shmx_dict_ttl(&dict, &key, &ttl), -ENOENT);
  assert_int_equal(shmx_dict_get_stale(&dict, &key, buffer, 8, &item, &stale), 0);
  assert_true(stale && buffer[0] == 'z');
  assert_int_equal(set_text(&dict, "t", "new", 0, SHMX_DICT_REPLACE), -ENOENT);
  assert_int_equal(set_text(&dict, "t", "new", 0, SHMX_DICT_ADD), 0);
  assert_int_equal(shmx_dict_get_stale(&dict, &key, buffer, 8, &item, &stale), 0);
  assert_true(!stale);
}

/* ---- sizes ---- */

static unsigned char *pattern(uint64_t length, unsigned number) {
  static unsigned char data[1 << 18];
  for (uint64_t i = 0; i < length; i++)
    data[i] = (unsigned char)(number * 31 + i * 7 + (i >> 8));
  return data;
}

static void test_all_sizes(void **state) {
  (void)state;
  static unsigned char buffer[1 << 18];
  uint64_t before = free_bytes(), limit = shmx_dict_limit(&dict);
  for (uint32_t length = 0; length + 8 <= limit; length += length < 300 ? 1 : length / 3)
    for (uint32_t key_length = 0; key_length < 80; key_length += length < 300 ? 1 : 37) {
      char name[80];
      memset(name, 'k', sizeof name);
      if (8 * (shmx_words_of(key_length) + shmx_words_of(length)) > limit) continue;
      shmx_dict_key key = {name, key_length, false};
      shmx_dict_item item = {
          .data = pattern(length, key_length), .length = length, .tag = 5, .flags = length};
      assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, SHMX_DICT_SAFE, NULL), 0);
      memset(&item, 0, sizeof item);
      memset(buffer, 0xee, length + 1);
      assert_int_equal(shmx_dict_get(&dict, &key, buffer, length, &item), 0);
      assert_true(item.length == length && item.tag == 5 && item.flags == length);
      assert_memory_equal(buffer, pattern(length, key_length), length);
      assert_int_equal(buffer[length], 0xee);
      assert_int_equal(shmx_dict_delete(&dict, &key), 0);
    }
  assert_int_equal(free_bytes(), before);
}

/* ---- room ---- */

static uint64_t fill(uint32_t length, uint32_t mode, int count) {
  uint64_t stored = 0;
  for (int i = 0; i < count; i++) {
    int64_t number = (int64_t)length << 32 | i;
    shmx_dict_key key = number_key(&number);
    shmx_dict_item item = {.data = pattern(length, (unsigned)i), .length = length};
    int status = shmx_dict_set(&dict, &key, &item, 0, mode, NULL);
    if (status == 0) stored++;
    if (mode == SHMX_DICT_SAFE && status == -ENOSPC) break;
    assert_int_equal(status, 0);
  }
  return stored;
}

static void test_fill_switch_fill(void **state) {
  (void)state;
  static const uint32_t sizes[] = {100, 10000, 10, 100000, 0, 200000, 100};
  static unsigned char buffer[1 << 18];
  uint64_t before = free_bytes();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int count = (int)(3 * (1 << 20) / (sizes[i] + 50)) + 4;
    assert_int_equal(fill(sizes[i], 0, count), count);
    int64_t number = (int64_t)sizes[i] << 32 | (count - 1);
    shmx_dict_key key = number_key(&number);
    shmx_dict_item item;
    assert_int_equal(shmx_dict_get(&dict, &key, buffer, sizeof buffer, &item), 0);
    assert_memory_equal(buffer, pattern(sizes[i], (unsigned)count - 1), sizes[i]);
    assert_null(what_is_wrong(&dict));
  }
  assert_int_equal(shmx_dict_flush_all(&dict), 0);
  assert_int_equal(shmx_dict_flush_expired(&dict, 0, NULL), 0);
  assert_int_equal(free_bytes(), before);
  assert_true(status_of().evictions > 1000 && status_of().entries == 0);
}

/* Safe ones evict nothing, and can use every cell. */
static void test_safe(void **state) {
  (void)state;
  uint64_t stored = fill(10, SHMX_DICT_SAFE, 1 << 20);
  assert_int_equal(status_of().evictions, 0);
  assert_int_equal(stored, dict.cells);
  assert_int_equal(free_bytes(), 0);
  bool forcible = false;
  shmx_dict_key key = text_key("one more");
  shmx_dict_item item = text_item("x");
  assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, SHMX_DICT_SAFE, &forcible), -ENOSPC);
  assert_false(forcible);
  assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, 0, &forcible), 0);
  assert_true(forcible);
  assert_int_equal(status_of().evictions, 1);
}

/* At most 64 bytes an entry and an eighth, over all sizes: what is rounded up is more for some, and
 * less for others. */
static void test_overhead(void **state) {
  (void)state;
  for (int64_t number = 0; number < 600; number++) {
    shmx_dict_key key = number_key(&number);
    shmx_dict_item item = {.data = pattern(1000, 0), .length = (uint32_t)number};
    assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, SHMX_DICT_SAFE, NULL), 0);
  }
  shmx_dict_status status = status_of();
  assert_int_equal(status.payload, 600 * 8 + 600 * 599 / 2);
  assert_in_range(status.used, status.payload, status.payload + 600 * 64 + status.used / 8);
  assert_in_range(status.capacity - status.room, 0, status.capacity / 12);
}

/* Expired ones go first, and then what was not read. */
static void test_order_of_eviction(void **state) {
  (void)state;
  char name[32], value[48];
  memset(value, 'v', sizeof value);
  uint64_t count = 0;
  for (;; count++) {
    snprintf(name, sizeof name, "%lu", (unsigned long)count);
    value[40] = '\0';
    if (set_text(&dict, name, value, count % 4 == 0 ? 1 : 0, SHMX_DICT_SAFE) != 0) break;
    if (free_bytes() < 4096) break;
  }
  for (uint64_t i = 1; i < count; i += 2) {
    snprintf(name, sizeof name, "%lu", (unsigned long)i);
    assert_int_equal(get_status(&dict, name), 0);
  }
  for (uint64_t i = 0; i < count / 8; i++) {
    snprintf(name, sizeof name, "new %lu", (unsigned long)i);
    assert_int_equal(set_text(&dict, name, value, 0, 0), 0);
  }
  uint64_t read = 0, unread = 0;
  for (uint64_t i = 0; i < count; i++) {
    snprintf(name, sizeof name, "%lu", (unsigned long)i);
    bool there = get_status(&dict, name) == 0;
    read += there && i % 2 == 1;
    unread += there && i % 4 == 2;
  }
  assert_int_equal(read, count / 2);
  assert_in_range(unread, count / 4 * 9 / 10, count / 4 + 1);
}

/* ---- random operations against a plain table ---- */

enum { KEYS_OF_MODEL = 200, LONGEST = 3000 };

static uint64_t chance_state = 1;

static uint32_t chance(uint32_t below) {
  chance_state ^= chance_state >> 12;
  chance_state ^= chance_state << 25;
  chance_state ^= chance_state >> 27;
  return (uint32_t)((chance_state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

struct expected {
  bool there;
  uint32_t length, tag, number;
};

static void check_one(const shmx_dict_key *key, const struct expected *expected) {
  static unsigned char buffer[LONGEST];
  shmx_dict_item item;
  int status = shmx_dict_get(&dict, key, buffer, sizeof buffer, &item);
  assert_int_equal(status, expected->there ? 0 : -ENOENT);
  if (!expected->there) return;
  assert_int_equal(item.length, expected->length);
  assert_int_equal(item.tag, expected->tag);
  assert_memory_equal(buffer, pattern(item.length, expected->number), item.length);
}

static void change_one(const shmx_dict_key *key, struct expected *expected, uint32_t number) {
  static const uint32_t modes[] = {0, SHMX_DICT_ADD, SHMX_DICT_REPLACE};
  uint32_t length = chance(4) == 0 ? chance(LONGEST) : chance(40);
  if (expected->there && chance(2) == 0) length = expected->length;
  shmx_dict_item item = {.data = pattern(length, number), .length = length, .tag = chance(128)};
  uint32_t mode = modes[chance(3)];
  if (chance(4) == 0) {
    assert_int_equal(shmx_dict_delete(&dict, key), expected->there ? 0 : -ENOENT);
    expected->there = false;
    return;
  }
  int status = shmx_dict_set(&dict, key, &item, 0, mode, NULL);
  if (mode == SHMX_DICT_ADD && expected->there) {
    assert_int_equal(status, -EEXIST);
  } else if (mode == SHMX_DICT_REPLACE && !expected->there) {
    assert_int_equal(status, -ENOENT);
  } else {
    assert_int_equal(status, 0);
    *expected = (struct expected){true, length, item.tag, number};
  }
}

static void test_model(void **state) {
  (void)state;
  static struct expected model[KEYS_OF_MODEL];
  const char *wish = getenv("SHM_SEED");
  chance_state = wish != NULL ? strtoull(wish, NULL, 10) | 1 : (uint64_t)time(NULL) | 1;
  print_message("  SHM_SEED=%lu\n", (unsigned long)chance_state);
  memset(model, 0, sizeof model);
  for (uint32_t i = 0; i < 60000; i++) {
    uint32_t which = chance(KEYS_OF_MODEL);
    char name[64];
    shmx_dict_key key = {
        name, (uint32_t)snprintf(name, sizeof name, "%0*u", (int)which % 50, which), false};
    change_one(&key, &model[which], i);
    check_one(&key, &model[which]);
    which = chance(KEYS_OF_MODEL);
    key.length = (uint32_t)snprintf(name, sizeof name, "%0*u", (int)which % 50, which);
    check_one(&key, &model[which]);
    if (i % 1000 == 0) assert_null(what_is_wrong(&dict));
  }
  assert_int_equal(status_of().evictions, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DICT(test_set_get_delete),
      DICT(test_keys_of_integers_are_others),
      DICT(test_what_cannot_be),
      DICT(test_incr),
      DICT(test_cas),
      DICT(test_time),

      DICT(test_all_sizes),
      DICT(test_fill_switch_fill),
      DICT(test_safe),
      DICT(test_overhead),
      DICT(test_order_of_eviction),
      DICT(test_model),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
