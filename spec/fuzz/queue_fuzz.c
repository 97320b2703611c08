/* queue_fuzz.c: a target for libFuzzer: programs on channels, topics and services, as program.h
 * reads them. Bits 0-1 of byte 0 say which of them, 5-6 how large. */
#include "../core/queue_scene.h"

#include "program.h"

enum { LARGEST_OF = 4, SCENES = KINDS * LARGEST_OF };

static const uint64_t parameters[KINDS][LARGEST_OF] = {
    [CHANNEL] = {SHMX_CHANNEL_MIN, 512, 2048, 32768},
    [TOPIC] = {SHMX_CHANNEL_MIN, 512, 2048, 32768},
    [SERVICE] = {64, 128, 192, 1024},
};

static struct scene scenes[SCENES];

static void make_scenes(void) {
  for (unsigned i = 0; i < SCENES; i++)
    scene_begin(&scenes[i], i, (int)(i / LARGEST_OF), parameters[i / LARGEST_OF][i % LARGEST_OF]);
}

static struct scene *choose_scene(unsigned code) {
  return &scenes[(code & 3) % KINDS * LARGEST_OF + (code >> 5 & 3)];
}

static unsigned choose_operation(const struct scene *of, unsigned code) {
  return operation_for(of->kind, code);
}

static void open_handle(struct toys *toys, struct scene *of, unsigned number) {
  (void)number;
  toys_begin(toys, of->kind, of->parameter, of->memory);
}

/* Their memory stays for the next program. */
static void close_handle(struct toys *toys, struct scene *of, unsigned number) {
  (void)toys, (void)of, (void)number;
}
