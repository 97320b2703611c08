/* error.c: the one table of every status, its name and its sentence. Touches libc. */
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

struct error {
  int code;
  const char *name;
  const char *text; /* follows the name of a thing: 'segment "/prices" exists already; ...' */
};

/* The README's table of errors is held against this one by spec/house_spec.lua. */
static const struct error errors[] = {
    {E2BIG, "E2BIG",
     "cannot take so many steps in one operation: the third number of /proc/sys/kernel/sem is the"
     " limit"},
    {EACCES, "EACCES",
     "is closed to this user by its mode; attach readonly if that is"
     " enough, or ask its owner to widen the mode"},
    {EADDRINUSE, "EADDRINUSE",
     "cannot be mapped there: the address range is in use; choose another"
     " address, or leave it to the system"},
    {EADDRNOTAVAIL, "EADDRNOTAVAIL",
     "cannot be mapped there: the address is not at the start of a"
     " page; the option round rounds it down"},
    {EAGAIN, "EAGAIN",
     "cannot do that at once: it is full or empty, or it is another's turn; wait, or try again"},
    {EBADF, "EBADF", "is detached; attach it again"},
    {EBADMSG, "EBADMSG", "is damaged: what its memory says cannot be; remove it and make it anew"},
    {EBUSY, "EBUSY", "is held; wait for it, or try again later"},
    {ECANCELED, "ECANCELED",
     "has nobody who waits for this reply: its caller gave up or died, or it was replied to"},
    {EDEADLK, "EDEADLK", "is held by this thread already, which would wait for itself"},
    {EEXIST, "EEXIST", "exists already; use attach or open, or remove it first"},
    {EFAULT, "EFAULT",
     "has lost memory: it was truncated, or its file system is full; detach it"
     " and attach or create it anew"},
    {EFBIG, "EFBIG",
     "cannot be that large: a limit is lower (SHMMAX, SEMMSL, or ulimit -f for POSIX and anonymous "
     "memory)"},
    {EIDRM, "EIDRM", "was removed; open or create it anew"},
    {EINTR, "EINTR", "was interrupted by a signal; try again"},
    {EINVAL, "EINVAL", "was refused by the system as invalid; check name, size and address"},
    {EMFILE, "EMFILE", "cannot be opened: this process is at its limit of descriptors (ulimit -n)"},
    {EMSGSIZE, "EMSGSIZE",
     "cannot pass on a message so large: it is over the limit, or over the buffer"},
    {ENFILE, "ENFILE", "cannot be opened: the machine is at its limit of descriptors"},
    {ENODATA, "ENODATA",
     "is empty: its creator has not given it a size yet; try again, or remove"
     " it"},
    {ENODEV, "ENODEV",
     "is not shared memory: a directory, a link, a pipe or a device has its"
     " name"},
    {ENOENT, "ENOENT", "does not exist; create it first"},
    {ENOMEM, "ENOMEM",
     "was refused memory: out of memory, of huge pages (vm.nr_hugepages) or of"
     " lockable memory (ulimit -l)"},
    {ENOSPC, "ENOSPC",
     "has no room: the number of segments (SHMMNI) or semaphores (SEMMNI, SEMMNS), System V memory"
     " (SHMALL) or the space in /dev/shm is used up; remove what is not needed"},
    {ENOTDIR, "ENOTDIR", "is below something that is no directory; check its path"},
    {ENOTSUP, "ENOTSUP",
     "cannot do that: only POSIX objects change their size, anonymous"
     " memory has no name, and POSIX objects have no huge pages"},
    {EOWNERDEAD, "EOWNERDEAD", "was held by one who died; what it guards may be half done"},
    {EPERM, "EPERM",
     "needs rights that this user has not: its owner's to change it, root's for huge pages or to "
     "lock"},
    {EPIPE, "EPIPE", "is finished: nothing more is sent, and what was is received"},
    {EPROTO, "EPROTO",
     "holds what has no Lua value: a MessagePack extension, say, or another program's tag"},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT",
     "was made by another version of this library, with another layout; remove it, or use that "
     "version"},
    {EPROTOTYPE, "EPROTOTYPE",
     "is there as something else: of another kind, type, count or layout; open it as it was made, "
     "or remove it first"},
    {ERANGE, "ERANGE",
     "is smaller than what was asked for, or, as an arena, of another size; or a semaphore, or "
     "what "
     "is to be undone of it, would pass 32767"},
    {EREMOTE, "EREMOTE", "has replied with an error"},
    {EROFS, "EROFS", "is attached readonly; attach it without readonly to write"},
    {ETIMEDOUT, "ETIMEDOUT", "was not to be had in time; try again, or allow more time"},
    {EUSERS, "EUSERS",
     "is open as often as it has places for; close it elsewhere, or make a larger one"},
    {EXDEV, "EXDEV",
     "belongs to processes of another PID or time namespace (a container), whose numbers mean "
     "others here; share the namespace"},
};

static const struct error *find(int status) {
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
    if (-errors[i].code == status) return &errors[i];
  return NULL;
}

/* The errno of a status; the least integer has no opposite, and is none. */
static int code_of(int status) {
  return status != INT_MIN ? -status : INT_MAX;
}

const char *shmx_error_name(int status) {
  const struct error *error = find(status);
  if (error != NULL) return error->name;
  const char *name = strerrorname_np(code_of(status));
  return name != NULL ? name : "EUNKNOWN";
}

const char *shmx_error_text(int status) {
  const struct error *error = find(status);
  if (error != NULL) return error->text;
  const char *text = strerrordesc_np(code_of(status));
  return text != NULL ? text : "failed for a reason that the system does not name";
}
