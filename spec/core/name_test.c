/* name_test.c shows what a name leads to: who may take it away, what is found, what is refused. */
#include "support.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { SIZE = PAGE + 10 };

/* ---- status ---- */

static void test_status_is_what_was_asked_for(void **state) {
  shmx_segment segment = {0};
  shmx_name name = name_of(state);
  shmx_options options = {.mode = 0640};
  shmx_change change = {.mode = 0604, .uid = -1, .gid = -1};
  shmx_stat stat;
  mode_t umask_before = umask(0777);
  int status = shmx_segment_create(&segment, name, SIZE, &options);
  umask(umask_before);
  assert_int_equal(status, 0);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_int_equal(stat.backing, name.backing);
  assert_int_equal(stat.size, SIZE);
  assert_int_equal(stat.mode, 0640);
  assert_int_equal(stat.uid, geteuid());
  assert_int_equal(stat.gid, getegid());
  assert_false(stat.removed);
  assert_int_equal(shmx_segment_set(&segment, &change), 0);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_int_equal(stat.mode, 0604);
  assert_int_equal(stat.uid, geteuid());
  change.mode = 01000;
  assert_int_equal(shmx_segment_set(&segment, &change), -EINVAL);
  close_and_remove(&segment);
}

static void test_the_mode_is_exact_whatever_the_umask(void **state) {
  static const uint32_t asked[] = {0, 0400, 0600, 0666, 0777};
  for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
    shmx_segment segment = {0};
    shmx_options options = {.mode = asked[i]};
    shmx_stat stat;
    mode_t umask_before = umask(i % 2 == 0 ? 0777 : 0);
    int status = shmx_segment_create(&segment, name_of(state), SIZE, &options);
    umask(umask_before);
    if (asked[i] == 0400 && geteuid() != 0 && status == -EACCES) continue; /* cannot map it */
    assert_int_equal(status, 0);
    assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
    assert_int_equal(stat.mode, asked[i] == 0 ? 0600 : asked[i]);
    close_and_remove(&segment);
  }
}

/* ---- removal ---- */

static void test_nothing_has_the_name_once_it_is_removed(void **state) {
  shmx_segment segment = {0}, second = {0};
  shmx_name name = name_of(state);
  shmx_stat stat;
  create(&segment, name, SIZE, 0);
  assert_int_equal(shmx_segment_remove(&segment), 0);
  assert_int_equal(shmx_segment_attach(&second, name, NULL), -ENOENT);
  assert_int_equal(shmx_remove(name), -ENOENT);
  assert_int_equal(shmx_segment_stat(&segment, &stat), 0);
  assert_true(stat.removed);
  create(&second, name, SIZE, 0); /* the name is free, the memory still there */
  assert_int_equal(shmx_segment_write(&segment, 0, "x", 1), 0);
  assert_int_equal(second.object.data[0], 0);
  close_and_remove(&second);
  shmx_segment_detach(&segment);
}

static void test_removing_twice_is_refused(void **state) {
  shmx_segment segment = {0};
  create(&segment, name_of(state), SIZE, 0);
  assert_int_equal(shmx_segment_remove(&segment), 0);
  assert_int_equal(shmx_segment_remove(&segment), -ENOENT);
  shmx_segment_detach(&segment);
}

static void test_anonymous_memory_has_no_name(void **state) {
  shmx_segment segment = {0}, second = {0};
  create(&segment, name_of(state), SIZE, SHMX_OWNED);
  assert_int_equal(shmx_segment_remove(&segment), -ENOTSUP);
  assert_int_equal(shmx_remove(name_of(state)), -EINVAL);
  assert_int_equal(shmx_segment_attach(&second, name_of(state), NULL), -EINVAL);
  shmx_segment_detach(&segment);
}

/* Another object got the name after ours had lost it: it is not ours to remove. */
static void test_an_object_of_somebody_else_survives(void **state) {
  shmx_segment segment = {0}, other = {0};
  shmx_name name = name_of(state);
  create(&segment, name, SIZE, SHMX_OWNED);
  assert_int_equal(shmx_remove(name), 0);
  create(&other, name, SIZE, 0);
  assert_int_equal(shmx_segment_remove(&segment), -ENOENT);
  shmx_segment_detach(&segment); /* nor when the owner detaches */
  assert_int_equal(shmx_segment_attach(&segment, name, NULL), 0);
  assert_int_equal(shmx_segment_write(&other, 0, "x", 1), 0);
  assert_int_equal(segment.object.data[0], 'x');
  shmx_segment_detach(&segment);
  close_and_remove(&other);
}

static shmx_segment inherited;

static void detach_as_child(int unused) {
  (void)unused;
  shmx_segment_detach(&inherited);
}

static void test_owned_goes_with_its_creator_only(void **state) {
  shmx_segment second = {0};
  create(&inherited, name_of(state), SIZE, SHMX_OWNED);
  assert_child_passes(detach_as_child, 0);
  shmx_options owned = {.flags = SHMX_OWNED}; /* means nothing to who attaches */
  for (int i = 0; i < 2; i++) {
    assert_int_equal(shmx_segment_attach(&second, name_of(state), &owned), 0);
    shmx_segment_detach(&second);
  }
  shmx_segment_detach(&inherited);
  assert_int_equal(shmx_segment_attach(&second, name_of(state), NULL), -ENOENT);
}

/* ---- the list ---- */

static int compare(const shmx_stat *left, const shmx_stat *right) {
  if (left->backing != right->backing) return left->backing - right->backing;
  return left->backing == SHMX_POSIX ? strcmp(left->posix, right->posix) : -1;
}

static void test_the_list_has_what_was_created(void **state) {
  (void)state;
  shmx_segment segments[4] = {0};
  for (int i = 0; i < 4; i++)
    create(&segments[i], i < 2 ? sysv_name(i) : posix_name(i), SIZE, 0);
  size_t room = 0, count = 0;
  assert_int_equal(shmx_list(NULL, 0, &room), 0);
  assert_true(room >= 4);
  room += 64; /* others may create some meanwhile */
  shmx_stat *list = test_calloc(room, sizeof *list);
  assert_int_equal(shmx_list(list, room, &count), 0);
  assert_in_range(count, 4, room);
  int found = 0;
  for (size_t entry = 0; entry < count; entry++) {
    if (entry > 0) assert_true(compare(&list[entry - 1], &list[entry]) < 0);
    for (int i = 0; i < 4; i++) {
      bool same = i < 2 ? list[entry].id == segments[i].object.id
                        : strcmp(list[entry].posix, segments[i].object.posix) == 0;
      if (same && list[entry].backing == segments[i].object.backing) {
        assert_int_equal(list[entry].size, SIZE);
        found++;
      }
    }
  }
  assert_int_equal(found, 4);
  test_free(list);
  for (int i = 0; i < 4; i++)
    close_and_remove(&segments[i]);
}

static void test_the_list_keeps_within_its_room(void **state) {
  (void)state;
  shmx_segment segments[6] = {0};
  for (int i = 0; i < 6; i++)
    create(&segments[i], i < 3 ? sysv_name(i) : posix_name(i), SIZE, 0);
  shmx_stat list[6], untouched;
  memset(&untouched, 0xEE, sizeof untouched);
  for (size_t room = 0; room < 6; room++) {
    size_t count = 0;
    memset(list, 0xEE, sizeof list);
    assert_int_equal(shmx_list(list, room, &count), 0);
    assert_true(count >= 6);
    for (size_t i = 0; i < room; i++)
      assert_in_range(list[i].backing, SHMX_SYSV, SHMX_POSIX);
    for (size_t i = room; i < 6; i++)
      assert_memory_equal(&list[i], &untouched, sizeof untouched);
  }
  for (int i = 0; i < 6; i++)
    close_and_remove(&segments[i]);
}

/* ---- what has a name in /dev/shm and is no shared memory ---- */

enum { PIPE, FOLDER, LINK, DANGLING, SOCKET, EMPTY, KINDS };

static bool make(int kind, shmx_name name) {
  const char *path = path_of(name);
  if (kind == PIPE) return mkfifo(path, 0600) == 0;
  if (kind == FOLDER) return mkdir(path, 0700) == 0;
  if (kind == LINK) return symlink("/etc/passwd", path) == 0;
  if (kind == DANGLING) return symlink("nothing", path) == 0;
  int fd = kind == EMPTY ? open(path, O_CREAT | O_EXCL | O_RDWR, 0600)
                         : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
  bool made = kind == EMPTY || bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  close(fd);
  return made;
}

static void attach_as_child(int kind) {
  shmx_name name = posix_name(kind);
  shmx_segment segment = {0};
  shmx_options options[] = {{.mode = 0}, {.flags = SHMX_READONLY}};
  EXPECT(make(kind, name));
  for (int i = 0; i < 2; i++) {
    int expected = kind == EMPTY ? -ENODATA : -ENODEV;
    EXPECT(shmx_segment_attach(&segment, name, &options[i]) == expected);
    EXPECT(shmx_segment_open(&segment, name, SIZE, &options[i]) == expected);
    EXPECT(shmx_segment_create(&segment, name, SIZE, &options[i]) == -EEXIST);
    EXPECT(segment.object.data == NULL);
  }
  EXPECT(count_descriptors() == program.descriptors);
  EXPECT(kind == FOLDER ? rmdir(path_of(name)) == 0 : shmx_remove(name) == 0);
}

static void test_what_is_no_shared_memory_is_refused_at_once(void **state) {
  (void)state;
  for (int kind = 0; kind < KINDS; kind++)
    assert_child_passes(attach_as_child, kind);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OVER_ALL(test_status_is_what_was_asked_for),
      OVER_ALL(test_the_mode_is_exact_whatever_the_umask),
      OVER_NAMED(test_nothing_has_the_name_once_it_is_removed),
      OVER_NAMED(test_removing_twice_is_refused),
      OVER(MEMFD, test_anonymous_memory_has_no_name),
      OVER(POSIX, test_an_object_of_somebody_else_survives),
      OVER_NAMED(test_owned_goes_with_its_creator_only),
      cmocka_unit_test_teardown(test_the_list_has_what_was_created, nothing_left),
      cmocka_unit_test_teardown(test_the_list_keeps_within_its_room, nothing_left),
      cmocka_unit_test_teardown(test_what_is_no_shared_memory_is_refused_at_once, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
