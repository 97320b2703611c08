/*
 * lies.h: every lie that a single field can tell: at every byte of some ranges, every extreme value
 * is written, before anything is open, when all is, later, or again and again, and then all is done
 * that can be done. The system is made up, so that no wait takes time. Who includes this has a
 * scene and toys, and defines the functions that come first here.
 */
#ifndef SPEC_CORE_LIES_H
#define SPEC_CORE_LIES_H

#include "support.h"

#include "../fuzz/world.h"
#include "hostile.h"

enum { TIMEOUT = 50 * 1000 * 1000 };

static struct scene scene;
static struct toys all;

/* Closed, or open and in use. */
static void begin_toys(bool used);

/* What nobody may have written to is as it was. */
static void expect_ends(void);

/* ---- the peer ---- */

static struct {
  size_t place, width;
  uint64_t value;
} lie;

static void tell(void) {
  size_t room = scene.size - lie.place;
  memcpy(scene.memory + lie.place, &lie.value, lie.width < room ? lie.width : room);
}

static inline void write_at(size_t place, uint64_t value, size_t width) {
  lie.place = place;
  lie.value = value;
  lie.width = width;
  tell();
}

static enum peer keep_silent(void) {
  world.limit = toy_limit < INT64_MAX ? toy_limit + SHMX_SECOND : INT64_MAX;
  return LETS_SLEEP;
}

static inline enum peer signal_always(void) {
  keep_silent();
  return SIGNALS;
}

static enum peer repeat(void) {
  tell();
  return keep_silent();
}

/* From one lie to the next: no sleep on the word is a long one. */
static enum peer count_on(void) {
  lie.value++;
  return repeat();
}

/* Once, in one call or before another. */
static unsigned calls_before;

static enum peer tell_later(void) {
  if (calls_before > 0 && --calls_before == 0) tell();
  return keep_silent();
}

/* ---- one lie ---- */

enum way { BEFORE, MEANWHILE, LATER, AGAIN, COUNTING, WAYS };

static void do_all(enum way way, unsigned turn) {
  scene_reset(&scene);
  world_begin(keep_silent);
  begin_toys(way != BEFORE);
  if (way != LATER) tell();
  calls_before = turn % 64 + 1;
  if (way == LATER) world.peer = tell_later;
  if (way == AGAIN) world.peer = repeat;
  if (way == COUNTING) world.peer = count_on;
  toys_run_all(&all, TIMEOUT);
  toys_end(&all);
  world.on = false;
  expect_ends();
}

/* ---- all lies ---- */

struct range {
  size_t from, length;
};

static unsigned long told;

static void tell_everything_at(size_t place, unsigned value) {
  static const size_t widths[] = {8, 4, 1};
  for (unsigned i = 0; i < 3; i++) {
    if (i == 1 && place % 4 != 0) continue;
    if (i == 2 && value > 3) continue;
    for (int way = 0; way < WAYS; way++) {
      if (way >= LATER && place % 4 != 0) continue;
      lie.place = place;
      lie.width = widths[i];
      lie.value = hostile_value(scene.sizes, shmx_self()->task, value);
      do_all((enum way)way, (unsigned)told);
      told++;
    }
  }
}

/* One part of them, of so many. */
static void tell_lies_in(const struct range *ranges, unsigned count, unsigned part,
                         unsigned parts) {
  unsigned turn = 0;
  for (unsigned i = 0; i < count; i++)
    for (size_t at = 0; at < ranges[i].length; at++)
      for (unsigned value = 0; value < VALUES; value++)
        if (turn++ % parts == part) tell_everything_at(ranges[i].from + at, value);
}

static void tell_all_lies(void (*tell_part)(int), int parts) {
  pid_t children[16];
  for (int part = 0; part < parts; part++)
    children[part] = start_child(tell_part, part);
  for (int part = 0; part < parts; part++)
    assert_int_equal(wait_for(children[part]), 0);
}

#endif
