/*
 * task.h: a task is an entry that says which thread makes the value of a key (fetch.c).
 *
 * A task lies in the bucket of its key, beside the key's old value, if there is one. The key of the
 * task itself is a hash of that key, of 16 bytes, and says that it is an integer, which no caller's
 * key of that length can be: so no operation on the key finds the task, or changes it. Its value:
 *
 *   word 0  the owner: the thread that makes the value
 *   word 1  the label, by which threads find out that they wait for each other (cycle.c)
 *
 * CLOCK never evicts the task of a living thread. While a bucket has a task, the expired values in
 * it stay.
 */
#ifndef SHMX_DATA_TASK_H
#define SHMX_DATA_TASK_H

#include "data/entry.h"

struct shmx_task_words {
  _Atomic uint64_t *owner, *label; /* NULL: the memory is spoiled */
};

/* The key of a key's task, in a buffer of two words. */
shmx_dict_key shmx_task_key(const shmx_dict *dict, const shmx_dict_key *key, uint64_t words[2]);

/* Finds the task of a key in place->bucket, or the place behind the last entry: 0; -EBADMSG. */
int shmx_task_find(const shmx_dict *dict, const shmx_dict_key *key, struct shmx_place *place);

struct shmx_task_words shmx_task_words(const shmx_dict *dict, const struct shmx_entry *task);

/* The owner; 0: there is none to be seen. */
shmx_task shmx_task_owner(const shmx_dict *dict, const struct shmx_entry *task);

/* Has the owner died? Asks the kernel once for each owner that it meets in a row. */
bool shmx_task_is_dead(struct shmx_hold *hold, const struct shmx_entry *task);

/* Is there a task in the bucket? */
bool shmx_bucket_has_task(const shmx_dict *dict, uint32_t bucket);

/* Removes the tasks of dead threads in a bucket. How many there were; or -EBADMSG. */
int64_t shmx_task_bury(struct shmx_hold *hold, uint32_t bucket);

#endif
