/*
 * step_arena_test.c kills who opens an arena, makes, finds, closes or removes an object, at every
 * instruction: others find all of it or nothing, and no memory is lost.
 */
#include "step.h"

#include "mem/directory.h"

enum { SIZE = 8192, NEW_SIZE = 192, DIRT = 0xA5, CONTENT = 0x5A };

static shmx_arena arena;
static shmx_arena_object kept, removed, found; /* open in the tester; `found` also in the victim */
static shmx_arena_status empty;                /* of the arena with no objects */
static bool old_may_be_gone;

static shmx_arena_status status_of(shmx_arena *which) {
  shmx_arena_status status;
  int64_t start = shmx_clock_now();
  CHECK(shmx_arena_stat(which, &status) == 0);
  CHECK(in_time(start));
  return status;
}

static void find(const char *name, uint64_t size, shmx_arena_object *object) {
  shmx_kind kind = shmx_array_kind(SHMX_U8, size);
  *object = (shmx_arena_object){0};
  int64_t start = shmx_clock_now();
  CHECK(shmx_arena_find(&arena, name, &kind, object) == 0);
  CHECK(in_time(start));
}

/* All the free memory is one object's for a while, which is zero, and then it is full of dirt. */
static void use_all_memory(uint64_t size) {
  shmx_arena_object all;
  find("all", size, &all);
  CHECK(all_are(all.memory.object.data, 0, size));
  memset(all.memory.object.data, DIRT, size);
  shmx_arena_object_close(&all);
  CHECK(shmx_arena_remove(&arena, "all") == 0);
}

/* ---- what is there before ---- */

/* "old", which is open; "other", which is not; "gone", which is open and removed. */
static void prepare(void) {
  CHECK(shmx_arena_open(&arena, shmx_anonymous(), SIZE, NULL) == 0);
  watched.data = arena.segment.object.data;
  watched.size = SIZE;
  empty = status_of(&arena);
  use_all_memory(empty.largest);
  find("old", 100, &kept);
  memset(kept.memory.object.data, CONTENT, 100);
  find("other", 300, &found);
  shmx_arena_object_close(&found);
  find("gone", 64, &removed);
  CHECK(shmx_arena_remove(&arena, "gone") == 0);
  old_may_be_gone = false;
}

static void prepare_to_remove_old(void) {
  prepare();
  old_may_be_gone = true;
}

/* The victim is a fork of the tester: it has the handles, and gets a place of its own. */
static void get_a_place(void) {
  shmx_arena_status status;
  EXPECT(shmx_arena_stat(&arena, &status) == 0);
}

static void find_old_first(void) {
  get_a_place();
  EXPECT(shmx_arena_object_check(&kept) == 0);
}

/* ---- what is done ---- */

static void find_as_victim(const char *name, uint64_t size) {
  shmx_kind kind = shmx_array_kind(SHMX_U8, size);
  found = (shmx_arena_object){0};
  EXPECT(shmx_arena_find(&arena, name, &kind, &found) == 0);
}

static void make_new(void) {
  find_as_victim("new", NEW_SIZE);
}

static void find_other(void) {
  find_as_victim("other", 300);
}

static void make_new_first(void) {
  get_a_place();
  make_new();
}

static void remove_new(void) {
  EXPECT(shmx_arena_remove(&arena, "new") == 0);
}

static void make_and_remove_new_first(void) {
  make_new_first();
  remove_new();
}

static void close_found(void) {
  shmx_arena_object_close(&found);
}

static void remove_other(void) {
  EXPECT(shmx_arena_remove(&arena, "other") == 0);
}

static void remove_old(void) {
  EXPECT(shmx_arena_remove(&arena, "old") == 0);
}

static void close_arena(void) {
  shmx_arena_close(&arena);
}

static void look_at_old(void) {
  EXPECT(shmx_arena_object_check(&kept) == 0);
}

/* ---- what others find then ---- */

static void check_entry(uint32_t number, const struct shmx_directory_entry *entry) {
  CHECK(entry->state == SHMX_LIVE || entry->state == 2);
  struct shmx_directory_entry next;
  for (uint32_t other = number + 1; other < arena.entries; other++)
    if (shmx_directory_read(&arena, other, &next)) {
      CHECK(entry->offset + entry->size <= next.offset || next.offset + next.size <= entry->offset);
      CHECK(entry->state != next.state || strcmp(entry->name, next.name) != 0);
      CHECK(entry->serial != next.serial);
    }
}

/* Every entry is free, or right; none overlap; each has a name that was given. */
static void check_entries(void) {
  struct shmx_directory_entry entry;
  for (uint32_t number = 0; number < arena.entries; number++) {
    if (!shmx_directory_read(&arena, number, &entry)) {
      CHECK(*shmx_directory_state(&arena, number) == 0);
      continue;
    }
    check_entry(number, &entry);
    bool is_new = strcmp(entry.name, "new") == 0, is_old = strcmp(entry.name, "old") == 0;
    CHECK(is_new || is_old || strcmp(entry.name, "other") == 0 || strcmp(entry.name, "gone") == 0);
    if (is_new && entry.state == SHMX_LIVE)
      CHECK(all_are(arena.segment.object.data + entry.offset, 0, entry.size));
    CHECK(!is_new || (entry.size == NEW_SIZE && entry.count == NEW_SIZE));
    CHECK(!is_old || (entry.state == SHMX_LIVE || old_may_be_gone));
  }
}

static void check_kept(void) {
  int status = shmx_arena_object_check(&kept);
  CHECK(status == 0 || (status == -EIDRM && old_may_be_gone));
  CHECK(all_are(kept.memory.object.data, CONTENT, 100));
  CHECK(shmx_arena_object_check(&removed) == -EIDRM);
}

/* With all objects removed and closed, all is as it was when there were none. */
static void check_nothing_is_lost(void) {
  shmx_arena_object_close(&kept);
  shmx_arena_object_close(&removed);
  static const char *const names[] = {"old", "other", "new"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int status = shmx_arena_remove(&arena, names[i]);
    CHECK(status == 0 || status == -ENOENT);
  }
  shmx_arena_status last = status_of(&arena);
  CHECK(last.used == empty.used && last.largest == empty.largest);
  CHECK(last.objects == 0 && last.handles == 1);
  use_all_memory(last.largest);
}

static void arena_goes_on(void) {
  shmx_arena_object object, other;
  CHECK(status_of(&arena).handles == 1);
  check_entries();
  check_kept();
  find("new", NEW_SIZE, &object);
  CHECK(all_are(object.memory.object.data, 0, NEW_SIZE));
  memset(object.memory.object.data, 1, NEW_SIZE);
  find("next", 64, &other);
  CHECK(all_are(other.memory.object.data, 0, 64));
  CHECK(all_are(object.memory.object.data, 1, NEW_SIZE));
  check_kept();
  CHECK(shmx_arena_remove(&arena, "next") == 0);
  shmx_arena_object_close(&other);
  shmx_arena_object_close(&object);
  check_nothing_is_lost();
  shmx_arena_close(&arena);
}

/* ---- opening by name ---- */

static shmx_name name;

/* What a process does but once is done before, and inherited. */
static void prepare_name(shmx_name own) {
  name = own;
  watched.size = 0;
  shmx_arena once;
  CHECK(shmx_arena_open(&once, shmx_anonymous(), SIZE, NULL) == 0);
  shmx_arena_close(&once);
}

static void prepare_posix(void) {
  prepare_name(posix_name(1));
}

static void prepare_sysv(void) {
  prepare_name(sysv_name(1));
}

static void open_it(void) {
  EXPECT(shmx_arena_open(&arena, name, SIZE, NULL) == 0);
}

/* It is there, or is made; then it is removed, and so there is nothing. */
static void opening_goes_on(void) {
  int64_t start = shmx_clock_now();
  CHECK(shmx_arena_open(&arena, name, SIZE, NULL) == 0);
  CHECK(in_time(start));
  shmx_arena_status status = status_of(&arena);
  CHECK(status.handles == 1 && status.objects == 0 && status.used == arena.start);
  use_all_memory(status.largest);
  CHECK(shmx_segment_remove(&arena.segment) == 0);
  shmx_arena_close(&arena);
  shmx_segment segment;
  CHECK(shmx_segment_attach(&segment, name, NULL) == -ENOENT);
}

/* A segment in which nobody has made an arena yet: all that is done to it can be seen. */
static shmx_segment blank;

/* Two deeds that begin here may be at work at once. */
static void prepare_blank(void) {
  name = posix_name(stepped.name[strlen(stepped.name) - 1] == 't' ? 2 : 4);
  CHECK(shmx_segment_create(&blank, name, SIZE, NULL) == 0);
  watched.data = blank.object.data;
  watched.size = SIZE;
}

static void blank_goes_on(void) {
  opening_goes_on();
  shmx_segment_detach(&blank);
}

static shmx_arena first;

static void prepare_existing(void) {
  name = posix_name(3);
  CHECK(shmx_arena_open(&first, name, SIZE, NULL) == 0);
  watched.data = first.segment.object.data;
  watched.size = SIZE;
}

static void existing_goes_on(void) {
  CHECK(status_of(&first).handles == 1);
  CHECK(shmx_arena_open(&arena, name, 0, NULL) == 0);
  CHECK(status_of(&first).handles == 2);
  shmx_arena_close(&arena);
  CHECK(shmx_segment_remove(&first.segment) == 0);
  shmx_arena_close(&first);
}

static const struct deed deeds[] = {
    {"arena: open a new one, over POSIX", prepare_posix, NULL, open_it, NULL, opening_goes_on,
     false},
    {"arena: open a new one, over System V", prepare_sysv, NULL, open_it, NULL, opening_goes_on,
     false},
    {"arena: open a blank segment", prepare_blank, NULL, open_it, NULL, blank_goes_on, false},
    {"arena: open a blank segment, cold", prepare_blank, NULL, open_it, NULL, blank_goes_on, true},
    {"arena: open an existing one", prepare_existing, NULL, open_it, NULL, existing_goes_on, false},
    {"arena: get a place after fork", prepare, NULL, look_at_old, NULL, arena_goes_on, false},
    {"arena: close", prepare, find_old_first, close_arena, NULL, arena_goes_on, false},
    {"object: make", prepare, get_a_place, make_new, NULL, arena_goes_on, false},
    {"object: find", prepare, get_a_place, find_other, NULL, arena_goes_on, false},
    {"object: close", prepare, make_new_first, close_found, NULL, arena_goes_on, false},
    {"object: remove", prepare, get_a_place, remove_other, NULL, arena_goes_on, false},
    {"object: remove what others have open", prepare_to_remove_old, get_a_place, remove_old, NULL,
     arena_goes_on, false},
    {"object: remove what is open", prepare, make_new_first, remove_new, NULL, arena_goes_on,
     false},
    {"object: close what is removed", prepare, make_and_remove_new_first, close_found, NULL,
     arena_goes_on, false},
};

static void test_whoever_is_killed_leaves_all_or_nothing(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_leaves_all_or_nothing, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
