/* facts_test.c shows that a call that fails leaves in its handle what it has found. */
#include "support.h"

#include "mem/arena.h"
#include "os/semaphores.h"
#include "sync/barrier.h"
#include "sync/mutex.h"
#include "sync/semaphore.h"

enum { SIZE = 65536 };

static shmx_arena arena;

static int begin_arena(void **state) {
  (void)state;
  return shmx_arena_open(&arena, posix_name(1), SIZE, NULL);
}

static int end_arena(void **state) {
  (void)state;
  shmx_segment_remove(&arena.segment);
  shmx_arena_close(&arena);
  return 0;
}

static void assert_facts(const shmx_facts *facts, int status, uint32_t fact, uint64_t found,
                         uint64_t wanted) {
  assert_int_equal(facts->status, status);
  assert_int_equal(facts->fact, fact);
  assert_int_equal(facts->found, found);
  assert_int_equal(facts->wanted, wanted);
}

static void test_a_segment_tells_the_size_that_it_has(void **state) {
  (void)state;
  shmx_segment other = {0};
  assert_int_equal(shmx_segment_open(&other, posix_name(1), SIZE + 1, NULL), -ERANGE);
  assert_null(other.object.data);
  assert_facts(&other.object.facts, -ERANGE, SHMX_FACT_SIZE, SIZE, SIZE + 1);
}

static void test_an_arena_tells_the_size_and_the_format_that_it_has(void **state) {
  (void)state;
  static const size_t sizes[] = {SHMX_ARENA_SIZE_MIN, SIZE - 1, SIZE + 1, 2 * SIZE};
  shmx_arena other;
  const shmx_facts *facts = &other.segment.object.facts;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_int_equal(shmx_arena_open(&other, posix_name(1), sizes[i], NULL), -ERANGE);
    assert_facts(facts, -ERANGE, SHMX_FACT_SIZE, SIZE, sizes[i]);
  }
  uint32_t *format = (uint32_t *)(void *)(arena.segment.object.data + 8);
  assert_int_equal(*format, SHMX_ARENA_FORMAT);
  *format = 1;
  assert_int_equal(shmx_arena_open(&other, posix_name(1), SIZE, NULL), -EPROTONOSUPPORT);
  assert_facts(facts, -EPROTONOSUPPORT, SHMX_FACT_FORMAT, 1, SHMX_ARENA_FORMAT);
  assert_int_equal(shmx_arena_open(&other, posix_name(1), 2 * SIZE, NULL), -EPROTONOSUPPORT);
  assert_facts(facts, -EPROTONOSUPPORT, SHMX_FACT_FORMAT, 1, SHMX_ARENA_FORMAT);
  *format = SHMX_ARENA_FORMAT;
}

static void test_a_segment_that_is_no_arena_is_told_by_its_size(void **state) {
  (void)state;
  shmx_segment segment = {0};
  shmx_arena other;
  assert_int_equal(shmx_segment_create(&segment, posix_name(2), SIZE, NULL), 0);
  segment.object.data[100] = 1;
  assert_int_equal(shmx_arena_open(&other, posix_name(2), 0, NULL), -EPROTOTYPE);
  assert_facts(&other.segment.object.facts, -EPROTOTYPE, SHMX_FACT_NO_ARENA, SIZE, 0);
  assert_int_equal(shmx_arena_open(&other, posix_name(2), 2 * SIZE, NULL), -ERANGE);
  assert_facts(&other.segment.object.facts, -ERANGE, SHMX_FACT_NO_ARENA, SIZE, 2 * SIZE);
  shmx_segment_remove(&segment);
  shmx_segment_detach(&segment);
}

static void test_an_object_of_another_kind_is_told(void **state) {
  (void)state;
  shmx_arena_object made, asked = {0};
  shmx_kind two = shmx_semaphore_kind(2), four = shmx_semaphore_kind(4);
  shmx_kind array = shmx_array_kind(SHMX_U16, 7);
  const shmx_facts *facts = &asked.memory.object.facts;
  assert_int_equal(shmx_arena_find(&arena, "s", &two, &made), 0);
  assert_int_equal(shmx_arena_find(&arena, "s", &four, &asked), -EPROTOTYPE);
  assert_facts(facts, -EPROTOTYPE, SHMX_FACT_KIND, 2, 4);
  assert_int_equal(facts->kind, SHMX_KIND_SEMAPHORE);
  assert_int_equal(facts->layout, two.layout);
  shmx_arena_object_close(&made);
  assert_int_equal(shmx_arena_find(&arena, "v", &array, &made), 0);
  assert_int_equal(shmx_arena_find(&arena, "v", &two, &asked), -EPROTOTYPE);
  assert_int_equal(facts->kind, SHMX_KIND_ARRAY);
  assert_int_equal(shmx_array_type(facts->layout, facts->found), SHMX_U16);
  assert_int_equal(shmx_array_type(facts->layout + 1, facts->found), SHMX_TYPES);
  shmx_arena_object_close(&made);
}

static void test_an_object_without_room_is_told_the_largest_extent(void **state) {
  (void)state;
  static const uint64_t counts[] = {SIZE, SIZE - 1, UINT64_MAX - 1, UINT64_MAX};
  shmx_arena_object asked = {0};
  shmx_arena_status status;
  assert_int_equal(shmx_arena_stat(&arena, &status), 0);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    shmx_kind kind = shmx_array_kind(SHMX_U8, counts[i]);
    assert_int_equal(shmx_arena_find(&arena, "x", &kind, &asked), -ENOSPC);
    assert_facts(&asked.memory.object.facts, -ENOSPC, SHMX_FACT_EXTENT, status.largest, counts[i]);
  }
}

static void test_a_full_directory_is_told_with_what_was_removed_and_is_open(void **state) {
  (void)state;
  static shmx_arena_object open[SHMX_ARENA_OBJECTS_MAX];
  shmx_arena_object asked = {0};
  shmx_kind kind = shmx_mutex_kind();
  char name[16];
  for (uint32_t i = 0; i < arena.entries; i++) {
    snprintf(name, sizeof name, "m%u", i);
    assert_int_equal(shmx_arena_find(&arena, name, &kind, &open[i]), 0);
  }
  for (uint32_t removed = 0; removed <= 2; removed++) {
    assert_int_equal(shmx_arena_find(&arena, "more", &kind, &asked), -ENOSPC);
    assert_facts(&asked.memory.object.facts, -ENOSPC, SHMX_FACT_OBJECTS, removed, 0);
    assert_int_equal(asked.memory.object.facts.limit, arena.entries);
    snprintf(name, sizeof name, "m%u", removed);
    assert_int_equal(shmx_arena_remove(&arena, name), 0);
  }
  for (uint32_t i = 0; i < arena.entries; i++)
    shmx_arena_object_close(&open[i]);
}

static void test_an_arena_that_is_open_too_often_is_told_by_its_places(void **state) {
  (void)state;
  static shmx_arena handles[SHMX_ARENA_HANDLES_MAX];
  uint32_t count = 0;
  int status = 0;
  while (count < arena.members && status == 0) {
    status = shmx_arena_open(&handles[count], posix_name(1), 0, NULL);
    if (status == 0) count++;
  }
  assert_int_equal(status, -EUSERS);
  assert_facts(&handles[count].segment.object.facts, -EUSERS, SHMX_FACT_HANDLES, arena.members, 0);
  while (count > 0)
    shmx_arena_close(&handles[--count]);
}

static void test_facts_are_of_their_status_only(void **state) {
  (void)state;
  shmx_segment other = {0};
  assert_int_equal(shmx_segment_open(&other, posix_name(1), SIZE + 1, NULL), -ERANGE);
  assert_int_equal(shmx_segment_attach(&other, posix_name(3), NULL), -ENOENT);
  assert_int_equal(other.object.facts.status, 0);
}

static void test_semaphores_are_explained_by_the_kernel(void **state) {
  (void)state;
  shmx_semaphores set, other;
  shmx_facts facts;
  assert_int_equal(shmx_semaphores_open(&set, shmx_key(SHMX_PRIVATE), 3, NULL), 0);
  assert_int_equal(shmx_semaphores_open(&other, shmx_id(set.id), 4, NULL), -ERANGE);
  shmx_semaphores_explain(shmx_id(set.id), 4, -ERANGE, &facts);
  assert_facts(&facts, -ERANGE, SHMX_FACT_SIZE, 3, 4);
  shmx_semaphores_explain(shmx_id(set.id), 4, -EACCES, &facts);
  assert_int_equal(facts.status, 0);
  assert_int_equal(shmx_semaphores_remove(&set), 0);
}

int main(void) {
#define with_arena(test) cmocka_unit_test_setup_teardown(test, begin_arena, end_arena)
  const struct CMUnitTest tests[] = {
      with_arena(test_a_segment_tells_the_size_that_it_has),
      with_arena(test_an_arena_tells_the_size_and_the_format_that_it_has),
      cmocka_unit_test(test_a_segment_that_is_no_arena_is_told_by_its_size),
      with_arena(test_an_object_of_another_kind_is_told),
      with_arena(test_an_object_without_room_is_told_the_largest_extent),
      with_arena(test_a_full_directory_is_told_with_what_was_removed_and_is_open),
      with_arena(test_an_arena_that_is_open_too_often_is_told_by_its_places),
      with_arena(test_facts_are_of_their_status_only),
      cmocka_unit_test(test_semaphores_are_explained_by_the_kernel),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
