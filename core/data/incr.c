/* incr.c: numbers in a dict: a sum is one store of 8 bytes, where the type stays. Touches sync, os,
 * base. */
#include "data/room.h"

#include <string.h>

struct adding {
  struct shmx_attempt attempt;
  const shmx_dict_number *by, *init;
  shmx_dict_number sum;
  int64_t init_expiry;
};

static bool is_number(uint32_t tag) {
  return tag == SHMX_TAG_INTEGER || tag == SHMX_TAG_DOUBLE;
}

static double real_of(const shmx_dict_number *number) {
  return number->tag == SHMX_TAG_DOUBLE ? number->value.real : (double)number->value.integer;
}

static shmx_dict_number sum_of(const shmx_dict_number *a, const shmx_dict_number *b) {
  shmx_dict_number sum = {.tag = SHMX_TAG_INTEGER};
  if (a->tag == SHMX_TAG_INTEGER && b->tag == SHMX_TAG_INTEGER) {
    sum.value.integer = (int64_t)((uint64_t)a->value.integer + (uint64_t)b->value.integer);
  } else {
    sum.tag = SHMX_TAG_DOUBLE;
    sum.value.real = real_of(a) + real_of(b);
  }
  return sum;
}

/* The number that an entry is. */
static int read_number(const shmx_dict *dict, const struct shmx_entry *entry,
                       shmx_dict_number *number) {
  if (shmx_entry_kind(entry) == SHMX_LIST) return -EPROTOTYPE;
  number->tag = shmx_entry_tag(entry);
  if (!is_number(number->tag) || shmx_entry_length(entry) != 8) return -EDOM;
  struct shmx_cursor cursor = shmx_entry_value(dict, entry);
  bool whole = cursor.cell != 0 && shmx_payload_read(dict, &cursor, &number->value, 8);
  return whole ? 0 : -EBADMSG;
}

static int try_incr(struct shmx_hold *hold, struct shmx_attempt *attempt) {
  struct adding *adding = (struct adding *)attempt;
  const struct shmx_entry *entry = &attempt->place.entry;
  struct shmx_new new = {.key = attempt->key, .data = &adding->sum.value, .length = 8};
  bool lives = shmx_entry_lives(entry);
  shmx_dict_number number = {0};
  if (!lives && adding->init == NULL) return -ENOENT;
  int status = lives ? read_number(hold->dict, entry, &number) : 0;
  if (status != 0) return status;
  adding->sum = sum_of(lives ? &number : adding->init, adding->by);
  new.tag = adding->sum.tag;
  new.flags = lives ? shmx_entry_flags(entry) : 0;
  new.expiry = lives ? shmx_entry_expiry(entry) : adding->init_expiry;
  return shmx_attempt_store(hold, attempt, &new);
}

int shmx_dict_incr(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_number *by,
                   const shmx_dict_number *init, int64_t init_ttl, uint32_t mode,
                   shmx_dict_number *result, bool *forcible) {
  struct adding adding = {
      .attempt = {.key = key, .mode = mode, .forcible = forcible}, .by = by, .init = init};
  shmx_dict_item item = {.length = 8};
  if (!is_number(by->tag) || (init != NULL && !is_number(init->tag)) || init_ttl < 0)
    return -EINVAL;
  int status = shmx_item_check(dict, key, &item);
  if (status != 0) return status;
  if (init != NULL) adding.init_expiry = shmx_expiry_of(init_ttl);
  status = shmx_attempt_make(dict, &adding.attempt, try_incr);
  if (status == 0 && result != NULL) *result = adding.sum;
  return status;
}
