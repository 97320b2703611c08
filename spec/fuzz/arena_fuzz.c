/* arena_fuzz.c: a target for libFuzzer: programs on arenas, as program.h reads them. */
#include "../core/arena_scene.h"

#include "program.h"

enum { SCENES = 4 };

/* The end of the second and the third is within a page; the last has more than one word of bits. */
static const size_t sizes[SCENES] = {SHMX_ARENA_SIZE_MIN, 12345, 70000, 300032};

static struct scene scenes[SCENES];

/* The name of each handle's arena must be there at each exec, and after the last it must not. */
static void remove_scenes(void) {
  for (unsigned i = 0; i < SCENES; i++)
    scene_end(&scenes[i]);
}

static void make_scenes(void) {
  for (unsigned i = 0; i < SCENES; i++) {
    char name[64];
    snprintf(name, sizeof name, "/shmx-fuzz-%d-%u", (int)getpid(), i);
    scene_begin(&scenes[i], name, sizes[i]);
  }
  atexit(remove_scenes);
}

static struct scene *choose_scene(unsigned code) {
  return &scenes[code & 3];
}

static unsigned choose_operation(const struct scene *of, unsigned code) {
  (void)of;
  return code % OPERATIONS;
}

static void open_handle(struct toys *toys, struct scene *of, unsigned number) {
  toys_begin(toys, shmx_posix(of->name), guarded_address(number, of->length));
}

static void close_handle(struct toys *toys, struct scene *of, unsigned number) {
  (void)toys;
  drop_guards(number, of->length);
}
