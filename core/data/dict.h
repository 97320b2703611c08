/*
 * dict.h: a dictionary that many processes read and write at once: keys, and values that may expire
 * or be evicted. Owns its memory. Touches sync, os, base.
 *
 * Whoever is killed, at whatever instruction, has done all of a change or nothing of it, holds up
 * nobody, and leaves no memory that is lost. A get takes no lock. A value may have any size up to
 * shmx_dict_limit, whatever sizes were there before.
 *
 * A handle is used by one thread at a time; the memory by any number of threads and processes.
 * After fork both processes may use the handle. All functions return 0 or a negative errno. They
 * wait only for others who are in the dict for microseconds; if one of those is stopped, ETIMEDOUT
 * after ten seconds in all. EINTR: a signal came meanwhile, and nothing was changed. EBADMSG: the
 * memory says what cannot be. EFAULT: it is gone. Any function but open and close may return these
 * four.
 *
 * If there is no room, entries are evicted: first those that have expired, then those that no
 * operation has used lately (CLOCK). Every function that takes a key uses its entry, but for
 * shmx_dict_ttl, as in ngx.shared.DICT and Redis. An operation never evicts the entry that it works
 * on, neither in the key's shard nor in others: if nothing else may go, it returns ENOSPC, and the
 * old value stays. A push may evict other entries.
 *
 * Times to live are nanoseconds, and go on while the machine sleeps (CLOCK_BOOTTIME).
 */
#ifndef SHMX_DATA_DICT_H
#define SHMX_DATA_DICT_H

#include "base/api.h"
#include "base/kind.h"
#include "base/tag.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

SHMX_BEGIN_DECLS

enum { SHMX_DICT_KEY_MAX = 65535 /* bytes */ };

#define SHMX_DICT_SIZE_MIN (UINT64_C(1) << 14) /* bytes */
#define SHMX_DICT_SIZE_MAX (UINT64_C(1) << 34)

struct shmx_dict_memory;

/* A handle. All zero is a closed one; the fields are the functions'. */
typedef struct shmx_dict {
  struct shmx_dict_memory *memory;
  uint64_t size;                   /* bytes */
  uint64_t seed;                   /* of the hash */
  uint32_t shards, buckets, cells; /* how many there are */
  uint32_t at_buckets, at_cells;   /* where they begin, in units of 64 bytes */
  uint32_t shard_shift;            /* the number of a bucket, shifted, is that of its shard */
  int64_t patience;                /* how long this call waits for others; 0: it has not yet */
  uint32_t hits, misses;           /* since they were last added to those in the memory */
} shmx_dict;

/* A key: some bytes; or an integer, which is 8 bytes and never equal to a key of bytes. */
typedef struct shmx_dict_key {
  const void *data;
  uint32_t length; /* bytes, at most SHMX_DICT_KEY_MAX; 8 for an integer */
  bool is_integer; /* data points to an int64_t */
} shmx_dict_key;

/* A value, and what is said of it. Fields that a function does not name are not looked at. */
typedef struct shmx_dict_item {
  const void *data;
  uint32_t length; /* bytes */
  uint32_t tag;    /* 0 to 127: the dict looks only at those of numbers */
  uint32_t flags;  /* the user's */
  int64_t expiry;  /* nanoseconds of CLOCK_BOOTTIME; 0: never. Received, not given */
  uint64_t count;  /* elements, where the value is a list; else 0. Received, not given */
} shmx_dict_item;

typedef struct shmx_dict_number {
  uint32_t tag; /* SHMX_TAG_INTEGER, SHMX_TAG_DOUBLE */
  union {
    int64_t integer;
    double real;
  } value;
} shmx_dict_number;

/* How to store: the first three exclude each other. */
enum {
  SHMX_DICT_SET = 0,
  SHMX_DICT_ADD = 1,     /* only where there is no value */
  SHMX_DICT_REPLACE = 2, /* only where there is one */
  SHMX_DICT_SAFE = 4     /* evicts nothing that has not expired */
};

#define SHMX_DICT_KEEP INT64_C(-1) /* a time to live: as what is there has */

/* A dict of so many bytes in all; sizes out of bounds become the nearest that is not. */
SHMX_API shmx_kind shmx_dict_kind(uint64_t size);

/* `memory` is zero where the dict is new, and aligned to 64; `size` is as for shmx_dict_kind. */
SHMX_API void shmx_dict_open(shmx_dict *dict, void *memory, uint64_t size);

SHMX_API void shmx_dict_close(shmx_dict *dict);

/* Bytes of a key and its value, at most: a quarter of the dict. */
static inline uint64_t shmx_dict_limit(const shmx_dict *dict) {
  return dict->size / 4 < (UINT64_C(1) << 30) ? dict->size / 4 : (UINT64_C(1) << 30) - 1;
}

/* ---- values ---- */

/*
 * Copies a value into a buffer of `room` bytes; item->data is the buffer. Errors: ENOENT (there is
 * none, or it has expired); EMSGSIZE (item->length says how long it is); EPROTOTYPE (it is a list
 * of item->count elements); EINVAL (no such key can be).
 */
SHMX_API int shmx_dict_get(shmx_dict *dict, const shmx_dict_key *key, void *buffer, size_t room,
                           shmx_dict_item *item);

/* As above, also where it has expired and is still there: `stale` receives whether. */
SHMX_API int shmx_dict_get_stale(shmx_dict *dict, const shmx_dict_key *key, void *buffer,
                                 size_t room, shmx_dict_item *item, bool *stale);

/*
 * Stores data, length, tag and flags of the item.
 *
 * ttl       nanoseconds from now; 0: for ever; SHMX_DICT_KEEP
 * mode      SHMX_DICT_SET, ADD or REPLACE, and SAFE
 * forcible  receives whether others were evicted that had not expired; or NULL
 * Errors: EEXIST (add), ENOENT (replace); ENOSPC (no room without evicting, with SAFE); EMSGSIZE
 *   (over the limit); EINVAL (tag, length of the key). What was there stays in all these cases.
 */
SHMX_API int shmx_dict_set(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item,
                           int64_t ttl, uint32_t mode, bool *forcible);

/* Errors: ENOENT. Whatever is there is deleted: also a list. */
SHMX_API int shmx_dict_delete(shmx_dict *dict, const shmx_dict_key *key);

/*
 * Adds to a number. Integers wrap; where one of the two is a double, so is the sum.
 *
 * init      what to begin with where there is no value, with a time to live; or NULL
 * result    receives the sum; or NULL
 * mode      0 or SHMX_DICT_SAFE, and `forcible`: as shmx_dict_set, where init is stored
 * Errors: ENOENT (no value, no init); EDOM (the value is not a number); EPROTOTYPE (it is a list);
 *   ENOSPC, EMSGSIZE, EINVAL.
 */
SHMX_API int shmx_dict_incr(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_number *by,
                            const shmx_dict_number *init, int64_t init_ttl, uint32_t mode,
                            shmx_dict_number *result, bool *forcible);

/*
 * Stores, if what is there is what is expected: the same bytes and the same tag.
 *
 * expected  NULL: no value
 * desired   NULL: deletes it
 * The rest as shmx_dict_set. Errors: EAGAIN (something else is there; or nothing); EPROTOTYPE (a
 *   list is); ENOSPC, EMSGSIZE, EINVAL.
 */
SHMX_API int shmx_dict_cas(shmx_dict *dict, const shmx_dict_key *key,
                           const shmx_dict_item *expected, const shmx_dict_item *desired,
                           int64_t ttl, uint32_t mode, bool *forcible);

/* Gives a value, or a list, another time to live: 0 is for ever. Errors: ENOENT. */
SHMX_API int shmx_dict_expire(shmx_dict *dict, const shmx_dict_key *key, int64_t ttl);

/* `ttl` receives the nanoseconds that are left; 0: for ever. Errors: ENOENT. */
SHMX_API int shmx_dict_ttl(shmx_dict *dict, const shmx_dict_key *key, int64_t *ttl);

/* ---- lists: values of any tags, pushed and popped at both ends ---- */

enum { SHMX_DICT_LEFT = 0, SHMX_DICT_RIGHT = 1 };

/*
 * Pushes an element, and makes the list if there is none. `count` receives how many it has then; or
 * NULL. Mode is 0 or SHMX_DICT_SAFE. Errors: EPROTOTYPE (a value is there that is no list);
 * ENOSPC, EMSGSIZE, EINVAL.
 */
SHMX_API int shmx_dict_push(shmx_dict *dict, const shmx_dict_key *key, const shmx_dict_item *item,
                            int end, uint32_t mode, uint64_t *count, bool *forcible);

/* Pops an element into a buffer, as shmx_dict_get; the list goes with its last. Errors: ENOENT;
 * EMSGSIZE (it stays); EPROTOTYPE (no list). */
SHMX_API int shmx_dict_pop(shmx_dict *dict, const shmx_dict_key *key, int end, void *buffer,
                           size_t room, shmx_dict_item *item);

/*
 * The two halves of shmx_dict_pop, for callers that make something of an element which may fail:
 * peek copies the element at an end, which stays, and pop_same pops it. Errors: as shmx_dict_pop;
 * pop_same: EAGAIN (another element is at that end now, so peek again), and never EMSGSIZE.
 */
SHMX_API int shmx_dict_peek(shmx_dict *dict, const shmx_dict_key *key, int end, void *buffer,
                            size_t room, shmx_dict_item *item);
SHMX_API int shmx_dict_pop_same(shmx_dict *dict, const shmx_dict_key *key, int end,
                                const shmx_dict_item *item);

/* Errors: ENOENT; EPROTOTYPE (no list). */
SHMX_API int shmx_dict_count(shmx_dict *dict, const shmx_dict_key *key, uint64_t *count);

/* ---- a value that one thread makes while others wait for it ---- */

/* One fetch of a key. All zero but `stale` before the first shmx_dict_fetch_begin; if the value is
 * to be made, it stays where it is until shmx_dict_fetch_end, and so do the dict and the key's
 * bytes. */
typedef struct shmx_dict_fetch {
  int64_t stale;  /* how long after its expiry, in nanoseconds, the old value may be received */
  bool ours;      /* received: the value is to be made by this thread */
  bool recursive; /* received with EDEADLK: this thread makes it already */
  uint32_t maker; /* received with ETIMEDOUT and EDEADLK: the process that makes it; or 0 */
  /* The rest is the functions'. */
  shmx_dict *dict; /* NULL: nothing is to be ended */
  shmx_dict_key key;
  struct shmx_dict_fetch *outer; /* what this thread made before */
  uint64_t owner, label;         /* of the wait: data/cycle.h */
} shmx_dict_fetch;

/*
 * Gets a value, or the task to make it. If another thread makes it, and the old value expired no
 * longer than fetch->stale ago, gets the old value: item->expiry tells. Otherwise waits until the
 * deadline (os/clock.h) for the new value, and for the task: if the thread that has it dies or
 * gives it up, one of the waiters receives it.
 *
 * The old value stays until the new one is stored: shmx_dict_get_stale reads it. A task is never
 * evicted while its thread lives; only the functions below end it. If another stores a value
 * meanwhile, waiters get that value. Deleting the key, or flush_all, ends the old value, and not
 * the task.
 *
 * After ETIMEDOUT and EINTR, the same `fetch` may wait on. Errors: as shmx_dict_get but ENOENT;
 * ETIMEDOUT; ENOSPC; EINVAL (also for a fetch that is not ended); EDEADLK: this thread makes the
 * value already, or the thread that makes it waits, perhaps by way of others, for a value that this
 * thread makes.
 */
SHMX_API int shmx_dict_fetch_begin(shmx_dict *dict, const shmx_dict_key *key,
                                   shmx_dict_fetch *fetch, void *buffer, size_t room,
                                   shmx_dict_item *item, int64_t deadline);

/*
 * Stores the value that was made and wakes those who wait for it; or, with NULL, gives up. Ends the
 * task whatever it returns, but for EINTR. Errors: as shmx_dict_set; EEXIST: another has stored a
 * value meanwhile, which stays.
 */
SHMX_API int shmx_dict_fetch_end(shmx_dict_fetch *fetch, const shmx_dict_item *item, int64_t ttl,
                                 uint32_t mode, bool *forcible);

/* Forgets the fetch without touching the dict, whose memory may be gone: others get the task when
 * this thread ends. Nothing, if it was ended. */
SHMX_API void shmx_dict_fetch_abandon(shmx_dict_fetch *fetch);

/* ---- all of them ---- */

/* All that is there has expired. */
SHMX_API int shmx_dict_flush_all(shmx_dict *dict);

/* Frees what has expired: at most so many (0: all). `count` receives how many; or NULL. */
SHMX_API int shmx_dict_flush_expired(shmx_dict *dict, uint64_t most, uint64_t *count);

/* A walk through all entries: one that is all zero begins. */
typedef struct shmx_dict_walk {
  uint64_t cursor; /* 0 at the beginning, and again when all were seen */
  uint64_t met;    /* cells of the entries that the walk has met: see shmx_dict_meet */
} shmx_dict_walk;

/*
 * The next entries of a walk. What is there throughout is seen exactly once; what comes or goes
 * meanwhile, once or not. Writers are not held up. Fills the buffer, aligned to 8, as long as it
 * has room, and stops at about `most` (0: no matter how many); `length` receives how much of it is
 * used: shmx_dict_next finds the entries.
 *
 * keys_only  leaves out the values: their lengths are 0
 * Errors: EMSGSIZE (`length` says what the next entries need); EBADMSG, also as shmx_dict_meet.
 */
SHMX_API int shmx_dict_scan(shmx_dict *dict, shmx_dict_walk *walk, bool keys_only, uint64_t most,
                            void *buffer, size_t room, size_t *length);

/*
 * Counts cells of 64 bytes that a walk has met beside the entries of shmx_dict_scan: the elements
 * of a list. EBADMSG: the walk has met more than four times the cells that there are. Entries that
 * others move while the walk goes on are met again, but not so often: the memory is corrupt.
 */
SHMX_API int shmx_dict_meet(const shmx_dict *dict, shmx_dict_walk *walk, uint64_t cells);

/*
 * The elements `first` to `last` of a list, as they are at one time; keys are empty. Elements count
 * from 1, and from -1 at the right end; what is out of range is left out: 1 and -1 are all of them.
 * Errors: ENOENT; EPROTOTYPE (no list); EMSGSIZE (`length` says what they need); ETIMEDOUT (so long
 * a list is not walked through in ten seconds). Holds up writers for as long as it copies.
 */
SHMX_API int shmx_dict_elements(shmx_dict *dict, const shmx_dict_key *key, int64_t first,
                                int64_t last, void *buffer, size_t room, size_t *length);

/* The next entry of a buffer from `at`, which begins at 0 and moves on; false where there are no
 * more. Data points into the buffer, and is aligned to 8. */
SHMX_API bool shmx_dict_next(const void *buffer, size_t length, size_t *at, shmx_dict_key *key,
                             shmx_dict_item *item);

typedef struct shmx_dict_status {
  uint64_t capacity;           /* bytes in all */
  uint64_t room;               /* bytes of it for entries: used + free */
  uint64_t used, free;         /* bytes */
  uint64_t payload;            /* bytes of keys and values; the rest of `used` is overhead */
  uint64_t entries;            /* keys, also of what has expired and is still there */
  uint64_t hits, misses;       /* of other handles: up to 1,023 of each are not counted yet */
  uint64_t evictions, expired; /* entries that made room: had not, or had expired */
  uint32_t shards;             /* parts with a lock of their own */
  uint64_t fullest, emptiest;  /* entries of the shard that has most, and fewest */
} shmx_dict_status;

SHMX_API int shmx_dict_stat(shmx_dict *dict, shmx_dict_status *status);

/* Bytes in all; bytes that are free. */
SHMX_API uint64_t shmx_dict_capacity(const shmx_dict *dict);
SHMX_API int shmx_dict_free_space(shmx_dict *dict, uint64_t *free);

/* A handle that only looks, and does not even make what a new dict lacks: for shmx_dict_stat. */
SHMX_API void shmx_dict_look(shmx_dict *dict, void *memory, uint64_t size);

SHMX_END_DECLS

#endif
