/* batch.h: entries as they lie in a buffer of the caller. Touches sync, os, base. */
#ifndef SHMX_DATA_BATCH_H
#define SHMX_DATA_BATCH_H

#include "data/entry.h"

/* A buffer that is filled. What has no room is only measured. */
struct shmx_batch_buffer {
  unsigned char *data;
  size_t room, length; /* bytes; more than room: it has not fitted */
  bool keys_only;
};

/* Adds an entry with its key and value. False where its chain is broken. */
bool shmx_batch_add(const shmx_dict *dict, const struct shmx_entry *entry,
                    struct shmx_batch_buffer *batch);

#endif
