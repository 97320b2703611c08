/*
 * fetch.c: a value that one thread makes while others wait for it, or take the old one.
 *
 * The thread's task is an entry of its own (task.h), beside the old value, which stays as it is
 * until the new one is put in its place. Whatever removes a task, or stores a value, wakes the
 * waiters, which see for themselves whether the owner still lives.
 */
#include "data/cycle.h"
#include "data/read.h"
#include "data/room.h"

/* ---- the beginning ---- */

struct fetching {
  struct shmx_attempt attempt;
  shmx_task owner; /* the thread that has the task */
  shmx_task dead;  /* the last owner that was found dead */
  uint64_t label;
  uint32_t ticket;
};

/* Another has the task: -EINPROGRESS; this thread: -EDEADLK. -EALREADY: its owner was dead, and the
 * task is removed. */
static int look_at_task(struct shmx_hold *hold, struct fetching *fetching,
                        const struct shmx_place *task) {
  struct shmx_task_words words = shmx_task_words(hold->dict, &task->entry);
  fetching->owner = words.label != NULL ? shmx_load(words.owner) : 0;
  if (fetching->owner == shmx_self()->task) return -EDEADLK;
  if (fetching->owner == 0 || fetching->owner == fetching->dead) {
    shmx_entry_put(hold, task, NULL);
    return -EALREADY;
  }
  fetching->label = shmx_load(words.label);
  fetching->ticket = shmx_event_prepare(&hold->shard->made);
  return -EINPROGRESS;
}

/* The task is ours: 0. -EEXIST: there is a value. */
static int try_begin(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct fetching *fetching = (struct fetching *)attempt;
  uint64_t words[2], value[2] = {shmx_self()->task, 0};
  if (shmx_entry_lives(&attempt->place.entry)) return -EEXIST;
  shmx_dict_key key = shmx_task_key(hold->dict, attempt->key, words);
  int status = shmx_entry_find(hold->dict, &key, &attempt->place);
  if (status != 0) return status;
  if (attempt->place.entry.cell != 0) return look_at_task(hold, fetching, &attempt->place);
  struct shmx_new task = {.key = &key, .data = value, .length = sizeof value, .kind = SHMX_PENDING};
  return shmx_attempt_put(hold, attempt, &task);
}

/* The old value, if it has not expired for longer than it may: as shmx_dict_get. What flush_all has
 * made expire is too old. */
static int get_old(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_fetch *fetch,
                   void *buffer, size_t room, shmx_dict_item *item) {
  struct shmx_entry entry;
  if (fetch->stale <= 0) return -ENOENT;
  int status = shmx_dict_read(dict, key, buffer, room, item, &entry);
  if (status != 0 && status != -EMSGSIZE) return -ENOENT;
  if (item->expiry == 0) return status;
  if (item->expiry == SHMX_FLUSHED || shmx_boottime() - item->expiry > fetch->stale) return -ENOENT;
  shmx_mark(dict, entry.cell);
  return status;
}

/* Waits for the owner, or finds that it is dead or waits for this thread. */
static int wait_for_owner(shmx_dict *dict, shmx_dict_fetch *fetch, const struct fetching *fetching,
                          int64_t deadline) {
  struct shmx_shard *shard =
      shmx_shard_at(dict, fetching->attempt.place.bucket >> dict->shard_shift);
  int status = shmx_cycle_check(fetch, fetching->owner, fetching->label);
  return status != 0 ? status : shmx_event_wait(&shard->made, fetching->ticket, deadline);
}

/* After the deadline there is one look more, for what is to be had at once: a word that changes all
 * the time keeps nobody. */
static int begin_or_wait(shmx_dict *dict, const shmx_dict_key *key, shmx_dict_fetch *fetch,
                         struct fetching *fetching, void *buffer, size_t room, shmx_dict_item *item,
                         int64_t deadline) {
  bool late = false;
  for (;;) {
    int status = shmx_dict_get(dict, key, buffer, room, item);
    if (status != -ENOENT) return status;
    status = shmx_attempt_make(dict, &fetching->attempt, try_begin);
    fetch->ours = status == 0;
    if (status != -EINPROGRESS && status != -EEXIST) return status;
    bool dead = status == -EINPROGRESS && !shmx_task_lives(fetching->owner);
    if (dead) fetching->dead = fetching->owner;
    bool at_once = dead || status == -EEXIST;
    if (!at_once) {
      status = get_old(dict, key, fetch, buffer, room, item);
      if (status != -ENOENT) return status;
    }
    bool over = shmx_clock_now() >= deadline;
    if (over && (late || !at_once)) return -ETIMEDOUT;
    late = over;
    if (at_once) continue;
    status = wait_for_owner(dict, fetch, fetching, deadline);
    if (status != 0) return status;
  }
}

int shmx_dict_fetch_begin(shmx_dict *dict, const shmx_dict_key *key, shmx_dict_fetch *fetch,
                          void *buffer, size_t room, shmx_dict_item *item, int64_t deadline) {
  struct fetching fetching = {.attempt = {.key = key, .keeps_old = true}};
  if (fetch->dict != NULL) return -EINVAL; /* the last one was not ended */
  fetch->ours = fetch->recursive = false;
  fetch->maker = 0;
  int status = begin_or_wait(dict, key, fetch, &fetching, buffer, room, item, deadline);
  if (fetch->ours) {
    fetch->dict = dict;
    fetch->key = *key;
    shmx_cycle_begin(fetch);
  }
  if (fetching.owner != 0 && (status == -ETIMEDOUT || status == -EDEADLK)) {
    fetch->recursive = fetching.owner == shmx_self()->task;
    fetch->maker = shmx_task_process(fetching.owner);
  }
  return status;
}

/* ---- the end ---- */

struct ending {
  struct shmx_attempt attempt;
  struct shmx_new new;
  bool gives_up;
};

/* The task goes, if it is ours. */
static int remove_task(struct shmx_hold *hold, const struct shmx_attempt *attempt) {
  struct shmx_place task = {.bucket = attempt->place.bucket};
  int status = shmx_task_find(hold->dict, attempt->key, &task);
  bool is_ours =
      task.entry.cell != 0 && shmx_task_owner(hold->dict, &task.entry) == shmx_self()->task;
  if (status == 0 && is_ours) shmx_entry_put(hold, &task, NULL);
  return status;
}

static int try_end(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct ending *ending = (struct ending *)attempt;
  int status = 0;
  if (!ending->gives_up) {
    status = shmx_entry_lives(&attempt->place.entry)
                 ? -EEXIST
                 : shmx_attempt_put(hold, attempt, &ending->new);
    if (status != 0 && status != -EEXIST) return status;
  }
  int removed = remove_task(hold, attempt);
  return removed != 0 ? removed : status;
}

static int check_end(const shmx_dict_fetch *fetch, const shmx_dict_item *item, int64_t ttl) {
  return ttl < 0 ? -EINVAL : shmx_item_check(fetch->dict, &fetch->key, item);
}

int shmx_dict_fetch_end(shmx_dict_fetch *fetch, const shmx_dict_item *item, int64_t ttl,
                        uint32_t mode, bool *forcible) {
  struct ending ending = {
      .attempt = {.key = &fetch->key, .mode = mode, .forcible = forcible, .keeps_old = true},
      .gives_up = item == NULL};
  if (fetch->dict == NULL) return -EINVAL;
  int status = item != NULL ? check_end(fetch, item, ttl) : 0;
  if (item != NULL && status == 0)
    ending.new = (struct shmx_new){.key = &fetch->key,
                                   .data = item->data,
                                   .length = item->length,
                                   .tag = item->tag,
                                   .flags = item->flags,
                                   .expiry = shmx_expiry_of(ttl)};
  if (status == 0) status = shmx_attempt_make(fetch->dict, &ending.attempt, try_end);
  bool fails = status != 0 && status != -EEXIST && status != -EINTR;
  if (fails && item != NULL) {
    ending.gives_up = true;
    int given_up = shmx_attempt_make(fetch->dict, &ending.attempt, try_end);
    if (given_up == -EINTR) status = given_up;
  }
  if (status != -EINTR) shmx_dict_fetch_abandon(fetch);
  return status;
}

void shmx_dict_fetch_abandon(shmx_dict_fetch *fetch) {
  shmx_cycle_end(fetch);
  fetch->dict = NULL;
  fetch->label = 0;
}
