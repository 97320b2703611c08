/*
 * threads_dict_test.c has threads hand plain data over through a dict that is too small for all of
 * it: by values, lists, scans, and values that one makes. Built for the thread sanitizer (make
 * asan), it shows that readers without a lock order memory as they should.
 */
#include "messages.h"

enum { THREADS = 4, TIMES = 10000, IN_USE = 32, LISTS = 2, ROOM = 1 << 14 };

/* Plain memory: who stores a number has written it before, and who finds the number reads it. */
static struct {
  _Alignas(64) unsigned char memory[SHMX_DICT_SIZE_MIN];
  long plain[2 * THREADS * TIMES], popped[2 * THREADS * TIMES];
  _Atomic uint64_t next;
  _Atomic long found, taken, scanned;
} place;

static shmx_dict_key key_of(const int64_t *number) {
  return (shmx_dict_key){number, 8, true};
}

/* Its flags are the number: so no two values differ in one word alone, which would be stored
 * without the sequence; and the sanitizer knows nothing of the fence that orders it then. */
static shmx_dict_item new_item(unsigned char bytes[LONGEST_TOLD]) {
  uint64_t number = place.next++;
  EXPECT(number < 2 * THREADS * TIMES);
  place.plain[number] = 1;
  shmx_message message = message_of(bytes, number);
  return (shmx_dict_item){message.data, message.length, message.tag, .flags = (uint32_t)number};
}

static uint64_t expect_whole(const shmx_dict_item *item) {
  shmx_message message = {item->data, item->length, item->tag};
  uint64_t number = number_of(&message);
  EXPECT(number < place.next && item->flags == number && place.plain[number] == 1);
  return number;
}

/* ---- what threads do ---- */

static void store(shmx_dict *dict, int64_t number) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_dict_key key = key_of(&number);
  shmx_dict_item item = new_item(bytes);
  EXPECT(shmx_dict_set(dict, &key, &item, number % 5 == 0 ? MS : 0, 0, NULL) == 0);
}

static void push(shmx_dict *dict, int64_t number) {
  unsigned char bytes[LONGEST_TOLD];
  shmx_dict_key key = key_of(&number);
  shmx_dict_item item = new_item(bytes);
  EXPECT(shmx_dict_push(dict, &key, &item, (int)place.next % 2, 0, NULL, NULL) == 0);
}

/* What makes others go: one that is no message, with a key that is a text. */
static void crowd_out(shmx_dict *dict, int64_t number) {
  static const char much[900];
  char name[24];
  snprintf(name, sizeof name, "%d", (int)number % 20);
  shmx_dict_key key = {name, (uint32_t)strlen(name), false};
  shmx_dict_item item = {.data = much, .length = (uint32_t)(number * 37 % 900)};
  EXPECT(shmx_dict_set(dict, &key, &item, 0, 0, NULL) == 0);
}

static void make(shmx_dict *dict, int64_t number) {
  _Alignas(8) unsigned char buffer[LONGEST_TOLD];
  shmx_dict_key key = key_of(&number);
  shmx_dict_item item;
  shmx_dict_fetch fetch = {0};
  EXPECT(shmx_dict_fetch_begin(dict, &key, &fetch, buffer, sizeof buffer, &item, SHMX_FOREVER) ==
         0);
  if (!fetch.ours) {
    expect_whole(&item);
    return;
  }
  item = new_item(buffer);
  int status = shmx_dict_fetch_end(&fetch, &item, 0, 0, NULL);
  EXPECT(status == 0 || status == -EEXIST);
}

static void *write_all(void *unused) {
  shmx_dict dict;
  shmx_dict_open(&dict, place.memory, sizeof place.memory);
  const shmx_dict_key counter = {"sum", 3, false};
  const shmx_dict_number one = {SHMX_TAG_INTEGER, {.integer = 1}}, none = {SHMX_TAG_INTEGER, {0}};
  for (int64_t i = 0; i < TIMES; i++) {
    int64_t number = i * 7 % IN_USE;
    store(&dict, number);
    if (i % 3 == 0) push(&dict, IN_USE + i % LISTS);
    if (i % 5 == 0) crowd_out(&dict, i);
    if (i % 8 == 0) make(&dict, number);
    if (i % 50 == 0) {
      shmx_dict_key key = key_of(&number);
      int status = shmx_dict_delete(&dict, &key);
      EXPECT(status == 0 || status == -ENOENT);
    }
    if (i % 500 == 0) EXPECT(shmx_dict_flush_expired(&dict, 0, NULL) == 0);
    EXPECT(shmx_dict_incr(&dict, &counter, &one, &none, 0, 0, NULL, NULL) == 0);
  }
  shmx_dict_close(&dict);
  return unused;
}

static void look(shmx_dict *dict, int64_t number) {
  _Alignas(8) unsigned char buffer[LONGEST_TOLD];
  shmx_dict_key key = key_of(&number);
  shmx_dict_item item;
  int status = shmx_dict_get(dict, &key, buffer, sizeof buffer, &item);
  EXPECT(status == 0 || status == -ENOENT);
  if (status == 0) expect_whole(&item), place.found++;
}

/* Each is popped once. */
static void pop(shmx_dict *dict, int64_t number, int end) {
  _Alignas(8) unsigned char buffer[LONGEST_TOLD];
  shmx_dict_key key = key_of(&number);
  shmx_dict_item item;
  int status = shmx_dict_pop(dict, &key, end, buffer, sizeof buffer, &item);
  EXPECT(status == 0 || status == -ENOENT);
  if (status != 0) return;
  EXPECT(place.popped[expect_whole(&item)]++ == 0);
  place.taken++;
}

static void expect_all_whole(const void *buffer, size_t length) {
  size_t at = 0;
  shmx_dict_key key;
  shmx_dict_item item;
  while (shmx_dict_next(buffer, length, &at, &key, &item)) {
    bool is_list = item.count != 0, is_message = key.is_integer || key.length == 0;
    if (is_message && !is_list) expect_whole(&item), place.scanned++;
  }
}

static void scan(shmx_dict *dict, shmx_dict_walk *walk) {
  _Alignas(8) unsigned char buffer[ROOM];
  size_t length;
  int64_t number = IN_USE;
  shmx_dict_key key = key_of(&number);
  EXPECT(shmx_dict_scan(dict, walk, false, 20, buffer, sizeof buffer, &length) == 0);
  expect_all_whole(buffer, length);
  int status = shmx_dict_elements(dict, &key, 1, -1, buffer, sizeof buffer, &length);
  EXPECT(status == 0 || status == -ENOENT || status == -EMSGSIZE);
  if (status == 0) expect_all_whole(buffer, length);
}

static void *read_all(void *unused) {
  shmx_dict dict;
  shmx_dict_walk walk = {0};
  shmx_dict_status status;
  shmx_dict_open(&dict, place.memory, sizeof place.memory);
  EXPECT(UNTIL(place.next > 2 * IN_USE)); /* there is something to read */
  for (int64_t i = 0; i < TIMES; i++) {
    look(&dict, i * 5 % IN_USE);
    if (i % 4 == 0) pop(&dict, IN_USE + i % LISTS, (int)i / 2 % 2);
    if (i % 8 == 0) make(&dict, i * 3 % IN_USE);
    if (i % 16 == 0) scan(&dict, &walk);
    if (i % 500 == 0) EXPECT(shmx_dict_stat(&dict, &status) == 0);
  }
  shmx_dict_close(&dict);
  return unused;
}

static void test_dict(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  shmx_dict dict;
  shmx_dict_status status;
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(i % 2 == 0 ? write_all : read_all, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  shmx_dict_open(&dict, place.memory, sizeof place.memory);
  assert_int_equal(shmx_dict_stat(&dict, &status), 0);
  assert_true(place.found > 0 && place.taken > 0 && place.scanned > 0 && status.evictions > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_dict)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
