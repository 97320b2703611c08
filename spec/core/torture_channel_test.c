/*
 * torture_channel_test.c kills producers and consumers of one channel at random, and replaces them:
 * what was committed is received once and in the order of each producer, and nobody who lives waits
 * for a second.
 *
 * In the environment: SHM_KILLS, how many (200); SHM_SEED, of what is random.
 */
#include "messages.h"

enum { PRODUCERS = 3, CONSUMERS = 3, WORKERS = PRODUCERS + CONSUMERS, RING = 1024, ALL = 1 << 24 };

/* What is known of a message, by its number. A producer writes SENDING before and SENT after it has
 * sent; killed between, either may be. A consumer writes what it received, and who it is. */
enum { SENDING = 1, SENT = 2, RECEIVED = 4, RELEASED = 8 };

static struct shared {
  _Alignas(64) unsigned char channel[320 + RING];
  _Atomic uint64_t next[PRODUCERS]; /* the number, of this producer, of the next message */
  _Atomic uint64_t last[PRODUCERS]; /* the latest that was received, and logged, of each */
  _Atomic int64_t longest;
  _Atomic bool finishing;
  _Atomic uint64_t handled;
  _Atomic unsigned char log[PRODUCERS][ALL];
} * shared;

static shmx_channel channel;
static uint64_t state_of_chance;

/* xorshift64* (Vigna). */
static uint32_t chance(uint32_t below) {
  state_of_chance ^= state_of_chance >> 12;
  state_of_chance ^= state_of_chance << 25;
  state_of_chance ^= state_of_chance >> 27;
  return (uint32_t)((state_of_chance * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static void open_mine(void) {
  state_of_chance += (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15);
  shmx_channel_open(&channel, shared->channel, RING);
}

static int64_t began;

static int64_t start(void) {
  began = shmx_clock_now();
  return began + 10 * SHMX_SECOND;
}

static void ended(int status) {
  int64_t took = ms_since(began), longest = shared->longest;
  while (took > longest && !atomic_compare_exchange_weak(&shared->longest, &longest, took))
    continue;
  if (status != 0) dprintf(STDERR_FILENO, "after %d ms: %s\n", (int)took, shmx_error_name(status));
  EXPECT(status == 0);
}

/* ---- producers: a number says whose it is, and which of his ---- */

static void send_reserved(uint64_t number) {
  void *data;
  ended(shmx_channel_reserve(&channel, LONGEST_TOLD, &data, start()));
  tell(data, number);
  EXPECT(shmx_channel_commit(&channel, length_of(number), (uint32_t)(number % 128)) == 0);
}

static void send_lot(uint64_t first, int who, uint64_t count) {
  unsigned char bytes[4][LONGEST_TOLD];
  shmx_message messages[4];
  size_t sent;
  for (uint64_t i = 0; i < count; i++)
    messages[i] = message_of(bytes[i], (first + i) * PRODUCERS + (uint64_t)who);
  ended(shmx_channel_send_all(&channel, messages, count, start(), &sent));
  EXPECT(sent == count);
}

/* Numbers are used once, also those of the dead. */
static void produce(int who) {
  open_mine();
  while (!shared->finishing) {
    uint64_t count = chance(4) == 0 ? 4 : 1, first = shared->next[who];
    EXPECT(first + count < ALL);
    shared->next[who] = first + count;
    for (uint64_t i = 0; i < count; i++)
      shared->log[who][first + i] |= SENDING;
    if (count > 1)
      send_lot(first, who, count);
    else if (chance(3) == 0)
      send_reserved(first * PRODUCERS + (uint64_t)who);
    else
      send_lot(first, who, 1);
    for (uint64_t i = 0; i < count; i++)
      shared->log[who][first + i] |= SENT;
  }
}

/* ---- consumers ---- */

static uint64_t own_last[PRODUCERS];

static void log_one(const shmx_message *message) {
  uint64_t number = number_of(message), who = number % PRODUCERS, which = number / PRODUCERS;
  EXPECT(number != UINT64_MAX && which < shared->next[who]);
  EXPECT(which + 1 > own_last[who]); /* in order, as far as one consumer sees it */
  own_last[who] = which + 1;
  EXPECT(!(atomic_fetch_or(&shared->log[who][which], RECEIVED) & RECEIVED)); /* not doubled */
  shared->handled++;
}

/* What is peeked at nobody else has: so here the order of each producer is seen. */
static void consume_in_place(void) {
  shmx_message message;
  int status = shmx_channel_peek(&channel, &message, start());
  if (status == -EPIPE) _exit(0);
  ended(status);
  uint64_t number = number_of(&message), who = number % PRODUCERS, which = number / PRODUCERS;
  EXPECT(number != UINT64_MAX);
  EXPECT(which + 1 >= shared->last[who]); /* again only if the one before us died with it */
  shared->last[who] = which + 1;
  EXPECT(!(shared->log[who][which] & RELEASED));
  shared->log[who][which] |= RECEIVED;
  shared->handled++;
  EXPECT(shmx_channel_release(&channel) == 0);
  shared->log[who][which] |= RELEASED;
}

/* At once, or in two halves: then another may be first. */
static int receive_copies(unsigned char *buffer, size_t most, size_t *length) {
  shmx_copied copied;
  if (chance(2) == 0)
    return shmx_channel_receive_all(&channel, buffer, RING, most, length, start());
  int status;
  do {
    status = shmx_channel_copy_all(&channel, buffer, RING, most, length, &copied, start());
    if (status == 0) status = shmx_channel_consume(&channel, &copied, start());
  } while (status == -EAGAIN);
  return status;
}

/* One of them, by the short way. */
static int receive_copy(unsigned char *buffer, shmx_message *message) {
  shmx_copied copied;
  int status;
  do {
    status = shmx_channel_copy(&channel, buffer, RING, message, &copied, start());
    if (status == 0) status = shmx_channel_consume(&channel, &copied, start());
  } while (status == -EAGAIN);
  return status;
}

static void consume_copy(void) {
  _Alignas(8) unsigned char buffer[RING];
  shmx_message message;
  int status = receive_copy(buffer, &message);
  if (status == -EPIPE) _exit(0);
  ended(status);
  log_one(&message);
}

static void consume_copies(size_t most) {
  _Alignas(8) unsigned char buffer[RING];
  size_t length, at = 0;
  shmx_message message;
  int status = receive_copies(buffer, most, &length);
  if (status == -EPIPE) _exit(0);
  ended(status);
  while (shmx_channel_next(buffer, length, &at, &message))
    log_one(&message);
}

static bool copies; /* a run in which consumers copy, or one in which they peek */

static void consume(int unused) {
  (void)unused;
  open_mine();
  for (;;)
    if (!copies)
      consume_in_place();
    else if (chance(2) == 0)
      consume_copy();
    else
      consume_copies(1);
}

/* ---- the tester ---- */

static long number_from(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text != NULL ? atol(text) : otherwise;
}

static pid_t start_worker(int which) {
  return start_child(which < PRODUCERS ? produce : consume, which < PRODUCERS ? which : 0);
}

/* Returns how many consumers were killed. */
static long kill_at_random(pid_t workers[WORKERS], long kills) {
  long consumers = 0;
  for (long i = 0; i < kills; i++) {
    nanosleep(&(struct timespec){0, chance(4000) * 1000}, NULL);
    uint32_t which = chance(WORKERS);
    kill(workers[which], SIGKILL);
    int status = wait_for(workers[which]);
    if (!WIFSIGNALED(status)) fail_msg("a worker ended by itself: status %#x", status);
    consumers += which >= PRODUCERS;
    workers[which] = start_worker((int)which);
  }
  return consumers;
}

/* Killed between receiving and logging, one consumer has one message that is in no log; who peeks
 * logs before it releases, and so there is none. What a killed producer did not log as sent may
 * have been sent, or not. */
static void check_logs(long consumers_killed) {
  uint64_t sent = 0, received = 0, missing = 0, unlogged = 0;
  for (int who = 0; who < PRODUCERS; who++)
    for (uint64_t i = 0; i < shared->next[who]; i++) {
      unsigned char log = shared->log[who][i];
      sent += log & SENT ? 1 : 0;
      received += log & RECEIVED ? 1 : 0;
      missing += log & SENT && !(log & RECEIVED);
      unlogged += !(log & SENT) && log & RECEIVED;
    }
  shmx_channel_status status;
  shmx_channel_stat(&channel, &status);
  print_message(
      "  %lu sent, %lu received, %lu in a dead consumer's hands, %lu of the dead, longest "
      "wait %ld ms\n",
      (unsigned long)sent, (unsigned long)received, (unsigned long)missing, (unsigned long)unlogged,
      (long)shared->longest);
  assert_int_equal(status.used, 0);
  assert_in_range(missing, 0, copies ? (uint64_t)consumers_killed : 0);
  assert_in_range(shared->longest, 0, longest_wait());
}

static void torture(bool copying) {
  long kills = number_from("SHM_KILLS", 200) / 2, seed = number_from("SHM_SEED", (long)time(NULL));
  print_message("  SHM_SEED=%ld SHM_KILLS=%ld\n", seed, kills * 2);
  state_of_chance = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
  copies = copying;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(shared != MAP_FAILED);
  shmx_channel_open(&channel, shared->channel, RING);
  pid_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    workers[i] = start_worker(i);
  long consumers = kill_at_random(workers, kills);
  shared->finishing = true;
  for (int i = 0; i < PRODUCERS; i++)
    assert_int_equal(wait_for(workers[i]), 0);
  assert_int_equal(shmx_channel_finish(&channel, in_ms(1000)), 0);
  for (int i = PRODUCERS; i < WORKERS; i++)
    assert_int_equal(wait_for(workers[i]), 0);
  check_logs(consumers);
  munmap(shared, sizeof *shared);
}

static void test_copies(void **state) {
  (void)state;
  torture(true);
}

static void test_in_place(void **state) {
  (void)state;
  torture(false);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_copies, nothing_left),
                                     cmocka_unit_test_teardown(test_in_place, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
