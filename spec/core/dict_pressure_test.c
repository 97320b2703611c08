/*
 * dict_pressure_test.c fills a dict with what may not be evicted: then every operation says so, and
 * the old values stay. Making room ends also beside a peer who takes all of it, and threads that
 * wait for each other's values are told.
 */
#include "together.h"

#include "cells.h"

#include "data/room.h"
#include "data/task.h"

enum { SMALL = 1 << 16, LARGE = 1 << 28, TASKS = 1200 };

static shmx_dict dict;
static size_t mapped;

static void open_dict(size_t size) {
  mapped = size;
  void *memory =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(memory != MAP_FAILED);
  shmx_dict_open(&dict, memory, size);
}

static int begin_small(void **state) {
  if (begin_ground(state) != 0) return -1;
  open_dict(SMALL);
  return 0;
}

static int begin_large(void **state) {
  if (begin_ground(state) != 0) return -1;
  open_dict(LARGE);
  return 0;
}

static int end_dict(void **state) {
  void *memory = dict.memory;
  shmx_dict_close(&dict);
  munmap(memory, mapped);
  return end_ground(state);
}

/* ---- a dict that is full of tasks ---- */

static shmx_dict_fetch tasks[TASKS];
static int64_t numbers[TASKS];

static int begin_number(int number) {
  shmx_dict_item item;
  char buffer[64];
  numbers[number] = number;
  shmx_dict_key key = number_key(&numbers[number]);
  return shmx_dict_fetch_begin(&dict, &key, &tasks[number], buffer, sizeof buffer, &item, 0);
}

/* How many tasks there are then: one has no room. */
static int fill_with_tasks(void) {
  int count = 0;
  while (count < TASKS && begin_number(count) == 0)
    count++;
  return count;
}

static void end_tasks(int from, int to) {
  for (int i = from; i < to; i++)
    assert_int_equal(shmx_dict_fetch_end(&tasks[i], NULL, 0, 0, NULL), 0);
}

static void test_tasks_are_not_evicted(void **state) {
  (void)state;
  int64_t start = shmx_clock_now();
  for (int i = 0; i < 100; i++)
    assert_int_equal(set_text(&dict, "a value that goes", "x", 0, 0), 0);
  int count = fill_with_tasks();
  assert_int_equal(count, dict.cells);
  assert_int_equal(begin_number(count), -ENOSPC);
  assert_int_equal(set_text(&dict, "k", "x", 0, 0), -ENOSPC);
  assert_int_equal(set_text(&dict, "k", "x", 0, SHMX_DICT_ADD), -ENOSPC);
  assert_int_equal(push_text(&dict, "k", "x", SHMX_DICT_LEFT, NULL), -ENOSPC);
  for (int i = 0; i < count; i++)
    assert_int_equal(begin_number(i), -EINVAL); /* it is not ended */
  shmx_dict_fetch again = {0};
  shmx_dict_key key = number_key(&numbers[count / 2]);
  shmx_dict_item item;
  assert_int_equal(shmx_dict_fetch_begin(&dict, &key, &again, NULL, 0, &item, 0), -EDEADLK);
  assert_true(again.recursive && again.maker == (uint32_t)getpid());
  assert_true(in_time(start));
  end_tasks(0, count);
  assert_int_equal(set_text(&dict, "k", "x", 0, 0), 0);
  assert_null(what_is_wrong(&dict));
}

/* The last value that could not be stored ended its task, too. */
static void test_a_value_without_room_ends_its_task(void **state) {
  (void)state;
  int count = fill_with_tasks();
  static char large[200];
  shmx_dict_item item = {.data = large, .length = sizeof large};
  assert_int_equal(shmx_dict_fetch_end(&tasks[0], &item, 0, 0, NULL), -ENOSPC);
  assert_null(tasks[0].dict);
  assert_int_equal(begin_number(0), 0);
  item.length = SMALL;
  assert_int_equal(shmx_dict_fetch_end(&tasks[0], &item, 0, 0, NULL), -EMSGSIZE);
  assert_int_equal(begin_number(0), 0);
  end_tasks(0, count);
}

static void test_the_old_value_stays_without_room(void **state) {
  (void)state;
  int count = fill_with_tasks();
  const char *longer = "a value that is longer than what one cell has room for";
  shmx_dict_key key = text_key("k");
  shmx_dict_item old = text_item("old"), new = text_item(longer);
  bool forcible = true;
  end_tasks(0, 1);
  assert_int_equal(set_text(&dict, "k", "old", 0, SHMX_DICT_SAFE), 0);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(set_text(&dict, "k", longer, 0, 0), -ENOSPC);
    assert_int_equal(set_text(&dict, "k", longer, 0, SHMX_DICT_REPLACE), -ENOSPC);
    assert_int_equal(shmx_dict_cas(&dict, &key, &old, &new, 0, 0, &forcible), -ENOSPC);
    assert_false(forcible);
    assert_true(is_text(&dict, "k", "old"));
  }
  assert_int_equal(delete_text(&dict, "k"), 0);
  end_tasks(1, 2);
  uint64_t length;
  assert_int_equal(push_text(&dict, "k", "element", SHMX_DICT_LEFT, NULL), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(push_text(&dict, "k", "element", i % 2, NULL), -ENOSPC);
  assert_int_equal(shmx_dict_count(&dict, &key, &length), 0);
  assert_int_equal(length, 1);
  end_tasks(2, count);
  assert_null(what_is_wrong(&dict));
}

static void fill_and_die(int unused) {
  (void)unused;
  EXPECT(fill_with_tasks() == (int)dict.cells);
}

static void test_tasks_of_the_dead_are_evicted(void **state) {
  (void)state;
  assert_child_passes(fill_and_die, 0);
  bool forcible = true;
  shmx_dict_key key = text_key("k");
  shmx_dict_item item = text_item("x");
  assert_int_equal(shmx_dict_set(&dict, &key, &item, 0, 0, &forcible), 0);
  assert_false(forcible);
  assert_null(what_is_wrong(&dict));
}

/* ---- a peer who takes all that is freed ---- */

/* Each shard says that its one free cell is its next one, too. */
static void take_all(int unused) {
  (void)unused;
  shmx_store(&dict.memory->fresh, dict.cells);
  ground->stage = 1;
  for (unsigned round = 0;; round++) {
    shmx_store(&dict.memory->free, 0);
    for (uint32_t i = 0; round % 64 == 0 && i < dict.shards; i++) {
      struct shmx_shard *shard = shmx_shard_at(&dict, i);
      shmx_store(&shard->free, shmx_pair(i + 2, 1));
      shmx_store(&shard->counts, 0);
      shmx_store(&shard->doomed, 0);
      shmx_store(&shmx_cell_at(&dict, i + 2)->words[0], shmx_pair(i + 2, 0));
    }
  }
}

static void test_making_room_ends(void **state) {
  (void)state;
  static const char value[300] = "x";
  shmx_dict_key key = text_key("k");
  shmx_dict_item item = {.data = value, .length = sizeof value};
  pid_t peer = start_child(take_all, 0);
  assert_true(UNTIL(ground->stage == 1));
  for (int i = 0; i < 3; i++) {
    int64_t start = shmx_clock_now();
    shmx_dict_set(&dict, &key, &item, 0, 0, NULL);
    assert_true(in_time(start));
  }
  end_child(peer);
}

/* ---- threads that wait for each other ---- */

enum { THREADS = 3 };

static _Atomic int making, refused, received;

/* Makes the value of its number, and needs that of the next one. */
static void *make_one(void *argument) {
  static const int64_t keys[THREADS] = {0, 1, 2};
  int number = *(const int *)argument;
  shmx_dict own, other; /* of the same memory */
  shmx_dict_open(&own, dict.memory, SMALL);
  shmx_dict_open(&other, dict.memory, SMALL);
  shmx_dict_key key = number_key(&keys[number]), next = number_key(&keys[(number + 1) % THREADS]);
  shmx_dict_fetch outer = {0}, inner = {0};
  shmx_dict_item item;
  char buffer[64];
  EXPECT(shmx_dict_fetch_begin(&own, &key, &outer, buffer, sizeof buffer, &item, 0) == 0);
  EXPECT(outer.ours);
  making++;
  EXPECT(UNTIL(making == THREADS));
  int status =
      shmx_dict_fetch_begin(&other, &next, &inner, buffer, sizeof buffer, &item, in_ms(20000));
  EXPECT(status == -EDEADLK || (status == 0 && !inner.ours));
  EXPECT(status == 0 || (!inner.recursive && inner.maker == (uint32_t)getpid()));
  refused += status != 0;
  received += status == 0;
  item = text_item("made");
  EXPECT(shmx_dict_fetch_end(&outer, &item, 0, 0, NULL) == 0);
  shmx_dict_close(&own);
  shmx_dict_close(&other);
  return NULL;
}

static void test_threads_that_wait_for_each_other(void **state) {
  (void)state;
  static const int names[THREADS] = {0, 1, 2};
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    threads[i] = start_thread(make_one, (void *)(uintptr_t)&names[i]);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(refused, 1);
  assert_int_equal(received, THREADS - 1);
}

/* A label of a peer's making hides nothing for longer than the deadline. */
static void test_a_label_is_only_a_word(void **state) {
  (void)state;
  shmx_dict_key one = text_key("one"), two = text_key("two");
  shmx_dict_fetch outer = {0}, inner = {0};
  shmx_dict_item item;
  char buffer[8];
  assert_int_equal(shmx_dict_fetch_begin(&dict, &one, &outer, buffer, 8, &item, 0), 0);
  struct shmx_place task = {.bucket = shmx_bucket_of(&dict, &two)};
  uint64_t hash[2], value[2] = {getppid(), UINT64_MAX};
  shmx_dict_key key = shmx_task_key(&dict, &two, hash);
  struct shmx_attempt attempt = {.key = &key, .place = task};
  struct shmx_hold hold;
  assert_int_equal(shmx_shard_enter(&hold, &dict, task.bucket >> dict.shard_shift), 0);
  struct shmx_new new = {.key = &key, .data = value, .length = 16, .kind = SHMX_PENDING};
  int status = -EALREADY;
  while (status == -EALREADY) {
    assert_int_equal(shmx_entry_find(&dict, &key, &attempt.place), 0);
    status = shmx_attempt_put(&hold, &attempt, &new);
  }
  shmx_shard_leave(&hold);
  assert_int_equal(status, 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(shmx_dict_fetch_begin(&dict, &two, &inner, buffer, 8, &item, in_ms(10)),
                     -ETIMEDOUT);
  assert_int_equal(inner.maker, getppid());
  assert_int_equal(shmx_dict_fetch_end(&outer, NULL, 0, 0, NULL), 0);
}

#define DICT(test, begin_dict)                                                                     \
  { #test, test, begin_dict, end_dict, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      DICT(test_tasks_are_not_evicted, begin_small),
      DICT(test_a_value_without_room_ends_its_task, begin_small),
      DICT(test_the_old_value_stays_without_room, begin_small),
      DICT(test_tasks_of_the_dead_are_evicted, begin_small),
      DICT(test_making_room_ends, begin_large),
      DICT(test_threads_that_wait_for_each_other, begin_small),
      DICT(test_a_label_is_only_a_word, begin_small),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
