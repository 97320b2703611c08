/*
 * arena.pml: an object of an arena, made, opened, removed and closed: core/mem/directory.c and arena.c.
 *
 * Processes 1 and 2, and 3, a child that 1 forks; a directory of one entry, memory for one object, one
 * name. So each new object has the entry and the memory of the one before. The directory's lock is one
 * as lock.pml has shown it to be. The orders of memory matter where no lock is: what
 * shmx_directory_remove has stored, others do not see until Memory shows it.
 *
 * OPS=n      so many things each of them does, in any order
 * MEMBERS=n  places for processes
 * KILLS=n    so many are killed, each at any step
 *
 * What holds: memory is given to a new object only if no living process uses the old one; who opens an
 * object, or opens anew what its parent had open, has that one; a live object is filled in, and was
 * zeroed; what was removed is freed as soon as nobody has it open, after a death by the next sweep.
 *
 * What breaks it: CLEAR_AFTER_LOOK, RELAXED_LOOK, PUBLISH_FIRST, USE_IN_CHILD, NO_SERIAL, NO_BIT, NO_DEAD.
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef MEMBERS
#define MEMBERS 3
#endif

mtype = { FREE, LIVE, REMOVED };
byte owner;                             /* of the lock */
byte process[MEMBERS];                  /* of each member */
bool bits[MEMBERS];
mtype state = FREE;                     /* of the entry */
bool unseen;                            /* its REMOVED is not seen by others yet */
byte serial, last;                      /* of the entry, and of the header */
bool filled;                            /* all fields are those of the object */
bool zeroed;                            /* so is the memory */
byte given;                             /* whose the memory is: a serial */

/* each process's handles: of the arena, and of the object */
byte member[4], settled[4];             /* shmx_arena.member, .process */
bool open[4], usable[4];                /* .data is not NULL; .size is not 0 */
byte meant[4];                          /* shmx_arena_object.serial */
bool dead[4], busy[4], forked;
byte dying;                             /* is killed: it makes no other step */

#define is_removed (state == REMOVED && (!unseen || owner == _pid)) /* shmx_directory_is_removed */
#define joined     (settled[_pid] == _pid)
#ifdef NO_SERIAL
#define same (state != FREE)
#else
#define same (state != FREE && serial == meant[_pid])
#endif
#ifdef NO_DEAD
#define uses(m) (process[m] != 0 && bits[m])
#else
#define uses(m) (process[m] != 0 && bits[m] && !dead[process[m]])
#endif

proctype Memory() {
end:
  do
  :: unseen -> unseen = false
  od
}

inline sweep() { /* shmx_directory_sweep */
  if
  :: state != REMOVED
  :: state == REMOVED ->
    do /* is_used */
    :: d_step { m < MEMBERS && !uses(m) -> m++ }
    :: m < MEMBERS && uses(m) -> break
    :: d_step { m == MEMBERS -> state = FREE; filled = false; zeroed = false } break
    od;
    m = 0
  fi
}

/* shmx_directory_join: a place that is nobody's, or of the dead. Then reopen. */
inline join() {
  d_step {
    do
    :: m < MEMBERS && process[m] != 0 -> m++
    :: else -> break
    od;
    if
    :: m == MEMBERS -> m = 0;
      do
      :: m < MEMBERS && !dead[process[m]] -> m++
      :: else -> break
      od
    :: else
    fi
  }
  if
  :: m == MEMBERS /* -EUSERS */
  :: m < MEMBERS -> process[m] = 0; /* settle */
    bits[m] = false;
    d_step { process[m] = _pid; member[_pid] = m; settled[_pid] = _pid; m = 0 }
    if
    :: open[_pid] && same -> bits[member[_pid]] = true; /* shmx_directory_mark */
      d_step { assert(given == meant[_pid]); usable[_pid] = true }
    :: !(open[_pid] && same) -> open[_pid] = false
    fi
  fi;
  m = 0
}

inline lock() { /* shmx_directory_enter */
  d_step { owner == 0 || dead[owner] -> owner = _pid }
}

inline leave() { /* shmx_directory_leave */
  d_step { !unseen -> owner = 0 }
}

inline make() { /* shmx_directory_make */
#ifdef PUBLISH_FIRST
  state = LIVE;
#endif
  d_step {
    assert(!usable[1] && !usable[2] && !usable[3]);
    zeroed = true;
    given = last + 1
  }
  last++; /* fill_in */
  d_step { serial = last; filled = true }
  state = LIVE
}

inline find() { /* find_or_make, open_object */
  sweep();
  if
  :: state == LIVE /* shmx_directory_find */
  :: state == FREE -> make()
  :: state == REMOVED -> goto left /* -ENOSPC */
  fi;
  d_step {
    assert(filled && zeroed && given == serial);
    open[_pid] = true;
    usable[_pid] = true;
    meant[_pid] = serial
  }
#ifndef NO_BIT
  bits[member[_pid]] = true /* shmx_directory_mark */
#endif
}

inline remove() { /* shmx_arena_remove */
  if
  :: d_step { state == LIVE -> state = REMOVED; unseen = true } /* shmx_directory_remove */
#ifndef RELAXED_LOOK
    !unseen;
#endif
    sweep()
  :: state != LIVE /* -ENOENT */
  fi
}

inline close() { /* shmx_arena_object_close */
  d_step { open[_pid] = false; usable[_pid] = false }
  if
#ifdef CLEAR_AFTER_LOOK
  :: joined && !is_removed -> bits[member[_pid]] = false
  :: joined && is_removed -> bits[member[_pid]] = false; lock(); sweep(); leave()
#else
  :: joined -> bits[member[_pid]] = false; /* shmx_directory_mark */
    if
    :: !is_removed
    :: is_removed -> lock(); sweep(); leave()
    fi
#endif
  :: !joined
  fi
}

proctype Process() provided (dying == 0 || dying == _pid) {
  byte m, ops;
end_unborn:
  (_pid != 3 || forked);
again: {
    if
    :: d_step { ops < OPS -> ops++ }
      if
      :: lock(); /* enter: shmx_arena_find, _remove, _object_look */
        if
        :: joined
        :: !joined -> join()
        fi;
        if
        :: joined && !open[_pid] -> find()
        :: joined -> remove()
        :: !joined || open[_pid]
        fi;
left:
        leave();
        goto again
      :: open[_pid] -> close(); goto again
      :: d_step { /* fork; in_child */
          _pid == 1 && !forked && settled[1] == 1 -> forked = true;
          member[3] = member[1]; settled[3] = 1;
          open[3] = open[1]; meant[3] = meant[1];
#ifdef USE_IN_CHILD
          usable[3] = usable[1];
#endif
          busy[3] = true
        } goto again
      fi
    :: d_step { ops == OPS -> busy[_pid] = false } /* lives on, with what it has open; or */
    :: ops == OPS -> /* shmx_arena_close */
      if
      :: open[_pid] -> close()
      :: !open[_pid]
      fi;
      if
      :: d_step { joined -> process[member[_pid]] = 0; busy[_pid] = false } /* shmx_directory_part */
      :: d_step { !joined -> busy[_pid] = false }
      fi
    fi
  } unless {
    d_step { dying == _pid -> dying = 0; busy[_pid] = false; usable[_pid] = false; m = 0 }
    d_step { !unseen -> dead[_pid] = true }
  }
}

#define has_open(p) (open[p] && !dead[p] && settled[p] == p) /* by a bit of its own */

init {
  byte m, kills;
  atomic {
    run Process(); run Process(); run Process(); run Memory();
    busy[1] = true;
    busy[2] = true
  }
  do
  :: d_step { kills < KILLS && dying == 0 && busy[1] -> dying = 1; kills++ }
  :: d_step { kills < KILLS && dying == 0 && busy[2] -> dying = 2; kills++ }
  :: d_step { kills < KILLS && dying == 0 && busy[3] -> dying = 3; kills++ }
  :: dying == 0 -> break
  od;
  timeout;
  if
  :: kills > 0 -> sweep()
  :: kills == 0
  fi;
  assert(state != REMOVED || has_open(1) || has_open(2) || has_open(3))
}
