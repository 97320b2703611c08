/*
 * cycle.h: finding threads that wait for each other's values, in a cycle of any length, over
 * several dicts and processes: D. P. Mitchell and M. J. Merritt, "A Distributed Algorithm for
 * Deadlock Detection and Resolution", 1984.
 *
 * A thread that makes values and begins to wait for another thread's makes a label, larger than all
 * that it has seen, and writes it into the tasks that it holds. Whenever a waiter looks at the task
 * that it waits for, and finds a larger label than its own tasks have, it writes that label into
 * them. So the largest label of a cycle goes against the direction of waiting, from task to task,
 * and comes back to the thread that made it, which then gives up. Each step looks at one word:
 * corrupt memory can hide a cycle, or feign one, and cannot keep anybody here.
 */
#ifndef SHMX_DATA_CYCLE_H
#define SHMX_DATA_CYCLE_H

#include "data/task.h"

/* This thread makes the value, until shmx_cycle_end, which may come twice. */
void shmx_cycle_begin(shmx_dict_fetch *fetch);
void shmx_cycle_end(shmx_dict_fetch *fetch);

/*
 * This thread is about to wait for the task of this owner, which has this label. -EDEADLK: the
 * owner waits for a value that this thread makes. 0: not so, as far as can be seen by now. -EINTR,
 * -ETIMEDOUT, -EFAULT.
 */
int shmx_cycle_check(shmx_dict_fetch *fetch, shmx_task owner, uint64_t label);

#endif
