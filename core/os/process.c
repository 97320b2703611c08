/* process.c: getpid(2). Touches libc. */
#include "os/process.h"

#include <unistd.h>

int32_t shmx_process_id(void) {
  return getpid();
}
