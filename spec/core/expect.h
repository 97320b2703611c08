/* expect.h: what is wrong is an abort: in fuzz targets and children of tests, without cmocka. */
#ifndef SPEC_CORE_EXPECT_H
#define SPEC_CORE_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

_Noreturn static inline void toy_fail(const char *file, int line, const char *what) {
  fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  abort();
}

#define TOY_EXPECT(condition)                                                                      \
  do {                                                                                             \
    if (!(condition)) toy_fail(__FILE__, __LINE__, #condition);                                    \
  } while (0)

#endif
