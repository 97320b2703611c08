/* version.h: the version of the library: the one place that says it. */
#ifndef SHMX_BASE_VERSION_H
#define SHMX_BASE_VERSION_H

#include "base/api.h"

/* As compiled against. Until 1.0, another minor version may have other structs. */
#define SHMX_VERSION_MAJOR 0
#define SHMX_VERSION_MINOR 2
#define SHMX_VERSION_PATCH 0

#define SHMX_VERSION_TEXT_(number) #number
#define SHMX_VERSION_TEXT(number)  SHMX_VERSION_TEXT_(number)
#define SHMX_VERSION                                                                               \
  SHMX_VERSION_TEXT(SHMX_VERSION_MAJOR)                                                            \
  "." SHMX_VERSION_TEXT(SHMX_VERSION_MINOR) "." SHMX_VERSION_TEXT(SHMX_VERSION_PATCH)

SHMX_BEGIN_DECLS

/* The version of the library that was loaded: "0.2.0". Does not block; safe in any thread. */
SHMX_API const char *shmx_version(void);

SHMX_END_DECLS

#endif
