/*
 * service.h: requests and replies: a channel for the requests, which servers share, and for each
 * caller a slot for the reply. Owns its memory. Touches sync, os, base.
 *
 * A handle is used by one thread at a time; the memory by any number of threads and processes. All
 * functions return 0 or a negative errno. A server that is killed within a request fails that call
 * and no other; a caller that is killed leaves its slot to the next.
 */
#ifndef SHMX_DATA_SERVICE_H
#define SHMX_DATA_SERVICE_H

#include "base/api.h"
#include "data/channel.h"

SHMX_BEGIN_DECLS

enum {
  SHMX_CALLERS = 32,     /* calls at once; more of them wait */
  SHMX_REQUEST_HEAD = 16 /* bytes that stand before a request in the channel */
};

#define SHMX_SERVICE_LIMIT_MAX (UINT64_C(1) << 24) /* bytes of a request or reply, at most */

struct shmx_service_memory;

/* A handle. All zero is a closed one. */
typedef struct shmx_service {
  struct shmx_service_memory *memory;
  uint64_t limit; /* bytes of a request, and of a reply */
  shmx_channel requests;
  shmx_spin spin;
  uint32_t held_by; /* the process at whose lock or turn the last call to fail has waited, which
                       others have for nanoseconds; 0: it waited for something else */
} shmx_service;

/* A call: as its caller has begun it, or as a server has taken it. */
typedef struct shmx_request {
  shmx_message message;
  uint64_t number; /* of the call */
  uint32_t slot;   /* of its caller */
  int64_t began;   /* when; the caller's */
} shmx_request;

/* A call without a deadline waits for what others have for nanoseconds no longer than
 * SHMX_LOCK_TIMEOUT: then it is ETIMEDOUT, and the process service->held_by is stopped, or the
 * memory is corrupt. */

/* `limit`: bytes of the largest request and reply; a multiple of 64 from 64. */
SHMX_API shmx_kind shmx_service_kind(uint64_t limit);

SHMX_API void shmx_service_open(shmx_service *service, void *memory, uint64_t limit);
SHMX_API void shmx_service_close(shmx_service *service);

/* Looks before a sleep, at most, of callers and servers; 0: none. Without it, experience tells. */
SHMX_API void shmx_service_spin(shmx_service *service, uint32_t most);

/*
 * Calls: sends a request and waits for the reply, which it copies into the buffer, of at least
 * `limit` bytes. Errors: EOWNERDEAD (the server that had it has died); ETIMEDOUT; EMSGSIZE (over
 * the limit); EINTR: the call is given up in these cases, and a reply that comes later is dropped;
 * EPIPE (finished); EFAULT, EBADMSG.
 */
SHMX_API int shmx_service_call(shmx_service *service, const shmx_message *request, void *buffer,
                               shmx_message *reply, int64_t deadline);

/*
 * The parts of shmx_service_call, for who has more to look after meanwhile; all by one thread.
 * begin: sends the request. await: waits for the reply, which is there until the end: ETIMEDOUT and
 * EINTR leave the call as it was; ECANCELED: it was ended, or is another thread's, or, after fork,
 * the parent's. end: gives the slot back, or gives the call up; once after each begin that returned
 * 0, and again is harmless.
 */
SHMX_API int shmx_service_begin(shmx_service *service, const shmx_message *message,
                                int64_t deadline, shmx_request *call);
SHMX_API int shmx_service_await(shmx_service *service, const shmx_request *call, void *buffer,
                                shmx_message *reply, int64_t deadline);
SHMX_API void shmx_service_end(shmx_service *service, const shmx_request *call);

/*
 * Takes the next request, into a buffer of at least `limit` bytes. Calls that were given up are
 * passed over. Errors: ETIMEDOUT (no request; or its caller is stopped while it gives the call up,
 * and it is the next one still), EPIPE, EINTR, EFAULT, EBADMSG.
 */
SHMX_API int shmx_service_take(shmx_service *service, void *buffer, shmx_request *request,
                               int64_t deadline);

/*
 * The two halves of shmx_service_take, for servers that make something of a request which may fail:
 * copy leaves the request to whoever comes, and accept takes it. The buffer has room for the
 * request and SHMX_REQUEST_HEAD bytes. Errors: as shmx_service_take; copy: EMSGSIZE
 * (message.length says how much room is needed); accept: ECANCELED (another server has taken it, or
 * its caller has given up, so copy the next).
 */
SHMX_API int shmx_service_copy(shmx_service *service, void *buffer, size_t room,
                               shmx_request *request, shmx_copied *copied, int64_t deadline);
SHMX_API int shmx_service_accept(shmx_service *service, const shmx_request *request,
                                 const shmx_copied *copied, int64_t deadline);

/*
 * Replies. Errors: EMSGSIZE (over the limit); ECANCELED: nobody gets it, because the caller has
 * given up or died, or this thread has replied already; ETIMEDOUT (the caller is stopped while it
 * gives the call up), EINTR, EFAULT. Who dies within a tenth of a millisecond of calling may still
 * be taken to live.
 */
SHMX_API int shmx_service_reply(shmx_service *service, const shmx_request *request,
                                const shmx_message *reply);

/* No more calls. Errors: as shmx_channel_finish. */
SHMX_API int shmx_service_finish(shmx_service *service, int64_t deadline);

/* Who calls, and who serves, for who looks from outside. */
SHMX_API void shmx_service_holders(const shmx_service *service, shmx_holders *holders);

SHMX_END_DECLS

#endif
