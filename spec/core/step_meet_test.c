/*
 * step_meet_test.c kills who waits for a condition, notifies, or comes to a barrier, at every
 * instruction; and stops who notifies at every instruction while another comes to wait.
 */
#include "step.h"

enum { PARTIES = 2 };

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

static bool in_time(int64_t start) {
  return ms_since(start) < 1000;
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
  CHECK(got(shmx_mutex_lock(&mutex, in_ms(1000))));
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
  EXPECT(shmx_mutex_lock(&mutex, in_ms(1000)) == 0);
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
    status = shmx_barrier_wait(&same, in_ms(1000), &last);
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
      CHECK(shmx_barrier_wait(&barrier, in_ms(1000), &last) == 0);
      lasts += last;
    }
    pthread_join(thread, NULL);
    CHECK(lasts == 1);
    CHECK(shmx_barrier_waiting(&barrier) == 0);
  }
  CHECK(in_time(start));
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

static const struct deed deeds[] = {
    {"condition: wait until the deadline", prepare, lock, wait_20_ms, NULL, condition_goes_on,
     false},
    {"condition: wait, and be notified", prepare_notifier, lock, wait_for_notification, NULL,
     notifier_goes_on, false},
    {"condition: wait beside another", prepare_bystander, lock, wait_20_ms, NULL, bystander_goes_on,
     false},
    {"condition: notify", prepare_bystander, NULL, notify, NULL, bystander_goes_on, false},
    {"condition: notify all", prepare_bystander, NULL, notify_all, NULL, bystander_goes_on, false},
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
