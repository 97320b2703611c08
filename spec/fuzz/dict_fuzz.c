/* dict_fuzz.c: a target for libFuzzer: programs on dicts, as program.h reads them. Bits 0-1 of byte
 * 0 say how large. Where nobody has written into the memory, each cell must be in one place. */
#include "../core/dict_scene.h"

#include "program.h"

#include "../core/cells.h"

enum { SCENES = 4 };

static const uint64_t sizes[SCENES] = {SHMX_DICT_SIZE_MIN, 40000, 70000, 150000};

static struct scene scenes[SCENES];

static void make_scenes(void) {
  for (unsigned i = 0; i < SCENES; i++)
    scene_begin(&scenes[i], i, sizes[i]);
}

static struct scene *choose_scene(unsigned code) {
  return &scenes[code & 3];
}

static unsigned choose_operation(const struct scene *of, unsigned code) {
  (void)of;
  return code % OPERATIONS;
}

static void open_handle(struct toys *toys, struct scene *of, unsigned number) {
  (void)number;
  toys_begin(toys, of->memory, of->size);
}

/* Their memory stays for the next program. */
static void close_handle(struct toys *toys, struct scene *of, unsigned number) {
  if (has_lied || number + 1 < HANDLES) return;
  toys_begin(toys, of->memory, of->size);
  const char *wrong = what_is_wrong(&toys->dict);
  if (wrong != NULL) toy_fail(__FILE__, __LINE__, wrong);
  toys_end(toys);
}
