/* error_test.c shows that every status has a name and a sentence, whatever the number. */
#include "support.h"

#include <limits.h>

enum { LAST_ERRNO = 133 };

static const char *expected_name(int code) {
  if (code == ENOTSUP) return "ENOTSUP"; /* the name in POSIX; Linux has EOPNOTSUPP for the same */
  const char *name = strerrorname_np(code);
  return name != NULL ? name : "EUNKNOWN"; /* Linux has no errno 41, nor 58 */
}

static void test_every_errno_has_the_name_that_libc_has(void **state) {
  (void)state;
  for (int code = 1; code <= LAST_ERRNO; code++)
    assert_string_equal(shmx_error_name(-code), expected_name(code));
}

static void test_every_errno_has_a_sentence(void **state) {
  (void)state;
  for (int code = 1; code <= LAST_ERRNO; code++) {
    const char *text = shmx_error_text(-code);
    assert_non_null(text);
    assert_true(strlen(text) > strlen("is"));
    assert_null(strchr(text, '\n'));
  }
}

/* The sentence follows the name of a thing, so libc's "File exists" will not do. */
static void test_what_the_library_returns_has_a_sentence_of_its_own(void **state) {
  (void)state;
  static const int codes[] = {
      E2BIG,  EACCES,   EADDRINUSE, EADDRNOTAVAIL, EBADF,   EEXIST,    EFAULT,  EFBIG,
      EIDRM,  EINVAL,   EMFILE,     ENFILE,        ENODATA, ENODEV,    ENOENT,  ENOMEM,
      ENOSPC, ENOTSUP,  EPERM,      ERANGE,        EROFS,   ETIMEDOUT, EAGAIN,  ECANCELED,
      EINTR,  EMSGSIZE, EPIPE,      EREMOTE,       EBADMSG, EBUSY,     EDEADLK, EOWNERDEAD};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    const char *text = shmx_error_text(-codes[i]);
    assert_string_not_equal(text, strerrordesc_np(codes[i]));
    assert_true(text[0] >= 'a' && text[0] <= 'z');
    assert_true(text[strlen(text) - 1] != '.');
    for (size_t other = 0; other < i; other++)
      assert_string_not_equal(text, shmx_error_text(-codes[other]));
  }
}

static void test_what_is_no_errno_has_a_name_and_a_sentence(void **state) {
  (void)state;
  static const int unknown[] = {-41, -58, -134, -4096, -INT_MAX, 1, EEXIST, LAST_ERRNO, INT_MAX};
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    assert_string_equal(shmx_error_name(unknown[i]), "EUNKNOWN");
    assert_non_null(shmx_error_text(unknown[i]));
    assert_true(strlen(shmx_error_text(unknown[i])) > 0);
  }
}

static void test_the_least_integer_is_no_errno(void **state) {
  (void)state;
  assert_string_equal(shmx_error_name(INT_MIN), "EUNKNOWN");
  assert_true(strlen(shmx_error_text(INT_MIN)) > 0);
}

static void test_success_has_a_name_and_a_sentence(void **state) {
  (void)state;
  assert_true(strlen(shmx_error_name(0)) > 0);
  assert_true(strlen(shmx_error_text(0)) > 0);
}

static void test_the_strings_are_static(void **state) {
  (void)state;
  const char *name = shmx_error_name(-ENOENT), *text = shmx_error_text(-ENOENT);
  for (int code = 0; code <= LAST_ERRNO; code++)
    shmx_error_name(-code), shmx_error_text(-code);
  assert_ptr_equal(name, shmx_error_name(-ENOENT));
  assert_ptr_equal(text, shmx_error_text(-ENOENT));
  assert_string_equal(name, "ENOENT");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_errno_has_the_name_that_libc_has),
      cmocka_unit_test(test_every_errno_has_a_sentence),
      cmocka_unit_test(test_what_the_library_returns_has_a_sentence_of_its_own),
      cmocka_unit_test(test_what_is_no_errno_has_a_name_and_a_sentence),
      cmocka_unit_test(test_the_least_integer_is_no_errno),
      cmocka_unit_test(test_success_has_a_name_and_a_sentence),
      cmocka_unit_test(test_the_strings_are_static),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
