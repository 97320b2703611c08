/*
 * kill_test.c shows that whoever is killed, at whatever system call, leaves all or nothing: a child
 * is stepped from stop to stop and killed at the first, the second, the third ... of them.
 */
#include "trace.h"

#include <sys/mman.h>
#include <sys/statvfs.h>

enum { SIZE = 64 << 10, GROWN = 2 * SIZE, SHRUNK = SIZE / 4, LEAST_POINTS = 6, MOST_POINTS = 2000 };

/* ---- /dev/shm as seen from outside ---- */

static bool is_private;

static int begin_apart(void **state) {
  is_private = private_directory("size=16m");
  if (!is_private) print_message("not permitted: a " DIRECTORY " of our own; looking at names\n");
  return begin(state);
}

static int files(void) {
  return count_files(is_private ? "" : tag(), false);
}

static uint64_t bytes_in_use(void) {
  struct statvfs room;
  assert_int_equal(statvfs(DIRECTORY, &room), 0);
  return is_private ? (uint64_t)(room.f_blocks - room.f_bfree) * room.f_frsize : 0;
}

static void report(const char *deed_name, int points, int absent) {
  print_message("  %s: killed at %d points, at %d of them before it was there\n", deed_name, points,
                absent);
  assert_in_range(points, LEAST_POINTS, MOST_POINTS);
}

/* ---- create ---- */

static void create_it(int backing) {
  shmx_segment segment = {0};
  EXPECT(shmx_segment_create(&segment, own_name(backing, 1), SIZE, NULL) == 0);
}

static void open_it(int backing) {
  shmx_segment segment = {0};
  EXPECT(shmx_segment_open(&segment, own_name(backing, 1), SIZE, NULL) == 0);
}

/* After a death there is nothing, or all of it. Returns whether it is there, and removes it. */
static bool nothing_or_all(shmx_name name) {
  shmx_segment segment = {0};
  shmx_stat stat;
  int status = shmx_segment_attach(&segment, name, NULL);
  if (status == -ENOENT) {
    assert_int_equal(files(), 0);
    return false;
  }
  assert_int_equal(status, 0);
  assert_int_equal(segment.object.size, SIZE);
  assert_true(all_are(segment.object.data, 0, SIZE));
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_int_equal(stat.mode, 0600);
  assert_true(name.backing == SHMX_SYSV || stat.allocated >= SIZE);
  assert_int_equal(files(), name.backing == SHMX_POSIX);
  close_and_remove(&segment);
  return true;
}

static void kill_creators(deed victim, const char *deed_name, shmx_name name) {
  uint64_t before = bytes_in_use();
  int points = 0, absent = 0;
  for (bool killed = true; killed && points < MOST_POINTS;) {
    killed = kill_at(victim, name.backing, ++points);
    bool there = nothing_or_all(name);
    assert_true(there || killed); /* who has done it has done it */
    assert_int_equal(bytes_in_use(), before);
    absent += !there;
  }
  report(deed_name, points, absent);
  assert_in_range(absent, 1, points - 1);
}

static void test_a_killed_creator_leaves_all_or_nothing(void **state) {
  kill_creators(create_it, "create", name_of(state));
}

static void test_who_is_killed_opening_what_is_not_there_leaves_all_or_nothing(void **state) {
  kill_creators(open_it, "open a new name", name_of(state));
}

/* ---- what exists already ---- */

static void attach_it(int backing) {
  shmx_segment segment = {0};
  EXPECT(shmx_segment_attach(&segment, own_name(backing, 1), NULL) == 0);
  shmx_segment_detach(&segment);
}

static void kill_users(deed victim, const char *deed_name, shmx_name name) {
  shmx_segment segment = {0}, found = {0};
  create(&segment, name, SIZE, 0);
  assert_int_equal(shmx_segment_fill(&segment, 0, 'x', SIZE), 0);
  int points = 0;
  for (bool killed = true; killed && points < MOST_POINTS;) {
    killed = kill_at(victim, name.backing, ++points);
    assert_int_equal(shmx_segment_attach(&found, name, NULL), 0);
    assert_int_equal(found.object.size, SIZE);
    assert_true(all_are(found.object.data, 'x', SIZE));
    shmx_segment_detach(&found);
    assert_int_equal(files(), name.backing == SHMX_POSIX);
    shmx_stat stat;
    assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
    assert_true(name.backing == SHMX_POSIX || stat.nattch == 1); /* ours alone */
  }
  close_and_remove(&segment);
  report(deed_name, points, 0);
}

static void test_who_is_killed_opening_leaves_it_as_it_was(void **state) {
  kill_users(open_it, "open what exists", name_of(state));
}

static void test_who_is_killed_attaching_leaves_it_as_it_was(void **state) {
  kill_users(attach_it, "attach and detach", name_of(state));
}

/* ---- another size ---- */

static void resize_it(int size) {
  shmx_segment segment = {0};
  EXPECT(shmx_segment_attach(&segment, posix_name(1), NULL) == 0);
  EXPECT(shmx_segment_resize(&segment, (size_t)size) == 0);
}

static void kill_resizers(size_t size, const char *deed_name) {
  uint64_t before = bytes_in_use();
  int points = 0, unchanged = 0;
  for (bool killed = true; killed && points < MOST_POINTS;) {
    shmx_segment segment = {0};
    create(&segment, posix_name(1), SIZE, 0);
    assert_int_equal(shmx_segment_fill(&segment, 0, 'x', SIZE), 0);
    shmx_segment_detach(&segment);
    killed = kill_at(resize_it, (int)size, ++points);
    assert_int_equal(shmx_segment_attach(&segment, posix_name(1), NULL), 0);
    size_t found = segment.object.size, kept = found < SIZE ? found : SIZE;
    assert_true(found == size || (found == SIZE && killed));
    assert_true(all_are(segment.object.data, 'x', kept));
    assert_true(all_are(segment.object.data + kept, 0, found - kept));
    unchanged += found == SIZE;
    close_and_remove(&segment);
    assert_int_equal(bytes_in_use(), before);
  }
  report(deed_name, points, unchanged);
}

static void test_who_is_killed_resizing_leaves_the_old_size_or_the_new(void **state) {
  (void)state;
  kill_resizers(GROWN, "grow");
  kill_resizers(SHRUNK, "shrink");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OVER_NAMED(test_a_killed_creator_leaves_all_or_nothing),
      OVER_NAMED(test_who_is_killed_opening_what_is_not_there_leaves_all_or_nothing),
      OVER_NAMED(test_who_is_killed_opening_leaves_it_as_it_was),
      OVER_NAMED(test_who_is_killed_attaching_leaves_it_as_it_was),
      cmocka_unit_test_teardown(test_who_is_killed_resizing_leaves_the_old_size_or_the_new,
                                nothing_left),
  };
  return cmocka_run_group_tests(tests, begin_apart, nothing_left);
}
