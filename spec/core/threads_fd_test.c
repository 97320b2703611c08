/*
 * threads_fd_test.c has threads wait for a channel's descriptor in poll(2), as event loops do.
 * Built for the thread sanitizer (make asan), it shows that the thread behind the descriptor and
 * its handle order memory as they should.
 */
#include "messages.h"

#include <poll.h>

enum { TIMES = 4000, RING = 512, LOST = 10000 /* milliseconds: no wake takes so long */ };

static _Alignas(64) unsigned char memory[1024];
static unsigned long seed;
static _Atomic long received;

static bool is_readable(int fd, int milliseconds) {
  struct pollfd polled = {.fd = fd, .events = POLLIN};
  return poll(&polled, 1, milliseconds) == 1;
}

static void open_channel(shmx_channel *channel, int *fd) {
  shmx_channel_open(channel, memory, RING);
  if (fd != NULL) EXPECT(shmx_channel_fd(channel, fd) == 0);
}

/* Bursts of one to four messages, with pauses that are about as long as a wake takes. */
static void *send_bursts(void *unused) {
  unsigned short random[3] = {(unsigned short)seed, (unsigned short)(seed >> 16), 1};
  shmx_channel channel;
  open_channel(&channel, NULL);
  for (uint64_t number = 0; number < TIMES;) {
    for (long burst = nrand48(random) % 4; burst >= 0 && number < TIMES; burst--)
      EXPECT(send_number(&channel, number++, SHMX_FOREVER) == 0);
    usleep((useconds_t)(nrand48(random) % 100));
  }
  EXPECT(shmx_channel_finish(&channel, SHMX_FOREVER) == 0);
  return unused;
}

static int take_place(shmx_channel *channel) {
  shmx_message message;
  int status = shmx_channel_peek(channel, &message, 0);
  return status != 0 ? status : shmx_channel_release(channel);
}

/* A step of an event loop: receives one message, or all. Returns the last status; `count` receives
 * how many messages it was. */
static int receive_in_loop(shmx_channel *channel, long how, int *count) {
  int status;
  *count = 0;
  do {
    int64_t number = how % 2 == 0 ? receive_number(channel, 0) : take_place(channel);
    status = number < 0 ? (int)number : 0;
    *count += status == 0;
  } while (status == 0 && how >= 2);
  received += *count;
  return status;
}

/* Returns how many wakes were in vain. */
static long run_loop(unsigned short first) {
  unsigned short random[3] = {(unsigned short)seed, (unsigned short)(seed >> 16), first};
  shmx_channel channel;
  long vain = 0;
  int fd, status = 0, count;
  open_channel(&channel, &fd);
  while (status != -EPIPE) {
    EXPECT(is_readable(fd, LOST));
    status = receive_in_loop(&channel, nrand48(random) % 4, &count);
    EXPECT(status == 0 || status == -EPIPE || status == -ETIMEDOUT);
    vain += count == 0 && status != -EPIPE;
  }
  shmx_channel_close(&channel);
  return vain;
}

static void begin_loops(void) {
  memset(memory, 0, sizeof memory);
  received = 0;
}

static void test_one_loop_never_wakes_in_vain(void **state) {
  (void)state;
  begin_loops();
  pthread_t sender = start_thread(send_bursts, NULL);
  assert_int_equal(run_loop(2), 0);
  pthread_join(sender, NULL);
  assert_int_equal(received, TIMES);
}

static void *run_other_loop(void *vain) {
  *(long *)vain = run_loop(3);
  return NULL;
}

/* Each message may wake both, and one of them in vain; and so may each end of a peek. */
static void test_two_loops_do_not_spin(void **state) {
  (void)state;
  long vain;
  begin_loops();
  pthread_t other = start_thread(run_other_loop, &vain);
  pthread_t sender = start_thread(send_bursts, NULL);
  assert_in_range(run_loop(4), 0, 2 * TIMES);
  pthread_join(sender, NULL);
  pthread_join(other, NULL);
  assert_in_range(vain, 0, 2 * TIMES);
  assert_int_equal(received, TIMES);
}

/* ---- an end that is held ---- */

static void *hold_first(void *channel) {
  shmx_message message;
  EXPECT(shmx_channel_peek(channel, &message, 0) == 0);
  return NULL;
}

static void test_a_held_end_is_not_readable(void **state) {
  (void)state;
  shmx_channel holder, sender, loop;
  shmx_message message;
  int fd;
  begin_loops();
  open_channel(&sender, NULL);
  open_channel(&holder, NULL);
  assert_int_equal(send_number(&sender, 1, 0), 0);
  assert_int_equal(shmx_channel_peek(&holder, &message, 0), 0);
  open_channel(&loop, &fd);
  assert_false(is_readable(fd, 20));
  assert_int_equal(send_number(&sender, 2, 0), 0);
  assert_false(is_readable(fd, 20));
  assert_int_equal(shmx_channel_release(&holder), 0);
  assert_true(is_readable(fd, LOST));
  assert_int_equal(shmx_channel_peek(&holder, &message, 0), 0); /* before the loop comes */
  assert_int_equal(receive_number(&loop, 0), -EDEADLK);
  assert_false(is_readable(fd, 20));
  shmx_channel_unpeek(&holder);
  assert_true(is_readable(fd, LOST));
  assert_int_equal(receive_number(&loop, 0), 2);
  assert_false(is_readable(fd, 20));
  shmx_channel_close(&loop);
}

static void test_ones_own_peek_is_not_readable(void **state) {
  (void)state;
  for (int claims = 0; claims <= 1; claims++) {
    shmx_channel sender, loop;
    shmx_message message;
    int fd;
    begin_loops();
    open_channel(&sender, NULL);
    open_channel(&loop, &fd);
    if (claims) assert_int_equal(shmx_channel_claim(&loop, SHMX_CONSUMER), 0);
    for (uint64_t number = 1; number <= 3; number++)
      assert_int_equal(send_number(&sender, number, 0), 0);
    assert_true(is_readable(fd, LOST));
    assert_int_equal(shmx_channel_peek(&loop, &message, 0), 0);
    assert_false(is_readable(fd, 20));
    assert_int_equal(shmx_channel_release(&loop), 0);
    assert_true(is_readable(fd, LOST));
    assert_int_equal(shmx_channel_peek(&loop, &message, 0), 0);
    assert_false(is_readable(fd, 20));
    shmx_channel_unpeek(&loop);
    assert_true(is_readable(fd, LOST));
    assert_int_equal(receive_number(&loop, 0), 2);
    assert_true(is_readable(fd, 0)); /* still */
    assert_int_equal(receive_number(&loop, 0), 3);
    assert_false(is_readable(fd, 0));
    shmx_channel_close(&loop);
  }
}

/* The thread looks now and then whether the holder lives. */
static void test_a_dead_holder_is_noticed(void **state) {
  (void)state;
  shmx_channel holder, sender, loop;
  int fd;
  begin_loops();
  open_channel(&sender, NULL);
  open_channel(&holder, NULL);
  assert_int_equal(send_number(&sender, 1, 0), 0);
  pthread_join(start_thread(hold_first, &holder), NULL);
  open_channel(&loop, &fd);
  assert_true(is_readable(fd, LOST));
  assert_int_equal(receive_number(&loop, 0), 1);
  shmx_channel_close(&holder);
  shmx_channel_close(&loop);
}

int main(void) {
  const char *given = getenv("SHM_SEED");
  seed = given != NULL ? strtoul(given, NULL, 10) : (unsigned long)shmx_clock_now();
  print_message("  SHM_SEED=%lu\n", seed);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_loop_never_wakes_in_vain),
      cmocka_unit_test(test_two_loops_do_not_spin),
      cmocka_unit_test(test_a_held_end_is_not_readable),
      cmocka_unit_test(test_ones_own_peek_is_not_readable),
      cmocka_unit_test(test_a_dead_holder_is_noticed),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
