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
  shmx_dict_item *item;
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
  int status = copy_element(dict, &element, popping);
  if (status != 0) return status;
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

struct looking {
  struct shmx_attempt attempt;
  struct shmx_batch_buffer batch;
};

static int try_elements(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct looking *looking = (struct looking *)attempt;
  const shmx_dict *dict = hold->dict;
  struct shmx_entry entry = attempt->place.entry;
  if (!shmx_entry_lives(&entry)) return -ENOENT;
  if (shmx_entry_kind(&entry) != SHMX_LIST) return -EPROTOTYPE;
  struct shmx_ends at = shmx_list_ends(dict, &entry);
  uint32_t cell = at.count != NULL ? shmx_low(shmx_load(at.ends)) : 0;
  looking->batch.length = 0;
  for (uint32_t hops = 0; cell != 0; hops++) {
    if (!shmx_is_cell(dict, cell) || hops == dict->cells) return -EBADMSG;
    shmx_entry_load(dict, cell, &entry);
    entry.words[2] = 0; /* it is no expiry */
    if (!shmx_batch_add(dict, &entry, &looking->batch)) return -EBADMSG;
    cell = shmx_entry_next(&entry);
  }
  return looking->batch.length <= looking->batch.room ? 0 : -EMSGSIZE;
}

int shmx_dict_elements(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                       size_t *length) {
  struct looking looking = {.attempt = {.key = key}, .batch = {.data = buffer, .room = room}};
  int status = shmx_attempt_make(dict, &looking.attempt, try_elements);
  *length = looking.batch.length;
  return status;
}
