/*
 * messages_test.c: System V message queues: what they do for one process, and for those that wait,
 * are interrupted, or lose the queue. spec/messages_spec.lua has C peers.
 */
#include "support.h"

#define MS (SHMX_SECOND / 1000)

/* What the kernel needs for the type, and data behind it. */
static union {
  long type;
  char bytes[SHMX_MESSAGES_HEAD + 65536];
} buffer;

static shmx_messages open_queue(void) {
  shmx_messages queue = {0};
  assert_int_equal(shmx_messages_open(&queue, sysv_name(0), NULL), 0);
  return queue;
}

static int send_text(const shmx_messages *queue, const char *text, int64_t type) {
  strcpy(buffer.bytes + SHMX_MESSAGES_HEAD, text);
  return shmx_messages_send(queue, &buffer, strlen(text), type, 0);
}

static int receive(const shmx_messages *queue, size_t capacity, int64_t type, int64_t deadline,
                   shmx_messages_received *found) {
  return shmx_messages_receive(queue, &buffer, capacity, type, false, deadline, found);
}

static void assert_text(const shmx_messages *queue, int64_t asked, bool except, const char *text,
                        int64_t type) {
  shmx_messages_received found;
  assert_int_equal(shmx_messages_receive(queue, &buffer, 100, asked, except, 0, &found), 0);
  assert_int_equal(found.length, strlen(text));
  assert_int_equal(found.type, type);
  assert_memory_equal(buffer.bytes + SHMX_MESSAGES_HEAD, text, found.length);
}

static uint64_t count(const shmx_messages *queue) {
  shmx_messages_stat stat;
  assert_int_equal(shmx_messages_get_stat(queue, &stat), 0);
  return stat.qnum;
}

/* ---- open, remove ---- */

static void test_open_finds_or_creates(void **state) {
  (void)state;
  shmx_messages_options options = {.must_exist = true};
  shmx_messages queue = {0}, same = {0};
  assert_int_equal(shmx_messages_open(&queue, sysv_name(0), &options), -ENOENT);
  mode_t mask = umask(0777);
  options = (shmx_messages_options){.mode = 0640};
  assert_int_equal(shmx_messages_open(&queue, sysv_name(0), &options), 0);
  umask(mask);
  options = (shmx_messages_options){.must_exist = true};
  assert_int_equal(shmx_messages_open(&same, sysv_name(0), &options), 0);
  assert_int_equal(same.id, queue.id);
  same = (shmx_messages){0};
  assert_int_equal(shmx_messages_open(&same, shmx_id(queue.id), NULL), 0);
  assert_int_equal(same.key, sysv_name(0).key);
  shmx_messages_stat stat;
  assert_int_equal(shmx_messages_get_stat(&same, &stat), 0);
  assert_int_equal(stat.mode, 0640);
  assert_int_equal(stat.uid, geteuid());
  assert_int_equal(stat.cuid, geteuid());
  assert_int_equal(shmx_messages_remove(&queue), 0);
  assert_int_equal(shmx_messages_remove(&same), -EIDRM);
  assert_int_equal(shmx_messages_open(&same, shmx_id(queue.id), NULL), -ENOENT);
}

static void test_a_private_queue_is_new_each_time(void **state) {
  (void)state;
  shmx_messages one = {0}, other = {0};
  assert_int_equal(shmx_messages_open(&one, shmx_key(SHMX_PRIVATE), NULL), 0);
  assert_int_equal(shmx_messages_open(&other, shmx_key(SHMX_PRIVATE), NULL), 0);
  assert_int_not_equal(one.id, other.id);
  assert_int_equal(shmx_messages_remove(&one), 0);
  assert_int_equal(shmx_messages_remove(&other), 0);
}

static void test_senseless_requests_are_refused(void **state) {
  (void)state;
  shmx_messages queue = {0};
  shmx_messages_stat stat;
  shmx_messages_received found;
  shmx_change change = {-1, -1, -1};
  assert_int_equal(send_text(&queue, "x", 1), -EBADF);
  assert_int_equal(receive(&queue, 1, 0, 0, &found), -EBADF);
  assert_int_equal(shmx_messages_get_stat(&queue, &stat), -EBADF);
  assert_int_equal(shmx_messages_set(&queue, &change, -1), -EBADF);
  assert_int_equal(shmx_messages_remove(&queue), -EBADF);
  assert_int_equal(shmx_messages_open(&queue, posix_name(0), NULL), -EINVAL);
  assert_int_equal(shmx_messages_open(&queue, shmx_anonymous(), NULL), -EINVAL);
  shmx_messages_options options = {.mode = 01000};
  assert_int_equal(shmx_messages_open(&queue, sysv_name(0), &options), -EINVAL);
  options = (shmx_messages_options){.must_exist = true};
  assert_int_equal(shmx_messages_open(&queue, shmx_key(SHMX_PRIVATE), &options), -EINVAL);
  assert_false(queue.open);
  queue = open_queue();
  assert_int_equal(send_text(&queue, "x", 0), -EINVAL);
  assert_int_equal(send_text(&queue, "x", INT64_MIN), -EINVAL);
  assert_int_equal(shmx_messages_receive(&queue, &buffer, 1, 0, true, 0, &found), -EINVAL);
  assert_int_equal(shmx_messages_receive(&queue, &buffer, 1, -1, true, 0, &found), -EINVAL);
  assert_int_equal(receive(&queue, SIZE_MAX, 0, 0, &found), -EINVAL);
  assert_int_equal(shmx_messages_remove(&queue), 0);
}

/* ---- messages ---- */

static void test_types_choose_a_message(void **state) {
  (void)state;
  shmx_messages queue = open_queue();
  static const int64_t types[] = {5, 3, 5, INT64_MAX, 2};
  for (int i = 0; i < 5; i++) {
    char text[] = {(char)('a' + i), '\0'};
    assert_int_equal(send_text(&queue, text, types[i]), 0);
  }
  assert_text(&queue, INT64_MAX, false, "d", INT64_MAX);
  assert_text(&queue, 5, true, "b", 3);
  assert_text(&queue, -4, false, "e", 2);
  assert_text(&queue, INT64_MIN, false, "a", 5);
  shmx_messages_received found;
  assert_int_equal(receive(&queue, 100, -4, 0, &found), -ETIMEDOUT);
  assert_int_equal(shmx_messages_receive(&queue, &buffer, 100, 5, true, 0, &found), -ETIMEDOUT);
  assert_text(&queue, 0, false, "c", 5);
  assert_int_equal(send_text(&queue, "", 1), 0);
  assert_text(&queue, 0, false, "", 1);
  assert_int_equal(shmx_messages_remove(&queue), 0);
}

static void test_a_message_that_is_longer_than_the_buffer_stays(void **state) {
  (void)state;
  shmx_messages queue = open_queue();
  shmx_messages_received found;
  assert_int_equal(send_text(&queue, "four", 1), 0);
  assert_int_equal(receive(&queue, 3, 0, 0, &found), -E2BIG);
  assert_int_equal(receive(&queue, 0, 0, SHMX_FOREVER, &found), -E2BIG);
  assert_text(&queue, 0, false, "four", 1);
  assert_int_equal(shmx_messages_remove(&queue), 0);
}

/* The kernel would let such a sender wait for ever. */
static void test_a_message_that_never_fits_is_refused_at_once(void **state) {
  (void)state;
  shmx_messages queue = open_queue();
  shmx_limits limits;
  shmx_change none = {-1, -1, -1};
  assert_int_equal(shmx_limits_get(&limits), 0);
  assert_true(limits.msgmax < 65536 && limits.msgmnb > 0 && limits.msgmni > 0);
  int64_t deadlines[] = {0, SHMX_FOREVER};
  for (int i = 0; i < 2; i++) {
    assert_int_equal(shmx_messages_send(&queue, &buffer, limits.msgmax + 1, 1, deadlines[i]),
                     -EMSGSIZE);
    assert_int_equal(shmx_messages_set(&queue, &none, 10), 0);
    assert_int_equal(shmx_messages_send(&queue, &buffer, 11, 1, deadlines[i]), -EMSGSIZE);
    assert_int_equal(shmx_messages_set(&queue, &none, (int64_t)limits.msgmnb), 0);
  }
  assert_int_equal(count(&queue), 0);
  assert_int_equal(shmx_messages_remove(&queue), 0);
}

/* ---- waiting ---- */

/* A deadline of so many milliseconds; 0 is none. */
static int64_t after(int milliseconds) {
  return milliseconds == 0 ? SHMX_FOREVER : shmx_clock_now() + milliseconds * MS;
}

static void fill(const shmx_messages *queue) {
  int status;
  while ((status = shmx_messages_send(queue, &buffer, 1000, 9, 0)) == 0)
    continue;
  EXPECT(status == -ETIMEDOUT);
}

static void test_a_wait_ends_at_its_deadline_and_not_before(void **state) {
  (void)state;
  shmx_messages queue = open_queue();
  shmx_messages_received found;
  int64_t deadline = after(30);
  assert_int_equal(receive(&queue, 100, 0, deadline, &found), -ETIMEDOUT);
  assert_true(shmx_clock_now() >= deadline);
  fill(&queue);
  deadline = after(30);
  assert_int_equal(shmx_messages_send(&queue, &buffer, 1000, 1, deadline), -ETIMEDOUT);
  assert_true(shmx_clock_now() >= deadline);
  assert_int_equal(shmx_messages_remove(&queue), 0);
}

/* Waits until this process sleeps in a system call. */
static void await_sleep(pid_t pid) {
  char path[64], state;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  do {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d (%*[^)]) %c", &state), 1);
    fclose(file);
    usleep(1000);
  } while (state != 'S');
}

enum { RECEIVING = 1, SENDING = 2, LIMITED = 4 };

static int wait_in_child(int how) {
  shmx_messages queue = {0};
  shmx_messages_received found;
  EXPECT(shmx_messages_open(&queue, sysv_name(0), NULL) == 0);
  int64_t deadline = how & LIMITED ? after(DEADLINE * 1000) : SHMX_FOREVER;
  return how & SENDING ? shmx_messages_send(&queue, &buffer, 1000, 7, deadline)
                       : receive(&queue, 1000, 7, deadline, &found);
}

static void wait_and_succeed(int how) {
  EXPECT(wait_in_child(how) == 0);
}

static void wait_and_lose_the_queue(int how) {
  EXPECT(wait_in_child(how) == -EIDRM);
}

static void on_signal(int unused) {
  (void)unused;
}

static void wait_and_be_interrupted(int how) {
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGUSR1, &action, NULL);
  EXPECT(wait_in_child(how) == -EINTR);
}

static void assert_passes(pid_t child) {
  int status = wait_for(child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static const int ways[] = {RECEIVING, SENDING, RECEIVING | LIMITED, SENDING | LIMITED};

#define FOR_EACH_WAY(how) for (int index_ = 0, how = ways[0]; index_ < 4; how = ways[++index_ % 4])

static void test_who_waits_goes_on_as_soon_as_it_can(void **state) {
  (void)state;
  FOR_EACH_WAY(how) {
    shmx_messages queue = open_queue();
    fill(&queue);
    pid_t child = start_child(wait_and_succeed, how);
    await_sleep(child);
    shmx_messages_received found;
    assert_int_equal(receive(&queue, 1000, 9, 0, &found), 0);
    if (how & RECEIVING) assert_int_equal(send_text(&queue, "for it", 7), 0);
    assert_passes(child);
    assert_int_equal(shmx_messages_remove(&queue), 0);
  }
}

static void test_who_waits_is_told_that_the_queue_was_removed(void **state) {
  (void)state;
  FOR_EACH_WAY(how) {
    shmx_messages queue = open_queue();
    fill(&queue);
    pid_t child = start_child(wait_and_lose_the_queue, how);
    await_sleep(child);
    assert_int_equal(shmx_messages_remove(&queue), 0);
    assert_passes(child);
    assert_int_equal(send_text(&queue, "x", 1), -EIDRM);
  }
}

static void test_a_signal_ends_a_wait_and_nothing_is_sent_or_received(void **state) {
  (void)state;
  FOR_EACH_WAY(how) {
    shmx_messages queue = open_queue();
    fill(&queue);
    uint64_t before = count(&queue);
    pid_t child = start_child(wait_and_be_interrupted, how);
    await_sleep(child);
    siginfo_t ended = {0}; /* a first signal may come before the child has its handler's wait */
    while (waitid(P_PID, (id_t)child, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0) {
      kill(child, SIGUSR1);
      usleep(1000);
    }
    assert_passes(child);
    assert_int_equal(count(&queue), before);
    assert_int_equal(shmx_messages_remove(&queue), 0);
  }
}

/* ---- all queues ---- */

static void test_the_list_has_all_queues(void **state) {
  (void)state;
  shmx_messages queue = open_queue();
  shmx_messages_stat list[64];
  size_t count = 0, found = 0;
  assert_int_equal(shmx_messages_list(NULL, 0, &count), 0);
  assert_true(count >= 1);
  assert_int_equal(send_text(&queue, "four", 1), 0);
  assert_int_equal(shmx_messages_list(list, 64, &count), 0);
  for (size_t i = 0; i < count && i < 64; i++)
    found += list[i].id == queue.id && list[i].cbytes == 4 && list[i].lspid == getpid();
  assert_int_equal(found, 1);
  assert_int_equal(shmx_messages_remove(&queue), 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, nothing_left)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_open_finds_or_creates),
      TEST(test_a_private_queue_is_new_each_time),
      TEST(test_senseless_requests_are_refused),
      TEST(test_types_choose_a_message),
      TEST(test_a_message_that_is_longer_than_the_buffer_stays),
      TEST(test_a_message_that_never_fits_is_refused_at_once),
      TEST(test_a_wait_ends_at_its_deadline_and_not_before),
      TEST(test_who_waits_goes_on_as_soon_as_it_can),
      TEST(test_who_waits_is_told_that_the_queue_was_removed),
      TEST(test_a_signal_ends_a_wait_and_nothing_is_sent_or_received),
      TEST(test_the_list_has_all_queues),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
