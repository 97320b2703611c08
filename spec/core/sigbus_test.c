/*
 * sigbus_test.c shows that a SIGBUS which is not ours has the effect that it had before. This
 * process itself never loads our handler: each child does, above what it has installed.
 */
#include "support.h"

#include <sys/mman.h>

enum { DEFAULT, IGNORED, PLAIN, WITH_INFO, HANDLED = 42 };

static void *volatile expected_address;

static void plain_handler(int signal) {
  _exit(signal == SIGBUS ? HANDLED : 1);
}

static void handler_with_info(int signal, siginfo_t *info, void *context) {
  bool right = signal == SIGBUS && context != NULL && info->si_signo == SIGBUS;
  _exit(right && info->si_addr == expected_address ? HANDLED : 1);
}

static void survive_a_fault_of_ours(void) {
  shmx_segment segment = {0};
  EXPECT(create_as_child(&segment, 2 * PAGE, 0) == 0);
  EXPECT(truncate(path_of(posix_name(1)), 0) == 0);
  EXPECT(shmx_segment_write(&segment, PAGE, "x", 1) == -EFAULT);
  shmx_segment_detach(&segment);
  EXPECT(shmx_remove(posix_name(1)) == 0);
}

/* A handler of the program's, then ours above it. */
static void install_both(int previous) {
  struct sigaction action = {.sa_handler = previous == IGNORED ? SIG_IGN : SIG_DFL};
  if (previous == PLAIN) action.sa_handler = plain_handler;
  if (previous == WITH_INFO)
    action = (struct sigaction){.sa_sigaction = handler_with_info, .sa_flags = SA_SIGINFO};
  EXPECT(sigaction(SIGBUS, &action, NULL) == 0);
  survive_a_fault_of_ours();
}

static void touch_a_truncated_file(int previous) {
  install_both(previous);
  int fd = memfd_create("not-ours", MFD_CLOEXEC);
  EXPECT(fd >= 0 && ftruncate(fd, PAGE) == 0);
  volatile char *data = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
  EXPECT(data != MAP_FAILED && ftruncate(fd, 0) == 0);
  expected_address = (void *)(data + 7);
  (void)data[7];
  EXPECT(!"the access went on");
}

static void test_a_fault_elsewhere_goes_to_the_previous_handler(void **state) {
  (void)state;
  for (int previous = DEFAULT; previous <= WITH_INFO; previous++) {
    int status = child_status(touch_a_truncated_file, previous);
    if (previous >= PLAIN) {
      assert_true(WIFEXITED(status));
      assert_int_equal(WEXITSTATUS(status), HANDLED);
    } else { /* a fault cannot be ignored */
      assert_true(WIFSIGNALED(status));
      assert_int_equal(WTERMSIG(status), SIGBUS);
    }
  }
}

static void send_to_itself(int previous) {
  install_both(previous);
  raise(SIGBUS);
  EXPECT(previous == IGNORED);
  survive_a_fault_of_ours(); /* our handler is in its place still */
}

static void test_a_sigbus_that_was_sent_kills(void **state) {
  (void)state;
  int status = child_status(send_to_itself, DEFAULT);
  assert_true(WIFSIGNALED(status));
  assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void test_a_sigbus_that_was_sent_can_be_handled(void **state) {
  (void)state;
  int status = child_status(send_to_itself, PLAIN);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), HANDLED);
}

static void test_a_sigbus_that_was_sent_can_be_ignored(void **state) {
  (void)state;
  assert_child_passes(send_to_itself, IGNORED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_fault_elsewhere_goes_to_the_previous_handler, nothing_left),
      cmocka_unit_test_teardown(test_a_sigbus_that_was_sent_kills, nothing_left),
      cmocka_unit_test_teardown(test_a_sigbus_that_was_sent_can_be_handled, nothing_left),
      cmocka_unit_test_teardown(test_a_sigbus_that_was_sent_can_be_ignored, nothing_left),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
