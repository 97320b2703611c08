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
      cmocka_unit_test_teardown(test_cells_in_a_ring_are_no_more_than_there_are, nothing_left),
      cmocka_unit_test_teardown(test_tasks_of_many_dead_keep_nobody, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
