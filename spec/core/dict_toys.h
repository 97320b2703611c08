/*
 * dict_toys.h: a dict, and every operation on it by number: toys.h checks each, and here, that what
 * it gives out is within the caller's buffer.
 */
#ifndef SPEC_CORE_DICT_TOYS_H
#define SPEC_CORE_DICT_TOYS_H

#include "buffer.h"

struct toys {
  unsigned char *memory;
  uint64_t size;
  shmx_dict dict;
  shmx_dict_walk walk; /* of scans */
  shmx_dict_fetch fetch;
};

static inline void toys_begin(struct toys *all, void *memory, uint64_t size) {
  memset(all, 0, sizeof *all);
  all->memory = memory;
  all->size = size;
  shmx_dict_open(&all->dict, memory, size);
}

static inline void toys_end(struct toys *all) {
  shmx_dict_fetch_abandon(&all->fetch);
  shmx_dict_close(&all->dict);
}

/* ---- keys, values, times ---- */

enum { TOY_KEYS = 8, FILL = 16 };

static inline shmx_dict_key toy_key(unsigned argument) {
  static const char letters[3000] = "long";
  static const int64_t numbers[] = {7, -1};
  static const shmx_dict_key keys[TOY_KEYS] = {
      {"a", 1, false},         {"some key", 8, false}, {&numbers[0], 8, true},
      {letters, 100, false},   {"list", 4, false},     {letters, sizeof letters, false},
      {&numbers[1], 8, false}, {NULL, 0, false}};
  return keys[argument % TOY_KEYS];
}

/* One of 16 to 256 others. */
static inline shmx_dict_key number_of(int64_t *number, unsigned argument, unsigned turn) {
  *number = (int64_t)(100 + argument % 16 * FILL + turn);
  return (shmx_dict_key){number, 8, true};
}

static inline shmx_dict_item toy_item(const struct toys *all, unsigned argument) {
  static unsigned char bytes[LONGEST];
  uint64_t limit = shmx_dict_limit(&all->dict);
  const uint64_t lengths[] = {8, 0, 13, 48, 200, 1200, limit / 2, limit + 1};
  uint64_t length = lengths[argument % 8];
  memset(bytes, (int)argument, sizeof bytes);
  return (shmx_dict_item){.data = bytes,
                          .length = (uint32_t)(length < LONGEST ? length : LONGEST),
                          .tag = argument % 5 == 0 ? SHMX_TAG_INTEGER : argument % 3,
                          .flags = argument / 32};
}

/* With a time for the call, one to live; without, for ever. */
static inline int64_t toy_ttl(int64_t deadline, unsigned argument) {
  if (deadline == 0) return 0;
  return argument % 2 ? SHMX_DICT_KEEP : SHMX_SECOND / 500;
}

static inline uint32_t toy_mode(unsigned argument) {
  static const uint32_t modes[] = {0, SHMX_DICT_ADD, SHMX_DICT_REPLACE, SHMX_DICT_SAFE};
  return modes[argument / 64];
}

/* ---- values ---- */

static inline void expect_item(const shmx_dict_item *item, int status, size_t room) {
  if (status == 0) expect_bytes_within(item->data, item->length, toy_buffer, room);
  if (status == -EMSGSIZE) TOY_EXPECT(item->length > room);
  expect_untouched(room);
}

static inline int op_get(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  shmx_dict_item item;
  bool stale;
  size_t room = room_for(argument / 8);
  unsigned char *buffer = buffer_of(room);
  int status = deadline == 0 ? shmx_dict_get(&all->dict, &key, buffer, room, &item)
                             : shmx_dict_get_stale(&all->dict, &key, buffer, room, &item, &stale);
  expect_item(&item, status, room);
  return status;
}

static inline int op_set(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  shmx_dict_item item = toy_item(all, argument / 8);
  bool forcible;
  return shmx_dict_set(&all->dict, &key, &item, toy_ttl(deadline, argument), toy_mode(argument),
                       &forcible);
}

/* Many, of one size. */
static inline int op_fill(struct toys *all, int64_t deadline, unsigned argument) {
  int status = 0;
  for (unsigned turn = 0; turn < FILL && status == 0; turn++) {
    int64_t number;
    shmx_dict_key key = number_of(&number, argument, turn);
    shmx_dict_item item = toy_item(all, argument / 16 % 6);
    status = shmx_dict_set(&all->dict, &key, &item, deadline == 0 ? 0 : SHMX_SECOND / 500, 0, NULL);
  }
  return status;
}

static inline int op_delete(struct toys *all, int64_t deadline, unsigned argument) {
  int64_t number;
  shmx_dict_key key = toy_key(argument);
  if (deadline != 0) key = number_of(&number, argument, argument / 16);
  return shmx_dict_delete(&all->dict, &key);
}

static inline int op_incr(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  shmx_dict_number by = {SHMX_TAG_INTEGER, {.integer = 3}}, sum;
  if (argument & 8) by = (shmx_dict_number){SHMX_TAG_DOUBLE, {.real = 0.5}};
  int64_t ttl = deadline == 0 ? 0 : SHMX_SECOND / 500;
  bool forcible;
  int status =
      shmx_dict_incr(&all->dict, &key, &by, argument & 16 ? &by : NULL, ttl,
                     argument & 32 ? SHMX_DICT_SAFE : 0, argument & 64 ? &sum : NULL, &forcible);
  if (status == 0 && argument & 64)
    TOY_EXPECT(sum.tag == SHMX_TAG_INTEGER || sum.tag == SHMX_TAG_DOUBLE);
  return status;
}

/* Expects what is there, or something else, or nothing. */
static inline int op_cas(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  shmx_dict_item expected = {.data = "text", .length = 4}, desired = toy_item(all, argument / 8);
  bool forcible, there = false;
  if (argument & 64)
    there = shmx_dict_get(&all->dict, &key, buffer_of(LONGEST), LONGEST, &expected) == 0;
  int status =
      shmx_dict_cas(&all->dict, &key, there || argument & 128 ? &expected : NULL,
                    argument & 8 ? &desired : NULL, toy_ttl(deadline, argument), 0, &forcible);
  if (there) expect_untouched(LONGEST);
  return status;
}

static inline int op_expire(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  return shmx_dict_expire(&all->dict, &key, deadline == 0 ? 0 : 1 + argument / 8 * SHMX_SECOND);
}

static inline int op_ttl(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  shmx_dict_key key = toy_key(argument);
  int64_t ttl;
  int status = shmx_dict_ttl(&all->dict, &key, &ttl);
  if (status == 0) TOY_EXPECT(ttl >= 0);
  return status;
}

/* ---- lists ---- */

static inline int op_push(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  shmx_dict_item item = toy_item(all, argument / 16);
  uint64_t count;
  bool forcible;
  return shmx_dict_push(&all->dict, &key, &item, argument / 8 % 2,
                        deadline == 0 ? 0 : SHMX_DICT_SAFE, &count, &forcible);
}

static inline int op_pop(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  shmx_dict_key key = toy_key(argument);
  shmx_dict_item item;
  size_t room = room_for(argument / 16);
  unsigned char *buffer = buffer_of(room);
  int end = (int)(argument / 8 % 2);
  bool halves = argument / 32 % 2 == 1;
  int status = halves ? shmx_dict_peek(&all->dict, &key, end, buffer, room, &item)
                      : shmx_dict_pop(&all->dict, &key, end, buffer, room, &item);
  expect_item(&item, status, room);
  return status == 0 && halves ? shmx_dict_pop_same(&all->dict, &key, end, &item) : status;
}

static inline int op_count(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  shmx_dict_key key = toy_key(argument);
  uint64_t count;
  return shmx_dict_count(&all->dict, &key, &count);
}

/* ---- a value that is made ---- */

static inline int op_fetch(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_key key = toy_key(argument);
  shmx_dict_item item;
  size_t room = room_for(argument / 8);
  unsigned char *buffer = buffer_of(room);
  if (all->fetch.dict != NULL) shmx_dict_fetch_abandon(&all->fetch); /* the task stays */
  all->fetch.stale = argument & 64 ? SHMX_SECOND : 0;
  int status = shmx_dict_fetch_begin(&all->dict, &key, &all->fetch, buffer, room, &item, deadline);
  if (!all->fetch.ours) expect_item(&item, status, room);
  return status;
}

static inline int op_fetch_end(struct toys *all, int64_t deadline, unsigned argument) {
  shmx_dict_item item = toy_item(all, argument / 8);
  bool forcible;
  int64_t ttl = deadline == 0 ? 0 : SHMX_SECOND / 500;
  return shmx_dict_fetch_end(&all->fetch, argument & 64 ? NULL : &item, ttl,
                             argument & 128 ? SHMX_DICT_SAFE : 0, &forcible);
}

/* ---- all of them ---- */

static inline void expect_entries(int status, size_t length, size_t room) {
  shmx_dict_key key;
  shmx_dict_item item;
  size_t at = 0;
  expect_untouched(room);
  if (status == -EMSGSIZE) TOY_EXPECT(length > room);
  if (status != 0) return;
  TOY_EXPECT(length <= room);
  while (shmx_dict_next(toy_buffer, length, &at, &key, &item)) {
    expect_bytes_within(key.data, key.length, toy_buffer, length);
    expect_bytes_within(item.data, item.length, toy_buffer, length);
  }
  TOY_EXPECT(at == length);
}

static inline int op_scan(struct toys *all, int64_t deadline, unsigned argument) {
  size_t length, room = room_for(argument / 32);
  unsigned char *buffer = buffer_of(room);
  int status =
      shmx_dict_scan(&all->dict, &all->walk, deadline != 0, argument % 32, buffer, room, &length);
  expect_entries(status, length, room);
  TOY_EXPECT(all->walk.cursor < all->dict.buckets);
  if (status == -EBADMSG) all->walk = (shmx_dict_walk){0};
  return status;
}

static inline int op_elements(struct toys *all, int64_t deadline, unsigned argument) {
  static const int64_t firsts[] = {1, -2, 2, INT64_MAX, 1, INT64_MIN, 0, -1};
  static const int64_t lasts[] = {-1, INT64_MAX, 1, INT64_MIN};
  (void)deadline;
  shmx_dict_key key = toy_key(argument);
  size_t length, room = room_for(argument / 8);
  unsigned char *buffer = buffer_of(room);
  int status = shmx_dict_elements(&all->dict, &key, firsts[argument / 32 % 8],
                                  lasts[argument / 64 % 4], buffer, room, &length);
  expect_entries(status, length, room);
  return status;
}

static inline int op_flush_all(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  return shmx_dict_flush_all(&all->dict);
}

static inline int op_flush_expired(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline;
  uint64_t count;
  int status = shmx_dict_flush_expired(&all->dict, argument % 4, &count);
  TOY_EXPECT(argument % 4 == 0 || count <= argument % 4);
  return status;
}

static inline int op_stat(struct toys *all, int64_t deadline, unsigned argument) {
  (void)argument;
  uint64_t free;
  shmx_dict_status is;
  TOY_EXPECT(shmx_dict_capacity(&all->dict) == all->size);
  if (deadline != 0) return shmx_dict_free_space(&all->dict, &free);
  int status = shmx_dict_stat(&all->dict, &is);
  TOY_EXPECT(is.shards == all->dict.shards && is.capacity == all->size);
  return status;
}

static inline int op_reopen(struct toys *all, int64_t deadline, unsigned argument) {
  (void)deadline, (void)argument;
  toys_end(all);
  shmx_dict_open(&all->dict, all->memory, all->size);
  return 0;
}

enum {
  GET,
  SET,
  FILL_SOME,
  DELETE,
  INCR,
  CAS,
  EXPIRE,
  TTL,
  PUSH,
  POP,
  COUNT,
  FETCH,
  FETCH_END,
  SCAN,
  ELEMENTS,
  FLUSH_ALL,
  FLUSH_EXPIRED,
  STAT,
  REOPEN,
  OPERATIONS
};

/* A fill is many calls; a fetch gets and tries, and once more when it is late. */
static const struct operation operations[OPERATIONS] = {
    [GET] = {"get", op_get, 1},
    [SET] = {"set", op_set, 1},
    [FILL_SOME] = {"fill", op_fill, FILL},
    [DELETE] = {"delete", op_delete, 1},
    [INCR] = {"incr", op_incr, 1},
    [CAS] = {"cas", op_cas, 2},
    [EXPIRE] = {"expire", op_expire, 1},
    [TTL] = {"ttl", op_ttl, 1},
    [PUSH] = {"push", op_push, 1},
    [POP] = {"pop", op_pop, 1},
    [COUNT] = {"count", op_count, 1},
    [FETCH] = {"fetch", op_fetch, 4},
    [FETCH_END] = {"fetch_end", op_fetch_end, 1},
    [SCAN] = {"scan", op_scan, 1},
    [ELEMENTS] = {"elements", op_elements, 1},
    [FLUSH_ALL] = {"flush_all", op_flush_all, 1},
    [FLUSH_EXPIRED] = {"flush_expired", op_flush_expired, 1},
    [STAT] = {"stat", op_stat, 0},
    [REOPEN] = {"reopen", op_reopen, 0},
};

static const struct operation *operation_of(unsigned which) {
  return &operations[which];
}

static bool is_known_status(int status) {
  static const int known[] = {0,           -EBADMSG, -ETIMEDOUT, -EINTR, -ENOENT,
                              -EMSGSIZE,   -EINVAL,  -EEXIST,    -EDOM,  -ENOSPC,
                              -EPROTOTYPE, -EAGAIN,  -EDEADLK};
  return is_among(status, known, sizeof known / sizeof *known);
}

/* Every operation, in an order that makes sense, with many arguments. */
static inline void toys_run_all(struct toys *all, int64_t timeout) {
  static const struct {
    unsigned char which, argument;
  } order[] = {
      {STAT, 0},          {GET, 0},    {GET, 1},       {GET, 4},           {SCAN, 0},
      {SET, 0},           {SET, 1},    {SET, 32},      {GET, 0},           {INCR, 18},
      {INCR, 90},         {TTL, 2},    {CAS, 72},      {CAS, 200},         {EXPIRE, 3},
      {PUSH, 4},          {PUSH, 28},  {COUNT, 4},     {ELEMENTS, 4},      {POP, 4},
      {FETCH, 6},         {FETCH, 6},  {FETCH_END, 6}, {FETCH, 7},         {FETCH_END, 71},
      {FILL_SOME, 35},    {SET, 48},   {SET, 240},     {SCAN, 8},          {DELETE, 4},
      {SET, 5},           {DELETE, 1}, {POP, 12},      {FLUSH_EXPIRED, 1}, {REOPEN, 0},
      {FILL_SOME, 83},    {PUSH, 12},  {SET, 52},      {FLUSH_ALL, 0},     {GET, 3},
      {FLUSH_EXPIRED, 0}, {STAT, 0},   {SET, 43},      {GET, 3},
  };
  for (unsigned i = 0; i < sizeof order / sizeof *order; i++)
    toys_run(all, order[i].which, i % 3 == 2 ? timeout : 0, order[i].argument);
}

#endif
