/*
 * process.h: who this thread is and who else still lives. A number alone does not say: numbers are
 * used again, so an identity has the start time, too. Touches base.
 */
#ifndef SHMX_OS_PROCESS_H
#define SHMX_OS_PROCESS_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A thread, or a process: its number in the low 32 bits (30 are used, as futex(2) has them), and in
 * the high ones when it started, in clock ticks since boot. One word, so that it is stored and
 * compared at once. 0 is nobody.
 */
typedef uint64_t shmx_task;

static inline uint32_t shmx_task_number(shmx_task task) {
  return (uint32_t)task & FUTEX_TID_MASK;
}

/* What a thread knows of itself. */
struct shmx_self {
  shmx_task task;                  /* 0 until it was asked for, and in a child after fork */
  struct robust_list_head *robust; /* the head of its robust list: get_robust_list(2) */
};

extern _Thread_local struct shmx_self shmx_this_thread
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

const struct shmx_self *shmx_self_look_up(void);

/* This thread. Costs a load but for the first time. */
static inline const struct shmx_self *shmx_self(void) {
  return shmx_this_thread.task != 0 ? &shmx_this_thread : shmx_self_look_up();
}

/* The task of this thread; 0 where it was not asked for yet. */
static inline shmx_task shmx_self_task(void) {
  return shmx_this_thread.task;
}

/* This process, named by its first thread. */
shmx_task shmx_process_self(void);

/*
 * Does this thread live? A zombie does not. Where /proc shows nothing of it (hidepid), a number
 * that is in use counts as living. kill(2) with signal 0, /proc/TID/stat.
 */
bool shmx_task_lives(shmx_task task);

/* Does a process live, as long as any of its threads does? */
bool shmx_process_lives(shmx_task process);

/*
 * Has any process, or thread, this number? False only if that is certain. Whether the process is
 * the one that had the number at some time cannot be known: the kernel keeps that time by the wall
 * clock, which may have been stepped since. A zombie whose threads have all ended has no number.
 */
bool shmx_process_number_lives(int64_t number);

/* The process that a thread is of, for messages; its own number where that cannot be seen. */
uint32_t shmx_task_process(shmx_task task);

/* Cores of the machine. Not those that this process may run on: its peer may be pinned to another.
 */
unsigned shmx_machine_cores(void);

/*
 * What numbers and start times of processes mean something in: the inodes of the namespaces of
 * processes and of time. 0 where they cannot be seen.
 */
void shmx_process_namespaces(uint64_t *processes, uint64_t *time);

/*
 * Announces to the kernel that this thread is about to take or to leave the futex `word`: if it
 * dies before shmx_robust_end, the kernel marks the word FUTEX_OWNER_DIED and wakes a waiter. One
 * at a time in a thread. The list is libc's; its field list_op_pending is for this
 * (Documentation/locking/robust-futex-ABI.rst), and libc leaves it as it is between its own calls.
 */
static inline void shmx_robust_begin(const struct shmx_self *self, const void *word) {
  struct robust_list *volatile *pending = &self->robust->list_op_pending;
  *pending = (struct robust_list *)((uintptr_t)word - (uintptr_t)self->robust->futex_offset);
  atomic_signal_fence(memory_order_seq_cst);
}

static inline void shmx_robust_end(const struct shmx_self *self) {
  struct robust_list *volatile *pending = &self->robust->list_op_pending;
  atomic_signal_fence(memory_order_seq_cst);
  *pending = NULL;
}

#endif
