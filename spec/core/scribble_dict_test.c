/*
 * scribble_dict_test.c shows that a peer who writes into a dict whatever and wherever he likes, as
 * fast as he can, may spoil what is in it, and nothing else: who works with it meanwhile gets
 * errors, or other values, in time. scribble.h has them.
 */
#include "dict_scene.h"

#include "scribble.h"

static void begin_toys(unsigned number) {
  (void)number;
  toys_begin(&all, scene.memory, scene.size);
}

static int work_once(void) {
  unsigned which = below(OPERATIONS);
  bool seldom = which == FLUSH_ALL || which == REOPEN;
  if (seldom && below(8) != 0) which = below(2) ? GET : SET;
  return toys_run(&all, which, below(2) ? 0 : TIMEOUT / (1 + below(100)), below(256));
}

static void scribble_over(uint64_t size) {
  scene_begin(&scene, 0, size);
  scribble_under_workers(0.8);
  scene_end(&scene);
}

static void test_a_scribbling_peer_harms_no_small_dict(void **state) {
  (void)state;
  scribble_over(SHMX_DICT_SIZE_MIN);
}

static void test_a_scribbling_peer_harms_no_dict_of_shards(void **state) {
  (void)state;
  scribble_over(70000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_no_small_dict, nothing_left),
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_no_dict_of_shards, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin_run, nothing_left);
}
