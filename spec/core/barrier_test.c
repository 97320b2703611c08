/* barrier_test.c shows parties that meet, of whom some come late, give up, are killed, or fork. */
#include "together.h"

enum { PARTIES = 3 };

static shmx_barrier opened(void) {
  shmx_barrier barrier;
  shmx_barrier_open(&barrier, ground->memory, PARTIES);
  return barrier;
}

static uint32_t waiting(void) {
  shmx_barrier barrier = opened();
  return shmx_barrier_waiting(&barrier);
}

/* Meets the others once; `one` counts who was told to be the last, `other` who met. */
static void meet_as_child(int expected) {
  shmx_barrier barrier = opened();
  bool last = true;
  int status = shmx_barrier_wait(&barrier, in_ms(10000), &last);
  EXPECT(status == expected);
  EXPECT(status == 0 || !last);
  atomic_fetch_add(&ground->inside, last);
  atomic_fetch_add(&ground->stage, 1);
}

static pid_t start_party(int expected) {
  uint32_t before = waiting();
  pid_t child = start_child(meet_as_child, expected);
  assert_true(UNTIL(waiting() == before + 1 && is_asleep(child)));
  return child;
}

/* All of them come from elsewhere, and meet: the barrier is as new. */
static void assert_as_new(void) {
  pid_t children[PARTIES];
  assert_int_equal(waiting(), 0);
  ground->inside = ground->stage = 0;
  for (int i = 0; i < PARTIES; i++)
    children[i] = i < PARTIES - 1 ? start_party(0) : start_child(meet_as_child, 0);
  for (int i = 0; i < PARTIES; i++)
    assert_int_equal(wait_for(children[i]), 0);
  assert_int_equal(ground->stage, PARTIES);
  assert_int_equal(ground->inside, 1);
  assert_int_equal(waiting(), 0);
}

static void test_all_meet_and_one_is_the_last(void **state) {
  (void)state;
  assert_int_equal(shmx_barrier_kind(PARTIES).id, SHMX_KIND_BARRIER);
  assert_int_equal(shmx_barrier_kind(PARTIES).size, 128 + 16 * PARTIES);
  assert_int_equal(shmx_barrier_kind(PARTIES).count, PARTIES);
  for (int i = 0; i < 10; i++)
    assert_as_new();
}

static void test_one_party_is_always_the_last(void **state) {
  (void)state;
  shmx_barrier barrier;
  shmx_barrier_open(&barrier, ground->memory, 1);
  bool last = false;
  assert_int_equal(shmx_barrier_wait(&barrier, 0, &last), 0);
  assert_true(last);
  assert_int_equal(shmx_barrier_wait(&barrier, 0, NULL), 0);
}

static void test_who_gives_up_is_not_waited_for(void **state) {
  (void)state;
  shmx_barrier barrier = opened();
  bool last = true;
  pid_t child = start_party(0);
  for (int ms = 0; ms <= 230; ms += 230) {
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_barrier_wait(&barrier, in_ms(ms), &last), -ETIMEDOUT);
    assert_in_range(ms_since(start), ms, ms + 300);
    assert_false(last);
    assert_int_equal(waiting(), 1);
  }
  assert_int_equal(shmx_barrier_wait(&barrier, 0, NULL), -ETIMEDOUT);
  interrupt_every(20);
  assert_int_equal(shmx_barrier_wait(&barrier, SHMX_FOREVER, NULL), -EINTR);
  interrupt_every(0);
  assert_int_equal(waiting(), 1);
  pid_t second = start_party(0);
  assert_int_equal(shmx_barrier_wait(&barrier, in_ms(1000), &last), 0);
  assert_true(last);
  assert_int_equal(wait_for(child), 0);
  assert_int_equal(wait_for(second), 0);
}

/* ---- the dead ---- */

static void test_all_others_are_told_of_a_death(void **state) {
  (void)state;
  for (int reaping = 0; reaping <= 1; reaping++) {
    pid_t victim = start_party(0), other = start_party(-EOWNERDEAD);
    int64_t start = shmx_clock_now();
    kill(victim, SIGKILL);
    if (reaping) wait_for(victim);
    assert_int_equal(wait_for(other), 0);
    assert_in_range(ms_since(start), 0, 500);
    if (!reaping) wait_for(victim);
    assert_as_new();
  }
}

/* One of them is killed while they wait. */
static void fail_once(void) {
  pid_t victim = start_party(0), other = start_party(-EOWNERDEAD);
  end_child(victim);
  assert_int_equal(wait_for(other), 0);
}

static void test_a_failure_is_not_told_again(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    fail_once();
    assert_as_new();
  }
}

static void stop(pid_t party) {
  int status;
  kill(party, SIGSTOP);
  assert_int_equal(waitpid(party, &status, WUNTRACED), party);
}

static void resume(pid_t party) {
  kill(party, SIGCONT);
  assert_int_equal(wait_for(party), 0);
}

/* All meet, but one is stopped before it hears of it. */
static pid_t stop_in_a_good_round(int told) {
  pid_t stopped = start_party(told);
  stop(stopped);
  pid_t second = start_party(0), last = start_child(meet_as_child, 0);
  assert_int_equal(wait_for(second), 0);
  assert_int_equal(wait_for(last), 0);
  return stopped;
}

static pid_t stop_in_a_failed_round(void) {
  pid_t stopped = start_party(-EOWNERDEAD);
  stop(stopped);
  pid_t victim = start_party(0), last;
  end_child(victim);
  last = start_child(meet_as_child, -EOWNERDEAD);
  assert_int_equal(wait_for(last), 0);
  return stopped;
}

static void test_a_stopped_party_is_told_of_its_own_round(void **state) {
  (void)state;
  pid_t good = stop_in_a_good_round(0), failed = stop_in_a_failed_round();
  for (int round = 2; round < 64; round++)
    assert_as_new();
  fail_once();
  assert_as_new();
  resume(good);
  resume(failed);
}

/* Failures are listed until too many others have come. A result that is lost counts as a failure,
 * and only results that are older than a lost failure are lost. */
static void test_a_failure_is_never_taken_for_a_success(void **state) {
  (void)state;
  for (int too_many = 0; too_many <= 1; too_many++) {
    pid_t before = stop_in_a_good_round(too_many ? -EOWNERDEAD : 0);
    pid_t failed = stop_in_a_failed_round(), after = stop_in_a_good_round(0);
    for (int i = 1; i < SHMX_BARRIER_FAILURES + too_many; i++)
      fail_once();
    resume(before);
    resume(failed);
    resume(after);
  }
}

static void test_the_last_to_come_is_told_too(void **state) {
  (void)state;
  shmx_barrier barrier = opened();
  bool last = true;
  pid_t victim = start_party(0), other = start_party(-EOWNERDEAD);
  stop(other); /* so that it is us who find out */
  end_child(victim);
  assert_int_equal(shmx_barrier_wait(&barrier, in_ms(1000), &last), -EOWNERDEAD);
  assert_false(last);
  resume(other);
  assert_as_new();
}

static void test_namesakes_of_those_who_wait_are_dead(void **state) {
  (void)state;
  pid_t other = start_party(-EOWNERDEAD);
  _Atomic uint64_t *places = (_Atomic uint64_t *)(void *)(ground->memory + 128);
  uint64_t round = *(uint64_t *)(void *)(ground->memory + 16);
  places[3] = round; /* the second place */
  places[2] = namesake(own_task());
  assert_int_equal(wait_for(other), 0);
  assert_int_equal(waiting(), 0);
  assert_as_new();
}

static void enter_and_stay(int stage) {
  EXPECT(shmx_lock_enter((struct shmx_lock *)(void *)ground->memory, in_ms(1000)) == 0);
  stay(stage);
}

static void test_who_dies_coming_is_in_nobodys_way(void **state) {
  (void)state;
  shmx_barrier barrier = opened();
  pid_t victim = start_child(enter_and_stay, 1);
  assert_true(UNTIL(ground->stage == 1));
  int64_t start = shmx_clock_now();
  assert_int_equal(shmx_barrier_wait(&barrier, 0, NULL), -ETIMEDOUT);
  assert_in_range(ms_since(start), 0, 500);
  end_child(victim);
  assert_int_equal(shmx_barrier_wait(&barrier, 0, NULL), -ETIMEDOUT);
  assert_as_new();
}

static void test_a_stopped_party_is_waited_for(void **state) {
  (void)state;
  shmx_barrier barrier = opened();
  pid_t child = start_party(0), other = start_party(0);
  stop(child);
  shmx_barrier elsewhere;
  shmx_barrier_open(&elsewhere, ground->memory + 1024, 2); /* where nobody comes: time passes */
  assert_int_equal(shmx_barrier_wait(&elsewhere, in_ms(150), NULL), -ETIMEDOUT);
  assert_int_equal(ground->stage, 0);
  assert_int_equal(shmx_barrier_wait(&barrier, in_ms(1000), NULL), 0);
  assert_int_equal(wait_for(other), 0);
  resume(child);
}

/* ---- fork, many, promptly ---- */

static shmx_barrier inherited;

static void wait_inherited(int unused) {
  (void)unused;
  EXPECT(shmx_barrier_wait(&inherited, in_ms(5000), NULL) == 0);
}

static void test_a_child_is_a_party_of_its_own(void **state) {
  (void)state;
  inherited = opened();
  assert_int_equal(shmx_barrier_wait(&inherited, 0, NULL), -ETIMEDOUT);
  pid_t children[PARTIES];
  for (int i = 0; i < PARTIES; i++)
    children[i] = start_child(wait_inherited, 0);
  for (int i = 0; i < PARTIES; i++)
    assert_int_equal(wait_for(children[i]), 0);
}

enum { ROUNDS_TOGETHER = 2000 };

static void meet_often(int unused) {
  (void)unused;
  shmx_barrier barrier = opened();
  for (int round = 0; round < ROUNDS_TOGETHER; round++) {
    bool last;
    EXPECT(ground->stage / PARTIES == round);
    atomic_fetch_add(&ground->inside, 1);
    EXPECT(shmx_barrier_wait(&barrier, in_ms(20000), &last) == 0);
    EXPECT(ground->inside == (round + 1) * PARTIES);
    atomic_fetch_add(&ground->stage, 1);
    EXPECT(shmx_barrier_wait(&barrier, in_ms(20000), NULL) == 0);
    if (last) ground->one = ground->one + 1;
  }
}

static void test_nobody_goes_on_before_all_have_come(void **state) {
  (void)state;
  pid_t children[PARTIES];
  for (int i = 0; i < PARTIES; i++)
    children[i] = start_child(meet_often, 0);
  for (int i = 0; i < PARTIES; i++)
    assert_int_equal(wait_for(children[i]), 0);
  assert_int_equal(ground->one, ROUNDS_TOGETHER);
}

static void *wait_and_note(void *noted) {
  shmx_barrier barrier = opened();
  EXPECT(shmx_barrier_wait(&barrier, in_ms(5000), NULL) == 0);
  *(int64_t *)noted = shmx_clock_now();
  return NULL;
}

static void test_the_last_wakes_the_others(void **state) {
  (void)state;
  int64_t waits[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    int64_t noted[PARTIES - 1];
    pthread_t threads[PARTIES - 1];
    for (int j = 0; j < PARTIES - 1; j++)
      threads[j] = start_thread(wait_and_note, &noted[j]);
    assert_true(UNTIL(waiting() == PARTIES - 1));
    shmx_barrier barrier;
    shmx_barrier_open(&barrier, ground->memory + 1024, 2); /* where nobody comes: time passes */
    assert_int_equal(shmx_barrier_wait(&barrier, in_ms(20), NULL), -ETIMEDOUT);
    barrier = opened();
    int64_t start = shmx_clock_now();
    assert_int_equal(shmx_barrier_wait(&barrier, in_ms(1000), NULL), 0);
    for (int j = 0; j < PARTIES - 1; j++)
      pthread_join(threads[j], NULL);
    waits[i] = (noted[0] - start) / MS;
  }
  assert_in_range(median(waits), 0, PROMPT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TOGETHER(test_all_meet_and_one_is_the_last),
      TOGETHER(test_one_party_is_always_the_last),
      TOGETHER(test_who_gives_up_is_not_waited_for),
      TOGETHER(test_all_others_are_told_of_a_death),
      TOGETHER(test_a_failure_is_not_told_again),
      TOGETHER(test_a_stopped_party_is_told_of_its_own_round),
      TOGETHER(test_a_failure_is_never_taken_for_a_success),
      TOGETHER(test_the_last_to_come_is_told_too),
      TOGETHER(test_namesakes_of_those_who_wait_are_dead),
      TOGETHER(test_who_dies_coming_is_in_nobodys_way),
      TOGETHER(test_a_stopped_party_is_waited_for),
      TOGETHER(test_a_child_is_a_party_of_its_own),
      TOGETHER(test_nobody_goes_on_before_all_have_come),
      TOGETHER(test_the_last_wakes_the_others),
  };
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
