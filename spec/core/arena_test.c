/* arena_test.c shows objects that are made, found, removed and listed, over the three backings. */
#include "together.h"

enum { SIZE = 64 << 10 };

static shmx_kind bytes(uint64_t size) {
  return shmx_array_kind(SHMX_U8, size);
}

static void open_arena(shmx_arena *arena, shmx_name name, size_t size) {
  assert_int_equal(shmx_arena_open(arena, name, size, NULL), 0);
}

static void close_and_unlink(shmx_arena *arena) {
  if (arena->segment.object.backing != SHMX_MEMFD)
    assert_int_equal(shmx_segment_remove(&arena->segment), 0);
  else
    assert_int_equal(shmx_segment_remove(&arena->segment), -ENOTSUP);
  shmx_arena_close(arena);
  shmx_arena_close(arena); /* what is closed is left as it is */
}

static unsigned char *find(shmx_arena *arena, const char *name, uint64_t size,
                           shmx_arena_object *object) {
  shmx_kind kind = bytes(size);
  assert_int_equal(shmx_arena_find(arena, name, &kind, object), 0);
  assert_int_equal(object->memory.object.size, size);
  assert_int_equal((uintptr_t)object->memory.object.data % SHMX_KIND_ALIGN, 0);
  return object->memory.object.data;
}

static int find_status(shmx_arena *arena, const char *name, shmx_kind kind) {
  shmx_arena_object object = {0};
  int status = shmx_arena_find(arena, name, &kind, &object);
  shmx_arena_object_close(&object);
  return status;
}

static shmx_arena_status status_of(shmx_arena *arena) {
  shmx_arena_status status;
  assert_int_equal(shmx_arena_stat(arena, &status), 0);
  return status;
}

/* ---- opening ---- */

static void test_is_made_once_and_found_then(void **state) {
  shmx_name name = name_of(state);
  shmx_arena one, other;
  shmx_arena_object object, same;
  if (shmx_name_is_findable(&name)) assert_int_equal(shmx_arena_open(&one, name, 0, NULL), -ENOENT);
  open_arena(&one, name, SIZE);
  shmx_arena_status status = status_of(&one);
  assert_int_equal(status.size, SIZE);
  assert_int_equal(status.used, one.start);
  assert_int_equal(status.largest, SIZE - one.start);
  assert_int_equal(status.objects, 0);
  assert_int_equal(status.entries, SIZE / 2048);
  assert_int_equal(status.handles, 1);
  memcpy(find(&one, "text", 6, &object), "hello", 6);
  if (shmx_name_is_findable(&name)) {
    open_arena(&other, name, 0);
    assert_int_equal(status_of(&other).handles, 2);
    assert_string_equal((char *)find(&other, "text", 6, &same), "hello");
    shmx_arena_close(&other);
    assert_null(same.memory.object.data);
    assert_int_equal(shmx_arena_open(&other, name, SIZE + 1, NULL), -ERANGE);
    assert_int_equal(shmx_arena_open(&other, name, SIZE - 1, NULL), -ERANGE);
    assert_int_equal(shmx_arena_open(&other, name, SHMX_ARENA_SIZE_MIN, NULL), -ERANGE);
  }
  assert_int_equal(status_of(&one).handles, 1);
  close_and_unlink(&one);
  assert_int_equal(shmx_arena_object_check(&object), -EBADF);
}

static void test_what_cannot_be_opened(void **state) {
  shmx_arena arena;
  shmx_options readonly = {.flags = SHMX_READONLY};
  shmx_name name = name_of(state);
  assert_int_equal(shmx_arena_open(&arena, name, SIZE, &readonly), -EROFS);
  assert_int_equal(shmx_arena_open(&arena, name, SHMX_ARENA_SIZE_MIN - 1, NULL), -EINVAL);
  shmx_arena_close(&arena);
  open_arena(&arena, name, SHMX_ARENA_SIZE_MIN);
  close_and_unlink(&arena);
  shmx_arena_status status;
  size_t count;
  assert_int_equal(shmx_arena_stat(&arena, &status), -EBADF);
  assert_int_equal(shmx_arena_list(&arena, NULL, 0, &count), -EBADF);
  assert_int_equal(shmx_arena_remove(&arena, "x"), -EBADF);
  assert_int_equal(find_status(&arena, "x", bytes(1)), -EBADF);
}

static void open_with_others(int backing) {
  while (ground->stage == 0)
    sched_yield();
  shmx_arena arena;
  shmx_arena_object object = {0};
  shmx_kind kind = bytes(64);
  EXPECT(shmx_arena_open(&arena, own_name(backing, 1), SHMX_ARENA_SIZE_MIN, NULL) == 0);
  EXPECT(shmx_arena_find(&arena, "counter", &kind, &object) == 0);
  atomic_fetch_add((_Atomic int *)(void *)object.memory.object.data, 1);
  shmx_arena_close(&arena);
}

static void test_two_that_open_at_once_have_the_same(void **state) {
  enum { TIMES = 100, BOTH = 2 };
  int backing = *(int *)*state;
  assert_int_equal(begin_ground(NULL), 0);
  for (int i = 0; i < TIMES; i++) {
    pid_t children[BOTH];
    ground->stage = 0;
    for (int j = 0; j < BOTH; j++)
      children[j] = start_child(open_with_others, backing);
    ground->stage = 1;
    for (int j = 0; j < BOTH; j++)
      assert_int_equal(wait_for(children[j]), 0);
    shmx_arena arena;
    shmx_arena_object object;
    open_arena(&arena, own_name(backing, 1), 0);
    assert_int_equal(*(int *)(void *)find(&arena, "counter", 64, &object), BOTH);
    assert_int_equal(status_of(&arena).handles, 1);
    close_and_unlink(&arena);
  }
  munmap(ground, sizeof *ground);
}

/* ---- objects ---- */

static void test_objects_are_apart_and_zero_at_first(void **state) {
  shmx_arena arena;
  shmx_arena_object a, b, c, again;
  open_arena(&arena, name_of(state), SIZE);
  unsigned char *at = find(&arena, "a", 100, &a);
  memset(at, 'a', 100);
  memset(find(&arena, "b", 64, &b), 'b', 64);
  assert_true(all_are(at, 'a', 100));
  assert_int_equal(shmx_arena_remove(&arena, "a"), 0);
  assert_int_equal(status_of(&arena).used, arena.start + 128 + 64);
  assert_int_equal(shmx_arena_object_check(&a), -EIDRM);
  assert_true(find(&arena, "c", 100, &c) != at); /* "a" is open still */
  shmx_arena_object_close(&a);
  assert_int_equal(shmx_arena_object_check(&a), -EBADF);
  assert_ptr_equal(find(&arena, "a", 128, &again), at);
  assert_true(all_are(at, 0, 128));
  assert_true(all_are(b.memory.object.data, 'b', 64));
  assert_int_equal(status_of(&arena).used, arena.start + 128 + 64 + 128);
  close_and_unlink(&arena);
}

static void test_names_have_1_to_63_bytes(void **state) {
  char name[SHMX_ARENA_NAME_MAX + 2];
  shmx_arena arena;
  shmx_arena_object object, other, same;
  shmx_arena_entry list[3];
  size_t count;
  open_arena(&arena, name_of(state), SIZE);
  memset(name, 'x', sizeof name);
  name[SHMX_ARENA_NAME_MAX + 1] = '\0';
  assert_int_equal(find_status(&arena, name, bytes(1)), -EINVAL);
  assert_int_equal(find_status(&arena, "", bytes(1)), -EINVAL);
  assert_int_equal(find_status(&arena, "empty", bytes(0)), -EINVAL);
  assert_int_equal(status_of(&arena).objects, 0);
  name[SHMX_ARENA_NAME_MAX] = '\0';
  unsigned char *at = find(&arena, name, 1, &object);
  assert_true(find(&arena, "x", 1, &other) != at);
  assert_ptr_equal(find(&arena, name, 1, &same), at);
  assert_int_equal(shmx_arena_list(&arena, list, 3, &count), 0);
  assert_int_equal(count, 2);
  assert_string_equal(list[0].name, name);
  assert_string_equal(list[1].name, "x");
  assert_int_equal(list[0].kind, SHMX_KIND_ARRAY);
  assert_int_equal(list[0].count, 1);
  assert_int_equal(shmx_arena_list(&arena, NULL, 0, &count), 0);
  assert_int_equal(count, 2);
  name[SHMX_ARENA_NAME_MAX - 1] = '\0'; /* one byte shorter is another */
  assert_int_equal(shmx_arena_remove(&arena, name), -ENOENT);
  assert_int_equal(shmx_arena_remove(&arena, ""), -ENOENT);
  close_and_unlink(&arena);
}

static void test_is_found_as_what_it_was_made(void **state) {
  shmx_arena arena;
  shmx_arena_object object = {0};
  shmx_kind kind = shmx_mutex_kind();
  open_arena(&arena, name_of(state), SIZE);
  assert_int_equal(shmx_arena_find(&arena, "lock", &kind, &object), 0);
  assert_int_equal(find_status(&arena, "lock", shmx_condition_kind()), -EPROTOTYPE);
  assert_int_equal(find_status(&arena, "lock", bytes(64)), -EPROTOTYPE);
  assert_int_equal(find_status(&arena, "s", shmx_semaphore_kind(3)), 0);
  assert_int_equal(find_status(&arena, "s", shmx_semaphore_kind(4)), -EPROTOTYPE);
  assert_int_equal(find_status(&arena, "b", shmx_barrier_kind(3)), 0);
  assert_int_equal(find_status(&arena, "b", shmx_barrier_kind(2)), -EPROTOTYPE);
  assert_int_equal(find_status(&arena, "v", shmx_array_kind(SHMX_I32, 8)), 0);
  assert_int_equal(find_status(&arena, "v", shmx_array_kind(SHMX_U32, 8)), -EPROTOTYPE);
  assert_int_equal(find_status(&arena, "v", shmx_array_kind(SHMX_I32, 9)), -EPROTOTYPE);
  for (uint32_t id = 1; id < SHMX_KINDS; id++)
    assert_non_null(shmx_kind_name(id));
  assert_string_equal(shmx_kind_name(object.memory.object.size == 64 ? kind.id : 0), "mutex");
  assert_null(shmx_kind_name(SHMX_KINDS));
  assert_null(shmx_kind_name(0));
  close_and_unlink(&arena);
}

static void test_the_largest_is_to_be_had_and_no_larger(void **state) {
  shmx_arena arena;
  shmx_arena_object objects[3], large;
  open_arena(&arena, name_of(state), SIZE + 100); /* the end is no whole unit */
  uint64_t largest = status_of(&arena).largest;
  assert_int_equal(largest % SHMX_KIND_ALIGN, 0);
  assert_int_equal(find_status(&arena, "large", bytes(largest + 1)), -ENOSPC);
  assert_int_equal(find_status(&arena, "large", bytes(UINT64_MAX)), -ENOSPC);
  memset(find(&arena, "large", largest, &large), 0xFF, largest);
  assert_int_equal(status_of(&arena).largest, 0);
  assert_int_equal(find_status(&arena, "one byte", bytes(1)), -ENOSPC);
  assert_int_equal(shmx_arena_remove(&arena, "large"), 0);
  assert_int_equal(find_status(&arena, "one byte", bytes(1)), -ENOSPC); /* open still */
  shmx_arena_object_close(&large);
  assert_int_equal(status_of(&arena).largest, largest);
  unsigned char *at = find(&arena, "a", 6400, &objects[0]); /* then in two parts */
  find(&arena, "b", 64, &objects[1]);
  shmx_arena_object_close(&objects[0]);
  assert_int_equal(shmx_arena_remove(&arena, "a"), 0);
  assert_int_equal(status_of(&arena).largest, largest - 6400 - 64);
  assert_ptr_equal(find(&arena, "c", 6400, &objects[2]), at); /* the first that is long enough */
  assert_true(find(&arena, "large", largest - 6400 - 64, &large) > at);
  assert_int_equal(status_of(&arena).used, SIZE + 100 - (SIZE + 100) % SHMX_KIND_ALIGN);
  close_and_unlink(&arena);
}

static void test_entries_may_run_out(void **state) {
  shmx_arena arena;
  shmx_arena_object object;
  char name[16];
  open_arena(&arena, name_of(state), SHMX_ARENA_SIZE_MIN);
  uint32_t entries = status_of(&arena).entries;
  for (uint32_t i = 0; i < entries; i++) {
    snprintf(name, sizeof name, "%u", i);
    find(&arena, name, 1, &object);
    shmx_arena_object_close(&object);
  }
  assert_int_equal(status_of(&arena).objects, entries);
  assert_int_equal(find_status(&arena, "more", bytes(1)), -ENOSPC);
  assert_int_equal(find_status(&arena, name, bytes(1)), 0);
  assert_int_equal(shmx_arena_remove(&arena, "7"), 0);
  assert_int_equal(find_status(&arena, "more", bytes(1)), 0);
  close_and_unlink(&arena);
}

static int closings;

static void count_closing(shmx_arena_object *object) {
  closings += object->memory.object.data != NULL;
}

static void test_closing_is_told_while_the_memory_is_there(void **state) {
  shmx_arena arena;
  shmx_arena_object one, other, twice;
  open_arena(&arena, name_of(state), SIZE);
  closings = 0;
  find(&arena, "one", 1, &one);
  find(&arena, "one", 1, &twice);
  find(&arena, "other", 1, &other);
  one.closing = other.closing = count_closing;
  shmx_arena_object_close(&one);
  shmx_arena_object_close(&one);
  assert_int_equal(closings, 1);
  assert_int_equal(shmx_arena_remove(&arena, "one"), 0);
  assert_int_equal(shmx_arena_object_check(&twice), -EIDRM);
  assert_int_equal(status_of(&arena).used, arena.start + 128); /* it is open once more */
  shmx_arena_object_close(&twice);
  assert_int_equal(status_of(&arena).used, arena.start + 64);
  close_and_unlink(&arena);
  assert_int_equal(closings, 2);
}

static void test_views_know_of_a_removal(void **state) {
  shmx_arena arena;
  shmx_arena_object object;
  shmx_view view;
  open_arena(&arena, name_of(state), SIZE);
  find(&arena, "v", 80, &object);
  assert_int_equal(shmx_view_open(&view, &object.memory, 8, 0, 10), 0);
  assert_int_equal(shmx_view_open(&view, &object.memory, 8, 8, 10), -ERANGE);
  assert_int_equal(shmx_view_open(&view, &object.memory, 8, 0, 10), 0);
  assert_ptr_equal(shmx_view_data(&view), object.memory.object.data);
  assert_int_equal(shmx_view_check(&view), 0);
  assert_int_equal(shmx_arena_remove(&arena, "v"), 0);
  assert_int_equal(shmx_view_check(&view), -EIDRM);
  shmx_arena_object_close(&object);
  assert_int_equal(shmx_view_check(&view), -EBADF);
  close_and_unlink(&arena);
}

/* Among others, so that both its neighbours in the list of this process have to learn of it. */
static void test_moves_with_its_objects(void **state) {
  shmx_arena before, arena, after, moved, closed = {0};
  shmx_arena_object one, other;
  open_arena(&before, shmx_anonymous(), SIZE);
  open_arena(&arena, name_of(state), SIZE);
  open_arena(&after, shmx_anonymous(), SIZE);
  *find(&arena, "one", 1, &one) = 1;
  *find(&arena, "other", 1, &other) = 2;
  shmx_arena_move(&arena, &moved);
  memset(&arena, 0xff, sizeof arena); /* nobody looks there any more */
  assert_ptr_equal(*moved.link, &moved);
  assert_ptr_equal(moved.next->link, &moved.next);
  assert_ptr_equal(one.arena, &moved);
  shmx_arena_object_close(&other);
  assert_int_equal(*find(&moved, "other", 1, &other), 2);
  assert_int_equal(shmx_arena_object_check(&one), 0);
  assert_int_equal(status_of(&moved).objects, 2);
  shmx_arena_close(&before);
  shmx_arena_close(&after);
  close_and_unlink(&moved);
  assert_int_equal(shmx_arena_object_check(&one), -EBADF);
  shmx_arena_move(&closed, &moved);
  shmx_arena_close(&moved);
}

/* A truncated segment is an error, and no crash. */
static void truncate_it(int unused) {
  (void)unused;
  shmx_arena arena;
  shmx_arena_object object = {0};
  shmx_kind kind = bytes(100);
  EXPECT(shmx_arena_open(&arena, posix_name(1), SIZE, NULL) == 0);
  EXPECT(truncate(path_of(posix_name(1)), 0) == 0);
  EXPECT(shmx_arena_find(&arena, "x", &kind, &object) == -EFAULT);
  EXPECT(object.memory.object.data == NULL);
  shmx_arena_status status;
  EXPECT(shmx_arena_stat(&arena, &status) == -EFAULT);
  EXPECT(shmx_arena_remove(&arena, "x") == -EFAULT);
  EXPECT(shmx_segment_remove(&arena.segment) == 0);
  shmx_arena_close(&arena);
}

static void test_lost_memory_is_an_error(void **state) {
  (void)state;
  assert_child_passes(truncate_it, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      /* First, since only the first watch installs the handler, and cmocka puts its own over it. */
      cmocka_unit_test_teardown(test_lost_memory_is_an_error, nothing_left),
      OVER_ALL(test_is_made_once_and_found_then),
      OVER_ALL(test_what_cannot_be_opened),
      OVER_NAMED(test_two_that_open_at_once_have_the_same),
      OVER_ALL(test_objects_are_apart_and_zero_at_first),
      OVER_ALL(test_names_have_1_to_63_bytes),
      OVER_ALL(test_is_found_as_what_it_was_made),
      OVER_ALL(test_the_largest_is_to_be_had_and_no_larger),
      OVER_ALL(test_entries_may_run_out),
      OVER_ALL(test_closing_is_told_while_the_memory_is_there),
      OVER_ALL(test_views_know_of_a_removal),
      OVER_ALL(test_moves_with_its_objects),
  };
  return cmocka_run_group_tests(tests, begin_bounded, nothing_left);
}
