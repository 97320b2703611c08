/*
 * scribble_test.c shows that a peer who writes into an arena whatever and wherever he likes, as
 * fast as he can, may spoil what is in it, and nothing else: who works with it meanwhile gets
 * errors in time. scribble.h has them.
 */
#include "arena_scene.h"

#include "scribble.h"

#include <pthread.h>

enum { SIZE = 70000 };

static void begin_toys(unsigned number) {
  toys_begin(&all, posix_name(0), guarded_address(number, scene.length));
}

static int work_once(void) {
  unsigned which = below(OPERATIONS);
  if (which == CLOSE && below(4) != 0) which = OPEN; /* it is closed seldom */
  return toys_run(&all, which, below(2) ? TIMEOUT : 0, below(256));
}

static void test_a_scribbling_peer_harms_nobody(void **state) {
  (void)state;
  scene_begin(&scene, posix_name(0).posix, SIZE);
  scribble_under_workers(1.5);
  scene_end(&scene);
}

/* ---- one word that never stands still ---- */

static _Atomic bool resting;

static void *count_on(void *word) {
  while (!resting)
    __atomic_fetch_add((uint32_t *)word, 1, __ATOMIC_RELAXED);
  return NULL;
}

/* With all places taken by one who lives, and is no sleeper of ours. */
static void take_all_places(int toy) {
  for (size_t at = 64; at < scene.toy_sizes[toy]; at += 8)
    memcpy(scene.memory + scene.toys[toy] + at, &(uint64_t){1}, 8);
}

static void work_with_counting_word(int toy, size_t offset) {
  pthread_t thread;
  for (unsigned which = ARRAY_USE; which < LIST; which++) { /* those with a timeout */
    scene_reset(&scene);
    EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
    EXPECT(toys_run(&all, FIND, 0, (unsigned)toy) == 0);
    take_all_places(toy);
    resting = false;
    EXPECT(pthread_create(&thread, NULL, count_on, scene.memory + scene.toys[toy] + offset) == 0);
    toys_run(&all, which, TIMEOUT / 5, 2);
    resting = true;
    EXPECT(pthread_join(thread, NULL) == 0);
    toys_run(&all, CLOSE, 0, 0);
  }
}

static void work_with_counting_words(int toy) {
  scene_begin(&scene, posix_name(toy).posix, SIZE);
  toys_begin(&all, posix_name(toy), guarded_address(0, scene.length));
  for (size_t offset = 0; offset < 72 && offset < scene.toy_sizes[toy]; offset += 4)
    if (offset < 32 || offset >= 64) work_with_counting_word(toy, offset);
  scene_end(&scene);
}

static void test_a_word_that_never_stands_still_keeps_nobody(void **state) {
  (void)state;
  pid_t children[TOYS];
  for (int toy = MUTEX; toy <= BARRIER; toy++)
    children[toy] = start_child(work_with_counting_words, toy);
  for (int toy = MUTEX; toy <= BARRIER; toy++)
    expect_end(children[toy], "who worked with it");
}

/* ---- one field that is now this, now that ---- */

static struct {
  size_t place;
  uint64_t values[2];
} flip;

static void *flip_on(void *unused) {
  (void)unused;
  while (!resting)
    for (int i = 0; i < 2; i++)
      __atomic_store_n((uint64_t *)(void *)(scene.memory + flip.place), flip.values[i],
                       __ATOMIC_RELAXED);
  return NULL;
}

/* What is checked and what is used must have been read at once: else some round shows it. */
static void work_with_flipping_word(unsigned first, unsigned last) {
  pthread_t thread;
  EXPECT(toys_run(&all, OPEN, 0, 0) == 0);
  resting = false;
  EXPECT(pthread_create(&thread, NULL, flip_on, NULL) == 0);
  int64_t deadline = shmx_clock_deadline(0.1);
  while (shmx_clock_now() < deadline) {
    toys_run(&all, FIND, 0, SEMAPHORE);
    for (unsigned which = first; which <= last; which++)
      toys_run(&all, which, 0, LISTED);
    toys_run(&all, CLOSE_OBJECT, 0, SEMAPHORE);
  }
  resting = true;
  EXPECT(pthread_join(thread, NULL) == 0);
  toys_run(&all, CLOSE, 0, 0);
}

/* What no object can have, and what it has. */
static void flip_entry(size_t field) {
  const uint64_t values[] = {0, UINT64_MAX - 63, scene.size / 64 * 64};
  for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
    scene_reset(&scene);
    flip.place = AT_ENTRIES + SEMAPHORE * ENTRY_SIZE + field;
    memcpy(&flip.values[0], scene.memory + flip.place, 8);
    flip.values[1] = values[i];
    work_with_flipping_word(LIST, STAT);
  }
}

/* One permit that is free and taken at once, the others are taken; behind the last is nothing. */
static void flip_permit(void) {
  size_t at = scene.toys[SEMAPHORE] + 64, end = at + PERMITS * 8;
  scene_reset(&scene);
  for (size_t place = at; place < end; place += 8)
    memcpy(scene.memory + place, &(uint64_t){1}, 8);
  flip.place = end - 8;
  flip.values[1] = 1;
  work_with_flipping_word(ACQUIRE, RELEASE);
  EXPECT(all_are(scene.memory + end, 0, scene.toys[CONDITION] - end));
}

enum { PERMIT, STATE, OFFSET, LENGTH, FLIPS };

static void work_with_flipping_words(int which) {
  static const size_t fields[FLIPS] = {[STATE] = 0, [OFFSET] = 16, [LENGTH] = 24};
  scene_begin(&scene, posix_name(which).posix, SIZE);
  toys_begin(&all, posix_name(which), guarded_address(0, scene.length));
  if (which == PERMIT)
    flip_permit();
  else
    flip_entry(fields[which]);
  scene_end(&scene);
}

static void test_a_field_that_is_now_this_now_that_is_read_once(void **state) {
  (void)state;
  pid_t children[FLIPS];
  for (int which = 0; which < FLIPS; which++)
    children[which] = start_child(work_with_flipping_words, which);
  for (int which = 0; which < FLIPS; which++)
    expect_end(children[which], "who worked with it");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_scribbling_peer_harms_nobody, nothing_left),
      cmocka_unit_test_teardown(test_a_word_that_never_stands_still_keeps_nobody, nothing_left),
      cmocka_unit_test_teardown(test_a_field_that_is_now_this_now_that_is_read_once, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin_run, nothing_left);
}
