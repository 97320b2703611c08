/*
 * torture_dict_test.c kills processes that use one dict at random, and replaces them: what is read
 * is what somebody wrote, whole; what an incr has returned is not lost; no cell is; nobody who
 * lives waits for a second.
 *
 * In the environment: SHM_KILLS, how many (200); SHM_SEED, of what is random.
 */
#include "together.h"

#include "cells.h"

enum { WORKERS = 6, SIZE = 1 << 20, COUNTERS = 8, KEYS_IN_USE = 4000, LISTS = 4, LONGEST = 6000 };

static struct shared {
  /* What each worker is about to add, and has added: its own, over all its lives. */
  _Atomic int64_t adding[WORKERS][COUNTERS], added[WORKERS][COUNTERS];
  _Atomic int64_t longest, operations, made, evicted;
  _Atomic bool finishing;
} * shared;

static void *memory;
static shmx_dict dict;    /* values that come and go, and lists */
static shmx_dict numbers; /* counters that must stay: never evicted, since never full */
static uint64_t state_of_chance;
static int64_t began;

static uint32_t chance(uint32_t below) {
  state_of_chance ^= state_of_chance >> 12;
  state_of_chance ^= state_of_chance << 25;
  state_of_chance ^= state_of_chance >> 27;
  return (uint32_t)((state_of_chance * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static void open_mine(void) {
  state_of_chance += (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15);
  shmx_dict_open(&dict, memory, SIZE);
  shmx_dict_open(&numbers, (char *)memory + SIZE, SIZE);
}

static int ended(int status) {
  int64_t took = ms_since(began), longest = shared->longest;
  while (took > longest && !atomic_compare_exchange_weak(&shared->longest, &longest, took))
    continue;
  if (took > 1000) dprintf(STDERR_FILENO, "%d ms: %s\n", (int)took, shmx_error_name(status));
  shared->operations++;
  return status;
}

#define TIMED(call) (began = shmx_clock_now(), ended(call))

/* ---- values that tell whether they are whole ---- */

static _Alignas(8) unsigned char value[LONGEST], buffer[LONGEST + 64];

static shmx_dict_item make_value(uint32_t number) {
  uint32_t length = chance(8) == 0 ? 8 + chance(LONGEST - 8) : 8 + chance(60);
  uint32_t mark = (uint32_t)getpid() ^ chance(1 << 20);
  memcpy(value, &number, 4);
  memcpy(value + 4, &mark, 4);
  for (uint32_t i = 8; i < length; i++)
    value[i] = (unsigned char)(mark * 7 + i * 13 + length);
  return (shmx_dict_item){.data = value, .length = length, .tag = mark % 100, .flags = mark};
}

static bool is_whole(const unsigned char *data, const shmx_dict_item *item, uint32_t number) {
  uint32_t told, mark;
  if (item->length < 8 || item->length > LONGEST) return false;
  memcpy(&told, data, 4);
  memcpy(&mark, data + 4, 4);
  if (told != number || mark != item->flags || mark % 100 != item->tag) return false;
  for (uint32_t i = 8; i < item->length; i++)
    if (data[i] != (unsigned char)(mark * 7 + i * 13 + item->length)) return false;
  return true;
}

/* ---- what workers do ---- */

static void add_one(int who) {
  char name[16];
  uint32_t which = chance(COUNTERS);
  snprintf(name, sizeof name, "counter %u", which);
  shared->adding[who][which]++;
  EXPECT(TIMED(add_integer(&numbers, name, 1, NULL)) == 0);
  shared->added[who][which]++;
}

static void use_value(void) {
  int64_t number = chance(KEYS_IN_USE);
  shmx_dict_key key = number_key(&number);
  shmx_dict_item item;
  bool forcible;
  shmx_dict_fetch fetch = {0};
  int status;
  switch (chance(8)) {
  case 0:
    status = TIMED(shmx_dict_delete(&dict, &key));
    EXPECT(status == 0 || status == -ENOENT);
    break;
  case 1:
  case 2:
    item = make_value((uint32_t)number);
    int64_t ttl = chance(4) == 0 ? 1 + chance(5 * MS) : 0;
    EXPECT(TIMED(shmx_dict_set(&dict, &key, &item, ttl, 0, &forcible)) == 0);
    shared->evicted += forcible;
    break;
  case 3: /* who waits for a value sleeps up to a slice: this is not timed */
    status = shmx_dict_fetch_begin(&dict, &key, &fetch, buffer, sizeof buffer, &item, in_ms(5000));
    EXPECT(status == 0);
    if (!fetch.ours) EXPECT(is_whole(buffer, &item, (uint32_t)number));
    if (!fetch.ours) break;
    item = make_value((uint32_t)number);
    status = TIMED(shmx_dict_fetch_end(&fetch, &item, 0, 0, NULL));
    EXPECT(status == 0 || status == -EEXIST);
    shared->made++;
    break;
  default:
    status = TIMED(shmx_dict_get(&dict, &key, buffer, sizeof buffer, &item));
    EXPECT(status == 0 || status == -ENOENT);
    if (status == 0) EXPECT(is_whole(buffer, &item, (uint32_t)number));
  }
}

static void use_list(void) {
  int64_t number = KEYS_IN_USE + chance(LISTS);
  shmx_dict_key key = number_key(&number);
  shmx_dict_item item = make_value((uint32_t)number);
  int status, end = (int)chance(2);
  if (chance(2) == 0)
    status = TIMED(shmx_dict_push(&dict, &key, &item, end, 0, NULL, NULL));
  else if (chance(50) == 0)
    status = TIMED(shmx_dict_delete(&dict, &key));
  else {
    status = TIMED(shmx_dict_pop(&dict, &key, end, buffer, sizeof buffer, &item));
    EXPECT(status != 0 || is_whole(buffer, &item, (uint32_t)number));
  }
  EXPECT(status == 0 || status == -ENOENT);
}

static void scan_some(void) {
  static _Alignas(8) unsigned char entries[1 << 16];
  shmx_dict_walk walk = {.cursor = chance(dict.buckets)};
  size_t length, at = 0;
  shmx_dict_key key;
  shmx_dict_item item;
  EXPECT(TIMED(shmx_dict_scan(&dict, &walk, false, 20, entries, sizeof entries, &length)) == 0);
  while (shmx_dict_next(entries, length, &at, &key, &item)) {
    int64_t number;
    memcpy(&number, key.data, sizeof number);
    EXPECT(key.is_integer && (item.count != 0 || is_whole(item.data, &item, (uint32_t)number)));
  }
}

static void work(int who) {
  open_mine();
  while (!shared->finishing)
    switch (chance(10)) {
    case 0:
      scan_some();
      break;
    case 1:
      use_list();
      break;
    case 2:
    case 3:
      add_one(who);
      break;
    default:
      use_value();
    }
}

/* ---- the tester ---- */

static long number_from(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text != NULL ? atol(text) : otherwise;
}

static void check_counters(void) {
  for (uint32_t which = 0; which < COUNTERS; which++) {
    char name[16];
    int64_t adding = 0, added = 0, sum = 0;
    snprintf(name, sizeof name, "counter %u", which);
    for (int who = 0; who < WORKERS; who++) {
      adding += shared->adding[who][which];
      added += shared->added[who][which];
    }
    assert_int_equal(add_integer(&numbers, name, 0, &sum), 0);
    assert_in_range(sum, added, adding);
  }
}

static void check_free(shmx_dict *which) {
  shmx_dict_status status;
  assert_null(what_is_wrong(which));
  assert_int_equal(shmx_dict_flush_all(which), 0);
  assert_int_equal(shmx_dict_flush_expired(which, 0, NULL), 0);
  assert_int_equal(shmx_dict_stat(which, &status), 0);
  assert_int_equal(status.free, status.room);
  assert_int_equal(status.entries, 0);
  assert_null(what_is_wrong(which));
}

static void test_kills(void **state) {
  (void)state;
  long kills = number_from("SHM_KILLS", 200), seed = number_from("SHM_SEED", (long)time(NULL));
  print_message("  SHM_SEED=%ld SHM_KILLS=%ld\n", seed, kills);
  state_of_chance = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
  int protection = PROT_READ | PROT_WRITE, flags = MAP_SHARED | MAP_ANONYMOUS;
  shared = mmap(NULL, sizeof *shared, protection, flags, -1, 0);
  memory = mmap(NULL, 2 * SIZE, protection, flags, -1, 0);
  assert_true(shared != MAP_FAILED && memory != MAP_FAILED);
  open_mine();
  pid_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    workers[i] = start_child(work, i);
  for (long i = 0; i < kills; i++) {
    nanosleep(&(struct timespec){0, chance(4000) * 1000}, NULL);
    uint32_t which = chance(WORKERS);
    kill(workers[which], SIGKILL);
    int status = wait_for(workers[which]);
    if (!WIFSIGNALED(status)) fail_msg("a worker ended by itself: status %#x", status);
    workers[which] = start_child(work, (int)which);
  }
  shared->finishing = true;
  for (int i = 0; i < WORKERS; i++)
    assert_int_equal(wait_for(workers[i]), 0);
  print_message("  %ld operations, %ld values made, %ld sets that evicted, longest wait %ld ms\n",
                (long)shared->operations, (long)shared->made, (long)shared->evicted,
                (long)shared->longest);
  check_counters();
  check_free(&dict);
  check_free(&numbers);
  assert_in_range(shared->longest, 0, longest_wait());
  munmap(memory, 2 * SIZE);
  munmap(shared, sizeof *shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_kills, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
