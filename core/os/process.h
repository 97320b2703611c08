/* process.h: who this process is. Touches libc. */
#ifndef SHMX_OS_PROCESS_H
#define SHMX_OS_PROCESS_H

#include <stdint.h>

/* getpid(2): another number in a forked child. */
int32_t shmx_process_id(void);

#endif
