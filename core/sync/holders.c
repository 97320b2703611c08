/* holders.c: collecting who has a part in an object. Touches os, base. */
#include "sync/holders.h"
#include "os/process.h"

void shmx_holders_add(shmx_holders *holders, uint64_t task, uint32_t part) {
  if (shmx_task_number(task) == 0) return;
  for (uint32_t i = 0; i < holders->count; i++)
    if (holders->list[i].task == task && holders->list[i].part == part) {
      holders->list[i].count++;
      return;
    }
  if (holders->count == SHMX_HOLDERS_MAX) {
    holders->more++;
    return;
  }
  holders->list[holders->count++] =
      (shmx_holder){task, shmx_task_process(task), part, 1, shmx_task_lives(task)};
}

const char *shmx_part_name(uint32_t part) {
  static const char *const names[] = {"nothing", "holds",    "reads", "writes", "waits",
                                      "sends",   "receives", "calls", "serves"};
  return part < sizeof names / sizeof *names ? names[part] : names[0];
}
