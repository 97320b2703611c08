/* entry.c: changes of entries, each through the shard's log. Touches sync, os, base. */
#include "data/entry.h"

static uint64_t type_of(const shmx_dict_key *key, uint32_t tag) {
  return (uint64_t)tag << 40 | (key->is_integer ? SHMX_INTEGER_KEY : 0);
}

/* ---- building ---- */

int shmx_entry_build(struct shmx_hold *hold, uint32_t first, const struct shmx_new *new,
                     uint32_t next, struct shmx_built *built) {
  const shmx_dict *dict = hold->dict;
  if (!shmx_is_cell(dict, first)) return -EBADMSG;
  struct shmx_cursor cursor = shmx_payload(first);
  if (!shmx_payload_write(dict, &cursor, new->key->data, new->key->length) ||
      !shmx_payload_write(dict, &cursor, new->data, new->length))
    return -EBADMSG;
  _Atomic uint64_t *words = shmx_cell_at(dict, first)->words;
  /* Over all but `more`, which still links the free cells. */
  uint64_t head = type_of(new->key, new->tag) | (uint64_t) new->key->length << 48 |
                  (new->marked ? SHMX_MARK : 0);
  atomic_store_explicit((_Atomic uint32_t *)(void *)&words[0] + 1, shmx_high(head),
                        memory_order_relaxed);
  shmx_store(&words[1], shmx_pair(next, cursor.cell));
  shmx_store(&words[2], (uint64_t) new->expiry);
  shmx_store(&words[3], shmx_pair(new->length | new->kind << 30, new->flags));
  *built = (struct shmx_built){first, cursor.cell, shmx_more(dict, cursor.cell),
                               shmx_cells_of(new->key->length, new->length),
                               (uint64_t) new->key->length + new->length};
  return 0;
}

/* ---- changes ---- */

static uint64_t with_half(uint64_t word, uint32_t shift, uint32_t half) {
  return (word & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)half << shift;
}

/* The counts after these are added and taken away, modulo 2^32: no death can make them wrong. */
static void change_counts(struct shmx_hold *hold, int entries, uint64_t more_cells,
                          uint64_t less_cells, uint64_t payload) {
  struct shmx_shard *shard = hold->shard;
  uint64_t counts = shmx_load(&shard->counts);
  shmx_shard_change(hold, &shard->counts,
                    shmx_pair(shmx_low(counts) + (uint32_t)entries,
                              shmx_high(counts) + (uint32_t)(more_cells - less_cells)));
  if (payload != 0) shmx_shard_change(hold, &shard->payload, shmx_load(&shard->payload) + payload);
}

/* The chain of an entry goes before `rest`, the free cells, of which there are so many. */
static void free_chain(struct shmx_hold *hold, const struct shmx_entry *entry, uint32_t rest,
                       uint32_t count) {
  uint32_t last = shmx_entry_last(entry);
  if (!shmx_is_cell(hold->dict, last)) last = entry->cell;
  _Atomic uint64_t *link = &shmx_cell_at(hold->dict, last)->words[0];
  shmx_shard_change(hold, link, shmx_with_low(shmx_load(link), rest));
  shmx_shard_change(hold, &hold->shard->free,
                    shmx_pair(entry->cell, count + (uint32_t)shmx_entry_cells(entry)));
}

void shmx_entry_free(struct shmx_hold *hold, const struct shmx_entry *entry) {
  uint64_t free = shmx_load(&hold->shard->free);
  free_chain(hold, entry, shmx_low(free), shmx_high(free));
  change_counts(hold, 0, 0, shmx_entry_cells(entry), -shmx_entry_payload(entry));
}

void shmx_entry_taken(struct shmx_hold *hold, const struct shmx_built *built) {
  uint64_t free = shmx_load(&hold->shard->free);
  shmx_shard_change(hold, &hold->shard->free,
                    shmx_pair(built->rest, shmx_high(free) - (uint32_t)built->cells));
  change_counts(hold, 0, built->cells, 0, built->payload);
}

/* At most seven words. */
void shmx_entry_put(struct shmx_hold *hold, const struct shmx_place *place,
                    const struct shmx_built *built) {
  static const struct shmx_built nothing;
  const struct shmx_entry *old = &place->entry;
  struct shmx_shard *shard = hold->shard;
  uint64_t free = shmx_load(&shard->free);
  bool is_old = old->cell != 0, is_list = is_old && shmx_entry_kind(old) == SHMX_LIST;
  uint32_t first = built != NULL ? built->first : shmx_entry_next(old);
  if (built == NULL) built = &nothing;
  uint32_t rest = built->cells != 0 ? built->rest : shmx_low(free);
  uint32_t count = shmx_high(free) - (uint32_t)built->cells;
  shmx_shard_change(hold, place->link, with_half(shmx_load(place->link), place->shift, first));
  if (is_list) {
    _Atomic uint64_t *link = &shmx_cell_at(hold->dict, old->cell)->words[1];
    shmx_shard_change(hold, link,
                      shmx_with_low(old->words[1], (uint32_t)shmx_load(&shard->doomed)));
    shmx_shard_change(hold, &shard->doomed, old->cell);
  }
  if (is_old && !is_list)
    free_chain(hold, old, rest, count);
  else if (built->cells != 0)
    shmx_shard_change(hold, &shard->free, shmx_pair(rest, count));
  bool frees = is_old && !is_list;
  change_counts(hold, (built->cells != 0) - is_old, built->cells, frees ? shmx_entry_cells(old) : 0,
                built->payload - (frees ? shmx_entry_payload(old) : 0));
  shmx_shard_commit(hold);
  bool ends_task = is_old && shmx_entry_kind(old) == SHMX_PENDING;
  if (ends_task || (built->cells != 0 && shmx_event_has_sleepers(&shard->made))) hold->made = true;
}

/* ---- without cells ---- */

enum { REWRITTEN = SHMX_LOG - 3 }; /* words of a value, beside the head's */

/* A value of one word, where nothing else changes, is one store: a reader has the old or the new
 * one. */
static bool rewrite_value(struct shmx_hold *hold, struct shmx_cursor *cursor,
                          const struct shmx_new *new) {
  const unsigned char *data = new->data;
  bool alone = hold->changes == 0 && new->length <= 8;
  for (uint32_t left = new->length, at = 0; left > 0; at += 8) {
    uint64_t word = left >= 8 ? shmx_whole_word(data + at) : shmx_part_of_word(data + at, left);
    _Atomic uint64_t *place = shmx_next_word(hold->dict, cursor);
    left = left >= 8 ? left - 8 : 0;
    if (place == NULL) return false;
    if (alone)
      atomic_store_explicit(place, word, memory_order_release);
    else if (shmx_load(place) != word)
      shmx_shard_change(hold, place, word);
  }
  return true;
}

bool shmx_entry_rewrite(struct shmx_hold *hold, const struct shmx_place *place,
                        const struct shmx_new *new) {
  const struct shmx_entry *old = &place->entry;
  if (shmx_entry_kind(old) != SHMX_VALUE || new->kind != SHMX_VALUE ||
      shmx_entry_length(old) != new->length || new->length > REWRITTEN * 8)
    return false;
  _Atomic uint64_t *words = shmx_cell_at(hold->dict, old->cell)->words;
  const uint64_t heads[] = {(old->words[0] & ~(UINT64_C(0x7f) << 40)) | (uint64_t) new->tag << 40,
                            old->words[1], (uint64_t) new->expiry,
                            shmx_pair(shmx_low(old->words[3]), new->flags)};
  if (heads[2] != old->words[2]) {
    shmx_expiry_note(hold, new->expiry);
    /* It may have expired before, and somebody may wait for it. */
    hold->made |= shmx_event_has_sleepers(&hold->shard->made);
  }
  for (int i = 0; i < SHMX_CELL_HEAD; i++)
    if (heads[i] != old->words[i]) shmx_shard_change(hold, &words[i], heads[i]);
  struct shmx_cursor cursor = shmx_entry_value(hold->dict, old);
  if (cursor.cell == 0 || !rewrite_value(hold, &cursor, new)) return hold->changes = 0, false;
  if (hold->changes != 0) shmx_shard_commit(hold);
  return true;
}

/* ---- lists ---- */

struct shmx_ends shmx_list_ends(const shmx_dict *dict, const struct shmx_entry *list) {
  struct shmx_cursor cursor = shmx_entry_value(dict, list);
  struct shmx_ends ends = {NULL, NULL};
  if (cursor.cell == 0 || shmx_entry_length(list) != 16) return ends;
  ends.ends = shmx_next_word(dict, &cursor);
  if (ends.ends != NULL) ends.count = shmx_next_word(dict, &cursor);
  return ends;
}

/* The first element of a doomed list; or the list, once it has none. False where nothing is. */
static bool reap_one(struct shmx_hold *hold) {
  const shmx_dict *dict = hold->dict;
  uint32_t cell = shmx_low(shmx_load(&hold->shard->doomed));
  struct shmx_entry list, element;
  if (!shmx_is_cell(dict, cell)) return false;
  shmx_entry_load(dict, cell, &list);
  struct shmx_ends at = shmx_list_ends(dict, &list);
  uint64_t ends = at.count != NULL ? shmx_load(at.ends) : 0;
  uint64_t count = at.count != NULL ? shmx_load(at.count) : 0;
  if (count != 0 && count <= dict->cells && shmx_is_cell(dict, shmx_low(ends))) {
    shmx_entry_load(dict, shmx_low(ends), &element);
    shmx_shard_change(hold, at.ends, shmx_with_low(ends, shmx_entry_next(&element)));
    shmx_shard_change(hold, at.count, count - 1);
    shmx_entry_free(hold, &element);
  } else {
    shmx_shard_change(hold, &hold->shard->doomed, shmx_entry_next(&list));
    shmx_entry_free(hold, &list);
  }
  shmx_shard_commit(hold);
  return true;
}

uint32_t shmx_entry_reap(struct shmx_hold *hold, uint32_t most) {
  uint32_t count = 0;
  while (count < most && reap_one(hold))
    count++;
  return count;
}
