/* corrupt_dict_test.c shows that no single lie in the memory of a dict does harm: lies.h tells
 * them.
 */
#include "dict_scene.h"

#include "lies.h"

enum { SIZE = 40000 /* two shards */, PARTS = 8 };

/* A handle that has counted, and is in the midst of a scan. */
static void begin_toys(bool used) {
  toys_begin(&all, scene.memory, scene.size);
  if (!used) return;
  toys_run(&all, GET, 0, 0);
  toys_run(&all, SCAN, 0, 20);
}

static void expect_ends(void) {
  expect_nothing_behind(&scene);
}

/* ---- all lies ---- */

/* What is said of the pool, both shards but for words that nobody uses, some buckets and the first
 * entries of keys. */
static unsigned ranges_of(struct range *ranges) {
  const size_t used = offsetof(struct shmx_shard, unused_too);
  size_t keys[TOY_KEYS];
  unsigned count = 0;
  ranges[count++] = (struct range){0, 8};
  ranges[count++] = (struct range){offsetof(struct shmx_dict_memory, lock), 40};
  for (uint32_t shard = 0; shard < scene.dict.shards; shard++)
    ranges[count++] = (struct range){place_of(&scene, shmx_shard_at(&scene.dict, shard)), used};
  for (unsigned key = 0; key < TOY_KEYS; key++) {
    ranges[count++] = (struct range){place_at_key(&scene, key), 4};
    keys[key] = place_at_key(&scene, key + 8) - 4;
    bool is_cell = keys[key] >= scene.dict.at_cells * UINT64_C(64);
    if (is_cell) ranges[count++] = (struct range){keys[key], 56};
  }
  return count;
}

static void tell_lies(int part) {
  struct range ranges[32];
  scene_begin(&scene, 0, SIZE);
  tell_lies_in(ranges, ranges_of(ranges), (unsigned)part, PARTS);
  scene_end(&scene);
  dprintf(STDOUT_FILENO, "  part %d: %lu lies\n", part, told);
}

static void test_no_field_does_harm_whatever_it_says(void **state) {
  (void)state;
  tell_all_lies(tell_lies, PARTS);
}

/* ---- some that were found ---- */

static void begin_scene(void) {
  scene_begin(&scene, 0, SIZE);
  world_begin(keep_silent);
  toys_begin(&all, scene.memory, scene.size);
}

static void end_scene(void) {
  world.on = false;
  toys_end(&all);
  expect_ends();
  scene_end(&scene);
}

/* Somebody who is stopped has it, for ever. */
static void take_pool(void) {
  write_at(offsetof(struct shmx_dict_memory, lock), (uint64_t)getppid(), 8);
}

/* Each chunk would wait for its patience, and then go on. */
static void free_much(int unused) {
  (void)unused;
  begin_scene();
  EXPECT(toys_run(&all, FLUSH_ALL, 0, 0) == 0);
  take_pool();
  int64_t start = world.now;
  EXPECT(toys_run(&all, DELETE, 0, 3) == -ENOENT);
  EXPECT(toys_run(&all, FLUSH_EXPIRED, 0, 0) == 0);
  EXPECT(world.now - start < SHMX_SECOND / 10);
  end_scene();
}

static void test_who_frees_does_not_wait_for_the_pool(void **state) {
  (void)state;
  assert_child_passes(free_much, 0);
}

/* The first entry of a key's bucket: its cell. */
static uint32_t cell_of_key(unsigned key) {
  shmx_dict_key of = toy_key(key);
  return shmx_bucket_first(&scene.dict, shmx_bucket_of(&scene.dict, &of));
}

static size_t word_of(uint32_t cell, unsigned word) {
  return place_of(&scene, &shmx_cell_at(&scene.dict, cell)->words[word]);
}

/* An entry that has expired, and whose next is itself. */
static void flush_ring(int unused) {
  (void)unused;
  begin_scene();
  uint32_t cell = cell_of_key(0);
  write_at(word_of(cell, 1), cell, 4);
  write_at(word_of(cell, 2), 1, 8);
  EXPECT(toys_run(&all, FLUSH_EXPIRED, 0, 0) == -EBADMSG);
  end_scene();
}

static void test_entries_in_a_ring_are_flushed_for_a_while(void **state) {
  (void)state;
  assert_child_passes(flush_ring, 0);
}

/* A list that was removed, and is the next one to be freed. */
static void free_ring(int unused) {
  (void)unused;
  begin_scene();
  uint32_t cell = cell_of_key(0);
  write_at(word_of(cell, 1), cell, 4);
  write_at(place_of(&scene, &shmx_shard_at(&scene.dict, 0)->doomed), cell, 8);
  toys_run(&all, FLUSH_EXPIRED, 0, 0);
  end_scene();
}

static void test_lists_in_a_ring_are_freed_for_a_while(void **state) {
  (void)state;
  assert_child_passes(free_ring, 0);
}

/* Buckets that all lead to as many entries as one may have; half of them have expired. */
static void walk_repeatedly(int unused) {
  (void)unused;
  static _Alignas(8) unsigned char buffer[1 << 16];
  shmx_dict_walk walk = {0};
  size_t length;
  begin_scene();
  for (uint32_t cell = 1; cell <= SHMX_HOPS; cell++) {
    write_at(word_of(cell, 0), UINT64_C(1) << 48, 8);
    write_at(word_of(cell, 1), cell < SHMX_HOPS ? cell + 1 : 0, 8);
    write_at(word_of(cell, 2), cell % 2, 8);
    write_at(word_of(cell, 3), 0, 8);
  }
  for (uint32_t bucket = 0; bucket < scene.dict.buckets; bucket += 2)
    write_at(place_of(&scene, shmx_bucket_word(&scene.dict, bucket)), shmx_pair(1, 1), 8);
  EXPECT(scene.dict.buckets * UINT64_C(256) > 16 * (uint64_t)scene.dict.cells);
  int status = 0;
  for (uint32_t i = 0; i < scene.dict.buckets && status == 0; i++)
    status = shmx_dict_scan(&all.dict, &walk, false, 0, buffer, sizeof buffer, &length);
  EXPECT(status == -EBADMSG && walk.cursor != 0);
  EXPECT(walk.met <= 4 * (uint64_t)scene.dict.cells + SHMX_HOPS);
  EXPECT(shmx_dict_scan(&all.dict, &walk, false, 0, buffer, sizeof buffer, &length) == -EBADMSG);
  EXPECT(shmx_dict_flush_all(&all.dict) == -EBADMSG); /* and all has expired */
  walk.cursor = 0;
  EXPECT(shmx_dict_scan(&all.dict, &walk, false, 0, buffer, sizeof buffer, &length) == -EBADMSG);
  EXPECT(shmx_dict_flush_expired(&all.dict, 0, NULL) == -EBADMSG);
  end_scene();
}

static void test_a_walk_meets_no_more_entries_than_a_dict_has(void **state) {
  (void)state;
  assert_child_passes(walk_repeatedly, 0);
}

/* A removed list for each shard, whose only element is its own next. */
static void make_endless_lists(uint64_t count) {
  const shmx_dict *dict = &scene.dict;
  for (uint32_t shard = 0; shard < dict->shards; shard++) {
    uint32_t list = dict->cells - 2 * shard, element = list - 1;
    for (unsigned word = 0; word < SHMX_CELL_WORDS; word++) {
      write_at(word_of(list, word), 0, 8);
      write_at(word_of(element, word), 0, 8);
    }
    write_at(word_of(list, 3), shmx_pair(16U | (uint32_t)SHMX_LIST << 30, 0), 8);
    write_at(word_of(list, 4), shmx_pair(element, element), 8);
    write_at(word_of(list, 5), count, 8);
    write_at(word_of(element, 1), shmx_pair(element, element), 8);
    write_at(place_of(&scene, &shmx_shard_at(dict, shard)->doomed), list, 8);
  }
}

/* How many changes all shards have committed. */
static uint64_t count_changes(void) {
  uint64_t count = 0;
  for (uint32_t shard = 0; shard < scene.dict.shards; shard++)
    count += shmx_shard_sequence(shmx_shard_at(&scene.dict, shard)) / 2;
  return count;
}

static void reap_endlessly(int unused) {
  (void)unused;
  begin_scene();
  EXPECT(scene.dict.shards > 1);
  toys_run(&all, FLUSH_ALL, 0, 0);
  toys_run(&all, FLUSH_EXPIRED, 0, 0);
  make_endless_lists(scene.dict.cells);
  uint64_t before = count_changes();
  EXPECT(shmx_dict_flush_expired(&all.dict, 0, NULL) == 0);
  EXPECT(count_changes() - before <= scene.dict.cells + scene.dict.cells / 4); /* some move cells */
  make_endless_lists(UINT64_C(1) << 60); /* more than there can be: only the lists go */
  before = count_changes();
  EXPECT(shmx_dict_flush_expired(&all.dict, 0, NULL) == 0);
  EXPECT(count_changes() - before <= 4 * scene.dict.shards);
  end_scene();
}

static void test_removed_lists_are_freed_in_as_many_steps_as_there_are_cells(void **state) {
  (void)state;
  assert_child_passes(reap_endlessly, 0);
}

/* The first element of a list is its own next. */
static void look_into_ring(int unused) {
  (void)unused;
  static _Alignas(8) unsigned char buffer[1 << 16];
  size_t length;
  begin_scene();
  shmx_dict_key key = toy_key(4);
  EXPECT(shmx_dict_elements(&all.dict, &key, 1, 1, buffer, sizeof buffer, &length) == 0);
  uint32_t cell = cell_of_key(4);
  struct shmx_entry entry;
  shmx_entry_load(&scene.dict, cell, &entry);
  struct shmx_ends at = shmx_list_ends(&scene.dict, &entry);
  EXPECT(at.count != NULL && shmx_entry_kind(&entry) == SHMX_LIST);
  uint32_t first = shmx_low(shmx_load(at.ends));
  write_at(word_of(first, 1), first, 4);
  EXPECT(shmx_dict_elements(&all.dict, &key, 1, -1, buffer, sizeof buffer, &length) == 0);
  write_at(place_of(&scene, at.count), scene.dict.cells + UINT64_C(1), 8);
  EXPECT(shmx_dict_elements(&all.dict, &key, 1, 1, buffer, sizeof buffer, &length) == -EBADMSG);
  write_at(place_of(&scene, at.count), UINT64_C(1) << 63, 8);
  EXPECT(shmx_dict_elements(&all.dict, &key, -1, -1, buffer, sizeof buffer, &length) == -EBADMSG);
  end_scene();
}

static void test_a_list_in_a_ring_has_no_more_elements_than_it_says(void **state) {
  (void)state;
  assert_child_passes(look_into_ring, 0);
}

/* Two tasks of a living thread to make a value, in every bucket. */
static void ask_often(int unused) {
  (void)unused;
  enum { LARGE = 1 << 23 };
  unsigned char *memory =
      mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shmx_dict dict;
  uint64_t count;
  EXPECT(memory != MAP_FAILED);
  shmx_dict_open(&dict, memory, LARGE);
  for (uint32_t cell = 1; cell <= 2; cell++) {
    _Atomic uint64_t *words = shmx_cell_at(&dict, cell)->words;
    shmx_store(&words[1], shmx_pair(cell % 2 * 2, cell));
    shmx_store(&words[3], shmx_pair(8U | (uint32_t)SHMX_PENDING << 30, 0));
    shmx_store(&words[4], (uint64_t)getppid());
  }
  for (uint32_t bucket = 0; bucket < dict.buckets; bucket += 2)
    shmx_store(shmx_bucket_word(&dict, bucket), shmx_pair(1, 1));
  EXPECT(2 * dict.buckets > 100000 && 2 * dict.buckets < 4 * dict.cells);
  world_begin(NULL);
  EXPECT(shmx_dict_flush_expired(&dict, 0, &count) == 0 && count == 0);
  EXPECT(world.calls < 100000); /* most of them ask whether a thread lives */
  world.on = false;
}

static void test_a_flush_does_not_ask_for_ever_whether_makers_live(void **state) {
  (void)state;
  assert_child_passes(ask_often, 0);
}

/* Each look at the clock takes six seconds more. */
static enum peer let_time_pass(void) {
  world.now += 6 * SHMX_SECOND;
  return LETS_SLEEP;
}

static void look_for_long(int unused) {
  (void)unused;
  enum { LARGE = 1 << 22, ELEMENTS = 30000 };
  static _Alignas(64) unsigned char memory[LARGE];
  static _Alignas(8) unsigned char buffer[1 << 12];
  shmx_dict dict;
  shmx_dict_key key = {"l", 1, false};
  shmx_dict_item item = {.data = "e", .length = 1};
  size_t length;
  shmx_dict_open(&dict, memory, LARGE);
  for (int i = 0; i < ELEMENTS; i++)
    EXPECT(shmx_dict_push(&dict, &key, &item, i % 2, 0, NULL, NULL) == 0);
  world_begin(let_time_pass);
  EXPECT(shmx_dict_elements(&dict, &key, 1, -1, buffer, sizeof buffer, &length) == -ETIMEDOUT);
  EXPECT(shmx_dict_elements(&dict, &key, 15000, 15000, buffer, sizeof buffer, &length) ==
         -ETIMEDOUT);
  EXPECT(shmx_dict_elements(&dict, &key, 100, 102, buffer, sizeof buffer, &length) == 0);
  EXPECT(shmx_dict_elements(&dict, &key, -100, -98, buffer, sizeof buffer, &length) == 0);
  world.on = false;
  EXPECT(shmx_dict_delete(&dict, &key) == 0); /* nobody holds the shard */
}

static void test_a_long_list_is_walked_through_for_ten_seconds_at_most(void **state) {
  (void)state;
  assert_child_passes(look_for_long, 0);
}

/* A free cell whose next is itself: the more often, the longer. */
static void level_ring(int unused) {
  (void)unused;
  begin_scene();
  for (unsigned key = 0; key < 8 * TOY_KEYS; key++)
    for (uint32_t shard = 0; shard < scene.dict.shards; shard++) {
      write_at(word_of(1, 0), 1, 4);
      write_at(place_of(&scene, &shmx_shard_at(&scene.dict, shard)->free), shmx_pair(1, UINT32_MAX),
               8);
      toys_run(&all, DELETE, 0, key);
    }
  end_scene();
}

static void test_cells_in_a_ring_are_no_more_than_there_are(void **state) {
  (void)state;
  assert_child_passes(level_ring, 0);
}

/* From one dead to the next, all the time. */
static void change_owner(int unused) {
  (void)unused;
  begin_scene();
  shmx_dict_key key = toy_key(7);
  struct shmx_place task = {.bucket = shmx_bucket_of(&scene.dict, &key)};
  EXPECT(shmx_task_find(&scene.dict, &key, &task) == 0);
  write_at(place_of(&scene, shmx_task_words(&scene.dict, &task.entry).owner), UINT64_C(1) << 63, 8);
  world.peer = count_on;
  EXPECT(toys_run(&all, FETCH, TIMEOUT, 7) == -ETIMEDOUT);
  EXPECT(toys_run(&all, FETCH, 0, 7) == -ETIMEDOUT);
  world.peer = keep_silent; /* the last of them is dead, too */
  EXPECT(toys_run(&all, FETCH, 0, 7) == 0 && all.fetch.ours);
  end_scene();
}

static void test_tasks_of_many_dead_keep_nobody(void **state) {
  (void)state;
  assert_child_passes(change_owner, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_no_field_does_harm_whatever_it_says, nothing_left),
      cmocka_unit_test_teardown(test_who_frees_does_not_wait_for_the_pool, nothing_left),
      cmocka_unit_test_teardown(test_entries_in_a_ring_are_flushed_for_a_while, nothing_left),
      cmocka_unit_test_teardown(test_lists_in_a_ring_are_freed_for_a_while, nothing_left),
      cmocka_unit_test_teardown(test_a_walk_meets_no_more_entries_than_a_dict_has, nothing_left),
      cmocka_unit_test_teardown(test_removed_lists_are_freed_in_as_many_steps_as_there_are_cells,
                                nothing_left),
      cmocka_unit_test_teardown(test_a_list_in_a_ring_has_no_more_elements_than_it_says,
                                nothing_left),
      cmocka_unit_test_teardown(test_a_flush_does_not_ask_for_ever_whether_makers_live,
                                nothing_left),
      cmocka_unit_test_teardown(test_a_long_list_is_walked_through_for_ten_seconds_at_most,
                                nothing_left),
      cmocka_unit_test_teardown(test_cells_in_a_ring_are_no_more_than_there_are, nothing_left),
      cmocka_unit_test_teardown(test_tasks_of_many_dead_keep_nobody, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
