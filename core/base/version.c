/* version.c: the version of the library, as it was compiled. */
#include "base/version.h"

const char *shmx_version(void) {
  return SHMX_VERSION;
}
