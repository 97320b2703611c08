/* mapping_test.c shows where memory is mapped, with which options, and how it grows and shrinks. */
#include "support.h"

#include <sys/mman.h>

enum { SIZE = 3 * PAGE + 10, LENGTH = 4 * PAGE };

/* Where nothing is mapped, and nothing will be while there is one thread. */
static char *free_range(void) {
  void *range = mmap(NULL, LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(range != MAP_FAILED);
  assert_int_equal(munmap(range, LENGTH), 0);
  return range;
}

static int create_at(shmx_segment *segment, shmx_name name, void *address, uint32_t flags) {
  shmx_options options = {.address = address, .flags = flags};
  return shmx_segment_create(segment, name, SIZE, &options);
}

static void expect_nothing(shmx_segment *segment, shmx_name name) {
  shmx_segment found = {0};
  assert_null(segment->object.data);
  if (shmx_name_is_findable(&name))
    assert_int_equal(shmx_segment_attach(&found, name, NULL), -ENOENT);
}

/* ---- addresses ---- */

static void test_a_free_address_is_honoured(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_name name = name_of(state);
  char *address = free_range();
  assert_int_equal(create_at(&segment, name, address, 0), 0);
  assert_ptr_equal(segment.object.data, address);
  assert_int_equal(shmx_segment_write(&segment, SIZE - 1, "x", 1), 0);
  if (shmx_name_is_findable(&name)) {
    shmx_options options = {.address = free_range()};
    assert_int_equal(shmx_segment_attach(&second, name, &options), 0);
    assert_ptr_equal(second.object.data, options.address);
    assert_int_equal(second.object.data[SIZE - 1], 'x');
    shmx_segment_detach(&second);
  }
  close_and_remove(&segment);
}

static void test_an_address_within_a_page_is_refused_or_rounded(void **state) {
  shmx_segment segment = {0};
  shmx_name name = name_of(state);
  char *address = free_range();
  static const int within[] = {1, 123, PAGE / 2, PAGE - 1};
  for (int i = 0; i < 4; i++) {
    assert_int_equal(create_at(&segment, name, address + within[i], 0), -EADDRNOTAVAIL);
    expect_nothing(&segment, name);
    assert_int_equal(create_at(&segment, name, address + within[i], SHMX_ROUND), 0);
    assert_ptr_equal(segment.object.data, address);
    close_and_remove(&segment);
  }
}

static void test_an_occupied_address_is_refused(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_name name = name_of(state);
  char *range = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(range != MAP_FAILED);
  memset(range, 'm', LENGTH);
  for (int page = 0; page < 4; page++) {
    assert_int_equal(create_at(&segment, name, range + page * PAGE, 0), -EADDRINUSE);
    expect_nothing(&segment, name);
  }
  create(&segment, name, SIZE, 0);
  if (shmx_name_is_findable(&name)) {
    shmx_options options = {.address = range};
    assert_int_equal(shmx_segment_attach(&second, name, &options), -EADDRINUSE);
    assert_null(second.object.data);
  }
  assert_true(all_are(range, 'm', LENGTH)); /* what was there is there */
  munmap(range, LENGTH);
  close_and_remove(&segment);
}

/* Rounded down it is NULL, which no handle can tell from a closed one. */
static void round_down_to_null(int backing) {
  shmx_segment segment = {0};
  int status = create_at(&segment, own_name(backing, 1), (void *)100, SHMX_ROUND);
  EXPECT(status < 0 && segment.object.data == NULL);
}

static void test_no_segment_lies_at_the_null_pointer(void **state) {
  assert_child_passes(round_down_to_null, *(int *)*state);
}

static void test_an_address_does_not_hide_that_nothing_exists(void **state) {
  shmx_segment segment = {0};
  shmx_options options = {.address = free_range()};
  shmx_name missing = *(int *)*state == SHMX_SYSV ? shmx_id(INT32_MAX) : posix_name(2);
  assert_int_equal(shmx_segment_attach(&segment, missing, NULL), -ENOENT);
  assert_int_equal(shmx_segment_attach(&segment, missing, &options), -ENOENT);
}

/* ---- options ---- */

static void test_who_attaches_cannot_ask_for_the_creators_options(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_options options = {.mode = 0777, .flags = SHMX_HUGE | SHMX_NORESERVE | SHMX_POPULATE};
  shmx_stat stat;
  create(&segment, name_of(state), SIZE, 0);
  assert_int_equal(shmx_segment_attach(&second, name_of(state), &options), 0);
  assert_int_equal(second.object.length, LENGTH);
  assert_int_equal(shmx_segment_stat(&second, &stat), 0);
  assert_int_equal(stat.mode, 0600);
  shmx_segment_detach(&second);
  close_and_remove(&segment);
}

static void test_memory_is_there_from_the_start_unless_unwanted(void **state) {
  shmx_segment segment = {0};
  shmx_stat stat;
  create(&segment, name_of(state), SIZE, 0);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_true(stat.allocated >= LENGTH);
  close_and_remove(&segment);
  create(&segment, name_of(state), SIZE, SHMX_NORESERVE);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_int_equal(stat.allocated, 0);
  assert_int_equal(shmx_segment_write(&segment, PAGE, "x", 1), 0);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_true(stat.allocated >= PAGE);
  close_and_remove(&segment);
  create(&segment, name_of(state), SIZE, SHMX_NORESERVE | SHMX_POPULATE);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_true(stat.allocated >= LENGTH);
  close_and_remove(&segment);
}

/* ---- another size ---- */

static void test_a_posix_object_grows_and_shrinks(void **state) {
  static const size_t sizes[] = {SIZE + 1,  LENGTH, LENGTH + 1, 100 * PAGE,
                                 PAGE - 50, 1,      PAGE,       2 * PAGE};
  shmx_segment segment = {0}, second = {0};
  shmx_stat stat;
  create(&segment, name_of(state), SIZE, 0);
  assert_int_equal(shmx_segment_fill(&segment, 0, 'x', SIZE), 0);
  size_t kept = SIZE; /* bytes that every size so far has had */
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t size = sizes[i];
    assert_int_equal(shmx_segment_resize(&segment, size), 0);
    if (size < kept) kept = size;
    assert_int_equal(segment.object.size, size);
    assert_true(all_are(segment.object.data, 'x', kept));
    assert_true(all_are(segment.object.data + kept, 0, size - kept)); /* what is added is zero */
    assert_int_equal(shmx_segment_range(&segment, size, 1), -ERANGE);
    assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
    assert_int_equal(stat.size, size);
    assert_true(stat.allocated >= (int64_t)size);
    assert_int_equal(shmx_segment_attach(&second, name_of(state), NULL), 0);
    assert_int_equal(second.object.size, size);
    assert_int_equal(shmx_segment_write(&second, size - 1, "y", 1), 0);
    assert_int_equal(segment.object.data[size - 1], 'y'); /* they share it still */
    assert_int_equal(shmx_segment_write(&second, size - 1, size > kept ? "" : "x", 1), 0);
    shmx_segment_detach(&second);
  }
  assert_int_equal(shmx_segment_resize(&segment, 0), -EINVAL);
  assert_int_equal(shmx_segment_resize(&segment, SIZE_MAX), -EFBIG);
  assert_true(shmx_segment_resize(&segment, SIZE_MAX / 4) < 0);
  assert_int_equal(segment.object.size, 2 * PAGE); /* as it was */
  assert_int_equal(shmx_segment_fill(&segment, 0, 'z', 2 * PAGE), 0);
  close_and_remove(&segment);
}

static void test_the_other_backings_keep_their_size(void **state) {
  shmx_segment segment = {0};
  create(&segment, name_of(state), SIZE, 0);
  assert_int_equal(shmx_segment_resize(&segment, SIZE + 1), -ENOTSUP);
  assert_int_equal(shmx_segment_resize(&segment, 1), -ENOTSUP);
  assert_int_equal(segment.object.size, SIZE);
  if (segment.object.backing == SHMX_MEMFD) { /* not even behind our back */
    assert_int_equal(ftruncate(segment.object.fd, 0), -1);
    assert_int_equal(ftruncate(segment.object.fd, 2 * SIZE), -1);
  }
  assert_int_equal(shmx_segment_fill(&segment, 0, 'x', SIZE), 0);
  close_and_remove(&segment);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OVER_ALL(test_a_free_address_is_honoured),
      OVER_ALL(test_an_address_within_a_page_is_refused_or_rounded),
      OVER_ALL(test_an_occupied_address_is_refused),
      OVER_ALL(test_no_segment_lies_at_the_null_pointer),
      OVER_NAMED(test_an_address_does_not_hide_that_nothing_exists),
      OVER_NAMED(test_who_attaches_cannot_ask_for_the_creators_options),
      OVER(POSIX, test_memory_is_there_from_the_start_unless_unwanted),
      OVER(MEMFD, test_memory_is_there_from_the_start_unless_unwanted),
      OVER(POSIX, test_a_posix_object_grows_and_shrinks),
      OVER(SYSV, test_the_other_backings_keep_their_size),
      OVER(MEMFD, test_the_other_backings_keep_their_size),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
