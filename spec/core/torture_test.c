/*
 * torture_test.c kills processes at random while they work on one arena, and replaces them: nobody
 * who lives waits for a second, what is guarded is whole or said to be half done, nothing is lost.
 *
 * In the environment: SHM_KILLS, how many (200); SHM_SEED, of what is random.
 */
#include "together.h"

enum { WORKERS = 6, PERMITS = 3, SIZE = 64 << 10 };

/* What the workers guard, and what they tell the tester; beside the arena, since it is plain. */
static struct {
  volatile long guarded[2]; /* by the mutex: equal whenever it is free */
  _Atomic pid_t inside;
  volatile long written[2]; /* by the read-write lock */
  _Atomic pid_t writing;
  struct {
    _Atomic uint64_t task, held; /* of permits: how many, and above that a count of changes */
  } holders[WORKERS];
  _Atomic int64_t longest;
  _Atomic uint64_t done[8], told; /* deeds of each kind; how often one was told of a death */
  _Atomic bool over;
} * shared;

static struct {
  int number; /* of the worker */
  shmx_arena arena;
  shmx_arena_object objects[5];
  shmx_mutex mutex;
  shmx_rwlock rwlock;
  shmx_semaphore semaphore;
  shmx_condition condition;
  shmx_barrier barrier;
} own;

static uint64_t state_of_chance;

/* xorshift64* (Vigna). */
static uint32_t chance(uint32_t below) {
  state_of_chance ^= state_of_chance >> 12;
  state_of_chance ^= state_of_chance << 25;
  state_of_chance ^= state_of_chance >> 27;
  return (uint32_t)((state_of_chance * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % below;
}

static void linger(void) {
  for (volatile uint32_t i = chance(200); i > 0;)
    i = i - 1;
}

static void *find(const char *name, shmx_kind kind, shmx_arena_object *object) {
  *object = (shmx_arena_object){0};
  int status = shmx_arena_find(&own.arena, name, &kind, object);
  if (status != 0) dprintf(STDERR_FILENO, "%s: %s\n", name, shmx_error_name(status));
  EXPECT(status == 0);
  return object->memory.object.data;
}

static void open_all(void) {
  EXPECT(shmx_arena_open(&own.arena, posix_name(1), SIZE, NULL) == 0);
  shmx_mutex_open(&own.mutex, find("mutex", shmx_mutex_kind(), &own.objects[0]));
  shmx_rwlock_open(&own.rwlock, find("rwlock", shmx_rwlock_kind(), &own.objects[1]));
  shmx_semaphore_open(&own.semaphore,
                      find("permits", shmx_semaphore_kind(PERMITS), &own.objects[2]), PERMITS);
  shmx_condition_open(&own.condition, find("changed", shmx_condition_kind(), &own.objects[3]));
  shmx_barrier_open(&own.barrier, find("both", shmx_barrier_kind(2), &own.objects[4]), 2);
}

/* ---- how long a call takes ---- */

static int64_t began;

static int64_t start(void) {
  began = shmx_clock_now();
  return began + 10 * SHMX_SECOND;
}

static int ended(int status) {
  int64_t took = ms_since(began), longest = shared->longest;
  while (took > longest && !atomic_compare_exchange_weak(&shared->longest, &longest, took))
    continue;
  if (status == -EOWNERDEAD) shared->told++;
  if (status != 0 && status != -EOWNERDEAD)
    dprintf(STDERR_FILENO, "after %d ms: %s\n", (int)took, shmx_error_name(status));
  EXPECT(status == 0 || status == -EOWNERDEAD);
  return status;
}

/* ---- deeds ---- */

/* Within the mutex: nobody else is, and the pair is whole, or we were told. */
static void enter_mutex(int status) {
  pid_t other = atomic_exchange(&shared->inside, getpid());
  EXPECT(status == -EOWNERDEAD || other == 0);
  EXPECT(status == -EOWNERDEAD || shared->guarded[0] == shared->guarded[1]);
  shared->guarded[1] = shared->guarded[0];
}

static void leave_mutex(void) {
  pid_t self = getpid();
  EXPECT(atomic_compare_exchange_strong(&shared->inside, &self, 0));
}

static void change_pair(volatile long pair[2]) {
  long value = pair[0] + 1;
  pair[0] = value;
  linger();
  EXPECT(pair[0] == value && pair[1] == value - 1);
  pair[1] = value;
}

static void use_mutex(void) {
  enter_mutex(ended(shmx_mutex_lock(&own.mutex, start())));
  change_pair(shared->guarded);
  leave_mutex();
  EXPECT(shmx_mutex_unlock(&own.mutex) == 0);
}

static void use_condition(void) {
  enter_mutex(ended(shmx_mutex_lock(&own.mutex, start())));
  leave_mutex();
  int status = shmx_condition_wait(&own.condition, &own.mutex, in_ms(3));
  EXPECT(status == 0 || status == -ETIMEDOUT || status == -EOWNERDEAD);
  ended(status == -ETIMEDOUT ? 0 : status);
  enter_mutex(status);
  change_pair(shared->guarded);
  leave_mutex();
  EXPECT(shmx_mutex_unlock(&own.mutex) == 0);
}

static void notify(void) {
  if (chance(2) == 0)
    shmx_condition_notify(&own.condition);
  else
    shmx_condition_notify_all(&own.condition);
}

static void use_write_lock(void) {
  int status = ended(shmx_rwlock_write(&own.rwlock, start()));
  pid_t other = atomic_exchange(&shared->writing, getpid()), self = getpid();
  EXPECT(status == -EOWNERDEAD || other == 0);
  EXPECT(status == -EOWNERDEAD || shared->written[0] == shared->written[1]);
  shared->written[1] = shared->written[0];
  change_pair(shared->written);
  EXPECT(atomic_compare_exchange_strong(&shared->writing, &self, 0));
  EXPECT(shmx_rwlock_unlock(&own.rwlock) == 0);
}

static void use_read_lock(void) {
  int status = ended(shmx_rwlock_read(&own.rwlock, start()));
  long one = shared->written[0], other = shared->written[1];
  EXPECT(status == -EOWNERDEAD || (one == other && shared->writing == 0));
  linger();
  EXPECT(shared->written[0] == one && shared->written[1] == other); /* nobody writes meanwhile */
  EXPECT(shmx_rwlock_unlock(&own.rwlock) == 0);
}

static void hold(uint32_t count) {
  _Atomic uint64_t *held = &shared->holders[own.number].held;
  *held = ((*held >> 8) + 1) << 8 | count;
}

/* Those who live have no more permits than there are: at an instant at which nothing changed. */
static void check_permits(void) {
  uint64_t before[WORKERS];
  uint64_t count = 0;
  for (int i = 0; i < WORKERS; i++)
    before[i] = shared->holders[i].held;
  for (int i = 0; i < WORKERS; i++)
    if (before[i] % 256 != 0 && shmx_task_lives(shared->holders[i].task)) count += before[i] % 256;
  for (int i = 0; i < WORKERS; i++)
    if (shared->holders[i].held != before[i]) return;
  EXPECT(count <= PERMITS);
}

static void use_permits(void) {
  uint32_t count = chance(PERMITS) + 1;
  ended(shmx_semaphore_acquire(&own.semaphore, count, start()));
  hold(count);
  check_permits();
  hold(0);
  EXPECT(shmx_semaphore_release(&own.semaphore, count) == 0);
}

/* Nobody else uses memory that is ours. What one left who was here before goes. */
static void use_object(void) {
  char name[16];
  snprintf(name, sizeof name, "object %d", own.number);
  uint64_t size = chance(2000) + 1;
  shmx_arena_object object;
  start();
  int status = shmx_arena_remove(&own.arena, name);
  ended(status == -ENOENT ? 0 : status);
  start();
  unsigned char *data = find(name, shmx_array_kind(SHMX_U8, size), &object);
  ended(0);
  EXPECT(all_are(data, 0, size));
  memset(data, own.number + 1, size);
  linger();
  EXPECT(shmx_arena_object_check(&object) == 0);
  EXPECT(all_are(data, own.number + 1, size));
  if (chance(2) == 0) EXPECT(shmx_arena_remove(&own.arena, name) == 0);
  shmx_arena_object_close(&object);
}

static void meet(void) {
  start();
  int status = shmx_barrier_wait(&own.barrier, in_ms(3), NULL);
  ended(status == -ETIMEDOUT ? 0 : status);
}

static void work(int number) {
  static void (*const deeds[])(void) = {use_mutex,     use_condition, notify,     use_write_lock,
                                        use_read_lock, use_permits,   use_object, meet};
  own.number = number;
  state_of_chance += (uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15);
  shared->holders[number].held = 0;
  shared->holders[number].task = own_task();
  open_all();
  while (!shared->over) {
    uint32_t deed = chance(8);
    deeds[deed]();
    shared->done[deed]++;
  }
  shmx_arena_close(&own.arena);
}

/* ---- the tester ---- */

static long number_from(const char *name, long otherwise) {
  const char *text = getenv(name);
  return text != NULL ? atol(text) : otherwise;
}

static void expect_killed(pid_t child) {
  int status = wait_for(child);
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
    fail_msg("a worker ended by itself: status %#x", status);
}

/* Some of the dead stay zombies until the next is killed. */
static void kill_at_random(pid_t workers[WORKERS], long kills) {
  pid_t unreaped = 0;
  for (long i = 0; i < kills; i++) {
    nanosleep(&(struct timespec){0, chance(4000) * 1000}, NULL);
    uint32_t which = chance(WORKERS);
    kill(workers[which], SIGKILL);
    if (unreaped != 0) expect_killed(unreaped);
    unreaped = workers[which];
    if (chance(2) == 0) {
      expect_killed(unreaped);
      unreaped = 0;
    }
    workers[which] = start_child(work, (int)which);
  }
  if (unreaped != 0) expect_killed(unreaped);
}

static void check_the_end(void) {
  shmx_arena_status status;
  own.number = 0;
  open_all();
  ended(shmx_mutex_lock(&own.mutex, start()));
  EXPECT(shmx_mutex_unlock(&own.mutex) == 0);
  ended(shmx_rwlock_write(&own.rwlock, start()));
  EXPECT(shmx_rwlock_unlock(&own.rwlock) == 0);
  assert_int_equal(shmx_semaphore_value(&own.semaphore), PERMITS);
  int met; /* the last that was killed may stand there still */
  do
    met = shmx_barrier_wait(&own.barrier, in_ms(3), NULL);
  while (met == -EOWNERDEAD);
  assert_int_equal(met, -ETIMEDOUT);
  assert_int_equal(shmx_barrier_waiting(&own.barrier), 0);
  shmx_arena_entry list[32];
  size_t count;
  assert_int_equal(shmx_arena_list(&own.arena, list, 32, &count), 0);
  for (size_t i = 0; i < count; i++)
    assert_int_equal(shmx_arena_remove(&own.arena, list[i].name), 0);
  for (int i = 0; i < 5; i++)
    shmx_arena_object_close(&own.objects[i]);
  assert_int_equal(shmx_arena_stat(&own.arena, &status), 0);
  assert_int_equal(status.used, own.arena.start);
  assert_int_equal(status.handles, 1);
  assert_int_equal(shmx_segment_remove(&own.arena.segment), 0);
  shmx_arena_close(&own.arena);
}

static void test_nobody_waits_for_the_dead(void **state) {
  (void)state;
  long kills = number_from("SHM_KILLS", 200), seed = number_from("SHM_SEED", (long)time(NULL));
  print_message("  SHM_SEED=%ld SHM_KILLS=%ld\n", seed, kills);
  state_of_chance = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(shared != MAP_FAILED);
  pid_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++)
    workers[i] = start_child(work, i);
  kill_at_random(workers, kills);
  shared->over = true;
  for (int i = 0; i < WORKERS; i++)
    assert_int_equal(wait_for(workers[i]), 0);
  check_the_end();
  uint64_t deeds = 0;
  for (int i = 0; i < 8; i++)
    deeds += shared->done[i];
  print_message("  %ld kills, %lu deeds, told of %lu deaths, longest wait %ld ms\n", kills,
                (unsigned long)deeds, (unsigned long)shared->told, (long)shared->longest);
  assert_true(shared->told > 0 || kills < 100);
  assert_in_range(shared->longest, 0, longest_wait());
  munmap(shared, sizeof *shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_nobody_waits_for_the_dead, nothing_left)};
  return cmocka_run_group_tests(tests, begin, nothing_left);
}
