/* segment_test.c shows a C host's way with a segment: the same over the three backings. */
#include "support.h"

enum { SIZE = 2 * PAGE + 100 }; /* the end is within a page, where the kernel checks nothing */

/* A second handle; anonymous memory has no other than the first. */
static shmx_segment *attach(shmx_segment *first, shmx_segment *second, shmx_name name,
                            uint32_t flags) {
  shmx_options options = {.flags = flags};
  if (!shmx_name_is_findable(&name)) {
    assert_int_equal(shmx_segment_attach(second, name, &options), -EINVAL);
    return first;
  }
  assert_int_equal(shmx_segment_attach(second, name, &options), 0);
  return second;
}

/* ---- made, found, shared ---- */

static void test_is_created_full_of_zeroes_and_once(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_name name = name_of(state);
  create(&segment, name, SIZE, 0);
  assert_int_equal(segment.object.size, SIZE);
  assert_int_equal(segment.object.length, 3 * PAGE);
  assert_true(all_are(segment.object.data, 0, SIZE));
  if (shmx_name_is_findable(&name)) {
    assert_int_equal(shmx_segment_create(&second, name, SIZE, NULL), -EEXIST);
    assert_null(second.object.data);
  }
  close_and_remove(&segment);
}

static void test_what_one_handle_writes_the_other_reads(void **state) {
  shmx_segment segment = {0}, second = {0};
  create(&segment, name_of(state), SIZE, 0);
  shmx_segment *other = attach(&segment, &second, name_of(state), 0);
  char text[8] = "";
  assert_int_equal(other->object.size, SIZE);
  assert_int_equal(shmx_segment_write(&segment, SIZE - 6, "hello", 6), 0);
  assert_int_equal(shmx_segment_read(other, SIZE - 6, text, 6), 0);
  assert_string_equal(text, "hello");
  assert_int_equal(shmx_segment_fill(other, 1, 0xAB, SIZE - 2), 0);
  assert_int_equal(segment.object.data[0], 0);
  assert_true(all_are(segment.object.data + 1, 0xAB, SIZE - 2));
  assert_int_equal(segment.object.data[SIZE - 1], 0);
  shmx_segment_detach(&second);
  close_and_remove(&segment);
}

static shmx_segment inherited;

static void write_as_child(int offset) {
  EXPECT(shmx_segment_write(&inherited, (uint64_t)offset, "child", 6) == 0);
  shmx_segment_detach(&inherited);
}

static void test_a_forked_child_writes_by_the_same_handle(void **state) {
  create(&inherited, name_of(state), SIZE, 0);
  assert_child_passes(write_as_child, PAGE);
  char text[6];
  assert_int_equal(shmx_segment_read(&inherited, PAGE, text, 6), 0);
  assert_string_equal(text, "child");
  close_and_remove(&inherited);
}

static void test_open_creates_or_attaches(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_name name = name_of(state);
  assert_int_equal(shmx_segment_open(&segment, name, SIZE, NULL), 0);
  assert_int_equal(shmx_segment_write(&segment, 0, "x", 1), 0);
  assert_int_equal(shmx_segment_open(&second, name, 10, NULL), 0);
  if (shmx_name_is_findable(&name)) {
    assert_int_equal(second.object.size, SIZE);
    assert_int_equal(second.object.data[0], 'x');
    shmx_segment_detach(&second);
    assert_int_equal(shmx_segment_open(&second, name, SIZE + 1, NULL), -ERANGE);
    assert_null(second.object.data);
  }
  shmx_segment_detach(&second);
  close_and_remove(&segment);
}

/* ---- bounds and rights ---- */

static void test_nothing_outside_the_bounds_is_touched(void **state) {
  static const struct {
    uint64_t offset, length;
  } outside[] = {
      {SIZE, 1},
      {SIZE + 1, 0},
      {0, SIZE + 1},
      {1, SIZE},
      {SIZE - 1, 2},
      {3 * PAGE, 1},
      {UINT64_MAX, 0},
      {UINT64_MAX, 1},
      {UINT64_MAX, UINT64_MAX},
      {0, UINT64_MAX},
      {1, UINT64_MAX},
      {SIZE, UINT64_MAX},
      {UINT64_MAX - SIZE + 1, SIZE}, /* the sum is 2^64, which is 0 */
      {UINT64_MAX - PAGE + 1, 2 * PAGE},
      {(uint64_t)1 << 63, (uint64_t)1 << 63},
  };
  static unsigned char data[SIZE + 1];
  shmx_segment segment = {0};
  create(&segment, name_of(state), SIZE, 0);
  assert_int_equal(shmx_segment_fill(&segment, 0, 'm', SIZE), 0);
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
    uint64_t offset = outside[i].offset, length = outside[i].length;
    memset(data, 'd', sizeof data);
    assert_int_equal(shmx_segment_range(&segment, offset, length), -ERANGE);
    assert_int_equal(shmx_segment_write(&segment, offset, data, length), -ERANGE);
    assert_int_equal(shmx_segment_fill(&segment, offset, 'f', length), -ERANGE);
    assert_int_equal(shmx_segment_read(&segment, offset, data, length), -ERANGE);
    assert_true(all_are(data, 'd', sizeof data));
    assert_true(all_are(segment.object.data, 'm', SIZE));
    assert_true(all_are(segment.object.data + SIZE, 0, segment.object.length - SIZE));
  }
  close_and_remove(&segment);
}

static void test_all_inside_the_bounds_can_be_used(void **state) {
  static char data[SIZE], copy[SIZE];
  shmx_segment segment = {0};
  create(&segment, name_of(state), SIZE, 0);
  for (int i = 0; i < SIZE; i++)
    data[i] = (char)(i * 7);
  assert_int_equal(shmx_segment_write(&segment, 0, data, SIZE), 0);
  assert_int_equal(shmx_segment_read(&segment, 0, copy, SIZE), 0);
  assert_memory_equal(copy, data, SIZE);
  assert_int_equal(shmx_segment_write(&segment, SIZE - 1, "z", 1), 0);
  assert_int_equal(shmx_segment_read(&segment, SIZE, copy, 0), 0); /* nothing, at the end */
  assert_int_equal(shmx_segment_write(&segment, SIZE, data, 0), 0);
  assert_int_equal(shmx_segment_fill(&segment, SIZE, 'f', 0), 0);
  assert_int_equal(segment.object.data[SIZE - 1], 'z');
  close_and_remove(&segment);
}

static void test_readonly_reads_only(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_name name = name_of(state);
  create(&segment, name, SIZE, shmx_name_is_findable(&name) ? 0 : SHMX_READONLY);
  shmx_segment *reader = attach(&segment, &second, name, SHMX_READONLY);
  char byte = 'x';
  assert_int_equal(shmx_segment_write(reader, 0, "y", 1), -EROFS);
  assert_int_equal(shmx_segment_fill(reader, 0, 'y', 1), -EROFS);
  assert_int_equal(shmx_segment_resize(reader, SIZE + 1), -EROFS);
  assert_int_equal(shmx_segment_read(reader, 0, &byte, 1), 0);
  assert_int_equal(byte, 0);
  shmx_segment_detach(&second);
  close_and_remove(&segment);
}

static void test_a_detached_handle_is_refused(void **state) {
  shmx_segment segment = {0}, never = {0}, *handles[] = {&segment, &never};
  shmx_name name = name_of(state);
  create(&segment, name, SIZE, 0);
  shmx_segment_detach(&segment);
  for (int i = 0; i < 2; i++) {
    shmx_segment *handle = handles[i];
    char byte = 'x';
    shmx_stat stat;
    shmx_change change = {-1, -1, -1};
    shmx_segment_detach(handle); /* once more, harmless */
    assert_null(handle->object.data);
    assert_int_equal(shmx_segment_range(handle, 0, 0), -EBADF);
    assert_int_equal(shmx_segment_read(handle, 0, &byte, 1), -EBADF);
    assert_int_equal(shmx_segment_write(handle, 0, &byte, 1), -EBADF);
    assert_int_equal(shmx_segment_fill(handle, 0, 0, 1), -EBADF);
    assert_int_equal(shmx_segment_stat(handle, &stat), -EBADF);
    assert_int_equal(shmx_segment_set(handle, &change), -EBADF);
    assert_int_equal(shmx_segment_resize(handle, SIZE), -EBADF);
    assert_int_equal(shmx_segment_mlock(handle), -EBADF);
    assert_int_equal(shmx_segment_munlock(handle), -EBADF);
    assert_int_equal(shmx_segment_remove(handle), -EBADF);
    assert_false(shmx_segment_lost(handle));
    assert_int_equal(byte, 'x');
  }
  if (shmx_name_is_findable(&name)) assert_int_equal(shmx_remove(name), 0);
}

/* ---- refusals ---- */

static void test_senseless_requests_are_refused(void **state) {
  shmx_segment segment = {0};
  shmx_name name = name_of(state);
  shmx_options options = {.mode = 01000};
  assert_int_equal(shmx_segment_create(&segment, name, 0, NULL), -EINVAL);
  assert_int_equal(shmx_segment_open(&segment, name, 0, NULL), -EINVAL);
  assert_int_equal(shmx_segment_create(&segment, name, SIZE, &options), -EINVAL);
  assert_int_equal(shmx_segment_create(&segment, name, SIZE_MAX, NULL), -EFBIG);
  assert_true(shmx_segment_create(&segment, name, SIZE_MAX / 2, NULL) < 0);
  assert_null(segment.object.data);
  if (shmx_name_is_findable(&name)) assert_int_equal(shmx_remove(name), -ENOENT);
}

static void test_an_unknown_backing_is_refused(void **state) {
  (void)state;
  static const int unknown[] = {INT32_MIN, -1, 0, SHMX_MEMFD + 1, INT32_MAX};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    shmx_segment segment = {0};
    shmx_name name = {unknown[i], 1, SHMX_NO_ID, "/x"};
    assert_int_equal(shmx_segment_create(&segment, name, SIZE, NULL), -EINVAL);
    assert_int_equal(shmx_segment_attach(&segment, name, NULL), -EINVAL);
    assert_int_equal(shmx_segment_open(&segment, name, SIZE, NULL), -EINVAL);
    assert_int_equal(shmx_remove(name), -EINVAL);
    assert_null(segment.object.data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OVER_ALL(test_is_created_full_of_zeroes_and_once),
      OVER_ALL(test_what_one_handle_writes_the_other_reads),
      OVER_ALL(test_a_forked_child_writes_by_the_same_handle),
      OVER_ALL(test_open_creates_or_attaches),
      OVER_ALL(test_nothing_outside_the_bounds_is_touched),
      OVER_ALL(test_all_inside_the_bounds_can_be_used),
      OVER_ALL(test_readonly_reads_only),
      OVER_ALL(test_a_detached_handle_is_refused),
      OVER_ALL(test_senseless_requests_are_refused),
      cmocka_unit_test_teardown(test_an_unknown_backing_is_refused, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
