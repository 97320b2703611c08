/*
 * step_meet_test.c kills who waits for a condition, notifies, or comes to a barrier, at every
 * instruction; and stops who notifies at every instruction while another comes to wait.
 */
#include "step.h"

enum { PARTIES = 2, ROUND_WORD = 2, FAILURES_WORD = 4, PLACES_WORD = 16 };

static shmx_mutex mutex;
static shmx_condition condition;
static shmx_barrier barrier;

static void open_all(void) {
  shmx_mutex_open(&mutex, ground->second);
  shmx_condition_open(&condition, ground->memory);
  shmx_barrier_open(&barrier, ground->memory, PARTIES);
}

static void prepare(void) {
  memset(ground, 0, sizeof *ground);
  watched.data = ground->memory;
  watched.size = (size_t)(ground->second + sizeof ground->second - ground->memory);
  open_all();
}

static bool got(int status) {
  return status == 0 || status == -EOWNERDEAD;
}

/* ---- a bystander, who waits until there is something ---- */

static pthread_t bystander;
static _Atomic int outcome, bystander_number;

static void *wait_for_one(void *unused) {
  shmx_mutex own;
  shmx_condition same;
  shmx_mutex_open(&own, ground->second);
  shmx_condition_open(&same, ground->memory);
  int status = shmx_mutex_lock(&own, in_ms(2000));
  bystander_number = gettid();
  while (got(status) && ground->one == 0)
    status = shmx_condition_wait(&same, &own, in_ms(2000));
  shmx_mutex_unlock(&own);
  outcome = status;
  return unused;
}

static void start_bystander(void) {
  bystander_number = 0;
  bystander = start_thread(wait_for_one, NULL);
  CHECK(UNTIL(bystander_number != 0 && is_asleep(bystander_number)));
}

static void prepare_bystander(void) {
  prepare();
  start_bystander();
}

/* There is something now, and it is said. */
static void put_one(void) {
  int64_t start = shmx_clock_now();
  CHECK(got(shmx_mutex_lock(&mutex, in_ms(longest_wait()))));
  ground->one = 1;
  CHECK(shmx_mutex_unlock(&mutex) == 0);
  shmx_condition_notify(&condition);
  pthread_join(bystander, NULL);
  CHECK(in_time(start));
  CHECK(got(outcome));
}

/* Who waits, and who comes to wait, are woken. */
static void condition_goes_on(void) {
  start_bystander();
  put_one();
}

static void bystander_goes_on(void) {
  put_one();
  ground->one = 0;
  condition_goes_on();
}

/* ---- a victim that waits, or notifies ---- */

static void lock(void) {
  EXPECT(shmx_mutex_lock(&mutex, in_ms(longest_wait())) == 0);
}

static void wait_20_ms(void) {
  EXPECT(shmx_condition_wait(&condition, &mutex, in_ms(20)) == -ETIMEDOUT);
  EXPECT(shmx_mutex_unlock(&mutex) == 0);
}

static void wait_for_notification(void) {
  EXPECT(shmx_condition_wait(&condition, &mutex, in_ms(5000)) == 0);
  EXPECT(shmx_mutex_unlock(&mutex) == 0);
}

static void notify(void) {
  shmx_condition_notify(&condition);
}

static void notify_all(void) {
  shmx_condition_notify_all(&condition);
}

static _Atomic bool notifying;
static pthread_t notifier;

static void *notify_on_and_on(void *all) {
  shmx_condition same;
  shmx_condition_open(&same, ground->memory);
  while (notifying) {
    all != NULL ? shmx_condition_notify_all(&same) : shmx_condition_notify(&same);
    nanosleep(&(struct timespec){0, MS}, NULL);
  }
  return NULL;
}

static void prepare_notifier(void) {
  prepare();
  notifying = true;
  notifier = start_thread(notify_on_and_on, NULL);
}

static void notifier_goes_on(void) {
  notifying = false;
  pthread_join(notifier, NULL);
  condition_goes_on();
}

/* ---- one who puts something while the victim stands still on its way to sleep ---- */

static _Atomic bool put;
static int64_t resumed;

static void *lock_and_put(void *unused) {
  shmx_mutex own;
  shmx_mutex_open(&own, ground->second);
  bystander_number = gettid();
  CHECK(shmx_mutex_lock(&own, in_ms(2000)) == 0);
  ground->one = 1;
  CHECK(shmx_mutex_unlock(&own) == 0);
  shmx_condition_notify(&condition);
  put = true;
  return unused;
}

/* Where the victim has the mutex, it will be put later. */
static void start_to_put(void) {
  put = false;
  bystander_number = 0;
  bystander = start_thread(lock_and_put, NULL);
  CHECK(UNTIL(put || (bystander_number != 0 && is_asleep(bystander_number))));
  resumed = put ? shmx_clock_now() : 0;
}

enum { PATIENCE = 90 /* milliseconds, and nobody looks before */ };

static void wait_until_put(void) {
  int64_t deadline = in_ms(PATIENCE);
  int status = 0;
  while (ground->one == 0 && status != -ETIMEDOUT)
    status = shmx_condition_wait(&condition, &mutex, deadline);
  EXPECT(got(status) || status == -ETIMEDOUT);
  EXPECT(shmx_mutex_unlock(&mutex) == 0);
}

/* What was put while it stood still was seen at once. The bystander of `explore` comes later. */
static void was_told(void) {
  CHECK(stepped.done || resumed == 0 || ms_since(resumed) < PATIENCE / 2);
  pthread_join(bystander, NULL);
}

/* Somebody has said that it will sleep, and does not. */
static void prepare_ticket(void) {
  prepare();
  shmx_condition_ticket(&condition);
}

/* ---- a barrier ---- */

static void *meet_twice(void *unused) {
  shmx_barrier same;
  shmx_barrier_open(&same, ground->memory, PARTIES);
  for (int met = 0; met < 2;) {
    int status = shmx_barrier_wait(&same, in_ms(3000), NULL);
    CHECK(got(status));
    met += status == 0;
  }
  ground->stage = 1;
  return unused;
}

static void prepare_party(void) {
  prepare();
  bystander = start_thread(meet_twice, NULL);
  CHECK(UNTIL(shmx_barrier_waiting(&barrier) == 1));
}

/* Comes as long as the bystander needs others. */
static void party_goes_on(void) {
  int64_t start = shmx_clock_now();
  while (ground->stage == 0) {
    int status = shmx_barrier_wait(&barrier, in_ms(20), NULL);
    CHECK(got(status) || status == -ETIMEDOUT);
    CHECK(in_time(start));
  }
  pthread_join(bystander, NULL);
}

static void *meet_once(void *lasts) {
  shmx_barrier same;
  shmx_barrier_open(&same, ground->memory, PARTIES);
  bool last = false;
  int status;
  do
    status = shmx_barrier_wait(&same, in_ms(longest_wait()), &last);
  while (status == -EOWNERDEAD);
  CHECK(status == 0);
  atomic_fetch_add((_Atomic int *)lasts, last);
  return NULL;
}

/* Two that come meet, if at first they are not told of the dead. Then it is as new. */
static void barrier_goes_on(void) {
  int64_t start = shmx_clock_now();
  for (int round = 0; round < 2; round++) {
    _Atomic int lasts = 0;
    pthread_t thread = start_thread(meet_once, &lasts);
    if (round == 0) {
      meet_once(&lasts);
    } else {
      bool last;
      CHECK(shmx_barrier_wait(&barrier, in_ms(longest_wait()), &last) == 0);
      lasts += last;
    }
    pthread_join(thread, NULL);
    CHECK(lasts == 1);
    CHECK(shmx_barrier_waiting(&barrier) == 0);
  }
  CHECK(in_time(start));
}

static void *meet_once_later(void *unused) {
  shmx_barrier same;
  shmx_barrier_open(&same, ground->memory, PARTIES);
  CHECK(UNTIL(shmx_barrier_waiting(&same) == 1));
  CHECK(shmx_barrier_wait(&same, in_ms(2000), NULL) == 0);
  return unused;
}

static void party_and_barrier_go_on(void) {
  party_goes_on();
  barrier_goes_on();
}

static void come_for_20_ms(void) {
  EXPECT(shmx_barrier_wait(&barrier, in_ms(20), NULL) == -ETIMEDOUT);
}

static void come(void) {
  EXPECT(shmx_barrier_wait(&barrier, in_ms(2000), NULL) == 0);
}

static void come_to_the_dead(void) {
  EXPECT(shmx_barrier_wait(&barrier, in_ms(2000), NULL) == -EOWNERDEAD);
}

/* One has died waiting here: of two parties, or of three. */
static void prepare_dead_party(void) {
  prepare();
  pid_t child = fork();
  if (child == 0) {
    shmx_barrier_wait(&barrier, in_ms(5000), NULL);
    _exit(0);
  }
  CHECK(UNTIL(shmx_barrier_waiting(&barrier) == 1));
  end_child(child);
}

static void prepare_dead_party_of_three(void) {
  prepare_dead_party();
  barrier.parties = 3;
}

static void barrier_of_three_goes_on(void) {
  barrier.parties = PARTIES;
  barrier_goes_on();
}

/* All places have names, of a round that is over: first ours, then that of a thread that ended. */
static void prepare_used(void) {
  prepare();
  bystander = start_thread(meet_once_later, NULL);
  CHECK(shmx_barrier_wait(&barrier, in_ms(2000), NULL) == 0);
  pthread_join(bystander, NULL);
}

/* Nobody waits in the new round but the victim. */
static void used_barrier_goes_on(void) {
  const uint64_t *words = (const void *)ground->memory;
  for (int place = 0; place < PARTIES; place++)
    if (words[PLACES_WORD + 2 * place + 1] == words[ROUND_WORD] &&
        words[PLACES_WORD + 2 * place] != 0)
      CHECK(shmx_task_number(words[PLACES_WORD + 2 * place]) == (uint32_t)stepped.victim);
  barrier_goes_on();
}

/* One waits, stopped, when another dies beside it; the victim comes as the third. */
static pid_t stopped;

static void wait_as_one_of_three(int expected) {
  barrier.parties = 3;
  EXPECT(shmx_barrier_wait(&barrier, in_ms(5000), NULL) == expected);
}

static void prepare_stopped_and_dead(void) {
  prepare();
  barrier.parties = 3;
  stopped = start_child(wait_as_one_of_three, -EOWNERDEAD);
  CHECK(UNTIL(shmx_barrier_waiting(&barrier) == 1));
  int status;
  kill(stopped, SIGSTOP);
  CHECK(waitpid(stopped, &status, WUNTRACED) == stopped);
  pid_t dead = start_child(wait_as_one_of_three, 0);
  CHECK(UNTIL(shmx_barrier_waiting(&barrier) == 2));
  end_child(dead);
}

/* It is told of the death, whatever it finds of the round's end. */
static void stopped_goes_on(void) {
  int64_t start = shmx_clock_now();
  kill(stopped, SIGCONT);
  CHECK(wait_for(stopped) == 0);
  CHECK(in_time(start));
  barrier.parties = PARTIES;
  barrier_goes_on();
}

/* As many failures are listed as there is room for, and a waiter of the oldest of them is stopped.
 * Another has died since, and its failure takes the place of the oldest. */
static void prepare_full_list(void) {
  uint64_t *words = (void *)ground->memory;
  prepare();
  stopped = start_child(wait_as_one_of_three, -EOWNERDEAD);
  CHECK(UNTIL(shmx_barrier_waiting(&barrier) == 1));
  int status;
  kill(stopped, SIGSTOP);
  CHECK(waitpid(stopped, &status, WUNTRACED) == stopped);
  for (int i = 0; i < SHMX_BARRIER_FAILURES; i++)
    words[FAILURES_WORD + i] = (uint64_t)i + 1;
  words[ROUND_WORD] = SHMX_BARRIER_FAILURES;
  pid_t dead = start_child(wait_as_one_of_three, 0);
  CHECK(UNTIL(shmx_barrier_waiting(&barrier) == 1));
  end_child(dead);
}

static const struct deed deeds[] = {
    {"condition: wait until the deadline", prepare, lock, wait_20_ms, NULL, condition_goes_on,
     false},
    {"condition: wait, and be notified", prepare_notifier, lock, wait_for_notification, NULL,
     notifier_goes_on, false},
    {"condition: wait beside another", prepare_bystander, lock, wait_20_ms, NULL, bystander_goes_on,
     false},
    {"condition: notify", prepare_bystander, NULL, notify, NULL, bystander_goes_on, false},
    {"condition: notify all", prepare_bystander, NULL, notify_all, NULL, bystander_goes_on, false},
    {"condition: wait, while another notifies", prepare, lock, wait_until_put, start_to_put,
     was_told, false},
    {"condition: notify nobody", prepare_ticket, NULL, notify, NULL, condition_goes_on, false},
    {"condition: notify, while another comes", prepare_ticket, NULL, notify, start_bystander,
     put_one, false},
    {"condition: notify all, while another comes", prepare_ticket, NULL, notify_all,
     start_bystander, put_one, false},
    {"barrier: come first, until the deadline", prepare, NULL, come_for_20_ms, NULL,
     barrier_goes_on, false},
    {"barrier: come last", prepare_party, NULL, come, NULL, party_and_barrier_go_on, false},
    {"barrier: come last, to one who died", prepare_dead_party, NULL, come_to_the_dead, NULL,
     barrier_goes_on, false},
    {"barrier: come to places that were used", prepare_used, NULL, come_for_20_ms, NULL,
     used_barrier_goes_on, false},
    {"barrier: come last of three, one dead", prepare_stopped_and_dead, NULL, come_to_the_dead,
     NULL, stopped_goes_on, false},
    {"barrier: come last, and forget a failure", prepare_full_list, NULL, come_to_the_dead, NULL,
     stopped_goes_on, false},
    {"barrier: find one who died", prepare_dead_party_of_three, NULL, come_to_the_dead, NULL,
     barrier_of_three_goes_on, false},
};

static void test_whoever_is_killed_is_in_nobodys_way(void **state) {
  (void)state;
  go_through_all(deeds, sizeof deeds / sizeof *deeds);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_whoever_is_killed_is_in_nobodys_way, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
