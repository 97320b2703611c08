/* spin_test.c: how long a waiter looks, as its record decides: met events, and spins without one.
 */
#include "support.h"

#include "sync/spin.h"

enum { MOST = 2000 };

static _Atomic uint64_t word;

static bool meets(shmx_spin *spin) {
  return shmx_spin_while(spin, &word, atomic_load(&word) + 1);
}

static bool misses(shmx_spin *spin) {
  return !shmx_spin_while(spin, &word, atomic_load(&word));
}

/* Waits until the next trial has met nothing; how many had no spin before it. */
static uint32_t waits_to_trial(shmx_spin *spin) {
  uint32_t pause = spin->pause, waits = 0;
  while (spin->pause == pause && waits < 100000 && misses(spin))
    waits++;
  return waits - 1;
}

static shmx_spin open_spin(uint32_t most) {
  shmx_spin spin;
  shmx_spin_open(&spin, most);
  if (spin.most == 0 && most != 0) skip(); /* one core */
  return spin;
}

static void test_a_spin_that_meets_nothing_halves_the_next_down_to_none(void **state) {
  (void)state;
  shmx_spin spin = open_spin(MOST);
  uint32_t before = spin.times;
  assert_int_equal(before, MOST);
  while (spin.times != 0) {
    assert_true(misses(&spin));
    assert_true(spin.times <= before / 2);
    before = spin.times;
  }
}

static void test_a_whole_spin_is_tried_now_and_then_ever_more_seldom(void **state) {
  (void)state;
  shmx_spin spin = open_spin(MOST);
  while (spin.times != 0)
    assert_true(misses(&spin));
  uint32_t before = waits_to_trial(&spin);
  assert_true(before > 0);
  for (int trial = 0; trial < 5; trial++) {
    uint32_t waits = waits_to_trial(&spin);
    assert_int_equal(waits, 2 * before);
    assert_int_equal(spin.times, 0);
    before = waits;
  }
}

static void test_the_pause_between_trials_ends(void **state) {
  (void)state;
  shmx_spin spin = open_spin(64);
  for (int wait = 0; wait < 20000; wait++)
    assert_true(misses(&spin));
  assert_true(spin.wait <= 1024 && spin.pause <= 1024);
}

static void test_a_trial_that_meets_an_event_brings_spinning_back(void **state) {
  (void)state;
  shmx_spin spin = open_spin(MOST);
  while (spin.times != 0)
    assert_true(misses(&spin));
  while (!meets(&spin))
    continue;
  assert_int_equal(spin.times, MOST);
  assert_true(meets(&spin));
}

static void test_a_spin_of_zero_looks_never(void **state) {
  (void)state;
  shmx_spin spin = open_spin(0);
  for (int wait = 0; wait < 5000; wait++)
    assert_false(meets(&spin));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_spin_that_meets_nothing_halves_the_next_down_to_none),
      cmocka_unit_test(test_a_whole_spin_is_tried_now_and_then_ever_more_seldom),
      cmocka_unit_test(test_the_pause_between_trials_ends),
      cmocka_unit_test(test_a_trial_that_meets_an_event_brings_spinning_back),
      cmocka_unit_test(test_a_spin_of_zero_looks_never),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
