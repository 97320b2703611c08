/* backing.c: which backing is which. Touches base. */
#include "os/backing.h"

const struct shmx_backing *shmx_backing_of(int backing) {
  static const struct shmx_backing *const backings[] = {
      [SHMX_SYSV] = &shmx_backing_sysv,
      [SHMX_POSIX] = &shmx_backing_posix,
      [SHMX_MEMFD] = &shmx_backing_memfd,
  };
  return backing >= SHMX_SYSV && backing <= SHMX_MEMFD ? backings[backing] : NULL;
}
