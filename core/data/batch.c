/* batch.c: copying entries into a buffer, and finding them there. Touches base. */
#include "data/batch.h"

#include <string.h>

/* What lies before the key and the value, each of which begins at a multiple of 8. */
struct head {
  uint32_t key_length, length, tag, flags;
  int64_t expiry;
  uint64_t count;
  uint32_t is_integer, unused;
};

static bool copy(const shmx_dict *dict, const struct shmx_entry *entry, const struct head *head,
                 unsigned char *data) {
  struct shmx_cursor cursor = shmx_payload(entry->cell);
  memcpy(data, head, sizeof *head);
  data += sizeof *head;
  if (!shmx_payload_read(dict, &cursor, data, head->key_length)) return false;
  data += 8 * shmx_words_of(head->key_length);
  return head->length == 0 || shmx_payload_read(dict, &cursor, data, head->length);
}

bool shmx_batch_add(const shmx_dict *dict, const struct shmx_entry *entry,
                    struct shmx_batch_buffer *batch) {
  bool is_list = shmx_entry_kind(entry) == SHMX_LIST;
  struct head head = {.key_length = shmx_entry_key(entry),
                      .length = is_list || batch->keys_only ? 0 : shmx_entry_length(entry),
                      .tag = shmx_entry_tag(entry),
                      .flags = shmx_entry_flags(entry),
                      .expiry = shmx_entry_expiry(entry),
                      .is_integer = (entry->words[0] & SHMX_INTEGER_KEY) != 0};
  struct shmx_ends at = {NULL, NULL};
  if (is_list) at = shmx_list_ends(dict, entry);
  if (at.count != NULL) head.count = shmx_load(at.count);
  uint64_t size = sizeof head + 8 * (shmx_words_of(head.key_length) + shmx_words_of(head.length));
  bool fits = batch->length <= batch->room && size <= batch->room - batch->length;
  bool whole = !fits || copy(dict, entry, &head, batch->data + batch->length);
  batch->length += size;
  return whole;
}

bool shmx_dict_next(const void *buffer, size_t length, size_t *at, shmx_dict_key *key,
                    shmx_dict_item *item) {
  const unsigned char *data = (const unsigned char *)buffer + *at;
  struct head head;
  if (*at >= length) return false;
  memcpy(&head, data, sizeof head);
  data += sizeof head;
  *key = (shmx_dict_key){data, head.key_length, head.is_integer != 0};
  data += 8 * shmx_words_of(head.key_length);
  *item = (shmx_dict_item){.data = data,
                           .length = head.length,
                           .tag = head.tag,
                           .flags = head.flags,
                           .expiry = head.expiry,
                           .count = head.count};
  *at += sizeof head + 8 * (shmx_words_of(head.key_length) + shmx_words_of(head.length));
  return true;
}
