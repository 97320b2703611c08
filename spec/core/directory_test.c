/*
 * directory_test.c shows an arena that several processes share, that is forked, and whose memory
 * tells lies: places of the dead, memory of the removed, foreign and damaged segments.
 */
#include "together.h"

#include "mem/directory.h"

enum { SIZE = SHMX_ARENA_SIZE_MIN, HEADER = 256, ENTRY = 128, MEMBERS = HEADER + 16 * ENTRY };

static shmx_arena arena;
static shmx_arena_object object;

static int begin_arena(void **state) {
  if (begin_ground(state) != 0) return -1;
  return shmx_arena_open(&arena, posix_name(1), SIZE, NULL);
}

static int end_arena(void **state) {
  if (arena.segment.object.data != NULL) shmx_segment_remove(&arena.segment);
  shmx_arena_close(&arena);
  return end_ground(state);
}

#define IN_ARENA(test)                                                                             \
  { #test, test, begin_arena, end_arena, NULL }

static int find_in(shmx_arena *where, const char *name, uint64_t size, shmx_arena_object *found) {
  shmx_kind kind = shmx_array_kind(SHMX_U8, size);
  return shmx_arena_find(where, name, &kind, found);
}

static shmx_arena_status status(void) {
  shmx_arena_status found;
  assert_int_equal(shmx_arena_stat(&arena, &found), 0);
  return found;
}

static void *at(size_t offset) {
  return arena.segment.object.data + offset;
}

/* ---- segments that are no arenas of ours ---- */

static void assert_refused(int expected, size_t size) {
  static unsigned char before[2 * SIZE];
  shmx_segment segment;
  shmx_arena other;
  assert_int_equal(shmx_segment_attach(&segment, posix_name(1), NULL), 0);
  memcpy(before, segment.object.data, segment.object.size);
  int status = shmx_arena_open(&other, posix_name(1), size, NULL);
  bool opened = other.segment.object.data != NULL;
  shmx_arena_close(&other);
  assert_int_equal(status, expected);
  assert_false(opened);
  assert_memory_equal(before, segment.object.data, segment.object.size);
  shmx_segment_detach(&segment);
}

static void test_a_foreign_segment_is_refused_and_untouched(void **state) {
  (void)state;
  static const size_t places[] = {0, 7, 8, 63, 72, HEADER, HEADER + 5, MEMBERS, MEMBERS + 2000};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    shmx_segment segment = {0};
    create(&segment, posix_name(1), SIZE, 0);
    segment.object.data[places[i]] = 'x';
    assert_refused(-EPROTOTYPE, SIZE);
    assert_refused(-EPROTOTYPE, 0);
    close_and_remove(&segment);
  }
  shmx_segment small = {0};
  create(&small, posix_name(1), SIZE - 1, 0);
  assert_refused(-EPROTOTYPE, 0);
  assert_refused(-ERANGE, SIZE);
  close_and_remove(&small);
}

static void test_a_blank_segment_becomes_one(void **state) {
  (void)state;
  shmx_segment segment = {0};
  create(&segment, posix_name(1), SIZE, 0);
  assert_int_equal(shmx_arena_open(&arena, posix_name(1), 0, NULL), 0);
  assert_int_equal(status().handles, 1);
  shmx_arena_close(&arena);
  memset(segment.object.data, 0, SIZE); /* a creator died with the lock, having written nothing */
  *(uint64_t *)(void *)(segment.object.data + 64) = namesake(own_task());
  assert_int_equal(shmx_arena_open(&arena, posix_name(1), SIZE, NULL), 0);
  shmx_arena_close(&arena);
  *(uint32_t *)(void *)(segment.object.data + 12) = 0; /* or everything but the last */
  assert_int_equal(shmx_arena_open(&arena, posix_name(1), SIZE, NULL), 0);
  shmx_arena_close(&arena);
  close_and_remove(&segment);
}

static void test_another_version_size_or_namespace_is_refused(void **state) {
  (void)state;
  static const struct {
    size_t offset;
    int expected;
  } lies[] = {{8, -EPROTONOSUPPORT}, {16, -ERANGE}, {24, -EXDEV}, {32, -EXDEV}};
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    uint32_t *word = at(lies[i].offset);
    *word += 1;
    assert_refused(lies[i].expected, SIZE);
    if (i == 0) { /* nor completed, whatever its version means by the next word */
      *(uint32_t *)at(12) = 0;
      assert_refused(-EPROTONOSUPPORT, SIZE);
      *(uint32_t *)at(12) = 1;
    }
    *word -= 1;
  }
  assert_int_equal(ftruncate(arena.segment.object.fd, 2 * SIZE), 0);
  assert_refused(-ERANGE, 0);
}

static void open_elsewhere(int unused) {
  (void)unused;
  shmx_arena other;
  int found = shmx_arena_open(&other, posix_name(1), SIZE, NULL);
  _exit(found == -EXDEV ? 0 : 1);
}

static void enter_namespace(int unused) {
  (void)unused;
  if (unshare(CLONE_NEWPID) != 0) _exit(SKIP);
  pid_t child = fork();
  if (child == 0) {
    /* /proc must be that of the new namespace for anybody to know. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0)
      _exit(SKIP);
    open_elsewhere(0);
  }
  int found;
  EXPECT(waitpid(child, &found, 0) == child && WIFEXITED(found));
  _exit(WEXITSTATUS(found));
}

static void test_processes_of_another_namespace_are_refused(void **state) {
  (void)state;
  assert_child_passes(enter_namespace, 0);
}

/* ---- removed while others have it ---- */

static shmx_view view;

static void keep_open(int unused) {
  (void)unused;
  shmx_arena other;
  shmx_arena_object own = {0};
  EXPECT(shmx_arena_open(&other, posix_name(1), 0, NULL) == 0);
  EXPECT(find_in(&other, "x", 100, &own) == 0);
  EXPECT(shmx_view_open(&view, &own.memory, 1, 0, 100) == 0);
  memset(shmx_view_data(&view), 'x', 100);
  ground->stage = 1;
  EXPECT(UNTIL(ground->stage == 2));
  EXPECT(shmx_arena_object_check(&own) == -EIDRM);
  EXPECT(shmx_view_check(&view) == -EIDRM);
  EXPECT(all_are(own.memory.object.data, 'x', 100));
  ground->stage = 3;
  if (ground->inside == 1) stay(3);
  shmx_arena_object_close(&own);
  if (ground->inside == 2) stay(4);
  shmx_arena_close(&other);
  stay(4);
}

static void test_removed_memory_is_used_again_when_nobody_has_it(void **state) {
  (void)state;
  for (int way = 0; way < 3; way++) { /* the arena is closed; the process is killed; the object */
    ground->stage = 0;
    ground->inside = way;
    shmx_arena_status before = status();
    pid_t child = start_child(keep_open, 0);
    assert_true(UNTIL(ground->stage == 1));
    assert_int_equal(status().handles, 2);
    assert_int_equal(shmx_arena_remove(&arena, "x"), 0);
    assert_int_equal(shmx_arena_remove(&arena, "x"), -ENOENT);
    assert_int_equal(find_in(&arena, "x", 100, &object), 0); /* the name is free */
    memset(object.memory.object.data, 'y', 100);
    assert_int_equal(status().used, before.used + 256);
    assert_int_equal(shmx_arena_remove(&arena, "x"), 0);
    shmx_arena_object_close(&object);
    assert_int_equal(status().used, before.used + 128);
    ground->stage = 2;
    assert_true(UNTIL(ground->stage == (way == 1 ? 3 : 4)));
    if (way == 1) {
      kill(child, SIGKILL);
      assert_true(UNTIL(is_zombie(child)));
      assert_int_equal(find_in(&arena, "all", before.largest, &object), 0); /* nobody has swept */
      assert_int_equal(shmx_arena_remove(&arena, "all"), 0);
      shmx_arena_object_close(&object);
    }
    assert_true(UNTIL(status().used == before.used));
    assert_int_equal(status().handles, 1 + (way == 2));
    if (way != 1) kill(child, SIGKILL);
    wait_for(child);
    assert_int_equal(status().largest, before.largest);
    assert_int_equal(status().handles, 1);
  }
}

/* ---- fork ---- */

static void look_after_removal(int way) {
  ground->stage = 1;
  EXPECT(UNTIL(ground->stage == 2));
  shmx_arena_status found;
  if (way == 1) EXPECT(shmx_arena_stat(&arena, &found) == 0); /* gets a place, and looks */
  for (int i = 0; i < 2; i++) {
    EXPECT(shmx_arena_object_check(&object) == -EIDRM);
    EXPECT(shmx_view_check(&view) == -EIDRM);
  }
  shmx_arena_object_close(&object);
  EXPECT(shmx_arena_object_check(&object) == -EBADF);
  EXPECT(find_in(&arena, "x", 100, &object) == 0);
  EXPECT(all_are(object.memory.object.data, 'z', 100));
  shmx_arena_close(&arena);
}

static void test_a_child_never_sees_what_came_after(void **state) {
  (void)state;
  for (int way = 0; way < 2; way++) {
    ground->stage = 0;
    assert_int_equal(find_in(&arena, "x", 100, &object), 0);
    assert_int_equal(shmx_view_open(&view, &object.memory, 1, 0, 100), 0);
    unsigned char *before = object.memory.object.data;
    pid_t child = start_child(look_after_removal, way);
    assert_true(UNTIL(ground->stage == 1));
    assert_int_equal(shmx_arena_remove(&arena, "x"), 0);
    shmx_arena_object_close(&object);
    assert_int_equal(find_in(&arena, "x", 100, &object), 0);
    assert_ptr_equal(object.memory.object.data, before); /* the same memory, of another object */
    memset(before, 'z', 100);
    ground->stage = 2;
    assert_int_equal(wait_for(child), 0);
    assert_int_equal(shmx_arena_object_check(&object), 0);
    assert_int_equal(shmx_arena_remove(&arena, "x"), 0);
    shmx_arena_object_close(&object);
  }
}

static void use_inherited(int unused) {
  (void)unused;
  EXPECT(shmx_arena_object_check(&object) == 0);
  EXPECT(shmx_view_check(&view) == 0);
  EXPECT(status().handles == 2);
  ground->stage = 1;
  EXPECT(UNTIL(ground->stage == 2));
  EXPECT(shmx_arena_object_check(&object) == -EIDRM);
  EXPECT(all_are(object.memory.object.data, 'x', 100));
  pid_t child = fork(); /* and a grandchild */
  if (child == 0) {
    EXPECT(shmx_arena_object_check(&object) == -EIDRM);
    EXPECT(status().handles == 3);
    shmx_arena_close(&arena);
    _exit(0);
  }
  int found;
  EXPECT(waitpid(child, &found, 0) == child && found == 0);
  EXPECT(shmx_arena_object_check(&object) == -EIDRM);
}

static void close_inherited(int unused) {
  (void)unused;
  shmx_arena_object_close(&object);
  shmx_arena_close(&arena);
}

static void test_a_child_has_a_place_of_its_own(void **state) {
  (void)state;
  assert_int_equal(find_in(&arena, "x", 100, &object), 0);
  assert_int_equal(shmx_view_open(&view, &object.memory, 1, 0, 100), 0);
  memset(object.memory.object.data, 'x', 100);
  assert_child_passes(close_inherited, 0); /* closes nothing of ours */
  assert_int_equal(status().handles, 1);
  pid_t child = start_child(use_inherited, 0);
  assert_true(UNTIL(ground->stage == 1));
  assert_int_equal(shmx_arena_remove(&arena, "x"), 0);
  shmx_arena_object_close(&object);
  assert_int_equal(status().used, arena.start + 128); /* it is the child's */
  ground->stage = 2;
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(status().used, arena.start);
}

/* ---- places ---- */

static void *place(uint32_t number) {
  return at(MEMBERS + 16 * number);
}

static void test_places_run_out_and_those_of_the_dead_are_used_again(void **state) {
  (void)state;
  static shmx_arena many[128];
  shmx_arena more;
  assert_int_equal(arena.members, 128);
  for (int i = 1; i < 128; i++)
    assert_int_equal(shmx_arena_open(&many[i], posix_name(1), 0, NULL), 0);
  assert_int_equal(status().handles, 128);
  assert_int_equal(shmx_arena_open(&more, posix_name(1), 0, NULL), -EUSERS);
  assert_null(more.segment.object.data);
  shmx_arena_close(&many[5]);
  assert_int_equal(shmx_arena_open(&many[5], posix_name(1), 0, NULL), 0);
  *(uint64_t *)place(7) = namesake(shmx_process_self()); /* one of the dead, with a bit set */
  ((uint64_t *)place(7))[1] = ~UINT64_C(0);
  assert_int_equal(status().handles, 127);
  assert_int_equal(shmx_arena_open(&more, posix_name(1), 0, NULL), 0);
  assert_int_equal(((uint64_t *)place(7))[1], 0); /* it has nothing of the dead's */
  assert_true(*(uint64_t *)place(7) == shmx_process_self());
  for (int i = 1; i < 128; i++)
    shmx_arena_close(&many[i]); /* the seventh's place is another's by now; both are ours */
  shmx_arena_close(&more);
  assert_int_equal(status().handles, 1);
}

/* ---- damage ---- */

struct entry {
  uint32_t state, kind;
  uint64_t layout, offset, size, count, serial;
  char name[64], unused[16];
};

static void test_a_damaged_entry_is_an_error_and_no_crash(void **state) {
  (void)state;
  static const struct {
    uint64_t offset, size;
  } lies[] = {{0, 128},
              {64, 128},
              {SIZE, 128},
              {SIZE - 64, 128},
              {UINT64_MAX, 1},
              {4352, UINT64_MAX},
              {4352, 0},
              {4353, 64},
              {4352, 100},
              {4352, SIZE},
              {UINT64_MAX - 63, 128}};
  struct entry *entry = at(HEADER);
  shmx_arena_entry list[4];
  size_t count;
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    assert_int_equal(find_in(&arena, "x", 100, &object), 0);
    struct entry whole = *entry;
    shmx_arena_status before = status();
    entry->offset = lies[i].offset;
    entry->size = lies[i].size;
    shmx_arena_object other = {0};
    int found = find_in(&arena, "x", 100, &other); /* it cannot be, so another is made */
    assert_true(found == 0 || found == -EBADMSG);
    assert_true(found != 0 || other.memory.object.data >= (unsigned char *)at(arena.start));
    if (found == 0) memset(other.memory.object.data, 1, 100);
    shmx_arena_object_close(&other);
    assert_int_equal(find_in(&arena, "y", 64, &other), 0); /* and others are none the worse */
    assert_int_equal((uintptr_t)other.memory.object.data % SHMX_KIND_ALIGN, 0);
    assert_int_equal(shmx_arena_remove(&arena, "y"), 0);
    shmx_arena_object_close(&other);
    assert_int_equal(shmx_arena_list(&arena, list, 4, &count), 0);
    assert_in_range(count, 0, 1);
    assert_true(status().used <= SIZE && status().largest <= SIZE);
    shmx_arena_remove(&arena, "x");
    *entry = whole;
    assert_int_equal(status().used, before.used);
    assert_int_equal(shmx_arena_remove(&arena, "x"), 0);
    shmx_arena_object_close(&object);
    assert_int_equal(status().used, arena.start);
  }
}

static void test_entries_that_overlap_leave_what_is_free(void **state) {
  (void)state;
  static shmx_arena_object one, other, next; /* the arena is closed after us */
  assert_int_equal(find_in(&arena, "one", 640, &one), 0);
  assert_int_equal(find_in(&arena, "other", 64, &other), 0);
  ((struct entry *)at(HEADER + ENTRY))->offset = arena.start + 128;
  assert_int_equal(status().used, arena.start + 640);
  assert_int_equal(find_in(&arena, "next", 64, &next), 0);
  assert_ptr_equal(next.memory.object.data, at(arena.start + 640));
  ((struct entry *)at(HEADER + ENTRY))->state = 77; /* nothing that is known */
  assert_int_equal(shmx_arena_remove(&arena, "other"), -ENOENT);
  assert_int_equal(shmx_arena_object_check(&other), -EIDRM);
  ((struct entry *)at(HEADER))->size = 64; /* less than it was made with */
  shmx_arena_object same = {0};
  assert_int_equal(find_in(&arena, "one", 640, &same), -EBADMSG);
  memset(((struct entry *)at(HEADER))->name, 'n', 64); /* a name without an end */
  shmx_arena_entry list[3];
  size_t count;
  assert_int_equal(shmx_arena_list(&arena, list, 3, &count), 0);
  assert_int_equal(strlen(list[0].name), SHMX_ARENA_NAME_MAX);
}

static void fill_with_noise(int number) {
  srand((unsigned)number);
  for (size_t i = HEADER; i < arena.start; i++)
    *(unsigned char *)at(i) = rand() % 4 == 0 ? (unsigned char)rand() : (unsigned char)(i % 4 == 0);
  shmx_arena_entry list[16];
  shmx_arena_status found;
  size_t count;
  for (int i = 0; i < 20; i++) {
    char name[8] = {(char)('a' + i), '\0'};
    shmx_arena_object other = {0};
    int status = find_in(&arena, name, (uint64_t)rand() % 500 + 1, &other);
    EXPECT(status == 0 || status == -ENOSPC || status == -EBADMSG || status == -EPROTOTYPE);
    if (status == 0) memset(other.memory.object.data, 1, other.size);
    EXPECT(shmx_arena_list(&arena, list, 16, &count) == 0);
    EXPECT(shmx_arena_stat(&arena, &found) == 0);
    EXPECT(found.used <= SIZE && found.largest <= SIZE);
    shmx_arena_object_close(&other);
    shmx_arena_remove(&arena, name);
  }
}

static void test_noise_is_an_error_and_no_crash(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++)
    assert_child_passes(fill_with_noise, i);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_foreign_segment_is_refused_and_untouched, nothing_left),
      cmocka_unit_test_teardown(test_a_blank_segment_becomes_one, nothing_left),
      IN_ARENA(test_another_version_size_or_namespace_is_refused),
      IN_ARENA(test_processes_of_another_namespace_are_refused),
      IN_ARENA(test_removed_memory_is_used_again_when_nobody_has_it),
      IN_ARENA(test_a_child_never_sees_what_came_after),
      IN_ARENA(test_a_child_has_a_place_of_its_own),
      IN_ARENA(test_places_run_out_and_those_of_the_dead_are_used_again),
      IN_ARENA(test_a_damaged_entry_is_an_error_and_no_crash),
      IN_ARENA(test_entries_that_overlap_leave_what_is_free),
      IN_ARENA(test_noise_is_an_error_and_no_crash),
  };
  return cmocka_run_group_tests(tests, begin_bounded, nothing_left);
}
