/*
 * corrupt_inspect_test.c shows that whoever looks at an arena from outside comes to an end, and
 * touches nothing else, whatever stands in its memory. Who lives is made up: fuzz/world.h.
 */
#include "looking.h"

#include "../fuzz/world.h"
#include "hostile.h"

enum { SIZE = 59968 /* which ends within a page */, PARTS = 4, ROUNDS = 4000 };

/* A readonly copy in which somebody lies, with guards around it. */
static struct {
  unsigned char *pristine, *memory;
  size_t length, directory;
  uint64_t sizes[SIZES];
  shmx_segment segment;
} copy;

static void begin_copy(int number) {
  shmx_arena arena = {0};
  EXPECT(shmx_arena_open(&arena, posix_name(number), SIZE, NULL) == 0);
  make_all(&arena);
  copy.directory = arena.start;
  copy.pristine = malloc(SIZE);
  EXPECT(copy.pristine != NULL);
  memcpy(copy.pristine, arena.segment.object.data, SIZE);
  EXPECT(shmx_segment_remove(&arena.segment) == 0);
  shmx_arena_close(&arena);
  copy.memory = map_to_end(0, SIZE, &copy.length);
  copy.segment.object = (shmx_object){.data = copy.memory, .size = SIZE};
  const uint64_t sizes[SIZES] = {SIZE, SIZE - 64, copy.directory, copy.directory + 1, 2, 64};
  memcpy(copy.sizes, sizes, sizeof sizes);
}

static void end_copy(void) {
  unmap_to_end(0, copy.memory, copy.length);
  free(copy.pristine);
}

/* Bytes before the copy, too, are as they were. */
static void look_once(void) {
  unsigned sound;
  world_begin(NULL);
  int status = look_at_all(&copy.segment, &sound);
  world.on = false;
  EXPECT(status == 0 || status == -EPROTOTYPE || status == -EPROTONOSUPPORT || status == -EBADMSG ||
         status == -EXDEV);
  expect_filling(copy.memory, 64);
}

/* ---- one lie ---- */

static void lie_at(size_t at, size_t width) {
  for (unsigned which = 0; which < VALUES; which++) {
    uint64_t value = hostile_value(copy.sizes, shmx_self()->task, which);
    memcpy(copy.memory + at, &value, width);
    look_once();
  }
  memcpy(copy.memory + at, copy.pristine + at, width);
}

/* Each word of 8 bytes, of the directory also each of 4, of which a part of the test has some. Of
 * the places that no member has, and of rings, cells and slots, every seventh. */
static void tell_lies(int part) {
  begin_copy(part);
  memcpy(copy.memory, copy.pristine, SIZE);
  size_t matter = 256 + 12 * 128;
  for (size_t at = 0, turn = 0; at + 8 <= SIZE; at += 4) {
    bool used = at < matter || (at >= copy.directory && at < copy.directory + 4096);
    if ((!used && at / 4 % 7 != 0) || turn++ % PARTS != (size_t)part) continue;
    if (at % 8 == 0) lie_at(at, 8);
    if (used) lie_at(at, 4);
  }
  end_copy();
}

static void test_no_word_does_harm_whatever_it_says(void **state) {
  (void)state;
  pid_t children[PARTS];
  for (int part = 0; part < PARTS; part++)
    children[part] = start_child(tell_lies, part);
  for (int part = 0; part < PARTS; part++)
    assert_int_equal(wait_for(children[part]), 0);
}

/* ---- many ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t chance(void) { /* xorshift64*, as in scribble.h */
  seed ^= seed >> 12;
  seed ^= seed << 25;
  seed ^= seed >> 27;
  return seed * UINT64_C(0x2545f4914f6cdd1d);
}

/* All words of a range at once, all the same or each another. */
static void tell_many(int unused) {
  (void)unused;
  begin_copy(0);
  for (unsigned round = 0; round < ROUNDS; round++) {
    memcpy(copy.memory, copy.pristine, SIZE);
    size_t from = (round % 2 == 0 ? 64 : copy.directory) + chance() % 4096 / 8 * 8;
    size_t words = 1 + chance() % 1024;
    uint64_t same = hostile_value(copy.sizes, shmx_self()->task, (unsigned)(chance() >> 33));
    for (size_t at = from; words > 0 && at + 8 <= SIZE; at += 8, words--) {
      uint64_t value = round % 3 == 0 ? chance() : same;
      memcpy(copy.memory + at, &value, sizeof value);
    }
    look_once();
  }
  end_copy();
}

static void test_nor_do_many(void **state) {
  (void)state;
  assert_child_passes(tell_many, 0);
}

/* What is too small for a directory is no arena, whatever its header says; and behind the places of
 * the directory is no object, though one could be read there. */
static void tell_of_another_size(int unused) {
  (void)unused;
  unsigned sound;
  begin_copy(0);
  memcpy(copy.memory, copy.pristine, SIZE);
  size_t members = 256 + (size_t)SIZE / 2048 * 128;
  memcpy(copy.memory + members, copy.memory + 256, 128);
  EXPECT(look_at_all(&copy.segment, &sound) == 0 && sound == 9);
  size_t length;
  uint64_t small = PAGE;
  unsigned char *memory = map_to_end(1, PAGE, &length);
  memcpy(memory, copy.pristine, PAGE);
  memcpy(memory + 16, &small, sizeof small);
  shmx_segment segment = {.object = {.data = memory, .size = PAGE}};
  EXPECT(look_at_all(&segment, &sound) == -EPROTOTYPE);
  unmap_to_end(1, memory, length);
  end_copy();
}

static void test_places_are_counted_by_the_size_of_the_segment(void **state) {
  (void)state;
  assert_child_passes(tell_of_another_size, 0);
}

/* Without lies, all of it can be looked at: else the tests above would show nothing. */
static void look_at_the_truth(int unused) {
  (void)unused;
  unsigned sound;
  begin_copy(0);
  memcpy(copy.memory, copy.pristine, SIZE);
  EXPECT(look_at_all(&copy.segment, &sound) == 0 && sound == 9);
  EXPECT(memcmp(copy.memory, copy.pristine, SIZE) == 0);
  end_copy();
}

static void test_the_truth_is_looked_at_and_left(void **state) {
  (void)state;
  assert_child_passes(look_at_the_truth, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_the_truth_is_looked_at_and_left, nothing_left),
      cmocka_unit_test_teardown(test_places_are_counted_by_the_size_of_the_segment, nothing_left),
      cmocka_unit_test_teardown(test_no_word_does_harm_whatever_it_says, nothing_left),
      cmocka_unit_test_teardown(test_nor_do_many, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, NULL);
}
