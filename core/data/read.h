/* read.h: reading an entry of a dict without a lock. Touches sync, os, base. */
#ifndef SHMX_DATA_READ_H
#define SHMX_DATA_READ_H

#include "data/entry.h"

/* How often to read what somebody changes meanwhile, before waiting for his lock. */
enum { SHMX_READ_TRIES = 16 };

/*
 * As shmx_dict_get, but for expiry, at which it does not look: item->expiry says it. What cannot be
 * a key is -EINVAL. `entry` receives the head, where there is one.
 */
int shmx_dict_read(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                   shmx_dict_item *item, struct shmx_entry *entry);

/* Adds hits and misses of the handle to those of the dict. */
void shmx_dict_add_reads(shmx_dict *dict);

#endif
