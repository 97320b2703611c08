/*
 * program.h: a target for libFuzzer: bytes are a program of operations, and of a hostile peer's
 * writes before, between and within them. `make fuzz` runs it; replay.c without libFuzzer.
 *
 *   byte 0        bits 0-1, 5-7: which scene; 2-3: as it was made, twice, all zero, or its
 *                 beginning from the input (two bytes of length, and so many); 4: all operations
 *                 at the end
 *   then          an operation: its number (bit 7 is 0; bit 6: through the second handle), an
 *                 argument, a timeout; or a write: see read_write
 *
 * A target includes it with its scenes and toys, and defines the functions that come first here.
 */
#ifndef SPEC_FUZZ_PROGRAM_H
#define SPEC_FUZZ_PROGRAM_H

#include "world.h"

enum { HANDLES = 2, WRITES = 8, STEPS = 48, EACH_CALL = 15 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Once, before all. */
static void make_scenes(void);
static struct scene *choose_scene(unsigned code);
static unsigned choose_operation(const struct scene *scene, unsigned code);

/* Before and after each program. */
static void open_handle(struct toys *toys, struct scene *scene, unsigned number);
static void close_handle(struct toys *toys, struct scene *scene, unsigned number);

static const int64_t timeouts[] = {0, SHMX_SECOND / 1000, SHMX_SECOND / 20, SHMX_SECOND};

static struct scene *scene;
static struct toys handles[HANDLES];

/* ---- the input ---- */

static const uint8_t *input;
static size_t input_left;

static unsigned next_byte(void) {
  if (input_left == 0) return 0;
  input_left--;
  return *input++;
}

static unsigned next_short(void) {
  unsigned low = next_byte();
  return low | next_byte() << 8;
}

/* ---- the peer ---- */

struct write {
  size_t place;
  unsigned width, when; /* in so many calls, or at each */
  bool adds;
  uint64_t value;
  enum peer peer;
};

static struct write writes[WRITES];
static unsigned write_count;
static bool has_lied; /* the memory is not only what operations have made of it */

static void do_write(struct write *write) {
  has_lied = true;
  unsigned char *at = scene->memory + write->place;
  size_t room = scene->size - write->place, width = write->width < room ? write->width : room;
  uint64_t value = write->value;
  if (write->adds) {
    memcpy(&value, at, width);
    value += write->value;
  }
  memcpy(at, &value, width);
}

/* Does what is due; those that are not for each call are done once. */
static enum peer at_call(void) {
  enum peer peer = LETS_SLEEP;
  world.limit = toy_limit < INT64_MAX ? toy_limit + SHMX_SECOND : INT64_MAX;
  for (unsigned i = 0; i < write_count; i++) {
    struct write *write = &writes[i];
    if (write->when == 0) continue;
    if (write->when != EACH_CALL && --write->when != 0) continue;
    do_write(write);
    peer = write->peer;
  }
  return peer;
}

/*
 * 0x80, with bits 0-3: when (0: now; 1-14: at that call of the next operation's to the system, 15:
 * at each of them), 4-5: width 1, 2, 4, 8, 6: adds to what is there; a choice of places and a
 * number of two bytes; a value: bits 0-4 which, or eight bytes that follow, 5-6: what comes of a
 * sleep.
 */
static void read_write(unsigned code) {
  struct write write = {.width = 1U << (code >> 4 & 3), .when = code & 15, .adds = code >> 6 & 1};
  unsigned choice = next_byte();
  write.place = hostile_place(scene, choice, next_short());
  unsigned which = next_byte();
  write.value = hostile_value(scene->sizes, shmx_self()->task, which & 31);
  if ((which & 31) >= VALUES)
    for (unsigned i = 0; i < 8; i++)
      write.value = write.value << 8 | next_byte();
  write.peer = (which >> 5 & 3) % 3;
  if (write.when == 0)
    do_write(&write);
  else if (write_count < WRITES)
    writes[write_count++] = write;
}

/* ---- the program ---- */

static void begin(unsigned code) {
  unsigned length;
  scene = choose_scene(code);
  scene_reset(scene);
  has_lied = (code >> 2 & 3) == 3;
  if ((code >> 2 & 3) == 2) memset(scene->memory, 0, scene->size);
  if ((code >> 2 & 3) != 3) return;
  length = next_short();
  for (unsigned i = 0; i < length && i < scene->size && input_left > 0; i++)
    scene->memory[i] = (unsigned char)next_byte();
}

static void read_operation(unsigned code) {
  unsigned argument = next_byte();
  int64_t timeout = timeouts[next_byte() % 4];
  toys_run(&handles[code >> 6 & 1], choose_operation(scene, code % 64), timeout, argument);
  write_count = 0;
}

/* No peer is there while the handles are closed: that is seen as often as it is done. */
static void end(bool all) {
  write_count = 0;
  if (all) toys_run_all(&handles[0], timeouts[1]);
  for (unsigned number = 0; number < HANDLES; number++)
    toys_end(&handles[number]);
  expect_nothing_behind(scene);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (scene == NULL) make_scenes();
  input = data;
  input_left = size;
  unsigned code = next_byte();
  begin(code);
  world_begin(at_call);
  for (unsigned number = 0; number < HANDLES; number++)
    open_handle(&handles[number], scene, number);
  write_count = 0;
  for (unsigned step = 0; step < STEPS && input_left > 0; step++) {
    unsigned next = next_byte();
    if (next & 128)
      read_write(next);
    else
      read_operation(next);
    world.calls = 0;
  }
  end(code & 16);
  world.on = false;
  for (unsigned number = 0; number < HANDLES; number++)
    close_handle(&handles[number], scene, number);
  return 0;
}

#endif
