/*
 * host_locks.c NAME N [die]: a C host of libshmx in an arena that Lua has, too. Adds 1 to v[0] N
 * times under the mutex "m", with one of the two permits of "s"; says so in v[2], and waits for the
 * condition "c" until v[3] is not 0. With `die` it is killed while it has the mutex and a permit.
 */
#include "shmx.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static shmx_arena arena;

static void must(int status, const char *what) {
  if (status == 0) return;
  fprintf(stderr, "%s %s\n", what, shmx_error_text(status));
  exit(1);
}

/* An object of the arena: found or made, and kept until the arena is closed. */
static void *find(const char *name, shmx_kind kind, shmx_arena_object *object) {
  must(shmx_arena_find(&arena, name, &kind, object), name);
  must(shmx_arena_object_check(object), name);
  return object->memory.object.data;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  shmx_arena_object objects[4];
  shmx_mutex mutex;
  shmx_semaphore semaphore;
  shmx_condition condition;
  must(shmx_arena_open(&arena, shmx_posix(argv[1]), 0, NULL), argv[1]);
  shmx_mutex_open(&mutex, find("m", shmx_mutex_kind(), &objects[0]));
  shmx_semaphore_open(&semaphore, find("s", shmx_semaphore_kind(2), &objects[1]), 2);
  shmx_condition_open(&condition, find("c", shmx_condition_kind(), &objects[2]));
  volatile uint64_t *v = find("v", shmx_array_kind(SHMX_U64, 4), &objects[3]);
  for (int i = 0; i < atoi(argv[2]); i++) {
    must(shmx_semaphore_acquire(&semaphore, 1, SHMX_FOREVER), "acquire");
    must(shmx_mutex_lock(&mutex, SHMX_FOREVER), "lock");
    v[0]++;
    must(shmx_mutex_unlock(&mutex), "unlock");
    must(shmx_semaphore_release(&semaphore, 1), "release");
  }
  must(shmx_mutex_lock(&mutex, SHMX_FOREVER), "lock");
  if (argc > 3 && strcmp(argv[3], "die") == 0) {
    must(shmx_semaphore_acquire(&semaphore, 1, SHMX_FOREVER), "acquire");
    raise(SIGKILL);
  }
  v[2] = 1;
  shmx_condition_notify_all(&condition);
  while (v[3] == 0) {
    int status = shmx_condition_wait(&condition, &mutex, shmx_clock_deadline(20));
    if (status != -EINTR) must(status, "wait");
  }
  printf("%llu\n", (unsigned long long)v[0]);
  must(shmx_mutex_unlock(&mutex), "unlock");
  shmx_semaphore_close(&semaphore);
  shmx_mutex_close(&mutex);
  shmx_arena_close(&arena);
  return 0;
}
