/*
 * cells.h: what must hold of a dict's memory when nobody is in it: each cell is in one place, and
 * what the shards count is so. And short ways to call a dict.
 */
#ifndef SPEC_CORE_CELLS_H
#define SPEC_CORE_CELLS_H

#include "shmx.h"

#include "data/entry.h"

#include <stdlib.h>

/* A walk over all cells: how often each was met. */
struct census {
  const shmx_dict *dict;
  unsigned char *met;
  uint32_t free, used, entries;
  uint64_t payload;
  const char *wrong; /* what is, or NULL */
};

static inline void meet(struct census *census, uint32_t cell, uint32_t *count) {
  if (!shmx_is_cell(census->dict, cell))
    census->wrong = "a number is no cell's";
  else if (census->met[cell]++ != 0)
    census->wrong = "a cell is in two places";
  ++*count;
}

static inline void meet_free(struct census *census, uint64_t list) {
  uint32_t cell = shmx_low(list);
  for (uint32_t i = 0; i < shmx_high(list) && census->wrong == NULL; i++) {
    meet(census, cell, &census->free);
    if (census->wrong == NULL)
      cell = shmx_low(shmx_load(&shmx_cell_at(census->dict, cell)->words[0]));
  }
}

static inline void meet_chain(struct census *census, const struct shmx_entry *entry) {
  uint32_t cell = entry->cell, last = 0;
  census->payload += shmx_entry_payload(entry);
  for (uint64_t i = shmx_entry_cells(entry); i > 0 && census->wrong == NULL; i--) {
    meet(census, cell, &census->used);
    last = cell;
    if (census->wrong == NULL)
      cell = shmx_low(shmx_load(&shmx_cell_at(census->dict, cell)->words[0]));
  }
  if (census->wrong == NULL && last != shmx_entry_last(entry)) census->wrong = "the last cell";
}

static inline void meet_elements(struct census *census, const struct shmx_entry *list) {
  struct shmx_ends at = shmx_list_ends(census->dict, list);
  struct shmx_entry element;
  uint32_t cell = shmx_low(shmx_load(at.ends));
  for (uint64_t i = shmx_load(at.count); i > 0 && census->wrong == NULL; i--) {
    if (!shmx_is_cell(census->dict, cell)) {
      census->wrong = "a list is shorter than it says";
      return;
    }
    shmx_entry_load(census->dict, cell, &element);
    meet_chain(census, &element);
    if (i == 1 && shmx_high(shmx_load(at.ends)) != cell) census->wrong = "the last of a list";
    cell = shmx_entry_next(&element);
  }
}

static inline void meet_shard(struct census *census, uint32_t number) {
  const shmx_dict *dict = census->dict;
  const struct shmx_shard *shard = shmx_shard_at(dict, number);
  struct census before = *census;
  uint32_t all = shmx_shard_buckets(dict);
  for (uint32_t bucket = number * all; bucket < (number + 1) * all; bucket++) {
    struct shmx_place place = {.bucket = bucket};
    int status = shmx_place_first(dict, &place);
    for (; status == 1 && census->wrong == NULL; status = shmx_place_next(dict, &place)) {
      census->entries++;
      meet_chain(census, &place.entry);
      if (shmx_entry_kind(&place.entry) == SHMX_LIST) meet_elements(census, &place.entry);
    }
    if (status < 0) census->wrong = "a bucket";
  }
  uint32_t in_buckets = census->entries;
  struct shmx_entry doomed;
  for (uint32_t cell = shmx_low(shmx_load(&shard->doomed)); cell != 0 && census->wrong == NULL;
       cell = shmx_entry_next(&doomed)) {
    shmx_entry_load(dict, cell, &doomed);
    meet_chain(census, &doomed);
    meet_elements(census, &doomed);
  }
  meet_free(census, shmx_load(&shard->free));
  uint64_t counts = shmx_load(&shard->counts);
  if (census->wrong != NULL) return;
  if (shmx_low(counts) != in_buckets - before.entries) census->wrong = "the count of entries";
  if (shmx_high(counts) != census->used - before.used) census->wrong = "the count of cells";
  if (shmx_load(&shard->payload) != census->payload - before.payload)
    census->wrong = "the count of bytes";
}

/* What is wrong with a dict that nobody uses; NULL where nothing is. */
static inline const char *what_is_wrong(shmx_dict *dict) {
  struct census census = {.dict = dict, .met = calloc(dict->cells + UINT64_C(1), 1)};
  struct shmx_hold hold;
  for (uint32_t number = 0; number < dict->shards; number++) {
    if (shmx_shard_enter(&hold, dict, number) != 0) return "a shard cannot be entered";
    shmx_shard_leave(&hold);
    if (shmx_load(&hold.shard->sequence) & 1) return "a shard is not settled";
  }
  for (uint32_t number = 0; number < dict->shards; number++)
    meet_shard(&census, number);
  meet_free(&census, shmx_load(&dict->memory->free));
  uint64_t fresh = shmx_load(&dict->memory->fresh);
  for (uint64_t cell = fresh + 1; cell <= dict->cells && census.wrong == NULL; cell++)
    meet(&census, (uint32_t)cell, &census.free);
  if (census.wrong == NULL && census.free + census.used != dict->cells)
    census.wrong = "cells are lost";
  free(census.met);
  return census.wrong;
}

/* ---- calls ---- */

static inline shmx_dict_key text_key(const char *text) {
  return (shmx_dict_key){text, (uint32_t)strlen(text), false};
}

static inline shmx_dict_key number_key(const int64_t *number) {
  return (shmx_dict_key){number, 8, true};
}

static inline shmx_dict_item text_item(const char *text) {
  return (shmx_dict_item){.data = text, .length = (uint32_t)strlen(text)};
}

static inline int set_text(shmx_dict *dict, const char *key, const char *value, int64_t ttl,
                           uint32_t mode) {
  shmx_dict_key name = text_key(key);
  shmx_dict_item item = text_item(value);
  return shmx_dict_set(dict, &name, &item, ttl, mode, NULL);
}

/* Is this the value of the key? */
static inline bool is_text(shmx_dict *dict, const char *key, const char *value) {
  char buffer[4096];
  shmx_dict_key name = text_key(key);
  shmx_dict_item item;
  return shmx_dict_get(dict, &name, buffer, sizeof buffer, &item) == 0 &&
         item.length == strlen(value) && memcmp(buffer, value, item.length) == 0;
}

static inline int get_status(shmx_dict *dict, const char *key) {
  char buffer[4096];
  shmx_dict_key name = text_key(key);
  shmx_dict_item item;
  return shmx_dict_get(dict, &name, buffer, sizeof buffer, &item);
}

static inline int delete_text(shmx_dict *dict, const char *key) {
  shmx_dict_key name = text_key(key);
  return shmx_dict_delete(dict, &name);
}

static inline int push_text(shmx_dict *dict, const char *key, const char *value, int end,
                            uint64_t *count) {
  shmx_dict_key name = text_key(key);
  shmx_dict_item item = text_item(value);
  return shmx_dict_push(dict, &name, &item, end, 0, count, NULL);
}

/* Pops a text; returns its length. */
static inline int pop_text(shmx_dict *dict, const char *key, int end, char buffer[static 4096]) {
  shmx_dict_key name = text_key(key);
  shmx_dict_item item;
  int status = shmx_dict_pop(dict, &name, end, buffer, 4095, &item);
  if (status != 0) return status;
  buffer[item.length] = '\0';
  return (int)item.length;
}

static inline int add_integer(shmx_dict *dict, const char *key, int64_t by, int64_t *sum) {
  shmx_dict_key name = text_key(key);
  shmx_dict_number one = {SHMX_TAG_INTEGER, {.integer = by}}, init = {SHMX_TAG_INTEGER, {0}}, got;
  int status = shmx_dict_incr(dict, &name, &one, &init, 0, 0, &got, NULL);
  if (status == 0 && sum != NULL) *sum = got.value.integer;
  return status;
}

#endif
