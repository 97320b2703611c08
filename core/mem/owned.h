/*
 * owned.h: names that go with the process that made them, also when it ends by exit(3) with its
 * handles still open, as Lua's os.exit does. Touches os.
 */
#ifndef SHMX_MEM_OWNED_H
#define SHMX_MEM_OWNED_H

#include "os/object.h"

struct shmx_owned;

/*
 * From now on the name of this object goes with this process. NULL if there is no memory for it.
 * The object's descriptor must stay open until shmx_owned_release. Safe in any thread.
 */
struct shmx_owned *shmx_owned_take(const shmx_object *object);

/*
 * Removes the name, unless this is a forked child or somebody did it before, and forgets it.
 * NULL is allowed.
 */
void shmx_owned_release(struct shmx_owned *owned);

#endif
