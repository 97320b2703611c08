/*
 * toys.h: operations by number, each checked: that it ends in its time, and says what it may say.
 * Who includes this has `struct toys`, what the operations are on, and the functions declared here.
 * What is wrong is an abort: fuzz targets and children of tests use it.
 */
#ifndef SPEC_CORE_TOYS_H
#define SPEC_CORE_TOYS_H

#include "expect.h"
#include "shmx.h"

#include "sync/lock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a call may take beyond its time: slices of a lock. On a machine that is busy, more. */
static int64_t toy_slack = SHMX_SECOND;

/* When the call that runs now must be over. */
static int64_t toy_limit;

struct toys;

/* `patience`: how often a call may wait as long as SHMX_LOCK_TIMEOUT, whatever its timeout. */
struct operation {
  const char *name;
  int (*run)(struct toys *all, int64_t deadline, unsigned argument);
  int patience;
};

/* The operation of that number. */
static const struct operation *operation_of(unsigned which);

/* Not every status is for every call, but none of them may return any other. */
static bool is_known_status(int status);

static inline bool is_among(int status, const int *known, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (status == known[i]) return true;
  return false;
}

/* Runs one of them, which must be over `timeout` nanoseconds from now, or be patient and give up.
 * With SHMX_FOREVER it has no deadline, and must give up a lock. */
static inline int toys_run(struct toys *all, unsigned which, int64_t timeout, unsigned argument) {
  const struct operation *operation = operation_of(which);
  int64_t start = shmx_clock_now();
  bool endless = timeout == SHMX_FOREVER;
  int64_t deadline = timeout == 0 || endless ? timeout : start + timeout;
  toy_limit = start + (endless ? SHMX_LOCK_TIMEOUT : timeout) +
              operation->patience * SHMX_LOCK_TIMEOUT + toy_slack;
  int status = operation->run(all, deadline, argument);
  int64_t end = shmx_clock_now();
  if (!is_known_status(status)) {
    fprintf(stderr, "%s: status %d\n", operation->name, status);
    toy_fail(__FILE__, __LINE__, "a status that the call may return");
  }
  if (end > toy_limit) {
    fprintf(stderr, "%s took %g seconds\n", operation->name, (double)(end - start) / 1e9);
    toy_fail(__FILE__, __LINE__, "a call that ends in its time");
  }
  toy_limit = INT64_MAX;
  return status;
}

#endif
