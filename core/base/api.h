/* api.h: how a symbol of libshmx is exported, from C and from C++. Touches nothing. */
#ifndef SHMX_BASE_API_H
#define SHMX_BASE_API_H

#define SHMX_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define SHMX_BEGIN_DECLS extern "C" {
#define SHMX_END_DECLS   }
#else
#define SHMX_BEGIN_DECLS
#define SHMX_END_DECLS
#endif

#endif
