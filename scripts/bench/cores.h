/*
 * cores.h: which cores are near each other. Two that share a cache pass a line in a fraction of the
 * time that two others need, and a virtual machine's cores may be moved from one such place to
 * another at any time: so the benchmarks look before each race, and take the nearest two. Touches
 * libc.
 */
#ifndef SCRIPTS_BENCH_CORES_H
#define SCRIPTS_BENCH_CORES_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { CORES_MAX = 8, CORES_PASSES = 1000 };

/* The cores that we may use, the nearest two first, and their distance: seconds there and back. */
static struct cores {
  int count, numbers[CORES_MAX];
  double nearest, farthest;
} cores;

struct passing {
  _Alignas(64) _Atomic int there;
  _Alignas(64) _Atomic int back;
  int core;
};

static void pin_to(int core) {
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  CPU_SET(core, &chosen);
  sched_setaffinity(0, sizeof chosen, &chosen);
}

static void *pass_back(void *argument) {
  struct passing *passing = argument;
  pin_to(passing->core);
  for (int i = 1; i <= CORES_PASSES; i++) {
    while (atomic_load_explicit(&passing->there, memory_order_acquire) != i) {
    }
    atomic_store_explicit(&passing->back, i, memory_order_release);
  }
  return NULL;
}

static double distance(int a, int b) {
  struct passing passing = {.core = b};
  struct timespec start, end;
  pthread_t other;
  pin_to(a);
  if (pthread_create(&other, NULL, pass_back, &passing) != 0) return 1;
  for (int i = 1; i <= CORES_PASSES; i++) {
    if (i == CORES_PASSES / 10) clock_gettime(CLOCK_MONOTONIC, &start); /* the other is awake */
    atomic_store_explicit(&passing.there, i, memory_order_release);
    while (atomic_load_explicit(&passing.back, memory_order_acquire) != i) {
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  pthread_join(other, NULL);
  double seconds =
      (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
  return seconds / (CORES_PASSES - CORES_PASSES / 10);
}

static void swap_cores(int a, int b) {
  int core = cores.numbers[a];
  cores.numbers[a] = cores.numbers[b];
  cores.numbers[b] = core;
}

static inline void arrange_cores(void) {
  cpu_set_t allowed;
  int first = 0, second = 1;
  cores = (struct cores){.nearest = 1};
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int core = 0; core < CPU_SETSIZE && cores.count < CORES_MAX; core++)
    if (CPU_ISSET(core, &allowed)) cores.numbers[cores.count++] = core;
  for (int a = 0; a < cores.count; a++)
    for (int b = a + 1; b < cores.count; b++) {
      double seconds = distance(cores.numbers[a], cores.numbers[b]);
      if (seconds > cores.farthest) cores.farthest = seconds;
      if (seconds >= cores.nearest) continue;
      cores.nearest = seconds;
      first = a;
      second = b;
    }
  if (cores.count > 1) { /* first < second, so that the first swap does not move the second */
    swap_cores(0, first);
    swap_cores(1, second);
  }
  sched_setaffinity(0, sizeof allowed, &allowed);
}

#endif
