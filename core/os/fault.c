/* fault.c: the handler for SIGBUS and the table of mappings that it looks into. Touches base. */
#include "os/fault.h"
#include "os/page.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

/* What `start` is while a slot is nobody's, and while it is being filled. */
enum { FREE = 0, CLAIMED = 1, SLOTS = 64 };

#define LARGEST_PAGE ((size_t)16 << 30) /* of any architecture */

struct chunk {
  struct chunk *next;
  struct shmx_watch slots[SLOTS];
};

static _Atomic(struct chunk *) chunks; /* pushed with release, read with acquire */
static struct sigaction previous;
static size_t page_size;

/* What a slot says of its mapping. */
struct mapping {
  struct shmx_watch *watch;
  uintptr_t start;
  size_t length;
  int protection;
};

/* With the same start after as before, the rest belongs to it. */
static bool read_slot(struct shmx_watch *watch, struct mapping *mapping) {
  uintptr_t start = atomic_load_explicit(&watch->start, memory_order_acquire);
  if (start <= CLAIMED) return false;
  *mapping = (struct mapping){watch, start, watch->length, watch->protection};
  return watch->start == start;
}

static bool find(uintptr_t address, struct mapping *mapping) {
  struct chunk *chunk = atomic_load_explicit(&chunks, memory_order_acquire);
  for (; chunk != NULL; chunk = chunk->next)
    for (int i = 0; i < SLOTS; i++)
      if (read_slot(&chunk->slots[i], mapping) && address >= mapping->start &&
          address - mapping->start < mapping->length)
        return true;
  return false;
}

/* Ends the process as if there had been no handler. */
static void die_of(int signal, bool sent) {
  struct sigaction deadly = {.sa_handler = SIG_DFL};
  sigaction(signal, &deadly, NULL);
  if (sent) raise(signal); /* a fault needs no help: the access is repeated on return */
}

/* Not ours: what would happen without us happens. Faults cannot be ignored, sent signals can. */
static void pass_on(int signal, siginfo_t *info, void *context) {
  bool sent = info->si_code <= 0; /* by kill(2) and the like */
  if (previous.sa_flags & SA_SIGINFO)
    previous.sa_sigaction(signal, info, context);
  else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    previous.sa_handler(signal);
  else if (previous.sa_handler == SIG_DFL || !sent)
    die_of(signal, sent);
}

/* Not counted against the limit of memory: nobody is to write there. */
static bool put_zeroes(const struct mapping *mapping, uintptr_t from, size_t length) {
  if (mmap((void *)from, length, mapping->protection,
           MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
    return false;
  size_t end = from + length - mapping->start; /* huge pages may reach behind what is known */
  if (end > mapping->length) mapping->watch->length = end;
  return true;
}

/*
 * Where all of it cannot be replaced, the page of the fault can: a small one if memory is short, or
 * a huge one, which is replaced whole or not at all (EINVAL), and nothing tells its size.
 */
static bool put_one_page(const struct mapping *mapping, uintptr_t fault) {
  size_t length = page_size;
  while (length <= LARGEST_PAGE && (fault & -length) >= mapping->start) {
    if (put_zeroes(mapping, fault & -length, length)) return true;
    if (errno != EINVAL) return false;
    length *= 2;
  }
  return false;
}

/*
 * Only mmap and atomics: async-signal-safe on Linux. The whole mapping becomes private zeroes, at
 * once for all threads: a mapping that has lost a page is no longer what it was.
 */
static void on_sigbus(int signal, siginfo_t *info, void *context) {
  int saved_errno = errno;
  uintptr_t fault = (uintptr_t)info->si_addr;
  struct mapping mapping;
  bool mended = false;
  if (info->si_code == BUS_ADRERR && find(fault, &mapping)) {
    /* Marked before the zeroes are there; pairs with the fence in shmx_watch_lost. */
    atomic_store_explicit(&mapping.watch->lost, true, memory_order_release);
    mended = put_zeroes(&mapping, mapping.start, mapping.length) || put_one_page(&mapping, fault);
  }
  errno = saved_errno;
  if (!mended) pass_on(signal, info, context);
}

static void install(void) {
  page_size = shmx_page_size(false);
  struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigaction(SIGBUS, &action, &previous);
}

/* Takes a free slot of this chunk; NULL if it has none. */
static struct shmx_watch *claim(struct chunk *chunk) {
  for (int i = 0; i < SLOTS; i++) {
    struct shmx_watch *watch = &chunk->slots[i];
    uintptr_t expected = FREE;
    if (watch->start == FREE && atomic_compare_exchange_strong(&watch->start, &expected, CLAIMED))
      return watch;
  }
  return NULL;
}

static struct shmx_watch *claim_any(void) {
  struct chunk *first = atomic_load_explicit(&chunks, memory_order_acquire);
  for (struct chunk *chunk = first; chunk != NULL; chunk = chunk->next) {
    struct shmx_watch *watch = claim(chunk);
    if (watch != NULL) return watch;
  }
  struct chunk *chunk = calloc(1, sizeof *chunk);
  if (chunk == NULL) return NULL;
  struct shmx_watch *watch = claim(chunk);
  chunk->next = first;
  while (!atomic_compare_exchange_weak_explicit(&chunks, &chunk->next, chunk, memory_order_release,
                                                memory_order_relaxed)) {
  }
  return watch;
}

static void unblock(void) {
  sigset_t fault;
  sigemptyset(&fault);
  sigaddset(&fault, SIGBUS);
  pthread_sigmask(SIG_UNBLOCK, &fault, NULL);
}

struct shmx_watch *shmx_watch_start(void *data, size_t length, bool readonly) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  unblock();
  struct shmx_watch *watch = claim_any();
  if (watch == NULL) return NULL;
  watch->protection = readonly ? PROT_READ : PROT_READ | PROT_WRITE;
  watch->lost = false;
  shmx_watch_move(watch, data, length);
  return watch;
}

void shmx_watch_pause(struct shmx_watch *watch) {
  atomic_store_explicit(&watch->start, CLAIMED, memory_order_release);
}

void shmx_watch_move(struct shmx_watch *watch, void *data, size_t length) {
  shmx_watch_pause(watch);
  watch->length = length;
  atomic_store_explicit(&watch->start, (uintptr_t)data, memory_order_release);
}

size_t shmx_watch_stop(struct shmx_watch *watch) {
  size_t length = watch->length;
  atomic_store_explicit(&watch->start, FREE, memory_order_release);
  return length;
}

int shmx_thread_start(pthread_t *thread, void *(*run)(void *), void *argument) {
  static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL};
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    sigdelset(&blocked, faults[i]);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int status = -pthread_create(thread, NULL, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return status;
}
