/* owned.c: the list of names that this process removes at its end. Touches os. */
#include "mem/owned.h"
#include "os/backing.h"

#include <pthread.h>
#include <stdlib.h>

struct shmx_owned {
  struct shmx_owned *next, **link; /* in the list: the next, and what points here */
  shmx_object object;
  bool disowned; /* a forked child has the list too, and owns nothing on it */
};

static struct shmx_owned *list;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void remove_name(const struct shmx_owned *owned) {
  if (!owned->disowned)
    shmx_backing_of(owned->object.backing)->remove(&owned->object); /* gone already: as good */
}

static void lock(void) {
  pthread_mutex_lock(&mutex);
}

static void unlock(void) {
  pthread_mutex_unlock(&mutex);
}

static void in_child(void) {
  for (struct shmx_owned *owned = list; owned != NULL; owned = owned->next)
    owned->disowned = true;
  unlock();
}

static void at_exit(void) {
  lock();
  for (const struct shmx_owned *owned = list; owned != NULL; owned = owned->next)
    remove_name(owned);
  unlock();
}

static void install(void) {
  atexit(at_exit);
  pthread_atfork(lock, unlock, in_child);
}

struct shmx_owned *shmx_owned_take(const shmx_object *object) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
  struct shmx_owned *owned = malloc(sizeof *owned);
  if (owned == NULL) return NULL;
  owned->object = *object;
  owned->disowned = false;
  lock();
  owned->next = list;
  owned->link = &list;
  if (list != NULL) list->link = &owned->next;
  list = owned;
  unlock();
  return owned;
}

void shmx_owned_release(struct shmx_owned *owned) {
  if (owned == NULL) return;
  remove_name(owned);
  lock();
  *owned->link = owned->next;
  if (owned->next != NULL) owned->next->link = owned->link;
  unlock();
  free(owned);
}
