/*
 * list.c: lists in a dict: an entry whose value names the first and the last element, and elements
 * that name those beside them: word 1 of an element has the next, word 2 the one before. Each push
 * and pop is one change. Touches sync, os, base.
 */
#include "data/batch.h"
#include "data/read.h"
#include "data/room.h"

static const shmx_dict_key no_key;

/* ---- pushing ---- */

struct pushing {
  struct shmx_attempt attempt;
  const shmx_dict_item *item;
  int end;
  uint64_t count;
};

static struct shmx_new element_of(const shmx_dict_item *item, uint32_t before) {
  return (struct shmx_new){.key = &no_key,
                           .data = item->data,
                           .length = item->length,
                           .tag = item->tag,
                           .flags = item->flags,
                           .expiry = before};
}

/* A list of one element, where none is. */
static int push_first(struct shmx_hold *hold, struct pushing *pushing) {
  struct shmx_attempt *attempt = &pushing->attempt;
  struct shmx_place *place = &attempt->place;
  struct shmx_new element = element_of(pushing->item, 0);
  uint64_t value[2] = {0, 1};
  struct shmx_new list = {
      .key = attempt->key, .data = value, .length = sizeof value, .kind = SHMX_LIST};
  uint32_t next = place->entry.cell != 0 ? shmx_entry_next(&place->entry) : 0;
  struct shmx_built one, built;
  int status = shmx_attempt_reserve(hold, attempt,
                                    shmx_cells_of(0, element.length) +
                                        shmx_cells_of(attempt->key->length, sizeof value));
  if (status == 0)
    status = shmx_entry_build(hold, shmx_low(shmx_load(&hold->shard->free)), &element, 0, &one);
  if (status != 0) return status;
  list.marked = shmx_attempt_marks(hold, place);
  value[0] = shmx_pair(one.first, one.first);
  status = shmx_entry_build(hold, one.rest, &list, next, &built);
  if (status != 0) return status;
  built.cells += one.cells;
  built.payload += one.payload;
  shmx_entry_put(hold, place, &built);
  pushing->count = 1;
  return 0;
}

static int push_more(struct shmx_hold *hold, struct pushing *pushing) {
  const shmx_dict *dict = hold->dict;
  struct shmx_ends at = shmx_list_ends(dict, &pushing->attempt.place.entry);
  if (at.count == NULL) return -EBADMSG;
  bool left = pushing->end == SHMX_DICT_LEFT;
  uint64_t ends = shmx_load(at.ends), free = shmx_load(&hold->shard->free);
  uint32_t beside = left ? shmx_low(ends) : shmx_high(ends);
  struct shmx_new element = element_of(pushing->item, left ? 0 : beside);
  struct shmx_built built;
  if (!shmx_is_cell(dict, beside)) return -EBADMSG;
  int status = shmx_attempt_reserve(hold, &pushing->attempt, shmx_cells_of(0, element.length));
  if (status == 0)
    status = shmx_entry_build(hold, shmx_low(free), &element, left ? beside : 0, &built);
  if (status != 0) return status;
  _Atomic uint64_t *link = &shmx_cell_at(dict, beside)->words[left ? 2 : 1];
  pushing->count = shmx_load(at.count) + 1;
  shmx_shard_change(hold, link, shmx_with_low(shmx_load(link), built.first));
  shmx_shard_change(hold, at.ends,
                    left ? shmx_with_low(ends, built.first)
                         : shmx_pair(shmx_low(ends), built.first));
  shmx_shard_change(hold, at.count, pushing->count);
  shmx_entry_taken(hold, &built);
  shmx_shard_commit(hold);
  return 0;
}

static int try_push(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct pushing *pushing = (struct pushing *)attempt;
  const struct shmx_entry *entry = &attempt->place.entry;
  if (!shmx_entry_lives(entry)) return push_first(hold, pushing);
  return shmx_entry_kind(entry) == SHMX_LIST ? push_more(hold, pushing) : -EPROTOTYPE;
}

int shmx_dict_push(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item, int end,
                   uint32_t mode, uint64_t *count, bool *forcible) {
  struct pushing pushing = {
      .attempt = {.key = key, .mode = mode, .forcible = forcible}, .item = item, .end = end};
  int status = shmx_item_check(dict, key, item);
  if (status == 0) status = shmx_attempt_make(dict, &pushing.attempt, try_push);
  if (status == 0 && count != NULL) *count = pushing.count;
  return status;
}

/* ---- popping ---- */

struct popping {
  struct shmx_attempt attempt;
  int end;
  void *buffer;
  size_t room;
  shmx_dict_item *item;       /* receives the element, or NULL; */
  const shmx_dict_item *same; /* or what the element must be, or NULL */
  bool stays;
};

static int copy_element(const shmx_dict *dict, const struct shmx_entry *element,
                        struct popping *popping) {
  *popping->item = (shmx_dict_item){.data = popping->buffer,
                                    .length = shmx_entry_length(element),
                                    .tag = shmx_entry_tag(element),
                                    .flags = shmx_entry_flags(element)};
  if (popping->item->length > popping->room) return -EMSGSIZE;
  struct shmx_cursor cursor = shmx_entry_value(dict, element);
  bool whole =
      cursor.cell != 0 && shmx_payload_read(dict, &cursor, popping->buffer, popping->item->length);
  return whole ? 0 : -EBADMSG;
}

/* Elements of the same value and flags are as good as one another. */
static bool is_same(const shmx_dict *dict, const struct shmx_entry *element,
                    const shmx_dict_item *item) {
  return shmx_entry_flags(element) == item->flags && shmx_entry_has(dict, element, item);
}

/* One of several: the one beside it is at the end then. */
static int pop_one(struct shmx_hold *hold, const struct popping *popping,
                   const struct shmx_ends *at, const struct shmx_entry *element) {
  const shmx_dict *dict = hold->dict;
  bool left = popping->end == SHMX_DICT_LEFT;
  uint64_t ends = shmx_load(at->ends);
  uint32_t beside = left ? shmx_entry_next(element) : shmx_low(element->words[2]);
  if (!shmx_is_cell(dict, beside)) return -EBADMSG;
  _Atomic uint64_t *link = &shmx_cell_at(dict, beside)->words[left ? 2 : 1];
  shmx_shard_change(hold, link, shmx_with_low(shmx_load(link), 0));
  shmx_shard_change(hold, at->ends,
                    left ? shmx_with_low(ends, beside) : shmx_pair(shmx_low(ends), beside));
  shmx_shard_change(hold, at->count, shmx_load(at->count) - 1);
  shmx_entry_free(hold, element);
  shmx_shard_commit(hold);
  return 0;
}

static int try_pop(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct popping *popping = (struct popping *)attempt;
  const shmx_dict *dict = hold->dict;
  const struct shmx_entry *entry = &attempt->place.entry;
  struct shmx_entry element;
  if (!shmx_entry_lives(entry)) return -ENOENT;
  if (shmx_entry_kind(entry) != SHMX_LIST) return -EPROTOTYPE;
  struct shmx_ends at = shmx_list_ends(dict, entry);
  if (at.count == NULL) return -EBADMSG;
  uint64_t ends = shmx_load(at.ends);
  uint32_t cell = popping->end == SHMX_DICT_LEFT ? shmx_low(ends) : shmx_high(ends);
  if (!shmx_is_cell(dict, cell)) return -EBADMSG;
  shmx_entry_load(dict, cell, &element);
  if (popping->same != NULL && !is_same(dict, &element, popping->same)) return -EAGAIN;
  int status = popping->item != NULL ? copy_element(dict, &element, popping) : 0;
  if (status != 0 || popping->stays) return status;
  if (shmx_load(&at.count[0]) > 1) return pop_one(hold, popping, &at, &element);
  shmx_entry_put(hold, &attempt->place, NULL); /* the last goes with its list */
  return 0;
}

int shmx_dict_pop(shmx_dict *dict, const shmx_dict_key *key, int end, void *buffer, size_t room,
                  shmx_dict_item *item) {
  struct popping popping = {
      .attempt = {.key = key}, .end = end, .buffer = buffer, .room = room, .item = item};
  return shmx_attempt_make(dict, &popping.attempt, try_pop);
}

int shmx_dict_peek(shmx_dict *dict, const shmx_dict_key *key, int end, void *buffer, size_t room,
                   shmx_dict_item *item) {
  struct popping popping = {.attempt = {.key = key},
                            .end = end,
                            .buffer = buffer,
                            .room = room,
                            .item = item,
                            .stays = true};
  return shmx_attempt_make(dict, &popping.attempt, try_pop);
}

int shmx_dict_pop_same(shmx_dict *dict, const shmx_dict_key *key, int end,
                       const shmx_dict_item *item) {
  struct popping popping = {.attempt = {.key = key}, .end = end, .same = item};
  return shmx_attempt_make(dict, &popping.attempt, try_pop);
}

/* ---- looking ---- */

int shmx_dict_count(shmx_dict *dict, const shmx_dict_key *key, uint64_t *count) {
  struct shmx_entry entry;
  shmx_dict_item item;
  int status = shmx_dict_read(dict, key, NULL, 0, &item, &entry);
  bool is_value = status == 0 || status == -EMSGSIZE;
  if (!is_value && status != -EPROTOTYPE) return status;
  if (shmx_has_expired(item.expiry)) return -ENOENT;
  shmx_mark(dict, entry.cell);
  if (is_value) return -EPROTOTYPE;
  *count = item.count;
  return 0;
}

/* ---- ranges ---- */

struct looking {
  struct shmx_attempt attempt;
  int64_t first, last;
  struct shmx_batch_buffer batch;
};

enum { HOPS = 4096 /* elements between two looks at the clock */ };

/* Elements of a list, one beside the other. */
struct list_cursor {
  shmx_dict *dict;
  uint32_t cell;
  uint64_t hops;
};

/* The element at the cursor. -EBADMSG, -ETIMEDOUT. */
static int look_here(struct list_cursor *cursor, struct shmx_entry *element) {
  if (!shmx_is_cell(cursor->dict, cursor->cell)) return -EBADMSG;
  bool looks = ++cursor->hops % HOPS == 0;
  if (looks && shmx_clock_now() >= shmx_patience(cursor->dict)) return -ETIMEDOUT;
  shmx_entry_load(cursor->dict, cursor->cell, element);
  return 0;
}

/* Passes so many elements, from the left end or from the right one. */
static int pass(struct list_cursor *cursor, uint64_t count, bool from_left) {
  struct shmx_entry element;
  for (; count > 0; count--) {
    int status = look_here(cursor, &element);
    if (status != 0) return status;
    cursor->cell = shmx_low(element.words[from_left ? 1 : 2]);
  }
  return 0;
}

/* Goes to element `first`, of so many, from the end that is nearer. */
static int go_to(struct list_cursor *cursor, uint64_t first, uint64_t count, uint64_t ends) {
  bool from_left = first - 1 <= count - first;
  cursor->cell = from_left ? shmx_low(ends) : shmx_high(ends);
  return pass(cursor, from_left ? first - 1 : count - first, from_left);
}

static int64_t from_the_left(int64_t index, int64_t count) {
  return index < 0 ? index + count + 1 : index;
}

/* Where the range lies in a list of so many elements. How many it has. */
static uint64_t limit_range(const struct looking *looking, uint64_t count, uint64_t *first) {
  int64_t all = (int64_t)count;
  int64_t from = from_the_left(looking->first, all), to = from_the_left(looking->last, all);
  if (from < 1) from = 1;
  if (to > all) to = all;
  *first = (uint64_t)from;
  return to >= from ? (uint64_t)(to - from) + 1 : 0;
}

static int add_elements(struct list_cursor *cursor, uint64_t count,
                        struct shmx_batch_buffer *batch) {
  struct shmx_entry element;
  for (; count > 0; count--) {
    int status = look_here(cursor, &element);
    if (status != 0) return status;
    cursor->cell = shmx_entry_next(&element);
    element.words[2] = 0; /* it is no expiry */
    if (!shmx_batch_add(cursor->dict, &element, batch)) return -EBADMSG;
  }
  return 0;
}

static int try_elements(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct looking *looking = (struct looking *)attempt;
  const struct shmx_entry *entry = &attempt->place.entry;
  struct list_cursor cursor = {.dict = hold->dict};
  uint64_t first;
  if (!shmx_entry_lives(entry)) return -ENOENT;
  if (shmx_entry_kind(entry) != SHMX_LIST) return -EPROTOTYPE;
  struct shmx_ends at = shmx_list_ends(hold->dict, entry);
  uint64_t all = at.count != NULL ? shmx_load(at.count) : UINT64_MAX;
  looking->batch.length = 0;
  if (all > hold->dict->cells) return -EBADMSG;
  uint64_t count = limit_range(looking, all, &first);
  if (count == 0) return 0;
  int status = go_to(&cursor, first, all, shmx_load(at.ends));
  if (status == 0) status = add_elements(&cursor, count, &looking->batch);
  if (status != 0) return status;
  return looking->batch.length <= looking->batch.room ? 0 : -EMSGSIZE;
}

int shmx_dict_elements(shmx_dict *dict, const shmx_dict_key *key, int64_t first, int64_t last,
                       void *buffer, size_t room, size_t *length) {
  struct looking looking = {.attempt = {.key = key},
                            .first = first,
                            .last = last,
                            .batch = {.data = buffer, .room = room}};
  int status = shmx_attempt_make(dict, &looking.attempt, try_elements);
  *length = looking.batch.length;
  return status;
}
