/*
 * channel_test.c sends and receives: messages of all sizes at all places of the ring, claims,
 * reservations, what fork and the ends of threads do to them, and memory in which a peer lies.
 */
#include "messages.h"

#include "data/end.h"

#include <poll.h>

enum { RING = 256, MEMORY = 320 + RING };

#define BOTH (SHMX_PRODUCER | SHMX_CONSUMER)

static shmx_channel channel, other; /* two handles of one channel */

static int begin_channel(void **state) {
  if (begin_ground(state) != 0) return -1;
  shmx_channel_open(&channel, ground->memory, RING);
  shmx_channel_open(&other, ground->memory, RING);
  return 0;
}

#define CHANNEL(test)                                                                              \
  { #test, test, begin_channel, end_ground, NULL }

static struct shmx_end *ends(void) {
  return (struct shmx_end *)(void *)ground->memory;
}

static uint64_t used(void) {
  shmx_channel_status status;
  shmx_channel_stat(&channel, &status);
  return status.used;
}

static void send_some(uint64_t number) {
  assert_int_equal(send_number(&channel, number, 0), 0);
}

static void receive_some(uint64_t number) {
  assert_int_equal(receive_number(&channel, 0), (int64_t)number);
}

/* ---- messages ---- */

/* Each size at each place, in all the ways; three are on their way at once where they fit. */
static void test_all_sizes_at_all_places(void **state) {
  (void)state;
  static unsigned char data[RING];
  _Alignas(8) unsigned char buffer[RING];
  for (uint32_t at = 0; at < RING; at += 8)
    for (uint32_t length = 0; length <= shmx_channel_limit(&channel); length++) {
      memset(ground->memory, 0, MEMORY);
      ends()[0].index = ends()[1].index = at;
      shmx_channel_open(&channel, ground->memory, RING);
      memset(data, (int)length + 1, length);
      shmx_message sent = {data, length, length % 128}, message;
      void *place;
      int count = 0;
      assert_int_equal(shmx_channel_send(&channel, &sent, 0), 0);
      if (shmx_channel_reserve(&channel, length, &place, 0) == 0) {
        memcpy(place, data, length);
        assert_int_equal(shmx_channel_commit(&channel, length, length % 128), 0);
        count++;
      }
      for (int i = 0; i <= count; i++) {
        if (i == 1) {
          assert_int_equal(shmx_channel_peek(&channel, &message, 0), 0);
          assert_memory_equal(message.data, data, length);
          assert_int_equal(shmx_channel_release(&channel), 0);
        } else {
          assert_int_equal(shmx_channel_receive(&channel, buffer, length, &message, 0), 0);
          assert_memory_equal(buffer, data, length);
        }
        assert_int_equal(message.length, length);
        assert_int_equal(message.tag, length % 128);
      }
      assert_int_equal(used(), 0);
      assert_true(all_are(ground->memory + MEMORY, 0, 64));
    }
}

static void test_errors(void **state) {
  (void)state;
  static unsigned char data[RING];
  _Alignas(8) unsigned char buffer[RING];
  void *place;
  size_t length, sent;
  shmx_message message = {data, RING / 2 - 7, 0}, nothing = {NULL, 0, 0};
  assert_int_equal(shmx_channel_send(&channel, &message, 0), -EMSGSIZE);
  assert_int_equal(shmx_channel_reserve(&channel, RING / 2 - 7, &place, 0), -EMSGSIZE);
  assert_int_equal(shmx_channel_commit(&channel, 0, 0), -EPERM);
  assert_int_equal(shmx_channel_release(&channel), -EPERM);
  assert_int_equal(shmx_channel_receive(&channel, buffer, RING, &message, 0), -ETIMEDOUT);
  message = (shmx_message){data, RING / 2 - 8, 0};
  assert_int_equal(shmx_channel_send(&channel, &message, 0), 0);
  assert_int_equal(shmx_channel_send(&channel, &message, 0), 0); /* to the last byte */
  assert_int_equal(used(), RING);
  int64_t start = shmx_clock_now();
  assert_int_equal(shmx_channel_send(&channel, &nothing, in_ms(30)), -ETIMEDOUT);
  assert_in_range(ms_since(start), 30, 1000);
  interrupt_every(20);
  assert_int_equal(shmx_channel_send(&channel, &nothing, in_ms(5000)), -EINTR);
  interrupt_every(0);
  assert_int_equal(shmx_channel_receive(&channel, buffer, 119, &message, 0), -EMSGSIZE);
  assert_int_equal(message.length, 120);
  place = (void *)message.data;
  assert_int_equal(shmx_channel_peek(&channel, &message, 0), 0);
  assert_ptr_equal(message.data, place);
  shmx_channel_unpeek(&channel);
  assert_int_equal(shmx_channel_receive_all(&channel, buffer, 127, 9, &length, 0), -EMSGSIZE);
  assert_int_equal(length, 128);
  assert_int_equal(shmx_channel_receive_all(&channel, buffer, RING, 0, &length, 0), 0);
  assert_int_equal(length, 0);
  assert_int_equal(shmx_channel_receive_all(&channel, buffer, RING, 1, &length, 0), 0);
  assert_int_equal(length, 128);
  assert_int_equal(shmx_channel_reserve(&channel, 8, &place, 0), 0);
  assert_int_equal(shmx_channel_commit(&channel, 9, 0), -EINVAL);
  assert_int_equal(shmx_channel_reserve(&channel, 8, &place, 0), -EDEADLK);
  assert_int_equal(shmx_channel_send(&channel, &nothing, 0), -EDEADLK);
  assert_int_equal(shmx_channel_finish(&channel, 0), -EDEADLK);
  assert_int_equal(shmx_channel_claim(&channel, SHMX_PRODUCER), -EDEADLK);
  assert_int_equal(shmx_channel_commit(&channel, 0, 0), 0);
  shmx_message lot[] = {nothing, {data, RING, 0}};
  assert_int_equal(shmx_channel_send_all(&channel, lot, 2, 0, &sent), -EMSGSIZE);
  assert_int_equal(sent, 1);
  assert_int_equal(shmx_channel_peek(&channel, &message, 0), 0);
  assert_int_equal(shmx_channel_receive(&channel, buffer, RING, &message, 0), -EDEADLK);
  assert_int_equal(shmx_channel_release(&channel), 0);
  assert_int_equal(shmx_channel_finish(&channel, 0), 0);
  assert_int_equal(shmx_channel_send(&channel, &nothing, 0), -EPIPE);
  assert_int_equal(shmx_channel_reserve(&channel, 0, &place, 0), -EPIPE);
  assert_int_equal(shmx_channel_receive(&channel, NULL, 0, &message, 0), 0);
  assert_int_equal(shmx_channel_receive(&channel, NULL, 0, &message, 0), 0);
  assert_int_equal(shmx_channel_receive(&channel, NULL, 0, &message, SHMX_FOREVER), -EPIPE);
  assert_int_equal(shmx_channel_peek(&channel, &message, SHMX_FOREVER), -EPIPE);
}

static void test_a_large_ring(void **state) {
  (void)state;
  uint64_t capacity = shmx_channel_capacity((64 << 20) - 1);
  assert_int_equal(capacity, 64 << 20);
  size_t size = shmx_channel_kind(capacity).size, most = capacity / 2 - 8;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  unsigned char *data = malloc(most), *buffer = malloc(most);
  shmx_channel large;
  shmx_channel_open(&large, memory, capacity);
  memset(data, 7, most);
  for (int i = 0; i < 3; i++) {
    shmx_message message = {data, (uint32_t)(most - (size_t)i * 4096), 1};
    assert_int_equal(shmx_channel_send(&large, &message, 0), 0);
    assert_int_equal(shmx_channel_receive(&large, buffer, most, &message, 0), 0);
    assert_memory_equal(buffer, data, message.length);
  }
  free(data), free(buffer);
  munmap(memory, size);
}

/* ---- whose end it is ---- */

static int claim_other(void) {
  return shmx_channel_claim(&other, BOTH);
}

static int send_by_other(void) {
  return send_number(&other, 5, SHMX_FOREVER);
}

static void test_claims(void **state) {
  (void)state;
  assert_int_equal(shmx_channel_claim(&channel, BOTH), 0);
  assert_int_equal(shmx_channel_claim(&channel, BOTH), 0);
  assert_int_equal(shmx_channel_holder(&channel, SHMX_PRODUCER), getpid());
  assert_int_equal(in_thread(claim_other), -EBUSY);
  assert_int_equal(in_thread(send_by_other), -EBUSY);
  assert_int_equal(claim_other(), -EBUSY);
  assert_int_equal(send_by_other(), -EBUSY);
  send_some(1);
  receive_some(1);
  shmx_channel_close(&channel);
  assert_int_equal(shmx_channel_holder(&other, SHMX_PRODUCER), 0);
  assert_int_equal(send_by_other(), 0);
}

/* Another handle of the thread that has reserved must not send into the reservation. */
static void test_two_handles_of_one_thread(void **state) {
  (void)state;
  void *place;
  assert_int_equal(shmx_channel_reserve(&channel, 8, &place, 0), 0);
  assert_int_equal(send_number(&other, 5, in_ms(500)), -EDEADLK);
  assert_int_equal(shmx_channel_commit(&channel, 8, 0), 0);
  assert_int_equal(send_number(&other, 5, 0), 0);
}

static int send_by_mine(void) {
  return send_number(&channel, 5, 0);
}

/* A thread that uses the handle of a claim in vain takes nothing from it. */
static void test_another_thread_with_the_handle(void **state) {
  (void)state;
  assert_int_equal(shmx_channel_claim(&channel, SHMX_PRODUCER), 0);
  assert_int_equal(in_thread(send_by_mine), -EBUSY);
  send_some(1);
  shmx_channel_close(&channel);
  assert_int_equal(send_number(&other, 5, 0), 0);
}

static int claim_mine(void) {
  return shmx_channel_claim(&channel, SHMX_PRODUCER);
}

/* What a thread that has ended had claimed is another's, and stays his when the handle is closed.
 */
static void test_closing_for_a_thread_that_has_ended(void **state) {
  (void)state;
  void *place;
  assert_int_equal(in_thread(claim_mine), 0);
  assert_int_equal(shmx_channel_reserve(&other, 8, &place, in_ms(1000)), 0);
  shmx_channel_close(&channel);
  assert_int_equal(shmx_channel_holder(&other, SHMX_PRODUCER), getpid());
  assert_int_equal(shmx_lock_owner(&ends()[0].turn), own_task());
  assert_int_equal(shmx_channel_commit(&other, 8, 0), 0);
}

static void claim_and_close_in_child(int unused) {
  (void)unused;
  EXPECT(shmx_channel_claim(&channel, SHMX_CONSUMER) == 0);
  shmx_channel_close(&channel);
}

static void test_fork_leaves_the_parent_its_claims(void **state) {
  (void)state;
  assert_int_equal(shmx_channel_claim(&channel, SHMX_PRODUCER), 0);
  assert_child_passes(claim_and_close_in_child, 0);
  assert_int_equal(shmx_channel_holder(&channel, SHMX_PRODUCER), getpid());
  assert_int_equal(in_thread(claim_other), -EBUSY);
  send_some(1);
  receive_some(1);
  shmx_channel_close(&channel);
}

static void claim_and_stay(int end) {
  EXPECT(shmx_channel_claim(&channel, end) == 0);
  stay(1);
}

static void reserve_and_stay(int unused) {
  (void)unused;
  void *place;
  EXPECT(shmx_channel_reserve(&channel, 40, &place, 0) == 0);
  memset(place, 0xff, 40);
  stay(1);
}

static void *wait_in_vain(void *result) {
  *(int64_t *)result = send_number(&other, 5, in_ms(5000));
  return NULL;
}

static void test_claims_of_the_dead(void **state) {
  (void)state;
  pid_t child = start_child(claim_and_stay, BOTH);
  assert_true(UNTIL(ground->stage == 1));
  assert_int_equal(shmx_channel_claim(&channel, SHMX_PRODUCER), -EBUSY);
  assert_int_equal(shmx_channel_holder(&channel, SHMX_CONSUMER), child);
  end_child(child);
  int64_t start = shmx_clock_now();
  assert_int_equal(shmx_channel_claim(&channel, BOTH), 0);
  assert_in_range(ms_since(start), 0, 1000);
  shmx_channel_close(&channel);
}

/* Who waits for a turn that is claimed meanwhile is told, and does not wait on. */
static void test_claimed_while_one_waits(void **state) {
  (void)state;
  int64_t result = 1, start = shmx_clock_now();
  void *place;
  assert_int_equal(shmx_channel_reserve(&channel, 8, &place, 0), 0);
  pthread_t thread = start_thread(wait_in_vain, &result);
  assert_true(UNTIL(ends()[0].turn.word & SHMX_LOCK_WAITERS));
  ends()[0].claimed = own_task();
  pthread_join(thread, NULL);
  assert_int_equal(result, -EBUSY);
  assert_in_range(ms_since(start), 0, 1000);
  shmx_channel_close(&channel);
}

static void test_a_stopped_reserver(void **state) {
  (void)state;
  send_some(1);
  pid_t child = start_child(reserve_and_stay, 0);
  assert_true(UNTIL(ground->stage == 1));
  kill(child, SIGSTOP);
  receive_some(1);
  assert_int_equal(receive_number(&channel, 0), -ETIMEDOUT);
  assert_int_equal(send_number(&channel, 2, in_ms(200)), -ETIMEDOUT);
  assert_int_equal(shmx_channel_claim(&channel, SHMX_PRODUCER), -EBUSY);
  assert_int_equal(shmx_channel_holder(&channel, SHMX_PRODUCER), child);
  end_child(child);
  assert_int_equal(send_number(&channel, 3, in_ms(1000)), 0);
  receive_some(3);
}

/* ---- the descriptor ---- */

static bool polls(int fd, int milliseconds) {
  return poll(&(struct pollfd){fd, POLLIN, 0}, 1, milliseconds) == 1;
}

static void send_and_die(int unused) {
  (void)unused;
  int fd;
  EXPECT(shmx_channel_fd(&channel, &fd) == 0); /* not the parent's */
  EXPECT(!polls(fd, 0) && send_number(&channel, 4, 0) == 0 && polls(fd, 1000));
  kill(getpid(), SIGKILL);
}

static void test_a_descriptor(void **state) {
  (void)state;
  int fd;
  assert_int_equal(shmx_channel_fd(&channel, &fd), 0);
  assert_false(polls(fd, 20));
  for (int i = 0; i < 3; i++) {
    assert_true(WIFSIGNALED(child_status(send_and_die, 0)));
    assert_true(polls(fd, 1000));
    receive_some(4);
    while (polls(fd, 20)) /* now and then for nothing */
      assert_int_equal(receive_number(&channel, 0), -ETIMEDOUT);
  }
  assert_int_equal(shmx_channel_finish(&other, 0), 0);
  assert_true(polls(fd, 1000));
  shmx_channel_close(&channel);
}

/* ---- lies ---- */

static void lie(int unused) {
  (void)unused;
  enum { ALL = 1 << 16 };
  unsigned char *all = mmap(NULL, ALL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  EXPECT(mprotect(all + ALL - PAGE, PAGE, PROT_NONE) == 0);
  unsigned char *memory = all + ALL - PAGE - MEMORY;
  struct shmx_end *both = (struct shmx_end *)(void *)memory;
  static const uint64_t values[] = {0,
                                    1,
                                    4,
                                    7,
                                    8,
                                    24,
                                    100,
                                    120,
                                    121,
                                    128,
                                    240,
                                    247,
                                    248,
                                    249,
                                    256,
                                    257,
                                    264,
                                    UINT32_MAX,
                                    UINT64_MAX,
                                    UINT64_MAX - 7,
                                    UINT64_C(1) << 63,
                                    (UINT64_C(1) << 63) + 120,
                                    (UINT64_C(1) << 63) + 8,
                                    UINT64_C(1) << 31};
  enum { VALUES = sizeof values / sizeof *values };
  for (size_t tail = 0; tail < VALUES; tail++)
    for (size_t head = 0; head < VALUES; head++)
      for (size_t word = 0; word < VALUES; word++) {
        shmx_channel liar;
        _Alignas(8) unsigned char buffer[RING];
        shmx_message message;
        size_t length;
        void *place;
        memset(memory, 0, MEMORY);
        for (int i = 0; i < RING / 8; i++)
          ((uint64_t *)(void *)(memory + 320))[i] = values[word];
        both[0].index = values[tail];
        both[1].index = values[head];
        shmx_channel_open(&liar, memory, RING);
        shmx_channel_receive_all(&liar, buffer, RING, 1, &length, 0);
        if (shmx_channel_peek(&liar, &message, 0) == 0) {
          EXPECT((const unsigned char *)message.data + message.length <= all + ALL - PAGE);
          both[1].index = values[tail] ^ 8;
          shmx_channel_release(&liar);
        }
        int status = shmx_channel_receive(&liar, buffer, RING, &message, 0);
        bool sane =
            both[0].index - both[1].index <= RING && (both[0].index | both[1].index) % 8 == 0;
        EXPECT(sane || status == -EBADMSG);
        status = send_number(&liar, 1, 0);
        EXPECT(status == 0 || status == -EBADMSG || status == -ETIMEDOUT);
        if (shmx_channel_reserve(&liar, 120, &place, 0) == 0) {
          memset(place, 1, 120);
          both[0].index = values[head];
          shmx_channel_commit(&liar, 120, 0);
        }
        shmx_channel_close(&liar);
      }
}

/* A message that says it goes on behind the tail. */
static void test_a_message_behind_the_tail(void **state) {
  (void)state;
  send_some(1);
  *(uint64_t *)(void *)(ground->memory + 320) = 100;
  assert_int_equal(receive_number(&channel, 0), -EBADMSG);
}

static void test_lies_harm_nobody(void **state) {
  (void)state;
  assert_child_passes(lie, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CHANNEL(test_all_sizes_at_all_places),
      CHANNEL(test_errors),
      CHANNEL(test_a_large_ring),
      CHANNEL(test_claims),
      CHANNEL(test_two_handles_of_one_thread),
      CHANNEL(test_another_thread_with_the_handle),
      CHANNEL(test_closing_for_a_thread_that_has_ended),
      CHANNEL(test_fork_leaves_the_parent_its_claims),
      CHANNEL(test_claims_of_the_dead),
      CHANNEL(test_claimed_while_one_waits),
      CHANNEL(test_a_stopped_reserver),
      CHANNEL(test_a_descriptor),
      CHANNEL(test_a_message_behind_the_tail),
      CHANNEL(test_lies_harm_nobody),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
